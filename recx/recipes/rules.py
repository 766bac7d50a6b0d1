"""Rules for many people at once: every item of their windows as the cause of what each is recommended first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from recx.core.progress import Progress, part_of
from recx.core.recipe import Named
from recx.recipes._pairs import pairs
from recx.recipes._recipe import Get, Recipe
from recx.recipes.fit import Fit
from recx.recipes.learnt import get_for, needed_by

if TYPE_CHECKING:
    import pandas as pd

DRAWS = 20
"""Replacements drawn for each history item."""


@dataclass(frozen=True)
class RuleItems:
    """Causal rules for the test users `first` to `last` and the item each is recommended first (k = 1).

    `explainer`: causal-rules with its settings. `intervene`: also the real interventions and the controls.
    """

    fit: Fit
    explainer: Named
    first: int
    last: int
    intervene: bool = True
    seed: int = 0
    k: ClassVar[int] = 1
    part: ClassVar[str] = "test"
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "batch"

    def needs(self) -> tuple[Recipe, ...]:
        return (self.fit.split_data, self.fit, *needed_by(self.explainer, self.fit))

    def run(self, get: Get, progress: Progress) -> pd.DataFrame:
        """One row per person and item of the window; nothing where the test part has nobody.

        `user` (row of the test part), `target`, `item` (codes), `back` (0: the latest item), `popularity` (training
        events), what `causal_rules` says of the item (theta, place, counts, differences, effects), and of the person:
        `changed_positions`, `changed_histories`, `recommended`. With `intervene`: `delete` (bool), `margin`, `random`,
        `matched` (`_interventions.py`), `gradient` (gradient times input, NaN for a model that has none).
        """
        import pandas as pd
        import torch

        if self.first >= len(get(self.fit.split_data).test):
            return pd.DataFrame()
        world, row, target, _ = pairs(self, get)
        learnt, explainer = get_for(self.explainer, self.fit, get), self.explainer.build()
        findings = explainer.explain(
            world, row, target, 1, seed=self.seed, get=learnt, progress=part_of(progress, 0.0, 0.8)
        )
        popularity = world.population.popularity
        rows = []
        for who, wanted, one in zip(row.tolist(), target.tolist(), findings, strict=True):
            history, width = world.histories[who].tolist(), world.histories.shape[1]
            shares = {name: one.details[name] for name in ("changed_positions", "changed_histories", "recommended")}
            for rule in one.details["rules"]:
                item = history[rule["column"]]
                about = {"user": who, "target": wanted, "item": item, "back": width - 1 - rule["column"]}
                rows.append(about | {"popularity": int(popularity[item])} | rule | shares)
        table = pd.DataFrame(rows)
        if self.intervene and len(table):
            names = ["user", "target", "column"]
            asked = torch.tensor(table[names].to_numpy(copy=True), device=row.device).T
            table = table.assign(**_intervened(world, asked, self.seed, part_of(progress, 0.8, 1.0)))
        return table.drop(columns="column", errors="ignore")


def _intervened(world: Any, asked: Any, seed: int, progress: Progress) -> dict[str, Any]:
    """Interventions and gradient for the questions Long[3, S]: rows, targets, columns."""
    import numpy as np
    import torch

    from recx.explainers._interventions import gradient_times_input, interventions

    row, target, column = asked
    found = interventions(world, row, target, column, DRAWS, 1_000_003 * (seed + 1), progress)
    gradient: Any = np.full(len(row), np.nan)
    if "soft" in world.capabilities:
        gradient = gradient_times_input(world, row, target)[torch.arange(len(row)), column].cpu().numpy()
    return {name: values.cpu().numpy() for name, values in found.items()} | {"gradient": gradient}


@dataclass(frozen=True)
class RuleGrid:
    """The causes that `causal-rules` finds under many settings that need no new answers of the recommender.

    `settings`: (name, gamma, m, steps, fit) each; the explainer's own `m` is the largest. People as in `RuleItems`.
    """

    fit: Fit
    explainer: Named
    settings: tuple[tuple[str, float, int, int, str], ...]
    first: int
    last: int
    seed: int = 0
    k: ClassVar[int] = 1
    part: ClassVar[str] = "test"
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "batch"

    def needs(self) -> tuple[Recipe, ...]:
        return (self.fit.split_data, self.fit, *needed_by(self.explainer, self.fit))

    def run(self, get: Get, progress: Progress) -> pd.DataFrame:
        """One row per setting and person: `setting`, `user`, `item` (the history item of the largest theta, -1: none),
        `place` (0: none), `back`, `difference` (Eq. 2 over the records of this setting), `delete` (the recommendation
        changes when the item is deleted), `changed_positions`, `changed_histories`."""
        import pandas as pd
        import torch

        from recx.explainers import _rules
        from recx.metrics.rules import difference

        world, row, target, _ = pairs(self, get)
        learnt, explainer = get_for(self.explainer, self.fit, get), self.explainer.build()
        ask = explainer.asking(world, row, target, 1)
        every = explainer.records(ask, explainer.perturber(world, learnt), self.seed, part_of(progress, 0.0, 0.8))
        window = ask.cases.window[ask.cases.person]
        tables = []
        for place, (name, gamma, m, steps, form) in enumerate(self.settings):
            made = every.first(m)
            theta = _rules.fit(made, ask.cases, gamma, form, steps, explainer.lr, explainer.l2)
            item, at = _rules.best(theta, ask.cases)
            column = (window == item[:, None]).int().flip(1).argmax(1)
            counted = _rules.counts(made, ask.cases).flip(1)[torch.arange(len(row)), column].cpu().numpy()
            changed = made.items[:, 1:] != ask.cases.window[:, None]
            shares = {
                "changed_positions": changed.float().mean((1, 2)),
                "changed_histories": changed.any(2).float().mean(1),
            }
            keep = world.histories[row] >= 0
            keep[torch.arange(len(row)), keep.shape[1] - 1 - column] = False
            deleted = (item >= 0) & (world.rank(row, keep, target) > 1)
            known = {"user": row, "item": item, "place": at, "back": column, "delete": deleted} | {
                key: value[ask.cases.person] for key, value in shares.items()
            }
            frame = pd.DataFrame({key: value.cpu().numpy() for key, value in known.items()})
            tables.append(frame.assign(setting=name, difference=difference(*counted.T)[:, 0]))
            progress(0.8 + 0.2 * (place + 1) / len(self.settings), f"{place + 1} of {len(self.settings)} settings")
        return pd.concat(tables, ignore_index=True)


@dataclass(frozen=True)
class WindowRules:
    """Association rules from the items of the test users' windows to what each is recommended first.

    A transaction is a person's items and the item recommended first, as Peake & Wang (KDD 2018) and the causal-rules
    paper have it. `whole`: all events that are not held out; else the latest five.
    """

    fit: Fit
    whole: bool = True
    k: ClassVar[int] = 1
    part: ClassVar[str] = "test"
    first: ClassVar[int] = 0
    last: ClassVar[int] = 10**9
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "batch"

    def needs(self) -> tuple[Recipe, ...]:
        return (self.fit.split_data, self.fit)

    def run(self, get: Get, progress: Progress) -> pd.DataFrame:
        """One row per person and item of the latest five: `user`, `target`, `item`, `support`, `confidence`, `lift`."""
        import numpy as np
        import pandas as pd
        from scipy import sparse

        world, row, target, _ = pairs(self, get)
        users, targets = row.cpu().numpy(), target.cpu().numpy()
        split = get(self.fit.split_data)
        windows = world.histories[row].cpu().numpy()[:, -5:]
        who, at = np.nonzero(windows >= 0)
        parts = [(who, windows[who, at]), (np.arange(len(users)), targets)]
        if self.whole:
            place = np.full(split.train.n_users, -1)
            place[split.test.users[users]] = np.arange(len(users))
            mine = place[split.train.user]
            parts.append((mine[mine >= 0], split.train.item[mine >= 0]))
        rows, items = (np.concatenate(column) for column in zip(*parts, strict=True))
        shape = (len(users), split.train.n_items)
        matrix = sparse.csr_array((np.ones(len(rows), np.float32), (rows, items)), shape=shape)
        matrix.sum_duplicates()
        matrix.data[:] = 1.0
        single, both = matrix.sum(axis=0), (matrix.T @ matrix).tocsr()
        pair = (windows[who, at], targets[who])
        together, n = np.asarray(both[pair], np.float64).ravel(), len(users)
        confidence = together / single[pair[0]]
        kept = {"support": together / n, "confidence": confidence, "lift": confidence * n / single[pair[1]]}
        return pd.DataFrame({"user": users[who], "target": pair[1], "item": pair[0]} | kept)
