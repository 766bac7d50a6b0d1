"""Caser: convolutions over the last few items, and a vector for the person (Tang & Wang, WSDM 2018)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional as F

from recx.core.recipe import param
from recx.data.interactions import PAD
from recx.models._sequence import Batch, SequenceRecipe, dropout, initialise, item_loss
from recx.models.fpmc import People


@dataclass(frozen=True)
class Caser(SequenceRecipe):
    """Caser: convolutions over the last few items, and the person's taste.

    Tang & Wang, "Personalized Top-N Sequential Recommendation via Convolutional Sequence Embedding", WSDM 2018, Eq.
    2-11: the vectors of the last L items as an L x d image; horizontal filters of heights 1 to L (relu, the largest
    value over the image), vertical filters of height L, joined and mapped to z (relu); the state is z beside the
    person's vector. Missing items are zero vectors. The convolutions run once over the whole history, so all positions
    are trained in one pass. A person without a learnt vector has the mean of those who have one. Published: L = 5, the
    next T = 3 items as targets, 16 horizontal and 4 vertical filters, width 50, dropout 0.5, binary cross-entropy with
    the mean over 3 negatives (`bce` draws one: the same on average).
    """

    max_len: int = param(200, "Items of each history that are learnt from, the latest", unit="items", low=1, high=5000)
    dropout: float = param(0.5, "Share of the joined features dropped in training", low=0.0, high=0.95)
    lr: float = param(3e-3, "Learning rate of Adam", low=1e-7, high=1.0)
    window: int = param(5, "Items that are looked at, the latest (L)", unit="items", low=1, high=100)
    targets: int = param(1, "Coming items that a position learns from (T)", unit="items", low=1, high=20)
    horizontal: int = param(16, "Horizontal filters of each height", low=1, high=1024)
    vertical: int = param(4, "Vertical filters", low=1, high=1024)
    paper: ClassVar[str] = "Tang & Wang, WSDM 2018"
    published: ClassVar[dict[str, Any]] = {"loss": "bce", "targets": 3, "dim": 50, "dropout": 0.5}
    edited_history: ClassVar[str] = (
        "The person's vector stays as learnt; of the history the latest items count: deleting one closes the gap and "
        "an older one enters the window."
    )

    def network(self, n_items: int, n_users: int, random: torch.Generator) -> Image:
        """Filters over an image of the last `window` items."""
        sizes = {name: getattr(self, name) for name in ("dim", "horizontal", "vertical")}
        return Image(n_items, n_users, **sizes, max_len=self.window, dropout=self.dropout, random=random)

    def objective(self, net: nn.Module, noise: torch.Generator) -> Callable[[Batch], torch.Tensor]:
        """All positions of all histories; each learns from the next `targets` items."""

        def loss(batch: Batch) -> torch.Tensor:
            users, items = batch
            states = net(items[:, :-1], users=users)
            ahead = range(min(self.targets, items.shape[1]))
            wanted = [items[:, k:] for k in ahead]
            of = torch.cat([states[:, : part.shape[1]][part != PAD] for part in wanted])
            good = torch.cat([part[part != PAD] for part in wanted])
            return item_loss(of, good, net, self.loss, self.negatives, self.calibration, noise)

        return loss


class Image(nn.Module):
    """Item vectors, horizontal and vertical filters, one layer, vectors of people; output vectors and biases.

    `max_len` is the height L of the image: more of a history is never looked at.
    """

    def __init__(
        self,
        n_items: int,
        n_users: int,
        dim: int,
        horizontal: int,
        vertical: int,
        max_len: int,
        random: torch.Generator,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.sizes = {"n_items": n_items, "n_users": n_users, "dim": dim}
        self.sizes |= {"horizontal": horizontal, "vertical": vertical, "max_len": max_len}
        self.height, self.dropout = max_len, dropout
        self.items, self.people = nn.Embedding(n_items, dim), People(n_users, dim)
        self.horizontal = nn.ModuleList(nn.Conv1d(dim, horizontal, h) for h in range(1, max_len + 1))
        self.vertical = nn.Linear(max_len, vertical)
        self.join = nn.Linear(horizontal * max_len + vertical * dim, dim)
        self.outputs, self.bias = nn.Embedding(n_items, 2 * dim), nn.Parameter(torch.empty(n_items))
        initialise(self, random)

    def table(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Output vectors Float[n_items, 2d] (for z, then for the person) and biases Float[n_items]."""
        return self.outputs.weight, self.bias

    def forward(
        self, items: torch.Tensor, last: torch.Tensor | None = None, users: torch.Tensor | None = None
    ) -> torch.Tensor:
        """States Float[B, 1 + L, 2d] before the first and after each item; with `last` Long[B], Float[B, 2d]."""
        items = F.pad(items, (self.height, 0), value=PAD)
        if last is not None:
            items = items.gather(1, last[:, None] + torch.arange(self.height, device=items.device))
        states = self._states(self._embed(items), self.people(users, len(items)))
        return states if last is None else states[:, 0]

    def soft(self, items: torch.Tensor, keep: torch.Tensor, users: torch.Tensor | None = None) -> torch.Tensor:
        """State Float[B, 2d] under soft edits keep Float[B, L] of items Long[B, L].

        A row of the image is the mixture of the items that may stand there: the m-th last row holds item j by its keep
        times the probability that m - 1 of the items behind it are kept, each by its own keep.
        """
        x, rows = self._embed(items), []
        behind = F.pad(keep.new_ones(len(keep), 1), (0, self.height - 1))
        for j in reversed(range(items.shape[1])):
            share = keep[:, j, None]
            rows.append(share * behind)
            behind = (1 - share) * behind + share * F.pad(behind, (1, 0))[:, :-1]
        weight = torch.stack(rows[::-1], dim=1)
        image = (weight.transpose(1, 2) @ x).flip(1)
        return self._states(image, self.people(users, len(items)))[:, 0]

    def _embed(self, items: torch.Tensor) -> torch.Tensor:
        return self.items(items.clamp_min(0)) * (items != PAD)[:, :, None]

    def _states(self, x: torch.Tensor, person: torch.Tensor) -> torch.Tensor:
        """Float[B, T, 2d]: one state for each full window in x Float[B, L - 1 + T, d], person Float[B, d]."""
        columns = x.transpose(1, 2)
        n = x.shape[1] - self.height + 1
        wide = [
            F.max_pool1d(torch.relu(filters(columns)), self.height - h, stride=1)
            for h, filters in enumerate(self.horizontal)
        ]
        tall = self.vertical(columns.unfold(2, self.height, 1)).permute(0, 2, 1, 3).flatten(2)
        joined = torch.cat([torch.cat(wide, dim=1).transpose(1, 2), tall], dim=2)
        z = torch.relu(self.join(dropout(joined, self.dropout, self.training)))
        return torch.cat([z, person[:, None].expand(-1, n, -1)], dim=2)
