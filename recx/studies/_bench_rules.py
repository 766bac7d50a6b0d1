"""Bench: all rules of one item each of ML-1M, as a sparse product, against mlxtend's miners."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from recx.core.errors import BadInput
from recx.core.progress import Progress, quiet
from recx.data.pairs import incidence
from recx.explainers.association import global_rules
from recx.recipes._recipe import Get, plain_get
from recx.studies import _peers

COMPARED = ("support", "confidence", "lift", "leverage")


def run(
    progress: Progress = quiet,
    *,
    get: Get = plain_get,
    dataset: str = "ml-1m",
    min_support: float = 0.1,
    min_confidence: float = 0.1,
    rounds: int = 5,
) -> dict[str, Any]:
    """`{bench, ours_s, baseline_s, ratio, baseline, work, max_abs_diff, rules, miners}`; no side is extrapolated.

    Both start from the same 0/1 table and end with the same table of rules, with their measures; the bench fails if the
    rules differ. Ours: the median of `rounds`; `first_s` is the first one, which compiles the kernel. Baseline: the
    faster of mlxtend's FP-growth and Apriori (`miners`, both with sets of at most two items), once, then its
    `association_rules`. `max_abs_diff`: of support, confidence, lift and leverage.
    """
    people = incidence(get(_peers.whole(dataset)))
    people = people[np.flatnonzero(np.diff(people.indptr))]
    progress(0.0, "ours")
    clocks = []
    for _ in range(rounds):
        seconds, ours = _seconds(lambda: global_rules(people, min_support, min_confidence, 0.0))
        clocks.append(seconds)
    found, miners, theirs = mined(people, min_support, min_confidence, progress)
    fast = statistics.median(clocks)
    return {
        "bench": "rules",
        "ours_s": round(fast, 4),
        "first_s": round(clocks[0], 3),
        "baseline_s": round(miners[found], 2),
        "ratio": round(miners[found] / fast, 1),
        "baseline": f"mlxtend {_version()}: {found}(max_len=2) and association_rules, the faster of two miners",
        "work": (
            f"{len(ours):,} rules of one item each, support >= {min_support:g}, confidence >= {min_confidence:g}, "
            f"{people.shape[0]:,} histories, {people.shape[1]:,} items, {people.nnz:,} events, {dataset}, 1 thread, "
            f"median of {rounds}"
        ),
        "max_abs_diff": difference(ours, theirs),
        "rules": len(ours),
        "miners": {name: round(seconds, 2) for name, seconds in miners.items()},
    }


def mined(
    people: Any, min_support: float, min_confidence: float, progress: Progress
) -> tuple[str, dict[str, float], pd.DataFrame]:
    """The faster miner, seconds of each, and its rules with codes in `item` and `target`."""
    try:
        from mlxtend.frequent_patterns import apriori, association_rules, fpgrowth
    except ImportError:
        raise BadInput("there is nothing to compare with: run `make install-dev`, which brings mlxtend.") from None

    table = pd.DataFrame(people.toarray().astype(bool))
    seconds, rules = {}, {}
    for share, (name, miner) in enumerate({"fpgrowth": fpgrowth, "apriori": apriori}.items()):
        progress(0.1 + 0.45 * share, f"mlxtend's {name}")

        def work(miner: Callable[..., pd.DataFrame] = miner) -> pd.DataFrame:
            frequent = miner(table, min_support=min_support, max_len=2)
            return association_rules(frequent, metric="confidence", min_threshold=min_confidence)

        seconds[name], rules[name] = _seconds(work)
    best = min(seconds, key=seconds.__getitem__)
    found = rules[best]
    codes = {"item": [min(one) for one in found["antecedents"]], "target": [min(one) for one in found["consequents"]]}
    return best, seconds, found[list(COMPARED)].assign(**codes)


def difference(ours: pd.DataFrame, theirs: pd.DataFrame) -> float:
    """The largest difference of a measure. Raises RuntimeError when the two do not hold the same rules."""
    both = ours.merge(theirs, on=["item", "target"], how="outer", suffixes=("", " of theirs"), indicator=True)
    if len(both) != len(ours) or not (both["_merge"] == "both").all():
        raise RuntimeError(f"not the same rules: ours {len(ours):,}, mlxtend's {len(theirs):,}")
    return float(max((both[name] - both[f"{name} of theirs"]).abs().max() for name in COMPARED))


def _seconds(work: Callable[[], pd.DataFrame]) -> tuple[float, pd.DataFrame]:
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found


def _version() -> str:
    import mlxtend

    return str(mlxtend.__version__)
