"""What a training came to: its report, what the model makes of an edited history, its accuracy beside the floors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from recx.core.progress import Progress
from recx.core.recipe import Named
from recx.recipes._recipe import Get, Recipe
from recx.recipes.fit import Chance, Evaluate, Fit

FLOOR = Named("models", "toppop")


@dataclass(frozen=True)
class About:
    """What a fitted recommender says of itself; read without loading its tensors once it is stored."""

    fit: Fit
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "interactive"

    def needs(self) -> tuple[Recipe, ...]:
        return (self.fit,)

    def run(self, get: Get, progress: Progress) -> dict[str, Any]:
        """`report` (seconds, device, converged, curve... as they apply), `edited_history`, `exact_scores`."""
        scorer = get(self.fit)
        return {
            "report": dict(scorer.report),
            "edited_history": scorer.edited_history,
            "exact_scores": scorer.exact_scores,
        }


@dataclass(frozen=True)
class Trained:
    """A training from beginning to end: fitted, measured, and put beside popularity and chance."""

    fit: Fit
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "batch"

    @property
    def popular(self) -> Fit:
        """The floor that is itself a model."""
        return replace(self.fit, model=FLOOR)

    def needs(self) -> tuple[Recipe, ...]:
        return (
            self.fit,
            About(self.fit),
            Evaluate(self.fit),
            Evaluate(self.popular),
            Chance(self.fit.split_data),
        )

    def run(self, get: Get, progress: Progress) -> dict[str, Any]:
        """What `About` says, with `metrics` and `floors` ({"toppop": ..., "chance": ...})."""
        return get(About(self.fit)) | {
            "metrics": get(Evaluate(self.fit)),
            "floors": {"toppop": get(Evaluate(self.popular)), "chance": get(Chance(self.fit.split_data))},
        }
