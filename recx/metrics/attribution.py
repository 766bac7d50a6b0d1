"""Quality of an order of history items, at fixed lengths; how alike explanations are. Arrays in, numbers out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.stats import rankdata

PARTS = 10
"""A history is removed, or kept, in so many parts, the first items first (LXR, WWW 2024)."""
FIRST = (1, 2, 3, 4, 5)
"""Or by so many items (SPINRec, AAAI 2026)."""


def in_parts(lengths: np.ndarray, parts: int = PARTS) -> np.ndarray:
    """int64[P, parts + 1]: how many of n items the first 0, 1, ... parts hold; as equal as can be, the first larger."""
    step = np.arange(parts + 1)
    return step * (lengths[:, None] // parts) + np.minimum(step, lengths[:, None] % parts)


def first_items(lengths: np.ndarray, sizes: tuple[int, ...] = FIRST) -> np.ndarray:
    """int64[P, S]: so many items, or all where a history has fewer."""
    return np.minimum(np.asarray(sizes), lengths[:, None])


def in_list(rank: np.ndarray, k: int) -> np.ndarray:
    """Float[P]: the share of edits Long[P, S] (1-based ranks of the target) after which it is in the top k.

    POS@k when the most important items are removed (low is good), NEG@k when the least important are (high is good).
    """
    return np.asarray((rank <= k).mean(1))


def discounted(rank: np.ndarray) -> np.ndarray:
    """Float[P]: mean of 1 / log2(rank + 1) over the edits: CNDCG, the target's NDCG as the most important items go."""
    return np.asarray((1 / np.log2(rank + 1.0)).mean(1))


def gini(counts: np.ndarray) -> np.ndarray:
    """Float[...]: inequality of counts along the last axis: 0 all equal, (n - 1) / n one has all; NaN without any."""
    n, total = counts.shape[-1], counts.sum(-1)
    weighted = (np.sort(counts, axis=-1) * np.arange(1, n + 1)).sum(-1)
    out = np.full(np.shape(total), np.nan)
    return np.divide(2 * weighted, n * total, out=out, where=total > 0) - (n + 1) / n


def jaccard(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Float[P]: items in both sets over items in either, Bool[P, L] each; NaN where both are empty."""
    both, either = (left & right).sum(-1), (left | right).sum(-1)
    return np.divide(both, either, out=np.full(np.shape(either), np.nan), where=either > 0)


def spearman(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Float[P]: rank correlation of two valuations of the same items, Float[P, L] each, NaN where there is no item.

    NaN for a pair with fewer than two valued items, or all of one value.
    """
    here = np.isfinite(left) & np.isfinite(right)
    ranks = [rankdata(np.where(here, side, np.nan), axis=1, nan_policy="omit") for side in (left, right)]
    n = here.sum(1)
    mean = np.where(n > 0, (n + 1) / 2, 0.0)[:, None]
    a, b = (np.where(here, side - mean, 0.0) for side in ranks)
    top, bottom = (a * b).sum(1), np.sqrt((a**2).sum(1) * (b**2).sum(1))
    return np.divide(top, bottom, out=np.full(len(n), np.nan), where=bottom > 0)


def bootstrap_counts(
    statistic: Callable[..., np.ndarray], *counts: np.ndarray, seed: int = 0, draws: int = 1000
) -> tuple[float, float, float]:
    """A statistic of summed counts Float[U, n] each, minus and plus 1.96 standard errors, bootstrap over the U rows.

    `statistic` takes Float[..., n] each and reduces the last axis. The standard error, not the percentiles: people
    drawn twice make counts more uneven than new people would, so percentiles may lie all on one side of the value.
    """
    n = len(counts[0])
    value = float(statistic(*(one.sum(0)[None] for one in counts))[0])
    if n < 2 or not np.isfinite(value):
        return value, float("nan"), float("nan")
    times = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=draws)
    half = 1.96 * float(np.nanstd(statistic(*(times @ one for one in counts))))
    return value, value - half, value + half
