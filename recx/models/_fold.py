"""What an edited history means for a model that keeps a vector per person: the person's vector is found from the items.

Two ways, both differentiable in how much of each item is kept. `ridge`: the exact least-squares solution given the item
vectors, for models of squared error. `LinearFold`: a linear map from the items' vectors to the person's, learnt on the
people of the training data after training, for the other losses.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import torch
from torch.nn import functional as F

from recx.data.interactions import PAD

FLOATS = 1 << 22
"""Numbers held at a time while many least-squares problems are set up: 16 MB."""
FULL = 0.75
"""A group of ragged rows holds rows down to this share of its longest one."""
SHRINK = (1.0, 3.0, 10.0, 30.0, 100.0)
RIDGE = np.logspace(-6, 1, 15)
"""What `LinearFold` chooses from: items that count for the mean person, and penalty over the largest eigenvalue."""


def once(histories: torch.Tensor) -> torch.Tensor:
    """Long[B, L]: the items of each history in the order of their codes, repeats as PAD."""
    items = histories.sort(dim=1).values
    return items.masked_fill(F.pad(items[:, 1:] == items[:, :-1], (1, 0)), PAD)


def by_length(lengths: torch.Tensor, width: int) -> Iterator[tuple[torch.Tensor, int]]:
    """Row numbers Long[b] and their largest length: groups of like rows, at most FLOATS numbers when padded.

    `lengths` Long[B]; `width`: numbers per entry of a row. Rows of length 0 are in no group.
    """
    order = torch.argsort(lengths, descending=True)
    falling = lengths[order].cpu().numpy()
    start, stop = 0, int((falling > 0).sum())
    while start < stop:
        longest = int(falling[start])
        alike = start + int(np.searchsorted(-falling[start:stop], -FULL * longest, side="right"))
        end = max(start + 1, min(alike, start + FLOATS // ((longest + width) * width)))
        yield order[start:end], longest
        start = end


def ridge(
    x: torch.Tensor, values: torch.Tensor, keep: torch.Tensor, start: torch.Tensor, weight: float, each: float = 0.0
) -> torch.Tensor:
    """Float[..., d]: w = (start + weight X^T K X + each |K| I)^-1 X^T K v, K the diagonal matrix of `keep`.

    X Float[..., L, d], values v and keep Float[..., L], start Float[d, d]; |K| is the sum of keep.
    """
    kept = x * keep[..., None]
    gram = start + weight * (kept.mT @ x)
    if each:
        gram = gram + each * torch.diag_embed(keep.sum(-1, keepdim=True).expand(*keep.shape[:-1], x.shape[-1]))
    return torch.cholesky_solve(kept.mT @ values[..., None], torch.linalg.cholesky(gram))[..., 0]


class Side:
    """Ragged lists of one side: row r owns the cells offsets[r] to offsets[r + 1], which are about `other` Long[N]."""

    def __init__(self, owner: np.ndarray, other: np.ndarray, n: int, place: torch.device) -> None:
        self.order = torch.as_tensor(np.argsort(owner, kind="stable")).to(place)
        self.other = torch.as_tensor(other.astype(np.int64)).to(place)[self.order]
        self.lengths = torch.as_tensor(np.bincount(owner, minlength=n)).to(place)
        self.start = self.lengths.cumsum(0) - self.lengths

    def solve(
        self, vectors: torch.Tensor, values: torch.Tensor, start: torch.Tensor, weight: float = 1.0, each: float = 0.0
    ) -> torch.Tensor:
        """Float[n, d]: every row's ridge solution for the vectors Float[m, d] of its cells, values Float[N]."""
        out = vectors.new_zeros(len(self.lengths), vectors.shape[1])
        values = values[self.order]
        for rows, width in by_length(self.lengths, vectors.shape[1]):
            column = torch.arange(width, device=vectors.device)
            here = column < self.lengths[rows, None]
            cell = torch.where(here, self.start[rows, None] + column, 0)
            out[rows] = ridge(vectors[self.other[cell]], values[cell], here.to(vectors.dtype), start, weight, each)
        return out


def table(values: torch.Tensor) -> torch.Tensor:
    """Float[R + 1, d]: the rows and a row of zeros, which index -1 (nobody, nothing) finds."""
    return F.pad(values, (0, 0, 0, 1))


