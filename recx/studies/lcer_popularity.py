"""LCER, Figures 5 to 7: are the items that explanations name the popular ones?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from recx.core.progress import Progress
from recx.core.recipe import Named, param
from recx.recipes._recipe import Get, Recipe
from recx.recipes.data import Data
from recx.recipes.fit import Fit
from recx.studies._sets import MODEL, PER_DATASET, fit_of, head, joined, judged
from recx.studies._systems import System

if TYPE_CHECKING:
    import pandas as pd

    from recx.studies._popular import Counts

ITEM_COLUMNS = ("item", "title", "popularity")
"""Columns of the rows about single items, beside those of `_rows.COLUMNS`."""


@dataclass(frozen=True)
class LcerPopularity:
    """LCER Figures 5, 6, 7: explanation count, mean importance and recommendation count against popularity.

    Rows with `param` item are the points of the figures: how often an item is in a set (Figure 5), its mean importance
    in the sets it is in (Figure 6), how often it is recommended (Figure 7), with its events in the training data.
    Summary rows are Spearman correlations with popularity over the items of the explained histories (recommendations:
    all items); intervals: 95 %, by the bootstrap standard error over users. `placebo`: the same for random sets as
    long, the mean over 30 draws: a popular item is in more histories, so anything names it more often. `naming_rate`,
    ours, takes that away: how often an item is named per history and recommendation that it could be named for.

    The paper reads Figures 5 and 6 as a bias of what is named. On ML-100K, top 5, LCER's explanation count goes with
    popularity (0.52), but less than random sets of the same histories do (0.72), and its mean importance does not
    (-0.03, -0.12 to 0.05): the figure shows who is in many histories.
    """

    data: Data
    systems: tuple[System, ...]
    model: Named = MODEL
    users: int = param(100, "Test users explained", unit="users", low=1, high=100_000)
    k: int = param(5, "Length of the list", low=1, high=100)
    paper: ClassVar[str] = "lcer"
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "batch"

    default_dataset: ClassVar[str] = "ml-100k"
    default_systems: ClassVar[tuple[str, ...]] = ("lcer", "minimal", "kaffes", "accent")
    as_published: ClassVar[bool] = True
    small: ClassVar[dict[str, Any]] = {"users": 10}
    small_settings: ClassVar[dict[str, dict[str, Any]]] = {"lcer": {"steps": 300}, "multvae": {"epochs": 40}}
    dataset_settings: ClassVar[dict[str, dict[str, dict[str, Any]]]] = PER_DATASET

    @property
    def fit(self) -> Fit:
        """The model on all but the held-out users."""
        return fit_of(self.data, self.model, 0)

    def needs(self) -> tuple[Recipe, ...]:
        tables = [part for s in self.systems for part in judged(self.fit, s, self.k, self.users, 0)]
        return (self.data, self.fit.split_data, *tables)

    def run(self, get: Get, progress: Progress) -> pd.DataFrame:
        """Tidy rows with the columns of `_rows.COLUMNS` and ITEM_COLUMNS."""
        from recx.studies._popular import Counts
        from recx.studies._rows import plain

        split, rows = get(self.fit.split_data), []
        popularity = split.train.popularity
        for system in self.systems:
            table = joined(get, judged(self.fit, system, self.k, self.users, 0))
            counts = Counts.of(table, split.test.histories, len(popularity))
            named = head(self.data, self.model, system, f"top-{self.k}")
            rows += [named | {"n": len(table)} | row for row in counts.correlations(popularity)]
            rows += [named | row for row in self._points(get, counts, popularity)]
        return plain("lcer", rows, ITEM_COLUMNS).assign(table="Figures 5, 6, 7")

    def _points(self, get: Get, counts: Counts, popularity: Any) -> list[dict[str, Any]]:
        """One row per item and figure; their `seed` keeps them out of summaries."""
        items = get(self.data).item_rows
        rows = []
        for metric, unit, values in counts.points():
            for code, value in values.items():
                about = {"item": items[code]["item"], "title": items[code]["title"]}
                point = {"metric": metric, "unit": unit, "measured": value, "popularity": int(popularity[code])}
                rows.append(about | point | {"param": "item", "param_value": about["item"], "seed": 0})
        return rows
