"""Causal rules against the controls: does anything named change the recommendation when it is really taken out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from recx.core.progress import Progress
from recx.core.recipe import Named, param
from recx.recipes._recipe import Get, Recipe
from recx.recipes.data import Data
from recx.studies import _causal

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


@dataclass(frozen=True)
class CausalRulesBeyond:
    """Causal rules beyond the paper: real interventions on the item named, against simple ways of naming one.

    Each system names one of the five items of a user's history as the cause of the first recommendation:
    `causal-rules` (k = 1), `association` (strongest confidence among rules that pass all three thresholds, transactions
    of all events before the target and the recommended item), `largest-difference` (ours: the item with the largest
    P(Y | in) - P(Y | out) in the same perturbed histories, without Eq. 1), `random-item` (the mean over the five),
    `most-recent`, `most-popular`, `gradient-x-input` (where the model is differentiable in its history),
    `leave-one-out` (the item without which the lead falls most: the ceiling of `delete`, at one run per item).

    Metrics, in % of the users answered: `delete`: the recommendation changes when the item is deleted; `replace_random`
    and `replace_matched`: when it is replaced by a random item, or by one of the 20 most equally popular (mean of 20
    draws); `effect`: over fresh perturbed histories in which it was replaced, P(Y | put back) - P(Y | replaced);
    `verified_share`, `fresh_verified_share`: Eq. 2 in the records learnt from, and in fresh ones; `same_as_best`: it is
    the item of `leave-one-out`; `most_recent`: it is the latest item.

    Settings: `all users`, and `equal coverage`: every system on the users whom association rules explain. Intervals:
    95 %, bootstrap over users.
    """

    data: Data
    recommenders: tuple[Named, ...]
    explainer: Named
    users: int = param(943, "Test users explained [all of the paper's data sets]", unit="users", low=1, high=100_000)
    seeds: int = param(1, "Runs with their own fits and perturbations", low=1, high=100)
    name: ClassVar[str] = "causal-rules-beyond"
    paper: ClassVar[str] = "recx"
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "batch"
    lines: ClassVar[tuple[str, ...]] = ("system", "recommender")
    default_dataset: ClassVar[str] = "ml-100k"
    small: ClassVar[dict[str, Any]] = {"users": 40}

    @classmethod
    def of(cls, **words: Any) -> CausalRulesBeyond:
        """The study from the words a user types (`_causal.build`)."""
        return _causal.build(cls, **words)

    def needs(self) -> tuple[Recipe, ...]:
        return _causal.needs(self)

    def run(self, get: Get, progress: Progress) -> pd.DataFrame:
        """Tidy rows with the columns of `_rows.COLUMNS`."""
        import numpy as np

        rows = _causal.facts(self, get)
        for model in self.recommenders:
            table = _causal.items(self, model, get)
            picks = self.picks(table)
            best = picks["leave-one-out"]
            explained = table["person"].isin(table["person"][picks["association"] > 0]).to_numpy(float)
            for setting, who in (("all users", np.ones(len(table))), ("equal coverage", explained)):
                for system, weight in picks.items():
                    rows += self._rows(model.name, system, setting, table, weight * who, best)
        return _causal.beside_paper("causal-rules-beyond", rows, self.paper)

    def picks(self, table: pd.DataFrame) -> dict[str, np.ndarray]:
        """Float[N] for each system: the weight of each (person, history item)."""
        import numpy as np

        threshold = _causal.THRESHOLD.get(self.data.source.name, 0.1)
        passes = (table[list(_causal.FILTERS)].min(axis=1) >= threshold).to_numpy()
        every = np.ones(len(table), bool)
        found = {
            "causal-rules": _causal.cause(table, 1),
            "association": _causal.first(table, table["confidence"], passes),
            "largest-difference": _causal.first(table, table["difference"], table["difference"].notna()),
            "random-item": 1.0 / table.groupby("person")["back"].transform("size").to_numpy(float),
            "most-recent": _causal.first(table, -table["back"], every),
            "most-popular": _causal.first(table, table["popularity"], every),
            "gradient-x-input": _causal.first(table, table["gradient"], table["gradient"].notna()),
            "leave-one-out": _causal.first(table, table["margin"], every),
        }
        return {name: weight for name, weight in found.items() if name == "association" or weight.any()}

    def _rows(
        self, model: str, system: str, setting: str, table: pd.DataFrame, weight: np.ndarray, best: np.ndarray
    ) -> list[dict[str, Any]]:
        import numpy as np

        values = {
            "delete": table["delete"],
            "replace_random": table["random"],
            "replace_matched": table["matched"],
            "effect": table["effect"],
            "verified_share": table["difference"] > 0,
            "fresh_verified_share": table["fresh_difference"] > 0,
            "same_as_best": best,
            "most_recent": table["back"] == 0,
        }
        rows = []
        for metric, value in values.items():
            numbers = _causal.measured(table, weight, np.asarray(value, float))
            if numbers["n"]:
                rows.append(_causal.head(self, model, system, setting, metric) | numbers)
        return rows
