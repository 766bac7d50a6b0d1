"""Causal rules under other settings: decay, number of perturbations, how far they go, how Eq. 1 is fitted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from recx.core.progress import Progress
from recx.core.recipe import Named, param
from recx.recipes._recipe import Get, Recipe
from recx.recipes.data import Data
from recx.recipes.learnt import learnt_by
from recx.recipes.rules import RuleGrid
from recx.studies import _causal

if TYPE_CHECKING:
    import pandas as pd

GAMMAS = (0.1, 0.3, 0.7, 1.0)
COUNTS = (10, 20, 50, 100, 200, 500, 1000)
STEPS = (1, 10, 100, 1000)
PERTURBED: tuple[tuple[str, str, dict[str, Any]], ...] = (
    *(("variance", str(v), {"variance": v}) for v in (1.0, 2.0, 3.0, 5.0, 10.0, 30.0)),
    *(("share", str(s), {"perturb": "uniform", "share": s}) for s in (0.1, 0.2, 0.3, 0.5)),
    *(("beta", str(b), {"beta": b}) for b in (0.001, 0.1, 1.0)),
    ("vectors", "raw", {"vectors": "raw"}),
    ("vectors", "raw, anchored", {"vectors": "raw", "anchor": True}),
)
"""Settings that need perturbed histories of their own: parameter, its value as rows show it, fields."""
DEFAULT = ("gamma", "0.7")


@dataclass(frozen=True)
class CausalRulesSweeps:
    """Causal rules Figures 3 and 4, and what the paper leaves open: coverage and verified share under other settings.

    Parameters: `gamma` (Figure 3), `m` (Figure 4), `steps` (of fitting Eq. 1, which has no maximum: does the cause
    depend on when one stops?), `fit` (regularised, with the other outputs as negatives), and what changes the perturbed
    histories: `variance` (sampling variance over the encoder's), `share` (uniform replacement instead of the
    autoencoder), `beta` (weight of the divergence from the prior; 1 is the plain bound), `vectors` (BPR's as they are).
    The first four use the same answers of the recommender; the others ask anew, for GRU4Rec (without it the first
    recommender) only.

    Metrics: `coverage` (k = 1, 2, 3), `verified_share` (Eq. 2, k = 1), `delete` (the
    recommendation changes when the cause is deleted), `most_recent` (share of causes that are the
    latest item), `same_cause` (as with the default settings, over the users explained by both), `changed_positions`,
    `changed_histories`, `reconstructed`. Intervals: 95 %, bootstrap over users. The paper's figures have no numbers.
    """

    data: Data
    recommenders: tuple[Named, ...]
    explainer: Named
    users: int = param(943, "Test users explained [all of the paper's data sets]", unit="users", low=1, high=100_000)
    seeds: int = param(1, "Runs with their own fits and perturbations", low=1, high=100)
    m: int = param(1000, "Perturbed histories at most", unit="histories", low=1, high=100_000)
    name: ClassVar[str] = "causal-rules-sweeps"
    paper: ClassVar[str] = "causal-rules"
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "batch"
    lines: ClassVar[tuple[str, ...]] = ("system", "recommender", "param")
    default_dataset: ClassVar[str] = "ml-100k"
    small: ClassVar[dict[str, Any]] = {"users": 40, "m": 100}

    @classmethod
    def of(cls, **words: Any) -> CausalRulesSweeps:
        """The study from the words a user types (`_causal.build`)."""
        return _causal.build(cls, **words)

    @property
    def own_m(self) -> int:
        """The number of perturbed histories outside the sweep over it."""
        return min(self.m, int(dict(self.explainer.settings).get("m", 500)))

    @property
    def probe(self) -> Named:
        """The recommender whose histories are perturbed in other ways: the paper's of Figure 3, else the first."""
        return next((one for one in self.recommenders if one.name == "gru4rec"), self.recommenders[0])

    def grid(self) -> tuple[tuple[str, float, int, int, str], ...]:
        """The settings that need no new answers, as `RuleGrid` takes them."""
        m, plain = self.own_m, "as-published"
        gammas = [(f"gamma={g}", g, m, 100, plain) for g in GAMMAS]
        counts = [(f"m={n}", 0.7, n, 100, plain) for n in COUNTS if n <= self.m]
        steps = [(f"steps={s}", 0.7, m, s, plain) for s in STEPS]
        return (*gammas, *counts, *steps, ("fit=regularised", 0.7, m, 500, "regularised"))

    def parts(self, model: Named, seed: int, fields: dict[str, Any] | None = None) -> tuple[RuleGrid, ...]:
        """The stored chunks: of the grid, or of one setting that changes the perturbed histories."""
        own = dict(self.explainer.settings) | {"m_test": 0} | (fields or {"m": self.m})
        settings = self.grid() if fields is None else (("default", 0.7, self.own_m, 100, "as-published"),)
        explainer = Named("explainers", "causal-rules", tuple(sorted(own.items())))
        fit, n = _causal.fit_of(self, model, seed), self.users
        starts = range(0, n, _causal.CHUNK)
        return tuple(RuleGrid(fit, explainer, settings, at, min(at + _causal.CHUNK, n), seed) for at in starts)

    def _cells(self) -> list[tuple[Named, int, tuple[str, str, dict[str, Any]] | None]]:
        cells: list[tuple[Named, int, Any]] = [(m, seed, None) for m in self.recommenders for seed in range(self.seeds)]
        return cells + [(self.probe, seed, one) for one in PERTURBED for seed in range(self.seeds)]

    def needs(self) -> tuple[Recipe, ...]:
        return tuple(part for model, seed, one in self._cells() for part in self.parts(model, seed, one and one[2]))

    def run(self, get: Get, progress: Progress) -> pd.DataFrame:
        """Tidy rows with the columns of `_rows.COLUMNS`."""
        rows: list[dict[str, Any]] = []
        for model in self.recommenders:
            table = self._table(get, model, None)
            usual = self._causes(table[table["setting"] == "=".join(DEFAULT)])
            for setting, own in table.groupby("setting", sort=False):
                name, value = str(setting).split("=")
                rows += self._rows(model.name, name, value, own, usual)
            if model == self.probe:
                for param_name, value, fields in PERTURBED:
                    rows += self._rows(model.name, param_name, value, self._table(get, model, fields), usual)
                    rows += self._reconstructed(get, model, param_name, value, fields)
        return _causal.beside_paper("Figures 3 and 4", rows)

    def _table(self, get: Get, model: Named, fields: dict[str, Any] | None) -> pd.DataFrame:
        import pandas as pd

        tables = []
        for seed in range(self.seeds):
            one = pd.concat([get(part) for part in self.parts(model, seed, fields)], ignore_index=True)
            tables.append(one.assign(person=seed * 1_000_003 + one["user"]))
        return pd.concat(tables, ignore_index=True)

    @staticmethod
    def _causes(table: pd.DataFrame) -> Any:
        """The cause (k = 1) of each person that has one."""
        return table[table["place"] == 1].set_index("person")["item"]

    def _rows(self, model: str, name: str, value: str, table: pd.DataFrame, usual: Any) -> list[dict[str, Any]]:
        import numpy as np

        place, table = table["place"].to_numpy(), table.reset_index(drop=True)
        explained, every = (place == 1).astype(float), np.ones(len(table))
        known = table["person"].map(usual)
        numbers = {f"k={k}": ("coverage", every, (place > 0) & (place <= k)) for k in _causal.KS}
        more = {
            "verified_share": (explained, table["difference"] > 0),
            "delete": (explained, table["delete"]),
            "most_recent": (explained, table["back"] == 0),
            "same_cause": (explained * known.notna().to_numpy(), table["item"] == known),
            "changed_positions": (every, table["changed_positions"]),
            "changed_histories": (every, table["changed_histories"]),
        }
        cells = [(setting, *rest) for setting, rest in numbers.items()]
        cells += [("k=1", metric, *rest) for metric, rest in more.items()]
        rows = []
        for setting, metric, weight, values in cells:
            row = _causal.head(self, model, "causal-rules", setting, metric)
            row |= {"param": name, "param_value": value}
            rows.append(row | _causal.measured(table, weight, np.asarray(values, float)))
        return rows

    def _reconstructed(
        self, get: Get, model: Named, name: str, value: str, fields: dict[str, Any]
    ) -> list[dict[str, Any]]:
        part = self.parts(model, 0, fields)[0]
        learnt = learnt_by(part.explainer, part.fit)
        if learnt is None:
            return []
        report = get(learnt).report
        row = _causal.head(self, model.name, "causal-rules", "k=1", "reconstructed")
        row |= {"param": name, "param_value": value}
        return [row | {"measured": 100 * report["reconstructed"], "unit": "%", "n": report["windows"]}]
