"""Quality of counterfactual sets over many pairs. Arrays in, one number and its interval out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Statistic = Callable[[np.ndarray, np.ndarray], np.ndarray]


def share(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """Sum over sum along the last axis, NaN where nothing is counted."""
    top, bottom = numerator.sum(-1), denominator.sum(-1)
    return np.divide(top, bottom, out=np.full(np.shape(top), np.nan), where=bottom > 0)


def f_ns(pn: np.ndarray, ps: np.ndarray) -> np.ndarray:
    """2 PN PS / (PN + PS), 0 where both are 0 (LCER, Section 4.1)."""
    total = np.asarray(pn + ps)
    return np.divide(2 * pn * ps, total, out=np.zeros(np.shape(total)), where=total > 0)


def by_user(values: np.ndarray, user: np.ndarray) -> np.ndarray:
    """Float[U]: sums of Float[P] per user; the resampling below draws users, since a user's pairs go together."""
    _, code = np.unique(user, return_inverse=True)
    return np.bincount(code, weights=values.astype(np.float64))


def bootstrap(
    statistic: Callable[..., np.ndarray], columns: list[np.ndarray], *, seed: int = 0, draws: int = 2000
) -> tuple[float, float, float]:
    """A statistic of per-user sums, with the 2.5 and 97.5 % points of its bootstrap over users.

    `columns`: Float[U] each; `statistic(*columns)` reduces the last axis.
    """
    n = len(columns[0])
    value = float(statistic(*columns))
    if n < 2 or not np.isfinite(value):
        return value, float("nan"), float("nan")
    pick = np.random.default_rng(seed).integers(n, size=(draws, n))
    low, high = np.nanpercentile(statistic(*(column[pick] for column in columns)), [2.5, 97.5])
    return value, float(low), float(high)


def percentiles(popularity: np.ndarray) -> np.ndarray:
    """Float[n]: the share (%) of items that are less popular, ties counted half; a random item has 50 on average."""
    ordered = np.sort(popularity)
    below, up_to = np.searchsorted(ordered, popularity, "left"), np.searchsorted(ordered, popularity, "right")
    return (below + up_to) / 2 * (100 / max(1, len(popularity)))
