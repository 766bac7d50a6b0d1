"""Nearest neighbours: the history items that lie nearest to the target in the recommender's own space of items."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch.nn import functional as F

from recx.core.progress import Progress, quiet
from recx.core.recipe import param
from recx.explainers._explanation import Finding
from recx.explainers._ranked import ranked
from recx.worlds.edited import EditedWorld

CELLS = 2**25
"""Entries of the history items' vectors that are held at a time."""


@dataclass(frozen=True)
class Knn:
    """Nearest items: the history items most like the recommended one, as the recommender sees them.

    The baseline "KNN" of the counterfactual surrogate papers, which name the three history items nearest to the target
    by the distance of item vectors. Here the set is as long as it must be, and all items keep their similarity. Item
    vectors are those that score an item (the output side of a network); for item-item models an item's column of
    weights. That two items are alike does not say that one made the other be recommended: the check does.
    """

    distance: str = param(
        "cosine",
        "cosine: the angle between item vectors; euclidean: minus the distance between them",
        choices=("cosine", "euclidean"),
    )
    paper: ClassVar[str] = "baseline of the counterfactual surrogate papers"
    needs_of_world: ClassVar[frozenset[str]] = frozenset({"embeddings"})

    def explain(
        self,
        world: EditedWorld,
        row: torch.Tensor,
        target: torch.Tensor,
        k: int,
        *,
        seed: int = 0,
        get: Any = None,
        progress: Progress = quiet,
    ) -> list[Finding]:
        """Findings with the similarity of each item to the target as its weight: cosine, or minus the distance."""
        start = time.perf_counter()
        vectors = world.embeddings()
        items = world.histories[row].clamp_min(0)
        values = torch.empty(items.shape, device=row.device)
        size = max(1, CELLS // (items.shape[1] * vectors.shape[1]))
        for part in torch.arange(len(row), device=row.device).split(size):
            own, other = vectors[items[part]], vectors[target[part]]
            if self.distance == "cosine":
                values[part] = F.cosine_similarity(own, other[:, None], dim=2)
            else:
                values[part] = -(own - other[:, None]).norm(dim=2)
        return ranked(
            world, row, target, k, values, said="items by their likeness to it", start=start, progress=progress
        )
