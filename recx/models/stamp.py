"""STAMP: attention over a user's items, led by the last one and their mean (Liu et al., KDD 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from recx.core.recipe import param
from recx.data.interactions import PAD
from recx.models._sequence import SequenceRecipe, dropout, initialise, last_weight, shares_of, window_weight
from recx.models.narm import attention, attention_of_one, looks_of_one


@dataclass(frozen=True)
class Stamp(SequenceRecipe):
    """STAMP: attention over the items, led by the last one and by their mean.

    Liu et al., "STAMP: Short-Term Attention/Memory Priority Model", KDD 2018, Eq. 6-13: with x_t the last item and m_t
    the mean of all, a_i = w . sigmoid(W1 x_i + W2 x_t + W3 m_t + b), not normalised; the state is
    tanh(Ws sum_i a_i x_i + bs) * tanh(Wt x_t + bt), its product with an item vector the score. The published sigmoid
    around each score is left out: it bounds what goes into the softmax to 0..1. A learnt state stands for the empty
    history. Published: cross-entropy, width 100, no dropout, learning rate 0.003.
    """

    lr: float = param(3e-3, "Learning rate of Adam", low=1e-7, high=1.0)
    paper: ClassVar[str] = "Liu et al., KDD 2018"
    published: ClassVar[dict[str, Any]] = {"loss": "ce", "dim": 100, "dropout": 0.0, "lr": 3e-3}

    def network(self, n_items: int, n_users: int, random: torch.Generator) -> PriorityMemory:
        """Attention led by the last item."""
        return PriorityMemory(n_items, dim=self.dim, max_len=self.max_len, dropout=self.dropout, random=random)


class PriorityMemory(nn.Module):
    """Item vectors, additive attention, one layer for the memory and one for the last item."""

    def __init__(self, n_items: int, dim: int, max_len: int, random: torch.Generator, dropout: float = 0.0) -> None:
        super().__init__()
        self.sizes = {"n_items": n_items, "dim": dim, "max_len": max_len}
        self.max_len, self.dropout = max_len, dropout
        self.items = nn.Embedding(n_items, dim)
        self.of_each, self.of_last = nn.Linear(dim, dim, bias=False), nn.Linear(dim, dim, bias=False)
        self.of_mean, self.weights = nn.Linear(dim, dim), nn.Linear(dim, 1, bias=False)
        self.memory, self.recent = nn.Linear(dim, dim), nn.Linear(dim, dim)
        self.start = nn.Parameter(torch.empty(1, dim))
        initialise(self, random)

    def table(self) -> tuple[torch.Tensor, None]:
        """Output vectors Float[n_items, d], no biases."""
        return self.items.weight, None

    def embed(self, items: torch.Tensor) -> torch.Tensor:
        """Float[B, L, d]: the vectors of items Long[B, L] (PAD is a zero vector)."""
        return self.items(items.clamp_min(0)) * (items != PAD)[:, :, None]

    def forward(
        self, items: torch.Tensor, last: torch.Tensor | None = None, users: torch.Tensor | None = None
    ) -> torch.Tensor:
        """States Float[B, 1 + L, d] before the first and after each item; with `last` Long[B], Float[B, d]."""
        x = dropout(self.embed(items), self.dropout, self.training)
        if last is not None:
            return self.of_weights(x, (torch.arange(x.shape[1], device=x.device) < last[:, None]).to(x.dtype))
        mean = x.cumsum(1) / torch.arange(1, x.shape[1] + 1, device=x.device)[:, None]
        query = self.of_last(x) + self.of_mean(mean)
        looked = attention(query, self.of_each(x), x, self.weights.weight[0])
        return torch.cat([self.start.expand(len(x), 1, -1), self._state(looked, x)], dim=1)

    def soft(self, items: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
        """State Float[B, d] under soft edits keep Float[B, L] of items Long[B, L]."""
        return self.of_weights(self.embed(items), window_weight(keep, self.max_len))

    def of_weights(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """State Float[B, d] after item vectors Float[B, L, d] that are present by their weights Float[B, L].

        An item counts in mean and attention by its weight, as the last one by its weight times the absence of all
        behind it; the state of the empty history counts by the absence of all.
        """
        share = last_weight(weight)
        recent = (share[:, None] @ x)[:, 0]
        looked = attention_of_one(self._query(x, weight, recent), self.of_each(x), x, self.weights.weight[0], weight)
        some = share.sum(1, keepdim=True)
        return some * self._state(looked, recent) + (1 - some) * self.start

    def attention(self, items: torch.Tensor, last: torch.Tensor, layers: str) -> torch.Tensor:
        """Float[B, L]: |a_i| of the items as shares of their sum; there is one layer."""
        x = self.embed(items)
        weight = (torch.arange(x.shape[1], device=x.device) < last[:, None]).to(x.dtype)
        query = self._query(x, weight, (last_weight(weight)[:, None] @ x)[:, 0])
        return shares_of(looks_of_one(query, self.of_each(x), self.weights.weight[0], weight))

    def _query(self, x: torch.Tensor, weight: torch.Tensor, recent: torch.Tensor) -> torch.Tensor:
        """Float[B, d]: what the attention asks with: the last item and the mean of all."""
        mean = (weight[:, None] @ x)[:, 0] / weight.sum(1, keepdim=True).clamp_min(1.0)
        return self.of_last(recent) + self.of_mean(mean)

    def _state(self, looked: torch.Tensor, recent: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.memory(looked)) * torch.tanh(self.recent(recent))
