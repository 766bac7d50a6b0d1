"""Explanations of whole lists against all sets tried by hand and plain loops over the catalogue."""

from __future__ import annotations

from functools import cache
from itertools import combinations
from math import ceil, log2

import pytest
import torch

from recx.core import registry
from recx.core.errors import BadInput
from recx.explainers._check import check_list
from recx.explainers._explanation import Finding
from recx.explainers._lists import Lists, explain_list, support
from recx.explainers.leave_one_out import LeaveOneOut
from recx.explainers.minimal import Minimal
from recx.models.ease import ItemWeights
from recx.worlds.edited import EditedWorld
from tests.explainers.conftest import KINDS, PAD, columns_of, made, world_for, world_of

K = 5


def plain_list(world: EditedWorld, row: int, kept: set[int], k: int) -> list[int]:
    """The top k by a loop over the catalogue, with the columns `kept` as history."""
    scores = world.scorer.score(torch.tensor([[int(world.histories[row, c]) for c in sorted(kept)] or [PAD]]))[
        0
    ].tolist()
    free = [i for i in range(world.n_items) if i not in world.histories[row]]
    return sorted(free, key=lambda i: (-scores[i], i))[:k]


def plain_replaced(world: EditedWorld, row: int, named: set[int], k: int) -> int:
    own = set(columns_of(world, row))
    return len(set(plain_list(world, row, own, k)) - set(plain_list(world, row, own - named, k)))


@cache
def plain_sets(kind: str, seed: int) -> list[dict[tuple[int, ...], int]]:
    """For each person of a small world how many items every set of columns replaces."""
    world = world_of(kind, seed)
    answers = []
    for row in range(4):
        own = columns_of(world, row)
        sets = [named for size in range(1, len(own) + 1) for named in combinations(own, size)]
        answers.append({named: plain_replaced(world, row, set(named), K) for named in sets})
    return answers


def plain_smallest(kind: str, seed: int, row: int, need: int) -> int | None:
    return min((len(named) for named, count in plain_sets(kind, seed)[row].items() if count >= need), default=None)


def needed(share: str, k: int) -> int:
    return {"one": 1, "half": ceil(k / 2), "all": k}[share]


@pytest.mark.parametrize("kind", ["ease", "multvae"])
@pytest.mark.parametrize("tied", [False, True])
def test_replaced_equals_a_plain_loop(kind: str, tied: bool) -> None:
    """Random edits; `tied`: scores rounded so that many are equal."""
    world = world_of(kind, 3)
    if tied:
        score = world.scorer.score
        world.scorer.score = lambda *given: torch.round(score(*given))  # type: ignore[method-assign]
    stream = torch.Generator().manual_seed(0)
    row = torch.randint(4, (60,), generator=stream)
    keep = torch.rand(60, 7, generator=stream) > 0.5
    lists = Lists.of(world, row, K, "half")
    count, margin = world.replaced(row, keep, lists.items, lists.need)
    for s in range(60):
        r = int(row[s])
        named = {c for c in columns_of(world, r) if not keep[s, c]}
        plain = plain_replaced(world, r, named, K)
        assert count[s] == plain
        if margin[s] != 0:
            assert (margin[s] < 0) == (plain >= 3)
    assert len(set(count.tolist())) > 2


@pytest.mark.parametrize("share", ["one", "half", "all"])
@pytest.mark.parametrize("kind", ["ease", "multvae"])
@pytest.mark.parametrize("seed", range(3))
def test_minimal_replaces_with_the_smallest_set_of_all(share: str, kind: str, seed: int) -> None:
    """All 127 sets of a history of 7 are tried by hand."""
    world, row = world_of(kind, seed), torch.arange(4)
    for p, finding in enumerate(explain_list(Minimal(), world, row, K, share)):
        best = plain_smallest(kind, seed, p, needed(share, K))
        assert len(finding.positions) == (best or 0)
        assert (finding.proved is True) == bool(best)
        if best:
            assert plain_sets(kind, seed)[p][tuple(sorted(finding.positions))] >= needed(share, K)
            assert finding.searched.startswith("no smaller set exists")
        else:
            assert finding.searched.startswith("no set of up to 7 items" if p != 1 else "no set of up to 4 items")


