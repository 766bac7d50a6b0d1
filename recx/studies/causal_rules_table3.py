"""Causal rules, Table 3: how many rules hold in the records they were learnt from, and in fresh ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from recx.core.progress import Progress
from recx.core.recipe import Named, param
from recx.recipes._recipe import Get, Recipe
from recx.recipes.data import Data
from recx.studies import _causal

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class CausalRulesTable3:
    """Causal rules Table 3: for how many rules the recommendation is likelier with the cause than without.

    Xu et al. 2021, Section 4.3, Eq. 2 and 3: `verified_share` is the share of explained users with P(Y | H in the
    history) > P(Y | H not in it), counted over the m + 1 records that the rule was learnt from (a cause that is in all
    or none of them is not verified). Beside it what the paper does not do: `fresh_verified_share`, the same on 500
    perturbed histories drawn afterwards; `fresh_sure_share`, the share whose interval of that difference lies above 0;
    `effect`, the mean over users of P(Y | the item put back) - P(Y | replaced), the same perturbed history run both
    ways. `placebo`: the same for a random item of the history; where that is near the rules, Eq. 2 says little (items
    are perturbed together, so one that merely stays with the cause passes). `causal-rules-beyond` has more controls.

    Intervals: 95 %, bootstrap over users. Deviations: as `causal-rules-table2`.
    """

    data: Data
    recommenders: tuple[Named, ...]
    explainer: Named
    users: int = param(943, "Test users explained [all of the paper's data sets]", unit="users", low=1, high=100_000)
    seeds: int = param(1, "Runs with their own fits and perturbations", low=1, high=100)
    name: ClassVar[str] = "causal-rules-table3"
    paper: ClassVar[str] = "causal-rules"
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "batch"
    lines: ClassVar[tuple[str, ...]] = ("system", "recommender")
    default_dataset: ClassVar[str] = "ml-100k"
    small: ClassVar[dict[str, Any]] = {"users": 40}

    @classmethod
    def of(cls, **words: Any) -> CausalRulesTable3:
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
            values = {
                "verified_share": table["difference"] > 0,
                "fresh_verified_share": table["fresh_difference"] > 0,
                "fresh_sure_share": table["fresh_difference_low"] > 0,
                "effect": table["effect"],
            }
            for k in _causal.KS:
                weight = _causal.cause(table, k)
                explained = table["person"].isin(table["person"][weight > 0]).to_numpy(float)
                for metric, value in values.items():
                    row = _causal.head(self, model.name, "causal-rules", f"k={k}", metric)
                    own = _causal.measured(table, weight, np.asarray(value, float))
                    chance = _causal.measured(table, explained, np.asarray(value, float))["measured"]
                    rows.append(row | own | {"placebo": chance})
            rows += _causal.changed(self, model, table)
        return _causal.beside_paper("Table 3", rows)
