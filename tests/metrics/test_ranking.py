"""Ranking metrics against closed forms and scikit-learn, and chance by a random scorer."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import hypergeom
from sklearn.metrics import ndcg_score

from recx.data.interactions import Heldout
from recx.metrics import ranking
from recx.metrics.evaluate import chance, evaluate, per_case, places, rmse


def test_a_perfect_list_scores_one_and_an_empty_one_zero() -> None:
    relevant = torch.tensor([[3, 4, -1], [7, -1, -1]])
    perfect = ranking.hits(torch.tensor([[4, 3, 9], [7, 1, 2]]), relevant)
    n = (relevant >= 0).sum(1)
    assert ranking.ndcg_at(perfect, n, 3).tolist() == pytest.approx([1.0, 1.0])
    assert ranking.recall_at(perfect, n, 3).tolist() == [1.0, 1.0]
    nothing = ranking.hits(torch.tensor([[1, 2, 9], [0, 1, 2]]), relevant)
    assert ranking.ndcg_at(nothing, n, 3).tolist() == [0.0, 0.0]
    assert ranking.hr_at(nothing, 3).tolist() == [0.0, 0.0]


def test_padding_is_not_a_hit() -> None:
    assert not ranking.hits(torch.tensor([[-1, 2]]), torch.tensor([[5, -1]])).any()


@pytest.mark.parametrize("k", [1, 5, 10])
def test_ndcg_equals_scikit_learn(k: int) -> None:
    stream = np.random.default_rng(0)
    scores, truth = stream.normal(size=(20, 15)), (stream.random((20, 15)) < 0.3).astype(int)
    truth[truth.sum(1) == 0, 0] = 1
    relevant = torch.as_tensor(np.where(truth, np.arange(15), -1))
    top = torch.as_tensor(np.argsort(-scores, axis=1)[:, :k].copy())
    ours = ranking.ndcg_at(ranking.hits(top, relevant), torch.as_tensor(truth.sum(1)), k).mean()
    assert float(ours) == pytest.approx(ndcg_score(truth, scores, k=k), abs=1e-6)


class Made:
    """Scores given by hand."""

    def __init__(self, scores: torch.Tensor) -> None:
        self.scores, self.n_items, self.device = scores, scores.shape[1], torch.device("cpu")

    def score(self, histories: torch.Tensor, users: Any = None, items: Any = None) -> torch.Tensor:
        return self.scores[users].clone()


def test_a_random_scorer_scores_chance() -> None:
    """One target among 50 free items: HR@10 is 10/50, NDCG@10 the mean of its gains; within 4 standard errors."""
    n = 20_000
    scores = torch.rand(n, 60, generator=torch.Generator().manual_seed(0))
    cases = Heldout(np.arange(n), np.tile(np.arange(10), (n, 1)), np.full((n, 1), 30))
    table = per_case(Made(scores), cases, names=("hr@10", "ndcg@10"))
    assert float(table["hr@10"].mean()) == pytest.approx(0.2, abs=4 * (0.2 * 0.8 / n) ** 0.5)
    gain = sum(1 / np.log2(place + 1) for place in range(1, 11)) / 50
    assert float(table["ndcg@10"].mean()) == pytest.approx(gain, abs=4 * 0.3 / n**0.5)


@pytest.mark.parametrize("k", [1, 3, 10, 50])
@pytest.mark.parametrize("metric", ["hr", "recall", "ndcg"])
def test_chance_is_what_a_random_scorer_reaches(metric: str, k: int) -> None:
    """3 targets, one of them seen before and one cell empty, among 57 or 12 candidates; 4 standard errors."""
    n = 20_000
    for n_items, seen in ((60, 3), (15, 3)):
        scores = torch.rand(n, n_items, generator=torch.Generator().manual_seed(1))
        histories = np.tile([-1, *range(seen), 0], (n, 1))
        cases = Heldout(np.arange(n), histories, np.tile([-1, 5, 7, 1], (n, 1)))
        name = f"{metric}@{k}"
        drawn = per_case(Made(scores), cases, names=(name,))[name].double()
        place = min(k, n_items)
        exact = ranking.by_chance(metric, torch.tensor([n_items - seen]), torch.tensor([2]), torch.tensor([3]), place)
        assert float(exact) == pytest.approx(float(drawn.mean()), abs=4 * float(drawn.std()) / n**0.5 + 1e-6)


def test_chance_of_one_target_is_k_over_the_candidates() -> None:
    cases = Heldout(np.arange(2), np.array([[0, 1, 2], [-1, 4, 4]]), np.array([[9], [9]]))
    assert chance(cases, 100)["hr@10"] == pytest.approx((10 / 97 + 10 / 99) / 2)
    assert chance(cases, 100)["recall@20"] == pytest.approx((20 / 97 + 20 / 99) / 2)
    assert chance(cases, 12)["hr@10"] == pytest.approx((1 + 10 / 11) / 2)
    assert set(chance(cases, 100)) == set(evaluate(Made(torch.rand(2, 100)), cases))


def test_seen_items_are_out_and_ties_do_not_favour_the_target() -> None:
    cases = Heldout(np.array([0, 1]), np.array([[0, 1], [0, 1]]), np.array([[2], [2]]))
    seen_best = torch.tensor([[9.0, 8.0, 1.0, 0.5, 0.2], [9.0, 8.0, 1.0, 1.0, 1.0]])
    hit = per_case(Made(seen_best), cases, names=("hr@1", "hr@2", "hr@3"))
    assert hit["hr@1"].tolist() == [1.0, 0.0]
    assert hit["hr@2"].tolist() == [1.0, 0.0]
    assert hit["hr@3"].tolist() == [1.0, 1.0]


def test_evaluate_reports_every_metric_and_n() -> None:
    cases = Heldout(np.array([0]), np.array([[0]]), np.array([[1]]))
    report = evaluate(Made(torch.tensor([[0.0, 5.0, 1.0]])), cases)
    assert report == {"hr@10": 1.0, "ndcg@10": 1.0, "ndcg@100": 1.0, "recall@20": 1.0, "recall@50": 1.0, "n": 1}


def test_sampled_candidates_are_averaged_over_every_draw() -> None:
    """All sets of 3 of the 7 other candidates, one by one; and scipy's hypergeometric for a large case."""
    for rank in range(1, 9):
        ahead = [sum(other < rank - 1 for other in draw) for draw in combinations(range(7), 3)]
        hits = np.mean([n < 2 for n in ahead])
        gains = np.mean([1 / np.log2(n + 2) if n < 2 else 0.0 for n in ahead])
        hr, ndcg = ranking.by_sampling(torch.tensor([rank]), torch.tensor([8]), 3, 2)
        assert [float(hr), float(ndcg)] == pytest.approx([hits, gains], abs=1e-12)
    hr, _ = ranking.by_sampling(torch.tensor([400]), torch.tensor([3400]), 100, 10)
    assert float(hr) == pytest.approx(hypergeom(3399, 399, 100).cdf(9), rel=1e-9)


