"""The benchmark in small: every row it promises, against hand counts on made-up tables."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recx.core.progress import quiet
from recx.studies import _field, _rows
from recx.studies._build import study_of

SETTINGS = {"multvae": {"epochs": 2}, "lcer": {"steps": 30}, "minimal": {"max_calls": 100}}
SYSTEMS = ("lcer", "minimal", "leave-one-out", "random")


@cache
def result() -> pd.DataFrame:
    @cache
    def get(recipe: Any) -> Any:
        return recipe.run(get, quiet)

    words = {"dataset": "planted", "systems": SYSTEMS, "users": 8, "small": True, "settings": SETTINGS}
    return get(study_of("explanation-benchmark", **words))


def test_every_measure_of_the_field_has_its_row() -> None:
    rows = result()
    assert list(rows.columns) == _rows.COLUMNS
    own = rows[rows["system"] == "leave-one-out"]
    for setting in ("top-5", "top-5, hits", "top-5, misses"):
        found = set(own[own["setting"] == setting]["metric"])
        assert {"pos", "neg", "del", "ins", "cndcg", "pn", "ps", "f_ns", "length"} <= found
    whole = set(own[own["setting"] == "top-5"]["metric"])
    assert {"popularity", "gini", "stability", "model_calls", "milliseconds", "agreement_jaccard"} <= whole
    assert set(rows[rows["metric"] == "pos"]["param_value"]) == {"in tenths", "1 to 5 items"}


def test_removing_by_effect_beats_a_random_order_and_random_sets_are_unstable() -> None:
    rows = result()
    one = rows[(rows["setting"] == "top-5") & rows["param_value"].isin(["in tenths", "2"])]
    one = one.set_index(["system", "metric"])["measured"]
    for measure, better in _field.HIGHER_IS_BETTER.items():
        difference = one["leave-one-out", measure] - one["random", measure]
        assert (difference > 0) == better, measure
    assert one["leave-one-out", "stability"] == 1
    assert one["random", "stability"] < 1


def test_budgets_hold_and_agreement_is_symmetric() -> None:
    rows = result()
    held = rows[(rows["param"] == "budget") & (rows["metric"] == "model_calls")]
    assert set(held["system"]) == {"lcer", "minimal"}
    assert held[held["system"] == "lcer"]["measured"].tolist() == [100]
    agreed = rows[rows["metric"] == "agreement_spearman"].set_index(["system", "param_value"])["measured"]
    assert agreed["lcer", "leave-one-out"] == agreed["leave-one-out", "lcer"]
    assert abs(agreed["random", "leave-one-out"]) < 0.5


def test_a_budget_is_of_runs_for_an_explanation_not_of_a_training() -> None:
    study = study_of("explanation-benchmark", dataset="planted")
    held = {system.name: study.budgeted(system) for system in study.systems}
    with_budget = {"lcer", "minimal", "minimal-necessary", "kaffes", "lime", "shap", "integrated-gradients"}
    assert {name for name, systems in held.items() if systems} == with_budget
    assert dict(held["kaffes"][300].explainer.settings) == {"budget": 300}
    assert dict(held["minimal-necessary"][300].explainer.settings) == {"goal": "necessary", "max_calls": 300}


def table(items: list[list[int]], user: list[int]) -> pd.DataFrame:
    return pd.DataFrame({"items": items, "user": user, "seed": 0, "found": [bool(one) for one in items]})


def test_what_is_named_by_hand() -> None:
    """Two people with the items 1, 2, 3 and 2, 4; sets {2}, {2, 3}, none; random sets name each item alike in each."""
    histories = np.array([[1, 2, 3], [-1, 2, 4]])
    made = table([[2], [2, 3], []], [0, 0, 1])
    made = made.assign(popularity=[90.0, 60.0, np.nan], popularity_history=[40.0, 40.0, 70.0])
    popular, gini = _field.named(made, histories)
    assert (popular["measured"], popular["placebo"], popular["n"]) == (75.0, 40.0, 2)
    plain = lambda x: np.abs(np.subtract.outer(x, x)).mean() / (2 * np.mean(x))  # noqa: E731
    assert gini["measured"] == pytest.approx(plain([0, 2, 1, 0]))
    draws = [np.bincount([i, *pair], minlength=5)[1:] for i in (1, 2, 3) for pair in ((1, 2), (1, 3), (2, 3))]
    assert gini["placebo"] == pytest.approx(np.mean([plain(one) for one in draws]), abs=0.05), "all nine, 30 drawn"


def test_stability_and_agreement_by_hand() -> None:
    histories = np.array([[1, 2, 3], [-1, 2, 4]])
    one, other = table([[2], [2, 3], []], [0, 0, 1]), table([[2], [3], [4]], [0, 0, 1])
    row = _field.stability([one, other, one.iloc[:3]], histories)[0]
    assert row["measured"] == pytest.approx((1 + (0.5 + 0.5 + 1) / 3 + (0 + 0) / 2) / 3)
    values = [{"ranking": [[2, 1, 3], [3, 2, 1], [4]], "values": [[3, 2, 1], [3, 2, 1], [1]]}] * 2
    pair = {name: made.assign(**own) for name, made, own in zip("ab", (one, other), values, strict=True)}
    rows = {(a, b, row["metric"]): row for a, b, row in _field.agreements(pair, histories)}
    assert rows["a", "b", "agreement_jaccard"]["measured"] == pytest.approx((1 + 0.5) / 2), "where both name one"
    assert (rows["b", "a", "agreement_spearman"]["measured"], rows["b", "a", "agreement_spearman"]["n"]) == (1.0, 2)
