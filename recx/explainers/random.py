"""Random order: the control that every explainer has to beat."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from recx.core.progress import Progress, quiet
from recx.explainers._explanation import Finding
from recx.explainers._ranked import ranked
from recx.worlds.edited import EditedWorld


@dataclass(frozen=True)
class Random:
    """Random order: history items taken out in an order drawn by lot, as a control.

    Ours. What an explainer finds means something only as far as it beats this. The lot of an item depends on the seed,
    the item and the target alone: other people, and other items of the history, shift nothing.
    """

    paper: ClassVar[str] = "control"
    needs_of_world: ClassVar[frozenset[str]] = frozenset()

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
        """Findings with each item's lot, uniform in 0..1, as its weight."""
        start = time.perf_counter()
        values = lots(seed, world.histories[row].cpu().numpy(), target.cpu().numpy()[:, None])
        return ranked(
            world,
            row,
            target,
            k,
            torch.as_tensor(values, device=row.device),
            said="items in an order drawn by lot",
            start=start,
            progress=progress,
        )


def lots(seed: int, items: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """float64 in [0, 1), of the broadcast shape: a mixture of seed, item and target (SplitMix64)."""
    state = np.full(1, seed % 2**64, np.uint64)
    with np.errstate(over="ignore"):
        for part in (items, targets):
            state = state + part.astype(np.int64).astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
            state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            state = state ^ (state >> np.uint64(31))
    return (state >> np.uint64(11)).astype(np.float64) / 2.0**53
