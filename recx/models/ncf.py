"""NCF: neural matrix factorisation, NeuMF (He et al., WWW 2017)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from recx.core import device as devices
from recx.core.progress import Progress, quiet
from recx.core.recipe import param
from recx.data.interactions import PAD, Heldout, Interactions
from recx.metrics.evaluate import per_case, rmse
from recx.models._fold import Known, LinearFold, learn_fold, once
from recx.models._pairs import Pairs, cells, initial, rated
from recx.models._training import Schedule, train

FLOATS = 1 << 22
"""Numbers of the first hidden layer held at a time while all items are scored: 16 MB."""
Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Users Long[B], items Long[B, T] and what is wanted of them, Float[B, T]."""


@dataclass(frozen=True)
class Ncf:
    """NCF: a product of vectors beside a small network on them (NeuMF).

    He et al., "Neural Collaborative Filtering", WWW 2017, Eq. 12: the output is a linear read-out of the item-wise
    product of one pair of vectors (GMF) and of the last layer of a tower of ReLU layers on another pair (MLP), trained
    together, without the paper's pre-training. `implicit`: binary cross-entropy, a few uniform negatives per
    interaction (Eq. 7). `explicit`: squared error of ratings, as the surrogate paper's NCF. The tower's first layer is
    computed for people and items apart and added, which is the same and cheaper.
    """

    task: str = param("implicit", "implicit: what people have; explicit: ratings", choices=("implicit", "explicit"))
    factors: int = param(8, "Width of the product and of the tower's last layer", low=1, high=1024)
    layers: int = param(3, "Layers of the tower, each twice as wide as the next", low=1, high=8)
    negatives: int = param(4, "Items at random per interaction; implicit only", low=1, high=100)
    lr: float = param(2e-3, "Learning rate of Adam", low=1e-7, high=1.0)
    l2: float = param(0.0, "Weight decay", low=0.0, high=10.0)
    batch: int = param(1024, "Interactions in a batch", low=1, high=1_000_000)
    epochs: int = param(100, "Most passes over the interactions", low=1, high=100_000)
    patience: int = param(5, "Checks without a better validation score before stopping", low=1, high=100_000)
    max_seconds: float = param(150.0, "Training stops after this long", unit="s", low=1.0, high=1e6)
    paper: ClassVar[str] = "He et al., WWW 2017"

    def fit(
        self,
        data: Interactions,
        *,
        valid: Heldout | None = None,
        seed: int = 0,
        device: str = "auto",
        progress: Progress = quiet,
    ) -> NeuralScorer:
        """Train, keep the best state by validation, learn what an edit means.

        Validation is by NDCG@10, or by RMSE when `explicit` and the validation targets have ratings. Raises BadInput
        when `explicit` and the data have no ratings.
        """
        place = devices.resolve(device)
        learnt = Implicit(data, self.negatives, seed) if self.task == "implicit" else Explicit(data, seed)
        net = NeuMf(data.n_users, data.n_items, self.factors, self.layers, learnt.mean, seed).to(place)
        optimiser = torch.optim.Adam(net.parameters(), lr=self.lr, weight_decay=self.l2)
        loss = F.binary_cross_entropy_with_logits if self.task == "implicit" else F.mse_loss

        def batches(epoch: int) -> Iterator[Batch]:
            users, items, wanted = learnt.epoch(epoch)
            for part in torch.arange(len(users)).split(self.batch):
                yield users[part].to(place), items[part].to(place), wanted[part].to(place)

        quality = None
        if valid is not None and len(valid):
            quality = lambda: _quality(learnt.scorer(net), valid)  # noqa: E731
        schedule = Schedule(self.epochs, self.patience, self.max_seconds)
        report = train(net, optimiser, batches, lambda b: loss(net(*b[:2]), b[2]), quality, schedule, progress, seed)
        scorer = learnt.scorer(net)
        scorer.report |= report
        return scorer


def _quality(scorer: NeuralScorer, valid: Heldout) -> float:
    """Validation NDCG@10; minus the RMSE of a scorer of ratings when those of the targets are known."""
    rated = valid.ratings is not None and np.isfinite(valid.ratings).any()
    if rated and isinstance(scorer, NeuralRatings):
        return -rmse(scorer, valid)
    return float(per_case(scorer, valid, names=("ndcg@10",))["ndcg@10"].mean())


