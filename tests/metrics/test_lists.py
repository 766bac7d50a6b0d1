"""PN-S, PN-R and shares by hand."""

from __future__ import annotations

from math import log2

import numpy as np
import pytest

from recx.metrics.lists import newcomers, pn_r, pn_s, shares

BEFORE = np.array([[4, 7, 1]])


@pytest.mark.parametrize(
    ("after", "share", "ranked"),
    [
        ([4, 7, 1], 0.0, 0.0),
        ([1, 4, 7], 0.0, 0.0),  # another order is the same list
        ([5, 6, 8], 1.0, 1.0),
        ([9, 4, 7], 1 / 3, 1 / (1 + 1 / log2(3) + 1 / 2)),
        ([4, 7, 9], 1 / 3, (1 / 2) / (1 + 1 / log2(3) + 1 / 2)),
        ([4, 8, 9], 2 / 3, (1 / log2(3) + 1 / 2) / (1 + 1 / log2(3) + 1 / 2)),
        ([4, 9, -1], 1 / 3, (1 / log2(3)) / (1 + 1 / log2(3) + 1 / 2)),  # a shorter list: nothing came for the last
    ],
)
def test_newcomers_count_once_and_by_their_place(after: list[int], share: float, ranked: float) -> None:
    assert pn_s(BEFORE, np.array([after])) == pytest.approx([share])
    assert pn_r(BEFORE, np.array([after])) == pytest.approx([ranked])


def test_lists_shorter_than_k_and_empty_ones() -> None:
    before, after = np.array([[4, 7, -1], [-1, -1, -1]]), np.array([[4, 3, -1], [-1, -1, -1]])
    assert newcomers(before, after).tolist() == [[False, True, False], [False] * 3]
    assert pn_s(before, after).tolist() == [0.5, 0.0]
    assert pn_r(before, after) == pytest.approx([(1 / log2(3)) / (1 + 1 / log2(3)), 0.0])


def test_many_lists_equal_each_alone() -> None:
    stream = np.random.default_rng(0)
    before = np.stack([stream.permutation(12)[:5] for _ in range(40)])
    after = np.stack([stream.permutation(12)[:5] for _ in range(40)])
    weights = [1 / log2(r + 1) for r in range(1, 6)]
    for b, a, s, r in zip(before, after, pn_s(before, after), pn_r(before, after), strict=True):
        new = [item not in set(b.tolist()) for item in a.tolist()]
        assert s == pytest.approx(sum(new) / 5)
        assert r == pytest.approx(sum(w for w, is_new in zip(weights, new, strict=True) if is_new) / sum(weights))


def test_shares_are_parts_of_one() -> None:
    assert shares(np.array([1.0, 3.0])).tolist() == [0.25, 0.75]
    assert shares(np.zeros(2)).tolist() == [0.0, 0.0]
    assert shares(np.array([])).tolist() == []
