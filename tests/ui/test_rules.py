"""The page of rules: both kinds side by side, their agreement after the check, sliders that stand in the link."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from recx.core import paths
from recx.studies._rows import COLUMNS
from recx.ui import rule_cards, rule_cases, rule_scores, rule_sliders, rules, rules_of_data
from tests.ui.test_pages import QUICK, clean, home, html, page_of, said  # noqa: F401


def explained(**details: Any) -> dict[str, Any]:
    return {"items": (), "titles": (), "weights": (), "rank_before": 2, "k": 5, "details": details}


def alone(item: str, value: float, rank: int) -> dict[str, Any]:
    return {"item": item, "title": f"Film {item}", "value": value, "rank_without": rank}


def rule(item: str) -> dict[str, Any]:
    return {"item": item, "title": f"Film {item}", "confidence": 0.6, "lift": 1.5, "base_rate": 0.4}


EVERY = explained(
    per_item=[
        alone("a", 0.5, 9), alone("b", 0.3, 3), alone("c", 0.2, 4), alone("d", 0.1, 2), alone("e", -0.1, 1),
        alone("f", 0.0, 2), alone("g", 0.4, 6),
    ]
)  # fmt: skip
"""Rank 2 of the top 5. Without a and g it leaves, without b and c it falls, d is weak, e and f do nothing."""


def test_rules_are_told_apart_by_who_names_them_and_what_the_check_finds() -> None:
    association = explained(rules=[rule(item) for item in "abde"])
    causal = explained() | {"items": ("a", "c", "f"), "titles": ("A", "C", "F"), "weights": (2.0, 1.0, 0.5)}
    rows = {row["item"]: row for row in rules.compared(association, causal, EVERY)}
    kinds = {item: row["kind"] for item, row in rows.items()}
    assert kinds == {
        "a": "both",
        "c": "causal",
        "b": "association",
        "d": "weak",
        "e": "artefact",
        "f": "unconfirmed",
    }
    assert list(rows) == ["a", "c", "b", "d", "e", "f"], "what holds comes first"
    assert rows["a"]["leaves"]
    assert not rows["b"]["leaves"]
    assert (rows["a"]["base"], rows["c"]["base"]) == (0.4, None)
    assert (rows["c"]["strength"], rows["c"]["confidence"], rows["c"]["title"]) == (1.0, None, "C")
    assert set(rules.KINDS) >= set(kinds.values())


def test_without_one_kind_or_without_any_rule_the_table_says_so() -> None:
    assert rules.compared(None, None, EVERY) == []
    assert "No rule names an item" in rule_cards.rules([], rules.KINDS)
    (row,) = rules.compared(explained(rules=[rule("b")]), None, EVERY)
    page = rule_cards.rules([row | {"title": "<script>"}], rules.KINDS)
    assert "<script>" not in page
    assert "60 %" in page
    assert "association only" in page


@pytest.mark.parametrize(
    ("goes", "causes", "falls", "effect", "kind", "colour"),
    [
        (True, True, True, 0.5, "both", "yes"),
        (False, True, True, 0.5, "causal only", "accent"),
        (True, False, True, 0.5, "association only", "accent"),
        (True, True, False, 0.5, "weak", "na"),
        (True, False, False, 0.0, "popularity artefact", "no"),
        (True, True, False, -0.5, "popularity artefact", "no"),
        (False, True, False, 0.0, "not confirmed", "no"),
        (True, False, False, None, "not checked", "na"),
    ],
)
def test_the_tag_of_a_rule_has_the_words_and_the_colour_of_what_the_check_found(
    goes: bool, causes: bool, falls: bool, effect: float | None, kind: str, colour: str
) -> None:
    own = explained(rules=[rule("a")] if goes else [])
    named = explained() | ({"items": ("a",), "titles": ("A",), "weights": (1.0,)} if causes else {})
    every = explained(per_item=[] if effect is None else [alone("a", effect, 6 if falls else 2)])
    (row,) = rules.compared(own, named, every)
    page = rule_cards.rules([row], rules.KINDS)
    assert f'<span class="tag {colour}"' in page
    assert f">{kind}</span>" in page


def test_every_verdict_of_the_check_has_its_mark_and_colour() -> None:
    page = rule_cards.pair(a_pair() | {side: ["x"] for side in ("history_a", "history_b")})
    assert '<div class="verdict yes">✓ Without the cause the recommendation changes.' in page
    assert '<div class="verdict no">✗ Without the cause the recommendation stays.' in page
    row = {"history": [], "output": {"title": "x"}}
    assert '<span class="yes">✓' in rule_cards.perturbed([row | {"recommended": True}])
    assert '<span class="no">✗' in rule_cards.perturbed([row | {"recommended": False}])


def test_the_chance_level_counts_every_item_of_the_history() -> None:
    words = rules.chance_words(EVERY)
    assert "4 of 7 history items" in words
    assert "(57 %), and 2 take it out of the list" in words
    assert rules.chance_words(explained(per_item=[])) == ""


def test_stops_of_a_slider_stay_in_range_and_hold_the_default_and_the_value_now() -> None:
    row = {"name": "min_support", "type": "float", "low": 0.0, "high": 0.3, "default": 0.01}
    assert rule_sliders.stops(row, 0.123) == [0.0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.123, 0.2]
    row = {"name": "m", "type": "int", "low": 1, "high": 600, "default": 500}
    found = rule_sliders.stops(row, 100)
    assert found == [50, 100, 200, 500]
    assert all(isinstance(one, int) for one in found)


def test_the_page_shows_rules_with_the_check_and_the_warning() -> None:
    test = page_of("rules", user="u005", model="ease", k=5, explainer_settings=QUICK)
    page = html(test)
    assert 'data-explainer="association"' in page
    assert page.count("data-kind=") >= 3
    assert "Having an answer is no merit" in said(test.markdown)
    assert "anyway: a confidence near that says nothing" in said(test.caption)


def test_a_slider_changes_the_rules_and_the_link() -> None:
    test = page_of("rules", user="u005", model="ease", k=5, explainer_settings=QUICK)
    before = html(test).count("data-kind=")
    slider = next(one for one in test.select_slider if one.label == "least lift")
    slider.set_value(1.5)
    clean(test.run())
    assert "association.min_lift=1.5" in test.query_params["explainer_settings"]
    assert 0 < html(test).count("data-kind=") < before
    slider = next(one for one in test.select_slider if one.label == "least lift")
    slider.set_value(1.0)
    clean(test.run())
    assert "association.min_lift=1.0" in test.query_params["explainer_settings"]
    assert html(test).count("data-kind=") == before


def shares(**more: Any) -> dict[str, Any]:
    told = {"changed_positions": 0.14, "changed_histories": 0.5, "recommended": 0.4}
    return told | more


@pytest.mark.parametrize(
    ("details", "words"),
    [
        (shares(), "still recommended in 40 % of them"),
        (shares(recommended=1.0), "every time, so no item can be shown to be its cause"),
        (shares(recommended=0.0), "never recommended again"),
        (shares(), "50 % of the histories and 14 % of their items"),
        ({}, ""),
    ],
)
def test_perturbed_histories_are_told_with_what_they_can_show(details: dict[str, Any], words: str) -> None:
    assert words in rules.perturbed_words(details)


def test_a_difference_is_in_colour_only_where_its_interval_leaves_out_zero() -> None:
    def row(low: float, high: float) -> dict[str, Any]:
        return {"title": "<i>x</i>", "theta": 1.0, "effect": 0.1, "effect_low": low, "effect_high": high}

    assert '<span class="yes"><b>+10' in rule_cards.causal([row(0.05, 0.2)])
    assert '<span class="no"><b>+10' in rule_cards.causal([row(-0.2, -0.05)])
    unsure = rule_cards.causal([row(-0.05, 0.2)])
    assert '<span class="na"><b>+10</b></span> <span class="dim">(−5 to +20)' in unsure
    assert "<i>" not in unsure


def test_a_perturbed_history_shows_what_changed_and_what_came_of_it() -> None:
    history = [{"title": "Kept", "changed": False}, {"title": "<b>New</b>", "changed": True}]
    page = rule_cards.perturbed([{"history": history, "output": {"title": "Other"}, "recommended": False}])
    assert "<b><bdi>&lt;b&gt;New" in page
    assert 'class="dim"><bdi>Kept' in page
    assert "✗" in page


def test_causal_rules_stand_beside_association_rules_with_their_tests() -> None:
    test = page_of("rules", user="u005", model="ease", k=5, explainer_settings=QUICK)
    page = html(test)
    assert 'data-explainer="causal-rules"' in page
    assert "50 perturbed histories" in page
    assert "Causal rules, tested" in page
    assert page.count('aria-label="Perturbed histories"') == 1
    choice = next(one for one in test.button_group if one.label == "Show")
    choice.set_value("not recommended")
    clean(test.run())
    assert "of the first 30 perturbed histories" in said(test.caption)


# -- the whole data set


def test_the_rules_of_a_data_set_stand_beside_the_base_rate_and_follow_the_thresholds() -> None:
    test = page_of("rules", rules="data", model="toppop")
    table = test.dataframe[0].value
    assert list(table.columns) == list(rules_of_data.COLUMNS)
    assert (table["confidence"] / table["base_rate"]).tolist() == pytest.approx(table["lift"].tolist())
    assert table["confidence"].is_monotonic_decreasing
    assert not table["title"].str.match(r"i\d+$").any(), "titles, not ids"
    assert "histories pass; the first 100" in said(test.caption)
    assert "A confidence near the base rate says nothing" in said(test.markdown)
    next(one for one in test.button_group if one.label == "Strongest by").set_value("lift")
    clean(test.run())
    assert test.dataframe[0].value["lift"].is_monotonic_decreasing
    assert "association.by=lift" in test.query_params["explainer_settings"]
    next(one for one in test.select_slider if one.label == "least support").set_value(0.2)
    clean(test.run())
    assert test.dataframe[0].value["support"].min() >= 0.2 > table["support"].min()
    test = page_of("rules", rules="data", model="toppop", explainer_settings=(("association", (("min_lift", 1e6),)),))
    assert not test.dataframe
    assert "No rule passes these thresholds" in said(test.info)
    assert "data" in test.query_params["rules"]


@pytest.mark.parametrize(
    ("passing", "shown", "words"),
    [
        (1, 1, "1 rule of one item each over 9 histories passes."),
        (7, 2, "7 rules of one item each over 9 histories pass; the first 2."),
        (0, 0, "0 rules of one item each over 9 histories pass."),
    ],
)
def test_how_many_rules_pass_is_said(passing: int, shown: int, words: str) -> None:
    assert rules_of_data.words({"passing": passing, "rules": [{}] * shown, "histories": 9}) == words


# -- over many users


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in place of `results/`."""
    monkeypatch.setattr(paths, "shipped_results", lambda: tmp_path)
    return tmp_path


