"""Random order: what a recommender scores that knows nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from recx.core import device as devices
from recx.core.progress import Progress, quiet
from recx.data.interactions import Heldout, Interactions


@dataclass(frozen=True)
class Random:
    """Random: a random order of the items for each person, always the same.

    The scores of a person are the outputs of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014) started at a number that
    follows from the seed and the person. The history is not used, so an edit changes nothing. People who are not known
    are one person to it and share one order: where a split holds people out entirely, its accuracy is a single draw.
    """

    paper: ClassVar[str] = "floor"

    def fit(
        self,
        data: Interactions,
        *,
        valid: Heldout | None = None,
        seed: int = 0,
        device: str = "auto",
        progress: Progress = quiet,
    ) -> Shuffled:
        """Nothing is learnt: the seed is kept."""
        return Shuffled(torch.tensor([seed], device=devices.resolve(device)), data.n_items)


class Shuffled:
    """Scores drawn by (seed, person, item), uniform from 0 to 1. `seed` Long[1]."""

    exact_scores: ClassVar[bool] = True
    edited_history: ClassVar[str] = "The history is not used: no edit changes a score."

    def __init__(self, seed: torch.Tensor, n_items: int) -> None:
        self.seed, self.n_items, self.device = seed, n_items, seed.device
        self.report: dict[str, Any] = {"converged": True}

    def score(
        self, histories: torch.Tensor, users: torch.Tensor | None = None, items: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Float[B, n_items or T], multiples of 2^-24; an unknown person is -1."""
        if users is None:
            users = torch.full((len(histories),), -1, device=self.device)
        start = splitmix64(self.seed, users + 1)[:, None]
        if items is None:
            items = torch.arange(self.n_items, device=self.device)[None]
        return _shifted(splitmix64(start, items), 40).float() / 2**24

    def tensors(self) -> dict[str, torch.Tensor]:
        return {"seed": self.seed}

    def settings(self) -> dict[str, Any]:
        return {"n_items": self.n_items}

    @classmethod
    def from_tensors(cls, tensors: dict[str, torch.Tensor], settings: dict[str, Any]) -> Shuffled:
        return cls(tensors["seed"], settings["n_items"])


def splitmix64(state: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
    """The outputs at `place` Long (0 for the first) of SplitMix64 streams started at `state` Long, broadcast.

    64 bits each, as signed integers: sums and products wrap around.
    """
    x = state + (place + 1) * _signed(0x9E3779B97F4A7C15)
    x = (x ^ _shifted(x, 30)) * _signed(0xBF58476D1CE4E5B9)
    x = (x ^ _shifted(x, 27)) * _signed(0x94D049BB133111EB)
    return x ^ _shifted(x, 31)


def _shifted(x: torch.Tensor, by: int) -> torch.Tensor:
    """The bits of x moved right by `by`, zeros from the left (>> alone repeats the sign)."""
    return (x >> by) & ((1 << (64 - by)) - 1)


def _signed(number: int) -> int:
    """The signed 64-bit integer of the same bits."""
    return number - (1 << 64)
