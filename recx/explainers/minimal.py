"""Minimal sets: the fewest history items that a recommendation hangs on, by search, with proof where it is in reach."""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
import torch

from recx.core.progress import Progress, quiet
from recx.core.recipe import param
from recx.explainers._explanation import Finding
from recx.explainers._lockstep import Ask, run_together
from recx.explainers._minimal_list import smallest
from recx.worlds.edited import EditedWorld

Plan = Generator[Ask, np.ndarray, Any]

HOPELESS = 5
"""Where even large sets do not do it, one in so many of the runs is spent on looking."""
BEAM, CANDIDATES = 4, 24
"""Beam search: sets that grow at a time, and items they may grow by."""


@dataclass(frozen=True)
class Minimal:
    """Minimal set: the fewest items that the recommendation hangs on.

    Ours. Goal `both`: without the set the item leaves the top k, and the set alone recommends it; goal `necessary`:
    only the first. A beam search finds a small set; then all sets of each smaller size are tried, as far as `max_calls`
    reaches. When all smaller sizes were tried in full, no smaller set exists: minimality is proved.
    """

    goal: str = param(
        "both",
        "both: removing it takes the item out and alone it recommends it; necessary: the first only",
        choices=("both", "necessary"),
    )
    max_calls: int = param(
        2000, "Runs of the recommender for one pair, about; more give more proof", unit="runs", low=10, high=10_000_000
    )
    chunk: int = param(256, "Sets tried in one batch", unit="sets", low=1, high=100_000)
    paper: ClassVar[str] = "ours; compare GECE (2508.03606)"
    needs_of_world: ClassVar[frozenset[str]] = frozenset()

    def explain(
        self,
        world: EditedWorld,
        row: torch.Tensor,
        target: torch.Tensor,
        k: int,
        *,
        seed: int = 0,
        get: Any = None,
        progress: Progress = quiet,
    ) -> list[Finding]:
        """Findings whose weights are each item's own effect on the margin over the k-th best other candidate.

        All searches advance together, one batch a round. Nothing is searched for a target that is not in the top k by
        the world's count (a tie counts against it).
        """
        start = time.perf_counter()
        columns = [np.flatnonzero(history >= 0) for history in world.histories[row].cpu().numpy()]
        plans = [_Search(self, len(own)).run() for own in columns]
        answers = run_together(world, row, target, k, columns, plans, progress)
        seconds = (time.perf_counter() - start) / max(1, len(row))
        return [self._finding(answer, own, seconds) for answer, own in zip(answers, columns, strict=True)]

    def explain_list(
        self,
        world: EditedWorld,
        row: torch.Tensor,
        k: int,
        share: str,
        *,
        seed: int = 0,
        get: Any = None,
        progress: Progress = quiet,
    ) -> list[Finding]:
        """One Finding per person: the fewest items whose removal replaces `share` of the list."""
        return smallest(world, row, k, share, max_calls=self.max_calls, chunk=self.chunk, progress=progress)

    def _finding(self, answer: dict[str, Any], columns: np.ndarray, seconds: float) -> Finding:
        found, calls, full = answer["set"], answer["calls"], answer["exhausted"]
        said = f"{calls:,} sets tried; {seconds:.2f} s"
        if answer["tied"]:
            said = "others score the same, so by the strict count it is not in the list: nothing was searched"
            return Finding(goal=self.goal, calls=calls, seconds=seconds, searched=said)
        if found is None:
            scope = f"no set of up to {full} items" if full else "no set"
            return Finding(goal=self.goal, calls=calls, seconds=seconds, searched=f"{scope} found; {said}")
        proved = full >= len(found) - 1
        order = sorted(found, key=lambda j: (-answer["effects"][j], j))
        smaller = (
            "there is no smaller set" if proved else f"no set of up to {full} items does it; another, smaller one may"
        )
        return Finding(
            positions=tuple(int(columns[j]) for j in order),
            weights=tuple(float(answer["effects"][j]) for j in order),
            details={"goal": self.goal, "smallest": "proved" if proved else "not proved"},
            goal=self.goal,
            proved=proved or None,
            calls=calls,
            seconds=seconds,
            searched=f"{smaller}; {said}",
        )


