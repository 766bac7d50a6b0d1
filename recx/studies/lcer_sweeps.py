"""LCER, Figures 8 and 9: what lambda and alpha do to length, sufficiency and necessity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from recx.core import registry
from recx.core.progress import Progress
from recx.core.recipe import Named, param
from recx.recipes._recipe import Get, Recipe
from recx.recipes.data import Data
from recx.recipes.fit import Fit
from recx.recipes.judge import CONVENTIONS
from recx.studies._sets import MODEL, PER_DATASET, fit_of, head, joined, judged, measured
from recx.studies._systems import System

if TYPE_CHECKING:
    import pandas as pd

GRIDS = {"lam": ("lambda", (0.01, 0.02, 0.03, 0.04, 0.05)), "alpha": ("alpha", (0.02, 0.04, 0.06, 0.08, 0.1))}
"""The paper's grids (Section 4.1), by field of LCER."""


@dataclass(frozen=True)
class LcerSweeps:
    """LCER Figures 8, 9: length, PS, PN and F_NS over lambda and over alpha.

    For `users` held-out users and each item of their top k; the parameter that is not swept has the paper's value for
    the data set. Rows without `param` are the systems as they are: the paper's dashed lines. The figures' values are
    not in the text, so no cell is published. All settings explain the same pairs. Intervals: 95 %, bootstrap over
    users.
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
    default_systems: ClassVar[tuple[str, ...]] = ("lcer", "kaffes", "accent", "fia", "minimal")
    as_published: ClassVar[bool] = True
    small: ClassVar[dict[str, Any]] = {"users": 10}
    small_settings: ClassVar[dict[str, dict[str, Any]]] = {"lcer": {"steps": 300}, "multvae": {"epochs": 40}}
    dataset_settings: ClassVar[dict[str, dict[str, dict[str, Any]]]] = PER_DATASET

    @property
    def fit(self) -> Fit:
        """The model on all but the held-out users."""
        return fit_of(self.data, self.model, 0)

    def points(self) -> list[tuple[System, str, str]]:
        """(system, param, param_value) of every line."""
        lines = [(system, "", "") for system in self.systems]
        for system in (one for one in self.systems if one.explainer.name == "lcer"):
            for field, (param_name, grid) in GRIDS.items():
                lines += [(_with(system, field, value), param_name, f"{value:g}") for value in grid]
        return lines

    def needs(self) -> tuple[Recipe, ...]:
        systems = [system for system, _, _ in self.points()]
        return tuple(dict.fromkeys(part for s in systems for part in judged(self.fit, s, self.k, self.users, 0)))

    def run(self, get: Get, progress: Progress) -> pd.DataFrame:
        """Tidy rows with the columns of `_rows.COLUMNS`; `param` is lambda, alpha or empty."""
        from recx.studies._rows import plain

        rows = []
        for system, name, value in self.points():
            table = joined(get, judged(self.fit, system, self.k, self.users, 0))
            named = head(self.data, self.model, system, f"top-{self.k}", name, value)
            rows += [named | row for convention in CONVENTIONS for row in measured(table, self.k, convention)]
        return plain("lcer", rows).assign(table="Figures 8, 9")


def _with(system: System, field: str, value: float) -> System:
    settings = dict(system.explainer.settings) | {field: value}
    return System(system.name, registry.named("explainers", system.explainer.name, settings))
