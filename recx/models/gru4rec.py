"""GRU4Rec: a recurrent network over the sequence of a user's items (Hidasi et al., ICLR 2016)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional as F

from recx.core.recipe import param
from recx.data.interactions import PAD
from recx.models._sequence import SequenceRecipe, dropout, initialise, window_weight


@dataclass(frozen=True)
class Gru4Rec(SequenceRecipe):
    """GRU4Rec: a recurrent network that reads a user's items one by one.

    Hidasi et al., "Session-based Recommendations with Recurrent Neural Networks", ICLR 2016, Eq. 1-4 (GRU); Hidasi &
    Karatzoglou, "Recurrent Neural Networks with Top-k Gains", CIKM 2018 (bpr-max, many negatives, one table of item
    vectors for input and output). A history is one session. Published: `bpr-max`, 100 units, 2,048 negatives.

    Hidasi & Czapp, "The Effect of Third Party Implementations on Reproducibility" (RecSys 2023, arXiv 2307.14956),
    found all six reimplementations that they examined faulty or incomplete. The faults, and what is done here:
    1. The hidden state runs on into the next session (its reset missing or a step late: paxcema/KerasGRU4Rec issue 1)
       or is never carried on (hungpthanh/GRU4REC-pytorch issue 1). Here a row of a batch is one history from its first
       item, and every row starts from the same learnt state.
    2. Cross-entropy or bpr-max computed wrongly, bpr-max missing: all losses are `item_loss`.
    3. Negatives missing, or the wanted item among its own: `item_loss` draws from the whole catalogue and takes the
       wanted item out. (Uniformly; the official code draws by popularity to a tuned power.)
    4. No shared table of input and output vectors: `tied`.
    5. Dropout missing or in the wrong place: `dropout_input` on item vectors, `dropout` on the output of a layer. It is
       not fed back into the state (the official code does that).
    6. Inference unlike training: `score` runs the same network, one row for each history.
    Besides: Adam, not Adagrad; linear output, not ELU; torch's GRU (two biases).
    """

    dim: int = param(64, "Width of the item vectors and of the hidden state", low=1, high=4096)
    lr: float = param(3e-3, "Learning rate of Adam", low=1e-7, high=1.0)
    layers: int = param(1, "GRU layers", low=1, high=8)
    tied: bool = param(True, "One table of item vectors for input and output (constrained embedding)")
    dropout_input: float = param(0.2, "Share of the item vectors' entries dropped in training", low=0.0, high=0.95)
    paper: ClassVar[str] = "Hidasi et al., ICLR 2016; Hidasi & Karatzoglou, CIKM 2018"
    published: ClassVar[dict[str, Any]] = {"loss": "bpr-max", "negatives": 2048, "dim": 100}

    def network(self, n_items: int, n_users: int, random: torch.Generator) -> Reader:
        """A reader of item codes."""
        sizes = {name: getattr(self, name) for name in ("dim", "layers", "tied", "max_len")}
        return Reader(n_items, **sizes, dropout=self.dropout, dropout_input=self.dropout_input, random=random)


class Recurrence(nn.Module):
    """GRU layers that start from a learnt state: the states of all positions, plain or softly edited."""

    def __init__(self, width: int, hidden: int, layers: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        self.gru = nn.GRU(width, hidden, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0)
        self.start = nn.Parameter(torch.empty(layers, hidden))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Inputs Float[B, L, d] -> states Float[B, 1 + L, h] of the last layer: row 0 before the first input."""
        first = self.start[:, None].expand(-1, len(x), -1).contiguous()
        rows = first[-1][:, None]
        return torch.cat([rows, self.gru(x, first)[0]], dim=1) if x.shape[0] * x.shape[1] else rows

    def soft(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """The same where an input counts by its weight Float[B, L]: h = weight * new + (1 - weight) * old."""
        for layer in range(self.gru.num_layers):
            of = lambda name: getattr(self.gru, f"{name}_l{layer}")  # noqa: B023, E731
            given = F.linear(x, of("weight_ih"), of("bias_ih"))
            h = self.start[layer].expand(len(x), -1)
            rows = [h]
            for t in range(x.shape[1]):
                reset, update, new = given[:, t].chunk(3, dim=1)
                old = F.linear(h, of("weight_hh"), of("bias_hh")).chunk(3, dim=1)
                candidate = torch.tanh(new + torch.sigmoid(reset + old[0]) * old[2])
                h = h + weight[:, t, None] * torch.sigmoid(-update - old[1]) * (candidate - h)
                rows.append(h)
            x = torch.stack(rows[1:], dim=1) if x.shape[1] else x.new_zeros(len(x), 0, h.shape[1])
        return torch.cat([rows[0][:, None], x], dim=1)


def after(states: torch.Tensor, last: torch.Tensor | None) -> torch.Tensor:
    """The states Float[B, 1 + L, d] themselves, or Float[B, d]: those after the first `last` Long[B] items."""
    return states if last is None else states[torch.arange(len(states), device=states.device), last]


class Reader(nn.Module):
    """Item vectors, GRU layers, output vectors (the same ones if `tied`) and biases."""

    def __init__(
        self,
        n_items: int,
        dim: int,
        layers: int,
        tied: bool,
        max_len: int,
        random: torch.Generator,
        dropout: float = 0.0,
        dropout_input: float = 0.0,
    ) -> None:
        super().__init__()
        self.sizes = {"n_items": n_items, "dim": dim, "layers": layers, "tied": tied, "max_len": max_len}
        self.max_len, self.dropout, self.dropout_input = max_len, dropout, dropout_input
        self.items = nn.Embedding(n_items, dim)
        self.outputs = None if tied else nn.Embedding(n_items, dim)
        self.bias = nn.Parameter(torch.empty(n_items))
        self.recurrence = Recurrence(dim, dim, layers, dropout)
        initialise(self, random)

    def table(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Output vectors Float[n_items, d] and biases Float[n_items]."""
        return (self.items if self.outputs is None else self.outputs).weight, self.bias

    def embed(self, items: torch.Tensor) -> torch.Tensor:
        """Float[B, L, d]: the vectors of items Long[B, L] (PAD is a zero vector)."""
        return self.items(items.clamp_min(0)) * (items != PAD)[:, :, None]

    def forward(
        self, items: torch.Tensor, last: torch.Tensor | None = None, users: torch.Tensor | None = None
    ) -> torch.Tensor:
        """States Float[B, 1 + L, d] before the first and after each item; with `last` Long[B], Float[B, d]."""
        x = dropout(self.embed(items), self.dropout_input, self.training)
        return after(dropout(self.recurrence(x), self.dropout, self.training), last)

    def soft(self, items: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
        """State Float[B, d] under soft edits keep Float[B, L] of items Long[B, L]: a step is taken by its weight."""
        return self.recurrence.soft(self.embed(items), window_weight(keep, self.max_len))[:, -1]
