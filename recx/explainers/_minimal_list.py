"""The smallest set of history items whose removal replaces part of a list: search, and proof as far as runs reach."""

from __future__ import annotations

import math
import time
from collections.abc import Generator
from itertools import combinations, islice
from typing import Any

import numpy as np
import torch

from recx.core.progress import Progress, quiet
from recx.explainers._explanation import Finding
from recx.explainers._lists import Lists, run, too_few, without_needless
from recx.explainers._lockstep import Ask
from recx.worlds.edited import EditedWorld

Plan = Generator[Ask, np.ndarray, Any]

BEAM, CANDIDATES, PAIRS, ROUNDS = 4, 24, 8, 8
"""Beam search: sets that grow at a time, and items they may grow by; pairs that one item is tried for; steps that a
large set is built in."""


def smallest(
    world: EditedWorld,
    row: torch.Tensor,
    k: int,
    share: str,
    *,
    max_calls: int,
    chunk: int,
    progress: Progress = quiet,
) -> list[Finding]:
    """One Finding per person of `row` Long[P], goal "list"; weights: how far each item alone moves the margin.

    All searches advance together, one batch a round. `proved`: all smaller sets were tried and none replaces enough.
    """
    start = time.perf_counter()
    lists = Lists.of(world, row, k, share)
    columns = [np.flatnonzero(history >= 0) for history in world.histories[row].cpu().numpy()]
    needs, spares = lists.need.tolist(), lists.spare.tolist()
    searches = [_Search(len(own), need, max_calls, chunk) for own, need in zip(columns, needs, strict=True)]
    plans = [one.run(bool(too_few(need, spare))) for one, need, spare in zip(searches, needs, spares, strict=True)]
    found = run(world, row, lists, plans, progress)
    seconds = (time.perf_counter() - start) / max(1, len(row))
    return [
        _finding(search, answer, own, share, spare, seconds)
        for search, answer, own, spare in zip(searches, found, columns, spares, strict=True)
    ]


def _finding(
    search: _Search, answer: np.ndarray | None, columns: np.ndarray, share: str, spare: int, seconds: float
) -> Finding:
    order = [int(j) for j in np.argsort(-search.effects, kind="stable")]
    chosen = [j for j in order if answer is not None and answer[j]]
    searched, proved = search.said(len(chosen)), bool(chosen) and search.exhausted >= len(chosen) - 1
    details: dict[str, Any] = {"share": share, "need": search.need, "smallest": "proved" if proved else "not proved"}
    details["per_item"] = [(int(columns[j]), float(search.effects[j])) for j in order]
    return Finding(
        positions=tuple(int(columns[j]) for j in chosen),
        weights=tuple(float(search.effects[j]) for j in chosen),
        details=details if chosen else {name: details[name] for name in ("share", "need", "per_item")},
        goal="list",
        proved=proved or None,
        calls=search.calls,
        seconds=seconds,
        searched=searched if chosen else too_few(search.need, spare) or searched,
    )


LARGEST_INSIDE = 8
"""Sets of up to this many items have all their parts tried (at most 246 runs)."""