class Implicit:
    """What people have, each with items at random that they do not have."""

    mean = 0.0

    def __init__(self, data: Interactions, negatives: int, seed: int) -> None:
        user, item, _ = cells(data)
        self.pairs, self.negatives, self.seed = Pairs(user, item, data.n_users, data.n_items), negatives, seed
        self.wanted = F.pad(torch.ones(1, 1), (0, negatives))

    def epoch(self, epoch: int) -> Batch:
        """Users Long[N], items Long[N, 1 + negatives], 1 for the first of them and 0 for the others."""
        order, pairs = self.pairs.order(self.seed, epoch), self.pairs
        drawn = [pairs.negatives(self.seed, epoch, draw)[order] for draw in range(self.negatives)]
        items = torch.as_tensor(np.stack([pairs.item[order], *drawn], axis=1).astype(np.int64))
        return torch.as_tensor(pairs.user[order].astype(np.int64)), items, self.wanted.expand(len(order), -1)

    def scorer(self, net: NeuMf) -> NeuralScorer:
        fold, r2 = net.fold(self.pairs)
        return NeuralScorer(net, fold, {"r2": r2})


class Explicit:
    """The known ratings, each a batch row of one item."""

    def __init__(self, data: Interactions, seed: int) -> None:
        user, item, self.rating = rated(data, "ncf --set task=explicit")
        self.pairs, self.seed = Pairs(user, item, data.n_users, data.n_items), seed
        self.mean = float(self.rating.mean(dtype=np.float64))
        size = np.bincount(item, minlength=data.n_items)
        total = np.bincount(item, self.rating - self.mean, minlength=data.n_items)
        above = self.rating - self.mean - (total / np.maximum(size, 1))[item]
        self.weights = (above / max(float(above.std()), 1e-6)).astype(np.float32)

    def epoch(self, epoch: int) -> Batch:
        """Users Long[N], items Long[N, 1] and their ratings Float[N, 1]."""
        order = self.pairs.order(self.seed, epoch)
        user, item = (torch.as_tensor(codes[order].astype(np.int64)) for codes in (self.pairs.user, self.pairs.item))
        return user, item[:, None], torch.as_tensor(self.rating[order])[:, None]

    def scorer(self, net: NeuMf) -> NeuralRatings:
        weights = torch.as_tensor(self.weights)
        fold, r2 = net.fold(self.pairs, weights)
        keys = torch.as_tensor(self.pairs.user.astype(np.int64) * self.pairs.n_items + self.pairs.item)
        known = Known(keys.to(fold.rows.device), weights.to(fold.rows.device), self.pairs.n_items)
        low, high = float(self.rating.min()), float(self.rating.max())
        return NeuralRatings(net, fold, {"r2": r2, "low": low, "high": high}, known)