def test_fewer_candidates_than_negatives_means_the_full_rank() -> None:
    hr, ndcg = ranking.by_sampling(torch.tensor([3, 12]), torch.tensor([40, 40]), 100, 10)
    assert hr.tolist() == pytest.approx([1, 0])
    assert ndcg.tolist() == pytest.approx([0.5, 0])


class Fixed:
    """A scorer that gives everybody the same scores, and predicts them as ratings."""

    device = torch.device("cpu")

    def __init__(self, scores: list[float]) -> None:
        self.scores, self.n_items = torch.tensor(scores), len(scores)

    def score(self, histories: torch.Tensor, users: Any = None, items: Any = None) -> torch.Tensor:
        return self.scores.expand(len(histories), -1).clone()

    def rate(self, users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        return self.scores[items]


def test_places_count_better_and_equal_candidates_only() -> None:
    """Scores 5 4 4 3 9; the 9 is seen by the first person. A tie goes against the target."""
    scorer = Fixed([5.0, 4.0, 4.0, 3.0, 9.0])
    cases = Heldout(np.arange(3), np.array([[-1, 4], [-1, 0], [-1, -1]]), np.array([[1], [3], [4]]))
    rank, candidates = places(scorer, cases)
    assert rank.tolist() == [3, 4, 1]
    assert candidates.tolist() == [4, 4, 5]
    with pytest.raises(ValueError, match="up to 2"):
        places(scorer, Heldout(np.arange(1), np.array([[-1]]), np.array([[1, 2]])))


def test_rmse_is_over_rated_targets() -> None:
    """Errors 1 and -2; the padded and the unrated target do not count."""
    cases = Heldout(
        np.arange(2),
        np.array([[-1], [-1]]),
        np.array([[-1, 0], [1, 3]]),
        ratings=np.array([[np.nan, 4.0], [6.0, np.nan]], np.float32),
    )
    scorer = Fixed([5.0, 4.0, 4.0, 3.0])
    assert rmse(scorer, cases) == pytest.approx((5 / 2) ** 0.5)
    assert evaluate(scorer, cases)["rmse"] == pytest.approx((5 / 2) ** 0.5)
