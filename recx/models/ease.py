"""EASE: an item-item linear autoencoder with a closed form (Steck, WWW 2019)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from recx.core import device as devices
from recx.core.progress import Progress, quiet
from recx.core.recipe import param
from recx.data.interactions import PAD, Heldout, Interactions
from recx.data.pairs import pair_counts


@dataclass(frozen=True)
class Ease:
    """EASE: item-item weights in closed form.

    Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019, Eq. 8: with P = (X^T X + l2 I)^-1,
    B_ij = -P_ij / P_jj off the diagonal and 0 on it; the scores of a history x are x B.
    """

    l2: float = param(250.0, "Ridge penalty on the item-item weights", low=1e-6, high=1e9)
    paper: ClassVar[str] = "Steck, WWW 2019"
    grid: ClassVar[dict[str, tuple[Any, ...]]] = {"l2": (50.0, 250.0, 1000.0)}

    def fit(
        self,
        data: Interactions,
        *,
        valid: Heldout | None = None,
        seed: int = 0,
        device: str = "auto",
        progress: Progress = quiet,
    ) -> ItemWeights:
        """One inverse of an [n_items, n_items] matrix, in double precision."""
        progress(0.0, "counting pairs of items")
        gram = torch.as_tensor(pair_counts(data), dtype=torch.float64).to(devices.resolve(device))
        gram.diagonal().add_(self.l2)
        progress(0.2, "inverting")
        inverse = torch.linalg.inv(gram)
        weights = -inverse / inverse.diagonal()
        weights.fill_diagonal_(0.0)
        progress(1.0, "done")
        return ItemWeights(weights.float())


class ItemWeights:
    """Scores of a history: the sum of its items' rows of `weights` Float[n_items, n_items]."""

    exact_scores: ClassVar[bool] = True
    edited_history: ClassVar[str] = "Each history item adds its own row of weights: an edit drops exactly that row."

    def __init__(self, weights: torch.Tensor) -> None:
        self.weights, self.n_items, self.device = weights, len(weights), weights.device
        self.report: dict[str, Any] = {"converged": True}

    def score(
        self, histories: torch.Tensor, users: torch.Tensor | None = None, items: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Float[B, n_items or T]. A repeated item adds its row each time."""
        here = histories != PAD
        if items is not None:
            rows = histories.clamp_min(0)
            return (self.weights[rows[:, :, None], items[:, None, :]] * here[:, :, None]).sum(1)
        counts = torch.zeros(len(histories), self.n_items, device=self.device)
        counts.scatter_add_(1, histories.clamp_min(0), here.float())
        return counts @ self.weights

    def contributions(self, histories: torch.Tensor, users: torch.Tensor | None, items: torch.Tensor) -> torch.Tensor:
        """Float[B, T, L]: the weight of each history item for items Long[B, T]; PAD columns are 0."""
        weights = self.weights[histories.clamp_min(0)[:, None, :], items[:, :, None]]
        return weights * (histories != PAD)[:, None, :]

    def soft(
        self, groups: list[tuple[torch.Tensor, torch.Tensor]]
    ) -> Callable[[list[torch.Tensor]], list[torch.Tensor]]:
        """Score soft edits of the same histories many times: keeps Float[B, S, L] -> Float[B, S], per group.

        A group is (histories Long[B, L], targets Long[B, S]); the weights between them are gathered once, here.
        """
        weights = [
            self.weights[histories.clamp_min(0)[:, None, :], targets[:, :, None]] * (histories != PAD)[:, None, :]
            for histories, targets in groups
        ]
        return lambda keeps: [torch.linalg.vecdot(keep, w) for keep, w in zip(keeps, weights, strict=True)]

    def soft_score(self, histories: torch.Tensor, keep: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Float[B, S] of targets Long[B, S] under soft edits keep Float[B, S, L]."""
        return self.soft([(histories, targets)])([keep])[0]

    def item_vectors(self) -> torch.Tensor:
        """Float[n_items, n_items]: by item, the weight that each other item gives it."""
        return self.weights.t()

    def tensors(self) -> dict[str, torch.Tensor]:
        return {"weights": self.weights}

    def settings(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_tensors(cls, tensors: dict[str, torch.Tensor], settings: dict[str, Any]) -> ItemWeights:
        return cls(tensors["weights"])
