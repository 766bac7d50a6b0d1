"""FMLP-Rec: learnable filters over the sequence instead of attention (Zhou et al., WWW 2022)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional as F

from recx.core.recipe import param
from recx.data.interactions import PAD
from recx.models._sequence import Batch, SequenceRecipe, dropout, initialise, item_loss, window_weight
from recx.models.bert4rec import FeedForward

FILTERS = ("causal", "as-published")
FILTER_TEXT = (
    "causal: a position sees what is before it, all positions are trained; as-published: it sees the whole window, "
    "the last position is trained alone"
)


@dataclass(frozen=True)
class FmlpRec(SequenceRecipe):
    """FMLP-Rec: learnable filters over the order of a user's items.

    Zhou et al., "Filter-enhanced MLP is All You Need for Sequential Recommendation", WWW 2022. A layer multiplies the
    spectrum of the padded window by learnable complex weights W, per channel, irfft(rfft(X) W), and adds a point-wise
    network. In the time domain this is a circular convolution with the kernel irfft(W): each position sees every other,
    later ones too. It is harmless as published, where the loss is at the last position; with a loss at all positions
    the layer reads the item it should predict.

    `filter` has both. `as-published`: circular, over the left-padded window of `max_len`, trained on `prefixes` random
    prefixes of each history an epoch, last position only. `causal`: the same weights and kernel as a linear
    convolution over lags 0 to `max_len` - 1, nothing before the first item. One layer of either gives the same at the
    last position, but the causal one is right at every position, so a pass trains them all. A start token, as in
    `sasrec`, stands before the history there. The paper's loss is pairwise (`bpr`); its code has one negative and
    binary cross-entropy (`bce`), with windows of 50.
    """

    blocks: int = param(2, "Filter blocks", low=1, high=16)
    filter: str = param("causal", FILTER_TEXT, choices=FILTERS)
    prefixes: int = param(1, "as-published: prefixes of each history in an epoch", low=1, high=1000)
    paper: ClassVar[str] = "Zhou et al., WWW 2022"
    published: ClassVar[dict[str, Any]] = {
        "loss": "bce",
        "filter": "as-published",
        "max_len": 50,
        "dropout": 0.5,
        "batch": 256,
    }

    def network(self, n_items: int, n_users: int, random: torch.Generator) -> Encoder:
        """The encoder."""
        sizes = {name: getattr(self, name) for name in ("dim", "blocks", "max_len", "filter")}
        return Encoder(n_items, **sizes, dropout=self.dropout, random=random)

    def objective(self, net: nn.Module, noise: torch.Generator) -> Callable[[Batch], torch.Tensor]:
        """All positions for causal filters; the last positions of random prefixes for the published ones."""
        if self.filter == "causal":
            return super().objective(net, noise)
        return prefix_loss(self, self.prefixes, net, noise)


def prefix_loss(
    recipe: SequenceRecipe, prefixes: int, net: nn.Module, noise: torch.Generator
) -> Callable[[Batch], torch.Tensor]:
    """The loss of the item behind random prefixes of each history, nothing behind them in sight."""

    def loss(batch: Batch) -> torch.Tensor:
        items = batch[1]
        length = (items != PAD).sum(1, keepdim=True)
        last = (torch.rand(len(items), prefixes, generator=noise, device=items.device) * length).long()
        states = net(items.repeat_interleave(prefixes, 0), last.flatten())
        wanted = items.gather(1, last).flatten()
        return item_loss(states, wanted, net, recipe.loss, recipe.negatives, recipe.calibration, noise)

    return loss


# -- filters


def circular(x: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Row t of Float[B, N, d]: the sum over lags of kernel[lag] x[(t - lag) mod N]; kernel Float[N, d]."""
    spectrum = torch.fft.rfft(x.transpose(1, 2)) * torch.fft.rfft(kernel.t())
    return torch.fft.irfft(spectrum, n=x.shape[1]).transpose(1, 2)


