"""What the studies of causal rules share: data, recommenders, stored chunks, picks among history items, rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from recx.core import recipe, registry
from recx.core.errors import unknown
from recx.core.recipe import Named
from recx.recipes._build import Form, data_of
from recx.recipes.data import Data
from recx.recipes.fit import Evaluate, Fit
from recx.recipes.learnt import learnt_by
from recx.recipes.rules import RuleItems, WindowRules

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from recx.recipes._recipe import Get

CHUNK = 100
"""Test users in one stored chunk."""
RECOMMENDERS = ("fpmc", "gru4rec", "caser")
EVERYBODY = {"ml-100k": 943, "amazon-office": 654}
"""Test users of the paper's data sets."""
THRESHOLD = {"ml-100k": 0.1, "amazon-office": 0.01}
"""Support, confidence and lift that association rules need, as the paper has them (0.1 elsewhere)."""
KS = (1, 2, 3)
FILTERS = ("support", "confidence", "lift")
WHOLE, LATEST = "", ", latest five"
"""Settings of association rules: transactions of all events before the target, or of the five that are shown."""
SMALL: dict[str, dict[str, Any]] = {"causal-rules": {"m": 100, "m_test": 100, "hidden": 128, "epochs": 20}}
SMALL_SECONDS = 10.0


def build(
    cls: Any,
    *,
    dataset: str | None,
    systems: tuple[str, ...],
    small: bool,
    settings: Mapping[str, Mapping[str, Any]],
    form_of: Form,
    **counts: Any,
) -> Any:
    """A study of this family from the words a user types; its systems are recommenders.

    `settings`: of the recommenders, of `causal-rules`, and of the study itself. Raises BadInput for unknown names.
    """
    name = cls.name
    dataset = dataset or "ml-100k"
    chosen = tuple(dict.fromkeys(systems or RECOMMENDERS))
    for key in settings:
        if key not in (*chosen, "causal-rules", name):
            raise unknown("system", key, (*chosen, "causal-rules", name), f" of {name}")
    fields = (dict(cls.small) if small else {}) | dict(settings.get(name, {}))
    fields |= {key: value for key, value in counts.items() if value is not None}
    checked = dict(recipe.clean(name, recipe.describe(cls), fields))
    checked.pop("users", None)
    users = int(fields.get("users", EVERYBODY.get(dataset, 100)))
    models = tuple(
        registry.named("models", one, _training(one, small, form_of) | dict(settings.get(one, {})), form_of=form_of)
        for one in chosen
    )
    own = {"output": "top-1", "anchor": False, "perturb": "vae", "fit": "as-published"}
    own |= (SMALL["causal-rules"] if small else {}) | dict(settings.get("causal-rules", {}))
    explainer = registry.named("explainers", "causal-rules", own, form_of=form_of)
    users = min(users, EVERYBODY.get(dataset, users))
    return cls(paper_data(dataset, form_of), models, explainer, users, **checked)


def _training(model: str, small: bool, form_of: Form) -> dict[str, Any]:
    known = {row["name"] for row in form_of("models", model)["parameters"]}
    return {"max_seconds": SMALL_SECONDS} if small and "max_seconds" in known else {}


def paper_data(dataset: str, form_of: Form = registry.form) -> Data:
    """A data set as the causal-rules paper has it: all events count; Amazon Office by its core of 15 and 10."""
    if dataset == "amazon-office":
        return data_of(dataset, {"core_user": 15, "core_item": 10}, form_of=form_of, min_user=1)
    plain = {"rating_above": None} if dataset.startswith("ml-") else {}
    return data_of(dataset, form_of=form_of, **plain)


def fit_of(study: Any, model: Named, seed: int) -> Fit:
    """A recommender learnt on all but the last six events of each user."""
    return Fit(study.data, Named("data.splits", "last-6"), model, seed)


def chunks(study: Any, model: Named, seed: int) -> tuple[RuleItems, ...]:
    """The stored chunks of one recommender."""
    fit, n = fit_of(study, model, seed), study.users
    return tuple(RuleItems(fit, study.explainer, at, min(at + CHUNK, n), seed=seed) for at in range(0, n, CHUNK))


def needs(study: Any, more: bool = True) -> tuple[Any, ...]:
    """All that a study asks for: chunks, and with `more` association rules, accuracy and the perturbation's report."""
    every = [(model, seed) for model in study.recommenders for seed in range(study.seeds)]
    found: list[Any] = [part for one in every for part in chunks(study, *one)]
    for one in every if more else ():
        fit = fit_of(study, *one)
        learnt = learnt_by(study.explainer, fit)
        found += [WindowRules(fit), WindowRules(fit, whole=False), Evaluate(fit), *([] if learnt is None else [learnt])]
    return tuple(dict.fromkeys(found))


def items(study: Any, model: Named, get: Get) -> pd.DataFrame:
    """The chunks as one table, with the association rules of each item: `support`, ..., `support, latest five`, ..."""
    import pandas as pd

    tables = []
    for seed in range(study.seeds):
        table = pd.concat([get(part) for part in chunks(study, model, seed)], ignore_index=True)
        for whole, suffix in ((True, WHOLE), (False, LATEST)):
            rules = get(WindowRules(fit_of(study, model, seed), whole)).drop_duplicates(["user", "item"])
            rules = rules.rename(columns={name: name + suffix for name in FILTERS}).drop(columns="target")
            table = table.merge(rules, on=["user", "item"], how="left")
        tables.append(table.assign(person=seed * 1_000_003 + table["user"]))
    return pd.concat(tables, ignore_index=True)


