"""Rows of the explanation benchmark: fixed lengths, what is named, stability over seeds, agreement of explainers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from recx.metrics.attribution import bootstrap_counts, gini, jaccard, spearman
from recx.metrics.explanation import bootstrap, by_user, share
from recx.recipes.curves import MEASURES, PROTOCOLS, places
from recx.studies._sets import persons

if TYPE_CHECKING:
    import pandas as pd

    from recx.studies._systems import System

DRAWS = 30
"""Random sets drawn for each named one, where the placebo is not linear in the counts."""

HIGHER_IS_BETTER = {"pos": False, "neg": True, "del": False, "ins": True, "cndcg": False}


def fixed_lengths(curves: pd.DataFrame) -> list[dict[str, Any]]:
    """Mean over pairs of each measure of `recipes.curves.Curves`; the protocol is the row's `param_value`."""
    rows = []
    for protocol in PROTOCOLS:
        for measure in MEASURES:
            row = mean(measure, "share", curves[f"{measure} {protocol}"].to_numpy(float), persons(curves))
            better = {"param": "removed", "param_value": protocol, "convention": "app"}
            rows.append(row | better | {"higher_is_better": HIGHER_IS_BETTER[measure]})
    return [row for row in rows if row["n"]]


def named(table: pd.DataFrame, histories: np.ndarray) -> list[dict[str, Any]]:
    """How popular named items are and how unequally items are named; `placebo`: what random sets as long have.

    `histories` int64[U, L]: of the people that the table's `user` numbers. `gini` is over all items of their histories;
    its placebo is the mean over DRAWS draws.
    """
    user, found = persons(table), table["found"].to_numpy(bool)
    popular = mean("popularity", "percentile", table["popularity"].to_numpy(float), user)
    popular["placebo"] = float(table["popularity_history"][found].mean()) if found.any() else None
    history = histories[table["user"]]
    chosen = masks(table["items"], history)
    counts = _per_item(chosen, history, user)
    random = np.stack([_per_item(one, history, user).sum(0) for one in random_masks(history, chosen.sum(1))])
    value, low, high = bootstrap_counts(gini, counts)
    row = {"metric": "gini", "unit": "share", "measured": value, "ci_low": low, "ci_high": high, "n": int(found.sum())}
    return [popular, row | {"placebo": float(gini(random).mean())}]


def random_masks(history: np.ndarray, sizes: np.ndarray) -> Iterator[np.ndarray]:
    """DRAWS times Bool[P, L]: uniformly drawn columns of each history, as many as `sizes` int64[P] says."""
    stream = np.random.default_rng(0)
    for _ in range(DRAWS):
        draw = np.where(history >= 0, stream.random(history.shape), 2.0)
        yield draw.argsort(1).argsort(1) < sizes[:, None]


def stability(tables: list[pd.DataFrame], histories: np.ndarray) -> list[dict[str, Any]]:
    """Mean Jaccard of the sets named under different seeds, over the pairs of all tables where somebody names one."""
    n = min(len(table) for table in tables)
    tables = [table.iloc[:n] for table in tables]
    if len(tables) < 2:
        return []
    sets = [masks(table["items"], histories[table["user"]]) for table in tables]
    values = np.stack([jaccard(one, other) for one, other in combinations(sets, 2)])
    known = np.isfinite(values).sum(0)
    each = np.divide(np.nansum(values, 0), known, out=np.full(n, np.nan), where=known > 0)
    return [mean("stability", "share", each, persons(tables[0]))]


def agreements(
    tables: dict[System, pd.DataFrame], histories: np.ndarray
) -> Iterator[tuple[System, System, dict[str, Any]]]:
    """For each two systems: mean Jaccard of their sets (where both name one), mean Spearman of their item values."""
    sets, values = {}, {}
    for system, table in tables.items():
        history = histories[table["user"]]
        sets[system] = masks(table["items"], history)
        values[system] = valued(table["ranking"], table["values"], history)
    for one, other in combinations(tables, 2):
        user, both = persons(tables[one]), sets[one].any(1) & sets[other].any(1)
        cells = {
            "agreement_jaccard": np.where(both, jaccard(sets[one], sets[other]), np.nan),
            "agreement_spearman": spearman(values[one], values[other]),
        }
        for metric, each in cells.items():
            row = mean(metric, "share", each, user)
            if row["n"]:
                yield one, other, row
                yield other, one, row


def mean(metric: str, unit: str, each: np.ndarray, user: np.ndarray) -> dict[str, Any]:
    """A row of the mean over pairs that have a value."""
    known = np.isfinite(each)
    sums = [by_user(np.where(known, each, 0.0), user), by_user(known, user)]
    value, low, high = bootstrap(share, sums)
    return {"metric": metric, "unit": unit, "measured": value, "ci_low": low, "ci_high": high, "n": int(known.sum())}


def masks(sets: Any, history: np.ndarray) -> np.ndarray:
    """Bool[P, L]: which columns of the histories int64[P, L] hold an item of each pair's set of codes."""
    rows = [np.isin(own, np.asarray(chosen, np.int64)) for own, chosen in zip(history, sets, strict=True)]
    return np.array(rows, bool).reshape(history.shape) & (history >= 0)


def valued(rankings: Any, values: Any, history: np.ndarray) -> np.ndarray:
    """Float[P, L]: the value of each history item, NaN where it has none."""
    out = np.full(history.shape, np.nan)
    place = places(history, rankings)
    for p, own in enumerate(values):
        known = (place[p] >= 0) & (place[p] < len(own))
        out[p, known] = np.asarray(own, np.float64)[place[p, known]]
    return out


def _per_item(weight: np.ndarray, history: np.ndarray, user: np.ndarray) -> np.ndarray:
    """Float[U, n]: weights Float[P, L] of history columns added up per person and item."""
    items, item = np.unique(history[history >= 0], return_inverse=True)
    _, person = np.unique(user, return_inverse=True)
    row, _ = np.nonzero(history >= 0)
    out = np.zeros((person.max(initial=-1) + 1, len(items)))
    np.add.at(out, (person[row], item), weight[history >= 0])
    return out