class NeuMf(nn.Module):
    """Vectors of people and items: the first `factors` numbers enter the product, the others the tower."""

    def __init__(self, n_users: int, n_items: int, factors: int, layers: int, mean: float, seed: int) -> None:
        super().__init__()
        self.sizes = {"n_users": n_users, "n_items": n_items, "factors": factors, "layers": layers}
        self.factors = factors
        widths = [factors << (layers - 1 - layer) for layer in range(layers)]
        dim = factors + widths[0]
        self.people = nn.Parameter(initial(seed, 0, n_users, dim, 0.01))
        self.items = nn.Parameter(initial(seed, 1, n_items, dim, 0.01))
        self.own, self.other = nn.Linear(widths[0], widths[0]), nn.Linear(widths[0], widths[0], bias=False)
        self.tower = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.product, self.out = nn.Linear(factors, 1, bias=False), nn.Linear(factors, 1)
        random = devices.generator(seed)
        for layer in (self.own, self.other, *self.tower):
            nn.init.xavier_uniform_(layer.weight, generator=random)
        for layer in (self.product, self.out):
            nn.init.kaiming_uniform_(layer.weight, a=1, generator=random)
        for layer in (self.own, *self.tower):
            nn.init.zeros_(layer.bias)
        nn.init.constant_(self.out.bias, mean)

    def forward(self, users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """Outputs Float[B, T] for users Long[B] and items Long[B, T]."""
        return self.match(F.embedding(users, self.people)[:, None], F.embedding(items, self.items))

    def match(self, people: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """Outputs for vectors of people and of items, of shapes that go together."""
        return self.joined(self.person(people), self.thing(items))

    def person(self, vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What the product and the tower's first layer take of people."""
        return vectors[..., : self.factors] * self.product.weight[0], self.own(vectors[..., self.factors :])

    def thing(self, vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What the product and the tower's first layer take of items."""
        return vectors[..., : self.factors], self.other(vectors[..., self.factors :])

    def joined(
        self, person: tuple[torch.Tensor, torch.Tensor], thing: tuple[torch.Tensor, torch.Tensor]
    ) -> torch.Tensor:
        hidden = torch.relu(person[1] + thing[1])
        for layer in self.tower:
            hidden = torch.relu(layer(hidden))
        return (person[0] * thing[0]).sum(-1) + self.out(hidden)[..., 0]

    def fold(self, pairs: Pairs, weights: torch.Tensor | None = None) -> tuple[LinearFold, float]:
        """The map from what people have to their vectors, learnt on the CPU, on this network's device."""
        people, items = self.people.detach().cpu().clone(), self.items.detach().cpu()
        fold, r2 = learn_fold(people, items, torch.as_tensor(pairs.item), torch.as_tensor(pairs.offsets), weights)
        return fold.to(self.people.device), r2


class NeuralScorer:
    """The network's output (a logit) for the vectors of people that `fold` gives and those of items."""

    exact_scores: ClassVar[bool] = True

    def __init__(self, net: NeuMf, fold: LinearFold, settings: dict[str, Any], known: Known | None = None) -> None:
        self.net, self.fold, self.known, self._settings = net, fold, known, settings
        self.n_items, self.device = len(net.items), net.items.device
        self.report: dict[str, Any] = {"fold_in_r2": settings["r2"]}

    @property
    def edited_history(self) -> str:
        unrated = "" if self.known is None else "; an item without a known rating counts as liked"
        return (
            "The learnt vector of the person moves as a linear map of the history says, learnt after training "
            f"(it explains {self._settings['r2']:.0%} of the vectors of people left out); an unknown person's is that "
            f"map's{unrated}."
        )

    def score(
        self, histories: torch.Tensor, users: torch.Tensor | None = None, items: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Float[B, n_items or T]."""
        lists = once(histories)
        with torch.no_grad():
            people = self.fold.people(lists, users, self._weights(lists, users))
            if items is not None:
                return self.net.match(people[:, None], self.net.items[items])
            thing = self.net.thing(self.net.items)
            size = max(1, FLOATS // (self.n_items * thing[1].shape[1]))
            parts = [self.net.joined(self.net.person(part[:, None]), thing) for part in people.split(size)]
            return torch.cat(parts) if parts else people.new_zeros(0, self.n_items)

    def _weights(self, items: torch.Tensor, users: torch.Tensor | None) -> torch.Tensor | None:
        """How far above its item's mean each rating lies, in standard deviations; 1 where it is not known."""
        return None if self.known is None else self.known.of(users, items, 1.0)

    def soft_score(
        self, histories: torch.Tensor, keep: torch.Tensor, targets: torch.Tensor, users: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Float[B, S] of targets Long[B, S] under soft edits keep Float[B, S, L]. A history must not repeat an item."""
        people = self.fold.soft(histories, keep, users, self._weights(histories, users))
        return self.net.match(people, self.net.items[targets])

    def item_vectors(self) -> torch.Tensor:
        """Float[n_items, d]: for the product, then for the tower."""
        return self.net.items

    def tensors(self) -> dict[str, torch.Tensor]:
        known = {} if self.known is None else {"keys": self.known.keys, "above": self.known.values}
        return {f"net.{name}": value for name, value in self.net.state_dict().items()} | self.fold.tensors() | known

    def settings(self) -> dict[str, Any]:
        return self._settings | {"sizes": self.net.sizes, "shrink": self.fold.shrink}

    @classmethod
    def from_tensors(cls, tensors: dict[str, torch.Tensor], settings: dict[str, Any]) -> NeuralScorer:
        rest = dict(settings)
        sizes, shrink = rest.pop("sizes"), rest.pop("shrink")
        place = tensors["prior"].device
        net = NeuMf(**sizes, mean=0.0, seed=0).to(place)
        net.load_state_dict({n.removeprefix("net."): t for n, t in tensors.items() if n.startswith("net.")})
        fold = LinearFold(tensors["prior"], tensors["rows"], tensors["base"], shrink)
        known = Known(tensors["keys"], tensors["above"], sizes["n_items"]) if "keys" in tensors else None
        return cls(net.eval(), fold, rest, known)


class NeuralRatings(NeuralScorer):
    """The same for a network that predicts ratings."""

    def rate(self, users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """Float[B, T]: ratings that users Long[B] (-1: unknown) would give items Long[B, T], clipped to the scale."""
        nobody = torch.full((len(users), 1), PAD, device=self.device)
        with torch.no_grad():
            learnt = torch.where(users[:, None] < 0, self.fold.people(nobody), self.net.people[users.clamp_min(0)])
            ratings = self.net.match(learnt[:, None], self.net.items[items.clamp_min(0)])
        return ratings.clamp(self._settings["low"], self._settings["high"])
