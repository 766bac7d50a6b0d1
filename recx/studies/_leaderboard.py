"""The rows of a leaderboard: means over people, intervals, paired differences, what a training cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from recx.metrics.explanation import bootstrap

if TYPE_CHECKING:
    from recx.recipes.tune import Entry

METRICS = ("hr@10", "ndcg@10")
COSTS = {"seconds": "s", "parameters": "count", "epochs": "count", "converged": "share"}


def rows_of(
    runs: dict[Entry, list[pd.DataFrame]], split: str, chance: dict[str, Any], negatives: int
) -> list[dict[str, Any]]:
    """One row per line, setting and metric; rows of single seeds where there are several.

    `runs`: per line one table of `recipes.tune.Tuned` per seed; `chance`: what a random order has.
    """
    from recx.studies.leaderboard import EQUAL, FLOORS

    suffix = "" if split == "leave-one-out" else f", {split}"
    settings = {f"full ranking{suffix}": _full}
    if all(table["rank"].gt(0).all() for tables in runs.values() for table in tables):
        settings |= {f"sampled-{negatives}{suffix}": lambda table: _sampled(table, negatives)}
    rows: list[dict[str, Any]] = []
    for setting, values_of in settings.items():
        people = {entry: [values_of(table) for table in tables] for entry, tables in runs.items()}
        floors = [entry for entry in people if entry.system in FLOORS and entry.training == EQUAL]
        best = max(floors, key=lambda entry: float(np.mean([one["ndcg@10"].mean() for one in people[entry]])))
        for entry, tables in people.items():
            head = _head(entry, setting)
            for metric in METRICS:
                rows += _accuracy(head, metric, [one[metric] for one in tables], _by_chance(chance, metric, setting))
            if entry != best:
                rows.append(head | _difference(tables, people[best], best.system))
    for entry, tables in runs.items():
        rows += _costs(_head(entry, f"full ranking{suffix}"), tables)
    return rows


def _head(entry: Entry, setting: str) -> dict[str, Any]:
    system = {"system": entry.system, "recommender": entry.system, "setting": setting}
    return system | {"param": "training", "param_value": entry.training, "convention": "app", "seed": None}


def _by_chance(chance: dict[str, Any], metric: str, setting: str) -> float | None:
    if setting.startswith("full"):
        return float(chance[metric])
    n = int(setting.split("-")[1].split(",")[0]) + 1
    return 10 / n if metric == "hr@10" else float((1 / np.log2(np.arange(2, 12))).sum() / n)


def _full(table: pd.DataFrame) -> dict[str, np.ndarray]:
    return {metric: table[metric].to_numpy() for metric in METRICS}


def _sampled(table: pd.DataFrame, negatives: int) -> dict[str, np.ndarray]:
    import torch

    from recx.metrics.ranking import by_sampling

    rank, candidates = (torch.as_tensor(table[name].to_numpy(copy=True)) for name in ("rank", "candidates"))
    return dict(zip(METRICS, (part.numpy() for part in by_sampling(rank, candidates, negatives, 10)), strict=True))


def _mean(values: np.ndarray) -> np.ndarray:
    return np.asarray(values.mean(-1))


def _accuracy(head: dict[str, Any], metric: str, seeds: list[np.ndarray], chance: float | None) -> list[dict[str, Any]]:
    """The mean over seeds and people with its interval, and each seed's own where there are several."""
    rows = []
    for seed, values in ((None, np.mean(seeds, axis=0)), *enumerate(seeds if len(seeds) > 1 else [])):
        value, low, high = bootstrap(_mean, [values])
        row = {"metric": metric, "unit": "share", "measured": value, "ci_low": low, "ci_high": high, "n": len(values)}
        rows.append(head | row | {"placebo": chance, "higher_is_better": True, "seed": seed})
    return rows


def _difference(ours: list[dict[str, np.ndarray]], floor: list[dict[str, np.ndarray]], name: str) -> dict[str, Any]:
    """NDCG@10 minus that of the best floor, the same people drawn for both."""
    pair = [np.mean([one["ndcg@10"] for one in side], axis=0) for side in (ours, floor)]
    value, low, high = bootstrap(lambda a, b: _mean(a) - _mean(b), pair)
    note = f"paired by user, against {name}"
    measured = {"measured": value, "ci_low": low, "ci_high": high, "n": len(pair[0])}
    return {"metric": "ndcg@10 over best floor", "unit": "share", "note": note} | measured


def _costs(head: dict[str, Any], tables: list[pd.DataFrame]) -> list[dict[str, Any]]:
    """What a training took, as a mean over seeds; `converged` is the share of runs that stopped by themselves."""
    settings = tables[0]["settings"].iloc[0]
    rows = []
    for name, unit in COSTS.items():
        values = [float(table[name].iloc[0]) for table in tables]
        if min(values) >= 0:
            row = {"metric": name, "unit": unit, "measured": float(np.mean(values)), "n": len(values)}
            rows.append(head | row | {"note": f"chosen settings: {settings or 'defaults'}"})
    return rows
