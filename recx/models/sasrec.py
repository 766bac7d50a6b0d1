"""SASRec: self-attention over the sequence of a user's items (Kang & McAuley, ICDM 2018)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from recx.core import device as devices
from recx.core.errors import BadInput
from recx.core.progress import Progress, quiet
from recx.core.recipe import param
from recx.data.interactions import PAD, Heldout, Interactions
from recx.metrics.evaluate import per_case
from recx.models._scorer import compact
from recx.models._training import Schedule, train

POSITIONS = 4096
"""Positions whose logits over the whole catalogue are held at a time: 60 MB on ML-1M."""


@dataclass(frozen=True)
class SasRec:
    """SASRec: self-attention over the order of a user's items.

    Kang & McAuley, "Self-Attentive Sequential Recommendation", ICDM 2018, Eq. 2-6 (causal attention blocks, point-wise
    network, shared item embedding). Differences, with reasons: a start token stands before each history, so the first
    item is a target too and an empty history is defined; positions count from the start of the window, so a history
    with items taken out looks like one seen in training. All positions are trained at once.
    """

    dim: int = param(64, "Width of the item vectors", low=1, high=4096)
    blocks: int = param(2, "Attention blocks", low=1, high=16)
    heads: int = param(1, "Attention heads; must divide the width", low=1, high=64)
    max_len: int = param(200, "Items of the history that are looked at, the latest", unit="items", low=1, high=5000)
    dropout: float = param(0.2, "Share of activations dropped in training", low=0.0, high=0.95)
    loss: str = param(
        "ce", "ce: cross-entropy over all items; bce: published, one random negative", choices=("ce", "bce")
    )
    lr: float = param(1e-3, "Learning rate of Adam", low=1e-7, high=1.0)
    batch: int = param(128, "Users in a batch", unit="users", low=1, high=100_000)
    epochs: int = param(200, "Most passes over the users", low=1, high=100_000)
    patience: int = param(10, "Checks without a better validation NDCG@10 before stopping", low=1, high=100_000)
    max_seconds: float = param(150.0, "Training stops after this long", unit="s", low=1.0, high=1e6)
    paper: ClassVar[str] = "Kang & McAuley, ICDM 2018"

    def fit(
        self,
        data: Interactions,
        *,
        valid: Heldout | None = None,
        seed: int = 0,
        device: str = "auto",
        progress: Progress = quiet,
    ) -> SequenceScorer:
        """Train on all positions of all histories; keep the state with the best validation NDCG@10.

        Raises BadInput when the heads do not divide the width.
        """
        if self.dim % self.heads:
            raise BadInput(f"sasrec.heads={self.heads} does not divide sasrec.dim={self.dim}: choose one that does.")
        place = devices.resolve(device)
        sizes = {name: getattr(self, name) for name in ("dim", "blocks", "heads", "max_len")}
        net = Encoder(data.n_items, **sizes, dropout=self.dropout, random=devices.generator(seed)).to(place)
        scorer = SequenceScorer(net, {"n_items": data.n_items} | sizes)
        optimiser = torch.optim.Adam(net.parameters(), lr=self.lr, betas=(0.9, 0.98))
        noise = devices.generator(seed + 1, place)

        def loss(batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
            return _loss(net, *batch, self.loss, noise)

        quality = None
        if valid is not None and len(valid):
            quality = lambda: float(per_case(scorer, valid, names=("ndcg@10",))["ndcg@10"].mean())  # noqa: E731
        schedule = Schedule(self.epochs, self.patience, self.max_seconds)
        batches = _batches(data, self.batch, self.max_len, seed, place)
        scorer.report = train(net, optimiser, batches, loss, quality, schedule, progress, seed)
        return scorer


def _batches(
    data: Interactions, size: int, max_len: int, seed: int, place: torch.device
) -> Callable[[int], Iterator[tuple[torch.Tensor, torch.Tensor]]]:
    """Inputs and targets Long[B, L], left-aligned, PAD behind; a target is the item that follows its input."""
    import numpy as np

    users = np.flatnonzero(np.diff(data.offsets))
    lengths = np.minimum(np.diff(data.offsets)[users], max_len)
    windows = torch.full((len(users), int(lengths.max(initial=1))), PAD)
    for row, (user, n) in enumerate(zip(users, lengths, strict=True)):
        windows[row, :n] = torch.as_tensor(data.history(user)[-n:].astype("int64"))
    windows, widths = windows.to(place), torch.as_tensor(lengths)

    def epoch_batches(epoch: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        order = torch.randperm(len(windows), generator=devices.generator(seed * 1_000_003 + epoch))
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            targets = windows[rows.to(place), : int(widths[rows].max())]
            yield F.pad(targets[:, :-1], (1, 0), value=PAD), targets

    return epoch_batches


def _loss(net: Encoder, inputs: torch.Tensor, targets: torch.Tensor, kind: str, noise: torch.Generator) -> torch.Tensor:
    """Mean over all real positions: cross-entropy over the catalogue, or binary with one uniform negative (Eq. 7)."""
    here = targets != PAD
    states, wanted = net(inputs[:, 1:])[here], targets[here]
    if kind == "ce":
        parts = zip(states.split(POSITIONS), wanted.split(POSITIONS), strict=True)
        total = [checkpoint(_cross_entropy, own, net.items.weight, right, use_reentrant=False) for own, right in parts]
        return torch.stack(total).sum() / len(wanted)
    negative = torch.randint(len(net.items.weight), wanted.shape, generator=noise, device=wanted.device)
    good = (states * net.items(wanted)).sum(1)
    bad = (states * net.items(negative)).sum(1)
    return F.softplus(-good).mean() + F.softplus(bad).mean()


def _cross_entropy(states: torch.Tensor, items: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Summed cross-entropy over the catalogue; its logits are made again on the way back rather than kept."""
    return F.cross_entropy(states @ items.t(), wanted, reduction="sum")


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

    def _attend(
        self, normed: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        q, k, v = (self._split(part) for part in (self.query(normed), key, value))
        drop = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=drop, is_causal=mask is None)
        return F.dropout(self.out(mixed.transpose(1, 2).flatten(2)), self.dropout, self.training)

    def _split(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def _network(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm_network(x)
        inner = F.dropout(torch.relu(self.up(x)), self.dropout, self.training)
        return x + F.dropout(self.down(inner), self.dropout, self.training)


class Encoder(nn.Module):
    """Start token, item and position vectors, blocks, final norm."""

    def __init__(
        self, n_items: int, dim: int, blocks: int, heads: int, max_len: int, dropout: float, random: torch.Generator
    ) -> None:
        super().__init__()
        self.max_len, self.dropout = max_len, dropout
        self.items, self.positions = nn.Embedding(n_items, dim), nn.Embedding(max_len + 1, dim)
        self.start = nn.Parameter(torch.zeros(dim))
        self.blocks = nn.ModuleList(Block(dim, heads, dropout) for _ in range(blocks))
        self.norm = nn.LayerNorm(dim, eps=1e-8)
        for name, weight in self.named_parameters():
            if weight.ndim == 2:
                nn.init.xavier_normal_(weight, generator=random)
            elif weight is self.start:
                nn.init.normal_(weight, std=dim**-0.5, generator=random)
            elif name.endswith("bias"):
                nn.init.zeros_(weight)

    def embed(self, items: torch.Tensor) -> torch.Tensor:
        """Float[B, 1 + L, d]: the start token, then the items Long[B, L] (left-aligned, PAD is a zero vector)."""
        vectors = self.items(items.clamp_min(0)) * (items != PAD)[:, :, None] * self.items.weight.shape[1] ** 0.5
        return torch.cat([self.start.expand(len(items), 1, -1), vectors], dim=1)

    def forward(self, items: torch.Tensor, last: torch.Tensor | None = None) -> torch.Tensor:
        """States Float[B, 1 + L, d] after the start token and after each item; with `last` Long[B], Float[B, d]."""
        x = self.embed(items)
        x = F.dropout(x + self.positions.weight[: x.shape[1]], self.dropout, self.training)
        for block in self.blocks[:-1]:
            x = block(x)
        x = self.norm(self.blocks[-1](x, last))
        return x if last is None else x[:, 0]


class SequenceScorer:
    """A trained SASRec. Scores are dot products of the last state with the item vectors."""

    exact_scores: ClassVar[bool] = True
    edited_history: ClassVar[str] = "The history is the only input: deleting closes the gap, older items re-enter."

    def __init__(self, net: Encoder, sizes: dict[str, int]) -> None:
        self.net, self.sizes, self.n_items = net.eval(), sizes, sizes["n_items"]
        self.report: dict[str, Any] = {}

    @property
    def device(self) -> torch.device:
        return self.net.start.device

    def score(
        self, histories: torch.Tensor, users: torch.Tensor | None = None, items: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Float[B, n_items or T]."""
        with torch.no_grad():
            state = self._state(histories)
            if items is None:
                return state @ self.net.items.weight.t()
            return (self.net.items(items) @ state[:, :, None])[:, :, 0]

    def _state(self, histories: torch.Tensor) -> torch.Tensor:
        """Float[B, d]: the state after the last item of each history, in blocks."""
        window = compact(histories)[:, -self.net.max_len :]
        length = (window != PAD).sum(1)
        width = max(1, int(length.max())) if len(length) else 1
        column = torch.arange(width, device=window.device)[None, :] + (window.shape[1] - length)[:, None]
        left = window.gather(1, column.clamp_max(window.shape[1] - 1)).masked_fill(column >= window.shape[1], PAD)
        size = max(1, 2**24 // ((width + 1) ** 2 + 16 * (width + 1) * self.sizes["dim"]))
        parts = [self.net(left[i : i + size], length[i : i + size]) for i in range(0, len(left), size)]
        return torch.cat(parts) if parts else window.new_zeros(0, self.sizes["dim"], dtype=torch.float32)

    def soft_score(self, histories: torch.Tensor, keep: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Float[B, S] of targets Long[B, S] under soft edits keep Float[B, S, L].

        A soft item weighs as a key, moves the positions behind it by its weight (position vectors interpolated), fills
        the window by its weight, and hands the read-out on by one minus its weight: exact where keep is 0 or 1.
        """
        n_soft, length = keep.shape[1:]
        items = histories[:, None].expand(-1, n_soft, -1).reshape(-1, length)
        keep = (keep * (histories != PAD)[:, None]).reshape(-1, length)
        behind = keep.flip(1).cumsum(1).flip(1) - keep
        weight = keep * (self.net.max_len - behind).clamp(0, 1)
        place = F.pad(weight.cumsum(1), (1, 0)).clamp(0, self.net.max_len)
        low = place.detach().floor().long().clamp_max(self.net.max_len - 1)
        share = (place - low)[:, :, None]
        table = self.net.positions.weight
        x = self.net.embed(items) + table[low] * (1 - share) + table[low + 1] * share
        weight = F.pad(weight, (1, 0), value=1.0)
        for block in self.net.blocks:
            x = block.weighted(x, weight)
        absent = F.pad((1 - weight).flip(1).cumprod(1).flip(1)[:, 1:], (0, 1), value=1.0)
        state = ((weight * absent)[:, :, None] * self.net.norm(x)).sum(1).unflatten(0, (-1, n_soft))
        return (state * self.net.items(targets)).sum(2)

    def tensors(self) -> dict[str, torch.Tensor]:
        return dict(self.net.state_dict())

    def settings(self) -> dict[str, Any]:
        return {"sizes": self.sizes}

    @classmethod
    def from_tensors(cls, tensors: dict[str, torch.Tensor], settings: dict[str, Any]) -> SequenceScorer:
        place = tensors["start"].device
        net = Encoder(**settings["sizes"], dropout=0.0, random=devices.generator(0)).to(place)
        net.load_state_dict(tensors)
        return cls(net, settings["sizes"])
