"""The edited-history world against a plain loop, and its conventions by hand."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from recx.core import registry
from recx.core.errors import BadInput
from recx.data.interactions import PAD
from recx.models._scorer import compact
from recx.models.ease import ItemWeights
from recx.worlds import edited
from recx.worlds.edited import EditedWorld
from tests.models.conftest import small_split


def random_world(n_items: int = 30, people: int = 6, length: int = 9, seed: int = 0) -> EditedWorld:
    stream = torch.Generator().manual_seed(seed)
    weights = torch.randn(n_items, n_items, generator=stream)
    histories = torch.stack([torch.randperm(n_items, generator=stream)[:length] for _ in range(people)])
    histories[1, :4] = PAD
    return EditedWorld(ItemWeights(weights), histories)


def random_edits(world: EditedWorld, n: int, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    stream = torch.Generator().manual_seed(seed)
    row = torch.randint(len(world.histories), (n,), generator=stream)
    return row, torch.rand(n, world.histories.shape[1], generator=stream) > 0.4


def plain_scores(world: EditedWorld, row: int, keep: list[bool]) -> list[float]:
    items = [int(i) for i, k in zip(world.histories[row], keep, strict=True) if k and i != PAD]
    return [sum(float(world.scorer.weights[i, t]) for i in items) for t in range(world.n_items)]


def test_scores_rank_and_top_k_equal_a_plain_loop() -> None:
    world = random_world()
    row, keep = random_edits(world, 40)
    target = torch.tensor([next(i for i in range(30) if i not in world.histories[r]) for r in row.tolist()])
    scores = world.scores(row, keep)
    rank, margin = world.rank_and_margin(row, keep, target, 4)
    items, values = world.top_k(row, keep, 4)
    for s in range(40):
        plain = plain_scores(world, int(row[s]), keep[s].tolist())
        assert scores[s].tolist() == pytest.approx(plain, abs=1e-5)
        free = [i for i in range(30) if i not in world.histories[row[s]]]
        best = sorted(free, key=lambda i: (-plain[i], i))
        assert items[s].tolist() == best[:4]
        assert values[s].tolist() == pytest.approx([plain[i] for i in best[:4]], abs=1e-5)
        assert rank[s] == best.index(int(target[s])) + 1
        others = [i for i in best if i != target[s]]
        assert margin[s] == pytest.approx(plain[int(target[s])] - plain[others[3]], abs=1e-5)


@pytest.mark.parametrize("convention", ["app", "as-published"])
def test_margins_of_many_targets_are_those_of_one_at_a_time(convention: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with ties, with a list as long as the catalogue, and in blocks of two."""
    world = random_world()
    world.scorer.weights[:] = (2 * world.scorer.weights).round()  # whole numbers: equal sums are equal
    row, keep = random_edits(world, 50)
    free = [[i for i in range(30) if i not in world.histories[r]] for r in row.tolist()]
    targets = torch.tensor([(items + items)[s % 20 : s % 20 + 12] for s, items in enumerate(free)])
    monkeypatch.setattr(edited, "CACHED_BYTES", 240)
    monkeypatch.setattr(edited, "FEWEST", 1)
    for k in (1, 4, 21, 29, 30, 40):
        margins = world.margins(row, keep, targets, k, convention)
        for t in range(12):
            rank, margin = world.rank_and_margin(row, keep, targets[:, t], k, convention)
            assert margins[:, t].tolist() == pytest.approx(margin.tolist(), abs=1e-5)
            assert torch.equal(margins[:, t] > 0, rank <= k)


@pytest.mark.parametrize("model", ["ease", "itemknn", "pagerank"])
def test_contributions_add_up_to_the_scores(model: str) -> None:
    """In the order of the sums: for pagerank the score is the mean over the kept items."""
    split = small_split()
    scorer = registry.load("models", model)().fit(split.train, seed=0)
    world = EditedWorld(scorer, torch.as_tensor(split.test.histories), torch.as_tensor(split.test.users))
    assert "additive" in world.capabilities
    row = torch.arange(len(world.histories))
    keep = torch.rand(world.histories.shape, generator=torch.Generator().manual_seed(0)) > 0.4
    kept = keep & (world.histories != PAD)
    items = torch.arange(world.n_items).expand(len(row), -1)
    total = (world.contributions(row, items) * kept[:, None]).sum(2)
    if model == "pagerank":
        total = total / kept.sum(1, keepdim=True).clamp_min(1)
    some = kept.any(1)
    assert torch.allclose(total[some], world.scores(row, keep)[some], atol=1e-5)


