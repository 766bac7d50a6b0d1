"""Causal rules, Figure 5: two people, one association rule for both, two different causes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from recx.core.progress import Progress
from recx.core.recipe import Named, param
from recx.recipes._recipe import Get, Recipe
from recx.recipes.data import Data
from recx.recipes.rule_cases import RuleCases
from recx.studies import _causal

if TYPE_CHECKING:
    import pandas as pd

CASE_COLUMNS = (
    *("user_a", "user_b", "target", "target_title", "shared", "shared_title", "cause_a", "cause_a_title"),
    *("cause_b", "cause_b_title", "history_a", "history_b", "confidence", "lift"),
    *("confirmed_a", "confirmed_b", "shared_confirmed_a", "shared_confirmed_b"),
)
"""Columns of the rows of single cases, beside those of `_rows.COLUMNS`; histories have " ; " between."""


@dataclass(frozen=True)
class CausalRulesCases:
    """Causal rules Figure 5: two users with the same recommendation and association rule and different causes.

    One row per pair of users (metric `case`, `recipes/rule_cases.py`): the item of the association rule, which both
    have, each one's cause, the five titles of each history, and whether the recommendation really changes when the
    cause, or the shared item, is deleted. Summary rows: `pairs` found, of at most `most`, and the shares of them in
    which both causes are confirmed, and in which the shared item is confirmed for both. An example shows that the rules
    can differ, not that either is true: the check says that.
    """

    data: Data
    recommenders: tuple[Named, ...]
    explainer: Named
    users: int = param(
        943, "Test users looked through [all of the paper's data sets]", unit="users", low=1, high=100_000
    )
    seeds: int = param(1, "Not used: one fit of each recommender", low=1, high=1)
    most: int = param(50, "Pairs shown for each recommender", unit="pairs", low=1, high=10_000)
    name: ClassVar[str] = "causal-rules-cases"
    paper: ClassVar[str] = "causal-rules"
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "batch"
    lines: ClassVar[tuple[str, ...]] = ("system", "recommender")
    default_dataset: ClassVar[str] = "ml-100k"
    small: ClassVar[dict[str, Any]] = {"users": 40}

    @classmethod
    def of(cls, **words: Any) -> CausalRulesCases:
        """The study from the words a user types (`_causal.build`)."""
        return _causal.build(cls, **words)

    def part(self, model: Named) -> RuleCases:
        """The finder for one recommender."""
        threshold = _causal.THRESHOLD.get(self.data.source.name, 0.1)
        return RuleCases(_causal.fit_of(self, model, 0), self.explainer, self.users, threshold, self.most)

    def needs(self) -> tuple[Recipe, ...]:
        parts = [self.part(model) for model in self.recommenders]
        return tuple(dict.fromkeys((*parts, *(part.fit.split_data for part in parts))))

    def run(self, get: Get, progress: Progress) -> pd.DataFrame:
        """Tidy rows with the columns of `_rows.COLUMNS` and CASE_COLUMNS; cases have `seed` 0, summaries none."""
        from recx.studies._rows import plain

        rows: list[dict[str, Any]] = []
        for model in self.recommenders:
            part, head = self.part(model), self._head(model)
            found, n = get(part), min(self.users, len(get(part.fit.split_data).test))
            rows.append(head | {"metric": "pairs", "measured": len(found), "unit": "count", "n": n, "seed": None})
            for metric in ("confirmed", "shared_confirmed"):
                both = found[f"{metric}_a"].astype(bool) & found[f"{metric}_b"].astype(bool)
                value = 100 * float(both.mean()) if len(found) else None
                rows.append(head | {"metric": metric, "measured": value, "unit": "%", "n": len(found), "seed": None})
            for case in found.to_dict("records"):
                texts = {f"history_{side}": " ; ".join(case[f"history_{side}"]) for side in ("a", "b")}
                rows.append(head | {"metric": "case", "seed": 0} | case | texts)
        return plain("causal-rules", rows, CASE_COLUMNS).assign(table="Figure 5")

    def _head(self, model: Named) -> dict[str, Any]:
        return _causal.head(self, model.name, "causal-rules", "k=1", "")
