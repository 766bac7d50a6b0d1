"""How much of a recommended list an edit replaces. Lists of item codes in, one number per list out."""

from __future__ import annotations

import numpy as np


def newcomers(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Bool[N, k]: the places of `after` Int[N, k] whose item is not in `before` Int[N, k]; -1 stands for no item."""
    known = (after[:, :, None] == before[:, None, :]).any(2)
    return (after >= 0) & ~known


def pn_s(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Float[N]: the share of the list that is new, |after - before| / k, 0 for an empty list (PN-S, 2604.19663).

    `before`, `after` Int[N, k]: items, best first, -1 where a list is shorter; k counts the items of `before`.
    """
    size = (before >= 0).sum(1)
    return newcomers(before, after).sum(1) / np.maximum(size, 1)


def pn_r(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Float[N]: the same with each place r of the new list weighing 1 / log2(r + 1) (PN-R, 2604.19663).

    A newcomer in the first place counts most; all k places new give 1, none gives 0.
    """
    weight = 1 / np.log2(np.arange(before.shape[1]) + 2)
    whole = ((before >= 0) * weight).sum(1)
    return (newcomers(before, after) * weight).sum(1) / np.where(whole > 0, whole, 1)


def shares(values: np.ndarray) -> np.ndarray:
    """Float[n]: parts of a whole, values / their sum; zeros where nothing is to be shared out."""
    total = values.sum()
    return values / total if total > 0 else np.zeros_like(values, dtype=np.float64)
