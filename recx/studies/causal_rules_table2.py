"""Causal rules, Table 2: for how many recommendations is there a rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from recx.core.progress import Progress
from recx.core.recipe import Named, param
from recx.recipes._recipe import Get, Recipe
from recx.recipes.data import Data
from recx.studies import _causal

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


NEARER = 0.01
"""The support over the latest five at which coverage comes near the paper's on ML-100K."""


@dataclass(frozen=True)
class CausalRulesTable2:
    """Causal rules Table 2: for how many recommendations there is a rule, causal or association.

    Xu et al. 2021, Section 4.4: each test user's latest five items (split `last-6`), the item that a recommender puts
    first, m = 500 perturbed histories. `coverage` is what the paper calls fidelity; it is called otherwise here because
    it does not measure whether an explanation is faithful: whatever always answers has 100 % (row `random-item`), and a
    recommender that ignores its history is "explained" for everybody. What rules are worth is in `causal-rules-table3`
    and `causal-rules-beyond`.

    Association rules: a rule from one of the five items to the recommended one must reach 0.1 (ML-100K) or 0.01 (Amazon
    Office) by one measure. Transactions are all events before the target and the recommended item (settings `support`,
    `confidence`, `lift`) or only the five shown and the recommended item (`..., latest five`): the paper does not say
    which, nor when a rule "explains" a recommendation. `all three`: every threshold at once. No reading gives the
    paper's 14.3, 7.4 and 8.8 %: all events reach a support of 0.1 for 81, 71 and 76 % of the users (FPMC, GRU4Rec,
    Caser), the latest five for nobody; confidence or lift alone pass for everybody, since a person's own transaction
    makes a rule. A support of 0.01 over the latest five comes nearest (10, 19, 10 %; a row of its own).

    Intervals: 95 %, bootstrap over users. `p` of the difference between recommenders: exact McNemar test on the same
    users (the paper's p < 0.01 names no test).

    Deviations: Amazon Office has 654 users here, not 573 (data source `amazon-office`). BPR item vectors are stretched
    to equal length, and the other choices that the paper leaves open, are in the explainer `causal-rules`.
    """

    data: Data
    recommenders: tuple[Named, ...]
    explainer: Named
    users: int = param(943, "Test users explained [all of the paper's data sets]", unit="users", low=1, high=100_000)
    seeds: int = param(1, "Runs with their own fits and perturbations", low=1, high=100)
    name: ClassVar[str] = "causal-rules-table2"
    paper: ClassVar[str] = "causal-rules"
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "batch"
    lines: ClassVar[tuple[str, ...]] = ("system", "recommender")
    default_dataset: ClassVar[str] = "ml-100k"
    small: ClassVar[dict[str, Any]] = {"users": 40}

    @classmethod
    def of(cls, **words: Any) -> CausalRulesTable2:
        """The study from the words a user types (`_causal.build`)."""
        return _causal.build(cls, **words)

    def needs(self) -> tuple[Recipe, ...]:
        return _causal.needs(self)

    def run(self, get: Get, progress: Progress) -> pd.DataFrame:
        """Tidy rows with the columns of `_rows.COLUMNS`."""
        from recx.metrics.explanation import by_user

        rows, found = _causal.facts(self, get), {}
        for model in self.recommenders:
            table = _causal.items(self, model, get)
            weights = self._answered(table)
            found[model.name] = {key: by_user(one, table["person"].to_numpy()) for key, one in weights.items()}
            for (system, setting), weight in weights.items():
                value = _causal.measured(table, weight, weight, answered=False)
                rows.append(_causal.head(self, model.name, system, setting, "coverage") | value)
            rows += _causal.changed(self, model, table)
        one, *others = found
        for other in others:
            rows += self._difference(one, other, found)
        return _causal.beside_paper("Table 2", rows)

    def _answered(self, table: pd.DataFrame) -> dict[tuple[str, str], np.ndarray]:
        """Which history item each way names, by system and setting."""
        threshold = _causal.THRESHOLD.get(self.data.source.name, 0.1)
        found = {("causal-rules", f"k={k}"): _causal.cause(table, k) for k in _causal.KS}
        for suffix in (_causal.WHOLE, _causal.LATEST):
            for by in _causal.FILTERS:
                found["association", by + suffix] = _causal.global_rule(table, by + suffix, threshold)
            least = table[[by + suffix for by in _causal.FILTERS]].min(axis=1)
            found["association", "all three" + suffix] = _causal.first(table, least, least >= threshold)
        if threshold > NEARER:
            by = "support" + _causal.LATEST
            found["association", f"support {NEARER}{_causal.LATEST}"] = _causal.global_rule(table, by, NEARER)
        found["random-item", "always answers"] = _causal.first(table, -table["back"], table["back"] >= 0)
        return found

    def _difference(
        self, one: str, other: str, found: dict[str, dict[tuple[str, str], np.ndarray]]
    ) -> list[dict[str, Any]]:
        """Coverage of association rules for one recommender minus that for another, on the same users."""
        import numpy as np
        from scipy.stats import binomtest

        from recx.metrics.explanation import bootstrap

        rows = []
        for system, setting in found[one]:
            if system != "association":
                continue
            a, b = (found[name][system, setting] for name in (one, other))
            only = int((a > b).sum()), int((b > a).sum())
            p = binomtest(only[0], sum(only)).pvalue if sum(only) else 1.0
            value, low, high = bootstrap(lambda x, y: np.asarray((x - y).mean(-1)), [a, b])
            note = f"exact McNemar test: {only[0]:,} users only with {one}, {only[1]:,} only with {other}, p = {p:.2g}"
            row = _causal.head(self, f"{one} over {other}", system, setting, "coverage difference") | {"note": note}
            numbers = {"measured": 100 * value, "ci_low": 100 * low, "ci_high": 100 * high}
            rows.append(row | numbers | {"unit": "%", "n": len(a)})
        return rows
