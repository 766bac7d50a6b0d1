"""How small a set can be at all, by trying every one: the yardstick of every explainer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from recx.core.progress import Progress
from recx.recipes._pairs import pairs
from recx.recipes._recipe import Get, Recipe
from recx.recipes.fit import Fit

if TYPE_CHECKING:
    import pandas as pd

LIMIT = 18
"""The longest history whose sets are all tried (262,143 of them)."""


@dataclass(frozen=True)
class Optimum:
    """The size of the smallest set that meets a goal, for the pairs of `Judge`; convention `app`.

    `goal`: "necessary" (without it the item leaves the top k) or "both" (and it alone recommends it).
    """

    fit: Fit
    k: int
    first: int
    last: int
    goal: str
    part: str = "test"
    limit: int = LIMIT
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "batch"

    def needs(self) -> tuple[Recipe, ...]:
        return (self.fit.split_data, self.fit)

    def run(self, get: Get, progress: Progress) -> pd.DataFrame:
        """One row per pair: user, target, `smallest` (0: no set does it; -1: the history is longer than `limit`)."""
        import pandas as pd

        from recx.explainers._optimum import smallest_sizes

        world, row, target, _ = pairs(self, get)
        sizes = smallest_sizes(world, row, target, self.k, self.goal, limit=self.limit, progress=progress)
        return pd.DataFrame({"user": row.cpu(), "target": target.cpu(), "smallest": sizes.cpu()})
