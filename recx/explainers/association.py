"""Association rules: what people with one item often also have."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from recx.core.errors import BadInput
from recx.core.progress import Progress, quiet
from recx.core.recipe import param
from recx.data.pairs import incidence, pair_counts
from recx.explainers._explanation import Finding
from recx.worlds.edited import EditedWorld

SHOWN = 10


@dataclass(frozen=True)
class Association:
    """Association rule: the history item whose owners most often have the recommended item too.

    Rules j -> i of one item each, over the training histories: support = P(j, i), confidence = P(i | j), lift =
    confidence / P(i), leverage = P(j, i) - P(j) P(i), conviction = (1 - P(i)) / (1 - confidence). Peake & Wang, KDD
    2018. A rule describes what goes together; only the check says whether the recommender depends on it.
    """

    min_support: float = param(0.01, "Least share of histories with both items", low=0.0, high=1.0)
    min_confidence: float = param(
        0.1, "Least share, among histories with the first item, that have the second", low=0.0, high=1.0
    )
    min_lift: float = param(1.0, "Least lift; above 1 the two go together more than by chance", low=0.0, high=1e9)
    by: str = param(
        "confidence", "The measure that picks the rule shown", choices=("confidence", "support", "leverage")
    )
    paper: ClassVar[str] = "Peake & Wang, KDD 2018"
    needs_of_world: ClassVar[frozenset[str]] = frozenset({"population"})

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
        """Findings of one item with the rule's measures and counts; no model call at all."""
        start = time.perf_counter()
        people = world.population
        if people is None:
            raise BadInput("association rules need the training histories: give the world a population.")
        n = int((np.diff(people.offsets) > 0).sum())
        single = np.asarray(incidence(people).sum(axis=0))
        targets, place = np.unique(target.cpu().numpy(), return_inverse=True)
        both = pair_counts(people, targets)
        cases = zip(world.histories[row].cpu().numpy(), place, strict=True)
        findings = [self._rule(both[:, p], single, n, history, int(targets[p])) for history, p in cases]
        seconds = (time.perf_counter() - start) / max(1, len(findings))
        return [Finding(**(vars(finding) | {"seconds": seconds})) for finding in findings]

    def _rule(self, both: np.ndarray, single: np.ndarray, n: int, history: np.ndarray, target: int) -> Finding:
        columns = np.flatnonzero(history >= 0)
        items = history[columns]
        table = measures(both[items], single[items], single[target], n)
        passes = (
            (table["support"] >= self.min_support)
            & (table["confidence"] >= self.min_confidence)
            & (table["lift"] > self.min_lift)
        )
        order = np.flatnonzero(passes)[np.argsort(-table[self.by][passes], kind="stable")]
        searched = f"{len(items):,} rules over {n:,} histories; {int(passes.sum())} pass the thresholds"
        if not len(order):
            return Finding(searched=searched)
        rules: list[dict[str, Any]] = [
            {"column": int(columns[j])} | {name: float(table[name][j]) for name in table} for j in order[:SHOWN]
        ]
        best = rules[0]
        details = {name: value for name, value in best.items() if name != "column"} | {"rules": rules}
        return Finding(positions=(best["column"],), weights=(best[self.by],), details=details, searched=searched)


def measures(both: np.ndarray, first: np.ndarray, second: float, n: int) -> dict[str, np.ndarray]:
    """Measures of rules first -> second from counts: float64[J] each. A conviction without counterexample is 1e12."""
    with np.errstate(divide="ignore", invalid="ignore"):
        both, first = both.astype(np.float64), first.astype(np.float64)
        confidence = np.nan_to_num(both / first)
        base = float(second) / n if n else 0.0
        conviction = np.where(confidence < 1, (1 - base) / np.maximum(1 - confidence, 1e-300), 1e12)
        return {
            "support": both / max(n, 1),
            "confidence": confidence,
            "lift": np.nan_to_num(confidence / base) if base else np.zeros_like(confidence),
            "leverage": both / max(n, 1) - first / max(n, 1) * base,
            "conviction": conviction,
            "count_both": both,
            "count_item": first,
            "count_target": np.full_like(first, second),
            "histories": np.full_like(first, n),
        }
