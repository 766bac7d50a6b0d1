"""Fixed-length measures and agreement against hand counts, closed forms, brute force and independent libraries."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from recx.metrics.attribution import (
    bootstrap_counts,
    discounted,
    first_items,
    gini,
    in_list,
    in_parts,
    jaccard,
    spearman,
)


@pytest.mark.parametrize("n", [1, 7, 10, 23, 40])
def test_parts_are_those_of_an_even_cut(n: int) -> None:
    sizes = [len(part) for part in np.array_split(np.arange(n), 10)]
    assert in_parts(np.array([n]))[0].tolist() == [0, *np.cumsum(sizes).tolist()]


def test_first_items_stop_at_the_end_of_the_history() -> None:
    assert first_items(np.array([3, 9])).tolist() == [[1, 2, 3, 3, 3], [1, 2, 3, 4, 5]]


def test_measures_of_a_curve_by_hand() -> None:
    rank = np.array([[1, 3, 7], [1, 1, 1]])
    assert in_list(rank, 3).tolist() == [2 / 3, 1.0]
    assert discounted(rank) == pytest.approx([(1 + 1 / 2 + 1 / 3) / 3, 1.0])


def test_gini_of_equal_and_of_all_in_one() -> None:
    assert gini(np.full(8, 3.0)) == pytest.approx(0)
    assert gini(np.array([0, 0, 0, 5.0])) == pytest.approx(3 / 4)
    assert np.isnan(gini(np.zeros(3)))
    counts = np.random.default_rng(0).integers(9, size=30)
    plain = np.abs(counts[:, None] - counts[None]).mean() / (2 * counts.mean())
    assert gini(counts) == pytest.approx(plain), "half the relative mean difference"


def test_jaccard_by_hand() -> None:
    left = np.array([[1, 1, 0], [0, 0, 0], [1, 0, 0]], bool)
    right = np.array([[0, 1, 1], [0, 0, 0], [0, 0, 0]], bool)
    assert jaccard(left, right)[[0, 2]].tolist() == [1 / 3, 0.0]
    assert np.isnan(jaccard(left, right)[1])


def test_spearman_is_scipys_with_gaps_and_ties() -> None:
    stream = np.random.default_rng(0)
    left, right = stream.integers(5, size=(6, 9)).astype(float), stream.random((6, 9))
    left[0, :3] = right[1, 4:] = np.nan
    left[2], right[3, 1:] = 1.0, np.nan
    found = spearman(left, right)
    assert np.isnan(found[[2, 3]]).all(), "one value only, one item only"
    for p in (0, 1, 4, 5):
        here = np.isfinite(left[p]) & np.isfinite(right[p])
        assert found[p] == pytest.approx(stats.spearmanr(left[p, here], right[p, here]).statistic)


def test_bootstrap_of_counts_agrees_with_a_plain_one() -> None:
    counts = np.random.default_rng(1).poisson(0.4, size=(60, 25)).astype(float)
    value, low, high = bootstrap_counts(gini, counts, draws=2000)
    assert value == gini(counts.sum(0))
    stream = np.random.default_rng(2)
    plain = [gini(counts[stream.integers(60, size=60)].sum(0)) for _ in range(2000)]
    half = 1.96 * np.std(plain)
    assert (low, high) == pytest.approx((value - half, value + half), abs=0.01)


def test_the_interval_of_counts_covers_what_other_people_give() -> None:
    """People from one world, 60 at a time: 95 % intervals of the Gini hold its value for many people, mostly."""
    stream = np.random.default_rng(3)
    rate = stream.random(20) ** 3
    truth = gini(rate * 1e6)
    found = [
        bootstrap_counts(gini, stream.poisson(rate * 3, size=(60, 20)).astype(float), draws=200) for _ in range(60)
    ]
    assert np.mean([low <= truth <= high for _, low, high in found]) > 0.85
