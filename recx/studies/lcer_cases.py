"""LCER, Figure 4: cases to look at, with the genres of what is named beside those of the recommendation."""

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

CASE_COLUMNS = (
    *("user", "target", "target_title", "target_genres", "place", "hit", "items", "titles", "genres"),
    *("overlap", "overlap_random", "length", "necessary", "sufficient"),
)
"""Columns of the rows of single cases, beside those of `_rows.COLUMNS`; lists have " ; " between."""
LONG = 10
"""Sets of more items are the figure's "too long"."""


@dataclass(frozen=True)
class LcerCases:
    """LCER Figure 4: cases with genres, the overlap of set and recommendation, and searches that find none or many.

    One row per pair and system (metric `case`): user, target, set, titles and genres; `overlap`: mean Jaccard of the
    genres of each named item with those of the recommended one; `overlap_random`: the same for a random set, exactly;
    `note`: which systems find nothing or name more than 10 items there. Summary rows: mean overlap (`placebo`: random
    sets), how much more it is than that of random sets (paired by recommendation), and the shares of none and of more
    than 10 items. Intervals: 95 %, bootstrap over users. Genres say what the films are like, not why they were
    recommended: a large overlap is no proof.
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
    default_systems: ClassVar[tuple[str, ...]] = ("lcer", "kaffes", "accent", "minimal", "association")
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
        """Tidy rows with the columns of `_rows.COLUMNS` and CASE_COLUMNS; cases have `seed` 0, summaries none."""
        from recx.studies import _genres
        from recx.studies._rows import plain

        data, test = get(self.data), get(self.fit.split_data).test
        like = _genres.jaccard_of(data.items)
        tables = {
            system: _genres.with_overlap(
                joined(get, judged(self.fit, system, self.k, self.users, 0)), test.histories, like
            )
            for system in self.systems
        }
        named = {system: head(self.data, self.model, system, f"top-{self.k}") for system in self.systems}
        rows = [named[system] | row for system, table in tables.items() for row in _genres.summary(table, LONG)]
        notes = _genres.notes({system.name: table for system, table in tables.items()}, LONG)
        cases = [
            (p, named[system] | row)
            for system, table in tables.items()
            for p, row in enumerate(_genres.cases(table, data, test.users, self.k, notes))
        ]
        rows += [row for _, row in sorted(cases, key=lambda one: one[0])]
        return plain("lcer", rows, CASE_COLUMNS).assign(table="Figure 4")
