"""Most popular items, the same for everybody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from recx.core import device as devices
from recx.core.progress import Progress, quiet
from recx.data.interactions import Heldout, Interactions


@dataclass(frozen=True)
class TopPop:
    """Most popular: the items with the most events, the same for everybody."""

    paper: ClassVar[str] = "floor"

    def fit(
        self,
        data: Interactions,
        *,
        valid: Heldout | None = None,
        seed: int = 0,
        device: str = "auto",
        progress: Progress = quiet,
    ) -> Popularity:
        """Count the events of each item."""
        place = devices.resolve(device)
        return Popularity(torch.as_tensor(data.popularity, dtype=torch.float32, device=place))


class Popularity:
    """Scores that do not look at the history: `counts` Float[n_items]."""

    exact_scores: ClassVar[bool] = True
    edited_history: ClassVar[str] = "The history is not used: no edit changes a score."

    def __init__(self, popularity: torch.Tensor) -> None:
        self.popularity, self.n_items, self.device = popularity, len(popularity), popularity.device
        self.report: dict[str, Any] = {"converged": True}

    def score(
        self, histories: torch.Tensor, users: torch.Tensor | None = None, items: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Float[B, n_items or T]: the number of events of each item."""
        if items is not None:
            return self.popularity[items]
        return self.popularity.expand(len(histories), -1).clone()

    def tensors(self) -> dict[str, torch.Tensor]:
        return {"popularity": self.popularity}

    def settings(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_tensors(cls, tensors: dict[str, torch.Tensor], settings: dict[str, Any]) -> Popularity:
        return cls(tensors["popularity"])
