"""Data, prepared and split, as recipes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from recx.core.progress import Progress
from recx.core.recipe import Named
from recx.recipes._recipe import Get, Recipe

if TYPE_CHECKING:
    from recx.data.interactions import Interactions, Split


@dataclass(frozen=True)
class Data:
    """A data set after its thresholds: events rated above one, items and users with enough of them."""

    source: Named
    rating_above: float | None = None
    min_user: int = 1
    min_item: int = 1
    keep: ClassVar[str] = "memory"
    lane: ClassVar[str] = "interactive"

    def needs(self) -> tuple[Recipe, ...]:
        return ()

    def run(self, get: Get, progress: Progress) -> Interactions:
        from recx.data.interactions import prepare

        progress(0.0, f"reading {self.source.name}")
        data = self.source.build().load()
        return prepare(data, rating_above=self.rating_above, min_user=self.min_user, min_item=self.min_item)


@dataclass(frozen=True)
class SplitData:
    """What a model may learn from, is selected on, and is judged by."""

    data: Data
    split: Named
    seed: int = 0
    keep: ClassVar[str] = "memory"
    lane: ClassVar[str] = "interactive"

    def needs(self) -> tuple[Recipe, ...]:
        return (self.data,)

    def run(self, get: Get, progress: Progress) -> Split:
        return self.split.build().split(get(self.data), self.seed)
