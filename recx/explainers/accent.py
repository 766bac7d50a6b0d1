"""ACCENT: history items in the order in which they hold a recommendation above its replacement."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from recx.core.progress import Progress, quiet
from recx.core.recipe import param
from recx.explainers._explanation import Finding
from recx.explainers._influence import NeedsOfInfluence, influence_param, influences, per_item
from recx.explainers._lockstep import Ask, run_together
from recx.worlds.edited import EditedWorld

CELLS = 2**24
"""Influences held at a time: 64 MB."""
AT_ONCE = 4
"""Lengths of a growing set tried in one round."""


@dataclass(frozen=True)
class Accent:
    """ACCENT: items taken out in the order of their influence on the gap to a replacement.

    Tran, Ghazimatin & Saha Roy, "Counterfactual Explanations for Neural Recommenders", SIGIR 2021. With I(j, i) the
    influence of history item j on the score of item i, the gap between the recommendation and a replacement c falls by
    I(j, rec) - I(j, c) when j goes. For each c, items are taken in falling order of that number while it is positive;
    the smallest set over all c is the answer, ties by the smallest gap left.

    Deviations. `influence`: as in `fia` (the paper retrains nothing either, and takes the person's and the items'
    blocks; here the items' vectors stay). `replacement`: the paper's are the other items of the top k, for the top 1;
    for an item anywhere in a top k these are the `candidates` places behind the list (`best`), or only the first of
    them (`next`), as LCER compares. `stop`: `predicted`, as published, believes the influences: the set is complete
    when the gap they predict is below zero, so it may fail when the recommender is run. `checked` runs the recommender
    after each item and stops when the recommendation has left the top k, so what it finds is always valid, and longer
    or shorter than predicted; the gap to c alone would not do for k > 1, where c may fall as well.

    `published`: the settings of LCER's table. On its 100 users of ML-100K, top 5, they find a set for 92.0 % (LCER's
    paper: 87.8), of length 3.19 (3.43), PN 57.8 (60.8), PS 35.9 (39.6); the defaults for 98.0 %, length 3.55, PN 100.
    """

    influence: str = influence_param("leave-one-out")
    replacement: str = param(
        "best", "next: the first item behind the list; best: the one with the smallest set", choices=("next", "best")
    )
    candidates: int = param(5, "Places behind the list tried as a replacement, if best", unit="items", low=1, high=1000)
    stop: str = param(
        "checked",
        "predicted: when the influences say so; checked: when the recommender, run again, says so",
        choices=("predicted", "checked"),
    )
    paper: ClassVar[str] = "Tran et al., SIGIR 2021"
    published: ClassVar[dict[str, Any]] = {"influence": "leave-one-out", "replacement": "next", "stop": "predicted"}
    needs_of_world: ClassVar[Any] = NeedsOfInfluence()

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
        """Findings whose weights are the influences on the gap; `details`: `per_item` for the replacement chosen,
        `predicted_replacement` (item code), `gap`, `gap_left` (score units, as predicted)."""
        start = time.perf_counter()
        cases: list[_Case] = []
        width = world.histories.shape[1] * (self._tried + 1)
        for part in torch.arange(len(row), device=row.device).split(max(1, CELLS // width)):
            cases += self._cases(world, row[part], target[part], k)
        plans = [self._plan(case) for case in cases]
        answers = run_together(world, row, target, k, [case.columns for case in cases], plans, progress)
        seconds = (time.perf_counter() - start) / max(1, len(row))
        return [self._finding(case, *answer, seconds=seconds) for case, answer in zip(cases, answers, strict=True)]

    @property
    def _tried(self) -> int:
        return self.candidates if self.replacement == "best" else 1

    def _cases(self, world: EditedWorld, row: torch.Tensor, target: torch.Tensor, k: int) -> list[_Case]:
        """Candidates, gaps and influences on the gaps, of each pair."""
        before = world.calls
        behind, scores = world.top_k(row, None, k + self._tried)
        behind, scores = behind[:, k:], scores[:, k:]
        usable = torch.isfinite(scores) & (behind != target[:, None])
        found = influences(world, row, torch.cat([target[:, None], behind], dim=1), self.influence)
        lead = (found[:, :1] - found[:, 1:]).double().cpu().numpy()
        own = world.scores(row, None, target[:, None])
        gap = (own - scores).double().cpu().numpy()
        calls = (world.calls - before) // max(1, len(row))
        full = (world.histories[row] >= 0).cpu().numpy()
        tables = (full, behind.cpu().numpy(), usable.cpu().numpy(), gap, lead)
        return [
            _Case(np.flatnonzero(here), items[ok], gaps[ok], leads[ok][:, here], calls)
            for here, items, ok, gaps, leads in zip(*tables, strict=True)
        ]

    def _plan(self, case: _Case) -> Generator[Ask, np.ndarray, tuple[int, int, int]]:
        """(candidate, number of items, runs); 0 items where there is no set."""
        if self.stop == "predicted":
            return case.predicted()
        return case.checked()

    def _finding(self, case: _Case, c: int, size: int, runs: int, *, seconds: float) -> Finding:
        columns, head = case.columns, f"{len(case.items):,} replacements, {len(case.columns):,} history items"
        calls = case.calls + runs
        if not len(case.items) or not len(columns):
            why = "no history item" if len(case.items) else "no item stands behind the list"
            return Finding(details={"per_item": []}, calls=calls, seconds=seconds, searched=f"{head}: {why}")
        lead = case.lead[c]
        order = case.order[c][:size]
        details = {
            "per_item": per_item(columns.tolist(), lead.tolist()),
            "predicted_replacement": int(case.items[c]),
            "gap": float(case.gap[c]),
            "gap_left": float(case.gap[c] - lead[order].sum()),
            "influence": self.influence,
        }
        way = "as predicted" if self.stop == "predicted" else f"{runs:,} sets tried"
        return Finding(
            positions=tuple(columns[order].tolist()),
            weights=tuple(lead[order].tolist()),
            details=details,
            predicted_effect=float(lead[order].sum()) if size else None,
            calls=calls,
            seconds=seconds,
            searched=f"{head}, {way}{'' if size else ': none closes the gap'}",
        )


@dataclass(eq=False)
class _Case:
    """One pair: `columns` Long[n], replacements `items` Long[C], their `gap` [C] and influences on it, `lead` [C, n].

    `order` [C, n]: items by falling influence on the gap; `useful` [C]: how many have a positive one.
    """

    columns: np.ndarray
    items: np.ndarray
    gap: np.ndarray
    lead: np.ndarray
    calls: int

    def __post_init__(self) -> None:
        self.order = np.argsort(-self.lead, axis=1, kind="stable")
        self.useful = (self.lead > 0).sum(1)

    def predicted(self) -> Generator[Ask, np.ndarray, tuple[int, int, int]]:
        """The smallest set that closes a gap by the sum of its influences; no run is asked for."""
        best = (0, 0, 0.0)
        for c in range(len(self.items)):
            left = self.gap[c] - np.cumsum(self.lead[c][self.order[c]][: self.useful[c]])
            closed = np.flatnonzero(left < 0)
            if len(closed) and (not best[1] or (closed[0] + 1, left[closed[0]]) < best[1:]):
                best = (c, int(closed[0]) + 1, float(left[closed[0]]))
        return best[0], best[1], 0
        yield Ask(np.empty((0, 0), bool))

    def checked(self) -> Generator[Ask, np.ndarray, tuple[int, int, int]]:
        """The smallest set that takes the target out when the recommender is run; each set once, a few sizes a round.

        Ties between replacements: the lower margin of the target.
        """
        runs, n, most = 0, len(self.columns), int(self.useful.max(initial=0))
        for first in range(1, most + 1, AT_ONCE):
            tried = [
                (size, c)
                for size in range(first, min(first + AT_ONCE, most + 1))
                for c in range(len(self.items))
                if size <= self.useful[c]
            ]
            keep = np.ones((len(tried), n), bool)
            for mask, (size, c) in zip(keep, tried, strict=True):
                mask[self.order[c][:size]] = False
            unique, where = np.unique(keep, axis=0, return_inverse=True)
            runs += len(unique)
            out = (yield Ask(unique))[where.ravel()]
            good = [(size, float(out[i, 1]), c) for i, (size, c) in enumerate(tried) if out[i, 0] <= 0]
            if good:
                size, _, c = min(good)
                return c, size, runs
        return 0, 0, runs
