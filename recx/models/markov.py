"""First-order Markov chain: what comes next depends on the last item alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from scipy import sparse

from recx.core import device as devices
from recx.core.progress import Progress, quiet
from recx.core.recipe import param
from recx.data.interactions import PAD, Heldout, Interactions
from recx.models._order import needs_order


@dataclass(frozen=True)
class Markov:
    """Markov chain: what people chose next after the last item of the history.

    Shani, Heckerman & Brafman, "An MDP-based recommender system", JMLR 2005, its predictive chain of order one. With
    c_ij the times that item j came after item i within the next `window` events of a person, c_i their sum and p_j the
    share of item j in all events (a Dirichlet prior worth `smoothing` events):
    P(j | i) = (c_ij + smoothing p_j) / (c_i + smoothing). An empty history scores p_j.
    """

    smoothing: float = param(10.0, "Events that the overall popularity is worth", unit="events", low=1e-6, high=1e9)
    window: int = param(3, "How many of the next events count as coming after an item", unit="events", low=1, high=1000)
    paper: ClassVar[str] = "Shani, Heckerman & Brafman, JMLR 2005"

    def fit(
        self,
        data: Interactions,
        *,
        valid: Heldout | None = None,
        seed: int = 0,
        device: str = "auto",
        progress: Progress = quiet,
    ) -> Chain:
        """Count the pairs. Raises BadInput for data without an order."""
        place = devices.resolve(device)
        needs_order(data, "markov")
        after = _transitions(data, self.window, progress)
        share = torch.as_tensor(data.popularity / max(len(data), 1), dtype=torch.float32)
        offsets, codes = torch.as_tensor(after.indptr).long(), torch.as_tensor(after.indices).long()
        counts = torch.as_tensor(after.data)
        return Chain(offsets.to(place), codes.to(place), counts.to(place), share.to(place), self.smoothing)


def _transitions(data: Interactions, window: int, progress: Progress) -> sparse.csr_array:
    """float32[n_items, n_items]: how often the second item came within `window` events after the first."""
    size = (data.n_items, data.n_items)
    total = sparse.csr_array(size, dtype=np.float32)
    for step in range(1, min(window, int(np.diff(data.offsets).max(initial=1)) - 1) + 1):
        progress(step / (window + 1), f"pairs {step} apart")
        same = data.user[step:] == data.user[:-step]
        pairs = data.item[:-step][same], data.item[step:][same]
        total = total + sparse.csr_array((np.ones(len(pairs[0]), np.float32), pairs), shape=size)
    total.sum_duplicates()
    return total


class Chain:
    """Next items by the last one: counts of row i are `counts[offsets[i]:offsets[i + 1]]` of the items `after`.

    `offsets` Long[n_items + 1], `after` Long[N] ascending in a row, `counts` Float[N], `share` Float[n_items].
    """

    exact_scores: ClassVar[bool] = True
    edited_history: ClassVar[str] = "Only the last item counts: when it is taken out, the one before takes its place."

    def __init__(
        self, offsets: torch.Tensor, after: torch.Tensor, counts: torch.Tensor, share: torch.Tensor, smoothing: float
    ) -> None:
        self.offsets, self.after, self.counts, self.share, self.smoothing = offsets, after, counts, share, smoothing
        self.n_items, self.device = len(share), share.device
        self.report: dict[str, Any] = {"converged": True}
        before = torch.repeat_interleave(torch.arange(self.n_items, device=self.device), offsets.diff())
        self.pairs = before * self.n_items + after
        totals = torch.zeros(self.n_items, device=self.device).index_add_(0, before, counts)
        self.weight = totals + smoothing

    def score(
        self, histories: torch.Tensor, users: torch.Tensor | None = None, items: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Float[B, n_items or T]: probabilities of the next item."""
        last = _last(histories)
        if items is not None:
            return self.given(last[:, None], items)
        begin, end = self.offsets[last.clamp_min(0)], self.offsets[last.clamp_min(0) + 1]
        length = torch.where(last == PAD, 0, end - begin)
        row = torch.repeat_interleave(torch.arange(len(last), device=self.device), length)
        place = torch.arange(len(row), device=self.device) + (begin - length.cumsum(0) + length)[row]
        scores = self._prior(last)[:, None] * self.share
        scores[row, self.after[place]] += self.counts[place] / self.weight[last[row]]
        return scores

    def given(self, before: torch.Tensor, item: torch.Tensor) -> torch.Tensor:
        """P(item | before), Long tensors that broadcast; PAD before stands for an empty history."""
        pair = before * self.n_items + item
        place = torch.searchsorted(self.pairs, pair).clamp_max(max(len(self.pairs) - 1, 0))
        prior = self._prior(before) * self.share[item]
        if not len(self.pairs):
            return prior
        # An empty history makes a negative number, which no pair has.
        known = self.pairs[place] == pair
        return prior + known * self.counts[place] / self.weight[before.clamp_min(0)]

    def _prior(self, before: torch.Tensor) -> torch.Tensor:
        """The weight of the overall popularity after each item."""
        return torch.where(before == PAD, 1.0, self.smoothing / self.weight[before.clamp_min(0)])

    def soft(
        self, groups: list[tuple[torch.Tensor, torch.Tensor]]
    ) -> Callable[[list[torch.Tensor]], list[torch.Tensor]]:
        """Score soft edits of the same histories many times: keeps Float[B, S, L] -> Float[B, S], per group.

        A group is (histories Long[B, L], targets Long[B, S]). A keep is the chance that the item is there: the score
        is the mean over which item is then the last.
        """
        known = [
            (self.given(histories[:, None, :], targets[:, :, None]), self.share[targets], histories != PAD)
            for histories, targets in groups
        ]
        return lambda keeps: [_expected(keep, *parts) for keep, parts in zip(keeps, known, strict=True)]

    def soft_score(self, histories: torch.Tensor, keep: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Float[B, S] of targets Long[B, S] under soft edits keep Float[B, S, L]."""
        return self.soft([(histories, targets)])([keep])[0]

    def tensors(self) -> dict[str, torch.Tensor]:
        return {"offsets": self.offsets, "after": self.after, "counts": self.counts, "share": self.share}

    def settings(self) -> dict[str, Any]:
        return {"smoothing": self.smoothing}

    @classmethod
    def from_tensors(cls, tensors: dict[str, torch.Tensor], settings: dict[str, Any]) -> Chain:
        return cls(**tensors, smoothing=settings["smoothing"])


def _last(histories: torch.Tensor) -> torch.Tensor:
    """Long[B]: the last item of each history Long[B, L], PAD where there is none."""
    column = torch.arange(1, histories.shape[1] + 1, device=histories.device)
    place = (column * (histories != PAD)).argmax(1, keepdim=True)
    return histories.gather(1, place)[:, 0]


def _expected(keep: torch.Tensor, given: torch.Tensor, share: torch.Tensor, here: torch.Tensor) -> torch.Tensor:
    """Float[B, S]: `given` Float[B, S, L] weighed by the chance that the item is the last, `share` by that of none."""
    keep = keep * here[:, None]
    none_behind = (1 - keep).flip(2).cumprod(2).flip(2)
    last = keep * torch.nn.functional.pad(none_behind[:, :, 1:], (0, 1), value=1.0)
    return (last * given).sum(2) + none_behind[:, :, 0] * share
