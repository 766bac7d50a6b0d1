"""Leaderboard: every recommender by one protocol, floors always beside."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from recx.core import recipe, registry
from recx.core.errors import unknown
from recx.core.progress import Progress
from recx.core.recipe import Named, param
from recx.recipes._build import Form, data_of
from recx.recipes._recipe import Get, Recipe
from recx.recipes.data import Data, SplitData
from recx.recipes.fit import Chance, Fit
from recx.recipes.tune import Entry, Tuned

if TYPE_CHECKING:
    import pandas as pd

FLOORS = ("random", "toppop", "recentpop", "itemknn", "ease", "markov")
"""What every model should beat; always in the table."""
NEGATIVES = 100
NO_GRID = ("ml-1m",)
"""Data sets on which a search would take a day without a GPU: every model has its defaults there."""
TRUE = ("true", "1", "yes")
EQUAL, PUBLISHED = "equal budget", "as published"


@dataclass(frozen=True)
class Leaderboard:
    """Leaderboard: accuracy of every recommender, floors beside.

    Full ranking, seen items removed; all events count as positive. Every model chooses from its own small grid on
    validation (seed 0), then `seeds` runs are judged on the test part; `max_seconds` is the budget of one training.
    `equal budget`: the same loss (cross-entropy) for all sequence models; `as published`: the loss of the paper.
    Intervals: 95 %, bootstrap over users, of the mean over seeds; `placebo` is what a random order has. Differences are
    paired by user, against the best floor. `sampled-100`: the target among 100 random candidates, averaged exactly.
    """

    data: Data
    split: Named
    entries: tuple[Entry, ...]
    seeds: int = param(5, "Runs of each model with the chosen settings", low=1, high=100)
    max_seconds: float = param(60.0, "Budget of one training", unit="s", low=1.0, high=1e6)
    paper: ClassVar[str] = "recx"
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "batch"

    default_dataset: ClassVar[str] = "ml-100k"
    lines: ClassVar[tuple[str, ...]] = ("system", "param_value", "setting")
    small: ClassVar[dict[str, Any]] = {"seeds": 1, "max_seconds": 5.0}
    dataset_fields: ClassVar[dict[str, dict[str, Any]]] = {"ml-1m": {"seeds": 1, "max_seconds": 1200.0}}

    @classmethod
    def of(
        cls,
        *,
        dataset: str | None,
        systems: tuple[str, ...],
        small: bool,
        settings: Mapping[str, Mapping[str, Any]],
        form_of: Form,
        **counts: Any,
    ) -> Leaderboard:
        """The study from the words a user types.

        `settings["leaderboard"]`: its own fields, `split`, `grid` (true or false), `published` (true, false, or the
        models, "+" between, that have the row of their paper).
        """
        dataset = dataset or cls.default_dataset
        own = dict(settings.get("leaderboard", {}))
        split, grid = own.pop("split", "leave-one-out"), own.pop("grid", not small and dataset not in NO_GRID)
        published = str(own.pop("published", "true")).lower()
        fields = cls.dataset_fields.get(dataset, {}) | (cls.small if small else {}) | own
        fields |= {name: value for name, value in counts.items() if value is not None}
        fields = dict(recipe.clean("leaderboard", recipe.describe(cls), fields))
        seconds = fields.get("max_seconds", recipe.describe(cls)[1]["default"])
        chosen = tuple(dict.fromkeys([*(systems or default_systems()), *FLOORS]))
        for name in set(settings) - {"leaderboard"}:
            if name not in chosen:
                raise unknown("system", name, chosen, " of leaderboard")
        with_ratings = {"rating_above": None} if dataset.startswith("ml-") else {}
        data = data_of(dataset, form_of=form_of, **with_ratings)
        lines = [
            line
            for name in chosen
            for line in _entries(name, dict(settings.get(name, {})), seconds, str(grid).lower() in TRUE, form_of)
            if line.training == EQUAL or published in TRUE or name in published.split("+")
        ]
        return cls(data, registry.named("data.splits", split, form_of=form_of), tuple(lines), **fields)

    def part(self, entry: Entry, seed: int) -> Tuned:
        """One run of one line."""
        fits = tuple(Fit(self.data, self.split, model) for model in entry.candidates)
        return Tuned(fits, seed)

    def seeds_of(self, entry: Entry) -> range:
        """The runs of a line: one where nothing is random."""
        return range(self.seeds if entry.random else 1)

    def needs(self) -> tuple[Recipe, ...]:
        parts = [self.part(entry, seed) for entry in self.entries for seed in self.seeds_of(entry)]
        return (*parts, Chance(SplitData(self.data, self.split)))

    def run(self, get: Get, progress: Progress) -> pd.DataFrame:
        """Tidy rows with the columns of `_rows.COLUMNS`."""
        from recx.studies._leaderboard import rows_of
        from recx.studies._rows import beside_logs

        runs = {entry: [get(self.part(entry, seed)) for seed in self.seeds_of(entry)] for entry in self.entries}
        chance = get(Chance(SplitData(self.data, self.split)))
        rows = rows_of(runs, self.split.name, chance, NEGATIVES)
        return beside_logs([{"dataset": self.data.source.name} | row for row in rows])


def default_systems() -> list[str]:
    """Every built-in model that ranks."""
    return registry.built_in("models")


def _entries(name: str, given: dict[str, Any], seconds: float, grid: bool, form_of: Form) -> list[Entry]:
    """The lines of one model: its equal-budget one and, where its paper trains it otherwise, the published one."""
    form = form_of("models", name)
    fields = [row["name"] for row in form["parameters"]]
    base = ({"max_seconds": seconds} if "max_seconds" in fields else {}) | given
    variants = {field: values for field, values in form.get("grid", {}).items() if grid and field not in given}
    pick = [dict(zip(variants, one, strict=True)) for one in itertools.product(*variants.values())]
    named = lambda extra: registry.named("models", name, base | extra, form_of=form_of)  # noqa: E731
    trained = "max_seconds" in fields
    lines = [Entry(name, EQUAL, tuple(named(extra) for extra in pick), trained)]
    published = form.get("published", {})
    if published:
        lines.append(Entry(name, PUBLISHED, (named(published),), trained))
    return lines
