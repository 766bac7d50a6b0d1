"""Integrated gradients: each history item's effect, added up along the way from no history to the whole one."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from recx.core.progress import Progress, part_of, quiet
from recx.core.recipe import param
from recx.explainers._coalitions import VALUES
from recx.explainers._explanation import Finding
from recx.explainers._layout import Layout
from recx.explainers._ranked import ranked
from recx.worlds.edited import EditedWorld

GAP = 0.05
"""The values may miss the difference of the scores by this share of the sum of their sizes."""


@dataclass(frozen=True)
class IntegratedGradients:
    """Integrated gradients: the slope of the score in each item, added up from no history to all of it.

    Sundararajan, Taly & Yan, ICML 2017, Eq. 1: the slope of the score in how much of item j is there, integrated over
    all items being there by the same share, from 0 (empty history) to 1; Gauss-Legendre nodes instead of their equal
    steps. The values sum to score(history) - score(empty history); `details["gap"]` is by how much they do not. Where a
    model divides its input by its length (Mult-VAE), the length of the whole history is kept on the way: otherwise all
    of the effect would be one jump at the empty history. Where positions are interpolated (SASRec) the slope has
    corners, and the gap shrinks slowly: so for a pair whose gap is more than 5 % of the sum of its values' sizes, the
    points are doubled as long as `most` allows (Mult-VAE, GRU4Rec: never; their gap is rounding). `margin`: the
    target's score minus that of the first item outside the unedited list.
    """

    steps: int = param(50, "Points on the way from no history to all of it", low=1, high=10_000)
    most: int = param(
        800, "Points are doubled up to this number while the values do not sum to the difference", low=1, high=100_000
    )
    value: str = param(
        "score", "score: the target's own; margin: minus that of the first item outside the list", choices=VALUES
    )
    paper: ClassVar[str] = "Sundararajan et al., ICML 2017"
    needs_of_world: ClassVar[frozenset[str]] = frozenset({"soft"})

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
        """Findings with each item's share of the score as its weight; a set's predicted effect is their sum.

        `details`: `gap` in score units, `points` of the last way.
        """
        start = time.perf_counter()
        if not len(row):
            return []
        values, difference = self._values(world, row, target, k, self.steps, part_of(progress, 0.0, 0.5))
        points = torch.full((len(row),), self.steps)
        spent, steps = points.clone(), self.steps
        while 2 * steps <= self.most:
            gap = (values.sum(1) - difference).abs()
            again = torch.nonzero(gap > GAP * values.abs().sum(1))[:, 0]
            if not len(again):
                break
            steps *= 2
            here, told = again.to(row.device), part_of(progress, 0.9 - 0.4 / (steps / self.steps), 0.9)
            values[again], _ = self._values(world, row[here], target[here], k, steps, told)
            points[again] = steps
            spent[again] += steps
        gap = (values.sum(1) - difference).abs()
        return ranked(
            world,
            row,
            target,
            k,
            values,
            said="items by the slope of the score from no history to all of it",
            start=start,
            calls=spent * (1 + (self.value == "margin")) + 2,
            additive=True,
            details=[{"gap": one, "points": n} for one, n in zip(gap.tolist(), points.tolist(), strict=True)],
            progress=part_of(progress, 0.9, 1.0),
        )

    def _values(
        self, world: EditedWorld, row: torch.Tensor, target: torch.Tensor, k: int, steps: int, progress: Progress
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """float64[P, L] and float64[P] as `_path`, of the value that is explained."""
        if self.value == "score":
            return self._path(world, row, target, steps, progress)
        values, difference = self._path(world, row, target, steps, part_of(progress, 0.0, 0.5))
        rival = world.top_k(row, None, k + 1)[0][:, -1]
        other, apart = self._path(world, row, rival, steps, part_of(progress, 0.5, 1.0))
        return values - other, difference - apart

    def _path(
        self, world: EditedWorld, row: torch.Tensor, target: torch.Tensor, steps: int, progress: Progress
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """float64[P, L]: the integral for each column; float64[P]: score(history) - score(empty history)."""
        layout = Layout.of(world, row, target)
        score = world.soft([(group.rows, group.targets) for group in layout.groups], straight=True)
        here, total = layout.here.float(), torch.zeros(len(layout.here), dtype=torch.float64)
        nodes, shares = np.polynomial.legendre.leggauss(steps)
        for step, (node, share) in enumerate(zip((nodes + 1) / 2, shares / 2, strict=True)):
            keep = (here * float(node)).requires_grad_()
            height = torch.stack([part.sum() for part in score(layout.views(keep))]).sum()
            total += float(share) * torch.autograd.grad(height, keep)[0].cpu()
            progress(step / steps, f"point {step:,} of {steps:,}, {len(row):,} pairs")
        values = torch.zeros(len(row), world.histories.shape[1], dtype=torch.float64)
        for group, block in zip(layout.groups, layout.views(total * here.cpu()), strict=True):
            values[group.pairs.cpu(), -block.shape[2] :] = block[group.slot[0].cpu(), group.slot[1].cpu()]
        full, wanted = world.histories[row] >= 0, target[:, None]
        ends = world.scores(row, full, wanted) - world.scores(row, torch.zeros_like(full), wanted)
        return values, ends[:, 0].cpu().double()
