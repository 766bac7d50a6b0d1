"""KaffesCE: its search by hand, its two goals by plain runs, its budget."""

from __future__ import annotations

import heapq

import pytest
import torch

from recx.explainers.kaffes import Kaffes
from recx.models.ease import ItemWeights
from recx.worlds.edited import EditedWorld
from tests.explainers.conftest import columns_of, does, pairs_of, smallest, world_of


def flat_world() -> EditedWorld:
    """Two large effects and eight small ones: each small one is worth less than the length that it adds."""
    n, weights = 10, torch.zeros(14, 14)
    weights[:n, n] = torch.tensor([3.0, 2.5] + [0.6 + 0.03 * j for j in range(n - 2)])
    weights[n - 1, n + 1], weights[0, n + 2], weights[0, n + 3] = 3.0, -1.0, -1.0
    return EditedWorld(ItemWeights(weights), torch.arange(n)[None])


@pytest.mark.parametrize("kind", ["ease", "multvae", "flat"])
@pytest.mark.parametrize(("goal", "answer"), [("rank", "best"), ("score", "best"), ("score", "first")])
def test_kaffes_equals_a_plain_best_first_search(kind: str, goal: str, answer: str) -> None:
    """One pair at a time, one expansion at a time, with the priority of the docstring."""
    world, k = (flat_world(), 1) if kind == "flat" else (world_of(kind, 2, length=9, n_items=40), 2)
    row, target = pairs_of(world, k)
    named = []
    for p, finding in enumerate(Kaffes(goal=goal, answer=answer, budget=200).explain(world, row, target, k)):
        r, t, own = int(row[p]), int(target[p]), columns_of(world, int(row[p]))
        limit = float(world.top_k(row[p : p + 1], None, k + 1)[1][0, -1])

        def distance(gone: frozenset[int], r: int = r, t: int = t, own: list[int] = own, limit: float = limit) -> float:
            history = [int(world.histories[r, c]) for c in own if c not in gone]
            scores = world.scorer.score(torch.tensor([history or [-1]]))[0].tolist()
            if goal == "score":
                return scores[t] - limit
            others = [scores[i] for i in range(world.n_items) if i not in world.histories[r] and i != t]
            return scores[t] - sorted(others)[-k]

        first, calls, found = distance(frozenset()), 0, None
        waiting: list[tuple[float, int, frozenset[int]]] = [(1.0, 0, frozenset())]
        seen = {frozenset[int]()}
        while waiting and calls < 200 and found is None:
            parent = heapq.heappop(waiting)[2]
            grown = [parent | {c} for c in own if c not in parent and parent | {c} not in seen][: 200 - calls]
            seen |= set(grown)
            calls += len(grown)
            left = {child: distance(child) for child in grown}
            out = [child for child in grown if (left[child] < 0 if goal == "score" else left[child] <= 0)]
            found = None if not out else out[0] if answer == "first" else min(out, key=left.__getitem__)
            for child in grown:
                value = len(child) / len(own) + left[child] / first
                heapq.heappush(waiting, (value, len(seen) + len(waiting), child))
        assert set(finding.positions) == (found or set())
        assert finding.calls == calls + 1
        named.append(len(finding.positions))
    assert max(named) > 1 or kind == "multvae"


@pytest.mark.parametrize("expansions", [1, 4])
def test_what_kaffes_finds_by_rank_takes_the_target_out(expansions: int) -> None:
    world, k = world_of("multvae", 1), 3
    row, target = pairs_of(world, k)
    for p, finding in enumerate(Kaffes(expansions=expansions).explain(world, row, target, k)):
        best = smallest(world, int(row[p]), int(target[p]), k, "necessary")
        assert bool(finding.positions) == bool(best), "the budget covers all 127 sets"
        assert not best or does(world, int(row[p]), int(target[p]), set(finding.positions), k, "necessary")


@pytest.mark.parametrize("budget", [0, 3, 12])
def test_kaffes_stays_within_its_budget_and_says_so(budget: int) -> None:
    world, k = world_of("ease", 2, length=9, n_items=40), 3
    row, target = pairs_of(world, k)
    findings = Kaffes(budget=budget).explain(world, row, target, k)
    assert all(finding.calls <= budget + 1 for finding in findings)
    none = [finding for finding in findings if not finding.positions]
    assert none
    assert all(f"{budget:,} of at most {budget:,} sets tried: none" in finding.searched for finding in none)
    assert all("per_item" not in finding.details for finding in findings if budget < 5)
