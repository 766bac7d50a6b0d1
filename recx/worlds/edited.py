"""The edited-history world: the model stays as it is, its input changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from inspect import signature
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from recx.core.errors import BadInput
from recx.data.interactions import PAD, Interactions
from recx.models._scorer import Scorer, compact

BLOCK_BYTES = 256 * 2**20
"""No block of scores is larger than this."""
PEOPLE = 512
"""People of the population asked for at a time."""
CACHED_BYTES = 8 * 2**20
"""Blocks of scores of which only a few numbers are kept are this large, so that they stay in a processor's cache."""
FEWEST = 8
"""Rows of such a block at least: a large model is read from memory once for all of them."""


SoftScores = Callable[[list[torch.Tensor]], list[torch.Tensor]]


class EditedWorld:
    """What users would be recommended if their history were another, the model being the same.

    `histories` Long[B, L] (padded), `users` Long[B] (-1 or None: a person without a row in the model). A question names
    a `row` of them, a `keep` Bool[S, L] of its history, and gets an answer per question; all are answered in blocks.

    `population`: the training data, for explainers that need other people's histories (capability "population").
    `calls` counts the histories scored so far.

    Conventions. `app`: candidates are the items outside the *original* history, so a removed item is not recommendable.
    `as-published`: candidates are the items outside the *edited* input, so a removed item competes (LCER's code).
    Ties are pessimistic for the target under both.
    """

    kind = "edited-history"

    def __init__(
        self,
        scorer: Scorer,
        histories: torch.Tensor,
        users: torch.Tensor | None = None,
        population: Interactions | None = None,
    ) -> None:
        if histories.ndim != 2:
            raise BadInput(f"histories must be Long[B, L], got shape {tuple(histories.shape)}.")
        self.scorer = scorer
        self.histories = histories.to(scorer.device)
        self.users = None if users is None else users.to(scorer.device)
        self.population = population
        self.calls = 0
        self._first: torch.Tensor | None = None
        self.n_items = scorer.n_items

    @property
    def capabilities(self) -> frozenset[str]:
        """What this world can do beyond scores, rank and top_k."""
        methods = {
            "soft": "soft_score",
            "embeddings": "item_vectors",
            "attention": "attention",
            "additive": "contributions",
        }
        able = {name for name, method in methods.items() if hasattr(self.scorer, method)}
        return frozenset({"replace"} | able | ({"population"} if self.population is not None else set()))

    def scores(
        self, row: torch.Tensor, keep: torch.Tensor | None = None, items: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Float[S, n_items], or Float[S, T] for `items` Long[S, T]: scores of edited histories, nothing masked."""
        width = self.n_items if items is None else items.shape[1]
        out = torch.empty(len(row), width, device=self.histories.device)
        for part in self._blocks(len(row)):
            out[part] = self._score(
                row[part], None if keep is None else keep[part], None if items is None else items[part]
            )
        return out

    def scores_of(self, histories: torch.Tensor, row: torch.Tensor, items: torch.Tensor | None = None) -> torch.Tensor:
        """Float[S, n_items or T]: scores of *replaced* histories Long[S, L'] for the people at `row`."""
        width = self.n_items if items is None else items.shape[1]
        out = torch.empty(len(row), width, device=self.histories.device)
        for part in self._blocks(len(row)):
            self.calls += len(row[part])
            users = None if self.users is None else self.users[row[part]]
            out[part] = self.scorer.score(histories[part], users, None if items is None else items[part])
        return out

    def ranks_of(
        self, histories: torch.Tensor, row: torch.Tensor, targets: torch.Tensor, candidates: str = "both"
    ) -> torch.Tensor:
        """Long[S, T]: 1-based places of `targets` Long[S, T] when the people at `row` have *replaced* histories
        Long[S, L'], ties against the target.

        `candidates`: items outside the original history and the replaced one ("both"), or outside the replaced one
        ("replaced": an item that was replaced may be recommended). A target that is no candidate comes after all items.
        """
        rank = torch.empty_like(targets)
        for part in self._blocks(len(row)):
            scores = self._scores_replaced(histories[part], row[part], candidates)
            own = scores.gather(1, targets[part])
            for t in range(targets.shape[1]):
                rank[part, t] = (scores >= own[:, t, None]).sum(1)
            rank[part] = rank[part].masked_fill(own == float("-inf"), self.n_items + 1)
        return rank

    def first_of(self, histories: torch.Tensor, row: torch.Tensor, candidates: str = "both") -> torch.Tensor:
        """Long[S]: the item in the first place for *replaced* histories Long[S, L'] (`ranks_of`)."""
        parts = [
            self._scores_replaced(histories[part], row[part], candidates).argmax(1) for part in self._blocks(len(row))
        ]
        return torch.cat(parts) if parts else row.new_zeros(0)

    def _scores_replaced(self, histories: torch.Tensor, row: torch.Tensor, candidates: str) -> torch.Tensor:
        """Scores of replaced histories, minus infinity for what is no candidate."""
        if candidates not in ("both", "replaced"):
            raise BadInput(f"unknown candidates {candidates!r}: use both or replaced.")
        self.calls += len(row)
        scores = self.scorer.score(histories, None if self.users is None else self.users[row])
        for seen in (histories, self.histories[row]) if candidates == "both" else (histories,):
            rows, columns = torch.nonzero(seen != PAD, as_tuple=True)
            scores[rows, seen[rows, columns]] = float("-inf")
        return scores

    def rank(
        self, row: torch.Tensor, keep: torch.Tensor | None, target: torch.Tensor, convention: str = "app"
    ) -> torch.Tensor:
        """Long[S]: 1-based place of each target among the candidates after the edit, ties against the target."""
        return self.rank_and_margin(row, keep, target, 1, convention)[0]

    def rank_and_margin(
        self, row: torch.Tensor, keep: torch.Tensor | None, target: torch.Tensor, k: int, convention: str = "app"
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Ranks Long[S] and margins Float[S]: target's score minus the k-th best of the other candidates.

        A positive margin means that the target is in the top k; 0 is a tie, counted as out of it.
        """
        rank = torch.empty(len(row), dtype=torch.long, device=self.histories.device)
        margin = torch.empty(len(row), device=self.histories.device)
        for part in self._blocks(len(row)):
            edit = None if keep is None else keep[part]
            scores = self._score(row[part], edit, None)
            own = scores.gather(1, target[part, None])
            self._mask(scores, row[part], edit, convention)
            scores.scatter_(1, target[part, None], float("-inf"))
            rank[part] = 1 + (scores >= own).sum(1)
            margin[part] = own[:, 0] - torch.topk(scores, min(k, scores.shape[1]), dim=1).values[:, -1]
        return rank, margin

    def margins(
        self, row: torch.Tensor, keep: torch.Tensor, targets: torch.Tensor, k: int, convention: str = "app"
    ) -> torch.Tensor:
        """Float[S, T]: margins of several targets Long[S, T] in the same edited history, from one run of the model.

        As `rank_and_margin`, for targets that are candidates: one is in the top k where its margin is above 0. Edits
        are answered in the order of their lengths and without the columns that none of a block has, so short ones cost
        little.
        """
        margin = torch.empty(targets.shape, device=self.histories.device)
        here = self.histories != PAD
        length = [(keep[part] & here[row[part]]).sum(1) for part in self._blocks(len(row))]
        order = torch.argsort(torch.cat(length), stable=True) if length else row[:0]
        cached = CACHED_BYTES // (4 * max(self.n_items, self.histories.shape[1]))
        for part in order.split(min(self._most(), max(FEWEST, cached))):
            scores = self._score(row[part], keep[part], None)
            own = scores.gather(1, targets[part])
            self._mask(scores, row[part], keep[part], convention)
            best = torch.topk(scores, min(k + 1, self.n_items), dim=1).values
            best = F.pad(best, (0, k + 1 - best.shape[1]), value=float("-inf"))
            last, next_one = best[:, k - 1, None], best[:, k, None]
            margin[part] = own - torch.where(own >= last, next_one, last)
        return margin

    def contributions(self, row: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """Float[S, T, L]: what each history item adds to the scores of items Long[S, T] (capability "additive").

        The score of an edited history that keeps an item is the sum, or for `pagerank` the mean, of what the kept items
        add, so all scores of one edit are in the order of the sums. PAD columns are 0.
        """
        scorer: Any = self.scorer
        users = None if self.users is None else self.users[row]
        out: torch.Tensor = scorer.contributions(self.histories[row], users, items)
        return out

    def top_k(
        self, row: torch.Tensor, keep: torch.Tensor | None, k: int, convention: str = "app"
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Items Long[S, k] and scores Float[S, k], best first, ties by item code; -inf where candidates run out."""
        k = min(k, self.n_items)
        items = torch.empty(len(row), k, dtype=torch.long, device=self.histories.device)
        values = torch.empty(len(row), k, device=self.histories.device)
        for part in self._blocks(len(row)):
            edit = None if keep is None else keep[part]
            scores = self._score(row[part], edit, None)
            self._mask(scores, row[part], edit, convention)
            sorted_scores, order = torch.sort(scores, dim=1, descending=True, stable=True)
            items[part], values[part] = order[:, :k], sorted_scores[:, :k]
        return items, values

    def replaced(
        self,
        row: torch.Tensor,
        keep: torch.Tensor | None,
        listed: torch.Tensor,
        need: torch.Tensor,
        convention: str = "app",
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """How far an edit changes a list: Long[S] items of `listed` Long[S, m] that leave it, and a margin Float[S].

        `listed`: -1 where a list is shorter; `need` Long[S]: how many of them shall leave. Their scores from below and
        the best scores of all others from above are compared place by place: the margin is the sum of what the first
        `need` others lack, or, if none lacks anything, the need-th listed score minus the need-th other one. So it is
        above 0 when fewer than `need` are replaced, below 0 when at least `need` are.
        """
        count = torch.empty(len(row), dtype=torch.long, device=self.histories.device)
        margin = torch.empty(len(row), device=self.histories.device)
        for part in self._blocks(len(row)):
            edit = None if keep is None else keep[part]
            scores = self._score(row[part], edit, None)
            self._mask(scores, row[part], edit, convention)
            count[part], margin[part] = _replaced(scores, listed[part], need[part])
        return count, margin

    def soft(self, groups: list[tuple[torch.Tensor, torch.Tensor]], *, straight: bool = False) -> SoftScores:
        """Differentiable scores under soft edits, many times over: for groups of (row Long[R], targets Long[R, S]).

        Gives a function: one keep Float[R, S, L] per group -> one Float[R, S] per group. A group may have a narrower
        keep than the histories, if its own are no longer: columns count from the right (`widest`). `straight`: the way
        from no history to all of it must have no jump; a model that divides by its input's length then keeps that of
        the whole history.
        Raises BadInput when the scorer has no `soft_score`.
        """
        if "soft" not in self.capabilities:
            raise BadInput(f"{type(self.scorer).__name__} is not differentiable in its history.")
        cut = [(self.histories[row][:, -self.widest(row) :], targets) for row, targets in groups]
        scorer: Any = self.scorer
        if hasattr(scorer, "soft"):
            has_jump = straight and "straight" in signature(scorer.soft).parameters
            inner = scorer.soft(cut, straight=True) if has_jump else scorer.soft(cut)
        else:
            knows_people = self.users is not None and "users" in signature(scorer.soft_score).parameters
            who = [{"users": self.users[row]} if knows_people and self.users is not None else {} for row, _ in groups]
            inner = lambda keeps: [  # noqa: E731
                scorer.soft_score(histories, keep, targets, **person)
                for (histories, targets), person, keep in zip(cut, who, keeps, strict=True)
            ]

        def scores(keeps: list[torch.Tensor]) -> list[torch.Tensor]:
            self.calls += sum(keep.shape[0] * keep.shape[1] for keep in keeps)
            return inner(keeps)

        return scores

    def attention(self, row: torch.Tensor, layers: str = "last") -> torch.Tensor:
        """Float[S, L]: how much the model looks at each history item of the people at `row`; rows sum to at most 1.

        `layers`: last, mean or rollout (`recx.models._sequence.looked`). Raises BadInput when the model does not look.
        """
        if "attention" not in self.capabilities:
            raise BadInput(f"{type(self.scorer).__name__} has no attention.")
        self.calls += len(row)
        scorer: Any = self.scorer
        return scorer.attention(self.histories[row], None if self.users is None else self.users[row], layers)

    def embeddings(self) -> torch.Tensor:
        """Float[n_items, d]: the vectors by which the model tells items apart. Raises BadInput when it has none."""
        if "embeddings" not in self.capabilities:
            raise BadInput(f"{type(self.scorer).__name__} has no vectors of items.")
        scorer: Any = self.scorer
        return scorer.item_vectors().detach()

    def first_of_population(self) -> torch.Tensor:
        """Long[n_users]: what each person of the population is recommended first; -1 for those without a history.

        One run of the model for each of them, once for this world. Raises BadInput without a population.
        """
        if self.population is None:
            raise BadInput("this world has no population: give it the training histories.")
        if self._first is None:
            here = np.flatnonzero(np.diff(self.population.offsets))
            self._first = torch.full((self.population.n_users,), -1, device=self.histories.device)
            for users in np.array_split(here, max(1, -(-len(here) // PEOPLE))):
                histories = torch.as_tensor(self.population.histories(users))
                people = EditedWorld(self.scorer, histories, torch.as_tensor(users))
                items, scores = people.top_k(torch.arange(len(users), device=self.histories.device), None, 1)
                first = items.masked_fill(scores == float("-inf"), -1)[:, 0]
                self._first[torch.as_tensor(users, device=first.device)] = first
                self.calls += people.calls
        return self._first

    def widest(self, row: torch.Tensor) -> int:
        """How many columns from the right hold the histories of `row`; at least 1."""
        here = (self.histories[row] != PAD).any(0)
        return int(here.shape[0] - here.int().argmax()) if bool(here.any()) else 1

    def _score(self, row: torch.Tensor, keep: torch.Tensor | None, items: torch.Tensor | None) -> torch.Tensor:
        self.calls += len(row)
        histories = self.histories[row]
        edited = histories if keep is None else _narrow(compact(histories, keep))
        users = None if self.users is None else self.users[row]
        return self.scorer.score(edited, users, items)

    def _mask(self, scores: torch.Tensor, row: torch.Tensor, keep: torch.Tensor | None, convention: str) -> None:
        """Set what is no candidate to minus infinity, in place."""
        history = self.histories[row]
        if convention == "as-published" and keep is not None:
            history = history.masked_fill(~keep, PAD)
        elif convention not in ("app", "as-published"):
            raise BadInput(f"unknown convention {convention!r}: use app or as-published.")
        rows, columns = torch.nonzero(history != PAD, as_tuple=True)
        scores[rows, history[rows, columns]] = float("-inf")

    def _most(self) -> int:
        """How many questions' scores (and their sorted copies) stay under BLOCK_BYTES; at least 1."""
        return max(1, BLOCK_BYTES // (4 * 8 * max(self.n_items, self.histories.shape[1])))

    def _blocks(self, n: int) -> Iterator[slice]:
        """Slices of at most so many questions."""
        size = self._most()
        for start in range(0, n, size):
            yield slice(start, start + size)


def _replaced(scores: torch.Tensor, listed: torch.Tensor, need: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """`EditedWorld.replaced` from masked scores Float[S, n_items]; equal scores stand in the order of item codes."""
    here, lowest = listed >= 0, torch.finfo(scores.dtype).min
    size = here.sum(1)
    own = scores.gather(1, listed.clamp(min=0)).masked_fill(~here, float("inf")).sort(dim=1).values
    outside = scores.scatter(1, torch.where(here, listed, listed[:, :1]).clamp(min=0), float("-inf"))
    others = torch.topk(outside, min(listed.shape[1], scores.shape[1]), dim=1).values
    count = (others > own).sum(1)
    tied = ((others == own) & here.sort(dim=1, descending=True).values & (others > float("-inf"))).any(1)
    if tied.any():
        order = torch.sort(scores[tied], dim=1, descending=True, stable=True).indices[:, : listed.shape[1]]
        in_list = torch.arange(order.shape[1], device=order.device) < size[tied, None]
        now = torch.zeros_like(scores[tied], dtype=torch.bool).scatter(1, order, in_list)
        count[tied] = size[tied] - (now.gather(1, listed[tied].clamp(min=0)) & here[tied]).sum(1)
    lack = (own - others.clamp(min=lowest)).clamp(max=-lowest)
    asked = torch.arange(lack.shape[1], device=lack.device) < need[:, None]
    total = (lack.clamp(min=0) * asked).sum(1)
    last = lack.gather(1, (need - 1).clamp(min=0, max=lack.shape[1] - 1)[:, None])[:, 0]
    return count, torch.where(last > 0, total.clamp(max=-lowest), last)


def _narrow(histories: torch.Tensor) -> torch.Tensor:
    """Right-aligned histories without the columns on the left in which nobody has an item; at least one column."""
    longest = int((histories != PAD).sum(1).max()) if histories.numel() else 1
    return histories[:, -max(1, longest) :]
