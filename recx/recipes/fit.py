"""Fitting a recommender and measuring it, as recipes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from recx.core.progress import Progress
from recx.core.recipe import Named
from recx.recipes._recipe import Get, Recipe
from recx.recipes.data import Data, SplitData

if TYPE_CHECKING:
    from recx.models._scorer import Scorer


@dataclass(frozen=True)
class Fit:
    """A recommender learnt from the training part of a split. `device` does not change the key."""

    data: Data
    split: Named
    model: Named
    seed: int = 0
    device: str = field(default="auto", metadata={"key": False})
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "batch"

    @property
    def split_data(self) -> SplitData:
        return SplitData(self.data, self.split, self.seed)

    def needs(self) -> tuple[Recipe, ...]:
        return (self.split_data,)

    def run(self, get: Get, progress: Progress) -> Scorer:
        split = get(self.split_data)
        start = time.perf_counter()
        model = self.model.build()
        scorer = model.fit(split.train, valid=split.valid, seed=self.seed, device=self.device, progress=progress)
        spent = round(time.perf_counter() - start, 3)  # of a training that was resumed only the last part
        scorer.report |= {"seconds": max(spent, scorer.report.get("seconds", 0.0)), "device": str(scorer.device)}
        return scorer


@dataclass(frozen=True)
class Evaluate:
    """The accuracy of a fitted recommender on the test part, by full ranking, seen items removed."""

    fit: Fit
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "batch"

    def needs(self) -> tuple[Recipe, ...]:
        return (self.fit, self.fit.split_data)

    def run(self, get: Get, progress: Progress) -> dict[str, Any]:
        from recx.metrics.evaluate import evaluate

        return evaluate(get(self.fit), get(self.fit.split_data).test, progress=progress)


@dataclass(frozen=True)
class Chance:
    """The accuracy that a random order of the candidates has on the test part, on average: the floor under a model."""

    split_data: SplitData
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "interactive"

    def needs(self) -> tuple[Recipe, ...]:
        return (self.split_data,)

    def run(self, get: Get, progress: Progress) -> dict[str, Any]:
        from recx.metrics.evaluate import chance

        split = get(self.split_data)
        return chance(split.test, split.train.n_items)
