"""NARM: a recurrent network with attention over its own states (Li et al., CIKM 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional as F

from recx.core.recipe import param
from recx.data.interactions import PAD
from recx.models._sequence import SequenceRecipe, dropout, initialise, shares_of, window_weight
from recx.models.gru4rec import Recurrence, after

BLOCK = {"cpu": 2**18, "cuda": 2**26}
"""Activations of an attention that are held at a time: a megabyte stays in a processor's cache."""


@dataclass(frozen=True)
class Narm(SequenceRecipe):
    """NARM: a recurrent network that also looks back at what it read.

    Li et al., "Neural Attentive Session-based Recommendation", CIKM 2017, Eq. 3-9: a GRU's last state h_t (global) and
    sum_j a_tj h_j (local) with a_tj = v . sigmoid(A1 h_t + A2 h_j), not normalised; both, joined, are mapped by B onto
    the item vectors. As in the published code one GRU serves both encoders. Published: cross-entropy, item vectors of
    50, hidden 100, dropout 0.25 on item vectors and 0.5 before B, sessions cut at each click; here every position of a
    history is a target of one pass.
    """

    lr: float = param(3e-3, "Learning rate of Adam", low=1e-7, high=1.0)
    hidden: int = param(100, "Width of the hidden state", low=1, high=4096)
    dropout: float = param(0.5, "Share of the joined states dropped in training", low=0.0, high=0.95)
    dropout_input: float = param(0.25, "Share of the item vectors' entries dropped in training", low=0.0, high=0.95)
    paper: ClassVar[str] = "Li et al., CIKM 2017"
    published: ClassVar[dict[str, Any]] = {
        "loss": "ce",
        "dim": 50,
        "hidden": 100,
        "dropout": 0.5,
        "dropout_input": 0.25,
    }

    def network(self, n_items: int, n_users: int, random: torch.Generator) -> AttentiveReader:
        """A reader of item codes that attends to its states."""
        sizes = {name: getattr(self, name) for name in ("dim", "hidden", "max_len")}
        return AttentiveReader(n_items, **sizes, dropout=self.dropout, dropout_input=self.dropout_input, random=random)


