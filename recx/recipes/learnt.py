"""What an explainer learns once for a data set or a model, shared by all who explain with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from recx.core import registry
from recx.core.progress import Progress
from recx.core.recipe import Named
from recx.recipes._recipe import Get, Recipe
from recx.recipes.data import SplitData
from recx.recipes.fit import Fit


@dataclass(frozen=True)
class Learnt:
    """What `explainer` learns (`recx.explainers._learnt`) from a split alone, or from a fitted model too.

    `explainer` has only the settings that its learning depends on, so that explanations with other settings share it.
    `device` does not change the key.
    """

    source: SplitData | Fit
    explainer: Named
    seed: int = 0
    device: str = field(default="auto", metadata={"key": False})
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "batch"

    def needs(self) -> tuple[Recipe, ...]:
        return (self.source.split_data, self.source) if isinstance(self.source, Fit) else (self.source,)

    def run(self, get: Get, progress: Progress) -> Any:
        """What `learn` gives. Raises BadInput for a model that lacks what the explainer needs."""
        explainer = self.explainer.build()
        split = get(self.source.split_data if isinstance(self.source, Fit) else self.source)
        scorer = None
        if isinstance(self.source, Fit):
            scorer = get(self.source)
            _refuse_unable(self.explainer, explainer, self.source, scorer, split)
        return explainer.learn(split, scorer, seed=self.seed, device=self.device, progress=progress)


def _refuse_unable(named: Named, explainer: Any, fit: Fit, scorer: Any, split: Any) -> None:
    """The same sentence as when somebody is explained: learning comes first, so it must be said here."""
    import torch

    from recx.data.interactions import PAD
    from recx.recipes.explain import check_capabilities
    from recx.worlds.edited import EditedWorld

    world = EditedWorld(scorer, torch.full((1, 1), PAD), population=split.train)
    check_capabilities(named, explainer, fit, world)


def learnt_by(explainer: Named, fit: Fit) -> Learnt | None:
    """The recipe of what an explainer learns for a fit; None for one that learns nothing. Imports no explainer."""
    declared = registry.declared(explainer.kind, explainer.name)
    fields, settings = declared.get("learns_with"), dict(explainer.settings)
    if fields is None or any(settings.get(name) == value for name, value in declared.get("learns_unless", {}).items()):
        return None
    source = fit if declared.get("learns_from", "data") == "model" else fit.split_data
    kept = tuple((name, value) for name, value in explainer.settings if name in fields)
    return Learnt(source, Named(explainer.kind, explainer.name, kept), fit.seed, fit.device)


def needed_by(explainer: Named, fit: Fit) -> tuple[Recipe, ...]:
    """What an explainer needs beyond the world."""
    found = learnt_by(explainer, fit)
    return () if found is None else (found,)


def get_for(explainer: Named, fit: Fit, get: Get) -> Callable[[], Any] | None:
    """The `get` that an explainer receives: gives what it learnt; None for one that learns nothing."""
    found = learnt_by(explainer, fit)
    return None if found is None else lambda: get(found)
