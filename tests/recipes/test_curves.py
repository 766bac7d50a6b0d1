"""Fixed-length measures on worlds whose best order is known."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from recx.core.progress import quiet
from recx.data.interactions import Heldout, Split
from recx.models.ease import ItemWeights
from recx.recipes._build import explainer_of, fit_of
from recx.recipes.curves import MEASURES, PROTOCOLS, Curves, places, seen
from recx.recipes.judge import Judge
from tests.explainers.conftest import columns_of, pairs_of, plain_rank, population, world_of

FIT = fit_of("planted", "ease", split="held-out-users")
N_ITEMS, LENGTH, K = 30, 6, 3


def curves(scorer: Any, histories: torch.Tensor, rank: Any) -> pd.DataFrame:
    """The table of a scorer for the top 3 of everybody, items ranked by `rank(world row, target) -> codes`."""
    people = len(histories)
    heldout = Heldout(np.arange(people), histories.numpy(), np.full((people, 1), -1), known=False)
    split = Split(population(N_ITEMS, 0), heldout, heldout)
    judge = Judge(FIT, explainer_of("leave-one-out"), K, 0, people)
    top = judge.run({FIT.split_data: split, FIT: scorer}.__getitem__, quiet)
    top["ranking"] = [rank(row.user, row.target) for row in top.itertuples()]
    return Curves(judge).run({FIT.split_data: split, FIT: scorer, judge: top}.__getitem__, quiet)


def additive(seed: int = 0) -> tuple[ItemWeights, torch.Tensor]:
    stream = torch.Generator().manual_seed(seed)
    histories = torch.stack([torch.randperm(N_ITEMS, generator=stream)[:LENGTH] for _ in range(5)])
    return ItemWeights(torch.randn(N_ITEMS, N_ITEMS, generator=stream)), histories


class Only:
    """Scores the target of each history by one item of it, whatever else is there: the checkerboard of explanations."""

    exact_scores, edited_history = True, ""

    def __init__(self, n_items: int) -> None:
        self.n_items, self.device, self.report = n_items, torch.device("cpu"), {}

    def score(self, histories: Any, users: Any = None, items: Any = None) -> torch.Tensor:
        out = torch.zeros(len(histories), self.n_items)
        out[:, 20:23] = 9.0 * (histories == 0).any(1)[:, None].float()
        out = out - torch.arange(self.n_items) * 1e-3
        return out if items is None else out.gather(1, items)


def test_a_perfect_order_where_one_item_does_it_all() -> None:
    """Item 0 makes the list 20, 21, 22. Best first: gone at once, and NEG holds to the end; worst first: the mirror."""
    histories = torch.tensor([[4, 0, 7, 9, 5]])
    best = curves(Only(N_ITEMS), histories, lambda user, target: [0, 4, 7, 9, 5])
    worst = curves(Only(N_ITEMS), histories, lambda user, target: [4, 7, 9, 5, 0])
    tenths, items = PROTOCOLS
    assert best[f"pos {tenths}"].tolist() == pytest.approx([1 / 11] * 3), "11 points, the first removes nothing"
    assert worst[f"pos {tenths}"].tolist() == pytest.approx([5 / 11] * 3), "5 items go in the first 5 of 10 parts"
    assert best[f"neg {tenths}"].tolist() == pytest.approx([5 / 11] * 3)
    assert worst[f"neg {tenths}"].tolist() == pytest.approx([1 / 11] * 3)
    assert best[f"pos {items}"].tolist() == [0, 0, 0]
    assert worst[f"pos {items}"].tolist() == pytest.approx([4 / 5] * 3)
    assert (best[f"del {tenths}"] < worst[f"del {tenths}"]).all()
    assert (best[f"ins {tenths}"] > worst[f"ins {tenths}"]).all()
    assert (best[f"cndcg {tenths}"] < worst[f"cndcg {tenths}"]).all()


def test_a_constant_model_has_the_same_curves_for_every_order() -> None:
    """All scores 0: the probability is one over the number of candidates; by pessimistic ties never in the list."""
    scorer, histories = additive()
    scorer = ItemWeights(torch.zeros(N_ITEMS, N_ITEMS))
    table = curves(scorer, histories, lambda user, target: histories[user].tolist())
    for protocol in PROTOCOLS:
        for measure, value in {
            "pos": 0,
            "neg": 0,
            "del": 1 / (N_ITEMS - LENGTH),
            "ins": 1 / (N_ITEMS - LENGTH),
        }.items():
            assert table[f"{measure} {protocol}"].to_numpy() == pytest.approx(value)
        assert table[f"cndcg {protocol}"].to_numpy() == pytest.approx(1 / np.log2(N_ITEMS - LENGTH + 1))


def test_random_orders_remove_and_spare_alike_on_average() -> None:
    """Removing the first c of a random order, or the last c, is the same draw: POS and NEG agree in the mean."""
    scorer, histories = additive(3)
    histories = histories[:2].repeat(300, 1)
    stream = np.random.default_rng(0)
    table = curves(scorer, histories, lambda user, target: stream.permutation(histories[user].numpy()).tolist())
    for protocol in PROTOCOLS:
        pos, neg = (table[f"{name} {protocol}"].to_numpy() for name in ("pos", "neg"))
        error = np.sqrt((pos.var() + neg.var()) / len(pos))
        assert abs(pos.mean() - neg.mean()) < 4 * error


def test_ranks_and_probabilities_are_those_of_a_plain_loop() -> None:
    world = world_of("multvae")
    row, target = pairs_of(world, 3)
    place = places(world.histories[row].numpy(), [[]] * len(row))
    counts = np.array([0, 2, 7])
    keep = (place[:, None, :] >= counts[None, :, None]) & (place >= 0)[:, None, :]
    rank, probability = seen(world, row, target, keep)
    for p in range(0, len(row), 5):
        own = columns_of(world, int(row[p]))
        for s, count in enumerate(counts):
            kept = set(own[count:])
            assert rank[p, s] == plain_rank(world, int(row[p]), kept, int(target[p]))
            edited = torch.tensor([[int(world.histories[row[p], c]) for c in sorted(kept)] or [-1]])
            scores = world.scorer.score(edited)[0].double()
            free = [i for i in range(world.n_items) if i not in world.histories[row[p]]]
            assert probability[p, s] == pytest.approx(
                float(torch.softmax(scores[free], 0)[free.index(target[p])]), rel=1e-4
            )


def test_on_an_additive_model_no_order_of_the_first_items_lowers_the_probability_more() -> None:
    """One target's weights only: the sum of scores of the others stays, so DEL is least for the order of effects."""
    scorer, histories = additive(5)
    weights = torch.zeros_like(scorer.weights)
    weights[:, 29] = scorer.weights[:, 29].abs() + 1
    scorer, history = ItemWeights(weights), histories[:1].clamp_max(28)
    ranked = history[0][weights[history[0], 29].argsort(descending=True)].tolist()
    orders = [list(order) for order in permutations(ranked)]
    found = [curves(scorer, history, lambda user, target, order=order: order).iloc[0] for order in orders[::40]]
    best = curves(scorer, history, lambda user, target: ranked).iloc[0]
    for protocol in PROTOCOLS:
        assert best[f"del {protocol}"] <= min(other[f"del {protocol}"] for other in found) + 1e-12
        assert best[f"ins {protocol}"] >= max(other[f"ins {protocol}"] for other in found) - 1e-12


def test_places_of_repeats_and_of_items_left_out() -> None:
    history = np.array([[-1, 5, 3, 5, 8]])
    assert places(history, [[5, 8]]).tolist() == [[-1, 0, 2, 3, 1]]
    assert places(history, [[5, 3, 5]]).tolist() == [[-1, 0, 1, 2, 3]]


def test_an_explainer_without_values_has_no_curve() -> None:
    scorer, histories = additive()
    table = curves(scorer, histories, lambda user, target: [])
    assert table[[f"{m} {p}" for m in MEASURES for p in PROTOCOLS]].isna().all(axis=None)
