"""The studies of causal rules in small: published cells, picks and shares by hand, interventions by a loop."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import binomtest

from recx.core.errors import BadInput
from recx.core.progress import quiet
from recx.data.interactions import PAD
from recx.explainers._interventions import _drawn, gradient_times_input, interventions
from recx.recipes.rules import WindowRules
from recx.studies import _causal, _rows
from recx.studies._build import study_of
from tests.explainers.conftest import plain_rank, world_of

QUICK = {
    "fpmc": {"max_seconds": 1, "epochs": 3},
    "gru4rec": {"max_seconds": 1, "epochs": 3},
    "causal-rules": {"m": 30, "m_test": 20, "hidden": 16, "epochs": 3},
}


@cache
def get(recipe: Any) -> Any:
    return recipe.run(get, quiet)


def study(name: str, *systems: str, dataset: str = "planted", **more: Any) -> Any:
    quick = {key: value for key, value in QUICK.items() if key in (*systems, "causal-rules")}
    return study_of(name, dataset=dataset, systems=systems, users=12, settings=quick, **more)


def indexed(rows: pd.DataFrame) -> pd.DataFrame:
    assert list(rows.columns) == _rows.COLUMNS
    percent = rows[rows["measured"].notna() & rows["ci_low"].notna()]
    assert (percent["ci_low"] <= percent["measured"] + 1e-9).all()
    assert (percent["measured"] <= percent["ci_high"] + 1e-9).all()
    return rows.set_index(["recommender", "system", "setting", "metric"])


@pytest.mark.data("ml-100k")
def test_published_cells_stand_beside_ours() -> None:
    rows = indexed(get(study("causal-rules-table2", "fpmc", "gru4rec", dataset="ml-100k")))
    assert rows.loc[("fpmc", "causal-rules", "k=1", "coverage"), "published"] == 96.5
    assert rows.loc[("gru4rec", "association", "support", "coverage"), "published"] == 7.423
    assert rows.loc[("fpmc", "random-item", "always answers", "coverage"), "measured"] == 100
    coverage = [rows.loc[("fpmc", "causal-rules", f"k={k}", "coverage"), "measured"] for k in (1, 2, 3)]
    assert coverage == sorted(coverage), "a larger k never explains fewer"
    assert rows.loc[("gru4rec", "causal-rules", "k=1", "coverage"), "n"] == 12
    test = rows.loc[("fpmc over gru4rec", "association", "support", "coverage difference")]
    one, other = (rows.loc[(name, "association", "support", "coverage"), "measured"] for name in ("fpmc", "gru4rec"))
    assert test["measured"] == pytest.approx(one - other)
    assert "McNemar" in test["note"]


def test_the_difference_has_the_p_of_scipy() -> None:
    recipe = study("causal-rules-table2", "fpmc", "gru4rec")
    a, b = np.array([1.0] * 9 + [0.0] * 11), np.array([1.0] * 2 + [0.0] * 16 + [1.0] * 2)
    key = ("association", "support")
    row = recipe._difference("fpmc", "gru4rec", {"fpmc": {key: a}, "gru4rec": {key: b}})[0]
    assert row["measured"] == pytest.approx(25.0)
    assert f"p = {binomtest(7, 9).pvalue:.2g}" in row["note"]
    assert row["ci_low"] < 25 < row["ci_high"]


def test_verified_shares_are_those_of_the_table_of_items() -> None:
    recipe = study("causal-rules-table3", "gru4rec")
    rows, table = indexed(get(recipe)), _causal.items(recipe, recipe.recommenders[0], get)
    for k in (1, 2, 3):
        named = table[(table["place"] <= k) & (table["theta"] > 0)]
        named = named.loc[named.groupby("person")["place"].idxmin()]
        for metric, column in (("verified_share", "difference"), ("fresh_verified_share", "fresh_difference")):
            row = rows.loc[("gru4rec", "causal-rules", f"k={k}", metric)]
            assert row["n"] == len(named)
            if len(named):
                assert row["measured"] == pytest.approx(100 * (named[column] > 0).mean())


def test_controls_stand_beside_the_rules() -> None:
    recipe = study("causal-rules-beyond", "gru4rec")
    rows, table = indexed(get(recipe)), _causal.items(recipe, recipe.recommenders[0], get)
    row = rows.loc[("gru4rec", "random-item", "all users", "delete")]
    assert row["measured"] == pytest.approx(100 * table.groupby("person")["delete"].mean().mean())
    recent = table[table["back"] == 0]
    assert rows.loc[("gru4rec", "most-recent", "all users", "replace_random"), "measured"] == pytest.approx(
        100 * recent["random"].mean()
    )
    best = table.loc[table.groupby("person")["margin"].idxmax()]
    assert rows.loc[("gru4rec", "leave-one-out", "all users", "delete"), "measured"] == pytest.approx(
        100 * best["delete"].mean()
    )
    assert rows.loc[("gru4rec", "most-recent", "all users", "most_recent"), "measured"] == 100
    assert rows["published"].isna().all()


def test_sweeps_have_a_row_per_setting_and_the_default_agrees_with_itself() -> None:
    recipe = study("causal-rules-sweeps", "fpmc")
    rows = get(recipe)
    assert list(rows.columns) == _rows.COLUMNS
    cells = rows.set_index(["param", "param_value", "setting", "metric"])["measured"].sort_index()
    assert cells["gamma", "0.7", "k=1", "same_cause"] == 100
    assert {"gamma", "m", "steps", "fit", "variance", "share", "beta", "vectors"} == set(rows["param"])
    own = cells["steps", "100", "k=1"]
    assert own.drop("same_cause").to_dict() == cells["gamma", "0.7", "k=1"].drop("same_cause").to_dict()
    assert cells["share", "0.1", "k=1", "changed_positions"] == pytest.approx(10, abs=5)


def test_cases_have_their_own_columns_and_a_summary() -> None:
    recipe = study("causal-rules-cases", "gru4rec")
    rows = get(recipe)
    summary = rows[rows["seed"].isna()].set_index("metric")["measured"]
    assert summary["pairs"] == (rows["metric"] == "case").sum()
    assert rows[rows["metric"] == "pairs"]["n"].item() == 12, "users looked through"
    more = dataclasses.replace(recipe, users=100_000)
    found = {more.part(model): get(recipe.part(model)) for model in recipe.recommenders}
    rows = more.run(lambda one: found[one] if one in found else get(one), quiet)
    assert rows[rows["metric"] == "pairs"]["n"].item() == 400, "planted has no more"


@pytest.mark.parametrize(
    ("dataset", "asked", "users"),
    [("ml-100k", None, 943), ("amazon-office", 943, 654), ("planted", None, 100), ("planted", 943, 943)],
)
def test_all_users_of_the_papers_data_sets_unless_fewer_are_asked_for(dataset: str, asked: Any, users: int) -> None:
    assert study_of("causal-rules-table3", dataset=dataset, users=asked).users == users
    assert study_of("causal-rules-table3", dataset=dataset, users=5).users == 5


def test_unknown_systems_and_fields_are_one_sentence() -> None:
    with pytest.raises(BadInput, match="gru4rec"):
        study_of("causal-rules-table2", dataset="planted", systems=("gru4rek",))
    with pytest.raises(BadInput, match="no_such"):
        study_of("causal-rules-table2", dataset="planted", settings={"causal-rules": {"no_such": 1}})
    with pytest.raises(BadInput, match="of causal-rules-table2"):
        study_of("causal-rules-table2", dataset="planted", settings={"sasrec": {"dim": 8}})


@pytest.mark.parametrize("whole", [True, False])
def test_global_rules_are_those_of_a_loop(whole: bool) -> None:
    recipe = study("causal-rules-table2", "gru4rec")
    fit = _causal.fit_of(recipe, recipe.recommenders[0], 0)
    table, split = get(WindowRules(fit, whole)), get(fit.split_data)
    wanted = table.drop_duplicates("user").set_index("user")["target"]
    baskets = []
    for user, target in wanted.items():
        own = {int(item) for item in split.test.histories[user][-5:] if item >= 0} | {int(target)}
        if whole:
            own |= {int(item) for item in split.train.history(int(split.test.users[user]))}
        baskets.append(own)
    for row in list(table.itertuples())[::97]:
        both = sum({row.item, row.target} <= one for one in baskets)
        first, second = sum(row.item in one for one in baskets), sum(row.target in one for one in baskets)
        assert row.support == pytest.approx(both / len(baskets))
        assert row.confidence == pytest.approx(both / first)
        assert row.lift == pytest.approx(both / first * len(baskets) / second)


# -- picks and interventions


def test_picks_and_means_by_hand() -> None:
    """Three people: 0 has two items of place 1 and 3, 1 only place 2, 2 nothing."""
    table = pd.DataFrame(
        {
            "person": [0, 0, 1, 1, 2],
            "place": [3, 1, 2, 5, 9],
            "theta": [1.0, 2.0, 1.0, 0.5, 1.0],
            "user": [0, 0, 1, 1, 2],
        }
    )
    assert _causal.cause(table, 1).tolist() == [0, 1, 0, 0, 0]
    assert _causal.cause(table, 2).tolist() == [0, 1, 1, 0, 0]
    good = np.array([0.0, 1.0, 0.0, 1.0, 1.0])
    of_answered = _causal.measured(table, _causal.cause(table, 2), good)
    assert (of_answered["measured"], of_answered["n"]) == (50, 2)
    of_all = _causal.measured(table, _causal.cause(table, 2), good, answered=False)
    assert (of_all["measured"], of_all["n"]) == (pytest.approx(100 / 3), 3)
    unknown = _causal.measured(table, _causal.cause(table, 2), np.array([0, np.nan, 1, 0, 0]))
    assert (unknown["measured"], unknown["n"]) == (100, 1), "what was not measured does not count"


def test_interventions_are_what_single_runs_give() -> None:
    world = world_of("multvae")
    row = torch.arange(4)
    target = world.top_k(row, None, 1)[0][:, 0]
    full = world.histories != PAD
    who, column = torch.nonzero(full, as_tuple=True)
    found = interventions(world, who, target[who], column, 6, 5)
    uniform = torch.rand(6, generator=torch.Generator().manual_seed(5)).tolist()
    assert found["delete"].any()
    assert 0 < found["random"].mean() < 1
    for s in range(0, len(who), 3):
        r, c, t = int(who[s]), int(column[s]), int(target[who[s]])
        own = {int(x) for x in torch.nonzero(full[r])[:, 0]}
        assert bool(found["delete"][s]) == (plain_rank(world, r, own - {c}, t) > 1)
        history = world.histories[r].tolist()
        free = [i for i in range(world.n_items) if i not in history and i != t]
        lost = []
        for u in uniform:
            new = [i if j != c else free[int(u * len(free))] for j, i in enumerate(history)]
            scores = world.scorer.score(torch.tensor([[i for i in new if i != PAD]]))[0]
            rest = [i for i in range(world.n_items) if i not in history and i not in new and i != t]
            lost.append(float(scores[rest].max() >= scores[t]))
        assert float(found["random"][s]) == pytest.approx(np.mean(lost))


def test_draws_are_allowed_items_only() -> None:
    among = torch.tensor([[False, True, False, True], [False] * 4])
    assert _drawn(among, torch.tensor([0.0, 0.49, 0.51, 0.999])).tolist() == [[1, 1, 3, 3], [-1] * 4]


def test_gradient_times_input_of_an_additive_model_are_its_weights() -> None:
    world = world_of("ease")
    target = torch.tensor([20, 21, 22, 23])
    found = gradient_times_input(world, torch.arange(4), target)
    here = world.histories != PAD
    weights = world.scorer.weights[world.histories.clamp_min(0), target[:, None]]
    assert torch.allclose(found, torch.where(here, weights, 0.0), atol=1e-5)