def stored(results: Path, study: str, rows: list[dict[str, Any]]) -> None:
    head = {"dataset": "ml-100k", "recommender": "fpmc", "n": 943, "ci_low": 10.0, "ci_high": 90.0, "measured": 50.0}
    frame = pd.DataFrame([head | row for row in rows]).reindex(columns=COLUMNS)
    frame.to_parquet(results / f"{study}-ml-100k.parquet")


COVERAGE = [
    {"system": "causal-rules", "setting": "k=1", "metric": "coverage", "published": 96.5},
    {"system": "association", "setting": "support", "metric": "coverage", "published": 14.3},
    {"system": "random-item", "setting": "always answers", "metric": "coverage", "measured": 100.0},
    {"system": "association", "setting": "support", "metric": "coverage difference", "recommender": "fpmc over caser"},
    {"system": "fpmc", "setting": "accuracy", "metric": "hr@10"},
]


def test_the_tables_stand_beside_the_published_numbers_with_the_control_and_the_warning(results: Path) -> None:
    stored(results, "causal-rules-table2", COVERAGE)
    both = ("all users", "equal coverage")
    stored(
        results,
        "causal-rules-beyond",
        [{"system": "most-recent", "setting": who, "metric": "delete", "n": n} for n, who in enumerate(both)],
    )
    sweep = {"system": "causal-rules", "setting": "k=1", "metric": "coverage", "param": "m"}
    stored(results, "causal-rules-sweeps", [sweep | {"param_value": value} for value in ("100", "50")])
    test = page_of("rules", rules="many")
    tables = [table.value for table in test.dataframe]
    assert tables[0]["explainer"].tolist() == [
        "Causal rules, k = 1",
        "Association rule, support",
        "Random item, always answers",
    ]
    assert tables[0]["Coverage (%), paper"].tolist()[:2] == ["96.5", "14.3"]
    assert "Whatever always answers covers 100 %" in said(test.markdown)
    assert tables[1]["explainer"].tolist() == ["Most recent item"]
    command = "`python -m recx study causal-rules-table3 --dataset ml-100k --keep` computes and stores it"
    assert command in said(test.caption), "what is missing is said with the command that stores it"
    model = next(one for one in test.button_group if one.label == "Recommender")
    assert model.options == ["FPMC"]
    assert len(test.get("plotly_chart")) == 3
    next(one for one in test.button_group if one.label == "Users").set_value("equal coverage")
    clean(test.run())
    assert "equal coverage" in test.query_params["rule_who"]