def test_blocks_do_not_change_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    world = random_world()
    row, keep = random_edits(world, 25)
    target = torch.zeros(25, dtype=torch.long)
    whole = world.rank_and_margin(row, keep, target, 3), world.top_k(row, keep, 3)
    monkeypatch.setattr(edited, "BLOCK_BYTES", 4 * 8 * 30 * 4)
    again = world.rank_and_margin(row, keep, target, 3), world.top_k(row, keep, 3)
    for one, two in zip(whole, again, strict=True):
        torch.testing.assert_close(one, two)


class Largest(TorchDispatchMode):
    """The bytes of the largest tensor that is made meanwhile."""

    most = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for one in made if isinstance(made, (tuple, list)) else (made,):
            if isinstance(one, torch.Tensor):
                self.most = max(self.most, one.numel() * one.element_size())
        return made


def test_no_tensor_of_margins_is_larger_than_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by many edits of long histories, nor by a large catalogue: only what has a number per edit grows."""
    monkeypatch.setattr(edited, "BLOCK_BYTES", 2**20)
    world = random_world(n_items=600, people=2, length=500)
    row, keep = random_edits(world, 5_000)
    with Largest() as made:
        world.margins(row, keep, torch.zeros(len(row), 1, dtype=torch.long), 3)
    assert 5_000 * 8 <= made.most <= 2**20  # the edits' own 2.5 MB were made before


@pytest.mark.parametrize(("n_items", "rows"), [(100_000, 20), (1_000_000, 8), (4_000_000, 2), (100_000_000, 1)])
def test_blocks_of_margins_have_several_rows_of_a_large_catalogue_and_no_more_than_fit(n_items: int, rows: int) -> None:
    """8 MB of scores; a few rows more than that, as long as they and their copies stay below 256 MB."""
    asked = []

    class Wide:
        device = torch.device("cpu")

        def score(self, histories: torch.Tensor, users: Any = None, items: Any = None) -> torch.Tensor:
            asked.append(len(histories))
            return torch.zeros(len(histories), 10)  # as if they were all

    scorer: Any = Wide()
    scorer.n_items = n_items
    world = EditedWorld(scorer, torch.zeros(1, 1, dtype=torch.long))
    row = torch.zeros(40, dtype=torch.long)
    world.margins(row, torch.zeros(40, 1, dtype=torch.bool), row[:, None], 1)
    assert max(asked) == rows


def test_a_removed_item_is_a_candidate_only_as_published() -> None:
    """Item 0 takes place 1 once it is taken out of the input: LCER's convention counts it, ours does not."""
    weights = torch.zeros(4, 4)
    weights[1, 0], weights[1, 2], weights[1, 3] = 9.0, 5.0, 1.0
    world = EditedWorld(ItemWeights(weights), torch.tensor([[0, 1]]))
    row, keep, target = torch.tensor([0]), torch.tensor([[False, True]]), torch.tensor([2])
    assert world.rank(row, keep, target, "app").tolist() == [1]
    assert world.rank(row, keep, target, "as-published").tolist() == [2]
    assert world.top_k(row, keep, 1, "app")[0].tolist() == [[2]]
    assert world.top_k(row, keep, 1, "as-published")[0].tolist() == [[0]]
    with pytest.raises(BadInput, match="app or as-published"):
        world.rank(row, keep, target, "paper")


def test_ties_are_against_the_target_and_lists_are_stable() -> None:
    world = EditedWorld(ItemWeights(torch.zeros(5, 5)), torch.tensor([[4]]))
    row = torch.tensor([0])
    assert world.rank(row, None, torch.tensor([0])).tolist() == [4]
    assert world.top_k(row, None, 3)[0].tolist() == [[0, 1, 2]]
    _, margin = world.rank_and_margin(row, None, torch.tensor([0]), 2)
    assert margin.tolist() == [0.0]


def test_deleting_nothing_changes_nothing_and_calls_are_counted() -> None:
    world = random_world()
    row = torch.arange(6)
    full = world.histories >= 0
    torch.testing.assert_close(world.scores(row, full), world.scores(row, None))
    assert world.calls == 12


