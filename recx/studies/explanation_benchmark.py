"""How good explanations are by the measures of the wider field, at fixed lengths and at equal budgets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from recx.core import registry
from recx.core.progress import Progress
from recx.core.recipe import Named, param
from recx.recipes._recipe import Get, Recipe
from recx.recipes.curves import Curves
from recx.recipes.data import Data
from recx.recipes.fit import Fit
from recx.recipes.judge import Judge
from recx.studies import _field
from recx.studies._sets import (
    CHUNK,
    MODEL,
    PER_DATASET,
    costs,
    everything,
    fit_of,
    head,
    joined,
    judged,
    optima,
    with_optimum,
)
from recx.studies._sets import measured as set_rows
from recx.studies._systems import System

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

BUDGET_FIELDS = ("max_calls", "calls", "budget", "steps", "samples")
"""Fields that say how many runs of the model one explanation may take; the first that is there. Not those that only
what is learnt beforehand depends on."""


@dataclass(frozen=True)
class ExplanationBenchmark:
    """Explanation benchmark: every explainer by POS, NEG, DEL, INS, CNDCG, sets, popularity, stability, cost.

    For `users` held-out users and each item of their top k. Fixed lengths (`recipes/curves.py`): in tenths of the
    history as LXR (WWW 2024), and 1 to 5 items as SPINRec (AAAI 2026); the target is never in the history, the original
    history is no candidate, one order serves all measures (SPINRec takes the best of up to 11 orders per measure and
    step: an oracle). Sets: as `lcer-table2`, convention `app`. Settings `hits` and `misses`: recommendations that are
    among the user's held-out items, and the others. `gini`, `popularity`: of what is named; `placebo` is what random
    sets of the same sizes have. `stability`: mean Jaccard of the sets of `repeats` explainer seeds, on the first 50
    users. `agreement`: mean Jaccard of sets and Spearman of item values between explainers. `budget`: the same scores
    when a search may run the model so often per explanation. Intervals: 95 %, bootstrap over users (of
    `gini` by its standard error).
    """

    data: Data
    systems: tuple[System, ...]
    model: Named = MODEL
    users: int = param(100, "Test users explained", unit="users", low=1, high=100_000)
    k: int = param(5, "Length of the list", low=1, high=100)
    repeats: int = param(3, "Explainer seeds whose sets are compared", low=1, high=100)
    exhaustive: int = param(18, "Histories up to so long have all their sets tried", unit="items", low=1, high=22)
    budgets: tuple[int, ...] = (100, 300, 1000)
    paper: ClassVar[str] = "LXR, SPINRec; 2604.19663"
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "batch"

    default_dataset: ClassVar[str] = "ml-100k"
    default_systems: ClassVar[tuple[str, ...]] = (
        *("lcer", "minimal", "minimal-necessary", "fia", "accent", "kaffes", "leave-one-out", "integrated-gradients"),
        *("shap", "lime", "lxr", "knn", "association", "random"),
    )
    small: ClassVar[dict[str, Any]] = {"users": 10, "repeats": 2, "budgets": (100,), "exhaustive": 12}
    small_settings: ClassVar[dict[str, dict[str, Any]]] = {
        **{"lcer": {"steps": 300}, "multvae": {"epochs": 40}, "lxr": {"steps": 50, "tries": 1}},
        **{"lime": {"samples": 200}, "shap": {"samples": 200}},
    }
    dataset_settings: ClassVar[dict[str, dict[str, dict[str, Any]]]] = PER_DATASET

    @property
    def fit(self) -> Fit:
        """The model on all but the held-out users."""
        return fit_of(self.data, self.model, 0)

    def judged(self, system: System, seed: int = 0) -> tuple[Judge, ...]:
        """The stored chunks of a system: all users for seed 0, the first chunk for the others."""
        return judged(self.fit, system, self.k, self.users if seed == 0 else min(self.users, CHUNK), seed)

    def budgeted(self, system: System) -> dict[int, System]:
        """The system held to each budget; empty where it has no such field."""
        name = system.explainer.name
        learnt = registry.declared("explainers", name).get("learns_with", ())
        fields = {row["name"] for row in registry.form("explainers", name)["parameters"]}.difference(learnt)
        field = next((one for one in BUDGET_FIELDS if one in fields), None)
        if field is None:
            return {}
        own = dict(system.explainer.settings)
        return {
            budget: System(system.name, registry.named("explainers", name, own | {field: budget}))
            for budget in self.budgets
        }

    def needs(self) -> tuple[Recipe, ...]:
        tables = [part for s in self.systems for seed in range(self.repeats) for part in self.judged(s, seed)]
        curves = [Curves(part) for system in self.systems for part in self.judged(system)]
        held = [part for s in self.systems for one in self.budgeted(s).values() for part in self.judged(one)]
        return (self.fit.split_data, *tables, *curves, *held, *optima(self.fit, self.k, self.users, self.exhaustive))

    def run(self, get: Get, progress: Progress) -> pd.DataFrame:
        """Tidy rows with the columns of `_rows.COLUMNS`."""
        from recx.studies._rows import plain

        tables = {system: joined(get, self.judged(system)) for system in self.systems}
        rows = [row for system, table in tables.items() for row in self._rows(get, system, table)]
        rows += [
            self._head(one, param="against", value=other.name) | row
            for one, other, row in _field.agreements(tables, self._histories(get))
        ]
        return plain("explanation-benchmark", rows)

    def _histories(self, get: Get) -> np.ndarray:
        histories: np.ndarray = get(self.fit.split_data).test.histories
        return histories

    def _head(self, system: System, setting: str = "", param: str = "K", value: Any = None) -> dict[str, Any]:
        setting = f"top-{self.k}{setting}"
        return head(self.data, self.model, system, setting, param, self.k if value is None else value) | {"seed": None}

    def _rows(self, get: Get, system: System, table: pd.DataFrame) -> list[dict[str, Any]]:
        """All rows of one system but those that compare it with others."""
        import pandas as pd

        curves = pd.concat([get(Curves(part)) for part in self.judged(system)], ignore_index=True).assign(seed=0)
        known = with_optimum(get, table, optima(self.fit, self.k, self.users, self.exhaustive))
        rows = [self._head(system) | row for row in everything(known, self.k)]
        rows += [self._head(system) | row for row in _field.named(table, self._histories(get))]
        groups = [("", slice(None)), (", hits", table["hit"].to_numpy()), (", misses", ~table["hit"].to_numpy())]
        for label, chosen in groups:
            rows += [self._head(system, label) | row for row in _field.fixed_lengths(curves[chosen])]
            if label and len(table[chosen]):
                rows += [self._head(system, label) | row for row in set_rows(table[chosen], self.k, "app")]
        again = [joined(get, self.judged(system, seed)) for seed in range(self.repeats)]
        stable = _field.stability(again, self._histories(get))
        rows += [self._head(system, param="seeds", value=self.repeats) | row for row in stable]
        for budget, held in self.budgeted(system).items():
            own = joined(get, self.judged(held))
            cells = [*set_rows(own, self.k, "app"), *costs(own)]
            rows += [self._head(system, param="budget", value=budget) | row for row in cells]
        return rows