def test_a_link_to_rules_that_are_not_stored_is_one_sentence(results: Path) -> None:
    stored(results, "causal-rules-table2", COVERAGE)
    assert "'ml-9m'" in said(page_of("rules", rules="many", rule_data="ml-9m").error)
    assert "'sasrec'" in said(page_of("rules", rules="many", rule_model="sasrec").error)


def test_without_stored_tables_the_page_says_how_to_get_them(results: Path) -> None:
    test = page_of("rules", rules="many")
    assert "No table of causal rules is stored yet" in said(test.info)
    assert "python -m recx study causal-rules-table2" in test.code[0].value


def test_a_sweep_has_its_values_in_the_order_of_numbers() -> None:
    row = {"metric": "coverage", "setting": "k=1", "param": "m", "measured": 1.0}
    found = rule_scores.over([row | {"param_value": value} for value in ("1000", "50", "raw")], "m")
    assert [point["value"] for point in found["coverage, k = 1"]] == ["50", "1000", "raw"]
    assert rule_scores.over([row | {"param_value": "1"}], "gamma") == {}


# -- two people, two causes


def a_pair(**more: Any) -> dict[str, Any]:
    own = {"user_a": "u001", "user_b": "u002", "target": "i9", "target_title": "Goal", "confidence": 0.6, "lift": 1.5}
    own |= {"shared": "i1", "shared_title": "Both", "cause_a_title": "<b>A</b>", "cause_b_title": "B"}
    own |= {"confirmed_a": True, "confirmed_b": False, "shared_confirmed_a": False, "shared_confirmed_b": True}
    return own | {"history_a": "<b>A</b> ; Both", "history_b": "Both ; B ; C"} | more