class _Search:
    """One list's search. Items are numbered 0..n-1 in the order of the history; a set is a row of Bool[S, n]."""

    def __init__(self, n: int, need: int, budget: int, chunk: int) -> None:
        self.n, self.need, self.budget, self.chunk = n, need, budget, chunk
        self.calls, self.exhausted, self.effects = 0, 0, np.zeros(n)
        self.singles = np.eye(n, dtype=bool)
        self.tried: set[bytes] = set()

    def run(self, hopeless: bool) -> Plan:
        """The smallest set found, or None.

        Single items; the best 2, 3, 4, ... of them (an upper bound, freed of what is not needed); below it a beam
        search, or, where it is large, items added in a few steps; one item put in place of two; parts of the set; then
        all sets of each smaller size, as far as the runs reach.
        """
        if not self.n or hopeless:
            return None
        found = yield from self._alone()
        if found is not None:
            return found
        best = yield from self._grow()
        small = best is not None and BEAM * CANDIDATES * best.sum() <= self.budget // 2
        for search in (self._beam,) if small else (self._greedy, self._beam):
            better = yield from search(self.n if best is None else int(best.sum()) - 1)
            best = best if better is None else better
        if best is not None:
            best = yield from self._inside((yield from self._swap(best)))
        for size in range(2, self.n + 1 if best is None else int(best.sum())):
            if math.comb(self.n, size) > self.budget - self.calls:
                break
            found = yield from self._level(size)
            if found is not None:
                return found
            self.exhausted = size
        return best

    def said(self, size: int) -> str:
        """What was tried, in words; `size` of the set found, 0 for none."""
        if not size:
            scope = f"of up to {self.exhausted} items " if self.exhausted else ""
            return f"no set {scope}replaces enough of the list; {self.calls:,} sets tried"
        smaller = sum(math.comb(self.n, s) for s in range(1, size))
        if self.exhausted >= size - 1:
            every = f" (all {smaller:,} tried)" if smaller else ""
            return f"no smaller set exists{every}; {self.calls:,} sets tried"
        larger = sum(self.exhausted < np.unpackbits(np.frombuffer(one, np.uint8)).sum() < size for one in self.tried)
        below = sum(math.comb(self.n, s) for s in range(1, self.exhausted + 1)) + int(larger)
        return f"not proved: {below:,} of {smaller:,} smaller sets tried; {self.calls:,} sets tried"

    def _ask(self, sets: np.ndarray, remember: bool = True) -> Ask:
        self.calls += len(sets)
        if remember:
            self.tried.update(packed.tobytes() for packed in np.packbits(sets, axis=1))
        return Ask(~sets)

    def _alone(self) -> Plan:
        """The best single item that is enough, or None; sets what each moves."""
        out = yield self._ask(np.concatenate([np.zeros((1, self.n), bool), self.singles]))
        margin = np.nan_to_num(out[:, 1].astype(np.float64))
        self.effects = margin[0] - margin[1:]
        enough = np.flatnonzero(out[1:, 0] >= self.need)
        if len(enough):
            return self.singles[enough[np.argmax(self.effects[enough])]]
        self.exhausted = 1
        return None

    def _grow(self) -> Plan:
        """The shortest enough of the sets of the best 2, 3, 4, ... items, without those not needed, or None."""
        order = np.argsort(-self.effects, kind="stable")
        lengths = np.unique(np.minimum(self.n, np.round(2 * 1.2 ** np.arange(60)).astype(int)))
        if self.n < self.budget // 4:
            lengths = np.arange(2, self.n + 1)
        sets = np.zeros((len(lengths), self.n), bool)
        for one, length in zip(sets, lengths, strict=True):
            one[order[:length]] = True
        enough = (yield self._ask(sets))[:, 0] >= self.need if len(sets) else np.zeros(0, bool)
        if not enough.any():
            return None
        best, calls = yield from without_needless(sets[int(enough.argmax())], order[::-1], self.need)
        self.calls += calls
        return best

    def _greedy(self, most: int) -> Plan:
        """A set of at most `most` items that is enough: what to add is asked again after every few that were added."""
        step, now = max(1, math.ceil(most / ROUNDS)), np.zeros(self.n, bool)
        while now.sum() < most:
            outside = np.flatnonzero(~now)
            if self.calls + len(outside) > self.budget // 2:
                return None
            out = yield self._ask(now | self.singles[outside])
            near = np.argsort(out[:, 1], kind="stable")
            enough = near[out[near, 0] >= self.need]
            now = now.copy()
            now[outside[enough[:1] if len(enough) else near[:step]]] = True
            if len(enough):
                break
        else:
            return None
        best, calls = yield from without_needless(now, np.argsort(self.effects, kind="stable"), self.need)
        self.calls += calls
        return best if best.sum() <= most else None

    def _beam(self, most: int) -> Plan:
        """A set of at most `most` items that is enough: those nearest to it grow by the most promising items."""
        items = np.argsort(-self.effects, kind="stable")[:CANDIDATES]
        sets = self.singles[items[:BEAM]]
        for size in range(2, most + 1):
            grown = (sets[:, None, :] | self.singles[items][None]).reshape(-1, self.n)
            grown = np.unique(grown[grown.sum(1) == size], axis=0)
            if not len(grown) or self.calls + len(grown) > self.budget // 2:
                return None
            out = yield self._ask(grown)
            near = np.argsort(out[:, 1], kind="stable")
            enough = near[out[near, 0] >= self.need]
            if len(enough):
                return grown[enough[0]]
            sets = grown[near[:BEAM]]
        return None

    def _swap(self, best: np.ndarray) -> Plan:
        """A set made smaller as long as some other item can stand for two of its items (those that matter least)."""
        while best.sum() > 2:
            inside, outside = np.flatnonzero(best), np.flatnonzero(~best)
            lack = (yield self._ask(best & ~self.singles[inside]))[:, 1]
            pairs = np.array(list(combinations(range(len(inside)), 2)))
            pairs = inside[pairs[np.argsort(lack[pairs].sum(1), kind="stable")[:PAIRS]]]
            fewer = best & ~self.singles[pairs].any(1)
            sets = (fewer[:, None, :] | self.singles[outside][None]).reshape(-1, self.n)
            if not len(sets) or self.calls + len(sets) > 3 * self.budget // 4:
                break
            out = yield self._ask(sets)
            enough = np.flatnonzero(out[:, 0] >= self.need)
            if not len(enough):
                break
            best = sets[enough[np.argmin(out[enough, 1])]]
            best, calls = yield from without_needless(best, np.argsort(self.effects, kind="stable"), self.need)
            self.calls += calls
        return best

    def _inside(self, best: np.ndarray) -> Plan:
        """The smallest part of a set that is enough, all tried if the set is small: two items may be needless together
        though neither is alone."""
        items = np.flatnonzero(best)
        if not 3 < len(items) <= LARGEST_INSIDE:
            return best
        parts = [part for size in range(2, len(items) - 1) for part in combinations(items, size)]
        sets = np.zeros((len(parts), self.n), bool)
        for one, part in zip(sets, parts, strict=True):
            one[list(part)] = True
        enough = (yield self._ask(sets))[:, 0] >= self.need
        return sets[int(enough.argmax())] if enough.any() else best

    def _level(self, size: int) -> Plan:
        """A set of a size that is enough, or None once all were tried; the first of all in the order of their items."""
        order = np.argsort(-self.effects, kind="stable")
        sets = combinations(range(self.n), size)
        while part := list(islice(sets, self.chunk)):
            masks = np.zeros((len(part), self.n), bool)
            np.put_along_axis(masks, order[np.array(part)], True, axis=1)
            out = yield self._ask(masks, remember=False)
            enough = np.flatnonzero(out[:, 0] >= self.need)
            if len(enough):
                return masks[enough[np.argmin(out[enough, 1])]]
        return None
