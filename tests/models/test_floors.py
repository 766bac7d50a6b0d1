"""The floors: chance in closed form, published SplitMix64 numbers, counts by hand and in plain double loops."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recx.core.errors import BadInput
from recx.data.interactions import PAD, Heldout, Interactions, pad
from recx.metrics.evaluate import chance, evaluate, per_case
from recx.models import itemknn, random
from recx.models._order import needs_order
from recx.models._scorer import compact, load_scorer, save_scorer
from recx.models.itemknn import ItemKnn, Neighbours
from recx.models.markov import Markov
from recx.models.random import Random
from recx.models.recentpop import RecentPop
from recx.models.toppop import TopPop
from tests.models.test_models import checkerboard, events_of


def drawn(n_users: int = 30, n_items: int = 12, most: int = 9, seed: int = 0) -> list[list[int]]:
    """Histories of 1 to `most` different items, low codes more often."""
    stream = np.random.default_rng(seed)
    share = 1 / np.arange(1, n_items + 1)
    sizes = stream.integers(1, most + 1, n_users)
    return [stream.choice(n_items, n, replace=False, p=share / share.sum()).tolist() for n in sizes]


# random


def test_random_draws_the_published_numbers_of_splitmix64() -> None:
    """The first outputs for the seed 1234567, as Rosetta Code and the Java reference give them."""
    known = [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]
    ours = random.splitmix64(torch.tensor([1234567]), torch.arange(5))
    assert [int(x) % 2**64 for x in ours] == known


def popular_cases(n: int = 8000, n_items: int = 150) -> Heldout:
    """Histories of 1 to 30 items; all targets are one of three items, so that an order shared by people would show."""
    stream = np.random.default_rng(5)
    rows = [stream.permutation(np.arange(3, n_items))[: stream.integers(1, 31)] for _ in range(n)]
    return Heldout(np.arange(n), pad(rows), stream.integers(0, 3, (n, 1)))


@pytest.mark.parametrize("seed", [0, 1, 2**31 - 1])
def test_random_scores_chance(seed: int) -> None:
    """HR@10 and NDCG@10 within 4 standard errors of the exact mean over all orders."""
    cases = popular_cases()
    scorer = Random().fit(events_of([[0]], 150), seed=seed)
    exact = chance(cases, 150)
    for name, values in per_case(scorer, cases, names=("hr@10", "ndcg@10")).items():
        error = float(values.std()) / len(cases) ** 0.5
        assert float(values.mean()) == pytest.approx(exact[name], abs=4 * error), name


def test_random_orders_of_neighbouring_people_items_and_seeds_are_unrelated() -> None:
    """Correlations of 4,000 independent uniform numbers are below 4 / sqrt(4,000); half of them are below 1/2."""
    data = events_of([[0]], 4000)
    first, second = (Random().fit(data, seed=seed).score(torch.zeros(2, 1).long(), torch.arange(2)) for seed in (0, 1))
    rows = torch.stack([first[0], first[1], second[0], second[1], first[0].roll(1), torch.arange(4000.0)])
    off = torch.corrcoef(rows) - torch.eye(6)
    assert off.abs().max() < 4 / 4000**0.5
    assert first.mean().item() == pytest.approx(0.5, abs=4 * (1 / 12 / 8000) ** 0.5)
    assert 0 <= first.min() < first.max() < 1


def test_random_does_not_look_at_the_history_and_knows_people_apart() -> None:
    scorer = Random().fit(events_of([[0, 1]], 40), seed=3)
    history, people = torch.tensor([[1, 2, 3], [1, 2, 3], [4, PAD, PAD]]), torch.tensor([7, 8, 7])
    scores = scorer.score(history, people)
    assert torch.equal(scores[0], scores[2]), "an edit changes nothing"
    assert not torch.equal(scores[0], scores[1])
    assert torch.equal(scorer.score(history), scorer.score(history, torch.full((3,), -1)))


# recentpop

DAY = 86_400


def timed(rows: list[tuple[int, int, float]], n_items: int) -> Interactions:
    """Events (user, item, day); a day of -1 is unknown."""
    rows = sorted(rows, key=lambda row: (row[0], row[2]))
    histories = [[item for user, item, _ in rows if user == who] for who in sorted({row[0] for row in rows})]
    seconds = [-1 if day == -1 else int(day * DAY) for _, _, day in rows]
    return dataclasses.replace(events_of(histories, n_items), time=np.asarray(seconds, np.int64))


def test_recentpop_counts_the_last_days() -> None:
    """The window of 7 days ends on day 100. Item 0: 3 old events; 1: one late; 2: two late; 3: one late, one old."""
    old, late = [(0, 0, 1), (1, 0, 2), (2, 0, 3), (3, 3, 93)], [(0, 1, 99), (0, 2, 98), (1, 2, 100), (2, 3, 93.5)]
    unknown = [(1, 1, -1.0), (2, 1, -1.0), (3, 1, -1.0)]
    scores = RecentPop().fit(timed(old + late, 5)).score(torch.full((1, 1), PAD))[0]
    assert scores.floor().tolist() == [0, 1, 2, 1, 0]
    assert scores.argsort(descending=True).tolist() == [2, 3, 1, 0, 4], "equals: by events of all times"
    with_unknown = RecentPop().fit(timed(old + late + unknown, 5)).score(torch.full((1, 1), PAD))[0]
    assert with_unknown.floor().tolist() == [0, 1, 2, 1, 0]
    assert with_unknown[1] > with_unknown[3]
    all_times = RecentPop(days=36_500).fit(timed(old + late + unknown, 5)).popularity
    assert all_times.floor().tolist() == [3, 1, 2, 2, 0], "unknown times are in no window, however long"


def test_recentpop_over_all_times_orders_as_toppop() -> None:
    stream = np.random.default_rng(0)
    data = timed([(u, int(i), u + 1) for u in range(40) for i in stream.permutation(20)[:6]], 20)
    ours, every = (model.fit(data).popularity for model in (RecentPop(days=1000), TopPop()))
    assert torch.equal(ours.floor(), every)
    assert not torch.equal(RecentPop(days=5).fit(data).popularity.floor(), every)


@pytest.mark.parametrize("time", [None, np.full(3, -1, np.int64)])
def test_recentpop_needs_times(time: np.ndarray | None) -> None:
    data = dataclasses.replace(events_of([[0, 1], [1]], 2), time=time)
    with pytest.raises(BadInput, match="made has no times: choose toppop instead of recentpop"):
        RecentPop().fit(data)


# itemknn


def cosines(histories: list[list[int]], n_items: int, shrink: float) -> np.ndarray:
    """float64[n_items, n_items] by sets of people, pair by pair; 0 on the diagonal."""
    people = [{u for u, row in enumerate(histories) if i in row} for i in range(n_items)]
    out = np.zeros((n_items, n_items))
    for i, j in itertools.permutations(range(n_items), 2):
        both = len(people[i] & people[j])
        out[i, j] = both / ((len(people[i]) * len(people[j])) ** 0.5 + shrink) if both else 0.0
    return out


@pytest.fixture(params=["square", "neighbours"])
def stored(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to keep the weights, the second in blocks of five items."""
    if request.param == "neighbours":
        monkeypatch.setattr(itemknn, "DENSE_ITEMS", 0)
        monkeypatch.setattr(itemknn, "BLOCK", 5 * 12)
    return request.param


