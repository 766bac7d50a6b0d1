"""Two people, the same recommendation, one association rule for both, two different causes (the paper's Figure 5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from recx.core.progress import Progress
from recx.core.recipe import Named
from recx.recipes._recipe import Get, Recipe
from recx.recipes.fit import Fit
from recx.recipes.rules import RuleItems, WindowRules

if TYPE_CHECKING:
    import pandas as pd

CHUNK = 100
"""Test users in one stored chunk; the studies of causal rules have the same, so they share them."""


@dataclass(frozen=True)
class RuleCases:
    """Pairs of test users for whom the association rule is the same and the causal rules differ.

    Among the first `users` of the test part, with the item that each is recommended first. `explainer`: causal-rules
    with its settings. `threshold`: the least confidence of the association rule (its transactions: all events and the
    recommended item). `most`: pairs at most. The answers of the recommender (chunks of `RuleItems`) are asked once, in
    the batch lane, about a second per user on one core; further questions with another threshold take milliseconds.
    """

    fit: Fit
    explainer: Named
    users: int = 300
    threshold: float = 0.1
    most: int = 50
    seed: int = 0
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "batch"

    def parts(self) -> tuple[RuleItems, ...]:
        """The chunks of answers."""
        starts = range(0, self.users, CHUNK)
        return tuple(
            RuleItems(self.fit, self.explainer, at, min(at + CHUNK, self.users), seed=self.seed) for at in starts
        )

    def needs(self) -> tuple[Recipe, ...]:
        return (self.fit.data, self.fit.split_data, WindowRules(self.fit), *self.parts())

    def run(self, get: Get, progress: Progress) -> pd.DataFrame:
        """One row per pair, both causes confirmed first, then by confidence.

        `user_a`, `user_b`, `target`, `shared` (the item of the association rule, in both histories), `cause_a`,
        `cause_b`: the data set's ids, each item with a `..._title`. `confidence`, `lift` of the association rule.
        `confirmed_a`, `confirmed_b`: the recommendation changes when the cause is deleted; `shared_confirmed_a`,
        `shared_confirmed_b`: when the shared item is. `history_a`, `history_b`: titles of the latest five, oldest
        first. Empty when there is no such pair.
        """
        import pandas as pd

        data, split = get(self.fit.data), get(self.fit.split_data)
        table = pd.concat([get(part) for part in self.parts()], ignore_index=True)
        people = self._people(table, get(WindowRules(self.fit)))
        pairs = people.merge(people, on=["target", "shared"], suffixes=("_a", "_b"))
        pairs = pairs[(pairs["user_a"] < pairs["user_b"]) & (pairs["cause_a"] != pairs["cause_b"])]
        pairs = pairs.rename(columns={"confidence_a": "confidence", "lift_a": "lift"})
        pairs = pairs.assign(both=pairs["confirmed_a"].astype(int) + pairs["confirmed_b"].astype(int))
        order = ["both", "confidence", "user_a", "user_b"]
        pairs = pairs.sort_values(order, ascending=[False, False, True, True]).drop_duplicates(
            ["target", "cause_a", "cause_b"]
        )
        return self._named(pairs.head(self.most), data, split)

    def _people(self, table: pd.DataFrame, rules: pd.DataFrame) -> pd.DataFrame:
        """One row per person with both rules: `user`, `target`, `cause`, `shared`, what deleting either does."""
        limit = int(dict(self.explainer.settings).get("rank_limit", 1))
        named = table[(table["place"] <= limit) & (table["theta"] > 0)]
        causes = named.loc[named.groupby("user")["place"].idxmin()]
        causes = causes.rename(columns={"item": "cause", "delete": "confirmed"})[
            ["user", "target", "cause", "confirmed"]
        ]
        passing = rules[rules["confidence"] >= self.threshold]
        passing = passing.loc[passing.groupby("user")["confidence"].idxmax()].rename(columns={"item": "shared"})
        deleted = table[["user", "item", "delete"]].rename(columns={"item": "shared", "delete": "shared_confirmed"})
        both = causes.merge(passing[["user", "shared", "confidence", "lift"]], on="user")
        return both.merge(deleted.drop_duplicates(["user", "shared"]), on=["user", "shared"])

    def _named(self, pairs: pd.DataFrame, data: Any, split: Any) -> pd.DataFrame:
        import pandas as pd

        ids, titles = data.items["id"].to_numpy(object), data.items["title"].to_numpy(object)
        columns: dict[str, Any] = {}
        for side in ("a", "b"):
            rows = pairs[f"user_{side}"].to_numpy()
            columns[f"user_{side}"] = data.users["id"].to_numpy(object)[split.test.users[rows]]
            windows = [[item for item in split.test.histories[row][-5:] if item >= 0] for row in rows]
            columns[f"history_{side}"] = [[str(titles[item]) for item in own] for own in windows]
        for name in ("target", "shared", "cause_a", "cause_b"):
            codes = pairs[name].to_numpy()
            columns |= {name: ids[codes], f"{name}_title": titles[codes]}
        checks = [f"{name}_{side}" for name in ("confirmed", "shared_confirmed") for side in ("a", "b")]
        kept = {name: pairs[name].to_numpy() for name in ("confidence", "lift", *checks)}
        return pd.DataFrame(columns | kept)
