"""FPMC: factorised personal Markov chains (Rendle, Freudenthaler & Schmidt-Thieme, WWW 2010)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from recx.core.recipe import param
from recx.models._sequence import SequenceRecipe, dropout, initialise, last_weight


@dataclass(frozen=True)
class Fpmc(SequenceRecipe):
    """FPMC: taste of the person plus one step from the last item.

    Rendle, Freudenthaler & Schmidt-Thieme, "Factorizing Personalized Markov Chains for Next-Basket Recommendation", WWW
    2010, Eq. 15 with baskets of one item: score(i | u, last l) = <p_u, q_i> + <b_l, c_i>. Published: S-BPR (the loss
    `bpr` over all steps). A learnt vector stands for the missing last item of an empty history. A person without a
    learnt vector has the mean of those who have one.
    """

    max_len: int = param(1000, "Items of each history that are learnt from, the latest", unit="items", low=1, high=5000)
    dropout: float = param(0.5, "Share of the state's entries dropped in training", low=0.0, high=0.95)
    lr: float = param(3e-3, "Learning rate of Adam", low=1e-7, high=1.0)
    paper: ClassVar[str] = "Rendle et al., WWW 2010"
    published: ClassVar[dict[str, Any]] = {"loss": "bpr", "dim": 32, "dropout": 0.0}
    edited_history: ClassVar[str] = (
        "The person's vector stays as learnt and only the last item of the history counts: an edit changes the scores "
        "when it takes that item out."
    )

    def network(self, n_items: int, n_users: int, random: torch.Generator) -> Chain:
        """A chain of order one for each person."""
        return Chain(n_items, n_users, self.dim, dropout=self.dropout, random=random)


class People(nn.Module):
    """A vector for each person met in training; for all others, and for -1, the mean of those."""

    def __init__(self, n_users: int, dim: int) -> None:
        super().__init__()
        self.vectors = nn.Embedding(n_users, dim)
        self.met: torch.Tensor
        self.register_buffer("met", torch.zeros(n_users, dtype=torch.bool))

    def forward(self, users: torch.Tensor | None, n: int) -> torch.Tensor:
        """Float[n, d] of users Long[n]; None: nobody is known."""
        if users is None:
            return self._mean().expand(n, -1)
        code = users.clamp_min(0)
        if self.training:
            self.met[code[users >= 0]] = True
        known = (users >= 0) & self.met[code]
        return torch.where(known[:, None], self.vectors(code), self._mean())

    def _mean(self) -> torch.Tensor:
        met = self.met.to(self.vectors.weight.dtype)
        return (met @ self.vectors.weight / met.sum().clamp_min(1)).detach()


class Chain(nn.Module):
    """Vectors of people, of items as the last one, and of items as the next one: for the person, for the last item."""

    def __init__(
        self,
        n_items: int,
        n_users: int,
        dim: int,
        random: torch.Generator,
        max_len: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.sizes = {"n_items": n_items, "n_users": n_users, "dim": dim, "max_len": max_len}
        self.dropout = dropout
        self.items, self.before = nn.Embedding(n_items, 2 * dim), nn.Embedding(n_items, dim)
        self.people = People(n_users, dim)
        self.start = nn.Parameter(torch.empty(1, dim))
        initialise(self, random)

    def table(self) -> tuple[torch.Tensor, None]:
        """Output vectors Float[n_items, 2d] (for the person, then for the last item), no biases."""
        return self.items.weight, None

    def forward(
        self, items: torch.Tensor, last: torch.Tensor | None = None, users: torch.Tensor | None = None
    ) -> torch.Tensor:
        """States Float[B, 1 + L, 2d] before the first and after each item; with `last` Long[B], Float[B, 2d]."""
        person = self.people(users, len(items))
        if last is not None:
            latest = items.gather(1, (last - 1).clamp_min(0)[:, None]) if items.shape[1] else items.new_empty(0, 1)
            step = torch.where((last > 0)[:, None], self.before(latest[:, 0].clamp_min(0)), self.start)
            return torch.cat([person, step], dim=1)
        steps = torch.cat([self.start.expand(len(items), 1, -1), self.before(items.clamp_min(0))], dim=1)
        return dropout(torch.cat([person[:, None].expand_as(steps), steps], dim=2), self.dropout, self.training)

    def soft(self, items: torch.Tensor, keep: torch.Tensor, users: torch.Tensor | None = None) -> torch.Tensor:
        """State Float[B, 2d] under soft edits keep Float[B, L]: an item counts as far as it is the last one."""
        share = last_weight(keep)
        step = (share[:, None] @ self.before(items.clamp_min(0)))[:, 0] + (1 - share.sum(1, keepdim=True)) * self.start
        return torch.cat([self.people(users, len(items)), step], dim=1)
