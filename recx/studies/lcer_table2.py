"""LCER, Table 2: how often counterfactual sets are found, how long, how necessary, how sufficient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from recx.core.progress import Progress
from recx.core.recipe import Named, param
from recx.recipes._recipe import Get, Recipe
from recx.recipes.data import Data
from recx.recipes.fit import Evaluate, Fit
from recx.recipes.judge import CONVENTIONS, Judge

if TYPE_CHECKING:
    import pandas as pd

CHUNK = 50
"""Test users in one stored chunk."""

HELD_OUT = {"ml-100k": 100, "ml-1m": 500}
"""Users held out for validation and as many for test, as the paper's footnote 8 (100 elsewhere)."""

PUBLISHED_NAMES = {"LCER": "lcer", "FIA": "leave-one-out"}
"""The paper approximates FIA by the score change without one item (footnote 9): our leave-one-out, exactly."""

LCER_SETTINGS = {"ml-100k": {}, "ml-1m": {"lam": 0.02, "alpha": 0.04}}
"""The paper's (lambda, alpha) per data set; ML-100K's are the defaults."""


MODEL = Named("models", "multvae")


@dataclass(frozen=True)
class LcerTable2:
    """LCER Table 2: validity, length, PN, PS and F_NS of counterfactual sets on Mult-VAE.

    For `users` held-out users and each item of their top 5 and top 10. Published cells stand beside ours under both
    conventions; `placebo` is the same metric for random sets of the same sizes. Intervals: 95 %, bootstrap over users.
    """

    data: Data
    systems: tuple[Named, ...]
    model: Named = MODEL
    users: int = param(100, "Test users explained", unit="users", low=1, high=100_000)
    seeds: int = param(1, "Runs with their own split, fit and search", low=1, high=100)
    ks: tuple[int, ...] = (5, 10)
    paper: ClassVar[str] = "lcer"
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "batch"

    default_dataset: ClassVar[str] = "ml-100k"
    default_systems: ClassVar[tuple[str, ...]] = ("lcer", "minimal", "leave-one-out")
    small: ClassVar[dict[str, Any]] = {"users": 10, "ks": (5,)}
    small_settings: ClassVar[dict[str, dict[str, Any]]] = {"lcer": {"steps": 300}, "multvae": {"epochs": 40}}
    dataset_settings: ClassVar[dict[str, dict[str, dict[str, Any]]]] = {
        name: {"lcer": settings} for name, settings in LCER_SETTINGS.items()
    }

    def fit(self, seed: int) -> Fit:
        """Mult-VAE on all but the held-out users of this seed."""
        held = HELD_OUT.get(self.data.source.name, 100)
        settings = () if held == 100 else (("test", held), ("valid", held))
        return Fit(self.data, Named("data.splits", "held-out-users", settings), self.model, seed)

    def parts(self, seed: int, system: Named, k: int) -> tuple[Judge, ...]:
        """The stored chunks of one system at one list length."""
        starts = range(0, self.users, CHUNK)
        return tuple(Judge(self.fit(seed), system, k, at, min(at + CHUNK, self.users), seed) for at in starts)

    def _grid(self) -> list[tuple[int, Named, int]]:
        return [(seed, system, k) for seed in range(self.seeds) for system in self.systems for k in self.ks]

    def needs(self) -> tuple[Recipe, ...]:
        parts = [part for cell in self._grid() for part in self.parts(*cell)]
        return (*parts, *(Evaluate(self.fit(seed)) for seed in range(self.seeds)))

    def run(self, get: Get, progress: Progress) -> pd.DataFrame:
        """Tidy rows with the columns of `_rows.COLUMNS`, %, items and counts as the paper's."""
        import pandas as pd

        from recx.studies._rows import beside

        tables = {
            cell: pd.concat([get(part) for part in self.parts(*cell)]).assign(seed=cell[0]) for cell in self._grid()
        }
        rows: list[dict[str, Any]] = []
        for system in self.systems:
            for k in self.ks:
                own = [tables[seed, system, k] for seed in range(self.seeds)]
                rows += self._rows(system, k, pd.concat(own), None)
                if self.seeds > 1:
                    rows += [row for seed, table in enumerate(own) for row in self._rows(system, k, table, seed)]
        rows += [self._accuracy(get, seed) for seed in range(self.seeds)]
        return beside("lcer", "Table 2", rows, PUBLISHED_NAMES)

    def _rows(self, system: Named, k: int, table: pd.DataFrame, seed: int | None) -> list[dict[str, Any]]:
        head = {
            "dataset": self.data.source.name,
            "system": system.name,
            "recommender": self.model.name,
            "explainer": system.name,
            "setting": f"top-{k}",
            "param": "K",
            "param_value": str(k),
            "seed": seed,
        }
        return [head | row for convention in CONVENTIONS for row in measured(table, k, convention)]

    def _accuracy(self, get: Get, seed: int) -> dict[str, Any]:
        value = get(Evaluate(self.fit(seed)))
        head = {"dataset": self.data.source.name, "system": self.model.name, "recommender": self.model.name}
        return head | {
            "setting": "accuracy",
            "metric": "ndcg@100",
            "measured": 100 * value["ndcg@100"],
            "unit": "%",
            "n": value["n"],
            "seed": seed,
        }


def measured(table: pd.DataFrame, k: int, convention: str) -> list[dict[str, Any]]:
    """The metrics of one table of pairs (`recipes.judge.Judge`) under one convention.

    validity: share of pairs with the explainer's own condition met. validity_rank: share of pairs whose target leaves
    the top k when the named items are removed. length, pn, ps: over the pairs with an explanation.
    """
    import numpy as np

    from recx.metrics.explanation import bootstrap, by_user, share

    user = table["seed"].to_numpy() * 1_000_003 + table["user"].to_numpy()
    found = table["found"].to_numpy(bool)
    every = np.ones(len(table))

    def sums(name: str, prefix: str) -> np.ndarray:
        rank = table[f"{prefix}{name} {convention}"].to_numpy()
        return by_user(found & (rank > k if name == "out" else rank <= k), user)

    n_found, n_all = by_user(found, user), by_user(every, user)
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
        scale = 100.0 if unit == "%" else 1.0
        value, low, high = (scale * number for number in bootstrap(statistic, columns))
        n = int(n_all.sum() if metric.startswith("validity") else n_found.sum())
        row = {"metric": metric, "unit": unit, "measured": value, "ci_low": low, "ci_high": high, "n": n}
        chance = None if control is None else scale * float(statistic(*control))
        rows.append(row | {"convention": convention, "placebo": chance})
    return rows


def _harmonic(out: Any, only: Any, n: Any) -> Any:
    """F_NS of sums: necessary, sufficient, explained."""
    from recx.metrics.explanation import f_ns, share

    return f_ns(share(out, n), share(only, n))