def causal(x: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Row t of Float[B, L, d]: the sum over lags up to t of kernel[lag] x[t - lag]; kernel Float[N, d].

    By FFT over 2 L rows, the second half zeros, so that nothing comes round from the end.
    """
    length = x.shape[1]
    spectrum = torch.fft.rfft(x.transpose(1, 2), n=2 * length) * torch.fft.rfft(kernel[:length].t(), n=2 * length)
    return torch.fft.irfft(spectrum, n=2 * length)[:, :, :length].transpose(1, 2)


def causal_at(x: torch.Tensor, kernel: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
    """Float[B, 1, d]: row `last` Long[B] of `causal`; at the end of a full window that is the row of `circular` too."""
    lag = last[:, None] - torch.arange(x.shape[1], device=x.device)
    weight = kernel[lag.clamp(0, len(kernel) - 1)] * ((lag >= 0) & (lag < len(kernel)))[:, :, None]
    return (weight * x).sum(1, keepdim=True)


def take(x: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
    """Float[B, 1, d]: row `last` Long[B] of x Float[B, L, d]."""
    return x.gather(1, last[:, None, None].expand(-1, 1, x.shape[2]))


class Block(nn.Module):
    """A filter layer and a point-wise network, each with a residual and layer norm."""

    def __init__(self, dim: int, max_len: int, filter: str, dropout: float) -> None:
        super().__init__()
        self.max_len, self.dropout = max_len, dropout
        self.filter = causal if filter == "causal" else circular
        self.spectrum = nn.Parameter(torch.empty(max_len // 2 + 1, dim, 2))
        self.norm = nn.LayerNorm(dim, eps=1e-12)
        self.network = FeedForward(dim, dropout)

    def start(self, random: torch.Generator) -> None:
        """Weights that are not drawn by `initialise`."""
        nn.init.normal_(self.spectrum, std=0.02, generator=random)

    def kernel(self) -> torch.Tensor:
        """Float[max_len, d]: the filter in the time domain."""
        return torch.fft.irfft(torch.view_as_complex(self.spectrum), n=self.max_len, dim=0)

    def forward(self, x: torch.Tensor, weight: torch.Tensor | None, last: torch.Tensor | None = None) -> torch.Tensor:
        """x Float[B, L, d] -> Float[B, L, d], or Float[B, 1, d] for the rows `last` Long[B]; `weight` is not used."""
        kernel = self.kernel()
        mixed = self.filter(x, kernel) if last is None else causal_at(x, kernel, last)
        x = x if last is None else take(x, last)
        return self.network(self.norm(x + dropout(mixed, self.dropout, self.training)))


# -- the network


class Encoder(nn.Module):
    """Item and position vectors and blocks; the item vectors are the output vectors too.

    causal: rows are a start token and the items, left-aligned, positions counted from the start. as-published: rows are
    a window of `max_len` that ends with the last item; positions are the window's, and padding is a row like any
    other, with a position vector and no item vector.
    """

    def __init__(
        self,
        n_items: int,
        dim: int,
        blocks: int,
        max_len: int,
        filter: str,
        random: torch.Generator,
        dropout: float = 0.0,
        **block: Any,
    ) -> None:
        super().__init__()
        self.sizes = {"n_items": n_items, "dim": dim, "blocks": blocks, "max_len": max_len, "filter": filter} | block
        self.max_len, self.is_causal, self.dropout = max_len, filter == "causal", dropout
        self.items, self.positions = nn.Embedding(n_items, dim), nn.Embedding(max_len + self.is_causal, dim)
        self.start = nn.Parameter(torch.empty(dim)) if self.is_causal else None
        self.norm = nn.LayerNorm(dim, eps=1e-12)
        self.blocks = nn.ModuleList(
            self.block(dim=dim, max_len=max_len, filter=filter, dropout=dropout, **block) for _ in range(blocks)
        )
        initialise(self, random)
        for weight in (self.items.weight, self.positions.weight, self.start):
            if weight is not None:
                nn.init.normal_(weight, std=0.02, generator=random)
        for one in self.blocks:
            one.start(random)

    def block(self, **sizes: Any) -> nn.Module:
        """One untrained block."""
        return Block(**sizes)

    def table(self) -> tuple[torch.Tensor, None]:
        """Output vectors Float[n_items, d], no biases."""
        return self.items.weight, None

    def forward(
        self, items: torch.Tensor, last: torch.Tensor | None = None, users: torch.Tensor | None = None
    ) -> torch.Tensor:
        """States Float[B, 1 + L, d] after each of 0 to L of the items Long[B, L]; with `last` Long[B], Float[B, d].

        A filter as published sees the whole window, so there every prefix is a window and a pass of its own.
        """
        if self.is_causal:
            states = self.states(self._vectors(items), items != PAD, last)
            return states if last is None else states[:, 0]
        if last is None:
            steps = torch.arange(items.shape[1] + 1, device=items.device)
            rows = items.repeat_interleave(len(steps), 0)
            return self(rows, steps.repeat(len(items))).unflatten(0, (-1, len(steps)))
        window = ending(items, last, self.max_len)
        return self.states(self._vectors(window), window != PAD, self._end(window))[:, 0]

    def states(self, vectors: torch.Tensor, weight: torch.Tensor, last: torch.Tensor | None = None) -> torch.Tensor:
        """Rows after all blocks, of item vectors Float[B, L, d] of which `weight` [B, L] (Bool, or 0..1) is there.

        Float[B, L (1 + L if causal), d], or Float[B, 1, d] for the rows `last` Long[B]. With published filters rows
        other than the last have seen later items: they must not be trained or read.
        """
        if self.is_causal:
            vectors = torch.cat([self.start.expand(len(vectors), 1, -1), vectors], dim=1)
            weight = torch.cat([torch.ones_like(weight[:, :1]), weight], dim=1)
        x = self.norm(vectors + self.positions.weight[: vectors.shape[1]])
        x = dropout(x, self.dropout, self.training)
        for block in self.blocks[:-1]:
            x = block(x, weight)
        return self.blocks[-1](x, weight, last)

    def soft(self, items: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
        """State Float[B, d] under soft edits keep Float[B, L] of items Long[B, L]: of the history of `cells`.

        Exact where keep is 0 or 1. Where the last cell is not full, the causal state is interpolated between those
        without and with it.
        """
        vectors = self.items(items.clamp_min(0))
        if not self.is_causal:
            mixture = cells(keep.flip(1)).flip(1, 2)[:, -self.max_len :]
            mixture = F.pad(mixture, (0, 0, self.max_len - mixture.shape[1], 0))
            return self.states(mixture @ vectors, mixture.sum(2), self._end(mixture))[:, 0]
        weight = window_weight(keep, self.max_len)
        mixture = cells(weight)[:, : self.max_len]
        states = self.states(mixture @ vectors, mixture.sum(2))
        total = weight.sum(1)
        low = (total.detach().ceil().long() - 1).clamp_min(0)
        share = (total - low)[:, None]
        return take(states, low)[:, 0] * (1 - share) + take(states, low + 1)[:, 0] * share

    def _vectors(self, items: torch.Tensor) -> torch.Tensor:
        """Float[B, L, d]: item vectors, PAD a zero vector."""
        return self.items(items.clamp_min(0)) * (items != PAD)[:, :, None]

    def _end(self, window: torch.Tensor) -> torch.Tensor:
        return torch.full((len(window),), self.max_len - 1, device=window.device)


def ending(items: torch.Tensor, last: torch.Tensor, length: int) -> torch.Tensor:
    """Long[B, length]: the latest of the first `last` Long[B] items, right-aligned, PAD before."""
    column = last[:, None] + torch.arange(-length, 0, device=items.device)
    return items.gather(1, column.clamp(0, items.shape[1] - 1)).masked_fill(column < 0, PAD)


def cells(weight: torch.Tensor) -> torch.Tensor:
    """Float[B, L, L]: how much of each item (columns) is in each place of the softly edited history (rows).

    An item of weight w takes the next w of the line 0..L, and a place is a unit of it: so a full place holds shares
    that sum to one, and where all weights are 0 or 1, places hold the kept items in their order.
    """
    place = torch.arange(weight.shape[1], device=weight.device)[:, None]
    filled = torch.relu((weight.cumsum(1)[:, None, :] - place).clamp_max(1))
    return filled.diff(dim=2, prepend=torch.zeros_like(filled[:, :, :1]))
