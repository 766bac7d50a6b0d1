"""Minimal sets: the fewest history items that a recommendation hangs on, by search, with proof where it is in reach."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from recx.core.progress import Progress, quiet
from recx.core.recipe import param
from recx.explainers._bounds import least_sizes
from recx.explainers._explanation import Finding
from recx.explainers._lockstep import run_together
from recx.explainers._minimal_list import smallest
from recx.explainers._smallest import Answer, Search
from recx.worlds.edited import EditedWorld


@dataclass(frozen=True)
class Minimal:
    """Minimal set: the fewest items that the recommendation hangs on.

    Ours. Goal `both`: without the set the item leaves the top k, and the set alone recommends it; goal `necessary`:
    only the first. Single items and pairs are measured, larger sets grown by what these predict; then all sets of each
    smaller size are tried, as far as `max_calls` reaches. When all smaller sizes were tried in full, no smaller set
    exists: minimality is proved. Where the model adds up what items contribute (capability `additive`), sizes that
    cannot do it by the sums alone are ruled out without a run.
    """

    goal: str = param(
        "both",
        "both: removing it takes the item out and alone it recommends it; necessary: the first only",
        choices=("both", "necessary"),
    )
    max_calls: int = param(
        4000, "Runs of the recommender for one pair, about; more give more proof", unit="runs", low=10, high=10_000_000
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
        least = least_sizes(world, row, target, k, self.goal) if "additive" in world.capabilities else [1] * len(row)
        searches = [
            Search(self.goal, len(own), self.max_calls, self.chunk, ruled_out=min(least[p] - 1, len(own)))
            for p, own in enumerate(columns)
        ]
        plans = [search.run() for search in searches]
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

    def _finding(self, answer: Answer, columns: np.ndarray, seconds: float) -> Finding:
        per_item = sorted(
            zip(columns.tolist(), answer.effects.tolist(), strict=True), key=lambda one: (-one[1], one[0])
        )
        spent = f"{answer.calls:,} runs; {seconds:.2f} s"
        if answer.tied:
            said = "others score the same, so by the strict count it is not in the list: nothing was searched"
            return Finding(goal=self.goal, calls=answer.calls, seconds=seconds, searched=said)
        size = len(answer.items or ())
        proved = bool(size) and answer.exhausted >= size - 1
        details: dict[str, Any] = {"goal": self.goal, "per_item": per_item}
        details |= {"tried": answer.tried, "smaller": answer.smaller, "certificate": _certificate(answer)}
        if size:
            details["smallest"] = "proved" if proved else "not proved"
        named = [int(columns[j]) for j in answer.items or ()]
        chosen = [(c, effect) for c, effect in per_item if c in named]
        return Finding(
            positions=tuple(c for c, _ in chosen),
            weights=tuple(effect for _, effect in chosen),
            details=details,
            goal=self.goal,
            proved=proved or None,
            calls=answer.calls,
            seconds=seconds,
            searched=f"{details['certificate']}; {spent}",
        )


def _certificate(answer: Answer) -> str:
    """What is known of smaller sets, in words: all of them tried or ruled out, or how many of how many."""
    tried, smaller = f"{answer.tried:,}", f"{answer.smaller:,}"
    ruled = sum(math.comb(len(answer.effects), size) for size in range(1, answer.ruled_out + 1))
    more = f" and {ruled:,} ruled out by the model's sums" if ruled else ""
    if answer.items is None:
        if answer.exhausted < len(answer.effects):
            return f"no set found: {tried} of {smaller} tried{more}"
        return (
            f"no set does it ({tried} of {smaller} tried{more})" if ruled else f"no set does it (all {smaller} tried)"
        )
    if answer.exhausted < len(answer.items) - 1:
        return f"not proved that no smaller set exists: {tried} of {smaller} tried{more}"
    if len(answer.items) == 1:
        return "one item: there is no smaller set"
    if answer.tried < answer.smaller:
        return f"no smaller set exists ({tried} of {smaller} tried; by the model's sums the others cannot do it)"
    return f"no smaller set exists (all {smaller} tried)"
