"""Is a rule H -> Y true of what the recommender does? Counts in, differences and their intervals out."""

from __future__ import annotations

import numpy as np

Z = 1.959963984540054
"""The normal quantile of a 95 % interval."""


def wilson(yes: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's score interval (95 %) of a share yes / n; 0 to 1 where n is 0."""
    n = np.asarray(n, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(n > 0, yes / n, 0.5)
        middle = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
        half = Z / (1 + Z * Z / n) * np.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    return np.where(n > 0, middle - half, 0.0), np.where(n > 0, middle + half, 1.0)


def difference(in_and_y: np.ndarray, inside: np.ndarray, out_and_y: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """Float[..., 3]: P(Y | H in) - P(Y | H not in) (Xu et al. 2021, Eq. 2 and 3) and its 95 % interval.

    The interval is Newcombe's hybrid of two Wilson intervals (1998, method 10). NaN where one side has no record: a
    rule whose cause is in all records, or in none, is not verified.
    """
    counts = [np.asarray(c, np.float64) for c in (in_and_y, inside, out_and_y, outside)]
    with np.errstate(divide="ignore", invalid="ignore"):
        first, second = counts[0] / counts[1], counts[2] / counts[3]
    (low1, high1), (low2, high2) = wilson(*counts[:2]), wilson(*counts[2:])
    low = first - second - np.sqrt((first - low1) ** 2 + (high2 - second) ** 2)
    high = first - second + np.sqrt((high1 - first) ** 2 + (second - low2) ** 2)
    return np.stack([first - second, low, high], axis=-1)


def paired_effect(n: np.ndarray, only_with: np.ndarray, only_without: np.ndarray) -> np.ndarray:
    """Float[..., 3]: mean of Y(with the item) - Y(without it) over n pairs of runs, and its 95 % interval.

    The same history is run with the item put back and as it was. Interval: Wald's with half a pair added to each
    discordant cell and one pair in all (Agresti & Min 2005). NaN where n is 0.
    """
    n, b, c = (np.asarray(x, np.float64) for x in (n, only_with, only_without))
    with np.errstate(divide="ignore", invalid="ignore"):
        mean, centre = (b - c) / n, (b - c) / (n + 2)
        half = Z * np.sqrt(np.maximum(0, (b + c + 1) - (b - c) ** 2 / (n + 2))) / (n + 2)
    bounds = (np.where(n > 0, np.clip(centre + s * half, -1, 1), np.nan) for s in (-1, 1))
    return np.stack([mean, *bounds], axis=-1)
