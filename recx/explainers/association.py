"""Association rules: what people with one item often also have."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from scipy import sparse

from recx.core.errors import BadInput
from recx.core.progress import Progress, quiet
from recx.core.recipe import param
from recx.data.pairs import incidence
from recx.explainers._explanation import Finding
from recx.explainers._influence import per_item
from recx.worlds.edited import EditedWorld

SHOWN = 10
BLOCK_BYTES = 2**28
"""Counts of pairs that are held at a time."""
MEASURES = ("confidence", "support", "lift", "leverage")


@dataclass(frozen=True)
class Association:
    """Association rule: the history item whose owners most often have the recommended item too.

    Rules j -> i of one item each: support = P(j, i), confidence = P(i | j), lift = confidence / P(i), leverage =
    P(j, i) - P(j) P(i), conviction = (1 - P(i)) / (1 - confidence); P(i) is the base rate, which anybody's confidence
    would be without any association. Peake & Wang, "Explanation Mining", KDD 2018. `transactions`: people's training
    histories, or each with the item that the recommender puts first for that person, which is what Peake & Wang and the
    causal-rules paper mine: the rules then describe the recommender too, and are the same for everybody all the same.

    The causal-rules paper filters by one of support, confidence and lift, at 0.1 on ML-100K and 0.01 on Amazon Office
    (set the other two to 0, and `by` to the one that filters): a lift of 0.1 keeps all but the strongest negative
    associations. Here a lift must exceed its threshold, so 1 asks for an association. A rule describes what goes
    together; only the check says whether the recommender depends on it.
    """

    min_support: float = param(0.01, "Least share of histories with both items", low=0.0, high=1.0)
    min_confidence: float = param(
        0.1, "Least share, among histories with the first item, that have the second", low=0.0, high=1.0
    )
    min_lift: float = param(
        1.0, "Lift must exceed this; above 1 the two go together more than by chance", low=0.0, high=1e9
    )
    by: str = param("confidence", "The measure that picks the rule shown", choices=MEASURES)
    transactions: str = param(
        "histories",
        "histories: what people have; with-recommendation: and what each is recommended first",
        choices=("histories", "with-recommendation"),
    )
    paper: ClassVar[str] = "Peake & Wang, KDD 2018"
    published: ClassVar[dict[str, Any]] = {
        "min_support": 0.1,
        "min_confidence": 0.1,
        "min_lift": 0.1,
        "transactions": "with-recommendation",
    }
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
        """Findings of one item with the rule's measures and counts.

        `details`: the best rule's measures, its `base_rate`, up to SHOWN `rules` that pass the thresholds; `per_item`
        (column, the measure `by`) of all history items, thresholds or not. No run of the model, but one for each person
        of the training data where transactions hold a recommendation.
        """
        start, before = time.perf_counter(), world.calls
        people = transactions(world, self.transactions)
        single = np.asarray(people.sum(axis=0))
        targets, place = np.unique(target.cpu().numpy(), return_inverse=True)
        both = (people.T @ people.tocsc()[:, targets]).toarray()
        cases = zip(world.histories[row].cpu().numpy(), place, strict=True)
        found = [self._rule(both[:, p], single, people.shape[0], history, int(targets[p])) for history, p in cases]
        calls = (world.calls - before) // max(1, len(row))
        seconds = (time.perf_counter() - start) / max(1, len(found))
        return [replace(finding, seconds=seconds, calls=calls) for finding in found]

    def _rule(self, both: np.ndarray, single: np.ndarray, n: int, history: np.ndarray, target: int) -> Finding:
        columns = np.flatnonzero(history >= 0)
        items = history[columns]
        table = measures(both[items], single[items], single[target], n)
        passes = passing(table, self.min_support, self.min_confidence, self.min_lift)
        order = np.flatnonzero(passes)[np.argsort(-table[self.by][passes], kind="stable")]
        searched = f"{len(items):,} rules over {n:,} histories; {int(passes.sum())} pass the thresholds"
        values = per_item(columns.tolist(), table[self.by].tolist())
        if not len(order):
            return Finding(details={"per_item": values}, searched=searched)
        rules: list[dict[str, Any]] = [
            {"column": int(columns[j])} | {name: float(table[name][j]) for name in table} for j in order[:SHOWN]
        ]
        best = rules[0]
        details = {name: value for name, value in best.items() if name != "column"}
        return Finding(
            positions=(best["column"],),
            weights=(best[self.by],),
            details=details | {"rules": rules, "per_item": values},
            searched=searched,
        )


def transactions(world: EditedWorld, kind: str = "histories") -> sparse.csr_array:
    """0/1 float32[n, n_items]: the n training people with a history; `kind` as the field of `Association`."""
    if world.population is None:
        raise BadInput("association rules need the training histories: give the world a population.")
    matrix = incidence(world.population)
    if kind == "with-recommendation":
        first = world.first_of_population().cpu().numpy()
        row = np.flatnonzero(first >= 0)
        extra = sparse.csr_array((np.ones(len(row), np.float32), (row, first[row])), shape=matrix.shape)
        matrix = (matrix + extra).tocsr()
        matrix.data[:] = 1.0
    return matrix[np.flatnonzero(np.diff(matrix.indptr))]


def measures(both: np.ndarray, first: np.ndarray, second: Any, n: int) -> dict[str, np.ndarray]:
    """Measures of rules first -> second from counts: float64[J] each. A conviction without counterexample is 1e12.

    `second`: one count, or one per rule. `base_rate`: P(second).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        both, first = both.astype(np.float64), first.astype(np.float64)
        second = np.broadcast_to(np.asarray(second, np.float64), first.shape)
        confidence = np.nan_to_num(both / first)
        base = second / max(n, 1)
        conviction = np.where(confidence < 1, (1 - base) / np.maximum(1 - confidence, 1e-300), 1e12)
        return {
            "support": both / max(n, 1),
            "confidence": confidence,
            "lift": np.where(base > 0, np.nan_to_num(confidence / base, posinf=0.0), 0.0),
            "leverage": both / max(n, 1) - first / max(n, 1) * base,
            "conviction": conviction,
            "base_rate": base,
            "count_both": both,
            "count_item": first,
            "count_target": second,
            "histories": np.full_like(first, n),
        }


