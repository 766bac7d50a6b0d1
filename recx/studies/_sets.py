"""What the studies on counterfactual sets share: their fit, their chunks, and the rows of a table of pairs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recx.core.recipe import Named
from recx.metrics.explanation import bootstrap, by_user, f_ns, share
from recx.recipes.data import Data
from recx.recipes.fit import Fit
from recx.recipes.judge import CONVENTIONS, Judge
from recx.recipes.optimum import Optimum

if TYPE_CHECKING:
    import pandas as pd

    from recx.recipes._recipe import Get, Recipe
    from recx.studies._systems import System

CHUNK = 50
"""Users in one stored chunk."""

HELD_OUT = {"ml-100k": 100, "ml-1m": 500}
"""Users held out for validation and as many for test, as the paper's footnote 8 (100 elsewhere)."""

LCER_SETTINGS: dict[str, dict[str, Any]] = {"ml-100k": {}, "ml-1m": {"lam": 0.02, "alpha": 0.04}}
"""The paper's (lambda, alpha) per data set; ML-100K's are the defaults."""

PER_DATASET: dict[str, dict[str, dict[str, Any]]] = {name: {"lcer": own} for name, own in LCER_SETTINGS.items()}

MODEL = Named("models", "multvae")

GOALS = ("necessary", "both")


def fit_of(data: Data, model: Named, seed: int) -> Fit:
    """The model on all but the held-out users of this seed."""
    held = HELD_OUT.get(data.source.name, 100)
    settings = () if held == 100 else (("test", held), ("valid", held))
    return Fit(data, Named("data.splits", "held-out-users", settings), model, seed)


def chunks(users: int) -> list[tuple[int, int]]:
    """(first, last) of the stored chunks that cover so many users."""
    return [(at, min(at + CHUNK, users)) for at in range(0, users, CHUNK)]


def judged(fit: Fit, system: System, k: int, users: int, seed: int, part: str = "test") -> tuple[Judge, ...]:
    """The stored chunks of one system at one list length."""
    return tuple(Judge(fit, system.explainer, k, *span, seed, part) for span in chunks(users))


def optima(fit: Fit, k: int, users: int, limit: int) -> tuple[Optimum, ...]:
    """The stored chunks of the smallest sizes, for both goals, of histories of up to `limit` items."""
    return tuple(Optimum(fit, k, *span, goal, limit=limit) for goal in GOALS for span in chunks(users))


def joined(get: Get, parts: tuple[Recipe, ...], seed: int = 0) -> pd.DataFrame:
    """The pairs of all chunks, with the study's `seed`."""
    import pandas as pd

    return pd.concat([get(part) for part in parts], ignore_index=True).assign(seed=seed)


def with_optimum(get: Get, table: pd.DataFrame, parts: tuple[Optimum, ...]) -> pd.DataFrame:
    """The pairs with `smallest`: the size of the smallest set that meets the goal of each answer's explainer."""
    import pandas as pd

    key = ["goal", "user", "target"]
    known = pd.concat([get(part).assign(goal=part.goal) for part in parts])
    return table.merge(known, on=key, how="left", validate="many_to_one")


def head(data: Data, model: Named, system: System, setting: str, param: str = "", value: Any = "") -> dict[str, Any]:
    """The columns that name a row."""
    names = {"dataset": data.source.name, "system": system.name, "recommender": model.name}
    return names | {"explainer": system.explainer.name, "setting": setting, "param": param, "param_value": str(value)}


def persons(table: pd.DataFrame) -> np.ndarray:
    """A number per person: the same user under another seed is another draw."""
    return np.asarray(table["seed"].to_numpy() * 1_000_003 + table["user"].to_numpy())


