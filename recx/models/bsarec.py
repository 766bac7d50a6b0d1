"""BSARec: attention beyond attention, with low and high frequencies rescaled (Shin et al., AAAI 2024)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from recx.core.errors import BadInput
from recx.core.recipe import param
from recx.data.interactions import PAD
from recx.models import fmlprec
from recx.models._sequence import Batch, SequenceRecipe, dropout, looked
from recx.models.bert4rec import Attention, FeedForward
from recx.models.fmlprec import FILTER_TEXT, FILTERS, prefix_loss, take


@dataclass(frozen=True)
class BsaRec(SequenceRecipe):
    """BSARec: attention mixed with a rescaling of low and high frequencies.

    Shin et al., "An Attentive Inductive Bias for Sequential Recommendation beyond the Self-Attention", AAAI 2024. A
    layer is alpha F(X) + (1 - alpha) A(X): A is causal attention, F(X) = low(X) + beta^2 (X - low(X)), where low(X) is
    the `frequencies` lowest of the window's spectrum and beta is learnt per channel.

    low(X) is a circular convolution of the whole padded window with the Dirichlet kernel (`dirichlet`): each position
    sees later ones, which leaks when all positions are trained. `filter` as in `fmlprec`: `as-published` trains the
    last position of `prefixes` random prefixes alone; `causal` convolves with the same kernel over lags 0 to
    `max_len` - 1, nothing before the first item, so that each prefix is filtered as at the end of a window padded with
    zeros (one layer of either gives the same there), and a pass trains every position. The published loss is
    cross-entropy, with windows of 50 and alpha tuned per data set (0.7 with 5 frequencies on Beauty); 0.3 did better
    than 0.7 in validation on ML-100K.
    """

    blocks: int = param(2, "Blocks", low=1, high=16)
    heads: int = param(1, "Attention heads; must divide the width", low=1, high=64)
    alpha: float = param(0.3, "Share of the frequency part; the rest is attention", low=0.0, high=1.0)
    frequencies: int = param(
        5, "Lowest frequencies of the window that are low; odd, a pair counts two", low=1, high=5001
    )
    filter: str = param("causal", FILTER_TEXT, choices=FILTERS)
    prefixes: int = param(1, "as-published: prefixes of each history in an epoch", low=1, high=1000)
    paper: ClassVar[str] = "Shin et al., AAAI 2024"
    published: ClassVar[dict[str, Any]] = {
        "filter": "as-published",
        "max_len": 50,
        "dropout": 0.5,
        "batch": 256,
        "lr": 5e-4,
        "alpha": 0.7,
    }

    def network(self, n_items: int, n_users: int, random: torch.Generator) -> Encoder:
        """The encoder. Raises BadInput when the heads do not divide the width."""
        if self.dim % self.heads:
            raise BadInput(f"bsarec.heads={self.heads} does not divide bsarec.dim={self.dim}: choose one that does.")
        names = ("dim", "blocks", "max_len", "filter", "heads", "alpha", "frequencies")
        sizes = {name: getattr(self, name) for name in names}
        return Encoder(n_items, **sizes, dropout=self.dropout, random=random)

    def objective(self, net: nn.Module, noise: torch.Generator) -> Callable[[Batch], torch.Tensor]:
        """All positions for causal filters; the last positions of random prefixes for the published ones."""
        if self.filter == "causal":
            return super().objective(net, noise)
        return prefix_loss(self, self.prefixes, net, noise)


def dirichlet(length: int, frequencies: int) -> torch.Tensor:
    """Float[length]: the kernel whose circular convolution keeps the lowest frequencies of a window of `length`.

    The transform keeps bins 0..m, m = frequencies // 2, of a real sequence, hence bins -m..m of the whole spectrum; the
    inverse transform of their indicator is D(n) = (1 / N) sum over |k| <= m of cos(2 pi k n / N). The bin N / 2 of an
    even N is its own mirror image and counts once.
    """
    pairs = min(frequencies // 2, length // 2)
    turn = torch.arange(length)[:, None] * torch.arange(1, pairs + 1)
    waves = torch.cos(2 * torch.pi * (turn % length).double() / length)
    weight = torch.where(torch.arange(1, pairs + 1) * 2 == length, 1.0, 2.0).double()
    return ((1 + waves @ weight) / length).float()


class Block(nn.Module):
    """Frequency layer and attention side by side, then a point-wise network; each with a residual and layer norm."""

    def __init__(
        self, dim: int, max_len: int, filter: str, dropout: float, heads: int, alpha: float, frequencies: int
    ) -> None:
        super().__init__()
        self.is_causal, self.alpha, self.dropout = filter == "causal", alpha, dropout
        self.register_buffer("kernel", dirichlet(max_len, frequencies), persistent=False)
        self.beta = nn.Parameter(torch.empty(dim))
        self.norm = nn.LayerNorm(dim, eps=1e-12)
        self.attention, self.network = Attention(dim, heads, dropout), FeedForward(dim, dropout)

    def start(self, random: torch.Generator) -> None:
        """Weights that are not drawn by `initialise`."""
        nn.init.normal_(self.beta, generator=random)

    def forward(self, x: torch.Tensor, weight: torch.Tensor, last: torch.Tensor | None = None) -> torch.Tensor:
        """x Float[B, L, d] -> Float[B, L, d], or Float[B, 1, d] for the rows `last` Long[B].

        `weight` [B, L], Bool or Float in 0..1, is how much of each row is there: attention in a published, padded
        window sees no padding but that which asks.
        """
        asking = x if last is None else take(x, last)
        low = self.low_pass(x, last)
        mixed = low + self.beta.square() * (asking - low)
        rescaled = self.norm(asking + dropout(mixed, self.dropout, self.training))
        return self.network(self.alpha * rescaled + (1 - self.alpha) * self._attend(asking, x, weight, last))

    def low_pass(self, x: torch.Tensor, last: torch.Tensor | None = None) -> torch.Tensor:
        """Float[B, L, d], or Float[B, 1, d]: the slow part of each row, from the rows before it or the whole window."""
        column = torch.arange(x.shape[1], device=x.device)
        lag = (column if last is None else last)[..., None] - column
        if self.is_causal:
            share = self.kernel[lag.clamp(0, len(self.kernel) - 1)] * ((lag >= 0) & (lag < len(self.kernel)))
        else:
            share = self.kernel[lag % len(self.kernel)]
        return share @ x if last is None else share[:, None] @ x

    def _attend(
        self, asking: torch.Tensor, x: torch.Tensor, weight: torch.Tensor, last: torch.Tensor | None
    ) -> torch.Tensor:
        if self.is_causal and last is None:
            return self.attention(asking, x, None)
        return self.attention(asking, x, self._seen(x, weight, last))

    def _seen(self, x: torch.Tensor, weight: torch.Tensor, last: torch.Tensor | None = None) -> torch.Tensor:
        """[B, 1, L or 1, L]: which rows, or how much of each, the rows or those at `last` see."""
        column = torch.arange(x.shape[1], device=x.device)
        row = (column if last is None else last[:, None])[..., None]
        seen = column <= row
        if not self.is_causal:
            seen = torch.where(column == row, seen.to(weight.dtype), seen * weight[:, None])
        return seen.expand(len(x), -1, -1)[:, None]

    def looks(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Float[B, L, L]: how much each row of x looks at each that it sees, mean over the heads."""
        return self.attention.looks(x, self._seen(x, weight) > 0)