def weights_of(scorer: Any) -> np.ndarray:
    """[history item, scored item], read off histories of one item."""
    return scorer.score(torch.arange(scorer.n_items)[:, None]).numpy()


@pytest.mark.parametrize("shrink", [0.0, 7.5])
@pytest.mark.parametrize("neighbours", [1, 4, 50])
def test_itemknn_keeps_the_nearest_of_each_scored_item(stored: str, neighbours: int, shrink: float) -> None:
    """Against sets counted pair by pair. Of equals at the edge any may be kept, so kept values are compared sorted."""
    histories = drawn()
    weights = weights_of(ItemKnn(neighbours=neighbours, shrink=shrink).fit(events_of(histories, 12)))
    plain = cosines(histories, 12, shrink)
    kept = weights > 0
    np.testing.assert_allclose(weights[kept], plain[kept], rtol=1e-6)
    for item in range(12):
        nearest = np.sort(plain[:, item])[::-1][:neighbours]
        np.testing.assert_allclose(np.sort(weights[kept[:, item], item])[::-1], nearest[nearest > 0], rtol=1e-6)


def test_itemknn_adds_up_the_history(stored: str) -> None:
    scorer = ItemKnn(neighbours=4).fit(events_of(drawn(), 12))
    assert isinstance(scorer, Neighbours) == (stored == "neighbours")
    weights = weights_of(scorer)
    scores = scorer.score(torch.tensor([[PAD, 3, 5, 0], [7, PAD, PAD, 7], [PAD] * 4])).numpy()
    np.testing.assert_allclose(scores, [weights[[3, 5, 0]].sum(0), 2 * weights[7], 0 * weights[0]], atol=1e-6)


