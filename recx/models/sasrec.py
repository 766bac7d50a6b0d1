"""SASRec: self-attention over the sequence of a user's items (Kang & McAuley, ICDM 2018)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional as F

from recx.core.errors import BadInput
from recx.core.recipe import param
from recx.data.interactions import PAD
from recx.models._sequence import SequenceRecipe, dropout, initialise, last_weight, looked, window_weight


@dataclass(frozen=True)
class SasRec(SequenceRecipe):
    """SASRec: self-attention over the order of a user's items.

    Kang & McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018, Eq. 2-6 (causal attention blocks, point-wise
    network, shared item embedding). Differences, with reasons: a start token stands before each history, so the first
    item is a target too and an empty history is defined; positions count from the start of the window, so a history
    with items taken out looks like one seen in training; the outputs of the attention are dropped, its weights are not
    (torch's fast attention cannot on a CPU). The published loss is `bce`; with `ce` the same network is a third more
    accurate (Klenitskiy & Vasilev, RecSys 2023).
    """

    blocks: int = param(2, "Attention blocks", low=1, high=16)
    heads: int = param(1, "Attention heads; must divide the width", low=1, high=64)
    paper: ClassVar[str] = "Kang & McAuley, ICDM 2018"
    published: ClassVar[dict[str, Any]] = {"loss": "bce"}

    def network(self, n_items: int, n_users: int, random: torch.Generator) -> Encoder:
        """The encoder. Raises BadInput when the heads do not divide the width."""
        if self.dim % self.heads:
            raise BadInput(f"sasrec.heads={self.heads} does not divide sasrec.dim={self.dim}: choose one that does.")
        sizes = {name: getattr(self, name) for name in ("dim", "blocks", "heads", "max_len")}
        return Encoder(n_items, **sizes, dropout=self.dropout, random=random)


class Block(nn.Module):
    """One attention block: layer norm, causal attention, layer norm, point-wise network, each with a residual."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm_attention, self.norm_network = nn.LayerNorm(dim, eps=1e-8), nn.LayerNorm(dim, eps=1e-8)
        self.query, self.key_value, self.out = nn.Linear(dim, dim), nn.Linear(dim, 2 * dim), nn.Linear(dim, dim)
        self.up, self.down = nn.Linear(dim, dim), nn.Linear(dim, dim)

    def forward(self, x: torch.Tensor, last: torch.Tensor | None = None) -> torch.Tensor:
        """x Float[B, L, d] -> Float[B, L, d], or Float[B, 1, d] for the positions `last` Long[B] alone."""
        normed = self.norm_attention(x)
        key, value = self.key_value(x).chunk(2, dim=-1)
        if last is None:
            mixed = self._attend(normed, key, value, None)
        else:
            normed = normed.gather(1, last[:, None, None].expand(-1, 1, x.shape[2]))
            seen = torch.arange(x.shape[1], device=x.device)[None, :] <= last[:, None]
            mixed = self._attend(normed, key, value, seen[:, None, None, :])
        return self._network(normed + mixed)

    def weighted(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """The same with a weight Float[B, L] in 0..1 on each key: 1 is present, 0 is absent, exactly."""
        normed = self.norm_attention(x)
        key, value = self.key_value(x).chunk(2, dim=-1)
        q, k, v = (self._split(part) for part in (self.query(normed), key, value))
        logits = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
        past = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).tril()
        visible = past & (weight > 0)[:, None, None, :]
        top = logits.masked_fill(~visible, float("-inf")).amax(-1, keepdim=True).clamp_min(-1e30).detach()
        share = torch.exp((logits - top).clamp_max(30)) * past * weight[:, None, None, :]
        share = share / share.sum(-1, keepdim=True).clamp_min(1e-30)
        return self._network(normed + self.out((share @ v).transpose(1, 2).flatten(2)))

    def looks(self, x: torch.Tensor) -> torch.Tensor:
        """Float[B, L, L]: how much each position (rows) of x Float[B, L, d] looks at each up to it, mean over heads."""
        normed = self.norm_attention(x)
        q, k = self._split(self.query(normed)), self._split(self.key_value(x).chunk(2, dim=-1)[0])
        future = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(1)
        return (q @ k.mT / q.shape[-1] ** 0.5).masked_fill(future, float("-inf")).softmax(-1).mean(1)

    def _attend(
        self, normed: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        q, k, v = (self._split(part) for part in (self.query(normed), key, value))
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None)
        return dropout(self.out(mixed.transpose(1, 2).flatten(2)), self.dropout, self.training)

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def _network(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm_network(x)
        inner = dropout(torch.relu(self.up(x)), self.dropout, self.training)
        return x + dropout(self.down(inner), self.dropout, self.training)


class Encoder(nn.Module):
    """Start token, item and position vectors, blocks, final norm. The item vectors are the output vectors too."""

    def __init__(
        self,
        n_items: int,
        dim: int,
        blocks: int,
        heads: int,
        max_len: int,
        random: torch.Generator,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.sizes = {"n_items": n_items, "dim": dim, "blocks": blocks, "heads": heads, "max_len": max_len}
        self.max_len, self.dropout = max_len, dropout
        self.items, self.positions = nn.Embedding(n_items, dim), nn.Embedding(max_len + 1, dim)
        self.start = nn.Parameter(torch.empty(dim))
        self.blocks = nn.ModuleList(Block(dim, heads, dropout) for _ in range(blocks))
        self.norm = nn.LayerNorm(dim, eps=1e-8)
        initialise(self, random)
        nn.init.normal_(self.start, std=dim**-0.5, generator=random)

    def table(self) -> tuple[torch.Tensor, None]:
        """Output vectors Float[n_items, d], no biases."""
        return self.items.weight, None

    def embed(self, items: torch.Tensor) -> torch.Tensor:
        """Float[B, 1 + L, d]: the start token, then the items Long[B, L] (PAD is a zero vector)."""
        vectors = self.items(items.clamp_min(0)) * (items != PAD)[:, :, None] * self.items.weight.shape[1] ** 0.5
        return torch.cat([self.start.expand(len(items), 1, -1), vectors], dim=1)

    def forward(
        self, items: torch.Tensor, last: torch.Tensor | None = None, users: torch.Tensor | None = None
    ) -> torch.Tensor:
        """States Float[B, 1 + L, d] after the start token and after each item; with `last` Long[B], Float[B, d]."""
        x = self.embed(items)
        x = dropout(x + self.positions.weight[: x.shape[1]], self.dropout, self.training)
        for block in self.blocks[:-1]:
            x = block(x)
        x = self.norm(self.blocks[-1](x, last))
        return x if last is None else x[:, 0]

    def attention(self, items: torch.Tensor, last: torch.Tensor, layers: str) -> torch.Tensor:
        """Float[B, L]: how much the state after `last` of the items looks at each item; the start token is left out."""
        x = self.embed(items)
        x, maps = x + self.positions.weight[: x.shape[1]], []
        for block in self.blocks:
            maps.append(block.looks(x))
            x = block(x)
        return looked(maps, layers, last)[:, 1:]

    def soft(self, items: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
        """State Float[B, d] under soft edits keep Float[B, L] of items Long[B, L].

        A soft item weighs as a key, moves the positions behind it by its weight (position vectors interpolated), fills
        the window by its weight, and hands the read-out on by one minus its weight: exact where keep is 0 or 1.
        """
        weight = window_weight(keep, self.max_len)
        place = F.pad(weight.cumsum(1), (1, 0)).clamp(0, self.max_len)
        low = place.detach().floor().long().clamp_max(self.max_len - 1)
        share = (place - low)[:, :, None]
        table = self.positions.weight
        x = self.embed(items) + table[low] * (1 - share) + table[low + 1] * share
        weight = F.pad(weight, (1, 0), value=1.0)
        for block in self.blocks:
            x = block.weighted(x, weight)
        return (last_weight(weight)[:, :, None] * self.norm(x)).sum(1)
