"""How often items are named and recommended, person by person, and how that goes with their popularity."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from recx.metrics.attribution import bootstrap_counts, spearman
from recx.studies._field import masks, random_masks, valued
from recx.studies._sets import persons

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Counts:
    """Float[U, n] each, by person and item: `named` times in a set, `weight` sum of its importances there, `chances`
    pairs whose history holds it, `shown` times recommended; `random` Float[D, n]: times in random sets, D draws.
    """

    named: np.ndarray
    weight: np.ndarray
    chances: np.ndarray
    shown: np.ndarray
    random: np.ndarray

    @classmethod
    def of(cls, table: pd.DataFrame, histories: np.ndarray, n_items: int) -> Counts:
        """From the pairs of one explainer; `histories` int64[U, L] of the people that `user` numbers."""
        history = histories[table["user"]]
        here, chosen = history >= 0, masks(table["items"], history)
        weight = np.where(chosen, np.nan_to_num(valued(table["ranking"], table["values"], history)), 0.0)
        _, person = np.unique(persons(table), return_inverse=True)
        row, _ = np.nonzero(here)

        def summed(values: np.ndarray) -> np.ndarray:
            out = np.zeros((person.max(initial=-1) + 1, n_items))
            np.add.at(out, (person[row], history[here]), values[here])
            return out

        shown = np.zeros((person.max(initial=-1) + 1, n_items))
        np.add.at(shown, (person, table["target"].to_numpy()), 1)
        random = np.stack([summed(one).sum(0) for one in random_masks(history, chosen.sum(1))])
        return cls(summed(chosen), summed(weight), summed(here), shown, random)

    def points(self) -> list[tuple[str, str, dict[int, float]]]:
        """(metric, unit, {item code: value}), the largest first: the figures' points."""
        named, chances, shown = self.named.sum(0), self.chances.sum(0), self.shown.sum(0)
        importance = _over(self.weight.sum(0), named)
        return [
            ("explanation_count", "sets", _falling(named, chances > 0)),
            ("mean_importance", "importance", _falling(importance, named > 0)),
            ("naming_rate", "share", _falling(_over(named, chances), chances > 0)),
            ("recommendation_count", "lists", _falling(shown, shown > 0)),
        ]

    def correlations(self, popularity: np.ndarray) -> list[dict[str, Any]]:
        """Spearman correlations with popularity int64[n], over items; where a number has no value it is left out."""
        able = self.chances.sum(0) > 0

        def with_popularity(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
            values = values[:, chosen]
            return spearman(values, np.broadcast_to(popularity[chosen].astype(float), values.shape))

        every = np.ones(len(popularity), bool)
        count = lambda named: with_popularity(named, able)  # noqa: E731
        rate = lambda named, chances: with_popularity(_over(named, chances), able)  # noqa: E731
        cells: list[tuple[str, Any, list[np.ndarray], float | None]] = [
            ("explanation_count", count, [self.named], float(count(self.random).mean())),
            ("mean_importance", rate, [self.weight, self.named], None),
            ("naming_rate", rate, [self.named, self.chances], float(rate(self.random, self.chances.sum(0)).mean())),
            ("recommendation_count", lambda shown: with_popularity(shown, every), [self.shown], None),
        ]
        rows: list[dict[str, Any]] = []
        for metric, statistic, columns, placebo in cells:
            value, low, high = bootstrap_counts(statistic, *columns, draws=500)
            row = {"metric": f"popularity_{metric}", "unit": "correlation", "measured": value, "placebo": placebo}
            rows.append(row | {"ci_low": low, "ci_high": high, "seed": None})
        return [row for row in rows if math.isfinite(row["measured"])]


def _over(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    bottom = np.broadcast_to(bottom, top.shape)
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)


def _falling(values: np.ndarray, chosen: np.ndarray) -> dict[int, float]:
    codes = np.flatnonzero(chosen)
    return {int(code): float(values[code]) for code in codes[np.argsort(-values[codes], kind="stable")]}
