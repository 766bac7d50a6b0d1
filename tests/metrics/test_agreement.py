"""Overlap and rank-biased overlap, by hand, by a slow double loop, and at the ends of their scales."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from recx.metrics import agreement


def lists(*rows: list[int]) -> np.ndarray:
    return np.asarray(rows, np.int64)


def test_by_hand() -> None:
    """S = a b c, T = b a d, p = 1/2: X = 0, 2, 2, so RBO = 2/3 (1/2)^3 + 1 (0 + 1 (1/2)^2 + 2/3 (1/2)^3) = 5/12."""
    left, right = lists([0, 1, 2]), lists([1, 0, 3])
    assert agreement.common(left, right).tolist() == [[0, 2, 2]]
    assert agreement.overlap(left, right).tolist() == [pytest.approx(2 / 3)]
    assert agreement.rank_biased(left, right, p=0.5).tolist() == [pytest.approx(5 / 12)]


def test_the_ends_of_the_scale() -> None:
    left = lists([4, 2, 7], [4, 2, 7], [-1, -1, -1])
    right = lists([4, 2, 7], [1, 3, 5], [-2, -2, -2])
    assert agreement.overlap(left, right).tolist() == [1.0, 0.0, 0.0]
    assert agreement.rank_biased(left, right) == pytest.approx([1.0, 0.0, 0.0])


def test_an_early_place_counts_more_and_the_overlap_does_not_care() -> None:
    left = lists([0, 1, 2, 3], [0, 1, 2, 3])
    right = lists([0, 1, 3, 2], [1, 0, 2, 3])
    assert agreement.overlap(left, right).tolist() == [1.0, 1.0]
    late, early = agreement.rank_biased(left, right)
    assert early < late < 1.0


def test_a_list_that_has_run_out_is_judged_by_the_places_it_fills() -> None:
    """Two of two in common is full agreement, and what fills the rest of the row is nobody's item."""
    short = agreement.rank_biased(lists([5, 6, -1, -1]), lists([5, 6, -1, -1]))
    assert short == pytest.approx([1.0])
    assert agreement.overlap(lists([5, 6, -1, -1]), lists([6, 5, -1, -1])).tolist() == [1.0]


def slow(left: list[int], right: list[int], p: float) -> tuple[float, float]:
    """The definitions, place by place."""
    left, right = [x for x in left if x >= 0], [x for x in right if x >= 0]
    n = min(len(left), len(right))
    if not n:
        return 0.0, 0.0
    shared = [len(set(left[:d]) & set(right[:d])) for d in range(1, n + 1)]
    total = sum(x / d * p**d for d, x in enumerate(shared, 1))
    return shared[-1] / n, shared[-1] / n * p**n + (1 - p) / p * total


@given(some.lists(some.tuples(*[some.permutations(range(9))] * 2), min_size=1, max_size=5), some.floats(0.05, 0.95))
def test_many_at_once_equal_a_slow_loop(pairs: list[tuple[list[int], list[int]]], p: float) -> None:
    left, right = (np.asarray([pair[side][:6] for pair in pairs], np.int64) for side in (0, 1))
    expected = [slow(list(a), list(b), p) for a, b in zip(left.tolist(), right.tolist(), strict=True)]
    assert agreement.overlap(left, right) == pytest.approx([row[0] for row in expected])
    assert agreement.rank_biased(left, right, p) == pytest.approx([row[1] for row in expected])