def test_itemknn_s_two_stores_answer_alike(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Full scores, chosen items, soft edits at inner points, and after reading back."""
    data, stream = events_of(drawn(), 12), torch.Generator().manual_seed(0)
    square = ItemKnn(neighbours=3).fit(data)
    monkeypatch.setattr(itemknn, "DENSE_ITEMS", 0)
    save_scorer(ItemKnn(neighbours=3).fit(data), tmp_path)
    tables: Any = load_scorer(tmp_path, "cpu")
    histories, targets = torch.tensor([[1, 2, 3, 9], [PAD, PAD, 11, 2]]), torch.tensor([[0, 4, 5], [2, 7, 0]])
    keep = torch.rand(2, 3, 4, generator=stream)
    torch.testing.assert_close(tables.score(histories), square.score(histories))
    torch.testing.assert_close(tables.score(histories, items=targets), square.score(histories, items=targets))
    torch.testing.assert_close(
        tables.soft_score(histories, keep, targets),
        torch.where(histories[:, None] >= 0, keep * square.weights[histories[:, None], targets[:, :, None]], 0.0).sum(
            2
        ),
    )


def test_itemknn_learns_checkerboard_tastes(stored: str) -> None:
    """An even item's neighbours are even; of all 15 items of a colour, a person misses two."""
    data = checkerboard()
    scorer = ItemKnn().fit(data)
    histories = torch.as_tensor(data.histories(np.arange(data.n_users)))
    best = scorer.score(histories).scatter(1, histories, -1.0).topk(2, dim=1).indices
    assert (best % 2 == (torch.arange(data.n_users) % 2)[:, None]).all()


def test_an_item_of_nobody_has_no_neighbours(stored: str) -> None:
    scores = ItemKnn(shrink=0.0).fit(events_of([[0, 1], [1, 2]], 5)).score(torch.tensor([[1], [4]]))
    np.testing.assert_allclose(scores, [[0.5**0.5, 0, 0.5**0.5, 0, 0], [0] * 5], rtol=1e-6)


# markov


def test_markov_by_hand() -> None:
    """0 is followed by 1 twice and by 2 once; 6 events of 9 are on items 0 and 1; a prior worth 3 events."""
    scorer = Markov(smoothing=3.0, window=1).fit(events_of([[0, 1], [0, 2], [3, 0, 1], [1, 3]], 5))
    share = np.array([3, 3, 1, 2, 0]) / 9
    scores = scorer.score(torch.tensor([[PAD, 0], [3, 0], [2, PAD], [PAD, PAD], [0, 4]])).numpy()
    after_0 = (np.array([0, 2, 1, 0, 0]) + 3 * share) / (3 + 3)
    np.testing.assert_allclose(scores, [after_0, after_0, share, share, share], rtol=1e-6)


def test_markov_counts_the_next_events_of_a_person() -> None:
    """Against a loop over all pairs of events; every row is a distribution, and chosen items agree with the whole."""
    histories, window, smoothing = drawn(seed=3), 3, 5.0
    pairs = np.zeros((12, 12))
    for row in histories:
        for a, b in itertools.combinations(range(len(row)), 2):
            pairs[row[a], row[b]] += b - a <= window
    events = np.bincount(np.concatenate(histories), minlength=12)
    plain = (pairs + smoothing * events / events.sum()) / (pairs.sum(1, keepdims=True) + smoothing)
    scorer = Markov(smoothing=smoothing, window=window).fit(events_of(histories, 12))
    rows, items = torch.arange(12)[:, None], torch.arange(12).expand(12, 12)
    np.testing.assert_allclose(scorer.score(rows), plain, rtol=1e-5)
    np.testing.assert_allclose(scorer.score(rows, items=items), plain, rtol=1e-5)
    np.testing.assert_allclose(scorer.score(rows).sum(1), 1.0, rtol=1e-5)


def test_markov_follows_a_chain() -> None:
    """Item i is always followed by i + 1: the next one is certain, and after an edit it follows the item before."""
    scorer = Markov(window=1).fit(events_of([np.roll(np.arange(10), k).tolist() for k in range(10)], 10))
    history = torch.tensor([[2, 6, 4]]).expand(3, 3)
    keep = torch.tensor([[True, True, True], [True, True, False], [True, False, False]])
    assert scorer.score(compact(history, keep)).argmax(1).tolist() == [5, 7, 3]


def test_markov_s_soft_score_is_the_mean_over_all_edits() -> None:
    """Every item is there with its own chance: summed over all 2^4 edits."""
    scorer = Markov(window=2).fit(events_of(drawn(), 12))
    history, target = torch.tensor([[5, PAD, 0, 3, 1]]), 2
    keep = torch.tensor([0.3, 0.9, 0.8, 0.5, 0.25])
    mean = 0.0
    for edit in itertools.product([False, True], repeat=5):
        there = torch.tensor(edit)
        chance_of = torch.where(there, keep, 1 - keep).prod()
        mean += float(chance_of * scorer.score(compact(history, there[None]))[0, target])
    soft = scorer.soft_score(history, keep[None, None], torch.tensor([[target]]))
    assert float(soft) == pytest.approx(mean, rel=1e-5)


def test_markov_of_single_events_is_popularity() -> None:
    scorer = Markov().fit(events_of([[0], [1], [1]], 3))
    np.testing.assert_allclose(scorer.score(torch.tensor([[1]])), [[1 / 3, 2 / 3, 0]], rtol=1e-6)
    np.testing.assert_allclose(scorer.score(torch.tensor([[1]]), items=torch.tensor([[0, 2]])), [[1 / 3, 0]], rtol=1e-6)


def test_without_an_order_there_is_no_sequence_to_learn() -> None:
    data = events_of([[0, 1], [1, 0]], 2)
    needs_order(data, "markov")
    words = "made has no time or order: a sequence model has nothing to learn from it; choose ease, itemknn or multvae"
    with pytest.raises(BadInput, match=words):
        Markov().fit(dataclasses.replace(data, ordered=False))


@pytest.mark.slow
@pytest.mark.data("ml-100k")
def test_the_floors_of_ml_100k_stand_in_their_order() -> None:
    """Random at chance, popularity far above it, personal models far above popularity (HR@10 on validation)."""
    from recx.recipes._build import fit_of
    from recx.recipes._recipe import plain_get

    split = plain_get(fit_of("ml-100k", "toppop").split_data)
    models = (Random(), TopPop(), Markov(), ItemKnn())
    hr = [evaluate(model.fit(split.train), split.valid)["hr@10"] for model in models]
    exact = chance(split.valid, split.train.n_items)["hr@10"]
    assert hr[0] == pytest.approx(exact, abs=4 * (exact / len(split.valid)) ** 0.5)
    assert hr[1] > 5 * exact
    assert min(hr[2:]) > 1.5 * hr[1]