def passing(table: dict[str, np.ndarray], support: float, confidence: float, lift: float) -> np.ndarray:
    """Bool[J]: at least that support and confidence, and more than that lift."""
    return (table["support"] >= support) & (table["confidence"] >= confidence) & (table["lift"] > lift)


def global_rules(
    people: sparse.csr_array,
    min_support: float = 0.01,
    min_confidence: float = 0.1,
    min_lift: float = 1.0,
    by: str = "confidence",
    most: int | None = None,
) -> pd.DataFrame:
    """All rules j -> i of transactions (0/1 [n, n_items]) that pass the thresholds, the largest `by` first.

    Columns `item`, `target` (codes) and those of `measures`. Items below the support are in no rule; pairs of the rest
    are counted in blocks of items, 64 people at a time, or by a sparse product where the bits exceed BLOCK_BYTES.
    `most`: only so many rules, which also bounds the memory; `attrs["passing"]` counts all that pass. Two items that
    nobody has together make no rule, whatever the thresholds.
    """
    n, single = people.shape[0], np.asarray(people.sum(axis=0)).ravel()
    least = _least(min_support, n)
    kept = np.flatnonzero(single >= least)
    count, passed = single[kept], 0
    parts = [{"item": kept[:0], "target": kept[:0]} | measures(count[:0], count[:0], count[:0], n)]
    for start, both in _pair_blocks(people.tocsc()[:, kept]):
        both[np.arange(len(both)), start + np.arange(len(both))] = 0
        a, b = np.nonzero(both >= least)
        both, a = both[a, b], a + start
        table = measures(both, count[a], count[b], n)
        good = passing(table, min_support, min_confidence, min_lift)
        passed += int(good.sum())
        named = {"item": kept[a], "target": kept[b]} | table
        parts.append(named if good.all() else {name: values[good] for name, values in named.items()})
        if most is not None:
            parts = [_sorted(parts, by, most)]
    found = pd.DataFrame(_sorted(parts, by, most), copy=False)
    found.attrs["passing"] = passed
    return found


def _pair_blocks(columns: sparse.csc_array) -> Iterator[tuple[int, np.ndarray]]:
    """Counts [B, N] of the pairs of items start, start + 1, ... with all N items of a 0/1 table [n, N]."""
    n, width = columns.shape
    size = max(1, BLOCK_BYTES // (32 * max(1, width)))
    if n * width // 8 <= BLOCK_BYTES:
        from recx.explainers import _bits

        bits = _bits.packed(columns.tocsr())
        for start in range(0, width, size):
            yield start, _bits.counts(bits[start : start + size], bits)
        return
    rows = columns.T.tocsr()
    for start in range(0, width, size):
        yield start, (rows[start : start + size] @ columns).toarray()


def _least(share: float, n: int) -> int:
    """The smallest positive count that is at least this share of n."""
    return next(c for c in range(max(1, int(share * n) - 1), n + 3) if c >= share * n or c / max(n, 1) >= share)


def _sorted(parts: list[dict[str, np.ndarray]], by: str, most: int | None) -> dict[str, np.ndarray]:
    """Tables as one, the largest `by` first; equal ones keep their order, which is that of their items."""
    order = np.argsort(-np.concatenate([part[by] for part in parts]), kind="stable")[:most]
    return {name: np.concatenate([part[name] for part in parts])[order] for name in parts[0]}
