"""VT-RNN: a recurrent network over items with features (Cui et al., 2016)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn

from recx.core.errors import BadInput
from recx.core.progress import Progress, quiet
from recx.core.recipe import param
from recx.data.interactions import PAD, Heldout, Interactions
from recx.models._order import needs_order
from recx.models._sequence import SequenceRecipe, SequenceScorer, dropout, initialise, window_weight
from recx.models.gru4rec import Recurrence, after


@dataclass(frozen=True)
class VtRnn(SequenceRecipe):
    """VT-RNN: a recurrent network whose items also have features (here genres, or none).

    Cui et al., arXiv 1611.06668 (VT-RNN; later MV-RNN, TKDE 2018), with features joined: an item is its latent vector
    beside an embedding of its features, a GRU reads such vectors, and the score is the product of its state with the
    item's own. The paper's features are pictures and texts of the items. None of the data sets here has them: with
    `features=none` this is the feature-free recurrent core, with `features=genres` the features are the item's genres
    (0 or 1 each). Published: `bpr`, width 20. A learnt state stands for the empty history.
    """

    lr: float = param(3e-3, "Learning rate of Adam", low=1e-7, high=1.0)
    features: str = param("none", "What is known of an item besides its code", choices=("none", "genres"))
    dropout_input: float = param(0.2, "Share of the item vectors' entries dropped in training", low=0.0, high=0.95)
    paper: ClassVar[str] = "Cui et al., arXiv 1611.06668"
    published: ClassVar[dict[str, Any]] = {"loss": "bpr", "dim": 20}

    def fit(
        self,
        data: Interactions,
        *,
        valid: Heldout | None = None,
        seed: int = 0,
        device: str = "auto",
        progress: Progress = quiet,
    ) -> SequenceScorer:
        """As every sequence model. Raises BadInput when genres are asked for and the data have none."""
        if self.features == "none":
            return super().fit(data, valid=valid, seed=seed, device=device, progress=progress)
        needs_order(data, "vtrnn")
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        recipe = _WithRows(**fields, rows=genres_of(data))
        return SequenceRecipe.fit(recipe, data, valid=valid, seed=seed, device=device, progress=progress)

    def network(self, n_items: int, n_users: int, random: torch.Generator) -> FeatureReader:
        """A reader of item codes alone."""
        return self._reader(n_items, 0, random)

    def _reader(self, n_items: int, n_features: int, random: torch.Generator) -> FeatureReader:
        shares = {"dropout": self.dropout, "dropout_input": self.dropout_input}
        return FeatureReader(n_items, n_features, dim=self.dim, max_len=self.max_len, **shares, random=random)


@dataclass(frozen=True)
class _WithRows(VtRnn):
    """The recipe beside the features Float[n_items, f] of one data set's items."""

    rows: torch.Tensor = dataclasses.field(default_factory=lambda: torch.zeros(0, 0))

    def network(self, n_items: int, n_users: int, random: torch.Generator) -> FeatureReader:
        """A reader of items with their features."""
        net = self._reader(n_items, self.rows.shape[1], random)
        net.features.copy_(self.rows)
        return net


def genres_of(data: Interactions) -> torch.Tensor:
    """Float[n_items, g]: 1 where an item has a genre. Raises BadInput when no item has any."""
    if "genres" in data.items:
        table = data.items["genres"].fillna("").astype(str).str.get_dummies("|")
        if table.shape[1]:
            return torch.tensor(table.to_numpy("float32"))
    raise BadInput(f"{data.name} has no genres: leave vtrnn.features=none.")


class FeatureReader(nn.Module):
    """Item vectors beside embedded features, a GRU as wide as both; the same vectors as output."""

    def __init__(
        self,
        n_items: int,
        n_features: int,
        dim: int,
        max_len: int,
        random: torch.Generator,
        dropout: float = 0.0,
        dropout_input: float = 0.0,
    ) -> None:
        super().__init__()
        self.sizes = {"n_items": n_items, "n_features": n_features, "dim": dim, "max_len": max_len}
        self.max_len, self.dropout, self.dropout_input = max_len, dropout, dropout_input
        self.items = nn.Embedding(n_items, dim)
        self.features: torch.Tensor
        self.register_buffer("features", torch.zeros(n_items, n_features))
        self.look = nn.Linear(n_features, dim, bias=False) if n_features else None
        width = 2 * dim if n_features else dim
        self.recurrence = Recurrence(width, width)
        initialise(self, random)

    def table(self) -> tuple[torch.Tensor, None]:
        """Output vectors Float[n_items, d or 2d], no biases."""
        if self.look is None:
            return self.items.weight, None
        return torch.cat([self.items.weight, self.look(self.features)], dim=1), None

    def embed(self, items: torch.Tensor) -> torch.Tensor:
        """Float[B, L, d or 2d]: the vectors of items Long[B, L] (PAD is a zero vector)."""
        return nn.functional.embedding(items.clamp_min(0), self.table()[0]) * (items != PAD)[:, :, None]

    def forward(
        self, items: torch.Tensor, last: torch.Tensor | None = None, users: torch.Tensor | None = None
    ) -> torch.Tensor:
        """States Float[B, 1 + L, .] before the first and after each item; with `last` Long[B], Float[B, .]."""
        x = dropout(self.embed(items), self.dropout_input, self.training)
        return after(dropout(self.recurrence(x), self.dropout, self.training), last)

    def soft(self, items: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
        """State Float[B, .] under soft edits keep Float[B, L] of items Long[B, L]: a step is taken by its weight."""
        return self.recurrence.soft(self.embed(items), window_weight(keep, self.max_len))[:, -1]
