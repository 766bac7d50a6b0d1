"""`minimal` against all sets tried by hand: sizes, proofs, what certificates count, bounds without a run."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
import pytest
import torch

from recx.core import registry
from recx.core.errors import BadInput
from recx.explainers._bounds import least_sizes
from recx.explainers._optimum import smallest_sizes
from recx.explainers._smallest import Search
from recx.explainers.minimal import Minimal, _certificate
from recx.worlds.edited import EditedWorld
from tests.explainers.conftest import columns_of, does, pairs_of, smallest, world_of
from tests.models.conftest import small_split

GOALS = ["both", "necessary"]


def answered(search: Search, reply: Callable[[np.ndarray], np.ndarray]) -> Any:
    """What a search finds where `reply` says of each edit Bool[S, n] whether the target stays, and its margin."""
    plan: Any = search.run()
    said = None
    while True:
        try:
            said = reply(plan.send(said).keep)
        except StopIteration as end:
            return end.value


@pytest.mark.parametrize("goal", GOALS)
@pytest.mark.parametrize("kind", ["ease", "multvae"])
def test_the_optimum_is_the_smallest_of_all_sets_tried_by_a_loop(goal: str, kind: str) -> None:
    world, k = world_of(kind, 3), 3
    row, target = pairs_of(world, k)
    sizes = smallest_sizes(world, row, target, k, goal)
    for p, size in enumerate(sizes.tolist()):
        assert size == (smallest(world, int(row[p]), int(target[p]), k, goal) or 0)


def test_the_optimum_leaves_long_histories_alone_and_refuses_a_limit_out_of_reach() -> None:
    world, k = world_of("ease"), 3
    row, target = pairs_of(world, k)
    lengths = (world.histories[row] >= 0).sum(1)
    assert ((smallest_sizes(world, row, target, k, "both", limit=4) == -1) == (lengths > 4)).all()
    with pytest.raises(BadInput, match="at most 22"):
        smallest_sizes(world, row, target, k, "both", limit=40)


@pytest.mark.parametrize("goal", GOALS)
@pytest.mark.parametrize("kind", ["ease", "multvae"])
def test_histories_of_twelve_have_no_distance_from_the_optimum(goal: str, kind: str) -> None:
    """Some items are liked by the model whatever the history: their sets are large."""
    world, k = world_of(kind, 5, people=5, length=12, n_items=40), 3
    if kind == "ease":
        world.scorer.weights[:, :4] += 0.5
    else:
        world.scorer.net["output"].bias.data[:4] += 2.5
    row, target = pairs_of(world, k)
    best = smallest_sizes(world, row, target, k, goal).tolist()
    assert max(best) >= 3
    for size, finding in zip(best, Minimal(goal=goal).explain(world, row, target, k), strict=True):
        assert len(finding.positions) == size


@pytest.mark.parametrize("goal", GOALS)
def test_certificates_count_what_was_tried(goal: str) -> None:
    """'all N tried' has N = all smaller sets; under a small budget fewer are, and none is called proved."""
    world, k = world_of("multvae", 2, people=6, length=20, n_items=60), 3
    row, target = pairs_of(world, k)
    seen = set()
    for budget in (60, 20_000):
        for p, finding in enumerate(Minimal(goal=goal, max_calls=budget).explain(world, row, target, k)):
            n, size = len(columns_of(world, int(row[p]))), len(finding.positions)
            if not size:
                continue
            tried, smaller = finding.details["tried"], finding.details["smaller"]
            assert smaller == sum(comb(n, s) for s in range(1, size))
            assert (tried == smaller) == (finding.details["smallest"] == "proved") == bool(finding.proved)
            assert tried <= min(smaller, finding.calls)
            if size > 1:
                seen.add(finding.proved)
                assert f"{tried:,}" in finding.searched
    assert seen == {True, None}


@pytest.mark.parametrize("goal", GOALS)
@pytest.mark.parametrize("needle", [(1, 4, 7), (0, 2, 5, 8)])
def test_what_is_proved_was_asked(goal: str, needle: tuple[int, ...]) -> None:
    """One set does it, and margins give no hint of it: each smaller set must have been taken out by a run."""
    n = 10
    asked: set[tuple[int, ...]] = set()

    def reply(keep: np.ndarray) -> np.ndarray:
        asked.update(tuple(np.flatnonzero(~one).tolist()) for one in keep)
        stays = ~(~keep)[:, list(needle)].all(1) & (keep[:, list(needle)].all(1) | (keep.sum(1) > 5))
        return np.stack([stays, np.where(stays, 1.0, -1.0)], axis=1)

    answer = answered(Search(goal, n, 5000, 64), reply)
    assert answer.items == list(needle)
    assert answer.exhausted >= len(needle) - 1
    for size in range(1, len(needle)):
        assert asked >= set(combinations(range(n), size))


@pytest.mark.parametrize("goal", GOALS)
@pytest.mark.parametrize("model", ["ease", "itemknn", "pagerank"])
def test_bounds_of_additive_models_are_never_above_the_optimum(goal: str, model: str) -> None:
    """And above 1 somewhere, or they would say nothing; with them the answer is the same as by trying all."""
    split = small_split()
    scorer = registry.load("models", model)().fit(split.train, seed=0)
    histories = torch.as_tensor(split.test.histories)[:12, -9:]
    world, k = EditedWorld(scorer, histories), 3
    row = torch.arange(len(histories)).repeat_interleave(k)
    top, scores = world.top_k(torch.arange(len(histories)), None, k)
    usable = torch.isfinite(scores).flatten()
    row, target = row[usable], top.flatten()[usable]
    best = smallest_sizes(world, row, target, k, goal).tolist()
    bounds = least_sizes(world, row, target, k, goal)
    assert all(bound <= size for bound, size in zip(bounds, best, strict=True) if size)
    assert max(bounds) > 1
    for size, finding in zip(best, Minimal(goal=goal).explain(world, row, target, k), strict=True):
        assert len(finding.positions) == size


def test_a_bound_that_rules_sizes_out_saves_their_runs_and_says_so() -> None:
    world, k = world_of("ease", 1, people=6, length=16, n_items=60), 3
    row, target = pairs_of(world, k)
    findings = Minimal(goal="necessary").explain(world, row, target, k)
    spared = [f for f in findings if f.positions and f.proved and f.details["tried"] < f.details["smaller"]]
    assert spared
    for finding in spared:
        assert "by the model's sums" in finding.searched
    p = findings.index(spared[0])
    own, size = columns_of(world, int(row[p])), len(spared[0].positions)
    for smaller in range(1, min(size, 4)):
        for named in combinations(own, smaller):
            assert not does(world, int(row[p]), int(target[p]), set(named), k, "necessary")


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        (1000, "no set does it (42 of 63 tried and 21 ruled out by the model's sums)"),
        (10, "no set found: 4 of 63 tried and 21 ruled out by the model's sums"),
    ],
)
def test_what_was_ruled_out_is_not_called_tried_where_no_set_does_it(budget: int, said: str) -> None:
    """Of six items the 6 + 15 sets of one or two are ruled out; the other 42 are run, or only the best 3, 4, 5, 6."""
    answer = answered(Search("necessary", 6, budget, 64, ruled_out=2), lambda keep: np.ones((len(keep), 2)))
    assert answer.items is None
    assert _certificate(answer) == said


def test_pairs_of_one_person_share_their_runs() -> None:
    """Five recommendations of one person cost far fewer runs than five people with one each would."""
    world, k = world_of("multvae", 4, people=2, length=14, n_items=60), 5
    row, target = (part[:k] for part in pairs_of(world, k))
    world.calls = 0
    findings = Minimal(max_calls=400).explain(world, row, target, k)
    together = world.calls
    world.calls = 0
    alone = [Minimal(max_calls=400).explain(world, row[p : p + 1], target[p : p + 1], k)[0] for p in range(5)]
    assert [f.positions for f in findings] == [f.positions for f in alone]
    assert together < 0.75 * world.calls