def test_a_list_longer_than_the_candidates_ends_in_minus_infinity() -> None:
    world = EditedWorld(ItemWeights(torch.zeros(3, 3)), torch.tensor([[0, 1]]))
    items, scores = world.top_k(torch.tensor([0]), None, 3)
    assert items[0, 0] == 2
    assert scores[0, 1:].tolist() == [float("-inf")] * 2


def test_replaced_histories() -> None:
    world = random_world()
    other = torch.tensor([[3, PAD, 5]])
    expected = (world.scorer.weights[3] + world.scorer.weights[5])[None]
    torch.testing.assert_close(world.scores_of(other, torch.tensor([2])), expected)


@pytest.mark.parametrize("candidates", ["both", "replaced"])
def test_places_after_a_replacement_are_those_of_a_loop(candidates: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A replaced item may be recommended only with `replaced`; what is no candidate comes after everything."""
    world, stream = random_world(), torch.Generator().manual_seed(2)
    world.scorer.weights[:] = (2 * world.scorer.weights).round()  # whole numbers: equal sums are equal
    row = torch.randint(6, (20,), generator=stream)
    new = torch.stack([torch.randperm(30, generator=stream)[:9] for _ in row])
    new[::3, 0] = PAD
    targets = torch.arange(30).expand(20, -1)
    monkeypatch.setattr(edited, "BLOCK_BYTES", 4 * 8 * 30 * 3)
    rank, first = world.ranks_of(new, row, targets, candidates), world.first_of(new, row, candidates)
    moved = 0
    for s in range(20):
        own, other = set(world.histories[row[s]].tolist()), set(new[s].tolist())
        score = [sum(float(world.scorer.weights[i, t]) for i in other if i != PAD) for t in range(30)]
        free = [t for t in range(30) if t not in (own | other if candidates == "both" else other)]
        expected = [sum(score[i] >= score[t] for i in free) if t in free else 31 for t in range(30)]
        assert rank[s].tolist() == expected
        assert first[s] == min(free, key=lambda t: (-score[t], t))
        moved += int(first[s]) in own
    assert (moved > 0) == (candidates == "replaced")
    with pytest.raises(BadInput, match="use both or replaced"):
        world.ranks_of(new, row, targets, "all")


def test_compact_closes_gaps_in_order() -> None:
    histories = torch.tensor([[PAD, 7, 8, 9], [1, PAD, 2, PAD]])
    keep = torch.tensor([[True, True, False, True], [True, True, True, True]])
    assert compact(histories, keep).tolist() == [[PAD, PAD, 7, 9], [PAD, PAD, 1, 2]]


def test_a_scorer_without_gradient_has_no_soft_world() -> None:
    from recx.models.toppop import Popularity

    world = EditedWorld(Popularity(torch.arange(4.0)), torch.tensor([[0]]))
    assert "soft" not in world.capabilities
    with pytest.raises(BadInput, match="not differentiable"):
        world.soft([])


@pytest.mark.parametrize("name", ["bpr", "ncf", "mf", "als", "ease", "caser", "fpmc", "sasrec"])
def test_soft_scores_are_those_of_the_person(name: str) -> None:
    """A model with a vector per person is asked about that person, softly too."""
    split = small_split()
    histories, users = (torch.as_tensor(part[:4]) for part in (split.test.histories, split.test.users))
    data = split.train
    if name == "mf":
        stars = np.random.default_rng(0).integers(1, 6, len(data)).astype(np.float32)
        data = dataclasses.replace(data, rating=stars)
    settings = {"kind": "implicit", "epochs": 2} if name == "als" else {} if name == "ease" else {"epochs": 2}
    world = EditedWorld(registry.load("models", name)(**settings).fit(data), histories, users)
    row, targets = torch.arange(4), torch.tensor([[3, 5]] * 4)
    keep = torch.rand(4, 2, histories.shape[1], generator=torch.Generator().manual_seed(0)) > 0.5
    (soft,) = world.soft([(row, targets)])([keep[:, :, -world.widest(row) :].float()])
    plain = torch.stack([world.scores(row, keep[:, k], targets[:, k, None])[:, 0] for k in range(2)], dim=1)
    torch.testing.assert_close(soft, plain, atol=2e-5, rtol=1e-4)
