"""ItemKNN: items close to those of the history, by the cosine of who has them (Sarwar et al., WWW 2001)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch.nn import functional as F

from recx.core import device as devices
from recx.core.progress import Progress, quiet
from recx.core.recipe import param
from recx.data.interactions import PAD, Heldout, Interactions
from recx.data.pairs import incidence
from recx.models.ease import ItemWeights

BLOCK = 2**23
"""Cells of a block of similarities in memory: 32 MB."""
DENSE_ITEMS = 4096
"""Up to so many items the weights are one square matrix (64 MB); beyond, only the neighbours of each are kept."""


@dataclass(frozen=True)
class ItemKnn:
    """ItemKNN: items chosen by the same people as the items of the history.

    Sarwar et al., "Item-based collaborative filtering recommendation algorithms", WWW 2001, on who has what, with the
    shrinkage of Ferrari Dacrema et al., RecSys 2019: s_ij = n_ij / (sqrt(n_i n_j) + shrink), n_ij people having both
    items, n_i and n_j either. The score of item j is the sum of s_ij over those of its nearest `neighbours` that are in
    the history.
    """

    neighbours: int = param(15, "Nearest items that count for the score of an item", unit="items", low=1, high=100_000)
    shrink: float = param(10.0, "Added to the denominator: distrust of pairs that few people have", low=0.0, high=1e6)
    paper: ClassVar[str] = "Sarwar et al., WWW 2001; Ferrari Dacrema et al., RecSys 2019"

    def fit(
        self,
        data: Interactions,
        *,
        valid: Heldout | None = None,
        seed: int = 0,
        device: str = "auto",
        progress: Progress = quiet,
    ) -> ItemWeights | Neighbours:
        """Similarities in blocks of items; of each item only the nearest are kept."""
        place = devices.resolve(device)
        nearest, weights = _nearest(data, self.neighbours, self.shrink, progress)
        if data.n_items > DENSE_ITEMS:
            return Neighbours(nearest.to(place), weights.to(place))
        square = torch.zeros(data.n_items, data.n_items).scatter_(1, nearest.long(), weights)
        return ItemWeights(square.t().contiguous().to(place))


def _nearest(
    data: Interactions, neighbours: int, shrink: float, progress: Progress
) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes Int[n_items, K] of the nearest items of each item, ascending, and their similarities Float[n_items, K].

    Fewer than K positive similarities leave cells of weight 0. Which of several equal ones at the edge is kept is open.
    """
    matrix = incidence(data)
    by_item = matrix.T.tocsr()
    sizes = np.maximum(by_item.sum(axis=1), 1).astype(np.float32)
    norms, k = np.sqrt(sizes), min(neighbours, data.n_items)
    nearest = torch.empty(data.n_items, k, dtype=torch.int32)
    weights = torch.empty(data.n_items, k)
    size = max(1, BLOCK // data.n_items)
    for start in range(0, data.n_items, size):
        progress(start / data.n_items, f"neighbours of {start:,} of {data.n_items:,} items")
        part = slice(start, start + size)
        both = (by_item[part] @ matrix).toarray()
        both[np.arange(len(both)), np.arange(start, start + len(both))] = 0.0
        both /= norms[part, None] * norms + np.float32(shrink)
        similar = torch.as_tensor(both)
        codes = torch.topk(similar, k, dim=1, sorted=False).indices.sort(1).values
        nearest[part], weights[part] = codes.int(), similar.gather(1, codes)
    progress(1.0, "done")
    return nearest, weights


class Neighbours:
    """Scores by the neighbours of each item: `nearest` Int[n_items, K] ascending, `weights` Float[n_items, K]."""

    exact_scores: ClassVar[bool] = True
    edited_history: ClassVar[str] = ItemWeights.edited_history

    def __init__(self, nearest: torch.Tensor, weights: torch.Tensor) -> None:
        self.nearest, self.weights, self.n_items, self.device = nearest, weights, len(nearest), nearest.device
        self.report: dict[str, Any] = {"converged": True}

    def score(
        self, histories: torch.Tensor, users: torch.Tensor | None = None, items: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Float[B, n_items or T]. A repeated item counts each time."""
        counts = torch.zeros(self.n_items, len(histories), device=self.device)
        counts.scatter_add_(0, histories.clamp_min(0).t(), (histories != PAD).float().t())
        if items is not None:
            found = counts.t()[torch.arange(len(items), device=self.device)[:, None, None], self.nearest[items].long()]
            return (found * self.weights[items]).sum(2)
        scores = F.embedding_bag(self.nearest, counts, mode="sum", per_sample_weights=self.weights)
        return scores.t().contiguous()

    def soft(
        self, groups: list[tuple[torch.Tensor, torch.Tensor]]
    ) -> Callable[[list[torch.Tensor]], list[torch.Tensor]]:
        """Score soft edits of the same histories many times: keeps Float[B, S, L] -> Float[B, S], per group.

        A group is (histories Long[B, L], targets Long[B, S]); the weights between them are looked up once, here.
        """
        weights = [self._between(histories, targets) for histories, targets in groups]
        return lambda keeps: [torch.linalg.vecdot(keep, w) for keep, w in zip(keeps, weights, strict=True)]

    def soft_score(self, histories: torch.Tensor, keep: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Float[B, S] of targets Long[B, S] under soft edits keep Float[B, S, L]."""
        return self.soft([(histories, targets)])([keep])[0]

    def contributions(self, histories: torch.Tensor, users: torch.Tensor | None, items: torch.Tensor) -> torch.Tensor:
        """Float[B, T, L]: what each history item adds to the scores of items Long[B, T]; PAD columns are 0."""
        return self._between(histories, items)

    def _between(self, histories: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Float[B, S, L]: what each item of a history Long[B, L] adds to the score of each target Long[B, S]."""
        nearest = self.nearest[targets].long()
        wanted = histories[:, None].expand(-1, targets.shape[1], -1).contiguous()
        place = torch.searchsorted(nearest, wanted).clamp_max(nearest.shape[2] - 1)
        return self.weights[targets].gather(2, place) * (nearest.gather(2, place) == wanted)

    def tensors(self) -> dict[str, torch.Tensor]:
        return {"nearest": self.nearest, "weights": self.weights}

    def settings(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_tensors(cls, tensors: dict[str, torch.Tensor], settings: dict[str, Any]) -> Neighbours:
        return cls(tensors["nearest"], tensors["weights"])