def test_minimal_under_a_small_budget_says_that_nothing_is_proved() -> None:
    world, row = world_of("multvae", 2, people=6, length=20, n_items=60), torch.arange(6)
    findings = explain_list(Minimal(max_calls=60, chunk=8), world, row, K, "all")
    found = [(p, f) for p, f in enumerate(findings) if len(f.positions) > 2]
    assert found, "the budget must be too small for somebody"
    for p, finding in found:
        assert plain_replaced(world, p, set(finding.positions), K) == K
        assert finding.proved is None
        assert finding.searched.startswith("not proved: ")


@pytest.mark.parametrize("share", ["one", "half", "all"])
@pytest.mark.parametrize("name", registry.names("explainers"))
def test_every_explainer_answers_for_the_list(name: str, share: str) -> None:
    """What it names replaces enough, by hand, and no named item can be put back."""
    explainer = made(name)
    world, row = world_for(explainer, *KINDS), torch.arange(4)
    findings = explain_list(explainer, world, row, K, share)
    assert len(findings) == 4
    for p, finding in enumerate(findings):
        named, need = set(finding.positions), needed(share, K)
        assert finding.goal == "list"
        assert finding.searched
        assert named <= set(columns_of(world, p))
        if named:
            assert plain_replaced(world, p, named, K) >= need
            if len(named) > 1:
                assert all(plain_replaced(world, p, named - {c}, K) < need for c in named)
            assert {c for c, _ in finding.details["per_item"]} >= named
    if share == "one":
        assert any(finding.positions for finding in findings)


def test_values_are_added_up_over_the_list_each_scaled_to_one() -> None:
    """An additive model: effects are weights of the matrix, so the sum is a closed form."""
    world = world_of("ease")
    for weights in ("equal", "rank"):
        for p, finding in enumerate(explain_list(LeaveOneOut(), world, torch.arange(4), K, "half", weights=weights)):
            own = columns_of(world, p)
            total = dict.fromkeys(own, 0.0)
            for place, target in enumerate(plain_list(world, p, set(own), K), 1):
                effect = {c: float(world.scorer.weights[world.histories[p, c], target]) for c in own}
                for c in own:
                    part = effect[c] / sum(map(abs, effect.values()))
                    total[c] += part if weights == "equal" else part / log2(place + 1)
            assert dict(finding.details["per_item"]) == pytest.approx(total, abs=1e-5)
            assert [c for c, _ in finding.details["per_item"]] == sorted(own, key=lambda c: -total[c])


@pytest.mark.parametrize("share", ["one", "half"])
def test_the_set_comes_from_the_shortest_start_of_the_ranking_that_is_enough(share: str) -> None:
    world, k = world_of("multvae", 3), 6
    shorter = 0
    for p, finding in enumerate(explain_list(LeaveOneOut(), world, torch.arange(4), k, share)):
        ranking = [c for c, _ in finding.details["per_item"]]
        enough = [
            n for n in range(1, len(ranking) + 1) if plain_replaced(world, p, set(ranking[:n]), k) >= needed(share, k)
        ]
        assert bool(finding.positions) == bool(enough)
        if enough:
            assert set(finding.positions) <= set(ranking[: enough[0]])
            assert f"the first {enough[0]} of {len(ranking)} ranked items" in finding.searched
            shorter += enough[0] < len(ranking)
    assert shorter, "a world in which the whole ranking is not needed"


