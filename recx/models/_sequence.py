"""What all sequence models share: fields, all-positions training, the family of losses, and the scorer.

A network of this family reads Long[B, L] item codes, left-aligned, PAD behind, and has

    items: nn.Embedding              item vectors
    sizes: dict[str, Any]            its constructor's arguments (plain values), without `random` and `dropout`
    table() -> (Float[n, d], Float[n] | None)        output vectors and biases of the items
    forward(items, last=None, users=None)            states Float[B, 1 + L, d]: row t is the state after t items;
                                                     with `last` Long[B] only that after `last` items, Float[B, d]

so state t predicts item t (counted from 0), and one pass trains every position of a history (no prefix is expanded).
`users` Long[B] are codes, -1 for people it does not know; most networks ignore them.

A network that attends to the items also has

    attention(items, last, layers) -> Float[B, L]    how much the state after `last` items looks at each of the items;
                                                     `layers` as in `looked`; rows sum to at most 1
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from inspect import signature
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from recx.core import device as devices
from recx.core.progress import Progress, quiet
from recx.core.recipe import param
from recx.data.interactions import PAD, Heldout, Interactions
from recx.metrics.evaluate import per_case
from recx.models._order import needs_order
from recx.models._scorer import compact
from recx.models._training import Schedule, train

BLOCK_BYTES = {"cpu": 4 * 2**20}
"""Logits over the whole catalogue that are held at a time: what a CPU's cache can hold, 256 MB elsewhere."""
POOL = 16
"""Batches among which histories are sorted by length, so that little of a batch is padding."""
LOSSES = ("ce", "bce", "bce-many", "bpr", "bpr-max")
LOSS_TEXT = (
    "ce: cross-entropy over all items; bce: binary, one random negative; bce-many: binary, many negatives; "
    "bpr: pairwise, one negative; bpr-max: pairwise, many negatives"
)
Batch = tuple[torch.Tensor, torch.Tensor]
"""Users Long[B] and their items Long[B, L], left-aligned."""


@dataclass(frozen=True)
class SequenceRecipe:
    """The fields that every sequence model has, and its training; a model adds fields and `network`."""

    dim: int = param(64, "Width of the item vectors", low=1, high=4096)
    max_len: int = param(200, "Items of the history that are looked at, the latest", unit="items", low=1, high=5000)
    dropout: float = param(0.2, "Share of activations dropped in training", low=0.0, high=0.95)
    loss: str = param("ce", LOSS_TEXT, choices=LOSSES)
    negatives: int = param(256, "Negatives of the losses with many, shared by a batch", low=1, high=100_000)
    calibration: float = param(
        0.75, "bce-many: 0 plain, 1 as if all items were negatives (gBCE's t)", low=0.0, high=1.0
    )
    lr: float = param(1e-3, "Learning rate of Adam", low=1e-7, high=1.0)
    decay: float = param(1.0, "Factor on the learning rate after 5 checks without a better one", low=0.01, high=1.0)
    batch: int = param(32, "Users in a batch", unit="users", low=1, high=100_000)
    epochs: int = param(200, "Most passes over the users", low=1, high=100_000)
    patience: int = param(10, "Checks without a better validation NDCG@10 before stopping", low=1, high=100_000)
    max_seconds: float = param(150.0, "Training stops after this long", unit="s", low=1.0, high=1e6)
    grid: ClassVar[dict[str, tuple[Any, ...]]] = {"lr": (3e-4, 1e-3, 3e-3)}
    edited_history: ClassVar[str] = (
        "The history is the only input: deleting closes the gap, older items re-enter the window."
    )

    def network(self, n_items: int, n_users: int, random: torch.Generator) -> nn.Module:
        """An untrained network, its weights drawn from `random`."""
        raise NotImplementedError

    def objective(self, net: nn.Module, noise: torch.Generator) -> Callable[[Batch], torch.Tensor]:
        """The loss of a batch: by default all positions of all histories, next item."""

        def loss(batch: Batch) -> torch.Tensor:
            users, items = batch
            here = items != PAD
            states = net(items[:, :-1], users=users)[here]
            return item_loss(states, items[here], net, self.loss, self.negatives, self.calibration, noise)

        return loss

    def fit(
        self,
        data: Interactions,
        *,
        valid: Heldout | None = None,
        seed: int = 0,
        device: str = "auto",
        progress: Progress = quiet,
    ) -> SequenceScorer:
        """Train on all histories; keep the state with the best validation NDCG@10. Raises BadInput without order."""
        needs_order(data, type(self).__name__.lower())
        place = devices.resolve(device)
        net = self.network(data.n_items, data.n_users, devices.generator(seed)).to(place)
        scorer = scorer_of(net, self.edited_history)
        optimiser = torch.optim.Adam(net.parameters(), lr=self.lr, betas=(0.9, 0.98))
        noise = devices.generator(seed + 1, place)
        quality = None
        if valid is not None and len(valid):
            quality = lambda: float(per_case(scorer, valid, names=("ndcg@10",))["ndcg@10"].mean())  # noqa: E731
        schedule = Schedule(self.epochs, self.patience, self.max_seconds, decay=self.decay)
        made = batches(data, self.batch, self.max_len + 1, seed, place)  # a full window, and the item behind it
        loss = self.objective(net, noise)
        scorer.report = train(net, optimiser, made, loss, quality, schedule, progress, seed, noise)
        return scorer