class AttentiveReader(nn.Module):
    """Item vectors, a GRU, additive attention over its states, and the map B back onto the item vectors."""

    def __init__(
        self,
        n_items: int,
        dim: int,
        hidden: int,
        max_len: int,
        random: torch.Generator,
        dropout: float = 0.0,
        dropout_input: float = 0.0,
    ) -> None:
        super().__init__()
        self.sizes = {"n_items": n_items, "dim": dim, "hidden": hidden, "max_len": max_len}
        self.max_len, self.dropout, self.dropout_input = max_len, dropout, dropout_input
        self.items = nn.Embedding(n_items, dim)
        self.recurrence = Recurrence(dim, hidden)
        self.query, self.key = nn.Linear(hidden, hidden, bias=False), nn.Linear(hidden, hidden, bias=False)
        self.weights = nn.Linear(hidden, 1, bias=False)
        self.out = nn.Linear(2 * hidden, dim, bias=False)
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
        x = dropout(self.embed(items), self.dropout_input, self.training)
        states = self.recurrence(x)
        now, read = after(states, last), states[:, 1:]
        if last is None:
            local = attention(self.query(read), self.key(read), read, self.weights.weight[0])
            local = F.pad(local, (0, 0, 1, 0))
        else:
            there = torch.arange(read.shape[1], device=read.device) < last[:, None]
            local = attention_of_one(self.query(now), self.key(read), read, self.weights.weight[0], there.to(x.dtype))
        return self.out(dropout(torch.cat([now, local], dim=-1), self.dropout, self.training))

    def attention(self, items: torch.Tensor, last: torch.Tensor, layers: str) -> torch.Tensor:
        """Float[B, L]: |a_tj| of the items as shares of their sum; there is one layer."""
        states = self.recurrence(self.embed(items))
        there = torch.arange(items.shape[1], device=items.device) < last[:, None]
        query, key = self.query(after(states, last)), self.key(states[:, 1:])
        return shares_of(looks_of_one(query, key, self.weights.weight[0], there.to(key.dtype)))

    def soft(self, items: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
        """State Float[B, d] under soft edits keep Float[B, L] of items Long[B, L]: steps and looks count by weight."""
        weight = window_weight(keep, self.max_len)
        states = self.recurrence.soft(self.embed(items), weight)
        now, read = states[:, -1], states[:, 1:]
        local = attention_of_one(self.query(now), self.key(read), read, self.weights.weight[0], weight)
        return self.out(torch.cat([now, local], dim=-1))


def attention_of_one(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, weights: torch.Tensor, share: torch.Tensor
) -> torch.Tensor:
    """Float[B, d]: sum_j share_j (weights . sigmoid(query + key_j)) value_j for one query Float[B, h] per row.

    key Float[B, L, h], value Float[B, L, d], weights Float[h], share Float[B, L].
    """
    look = looks_of_one(query, key, weights, share)
    return (look[:, None] @ value)[:, 0]


def looks_of_one(query: torch.Tensor, key: torch.Tensor, weights: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Float[B, L]: share_j (weights . sigmoid(query + key_j))."""
    return torch.sigmoid(query[:, None] + key) @ weights * share


def attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Float[B, L, d]: at each position t the sum over j <= t of (weights . sigmoid(query_t + key_j)) value_j.

    query, key Float[B, L, h], value Float[B, L, d], weights Float[h]. The [B, L, L, h] activations are made a block at
    a time, and again in the backward pass.
    """
    return _Attention.apply(query, key, value, weights)


class _Attention(torch.autograd.Function):
    """Blocks of a few rows and queries; a block of queries meets only the keys up to its last one."""

    @staticmethod
    def forward(
        ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, weights: torch.Tensor
    ) -> torch.Tensor:
        out = torch.empty_like(value)
        looks = query.new_zeros(*query.shape[:2], key.shape[1])
        for rows, now, past in _blocks(query):
            active = torch.sigmoid_(query[rows, now, None] + key[rows, None, past])
            looks[rows, now, past] = active @ weights
        looks.tril_()
        torch.bmm(looks, value, out=out)
        ctx.save_for_backward(query, key, value, weights, looks)
        return out

    @staticmethod
    def backward(ctx: Any, *outer: torch.Tensor) -> tuple[torch.Tensor, ...]:
        query, key, value, weights, looks = ctx.saved_tensors
        of_looks = (outer[0] @ value.transpose(1, 2)).tril_()
        of_query, of_key, of_weights = torch.empty_like(query), torch.zeros_like(key), torch.zeros_like(weights)
        for rows, now, past in _blocks(query):
            active = torch.sigmoid_(query[rows, now, None] + key[rows, None, past])
            slope = of_looks[rows, now, past]
            of_weights += slope.reshape(-1) @ active.flatten(0, 2)
            active.mul_(1 - active).mul_(slope[..., None])
            of_query[rows, now] = active.sum(2)
            of_key[rows, past] += active.sum(1)
        return of_query * weights, of_key * weights, looks.transpose(1, 2) @ outer[0], of_weights


def _blocks(query: torch.Tensor) -> Any:
    """Slices (rows, queries, keys up to the last of them) whose activations fit BLOCK."""
    n, length, width = query.shape
    room = max(1, BLOCK["cpu" if query.device.type == "cpu" else "cuda"] // (max(length, 1) * width))
    queries = min(max(length, 1), max(8, room))
    for start in range(0, length, queries):
        stop = min(start + queries, length)
        rows = max(1, room * max(length, 1) // ((stop - start) * stop))
        for first in range(0, n, rows):
            yield slice(first, first + rows), slice(start, stop), slice(0, stop)
