"""Personalised PageRank over the graph of people and items; `prince` explains it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import torch
from scipy import sparse
from torch.nn import functional as F

from recx.core import device as devices
from recx.core.progress import Progress, quiet
from recx.core.recipe import param
from recx.data.interactions import PAD, Heldout, Interactions

DENSE_ITEMS = 4096
"""Up to so many items the walks between all pairs are summed once, in closed form (64 MB); beyond, step by step."""
TOLERANCE = 1e-7
"""Walked step by step, at most this share of all walks is left out."""
CELLS = 2**22
"""Cells of one block of work: 16 MB."""


@dataclass(frozen=True)
class PageRank:
    """Personalised PageRank: where random walks that start from the history's items end.

    The recommender of PRINCE (Ghazimatin et al., WSDM 2020), after Haveliwala, "Topic-sensitive PageRank", WWW 2002. A
    graph has a node per person and per item and an edge per event. A walk starts at the person who asks; before each
    step it ends with probability `alpha`, else it takes one of the edges of its node at random. The score of an item
    is the probability that the walk ends there.

    Algebra. X Float[users, items] counts events, U and D are the diagonals of its row and column sums. Two steps from
    item to item are T = D^-1 S with S = X^T U^-1 X, symmetric, and survive with c = (1 - alpha)^2. A walk is on items
    after an odd number of steps, so with h the history as a row of event counts, m their number,
    score = alpha (1 - alpha) / m  h (I - c T)^-1 = alpha (1 - alpha) / m  h (D - c S)^-1 D:
    the mean, over the history, of one row per item. It is linear in the history, which makes every edit exact.

    The person. Who asks is a node with edges to the items of the history given, and no edge back (walks that came back
    would start again from the same items: one factor for all scores). The same person's node of the training, x = its
    row of X with d events, is taken out of the graph together with its edges: D' = D - diag(x), S' = S - x^T x / d. So
    a deleted item cannot come back through the person's own past, an edited history scores exactly as if the graph had
    been built without the deleted events, and a person of the training scores as a stranger with that history would.
    An item that nobody else has ends the walks that reach it. An empty history walks from a random event of the others:
    popularity.
    """

    alpha: float = param(0.5, "Probability that the walk ends, at each step", low=0.02, high=0.98)
    paper: ClassVar[str] = "Ghazimatin et al., WSDM 2020"

    def fit(
        self,
        data: Interactions,
        *,
        valid: Heldout | None = None,
        seed: int = 0,
        device: str = "auto",
        progress: Progress = quiet,
    ) -> Walks:
        """Keep the graph; up to DENSE_ITEMS items, invert D - c S in double precision."""
        place = devices.resolve(device)
        progress(0.0, "building the graph")
        tensors = {"offsets": torch.as_tensor(data.offsets), "chosen": torch.as_tensor(data.item.copy())}
        if data.n_items <= DENSE_ITEMS:
            tensors["resolvent"] = _resolvent(data, self.alpha)
        progress(1.0, "done")
        settings = {"alpha": self.alpha, "n_items": data.n_items}
        return Walks.from_tensors({name: value.to(place) for name, value in tensors.items()}, settings)


def _resolvent(data: Interactions, alpha: float) -> torch.Tensor:
    """(D - c S)^-1 Float[n_items, n_items]; an item without events has 1 on the diagonal."""
    events = sparse.csr_array((np.ones(len(data)), (data.user, data.item)), shape=(data.n_users, data.n_items))
    share = sparse.diags_array(1 / np.maximum(np.diff(data.offsets), 1))
    matrix = torch.as_tensor((events.T @ share @ events).toarray()).mul_(-((1 - alpha) ** 2))
    matrix.diagonal().add_(torch.as_tensor(np.maximum(data.popularity, 1.0)))
    return torch.cholesky_inverse(torch.linalg.cholesky(matrix)).float()


class Walks:
    """Scores by random walks; the events of user u of the training are `chosen[offsets[u]:offsets[u + 1]]`.

    `alpha`, `degrees` Float[n_items] (events of an item), `resolvent` Float[n_items, n_items] = (D - c S)^-1 of the
    whole graph or None, and `contributions` are what an explainer needs.
    """

    exact_scores: ClassVar[bool] = True
    edited_history: ClassVar[str] = (
        "The person's edges to the removed items are gone from the graph, everything else is as it was."
    )

    def __init__(
        self, offsets: torch.Tensor, chosen: torch.Tensor, resolvent: torch.Tensor | None, alpha: float, n_items: int
    ) -> None:
        self.offsets, self.chosen, self.resolvent, self.alpha, self.n_items = offsets, chosen, resolvent, alpha, n_items
        self.device, self.n_users = chosen.device, len(offsets) - 1
        self.report: dict[str, Any] = {"converged": True}
        self.stay = (1 - alpha) ** 2
        self.degrees = torch.bincount(chosen, minlength=n_items).float()

    def score(
        self, histories: torch.Tensor, users: torch.Tensor | None = None, items: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Float[B, n_items or T]: the probability that the walk ends at each item. A repeated item is two edges."""
        users = self._known(users, len(histories))
        start = torch.zeros(len(histories), self.n_items, device=self.device)
        start.scatter_add_(1, histories.clamp_min(0), (histories != PAD).float())
        length = start.sum(1, keepdim=True)
        others = self._others(users)
        popular = others / (others.sum(1, keepdim=True).clamp_min(1) * (1 - self.stay))
        walked = self._solve(start / length.clamp_min(1), users, others) * self._diagonal(others)
        scores = self.alpha * (1 - self.alpha) * torch.where(length > 0, walked, popular)
        return scores if items is None else scores.gather(1, items)

    def contributions(self, histories: torch.Tensor, users: torch.Tensor | None, items: torch.Tensor) -> torch.Tensor:
        """Float[B, T, L]: the probability that a walk that has stepped to a history item ends at items Long[B, T].

        The mean over the kept items of a history is the score of the history with those items. PAD columns are 0.
        """
        users = self._known(users, len(histories))
        row = torch.arange(items.numel(), device=self.device) // max(items.shape[1], 1)
        flat, out = items.flatten()[:, None], torch.empty(items.numel(), histories.shape[1], device=self.device)
        size = max(1, CELLS // self.n_items)
        for begin in range(0, len(flat), size):
            part = slice(begin, begin + size)
            target, here, who = flat[part], histories[row[part]], users[row[part]]
            others = self._others(who)
            # The inverse is symmetric: walked back from the target, all items of the history are answered at once.
            out[part] = self._back(target, who, others).gather(1, here.clamp_min(0)) * (here != PAD)
        return self.alpha * (1 - self.alpha) * out.unflatten(0, items.shape)

    def _known(self, users: torch.Tensor | None, n: int) -> torch.Tensor:
        return torch.full((n,), -1, device=self.device) if users is None else users

    def _length(self, users: torch.Tensor) -> torch.Tensor:
        """Long[B]: how many training events each user has."""
        return torch.where(users < 0, 0, self.offsets.diff()[users.clamp_min(0)])

    def _own(self, users: torch.Tensor) -> torch.Tensor:
        """Long[B, L]: the training events of each user, PAD behind; L is at least 1."""
        length = self._length(users)
        column = torch.arange(max(1, int(length.max()) if len(length) else 1), device=self.device)
        place = (self.offsets[users.clamp_min(0), None] + column).clamp_max(max(len(self.chosen) - 1, 0))
        return torch.where(column < length[:, None], self.chosen[place].long(), PAD)

    def _others(self, users: torch.Tensor) -> torch.Tensor:
        """Float[B, n_items]: events of each item by other people."""
        own = self._own(users)
        return self.degrees.repeat(len(users), 1).scatter_add_(1, own.clamp_min(0), -(own != PAD).float())

    def _diagonal(self, others: torch.Tensor) -> torch.Tensor:
        """D': where nobody else has the item, its own events (at least 1) keep D' invertible; no walk goes on there."""
        return torch.where(others > 0, others, self.degrees.clamp_min(1))

    def _solve(self, right: torch.Tensor, users: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        """right (D' - c S')^-1, Float[B, n_items], each row on the graph without that user."""
        if self.resolvent is None:
            return self._step_by_step(right, users, self._diagonal(others))
        return self._closed_form(right, users, others)

    def _back(self, target: torch.Tensor, users: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        """`_solve` for D' at one target Long[B, 1] a row and 0 elsewhere: a row of the inverse, not a product."""
        weight = self._diagonal(others).gather(1, target)
        if self.resolvent is None:
            return self._solve(torch.zeros_like(others).scatter_(1, target, weight), users, others)
        return self._without(self.resolvent[target[:, 0]] * weight, users, others)

    def _closed_form(self, right: torch.Tensor, users: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        """right K, K = (D - c S)^-1, and the user's own events taken out."""
        return self._without(right @ self.resolvent, users, others)

    def _without(self, out: torch.Tensor, users: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        """Rows `out` of a product with K, changed in place to those of the graph without each row's user.

        With K = (D - c S)^-1 and E the columns of the user's own d events (Woodbury):

        (D' - c S')^-1 = K - K E (I + M G)^-1 M E^T K, M = c/d 1 1^T - diag(others have the item), G = E^T K E.
        """
        for rows in self._blocks(users):
            people, which = users[rows].unique(return_inverse=True)
            own = self._own(people)
            here, codes = (own != PAD).float(), own.clamp_min(0)[which]
            first = torch.empty_like(people).scatter_(0, which, rows)
            drop = (here * (others[first].gather(1, own.clamp_min(0)) > 0))[:, :, None]
            mean = here[:, :, None] * (self.stay / here.sum(1))[:, None, None]
            gram = self._gram(own.clamp_min(0))
            # Rows of the filling are those of the unit matrix and meet a zero on the right: it takes no part.
            small = torch.baddbmm(-drop * gram, mean, here[:, None] @ gram)
            small.diagonal(dim1=1, dim2=2).add_(1.0)
            factors, pivots = torch.linalg.lu_factor(small)
            seen = out[rows].gather(1, codes)[:, :, None]
            seen = mean[which] * (here[which, None] @ seen) - drop[which] * seen
            solved = torch.linalg.lu_solve(factors[which], pivots[which], seen)[:, :, 0]
            taken = torch.zeros(len(rows), self.n_items, device=self.device).scatter_add_(1, codes, solved)
            out[rows] -= taken @ self.resolvent
        return out

    def _gram(self, codes: torch.Tensor) -> torch.Tensor:
        """Float[V, L, L]: the resolvent between the items Long[V, L] of each row."""
        return self.resolvent[codes[:, :, None], codes[:, None, :]]

    def _blocks(self, users: torch.Tensor) -> Iterator[torch.Tensor]:
        """Row numbers of users with events, the same user together, rows times (their most events)^2 under CELLS."""
        length = self._length(users)
        order = torch.argsort(length * (self.n_users + 1) + users)
        order = order[int((length == 0).sum()) :]
        while len(order):
            cells = length[order] ** 2 * torch.arange(1, len(order) + 1, device=self.device)
            n = max(1, int((cells <= CELLS).sum()))
            yield order[:n]
            order = order[n:]

    def _step_by_step(self, right: torch.Tensor, users: torch.Tensor, diagonal: torch.Tensor) -> torch.Tensor:
        """The same as a sum over the number of steps: right D'^-1 (I + cT' + (cT')^2 + ...), in blocks of rows."""
        steps = math.ceil(math.log(TOLERANCE * (1 - self.stay)) / math.log(self.stay))
        out, size = torch.empty_like(right), max(1, CELLS // max(self.n_items, self.n_users))
        for begin in range(0, len(right), size):
            part = slice(begin, begin + size)
            out[part] = self._walk(right[part].t(), users[part], diagonal[part].t(), steps).t()
        return out

    def _walk(self, right: torch.Tensor, users: torch.Tensor, diagonal: torch.Tensor, steps: int) -> torch.Tensor:
        """Float[n_items, B] for right and diagonal Float[n_items, B]."""
        people, begin = self._people
        column = torch.nonzero(users >= 0)[:, 0]
        now = right / diagonal
        total = now.clone()
        for _ in range(steps):
            mean = F.embedding_bag(self.chosen, now, self.offsets, mode="mean", include_last_offset=True)
            mean[users[column], column] = 0.0
            now = self.stay * F.embedding_bag(people, mean, begin, mode="sum", include_last_offset=True) / diagonal
            total += now
        return total

    @cached_property
    def _people(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The users of all events, item by item, and where each item's begin: Int[N] and Long[n_items + 1]."""
        user = torch.repeat_interleave(torch.arange(self.n_users, device=self.device), self.offsets.diff())
        begin = F.pad(torch.bincount(self.chosen, minlength=self.n_items).cumsum(0), (1, 0))
        return user[self.chosen.argsort(stable=True)].int(), begin

    def tensors(self) -> dict[str, torch.Tensor]:
        kept = {} if self.resolvent is None else {"resolvent": self.resolvent}
        return {"offsets": self.offsets, "chosen": self.chosen} | kept

    def settings(self) -> dict[str, Any]:
        return {"alpha": self.alpha, "n_items": self.n_items}

    @classmethod
    def from_tensors(cls, tensors: dict[str, torch.Tensor], settings: dict[str, Any]) -> Walks:
        return cls(tensors["offsets"], tensors["chosen"], tensors.get("resolvent"), **settings)
