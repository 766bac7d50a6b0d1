"""The finder of the paper's Figure 5, against what its own chunks say person by person."""

from __future__ import annotations

from functools import cache
from typing import Any

import pandas as pd

from recx.core.progress import quiet
from recx.recipes._build import explainer_of, fit_of
from recx.recipes.rule_cases import RuleCases
from recx.recipes.rules import WindowRules


@cache
def get(recipe: Any) -> Any:
    return recipe.run(get, quiet)


FIT = fit_of("planted", "ease", split="last-6")
EXPLAINER = explainer_of("causal-rules", {"m": 60, "m_test": 0, "perturb": "uniform", "share": 0.4})
RECIPE = RuleCases(FIT, EXPLAINER, users=150, threshold=0.0)


def test_both_share_recommendation_and_association_rule_and_differ_in_the_cause() -> None:
    found, data, split = get(RECIPE), get(FIT.data), get(FIT.split_data)
    assert len(found) > 3
    assert (found["user_a"] != found["user_b"]).all()
    assert (found["cause_a"] != found["cause_b"]).all()
    table = pd.concat([get(part) for part in RECIPE.parts()])
    rules = get(WindowRules(FIT))
    row_of = {user: row for row, user in enumerate(data.users["id"].to_numpy()[split.test.users])}
    code = {item: c for c, item in enumerate(data.items["id"])}
    for one in found.head(8).to_dict("records"):
        for side in ("a", "b"):
            own = table[table["user"] == row_of[one[f"user_{side}"]]]
            assert set(own["target"]) == {code[one["target"]]}
            assert own.loc[own["place"].idxmin(), "item"] == code[one[f"cause_{side}"]]
            mine = rules[rules["user"] == row_of[one[f"user_{side}"]]]
            assert mine.loc[mine["confidence"].idxmax(), "item"] == code[one["shared"]]
            assert one["shared_title"] in one[f"history_{side}"]
            assert one[f"cause_{side}_title"] in one[f"history_{side}"]
            cause = own[own["item"] == code[one[f"cause_{side}"]]]
            assert bool(cause["delete"].iloc[0]) == bool(one[f"confirmed_{side}"])
    both = (found["confirmed_a"].astype(int) + found["confirmed_b"].astype(int)).tolist()
    assert both == sorted(both, reverse=True), "confirmed ones first"


def test_more_users_than_there_are_change_nothing() -> None:
    n = len(get(FIT.split_data).test)
    sizes = [len(get(RuleCases(FIT, EXPLAINER, users=users, threshold=0.0))) for users in (n, n + 250)]
    assert sizes[0] == sizes[1]


def test_no_pair_is_an_empty_table() -> None:
    found = get(RuleCases(FIT, EXPLAINER, users=150, threshold=1.5))
    assert len(found) == 0
    assert "shared_title" in found