def first(table: pd.DataFrame, by: Any, among: Any) -> np.ndarray:
    """Float[N]: 1 for the row of each person with the largest `by` among the rows where `among`, 0 elsewhere."""
    import numpy as np
    import pandas as pd

    score = pd.Series(np.where(among, by, -np.inf), index=table.index).fillna(-np.inf)
    weight = np.zeros(len(table))
    best = score.groupby(table["person"]).idxmax()
    weight[best[score[best].to_numpy() > -np.inf].to_numpy()] = 1.0
    return weight


def cause(table: pd.DataFrame, k: int) -> np.ndarray:
    """Float[N]: 1 for the cause that causal rules name with the paper's k."""
    place = table["place"].to_numpy(float)
    return first(table, -place, (place <= k) & (table["theta"].to_numpy() > 0))


def global_rule(table: pd.DataFrame, by: str, threshold: float) -> np.ndarray:
    """Float[N]: 1 for the history item of the strongest association rule by one measure, where it passes."""
    values = table[by].to_numpy(float)
    return first(table, values, values >= threshold)


def measured(table: pd.DataFrame, weight: np.ndarray, values: Any, answered: bool = True) -> dict[str, Any]:
    """Mean of `values` under the weights in %, 95 % interval by bootstrap over people; n people.

    `answered`: over the people with a weight; else over all (`values` of the others count as 0).
    """
    import numpy as np

    from recx.metrics.explanation import bootstrap, by_user, share

    known = ~np.isnan(np.asarray(values, float))
    person = table["person"].to_numpy()
    top = by_user(weight * np.where(known, values, 0.0), person)
    bottom = by_user(weight * known, person)
    if not answered:
        bottom = np.ones_like(bottom)
    value, low, high = (100 * one for one in bootstrap(share, [top, bottom]))
    return {"measured": value, "ci_low": low, "ci_high": high, "n": int((bottom > 0).sum()), "unit": "%"}


def head(study: Any, model: str, system: str, setting: str, metric: str) -> dict[str, Any]:
    """The columns that say which row it is."""
    name = {"dataset": study.data.source.name, "system": system, "recommender": model, "explainer": system}
    return name | {"setting": setting, "metric": metric, "seed": None, "higher_is_better": True}


def facts(study: Any, get: Get) -> list[dict[str, Any]]:
    """Accuracy of the recommenders, and how well the perturbation model gives histories back."""
    rows = []
    for model in study.recommenders:
        found = [get(Evaluate(fit_of(study, model, seed))) for seed in range(study.seeds)]
        for metric in ("hr@10", "ndcg@10"):
            value = 100 * sum(one[metric] for one in found) / len(found)
            row = head(study, model.name, model.name, "accuracy", metric)
            rows.append(row | {"measured": value, "unit": "%", "n": found[0]["n"]})
    learnt = learnt_by(study.explainer, fit_of(study, study.recommenders[0], 0))
    if learnt is not None:
        report = get(learnt).report
        row = head(study, "", "causal-rules", "perturbation", "reconstructed")
        rows.append(row | {"measured": 100 * report["reconstructed"], "unit": "%", "n": report["windows"]})
    return rows


def changed(study: Any, model: Named, table: pd.DataFrame) -> list[dict[str, Any]]:
    """How much of the histories was changed, and how often the recommendation stayed."""
    one = table.drop_duplicates("person").reset_index(drop=True)
    every = one["user"].to_numpy() * 0 + 1.0
    return [
        head(study, model.name, "causal-rules", "perturbation", name) | measured(one, every, one[name].to_numpy())
        for name in ("changed_positions", "changed_histories", "recommended")
    ]


NAMES = {"causal rules (proposed)": "causal-rules", "association rules": "association"}
METRICS = {"fidelity": "coverage", "verified_causal_share": "verified_share"}


def beside_paper(table: str, rows: list[dict[str, Any]], paper: str = "causal-rules") -> pd.DataFrame:
    """Rows with the columns of `_rows.COLUMNS`, the paper's cell beside where it has one."""
    import pandas as pd

    from recx.studies._rows import COLUMNS, published

    cells = published("causal-rules")
    cells = cells[cells["table"] == table]
    cells = cells.assign(
        system=cells["system"].map(NAMES),
        recommender=cells["recommender"].str.lower(),
        metric=cells["metric"].replace(METRICS),
    )
    join = ["dataset", "system", "recommender", "setting", "metric"]
    ours = pd.DataFrame(rows)
    own = [name for name in ("param", "param_value") if name not in ours]
    kept = [*join, *own, "published", "best_computed", "printed", "note"]
    said = ours.pop("note") if "note" in ours else None
    merged = ours.merge(cells[kept], on=join, how="left").assign(paper=paper, table=table)
    if said is not None:
        merged["note"] = said.where(said.notna(), merged["note"])
    return merged.reindex(columns=COLUMNS)
