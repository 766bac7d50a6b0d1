"""The association rules of a whole data set: who has one item often has the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from recx.core.errors import BadInput
from recx.core.progress import Progress
from recx.core.recipe import Named
from recx.recipes._recipe import Get, Recipe
from recx.recipes.fit import Fit
from recx.recipes.people import item_row


@dataclass(frozen=True)
class GlobalRules:
    """The `most` strongest rules of one item each over the training histories, at an association's thresholds.

    `explainer`: `association` with its settings; its field `by` is the order. The model is asked only where its
    transactions hold a recommendation.
    """

    fit: Fit
    explainer: Named
    most: int = 100
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "interactive"

    def needs(self) -> tuple[Recipe, ...]:
        return (self.fit.split_data, self.fit)

    def run(self, get: Get, progress: Progress) -> dict[str, Any]:
        """`histories`, `passing` (rules that pass the thresholds), `rules`: rows with item, title, target, target_title
        and the measures of `explainers.association.measures`. Raises BadInput for another explainer or no rows."""
        import torch

        from recx.explainers.association import global_rules, transactions
        from recx.worlds.edited import EditedWorld

        if self.explainer.name != "association":
            raise BadInput(f"{self.explainer.name} has no rules of a whole data set: use association.")
        if self.most < 1:
            raise BadInput(f"most={self.most} rules cannot be shown: ask for at least 1.")
        recipe, train = self.explainer.build(), get(self.fit.split_data).train
        world = EditedWorld(get(self.fit), torch.full((1, 1), -1), population=train)
        people = transactions(world, recipe.transactions)
        progress(0.5, f"counting pairs over {people.shape[0]:,} histories")
        table = global_rules(
            people, recipe.min_support, recipe.min_confidence, recipe.min_lift, by=recipe.by, most=self.most
        )
        rows = [self._row(train, rule) for rule in table.to_dict("records")]
        return {"histories": people.shape[0], "passing": table.attrs["passing"], "rules": rows}

    def _row(self, data: Any, rule: dict[str, Any]) -> dict[str, Any]:
        item, target = (item_row(data, int(rule.pop(name))) for name in ("item", "target"))
        head = {"item": item["item"], "title": item["title"]}
        return head | {"target": target["item"], "target_title": target["title"]} | rule