def batches(
    data: Interactions, size: int, max_len: int, seed: int, place: torch.device
) -> Callable[[int], Iterator[Batch]]:
    """Batches of users and the latest `max_len` items of each, left-aligned; histories of like length together.

    The order is keyed by (seed, epoch): users are shuffled, sorted by length within pools of POOL batches, and the
    batches of all pools are shuffled again.
    """
    users = np.flatnonzero(np.diff(data.offsets))
    stop = data.offsets[users + 1]
    items, lengths = left_windows(data.item, np.maximum(data.offsets[users], stop - max_len), stop)
    rows, codes = items.to(place), torch.as_tensor(users).to(place)

    def epoch_batches(epoch: int) -> Iterator[Batch]:
        random = devices.generator(seed * 1_000_003 + epoch)
        order = torch.randperm(len(lengths), generator=random)
        pool = torch.arange(len(order)) // (size * POOL)
        order = order[(pool * (max_len + 1) + lengths[order]).argsort(stable=True)]
        parts = order.split(size)
        for part in torch.randperm(len(parts), generator=random).tolist():
            chosen = parts[part]
            here = chosen.to(place)
            yield codes[here], rows[here, : int(lengths[chosen].max())]

    return epoch_batches


def left_windows(values: np.ndarray, start: np.ndarray, stop: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Long[B, L] and lengths Long[B]: `values[start[b]:stop[b]]` as rows, left-aligned, PAD behind; L is at least 1."""
    length = stop - start
    out = np.full((len(length), max(int(length.max(initial=0)), 1)), PAD, np.int64)
    row = np.repeat(np.arange(len(length)), length)
    within = np.arange(len(row)) - np.repeat(np.cumsum(length) - length, length)
    out[row, within] = values[start[row] + within]
    return torch.as_tensor(out), torch.as_tensor(length)


def initialise(net: nn.Module, random: torch.Generator) -> None:
    """Matrices Xavier-normal, biases zero, from one stream; what else there is (norms) stays as it was made."""
    for name, weight in net.named_parameters():
        if weight.ndim >= 2:
            nn.init.xavier_normal_(weight, generator=random)
        elif "bias" in name:
            nn.init.zeros_(weight)


def dropout(x: torch.Tensor, share: float, training: bool) -> torch.Tensor:
    """`x` with about `share` of its numbers dropped and the rest scaled up; the default stream decides.

    torch's own on a GPU. On a CPU a byte decides per number (`share` is rounded to 1/256): drawing a float for each
    took a third of the training time.
    """
    if not training or share == 0:
        return x
    if x.device.type != "cpu":
        return F.dropout(x, share, True)
    least = max(1, round(share * 256))
    words = torch.empty((x.numel() + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
    kept = words.view(torch.uint8)[: x.numel()].view(x.shape) >= least
    return x * kept.to(x.dtype).mul_(256 / (256 - least))


# -- losses


def item_loss(
    states: torch.Tensor,
    wanted: torch.Tensor,
    net: Any,
    kind: str,
    negatives: int,
    calibration: float,
    noise: torch.Generator,
) -> torch.Tensor:
    """Mean over positions: states Float[N, d] against the wanted items Long[N].

    ce: softmax over the catalogue. bce: binary cross-entropy with one uniform negative (SASRec, Eq. 7). bce-many: with
    `negatives` uniform ones, the positive's likelihood raised to beta = a (t (1 - 1/a) + 1/a), a the share of items
    sampled (gSASRec, Petrov & Macdonald, RecSys 2023, Eq. 9; t = 0: plain). bpr: Rendle et al. 2009. bpr-max: Hidasi &
    Karatzoglou, CIKM 2018, Eq. 10, with score regularisation 1. Negatives are drawn from the whole catalogue; those of
    the losses with many are shared by the batch, and one that is the wanted item counts for nothing.
    """
    table, bias = net.table()
    if kind == "ce":
        return cross_entropy(states, table, bias, wanted)
    good = _dot(states, table, bias, wanted)
    if kind in ("bce", "bpr"):
        other = torch.randint(len(table), wanted.shape, generator=noise, device=wanted.device)
        bad = _dot(states, table, bias, other)
        return F.softplus(-good).mean() + F.softplus(bad).mean() if kind == "bce" else F.softplus(bad - good).mean()
    n = min(negatives, len(table) - 1)
    others = torch.randperm(len(table), generator=noise, device=wanted.device)[:n]
    bad = states @ table[others].t() + (0 if bias is None else bias[others])
    same = others[None, :] == wanted[:, None]
    if kind == "bce-many":
        share = n / (len(table) - 1)
        beta = share * (calibration * (1 - 1 / share) + 1 / share)
        return (beta * F.softplus(-good) + F.softplus(bad).masked_fill(same, 0.0).sum(1)).mean()
    weight = bad.masked_fill(same, float("-inf")).softmax(1)
    won = (weight * torch.sigmoid(good[:, None] - bad)).sum(1)
    return (-torch.log(won + 1e-24) + (weight * bad.square()).sum(1)).mean()


def _dot(states: torch.Tensor, table: torch.Tensor, bias: torch.Tensor | None, items: torch.Tensor) -> torch.Tensor:
    """Float[N]: the scores of one item Long[N] per state."""
    return (states * table[items]).sum(1) + (0 if bias is None else bias[items])


def cross_entropy(
    states: torch.Tensor, table: torch.Tensor, bias: torch.Tensor | None, wanted: torch.Tensor
) -> torch.Tensor:
    """Mean softmax cross-entropy over the whole catalogue, its [N, n_items] logits never held at once."""
    offset = table.new_zeros(len(table)) if bias is None else bias
    return _CrossEntropy.apply(states, table, offset, wanted)


class _CrossEntropy(torch.autograd.Function):
    """The gradient is made in the forward pass, a block of positions at a time: three products instead of four."""

    @staticmethod
    def forward(
        ctx: Any, states: torch.Tensor, table: torch.Tensor, bias: torch.Tensor, wanted: torch.Tensor
    ) -> torch.Tensor:
        total = states.new_zeros(())
        slopes = torch.empty_like(states), torch.zeros_like(table), torch.zeros_like(bias)
        size = max(1, BLOCK_BYTES.get(states.device.type, 2**28) // (4 * len(table)))
        for start in range(0, len(states), size):
            part = slice(start, start + size)
            share = torch.addmm(bias, states[part], table.t()).softmax(1)
            total -= share.gather(1, wanted[part, None]).clamp_min(1e-37).log().sum()
            share.scatter_add_(1, wanted[part, None], share.new_full((len(share), 1), -1.0))
            torch.mm(share, table, out=slopes[0][part])
            slopes[1].addmm_(share.t(), states[part])
            slopes[2].add_(share.sum(0))
        ctx.save_for_backward(*(slope.div_(max(len(states), 1)) for slope in slopes))
        return total / max(len(states), 1)

    @staticmethod
    def backward(ctx: Any, *outer: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        return (*(slope * outer[0] for slope in ctx.saved_tensors), None)


# -- the scorer


class SequenceScorer:
    """A trained sequence network. Scores are products of the state after the last item with the output vectors."""

    exact_scores: ClassVar[bool] = True

    def __init__(self, net: Any, edited_history: str) -> None:
        self.net, self.edited_history = net.eval(), edited_history
        self.n_items, self.max_len = net.items.num_embeddings, net.sizes["max_len"]
        self.report: dict[str, Any] = {}
        if hasattr(net, "attention"):
            self.attention = self._attention

    @property
    def device(self) -> torch.device:
        return self.net.items.weight.device

    def score(
        self, histories: torch.Tensor, users: torch.Tensor | None = None, items: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Float[B, n_items or T]."""
        with torch.no_grad():
            state = self.state(histories, users)
            table, bias = self.net.table()
            if items is None:
                return state @ table.t() + (0 if bias is None else bias)
            return (table[items] @ state[:, :, None])[:, :, 0] + (0 if bias is None else bias[items])

    def state(self, histories: torch.Tensor, users: torch.Tensor | None = None) -> torch.Tensor:
        """Float[B, d]: the state after the last item of each history, in blocks."""
        items, length = left_aligned(histories, self.max_len)
        size = self._rows_at_a_time(items)
        parts = [
            self.net(items[i : i + size], length[i : i + size], None if users is None else users[i : i + size])
            for i in range(0, max(len(items), 1), size)
        ]
        return torch.cat(parts)

    def _rows_at_a_time(self, items: torch.Tensor) -> int:
        width = items.shape[1] + 1
        return max(1, 2**24 // (width**2 + 16 * width * self.net.items.weight.shape[1]))

    def _attention(
        self, histories: torch.Tensor, users: torch.Tensor | None = None, layers: str = "last"
    ) -> torch.Tensor:
        """Float[B, L]: how much the state behind the last item looks at each item of histories Long[B, L].

        0 for padding and for items outside the window; what goes to a start or mask token is left out, so rows sum to
        at most 1.
        """
        items, length = left_aligned(histories, self.max_len)
        size, here = self._rows_at_a_time(items), histories != PAD
        with torch.no_grad():
            parts = [
                self.net.attention(items[i : i + size], length[i : i + size], layers)
                for i in range(0, max(len(items), 1), size)
            ]
        place = here.cumsum(1) - 1 - (here.sum(1) - length)[:, None]
        return torch.cat(parts).gather(1, place.clamp_min(0)) * (here & (place >= 0))

    def item_vectors(self) -> torch.Tensor:
        """Float[n_items, d]: the output vectors."""
        return self.net.table()[0]

    def tensors(self) -> dict[str, torch.Tensor]:
        return dict(self.net.state_dict())

    def settings(self) -> dict[str, Any]:
        cls = type(self.net)
        return {
            "network": [cls.__module__, cls.__name__],
            "sizes": self.net.sizes,
            "edited_history": self.edited_history,
        }

    @classmethod
    def from_tensors(cls, tensors: dict[str, torch.Tensor], settings: dict[str, Any]) -> SequenceScorer:
        module, name = settings["network"]
        if not module.startswith("recx.models."):
            raise ValueError(f"a stored scorer names a network outside recx.models: {module}")
        made = getattr(importlib.import_module(module), name)(**settings["sizes"], random=devices.generator(0))
        net = made.to(tensors["items.weight"].device)
        net.load_state_dict(tensors)
        return scorer_of(net, settings["edited_history"])


class SoftSequenceScorer(SequenceScorer):
    """A sequence scorer whose network has `soft(items Long[B, L], keep Float[B, L]) -> state Float[B, d]`.

    Items are oldest first with PAD anywhere; the state is exactly that of the edited history where keep is 0 or 1. A
    network that keeps a vector per person takes `users` Long[B] too.
    """

    def __init__(self, net: Any, edited_history: str) -> None:
        super().__init__(net, edited_history)
        self.knows_people = "users" in signature(net.soft).parameters

    def soft_score(
        self, histories: torch.Tensor, keep: torch.Tensor, targets: torch.Tensor, users: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Float[B, S] of targets Long[B, S] under soft edits keep Float[B, S, L]."""
        n_soft, length = keep.shape[1:]
        items = histories[:, None].expand(-1, n_soft, -1).reshape(-1, length)
        kept = (keep * (histories != PAD)[:, None]).reshape(-1, length)
        person = {} if users is None or not self.knows_people else {"users": users.repeat_interleave(n_soft)}
        state = self.net.soft(items, kept, **person)
        table, bias = self.net.table()
        found = (state.unflatten(0, (-1, n_soft)) * table[targets]).sum(2)
        return found if bias is None else found + bias[targets]


def scorer_of(net: nn.Module, edited_history: str) -> SequenceScorer:
    """The scorer of a network: a differentiable one if it has `soft`."""
    return (SoftSequenceScorer if hasattr(net, "soft") else SequenceScorer)(net, edited_history)


def looked(maps: list[torch.Tensor], layers: str, last: torch.Tensor) -> torch.Tensor:
    """Float[B, L]: how much the positions `last` Long[B] look at each position, by the maps Float[B, L, L] of layers.

    `layers`: last (the last layer's map), mean (of all layers), rollout (the product of all maps, each mixed half and
    half with the position itself for its residual: Abnar & Zuidema, ACL 2020).
    """
    rows = torch.arange(len(last), device=last.device)
    if layers == "rollout":
        found = F.one_hot(last, maps[0].shape[2]).to(maps[0].dtype)
        for one in reversed(maps):
            found = (found + (found[:, None] @ one)[:, 0]) / 2
        return found
    chosen = maps if layers == "mean" else maps[-1:]
    return torch.stack([one[rows, last] for one in chosen]).mean(0)


def shares_of(look: torch.Tensor) -> torch.Tensor:
    """Float[B, L]: looks of any sign as shares of their absolute sum; 0 where there are none."""
    return look.abs() / look.abs().sum(1, keepdim=True).clamp_min(1e-30)


def left_aligned(histories: torch.Tensor, max_len: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Long[B, L] and lengths Long[B]: the latest `max_len` items of each history, moved to the left, PAD behind."""
    window = compact(histories)[:, -max_len:]
    length = (window != PAD).sum(1)
    width = max(1, int(length.max())) if len(length) else 1
    column = torch.arange(width, device=window.device)[None, :] + (window.shape[1] - length)[:, None]
    there = column < window.shape[1]
    return window.gather(1, column.clamp_max(window.shape[1] - 1)).masked_fill(~there, PAD), length


def window_weight(keep: torch.Tensor, max_len: int) -> torch.Tensor:
    """Float[B, L]: how much of each softly kept item lies among the latest `max_len`; exact where keep is 0 or 1."""
    behind = keep.flip(1).cumsum(1).flip(1) - keep
    return keep * (max_len - behind).clamp(0, 1)


def last_weight(weight: torch.Tensor) -> torch.Tensor:
    """Float[B, L]: how much each column is the last one present: its weight times the absence of all behind it."""
    absent = F.pad((1 - weight).flip(1).cumprod(1).flip(1)[:, 1:], (0, 1), value=1.0)
    return weight * absent
