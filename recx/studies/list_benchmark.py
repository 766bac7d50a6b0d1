"""Whole lists: how many history items it takes to replace one, half or all of what somebody is recommended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from recx.core.progress import Progress
from recx.core.recipe import Named, param
from recx.recipes._recipe import Get, Recipe
from recx.recipes.data import Data
from recx.recipes.fit import Fit
from recx.recipes.judge_lists import JudgeLists
from recx.studies._sets import MODEL, PER_DATASET, cell, chunks, costs, fit_of, head, joined, persons
from recx.studies._systems import System

if TYPE_CHECKING:
    import pandas as pd

SHARES = ("one", "half", "all")


@dataclass(frozen=True)
class ListBenchmark:
    """Whole lists: sets of history items that replace one, half or all of the top k, by every explainer.

    For `users` held-out users; the row's `param_value` says how much of the list shall be replaced. `coverage`: users
    for whom a set is named whose removal, run again, replaces enough. Over those with a set: `length`; `pn_s`, `pn_r`,
    the share of the list that is new, plain and with 1 / log2(1 + place) (2604.19663); `irreducible`: no part of the
    set is enough, all tried (sets of up to 8 items); `proved`: no smaller set of the history exists. `placebo`: random
    history items, as many. Deviation from that benchmark: there an explainer names a number of items fixed beforehand,
    or by its own threshold, and PN-S is how good it is; here a set is as large as it must be, so `length` is what
    compares explainers, and `pn_s` says what the set does beyond what was asked. Candidates are the items outside the
    original history (`app`).
    """

    data: Data
    systems: tuple[System, ...]
    model: Named = MODEL
    users: int = param(100, "Test users explained", unit="users", low=1, high=100_000)
    k: int = param(10, "Length of the list", low=1, high=100)
    paper: ClassVar[str] = "2604.19663"
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "batch"

    default_dataset: ClassVar[str] = "ml-100k"
    default_systems: ClassVar[tuple[str, ...]] = (
        *("minimal", "leave-one-out", "fia", "accent", "kaffes", "lcer", "integrated-gradients", "shap", "lime"),
        *("lxr", "knn", "association", "random"),
    )
    small: ClassVar[dict[str, Any]] = {"users": 10}
    small_settings: ClassVar[dict[str, dict[str, Any]]] = {"lcer": {"steps": 300}, "multvae": {"epochs": 40}}
    dataset_settings: ClassVar[dict[str, dict[str, dict[str, Any]]]] = PER_DATASET

    @property
    def fit(self) -> Fit:
        """The model on all but the held-out users."""
        return fit_of(self.data, self.model, 0)

    def judged(self, system: System, share: str) -> tuple[JudgeLists, ...]:
        """The stored chunks of one system for one share."""
        return tuple(JudgeLists(self.fit, system.explainer, self.k, share, *span) for span in chunks(self.users))

    def needs(self) -> tuple[Recipe, ...]:
        return tuple(part for system in self.systems for share in SHARES for part in self.judged(system, share))

    def run(self, get: Get, progress: Progress) -> pd.DataFrame:
        """Tidy rows with the columns of `_rows.COLUMNS`."""
        from recx.studies._rows import plain

        rows = []
        for system in self.systems:
            for share in SHARES:
                own = head(self.data, self.model, system, f"top-{self.k}", "replaced", share)
                table = joined(get, self.judged(system, share))
                rows += [own | {"seed": None, "convention": "app"} | row for row in list_rows(table)]
        return plain("list-benchmark", rows)


def list_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The metrics of one table of lists (`recipes.judge_lists.JudgeLists`)."""
    from recx.metrics.explanation import by_user, share

    user, found = persons(table), table["found"].to_numpy(bool)
    everyone, named = by_user(np.ones(len(table)), user), by_user(found, user)

    def sums(column: str) -> np.ndarray:
        return by_user(found * table[column].to_numpy(float), user)

    cells: list[tuple[str, str, str, np.ndarray, str | None]] = [
        ("coverage", "%", "enough", everyone, "placebo_enough"),
        ("length", "items", "length", named, None),
        ("pn_s", "%", "pn_s", named, "placebo_pn_s"),
        ("pn_r", "%", "pn_r", named, "placebo_pn_r"),
        ("irreducible", "%", "irreducible", named, None),
        ("proved", "%", "proved", named, None),
    ]
    rows = []
    for metric, unit, column, whole, placebo in cells:
        control = None if placebo is None else [sums(placebo), whole]
        rows.append(cell(metric, unit, share, [sums(column), whole], int(whole.sum()), control))
    return [*rows, *costs(table)]