def test_a_pair_shows_both_histories_with_the_causes_and_what_the_check_says() -> None:
    row = a_pair()
    page = rule_cards.pair(row | {side: rule_cases.titles(row[side]) for side in ("history_a", "history_b")})
    assert page.count(">association rule<") == 2
    assert page.count(">cause<") == 2
    assert "<b>A</b>" not in page
    assert "✓ Without the cause the recommendation changes." in page
    assert "✗ Without the cause the recommendation stays." in page
    assert "60 %" in page
    assert rule_cases.checked(row) == "one holds"
    assert rule_cases.titles(["x", "y"]) == ["x", "y"]


def test_stored_pairs_are_shown_and_ones_own_can_be_looked_for(results: Path) -> None:
    head = {"dataset": "ml-100k", "recommender": "fpmc", "metric": "case", "seed": 0}
    pd.DataFrame([head | a_pair()]).to_parquet(results / "causal-rules-cases-ml-100k.parquet")
    test = page_of("rules", rules="cases", model="ease", explainer_settings=QUICK)
    assert test.dataframe[0].value["checked"].tolist() == ["one holds"]
    assert "Recommended to both" in html(test)
    next(button for button in test.button if "Look for pairs" in button.label).click()
    clean(test.run())
    assert len(test.dataframe) == 2 or "no such pair" in said(test.info)


def test_stored_pairs_of_another_data_set_can_be_chosen_and_an_unknown_one_is_one_sentence(results: Path) -> None:
    head = {"metric": "case", "seed": 0}
    for dataset, model in (("ml-100k", "fpmc"), ("amazon-office", "caser")):
        rows = [head | a_pair(target_title=model) | {"dataset": dataset, "recommender": model}]
        pd.DataFrame(rows).to_parquet(results / f"causal-rules-cases-{dataset}.parquet")
    test = page_of("rules", rules="cases", rule_data="ml-100k", rule_model="fpmc")
    assert test.dataframe[0].value["target_title"].tolist() == ["fpmc"]
    next(one for one in test.button_group if one.label == "Data set").set_value("amazon-office")
    clean(test.run())
    assert test.dataframe[0].value["target_title"].tolist() == ["caser"], "its own recommender"
    assert "'sasrec'" in said(page_of("rules", rules="cases", rule_model="sasrec").error)
    assert "'ml-9m'" in said(page_of("rules", rules="cases", rule_data="ml-9m").error)


def test_without_stored_pairs_the_page_says_so(results: Path) -> None:
    test = page_of("rules", rules="cases")
    assert "No pairs are stored" in said(test.caption)
    assert any("Look for pairs" in button.label for button in test.button)
