"""LIME: a linear model of the recommender in the neighbourhood of one history."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from recx.core.progress import Progress, part_of, quiet
from recx.core.recipe import param
from recx.explainers._coalitions import VALUE_TEXT, VALUES, People, people, subsets, values_of
from recx.explainers._explanation import Finding
from recx.explainers._ranked import ranked
from recx.worlds.edited import EditedWorld


@dataclass(frozen=True)
class Lime:
    """LIME: a weighted linear model of how the score depends on which history items are there.

    Ribeiro, Singh & Guestrin, KDD 2016, Eq. 1-2, with what their code does for words of a text: the number of items
    taken out is uniform on 1..n, the items at random; each edited history counts by exp(-d^2 / width^2) ^ (1/2), d
    being 1 minus the cosine between it and the whole history; ridge regression with an intercept, every item its own
    feature. LIME-RS (Nobrega & Marinho, SAC 2019) brought LIME to recommenders with item attributes as features; with
    history items as features it is a baseline of LXR and others, who draw 150 histories for all items: too few for a
    user with 65 items, the median of ML-100K; here the default is 1,000. Numbers taken out are spread evenly instead
    of drawn, which only lowers the noise.
    """

    samples: int = param(1000, "Edited histories for one person", unit="runs", low=4, high=1_000_000)
    width: float = param(0.25, "Width of the neighbourhood, in cosine distance", low=0.01, high=100.0)
    l2: float = param(1.0, "Ridge penalty", low=0.0, high=1e6)
    value: str = param("score", VALUE_TEXT, choices=VALUES)
    paper: ClassVar[str] = "Ribeiro et al., KDD 2016"
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
        """Findings with the coefficients of the linear model, in units of the value, as weights.

        A set's predicted effect is the sum of its coefficients. All targets of a person share the runs.
        """
        start = time.perf_counter()
        values = torch.zeros(len(row), world.histories.shape[1], dtype=torch.float64)
        done = 0
        for group in people(world, row, target, self.samples + 1):
            found = self._coefficients(world, group, k, seed)
            values[group.pairs.cpu(), -group.here.shape[1] :] = found[group.at]
            done += len(group.pairs)
            progress(0.8 * done / len(row), f"{done:,} of {len(row):,} pairs measured")
        return ranked(
            world,
            row,
            target,
            k,
            values,
            said=f"items by a linear model of {self.samples:,} edited histories",
            start=start,
            calls=self.samples + 1,
            additive=True,
            progress=part_of(progress, 0.8, 1.0),
        )

    def _coefficients(self, world: EditedWorld, group: People, k: int, seed: int) -> torch.Tensor:
        """float64[R, T, L]: weighted ridge regression of the value on what is there."""
        n = group.here.sum(1)
        spread = (torch.arange(self.samples, device=n.device) * n[:, None]) // self.samples
        keep = torch.cat([group.here[:, None], subsets(group.here, spread, seed)], dim=1)
        worth = values_of(world, group, keep, k, self.value)
        keep, n, absent = keep.cpu(), n.cpu(), ~group.here.cpu()
        x, size = keep.double(), keep.sum(2).double()
        distance = 1 - (size / n[:, None]).sqrt()
        weight = torch.exp(-distance.square() / self.width**2).sqrt()[:, :, None]
        total = weight.sum(1, keepdim=True)
        x = x - (weight * x).sum(1, keepdim=True) / total
        y = worth - (weight * worth).sum(1, keepdim=True) / total
        weighted = (weight * x).mT
        gram = weighted @ x + torch.diag_embed(self.l2 + 1e-9 + absent.double())
        return torch.linalg.solve(gram, weighted @ y).mT