class _Search:
    """One pair's search. Items are numbered 0..n-1 in the order of the history; a set is a row of Bool[S, n]."""

    def __init__(self, recipe: Minimal, n: int) -> None:
        self.recipe, self.n, self.calls, self.exhausted, self.budget = recipe, n, 0, 0, recipe.max_calls
        self.effects, self.value, self.scale = np.zeros(n), np.zeros(n), (1.0, 1.0)
        self.lack, self.tied = np.zeros(n), False

    def run(self) -> Plan:
        """The smallest set found: `{set, effects, calls, exhausted}`; `exhausted`: all sets up to this size tried.

        Single items; then an upper bound (sets of the best 2, 3, 4, ... items; a beam search below it); then, as far as
        the runs reach, all sets of each smaller size; then items dropped one by one.
        """
        if self.n == 0:
            return self._answer(None)
        found = yield from self._singles(np.eye(self.n, dtype=bool))
        if found is not None or self.tied:
            return self._answer(found)
        large = yield from self._grow()
        if large is None:
            self.budget = self.calls + self._left() // HOPELESS
        better = yield from self._beam(self.n if large is None else int(large.sum()) - 1)
        large = large if better is None else better
        top = self.n if large is None else int(large.sum()) - 1
        for size in range(2, top + 1):
            if math.comb(self.n, size) > self._left():
                break
            found = yield from self._level(size)
            if found is not None:
                return self._answer(found)
            self.exhausted = size
        if large is not None and self.exhausted < top:
            large = yield from self._shrink(large)
        return self._answer(large)

    def _answer(self, found: np.ndarray | None) -> dict[str, Any]:
        chosen = None if found is None else [int(j) for j in np.flatnonzero(found)]
        return {"set": chosen, "effects": self.effects, "calls": self.calls} | {
            "exhausted": self.exhausted,
            "tied": self.tied,
        }

    def _left(self) -> int:
        return self.budget - self.calls

    def _singles(self, singles: np.ndarray) -> Plan:
        """Every single item taken out, and every one alone; sets the order in which sets are tried."""
        everything = np.zeros((1, self.n), bool)
        out = yield self._ask(np.concatenate([everything, singles]), keep=False)
        margin, self.tied = out[:, 1], bool(out[0, 0] <= 0)
        if self.tied:
            return None
        self.effects = np.nan_to_num(margin[0] - margin[1:])
        self.value = _scaled(self.effects)
        good, alone = out[1:, 0] <= 0, None
        if self.recipe.goal == "both":
            alone = yield self._ask(singles, keep=True)
            self.value = self.value + _scaled(alone[:, 1])
            good &= alone[:, 0] > 0
        self.scale = (abs(margin[0]) or 1.0, 1.0 if alone is None else float(np.abs(alone[:, 1]).mean()) or 1.0)
        self.lack = self._lacking(out[1:], alone)
        self.exhausted = 0 if good.any() else 1
        order = np.argsort(-self.value, kind="stable")
        return singles[next(j for j in order if good[j])] if good.any() else None

    def _lacking(self, out: np.ndarray, alone: np.ndarray | None) -> np.ndarray:
        """Float[S]: how far sets are from the goal, 0 when they meet it: the two margins in their own units, added."""
        lack = np.maximum(0, out[:, 1]) / self.scale[0]
        return lack if alone is None else lack + np.maximum(0, -alone[:, 1]) / self.scale[1]

    def _beam(self, most: int) -> Plan:
        """A good set of at most `most` items: the sets nearest to the goal grow by the most promising items."""
        items = np.argsort(self.lack, kind="stable")[:CANDIDATES]
        singles = np.eye(self.n, dtype=bool)
        sets = singles[items[:BEAM]]
        for size in range(2, most + 1):
            grown = (sets[:, None, :] | singles[items][None]).reshape(-1, self.n)
            grown = np.unique(grown[grown.sum(1) == size], axis=0)
            if not len(grown) or 2 * len(grown) > self._left():
                return None
            out = yield self._ask(grown, keep=False)
            good, alone = out[:, 0] <= 0, None
            if self.recipe.goal == "both":
                alone = yield self._ask(grown, keep=True)
                good &= alone[:, 0] > 0
            lack = self._lacking(out, alone)
            if good.any():
                return grown[np.flatnonzero(good)[np.argmax(self.value @ grown[good].T)]]
            sets = grown[np.argsort(lack, kind="stable")[:BEAM]]
        return None

    def _level(self, size: int) -> Plan:
        """The first good set of a size, all of them tried in the order of their items' values."""
        sets = np.array(list(combinations(range(self.n), size)))
        sets = sets[np.argsort(-self.value[sets].sum(1), kind="stable")]
        for start in range(0, len(sets), self.recipe.chunk):
            part = sets[start : start + self.recipe.chunk]
            masks = np.zeros((len(part), self.n), bool)
            np.put_along_axis(masks, part, True, axis=1)
            found = yield from self._first_good(masks)
            if found is not None:
                return found
        return None

    def _grow(self) -> Plan:
        """The shortest good one of the sets of the best 2, 3, 4, 5, 6, 7, 8, 10, ... items: an upper bound, or None."""
        order = np.argsort(-self.value, kind="stable")
        lengths = np.unique(np.minimum(self.n, np.round(2 * 1.2 ** np.arange(40)).astype(int)))
        masks = np.zeros((len(lengths), self.n), bool)
        for mask, length in zip(masks, lengths, strict=True):
            mask[order[:length]] = True
        return (yield from self._first_good(masks))

    def _shrink(self, large: np.ndarray) -> Plan:
        """Items dropped one by one while the set stays good, the least valuable first."""
        while True:
            inside = np.flatnonzero(large)
            fewer = np.repeat(large[None], len(inside), axis=0)
            fewer[np.arange(len(inside)), inside] = False
            better = yield from self._first_good(fewer[np.argsort(self.value[inside], kind="stable")])
            if better is None:
                return large
            large = better

    def _first_good(self, masks: np.ndarray) -> Plan:
        """The first of the sets that meets the goal, or None; the second condition is tried where the first holds."""
        out = yield self._ask(masks, keep=False)
        good = masks[out[:, 0] <= 0]
        if len(good) and self.recipe.goal == "both":
            alone = yield self._ask(good, keep=True)
            good = good[alone[:, 0] > 0]
        return good[0] if len(good) else None

    def _ask(self, sets: np.ndarray, keep: bool) -> Ask:
        self.calls += len(sets)
        return Ask(sets if keep else ~sets)


def _scaled(values: np.ndarray) -> np.ndarray:
    """Values with unit spread, so that two measures can be added."""
    spread = values.std()
    return values / spread if spread > 0 else np.zeros_like(values)
