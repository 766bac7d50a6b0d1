"""LCER, Table 3: is it better than the searches when its sets are as long as theirs?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from recx.core.errors import BadInput
from recx.core.progress import Progress
from recx.core.recipe import Named, param
from recx.recipes._recipe import Get, Recipe
from recx.recipes.data import Data
from recx.recipes.fit import Fit
from recx.recipes.judge import CONVENTIONS
from recx.recipes.matched import Matched
from recx.studies._sets import MODEL, PER_DATASET, fit_of, head, joined, judged, measured
from recx.studies._systems import System

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class LcerTable3:
    """LCER Table 3: LCER at the length of KaffesCE's and of ACCENT's sets.

    lambda is chosen on validation users so that LCER's mean length is within 0.02 items of the other's there; then
    `users` test users are explained once. `lambda`: the value; `length_gap`: how far the lengths are apart on the
    validation and on the test users. Deviations: the paper's table is of Epinions, which cannot be had, and does not
    say on whom it tuned; its cells are rows of their own, without a measured value. KaffesCE and ACCENT run as in Table
    2 (their `published` settings). Intervals: 95 %, bootstrap over users.
    """

    data: Data
    systems: tuple[System, ...]
    model: Named = MODEL
    users: int = param(100, "Test users explained, and validation users tuned on", unit="users", low=1, high=100_000)
    k: int = param(5, "Length of the list", low=1, high=100)
    paper: ClassVar[str] = "lcer"
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "batch"

    default_dataset: ClassVar[str] = "ml-100k"
    default_systems: ClassVar[tuple[str, ...]] = ("lcer", "kaffes", "accent")
    as_published: ClassVar[bool] = True
    small: ClassVar[dict[str, Any]] = {"users": 10}
    small_settings: ClassVar[dict[str, dict[str, Any]]] = {"lcer": {"steps": 300}, "multvae": {"epochs": 40}}
    dataset_settings: ClassVar[dict[str, dict[str, dict[str, Any]]]] = PER_DATASET

    def __post_init__(self) -> None:
        if not any(system.explainer.name == "lcer" for system in self.systems) or len(self.systems) < 2:
            raise BadInput("lcer-table3 compares lcer with others: name lcer and at least one other system.")

    @property
    def fit(self) -> Fit:
        """The model on all but the held-out users."""
        return fit_of(self.data, self.model, 0)

    @property
    def lcer(self) -> System:
        return next(system for system in self.systems if system.explainer.name == "lcer")

    @property
    def others(self) -> tuple[System, ...]:
        return tuple(system for system in self.systems if system != self.lcer)

    def matched(self, other: System) -> Matched:
        """The search for LCER's lambda."""
        return Matched(self.fit, self.lcer.explainer, other.explainer, self.k, self.users)

    def needs(self) -> tuple[Recipe, ...]:
        tests = [part for other in self.others for part in judged(self.fit, other, self.k, self.users, 0)]
        return (self.fit, *tests, *(self.matched(other) for other in self.others))

    def run(self, get: Get, progress: Progress) -> pd.DataFrame:
        """Tidy rows with the columns of `_rows.COLUMNS`; `setting` says whose length is matched."""
        import pandas as pd

        from recx.studies._rows import plain

        rows = [row for other in self.others for row in self._rows(get, other)]
        return pd.concat([plain("lcer", rows).assign(table="Table 3"), _published(self.others)], ignore_index=True)

    def _rows(self, get: Get, other: System) -> list[dict[str, Any]]:
        """Both systems on the test users, and how near the lengths came."""
        match, setting = get(self.matched(other)), f"length-matched to {other.name}"
        tuned = System(self.lcer.name, self.matched(other).at(match["lam"]))
        rows, lengths = [], []
        for system, lam in ((other, None), (tuned, match["lam"])):
            table = joined(get, judged(self.fit, system, self.k, self.users, 0))
            named = head(self.data, self.model, system, setting, *(("K", self.k) if lam is None else ("lambda", lam)))
            rows += [named | row for convention in CONVENTIONS for row in measured(table, self.k, convention)]
            lengths.append(table["length"].sum() / max(1, table["found"].sum()))
        named = head(self.data, self.model, tuned, setting, "lambda", match["lam"])
        gaps = {"validation users": match["length"] - match["wanted"], "test users": lengths[1] - lengths[0]}
        rows.append(named | {"metric": "lambda", "measured": match["lam"], "n": len(match["tried"])})
        note = "LCER's mean length minus the other's, on "
        cells = [{"metric": "length_gap", "unit": "items", "measured": g, "note": note + on} for on, g in gaps.items()]
        return rows + [named | row for row in cells]


def _published(others: tuple[System, ...]) -> pd.DataFrame:
    """The paper's cells, of Epinions, under our names of systems and settings; nothing is measured in them."""
    from recx.studies._rows import COLUMNS, published
    from recx.studies.lcer_table2 import PUBLISHED_NAMES

    cells = published("lcer")
    cells = cells[cells["table"] == "Table 3"]
    settings = {f"length-matched to {name}": f"length-matched to {own}" for name, own in PUBLISHED_NAMES.items()}
    cells = cells.assign(
        system=cells["system"].map(PUBLISHED_NAMES),
        explainer=cells["explainer"].map(PUBLISHED_NAMES),
        recommender="multvae",
        setting=cells["setting"].map(settings),
        dataset="epinions",
    )
    wanted = [f"length-matched to {other.name}" for other in others]
    return cells[cells["setting"].isin(wanted)].reindex(columns=COLUMNS)
