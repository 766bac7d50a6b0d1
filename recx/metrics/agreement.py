"""How alike two ranked lists are. Arrays in, one number per pair of lists out."""

from __future__ import annotations

import numpy as np

PERSISTENCE = 0.9
"""The `p` of rank-biased overlap: a reader goes on to the next place so probably, ten places on average."""


def common(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """int64[B, K]: how many items the first d places of both lists share, for d = 1..K.

    `left`, `right`: int[B, K] item codes, best first, no item twice; negative where a list has run out.
    """
    b, k = left.shape
    row, i, j = np.nonzero((left[:, :, None] == right[:, None, :]) & (left >= 0)[:, :, None])
    found = np.bincount(row * k + np.maximum(i, j), minlength=b * k).reshape(b, k)
    return np.cumsum(found, axis=1)


def depths(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """int64[B]: the places that both lists fill."""
    return np.minimum((left >= 0).sum(1), (right >= 0).sum(1))


def overlap(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Float[B]: the share of items in common, whatever their places; 0 for empty lists."""
    n = depths(left, right)
    return np.divide(common(left, right)[:, -1], n, out=np.zeros(len(n)), where=n > 0)


def rank_biased(left: np.ndarray, right: np.ndarray, p: float = PERSISTENCE) -> np.ndarray:
    """Float[B]: rank-biased overlap, 1 for the same order, 0 for nothing in common; early places count more.

    Webber, Moffat & Zobel, "A similarity measure for indefinite rankings", TOIS 2010, Eq. 32: with X_d items in common
    among the first d of n places, RBO = X_n/n p^n + (1 - p)/p sum_d X_d/d p^d.
    """
    shared, n = common(left, right), depths(left, right)
    d = np.arange(1, left.shape[1] + 1)
    agreed = np.where(d <= n[:, None], shared / d, 0.0)
    last = np.divide(shared[:, -1], n, out=np.zeros(len(n)), where=n > 0)
    return last * p**n + (1 - p) / p * (agreed * p**d).sum(1)