@pytest.mark.parametrize("kind", ["ease", "multvae"])
def test_support_is_the_list_without_one_item(kind: str) -> None:
    world = world_of(kind, 1)
    weights = [1 / log2(r + 1) for r in range(1, K + 1)]
    for p, rows in enumerate(support(world, torch.arange(4), K)):
        own = set(columns_of(world, p))
        before = set(plain_list(world, p, own, K))
        assert {one.column for one in rows} == own
        for one in rows:
            after = plain_list(world, p, own - {one.column}, K)
            new = [item not in before for item in after]
            assert one.replaced == sum(new)
            assert one.pn_s == pytest.approx(sum(new) / K)
            ranked = sum(w for w, is_new in zip(weights, new, strict=True) if is_new) / sum(weights)
            assert one.pn_r == pytest.approx(ranked)
        assert sum(one.share for one in rows) == pytest.approx(1.0)
        assert sum(one.share_ranked for one in rows) == pytest.approx(1.0)
        assert [one.pn_s for one in rows] == sorted((one.pn_s for one in rows), reverse=True)


@pytest.mark.parametrize("kind", ["ease", "multvae"])
def test_the_verdict_on_a_list_is_what_a_plain_run_gives(kind: str) -> None:
    world, row = world_of(kind, 2), torch.arange(4)
    some = [Finding(positions=(3, 5)), Finding(positions=(4,)), Finding(), Finding(positions=(0, 1, 2, 3, 4, 5, 6))]
    for p, verdict in enumerate(check_list(world, row, K, "one", some)):
        own, named = set(columns_of(world, p)), set(some[p].positions)
        before = plain_list(world, p, own, K)
        if not named:
            assert (verdict.replaced, verdict.stay, verdict.minimal) == (0, None, None)
            continue
        after = plain_list(world, p, own - named, K)
        assert verdict.left == tuple((item, r) for r, item in enumerate(before, 1) if item not in after)
        assert verdict.came == tuple((item, r) for r, item in enumerate(after, 1) if item not in before)
        assert verdict.stay == len(set(before) & set(plain_list(world, p, named, K)))
        assert verdict.replaced == len(verdict.left)
        assert verdict.pn_s == pytest.approx(len(verdict.came) / K)
        smaller = [set(s) for size in range(1, len(named)) for s in combinations(named, size)]
        if verdict.replaced < 1:
            assert verdict.minimal is None
        else:
            proved = not any(plain_replaced(world, p, one, K) >= 1 for one in smaller)
            assert verdict.minimal == ("proved" if proved else "not proved")


def test_a_list_that_hangs_on_nothing_is_said() -> None:
    """All scores equal: no edit changes the list, nothing is named, nobody falls over."""
    world = EditedWorld(ItemWeights(torch.zeros(25, 25)), world_of("ease").histories)
    for explainer in (Minimal(), LeaveOneOut()):
        for finding in explain_list(explainer, world, torch.arange(4), K, "one"):
            assert finding.positions == ()
            assert finding.searched
    assert all(one.share == one.pn_s == 0 for rows in support(world, torch.arange(4), K) for one in rows)


def test_nobody_and_a_list_as_long_as_the_catalogue() -> None:
    world = world_of("ease")
    world.histories[0] = PAD
    empty, rest = explain_list(Minimal(), world, torch.arange(2), K, "one")
    assert empty.positions == ()
    assert empty.searched
    assert rest.positions
    assert support(world, torch.tensor([0]), K) == [[]]
    for explainer in (Minimal(), LeaveOneOut()):
        whole = explain_list(explainer, world, torch.arange(1, 3), 25, "half")
        assert [f.positions for f in whole] == [(), ()]
        assert "only 0 other items" in whole[0].searched


def test_an_unknown_share_is_one_sentence() -> None:
    with pytest.raises(BadInput, match=r"'most'.*one, half, all"):
        explain_list(Minimal(), world_of("ease"), torch.arange(1), K, "most")
    with pytest.raises(BadInput, match=r"'loud'.*equal, rank"):
        explain_list(Minimal(), world_of("ease"), torch.arange(1), K, "one", weights="loud")