def measured(table: pd.DataFrame, k: int, convention: str) -> list[dict[str, Any]]:
    """The metrics of one table of pairs (`recipes.judge.Judge`) under one convention.

    validity: share of pairs with the explainer's own condition met. validity_rank: share of pairs whose target leaves
    the top k when the named items are removed. length, pn, ps: over the pairs with an explanation.
    """
    user, found = persons(table), table["found"].to_numpy(bool)

    def sums(name: str, prefix: str) -> np.ndarray:
        rank = table[f"{prefix}{name} {convention}"].to_numpy()
        return by_user(found & (rank > k if name == "out" else rank <= k), user)

    n_found, n_all = by_user(found, user), by_user(np.ones(len(table)), user)
    ours, placebo = ((sums("out", prefix), sums("only", prefix)) for prefix in ("", "placebo_"))
    valid = by_user(table["validity"].to_numpy(float), user)
    length = by_user(table["length"].to_numpy(float), user)
    cells: list[tuple[str, str, Any, list[Any], list[Any] | None]] = [
        ("validity", "%", share, [valid, n_all], None),
        ("validity_rank", "%", share, [ours[0], n_all], [placebo[0], n_all]),
        ("length", "items", share, [length, n_found], None),
        ("pn", "%", share, [ours[0], n_found], [placebo[0], n_found]),
        ("ps", "%", share, [ours[1], n_found], [placebo[1], n_found]),
        ("f_ns", "%", _harmonic, [*ours, n_found], [*placebo, n_found]),
    ]
    rows = []
    for metric, unit, statistic, columns, control in cells:
        n = int(n_all.sum() if metric.startswith("validity") else n_found.sum())
        rows.append(cell(metric, unit, statistic, columns, n, control) | {"convention": convention})
    return rows


def distances(table: pd.DataFrame, k: int) -> list[dict[str, Any]]:
    """How far sets are from the smallest possible ones, where all sets can be tried (`smallest`), convention `app`.

    distance: mean items too many, over sets that meet their explainer's goal. at_optimum: the share of all pairs for
    which some set meets it, whose set meets it and is as small as any.
    """
    user, smallest = persons(table), table["smallest"].to_numpy()
    out, only = table["out app"].to_numpy() > k, table["only app"].to_numpy() <= k
    possible = smallest > 0
    meets = possible & table["found"].to_numpy(bool) & out & (only | (table["goal"].to_numpy() == "necessary"))
    excess = np.where(meets, table["length"].to_numpy() - smallest, 0.0)
    n_meets, n_possible = by_user(meets, user), by_user(possible, user)
    best = by_user(meets & (excess == 0), user)
    rows = [
        cell("distance", "items", share, [by_user(excess, user), n_meets], int(n_meets.sum())),
        cell("at_optimum", "%", share, [best, n_possible], int(n_possible.sum())),
    ]
    return [row | {"convention": "app"} for row in rows]


def costs(table: pd.DataFrame) -> list[dict[str, Any]]:
    """What one explanation takes: histories scored and milliseconds, the batch's time shared equally."""
    user = persons(table)
    n = by_user(np.ones(len(table)), user)
    cells = [("model_calls", "calls", "calls", 1.0), ("milliseconds", "ms", "seconds", 1000.0)]
    return [
        cell(metric, unit, share, [by_user(factor * table[column].to_numpy(float), user), n], len(table))
        for metric, unit, column, factor in cells
    ]


def cell(
    metric: str, unit: str, statistic: Any, columns: list[Any], n: int, control: list[Any] | None = None
) -> dict[str, Any]:
    """One number of per-user sums with its interval; `control`: the sums of the placebo."""
    scale = 100.0 if unit == "%" else 1.0
    value, low, high = (scale * number for number in bootstrap(statistic, columns))
    chance = None if control is None else scale * float(statistic(*control))
    row = {"metric": metric, "unit": unit, "measured": value, "ci_low": low, "ci_high": high, "n": n}
    return row | {"placebo": chance}


def everything(table: pd.DataFrame, k: int) -> list[dict[str, Any]]:
    """All rows of a table of pairs: both conventions, the distance where it is known, and the costs."""
    rows = [row for convention in CONVENTIONS for row in measured(table, k, convention)]
    return rows + (distances(table, k) if "smallest" in table else []) + costs(table)


def _harmonic(out: Any, only: Any, n: Any) -> Any:
    """F_NS of sums: necessary, sufficient, explained."""
    return f_ns(share(out, n), share(only, n))
