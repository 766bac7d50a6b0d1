"""Attention: how much the recommender looks at each history item."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from recx.core.progress import Progress, quiet
from recx.core.recipe import param
from recx.explainers._explanation import Finding
from recx.explainers._ranked import ranked
from recx.worlds.edited import EditedWorld


@dataclass(frozen=True)
class Attention:
    """Attention: the history items that the recommender looks at most.

    The attention weights of the state that scores the items, on each history item, mean over heads. They are the same
    for every item recommended to a person, and whether attention explains is disputed (Jain & Wallace, NAACL 2019;
    Wiegreffe & Pinter, EMNLP 2019): the check says what these items really do. `rollout` follows the weights through
    all layers (Abnar & Zuidema, ACL 2020). Weights that do not sum to one (NARM, STAMP) are shares of their absolute
    sum.
    """

    layers: str = param(
        "last",
        "last: the last layer's weights; mean: of all layers; rollout: followed through all layers",
        choices=("last", "mean", "rollout"),
    )
    paper: ClassVar[str] = "compare Jain & Wallace, NAACL 2019"
    needs_of_world: ClassVar[frozenset[str]] = frozenset({"attention"})

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
        """Findings with the attention on each item, 0..1, as its weight; an item outside the window has 0."""
        start = time.perf_counter()
        people, place = torch.unique(row, return_inverse=True)
        values = world.attention(people, self.layers)[place]
        said = "items by the attention on them"
        return ranked(world, row, target, k, values, said=said, calls=1, start=start, progress=progress)
