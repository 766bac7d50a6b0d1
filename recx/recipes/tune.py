"""Settings chosen on validation, then one read of the test part, person by person."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from recx.core.progress import Progress
from recx.core.recipe import Named
from recx.recipes._recipe import Get, Recipe
from recx.recipes.fit import Fit

if TYPE_CHECKING:
    import pandas as pd

    from recx.data.interactions import Heldout


@dataclass(frozen=True)
class Validate:
    """NDCG@10 of a fitted recommender on the validation part, by full ranking, seen items removed."""

    fit: Fit
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "batch"

    def needs(self) -> tuple[Recipe, ...]:
        return (self.fit, self.fit.split_data)

    def run(self, get: Get, progress: Progress) -> dict[str, Any]:
        from recx.metrics.evaluate import per_case

        values = per_case(get(self.fit), get(self.fit.split_data).valid, names=("ndcg@10",), progress=progress)
        return {"ndcg@10": float(values["ndcg@10"].mean())}


@dataclass(frozen=True)
class Tuned:
    """The best of several fits on validation, learnt again with a seed of its own, and judged on the test part.

    `fits` differ in their settings and were made with one seed; the test part is read once, after the choice.
    """

    fits: tuple[Fit, ...]
    seed: int
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "batch"

    def needs(self) -> tuple[Recipe, ...]:
        own = tuple(fit for fit in self.fits if fit.seed == self.seed)
        choice = tuple(Validate(fit) for fit in self.fits) if len(self.fits) > 1 else ()
        return (*choice, *own, self.fits[0].split_data)

    def run(self, get: Get, progress: Progress) -> pd.DataFrame:
        """One row per test case: user, hr@10, ndcg@10, and rank, candidates (one target each; else 0). The same in all
        rows: settings, valid (NDCG@10 of the choice), seconds, parameters, epochs, converged (-1 where unknown)."""
        best, quality = self._choice(get)
        fit = dataclasses.replace(best, seed=self.seed)
        scorer = get(fit) if fit == best else fit.run(get, progress)
        table = per_person(scorer, get(fit.split_data).test)
        report = scorer.report
        return table.assign(
            settings=" ".join(f"{name}={value}" for name, value in fit.model.settings),
            valid=quality,
            seconds=float(report.get("seconds", -1)),
            parameters=float(report.get("parameters", sum(value.numel() for value in scorer.tensors().values()))),
            epochs=float(report.get("epochs", -1)),
            converged=float(report.get("converged", -1)),
        )

    def _choice(self, get: Get) -> tuple[Fit, float]:
        if len(self.fits) == 1:
            return self.fits[0], float("nan")
        values = [get(Validate(fit))["ndcg@10"] for fit in self.fits]
        best = max(range(len(values)), key=values.__getitem__)
        return self.fits[best], values[best]


@dataclass(frozen=True)
class Entry:
    """One line of the table: a model, how it is trained, and the settings to choose from on validation."""

    system: str
    training: str
    candidates: tuple[Named, ...]
    random: bool
    """Whether another seed gives another model."""


def per_person(scorer: Any, cases: Heldout) -> pd.DataFrame:
    """user, hr@10, ndcg@10 of each case, and rank, candidates where each case has one target (0 otherwise)."""
    import pandas as pd

    from recx.metrics.evaluate import per_case, places

    found = {
        name: value.double().numpy() for name, value in per_case(scorer, cases, names=("hr@10", "ndcg@10")).items()
    }
    rank, candidates = (part.numpy() for part in places(scorer, cases)) if cases.targets.shape[1] == 1 else (0, 0)
    return pd.DataFrame({"user": cases.users} | found | {"rank": rank, "candidates": candidates})