class Known:
    """What is known of (user, item) pairs: `keys` Long[N] = user * n_items + item, rising; `values` Float[N]."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor, n_items: int) -> None:
        self.keys, self.values, self.n_items = keys, values, n_items

    def of(self, users: torch.Tensor | None, items: torch.Tensor, otherwise: float) -> torch.Tensor:
        """Float[B, L] for users Long[B] (-1 or None: unknown) and items Long[B, L]."""
        if users is None:
            return torch.full(items.shape, otherwise, dtype=self.values.dtype, device=items.device)
        wanted = torch.where(items == PAD, -1, users[:, None] * self.n_items + items)
        place = torch.searchsorted(self.keys, wanted).clamp_max(len(self.keys) - 1)
        return torch.where(self.keys[place] == wanted, self.values[place], otherwise)


class RatingFactors:
    """Predicted ratings: baseline_i + x_i . w, w being how the person differs from the mean person.

    `baseline` Float[n_items]; `items` x Float[n_items, d] (last column 1 where people have biases); `learnt`
    Float[n_users + 1, d], zeros last. A history gives w by ridge regression of its ratings above the baseline, its
    penalty `penalty` Float[d] plus `each` per item; items without a known rating count as `liked` above it. `shift`
    Float[n_users + 1, d] is added where given: learnt vector minus the solution for the person's own training ratings.
    """

    exact_scores: ClassVar[bool] = True

    def __init__(self, tensors: dict[str, torch.Tensor], settings: dict[str, Any]) -> None:
        self._tensors, self._settings = tensors, settings
        self.baseline, self.items, self.learnt = tensors["baseline"], tensors["items"], tensors["learnt"]
        self.shift = tensors.get("shift")
        self.start = torch.diag(tensors["penalty"])
        self.n_items, self.device = len(self.baseline), self.baseline.device
        self.known = Known(tensors["keys"], tensors["ratings"], self.n_items)
        self.report: dict[str, Any] = {}

    @property
    def edited_history(self) -> str:
        solved = "by exact ridge regression on the ratings of the remaining items"
        unrated = f"an item without a known rating counts as rated {self._settings['liked']:.2f} above its baseline"
        if self.shift is None:
            return f"The person's vector is solved anew {solved}; {unrated}."
        return f"The learnt vector of the person moves as the one found {solved} does; {unrated}."

    def score(
        self, histories: torch.Tensor, users: torch.Tensor | None = None, items: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Predicted ratings Float[B, n_items or T], not clipped."""
        people = self.people(histories, users)
        if items is None:
            return torch.addmm(self.baseline, people, self.items.t())
        return self.baseline[items] + (self.items[items] @ people[:, :, None])[:, :, 0]

    def people(self, histories: torch.Tensor, users: torch.Tensor | None = None) -> torch.Tensor:
        """Float[B, d]: how the people of these histories differ from the mean person."""
        out = self.solved(histories, users)
        return out if self.shift is None or users is None else out + self.shift[users]

    def solved(self, histories: torch.Tensor, users: torch.Tensor | None = None) -> torch.Tensor:
        """Float[B, d]: the ridge regression alone, in groups of histories of like length."""
        lists = once(histories)
        out = self.baseline.new_zeros(len(lists), self.items.shape[1])
        for rows, width in by_length((histories != PAD).sum(1), self.items.shape[1]):
            part = lists[rows][:, -width:]
            out[rows] = self._ridge(part, None if users is None else users[rows], (part != PAD).to(out.dtype))
        return out

    def _ridge(self, items: torch.Tensor, users: torch.Tensor | None, keep: torch.Tensor) -> torch.Tensor:
        """Float[B, d], or Float[B, S, d] for keep Float[B, S, L]."""
        x, values = self.items[items.clamp_min(0)], self.known.of(users, items, self._settings["liked"])
        if keep.ndim == 3:
            x, values = x[:, None], values[:, None].expand_as(keep)
        return ridge(x, values, keep, self.start, 1.0, self._settings["each"])

    def rate(self, users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """Float[B, T]: ratings that users Long[B] (-1: unknown) would give items Long[B, T], clipped to the scale."""
        items = items.clamp_min(0)
        ratings = self.baseline[items] + (self.items[items] @ self.learnt[users][:, :, None])[:, :, 0]
        return ratings.clamp(self._settings["low"], self._settings["high"])

    def soft_score(
        self, histories: torch.Tensor, keep: torch.Tensor, targets: torch.Tensor, users: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Float[B, S] of targets Long[B, S] under soft edits keep Float[B, S, L]. A history must not repeat an item."""
        people = self._ridge(histories, users, keep * (histories != PAD)[:, None])
        if self.shift is not None and users is not None:
            people = people + self.shift[users][:, None]
        return self.baseline[targets] + (people * self.items[targets]).sum(2)

    def item_vectors(self) -> torch.Tensor:
        """Float[n_items, k], without the column of ones that people's biases are multiplied by."""
        return self.items[:, :-1] if bool((self.items[:, -1] == 1).all()) else self.items

    def tensors(self) -> dict[str, torch.Tensor]:
        return self._tensors

    def settings(self) -> dict[str, Any]:
        return self._settings

    @classmethod
    def from_tensors(cls, tensors: dict[str, torch.Tensor], settings: dict[str, Any]) -> RatingFactors:
        return cls(tensors, settings)


class LinearFold:
    """People's vectors from their items: G(history) = prior + sum of w_j rows_j / (number of items + shrink).

    `prior` Float[d]: the mean person, G of the empty history. `rows` Float[n_items + 1, d], zeros last. `base`
    Float[n_users + 1, d], zeros last: learnt vector minus G of the person's own training history, so that an unedited
    history gives exactly the learnt vector and an edit moves it by the change of G. The weights w_j are 1 unless given.
    """

    def __init__(self, prior: torch.Tensor, rows: torch.Tensor, base: torch.Tensor, shrink: float) -> None:
        self.prior, self.rows, self.base, self.shrink = prior, rows, base, shrink

    def people(
        self, histories: torch.Tensor, users: torch.Tensor | None = None, weights: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Float[B, d] of histories Long[B, L] that repeat no item (`once`), with weights Float[B, L]."""
        here = histories != PAD
        bag = F.embedding_bag(
            histories.remainder(len(self.rows)), self.rows, mode="sum", per_sample_weights=weights
        ) / (here.sum(1, keepdim=True) + self.shrink)
        people = self.prior + bag
        return people if users is None else people + self.base[users]

    def soft(
        self,
        histories: torch.Tensor,
        keep: torch.Tensor,
        users: torch.Tensor | None = None,
        weights: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Float[B, S, d] under soft edits keep Float[B, S, L]."""
        rows = self.rows[histories] if weights is None else self.rows[histories] * weights[:, :, None]
        size = (keep * (histories != PAD)[:, None]).sum(2, keepdim=True)
        people = self.prior + keep @ rows / (size + self.shrink)
        return people if users is None else people + self.base[users][:, None]

    def to(self, device: torch.device) -> LinearFold:
        return LinearFold(self.prior.to(device), self.rows.to(device), self.base.to(device), self.shrink)

    def tensors(self) -> dict[str, torch.Tensor]:
        return {"prior": self.prior, "rows": self.rows, "base": self.base}


def learn_fold(
    people: torch.Tensor,
    vectors: torch.Tensor,
    item: torch.Tensor,
    offsets: torch.Tensor,
    weights: torch.Tensor | None = None,
) -> tuple[LinearFold, float]:
    """The map that predicts people Float[n_users, d] from vectors Float[n_items, d'] best, and its R2.

    `item` Long[N] and weights Float[N] by user; user u has rows offsets[u] to offsets[u + 1]. Least squares over the
    people who have items; R2 is that of people left out one at a time (closed form), and picks penalty and shrinkage.
    """
    size = offsets.diff()
    there = size > 0
    centred = vectors - vectors[item].mean(0)
    total = F.embedding_bag(item, centred, offsets[:-1], mode="sum", per_sample_weights=weights)[there].double()
    prior = people[there].mean(0)
    wanted = (people[there] - prior).double()
    best = max((_left_out(total / (size[there, None] + s), wanted, s) for s in SHRINK), key=lambda one: one[0])
    r2, shrink, solution = best
    rows = centred @ solution.float()
    own = F.embedding_bag(item, rows, offsets[:-1], mode="sum", per_sample_weights=weights) / (size[:, None] + shrink)
    base = torch.where(there[:, None], people - prior - own, 0.0)
    return LinearFold(prior, table(rows), table(base), shrink), r2


def _left_out(x: torch.Tensor, y: torch.Tensor, shrink: float) -> tuple[float, float, torch.Tensor]:
    """R2 with each person left out once, the shrinkage that made x, and the solution: for the best penalty."""
    values, axes = torch.linalg.eigh(x.T @ x)
    turned, right = x @ axes, axes.T @ (x.T @ y)
    best = (-np.inf, shrink, torch.zeros(x.shape[1], y.shape[1], dtype=x.dtype))
    for share in RIDGE:
        damped = values + share * values[-1].clamp_min(1e-12)
        solution = right / damped[:, None]
        leverage = (turned.square() / damped).sum(1)
        error = (y - turned @ solution) / (1 - leverage)[:, None]
        r2 = float(1 - error.square().sum() / y.square().sum().clamp_min(1e-12))
        if r2 > best[0]:
            best = (r2, shrink, axes @ solution)
    return best
