"""Everybody explained: each item of the top k of all users of a data set, in stored chunks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from recx.core.progress import Progress
from recx.core.recipe import Named, param
from recx.recipes._recipe import Get, Recipe
from recx.recipes.data import Data
from recx.recipes.fit import Fit
from recx.recipes.judge import Judge
from recx.studies._sets import MODEL, everything, head, joined, judged
from recx.studies._systems import System

if TYPE_CHECKING:
    import pandas as pd

LEAVE_ONE_OUT = Named("data.splits", "leave-one-out")


@dataclass(frozen=True)
class Everyone:
    """Everybody explained: every item of the top k of all users, not of a held-out hundred.

    The recommender has learnt from all of them (leave-one-out: all but each user's last event but one and last), as a
    recommender in use has. Validity, PN, PS, F_NS, length and cost as in `lcer-table2`. A chunk of 50 users is stored
    as it is done: whoever is stopped goes on at the next chunk.
    """

    data: Data
    systems: tuple[System, ...]
    model: Named = MODEL
    users: int = param(938, "Users explained; ML-100K has 938", unit="users", low=1, high=10_000_000)
    k: int = param(5, "Length of the list", low=1, high=100)
    paper: ClassVar[str] = "ours"
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "batch"

    default_dataset: ClassVar[str] = "ml-100k"
    default_systems: ClassVar[tuple[str, ...]] = ("minimal",)
    small: ClassVar[dict[str, Any]] = {"users": 10}
    small_settings: ClassVar[dict[str, dict[str, Any]]] = {"multvae": {"epochs": 40}, "lcer": {"steps": 300}}
    dataset_settings: ClassVar[dict[str, dict[str, dict[str, Any]]]] = {}

    @property
    def fit(self) -> Fit:
        """The model on all users."""
        return Fit(self.data, LEAVE_ONE_OUT, self.model, 0)

    def parts(self, system: System) -> tuple[Judge, ...]:
        """The stored chunks of one system."""
        return judged(self.fit, system, self.k, self.users, 0)

    def needs(self) -> tuple[Recipe, ...]:
        return tuple(part for system in self.systems for part in self.parts(system))

    def run(self, get: Get, progress: Progress) -> pd.DataFrame:
        """Tidy rows with the columns of `_rows.COLUMNS`."""
        from recx.studies._rows import plain

        rows: list[dict[str, Any]] = []
        for system in self.systems:
            named = head(self.data, self.model, system, f"top-{self.k}", "K", self.k) | {"seed": None}
            rows += [named | row for row in everything(joined(get, self.parts(system)), self.k)]
        return plain("everyone", rows)
