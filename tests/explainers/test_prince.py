"""PRINCE against all sets tried, on random graphs and on weights that add up."""

from __future__ import annotations

from itertools import combinations

import pytest
import torch

from recx.explainers.prince import Prince
from recx.models.ease import ItemWeights
from recx.models.pagerank import PageRank
from recx.worlds.edited import EditedWorld
from tests.explainers.conftest import columns_of, pairs_of, population, world_of


def graph_world(seed: int, known: bool = False, n_items: int = 25) -> EditedWorld:
    """Random walks on a random graph, asked for strangers with 3 to 7 items, or for people of the graph itself."""
    people = population(n_items, seed)
    scorer = PageRank(alpha=0.3).fit(people, device="cpu")
    if known:
        users = torch.arange(4)
        return EditedWorld(scorer, torch.as_tensor(people.histories(users.numpy())), users, population=people)
    stream = torch.Generator().manual_seed(seed)
    histories = torch.stack([torch.randperm(n_items, generator=stream)[:7] for _ in range(4)])
    histories[1, :4] = -1
    return EditedWorld(scorer, histories, population=people)


def out_of(world: EditedWorld, row: int, target: int, kept: list[int], k: int) -> bool:
    """Whether k others reach the target, by a loop over the catalogue and one run of the model."""
    history = torch.tensor([[int(world.histories[row, c]) for c in kept] or [-1]])
    scores = world.scorer.score(history, None if world.users is None else world.users[row : row + 1])[0].tolist()
    others = [i for i in range(world.n_items) if i not in world.histories[row] and i != target]
    return sum(scores[i] >= scores[target] for i in others) >= k


def smallest(world: EditedWorld, row: int, target: int, k: int) -> int:
    """The size of the smallest set that takes the target out, by trying all; 0 for none."""
    own = columns_of(world, row)
    for size in range(1, len(own) + 1):
        for named in combinations(own, size):
            if out_of(world, row, target, [c for c in own if c not in named], k):
                return size
    return 0


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", ["strangers", "people of the graph", "weights"])
def test_prince_is_the_optimum_for_the_first_place(kind: str, seed: int) -> None:
    world = world_of("ease", seed) if kind == "weights" else graph_world(seed, kind == "people of the graph")
    row, target = pairs_of(world, 1)
    for p, finding in enumerate(Prince().explain(world, row, target, 1)):
        r, t, own = int(row[p]), int(target[p]), columns_of(world, int(row[p]))
        if out_of(world, r, t, own, 1):  # a tie: not in the list to begin with
            assert not finding.positions
            continue
        best = smallest(world, r, t, 1)
        assert len(finding.positions) == best
        assert finding.proved is (True if best else None)
        if best:
            left = [c for c in own if c not in finding.positions]
            assert out_of(world, r, t, left, 1)


@pytest.mark.parametrize("kind", ["graph", "weights"])
def test_prince_in_a_longer_list_is_valid_and_its_proofs_and_bounds_hold(kind: str) -> None:
    exact = pairs = 0
    for seed in range(4):
        world, k = (world_of("ease", seed) if kind == "weights" else graph_world(seed)), 3
        row, target = pairs_of(world, k)
        for p, finding in enumerate(Prince().explain(world, row, target, k)):
            r, t, own = int(row[p]), int(target[p]), columns_of(world, int(row[p]))
            if out_of(world, r, t, own, k):
                assert not finding.positions
                continue
            best = smallest(world, r, t, k)
            assert bool(finding.positions) == bool(best)
            if best:
                assert out_of(world, r, t, [c for c in own if c not in finding.positions], k)
                assert finding.details["at_least"] <= best <= len(finding.positions)
                assert not finding.proved or len(finding.positions) == best
            pairs += 1
            exact += len(finding.positions) == best
    assert exact == pairs > 20, "all sets of 7 items are few"


def test_prince_by_hand() -> None:
    """Target 3 leads item 4 by 2 + 2 - 1 = 3: both helpers must go, and item 2, which holds 4 up, must stay."""
    weights = torch.zeros(6, 6)
    weights[0, 3], weights[1, 3], weights[2, 4] = 2.0, 2.0, 1.0
    weights[2, 5] = -9.0
    world = EditedWorld(ItemWeights(weights), torch.tensor([[0, 1, 2]]))
    finding = Prince().explain(world, torch.tensor([0]), torch.tensor([3]), 1)[0]
    assert finding.positions == (0, 1)
    assert finding.weights == (2.0, 2.0)
    assert finding.details == {"per_item": [(0, 2.0), (1, 2.0), (2, -1.0)], "predicted_replacement": 4, "at_least": 2}


def test_blocks_do_not_change_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    world = graph_world(1)
    row, target = pairs_of(world, 3)
    whole = [f.positions for f in Prince().explain(world, row, target, 3)]
    monkeypatch.setattr("recx.explainers.prince.CELLS", 40)
    assert [f.positions for f in Prince().explain(world, row, target, 3)] == whole


def test_a_list_that_holds_all_candidates_cannot_be_left() -> None:
    world = world_of("ease")
    row, target = pairs_of(world, 18)
    findings = Prince().explain(world, row[:18], target[:18], 18)
    assert not any(finding.positions for finding in findings)
    assert all("no set puts 18 others" in finding.searched for finding in findings)
