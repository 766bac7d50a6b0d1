"""The search of `minimal` for one pair: a small set that meets a goal, and proof that no smaller one does."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from recx.explainers._lockstep import Ask

Plan = Generator[Ask, np.ndarray, Any]

WIDTH, TRIED = 12, 48
"""Sets that grow at a time, and how many of the grown ones are run."""
EXCHANGED, PARTNERS = 96, 24
"""Sets next to a good one that are run, and items that may come into them."""
LONGEST = 16
"""Sets grow up to this size; larger ones are found by shrinking."""
CREDIT = 0.05
"""What being past the goal counts against being short of it."""


@dataclass(frozen=True, eq=False)
class Answer:
    """What a search found: the items of the set (numbers in the history) or None, each item's own effect on the margin.

    `exhausted`: no set of up to so many items meets the goal, all having been tried or ruled out; `ruled_out`: up to so
    many without being tried. Of the `smaller` sets with fewer items than the one found, `tried` were run, those ruled
    out left aside. `tied`: by the strict count the target is not in the list.
    """

    items: list[int] | None
    effects: np.ndarray
    calls: int
    exhausted: int
    ruled_out: int
    tried: int
    smaller: int
    tied: bool


class Search:
    """One pair's search. Items are numbered 0..n-1 in the order of the history; a set is a row of Bool[S, n].

    What single items and pairs of items do is measured, and predicts what larger sets do: the margin without a set S is
    about its margin without S less one item, plus what that item adds alone and with each of the others.
    `ruled_out`: no set of up to so many items can do it (known beforehand).
    """

    def __init__(self, goal: str, n: int, budget: int, chunk: int, ruled_out: int = 0) -> None:
        self.n, self.budget, self.chunk, self.calls = n, budget, chunk, 0
        self.both, self.exhausted, self.ruled_out = goal == "both", ruled_out, ruled_out
        self.tried: list[np.ndarray] = []
        self.singles = np.eye(n, dtype=bool)
        self.effects, self.margin, self.tied, self.gone = np.zeros(n), 0.0, False, np.zeros(0, bool)

    def run(self) -> Plan:
        """The smallest set found: `{set, effects, calls, exhausted}`; `exhausted`: all sets up to this size tried.

        Single items, pairs; then sets that grow by the most promising items (an upper bound); then smaller ones next to
        it, and, as far as the runs reach, all sets of each smaller size.
        """
        if self.n == 0:
            return self._answer(None)
        found = yield from self._singles()
        if found is None and not self.tied:
            found = yield from self._pairs()
        if found is not None or self.tied:
            return self._answer(found)
        bound = yield from self._grow()
        most = self.n if bound is None else int(bound.sum()) - 1
        found = yield from self._climb(min(most, LONGEST))
        found = bound if found is None else found
        if found is not None and found.sum() > LONGEST:
            found = yield from self._shrink(found)
        if found is not None:
            found = yield from self._nearby(found)
        return self._answer((yield from self._prove(found)))

    def _answer(self, found: np.ndarray | None) -> Answer:
        size = self.n + 1 if found is None else int(found.sum())
        smaller = sum(math.comb(self.n, s) for s in range(1, size))
        if self.exhausted >= size - 1:
            tried = sum(math.comb(self.n, s) for s in range(self.ruled_out + 1, size))
        else:
            sizes = [part.sum(1) for part in self.tried]
            those = [(self.ruled_out < s) & (s < size) for s in sizes]
            packed = [np.packbits(part[one], axis=1) for part, one in zip(self.tried, those, strict=True)]
            tried = len(np.unique(np.concatenate(packed), axis=0)) if packed else 0
        chosen = None if found is None else [int(j) for j in np.flatnonzero(found)]
        return Answer(chosen, self.effects, self.calls, self.exhausted, self.ruled_out, tried, smaller, self.tied)

    def _left(self) -> int:
        return self.budget - self.calls

    # -- what is asked

    def _measure(self, sets: np.ndarray) -> Generator[Ask, np.ndarray, tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Margins Float[S] without each set and (for `both`) with it alone; which sets meet the goal.

        `gone` Bool[S], for the latest sets: is the target out of the list without them.
        """
        self.calls += len(sets) * (1 + self.both)
        self.tried.append(sets)
        reply = yield Ask(np.concatenate([~sets, sets]) if self.both else ~sets)
        out, alone = reply[: len(sets)], reply[len(sets) :] if self.both else np.ones((len(sets), 2))
        self.gone = out[:, 0] == 0
        return out[:, 1], alone[:, 1], self.gone & (alone[:, 0] > 0)

    def _first_good(self, sets: np.ndarray) -> Generator[Ask, np.ndarray, np.ndarray | None]:
        """The first of the sets that meets the goal, or None; sets alone are run only where the rest holds."""
        for start in range(0, len(sets), self.chunk):
            part = sets[start : start + self.chunk]
            self.calls += len(part)
            self.tried.append(part)
            out = yield Ask(~part)
            good = part[out[:, 0] == 0]
            if len(good) and self.both:
                self.calls += len(good)
                alone = yield Ask(good)
                good = good[alone[:, 0] > 0]
            if len(good):
                return good[0]
        return None

    # -- the steps

    def _singles(self) -> Plan:
        """Every single item taken out, and alone; the margin of the whole history."""
        whole = np.zeros((1, self.n), bool)
        sets = np.concatenate([whole, self.singles])
        out, alone, good = yield from self._measure(sets)
        self.tried = [self.singles]
        self.margin, self.tied, good = float(out[0]), bool(self.gone[0]), good[1:]
        if self.tied:
            return None
        self.effects = np.nan_to_num(out[0] - out[1:])
        self.out, self.alone = _Out(self.margin, out[1:]), _Alone(alone[1:])
        self.frontier = self.singles, out[1:], alone[1:]
        value = _scaled(self.effects) + (_scaled(alone[1:]) if self.both else 0)
        self.ranking = np.argsort(-value, kind="stable")
        self.promising = np.argsort(self._lack(*self.frontier[1:]), kind="stable")[:PARTNERS]
        self.exhausted = max(self.ruled_out, 0 if good.any() else 1)
        return self._best(self.singles[good]) if good.any() else None

    def _pairs(self) -> Plan:
        """All pairs of items where the runs allow (half of them at most), else those of the most promising items."""
        cost = 1 + self.both
        some, allowed = self.n, self._left() // (2 * cost)
        while math.comb(some, 2) > max(1, allowed) and some > 2:
            some -= 1
        if some < 2:
            return None
        items = np.sort(np.argsort(self._lack(*self.frontier[1:]), kind="stable")[:some])
        place = np.array(list(combinations(items, 2)))
        sets = _sets(place, self.n)
        out, alone, good = yield from self._measure(sets)
        self.out.learn(place, out)
        self.alone.learn(place, alone)
        self.frontier = sets, out, alone
        if good.any():
            return self._best(sets[good])
        self.exhausted = max(self.ruled_out, 2 if some == self.n else 1)
        return None

    def _climb(self, most: int) -> Plan:
        """Sets that grow by an item at a time, up to `most`: the nearest to the goal, by the most promising items."""
        sets, out, alone = self.frontier
        while sets[0].sum() < most:
            near = np.argsort(self._lack(out, alone), kind="stable")[:WIDTH]
            states, out, alone = sets[near], out[near], alone[near]
            grown, predicted = self._grown(states, out, alone)
            if self._left() < self.budget // 4:
                return None
            order = np.argsort(predicted, kind="stable")[:TRIED]
            sets = grown[order]
            out, alone, good = yield from self._measure(sets)
            if good.any():
                return self._best(sets[good])
        return None

    def _grown(self, states: np.ndarray, out: np.ndarray, alone: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Every set with one item more, once each, and its predicted distance from the goal."""
        state, item = np.nonzero(~states)
        grown = states[state].copy()
        grown[np.arange(len(item)), item] = True
        lack = self._lack(self.out.one_more(states, out), self.alone.one_more(states, alone))[state, item]
        packed = np.packbits(grown, axis=1)
        _, first = np.unique(packed, axis=0, return_index=True)
        return grown[first], lack[first]

    def _shrink(self, found: np.ndarray) -> Plan:
        """Many items fewer at a time: the 1, 2, 4, ... that are missed least left out, while the set is good."""
        while self._left() > found.sum() * (1 + self.both):
            inside = np.flatnonzero(found)
            out, alone, _ = yield from self._measure(self._fewer(found, inside))
            missed = inside[np.argsort(self._lack(out, alone), kind="stable")]
            steps = 2 ** np.arange(int(np.log2(len(inside))), -1, -1)
            less = np.repeat(found[None], len(steps), axis=0)
            for row, step in zip(less, steps, strict=True):
                row[missed[:step]] = False
            better = yield from self._first_good(less)
            if better is None:
                return found
            found = better
        return found

    def _nearby(self, found: np.ndarray) -> Plan:
        """One item fewer, again and again: two items of the set exchanged for another, the most promising first."""
        while self.exhausted + 1 < found.sum() <= LONGEST and self._left() > 0:
            inside, outside = np.flatnonzero(found), self.promising[~found[self.promising]]
            less = _without_two(found, inside)
            exchanged = np.repeat(less, len(outside), axis=0)
            exchanged[np.arange(len(exchanged)), np.tile(outside, len(less))] = True
            lack = self._lack(self.out.of(exchanged), self.alone.of(exchanged))
            tried = exchanged[np.argsort(lack, kind="stable")[:EXCHANGED]]
            better = yield from self._first_good(np.concatenate([self._fewer(found, inside), tried]))
            if better is None:
                break
            found = better
        return found

    def _fewer(self, found: np.ndarray, inside: np.ndarray) -> np.ndarray:
        """Bool[m, n]: the set without each one of its m items."""
        fewer = np.repeat(found[None], len(inside), axis=0)
        fewer[np.arange(len(inside)), inside] = False
        return fewer

    def _prove(self, found: np.ndarray | None) -> Plan:
        """All sets of each size below the set found, as far as the runs reach; the first good one is the answer."""
        top = self.n if found is None else int(found.sum()) - 1
        for size in range(self.exhausted + 1, top + 1):
            if math.comb(self.n, size) > self._left():
                break
            sets = _sets(np.array(list(combinations(range(self.n), size))), self.n)
            lack = self._lack(self.out.of(sets), self.alone.of(sets))
            better = yield from self._first_good(sets[np.argsort(lack, kind="stable")])
            if better is not None:
                return better
            self.exhausted = size
        return found

    def _grow(self) -> Plan:
        """The shortest good one of the sets of the best 2, 3, 4, 5, 6, 7, 8, 10, ... items, or None."""
        lengths = np.unique(np.minimum(self.n, np.round(2 * 1.2 ** np.arange(40)).astype(int)))
        masks = np.zeros((len(lengths), self.n), bool)
        for mask, length in zip(masks, lengths, strict=True):
            mask[self.ranking[:length]] = True
        return (yield from self._first_good(masks))

    # -- what is near the goal

    def _lack(self, out: np.ndarray, alone: np.ndarray) -> np.ndarray:
        """How far sets are from the goal: the two margins in their own units, added; what is reached counts little."""
        lack = _short(out / (self.margin or 1.0))
        return lack + _short(-alone / self.alone.unit) if self.both else lack

    def _best(self, good: np.ndarray) -> np.ndarray:
        """The one of several good sets whose items do most alone."""
        return good[np.argmax(good @ self.effects)]


class _Out:
    """Margins without sets of items: Float[S], predicted from those without single items and pairs, additively.

    `whole`: of the untouched history; `single` Float[n]: change by each item; `pair` Float[n, n]: by two beyond the sum
    of both (0 where not measured).
    """

    def __init__(self, whole: float, singles: np.ndarray) -> None:
        self.whole, self.single = whole, singles - whole
        self.pair = np.zeros((len(singles), len(singles)))

    def learn(self, place: np.ndarray, margin: np.ndarray) -> None:
        """Measured pairs: items Long[m, 2], margins Float[m]."""
        beyond = margin - self.whole - self.single[place].sum(1)
        self.pair[place[:, 0], place[:, 1]] = self.pair[place[:, 1], place[:, 0]] = beyond

    def one_more(self, sets: np.ndarray, margin: np.ndarray) -> np.ndarray:
        """Float[S, n]: margins with one item more than in each set, whose own is known."""
        return margin[:, None] + self.single + sets @ self.pair

    def of(self, sets: np.ndarray) -> np.ndarray:
        """Float[S]."""
        kept = sets.astype(np.float32)
        return self.whole + kept @ self.single + 0.5 * ((kept @ self.pair) * kept).sum(1)


class _Alone:
    """Margins of sets of items alone: Float[S], predicted as the mean of those of their pairs.

    A mean, since scores of short histories do not add up: models divide by the length of the history or its root.
    `pair` Float[n, n]: the mean of the two items' own where not measured.
    """

    def __init__(self, singles: np.ndarray) -> None:
        self.pair = (singles[:, None] + singles) / 2
        np.fill_diagonal(self.pair, 0.0)
        self.unit = float(np.abs(singles).mean()) or 1.0

    def learn(self, place: np.ndarray, margin: np.ndarray) -> None:
        self.pair[place[:, 0], place[:, 1]] = self.pair[place[:, 1], place[:, 0]] = margin

    def one_more(self, sets: np.ndarray, margin: np.ndarray) -> np.ndarray:
        size = sets.sum(1, keepdims=True)
        step = (sets @ self.pair) / size - self.of(sets)[:, None]
        return margin[:, None] + step * 2 / (size + 1)

    def of(self, sets: np.ndarray) -> np.ndarray:
        kept = sets.astype(np.float32)
        size = kept.sum(1)
        return ((kept @ self.pair) * kept).sum(1) / np.maximum(size * (size - 1), 1)


def _sets(place: np.ndarray, n: int) -> np.ndarray:
    """Bool[S, n]: sets of items given by their numbers Long[S, size]."""
    sets = np.zeros((len(place), n), bool)
    np.put_along_axis(sets, place, True, axis=1)
    return sets


def _without_two(found: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Bool[m, n]: a set without each two of its items."""
    place = np.array(list(combinations(inside, 2)))
    less = np.repeat(found[None], len(place), axis=0)
    np.put_along_axis(less, place, False, axis=1)
    return less


def _short(distance: np.ndarray) -> np.ndarray:
    """What is missing; where nothing is, a little credit for what is over."""
    return np.where(distance > 0, distance, CREDIT * distance)


def _scaled(values: np.ndarray) -> np.ndarray:
    """Values with unit spread, so that two measures can be added."""
    spread = values.std()
    return values / spread if spread > 0 else np.zeros_like(values)