class Encoder(fmlprec.Encoder):
    """The encoder of FMLP-Rec with blocks of another kind."""

    def block(self, **sizes: Any) -> nn.Module:
        """One untrained block."""
        return Block(**sizes)

    def attention(self, items: torch.Tensor, last: torch.Tensor, layers: str) -> torch.Tensor:
        """Float[B, L]: how much the state after `last` of the items looks at each item, in its attention alone.

        The frequency layer beside it mixes rows too; that share of the state is not in here.
        """
        rows = items if self.is_causal else fmlprec.ending(items, last, self.max_len)
        vectors, weight = self._vectors(rows), rows != PAD
        if self.is_causal:
            vectors = torch.cat([self.start.expand(len(vectors), 1, -1), vectors], dim=1)
            weight = torch.cat([torch.ones_like(weight[:, :1]), weight], dim=1)
        x, maps = self.norm(vectors + self.positions.weight[: vectors.shape[1]]), []
        for block in self.blocks:
            maps.append(block.looks(x, weight))
            x = block(x, weight)
        if self.is_causal:
            return looked(maps, layers, last)[:, 1:]
        look = looked(maps, layers, self._end(rows)) * weight
        column = self.max_len - last[:, None] + torch.arange(items.shape[1], device=items.device)
        return look.gather(1, column.clamp(0, self.max_len - 1)) * (column < self.max_len)
