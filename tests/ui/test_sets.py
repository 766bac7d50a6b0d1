"""The page of counterfactual sets: columns, sizes, importance, the stored scores, and what it says without them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from recx.core import paths
from recx.studies._rows import COLUMNS
from recx.ui import explainers, field, found, scores, sets
from recx.ui import listed as sets_list
from recx.ui.view import View
from tests.ui.test_pages import app, clean, home, html, page_of, said  # noqa: F401


def best(n: int, proved: bool = True) -> dict[str, Any]:
    return {"found": n > 0, "items": ("x",) * n, "details": {"smallest": "proved" if proved else "not proved"}}


@pytest.mark.parametrize(
    ("named", "smallest", "words"),
    [
        (3, best(3), "3, proved; as few here"),
        (5, best(3), "3, proved; 2 more here"),
        (5, best(3, False), "3 or fewer; 2 more here"),
        (3, best(3, False), "3 or fewer; as few here"),
        (2, best(3, False), "2 or fewer"),
        (3, best(0), "none found"),
    ],
)
def test_the_size_of_a_set_is_told_with_the_strength_of_its_proof(named: int, smallest: dict, words: str) -> None:
    term, label, told = sets.size_fact({"items": ("i",) * named}, smallest, "both")
    assert (told, label) == (words, "fewest needed and enough alone")
    assert term == "smallest set"


def test_explainers_stand_in_groups_and_an_unknown_one_under_more() -> None:
    groups = explainers.grouped(["association", "lcer", "minimal", "mine"])
    assert groups == {"Counterfactual sets": ["minimal", "lcer"], "Rules": ["association"], "More": ["mine"]}


def test_the_page_shows_each_explainer_its_size_and_the_bars() -> None:
    test = page_of("sets", dataset="planted", model="ease", user="u005", k=5)
    page = html(test)
    for name in ("minimal", "lcer", "leave-one-out", "association"):
        assert f'data-explainer="{name}"' in page, name
    assert "fewest needed" in page
    assert ", proved" in page
    assert "other, smaller sets" in page
    assert len(test.get("plotly_chart")) == 1
    assert "◆ named" in said(test.markdown)


def test_choosing_another_recommendation_and_fewer_explainers_stands_in_the_link() -> None:
    test = page_of("sets", dataset="planted", model="toppop", user="u005", k=3, explainers=("leave-one-out",))
    menu = next(one for one in test.selectbox if one.label.startswith("Recommendation"))
    assert len(menu.options) == 3
    assert all(" · " in option for option in menu.options), "titles, not ids"
    menu.select_index(1)
    clean(test.run())
    assert "i043" in test.query_params["target"], "an id in the link"
    assert "Accidental Vacation" in said(test.subheader)
    assert "leave-one-out" in test.query_params["explainers"]
    assert html(test).count("data-explainer=") == 1


def test_nobody_chosen_and_an_unknown_item_are_said_in_words() -> None:
    assert "Choose titles" in said(page_of("sets", who="new").info)
    assert "Unknown item" in said(page_of("sets", user="u005", target="i99999").error)


# -- the whole list


def test_the_whole_list_has_a_checked_set_per_explainer_and_what_single_items_hold_up() -> None:
    test = page_of("sets", sets="list", user="u005", model="ease", k=5, explainers=("minimal", "association"))
    page = html(test)
    assert page.count("data-explainer=") == 2
    assert "5 of 5" not in page
    assert "asked for 3" in page, "half of five"
    assert "Most hangs on" in said(test.caption) or "stays the same" in said(test.caption)
    choice = next(one for one in test.button_group if one.label.startswith("How much"))
    choice.set_value("all")
    clean(test.run())
    assert "asked for 5" in html(test)
    assert "all" in test.query_params["replace"]


def test_what_a_list_hangs_on_is_told_with_its_numbers() -> None:
    rows = [{"title": "*Up*", "replaced": 2}, {"title": "Big", "replaced": 0}]
    words = sets_list.held_words(rows, 10).replace("\\", "")
    assert "without 1 of the 2 history items something leaves the list" in words
    assert "*Up*: without it 2 of 10" in words
    assert "stays the same" in sets_list.held_words(rows[1:], 10)


# -- over many users


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in place of `results/`."""
    monkeypatch.setattr(paths, "shipped_results", lambda: tmp_path)
    return tmp_path


def stored(results: Path, rows: list[dict[str, Any]], name: str = "lcer-table2-ml-100k") -> None:
    head = {"dataset": "ml-100k", "setting": "top-5", "convention": "app", "recommender": "multvae", "n": 500}
    frame = pd.DataFrame([head | row for row in rows]).reindex(columns=COLUMNS)
    frame.to_parquet(results / f"{name}.parquet")


ROWS = [
    {
        "system": system,
        "explainer": system.removesuffix("-necessary"),
        "metric": metric,
        "measured": value,
        "ci_low": value - 1,
        "ci_high": value + 1,
    }
    for system, value in (("lcer", 60.0), ("minimal", 100.0), ("minimal-necessary", 80.0))
    for metric in ("validity", "pn", "ps", "f_ns", "length")
]


def test_the_scorecard_is_shown_before_anything_is_computed(results: Path) -> None:
    stored(results, [*ROWS, ROWS[0] | {"setting": "top-10"}, ROWS[0] | {"convention": "as-published"}])
    test = page_of("sets", sets="many", dataset="ml-100k", k=5)
    table = test.dataframe[0].value
    assert table["explainer"].tolist() == ["Minimal set", "Minimal set, necessary", "LCER"], "best F_NS first"
    assert table["Needed, PN (%)"].tolist()[0] == "100 (99 to 101)"
    assert "Explainers of Mult-VAE" in said(test.caption)
    assert "lcer-sweeps" in said(test.caption), "the line over lambda is missing, and the page says how to get it"
    setting = next(one for one in test.button_group if one.label == "List")
    assert setting.value == "top-5", "the list length of the sidebar where it is stored"
    setting.set_value("top-10")
    clean(test.run())
    assert "top-10" in test.query_params["scores_setting"]
    assert len(test.dataframe[0].value) == 1


def test_a_link_to_scores_that_are_not_stored_is_one_sentence(results: Path) -> None:
    stored(results, ROWS)
    assert "'ml-1m'" in said(page_of("sets", sets="many", scores="ml-1m").error)
    assert "'top-99'" in said(page_of("sets", sets="many", scores_setting="top-99").error)
    (results / "lcer-table2-ml-100k.parquet").write_bytes(b"PAR1")
    assert "damaged" in said(page_of("sets", sets="many").error)


def test_without_stored_scores_the_page_says_how_to_get_them(results: Path) -> None:
    test = page_of("sets", sets="many")
    assert "No scorecard is stored yet" in said(test.info)
    assert test.code[0].value == "python -m recx study lcer-table2 --keep"
    assert any("small version" in button.label for button in test.button)


def test_the_curve_over_lambda_takes_its_points_from_the_sweep() -> None:
    head = {"dataset": "d", "setting": "top-5", "convention": "app", "seed": None, "param": "lambda"}
    rows = [
        head | {"param_value": lam, "metric": metric, "measured": value, "ci_low": 1.0, "ci_high": 2.0}
        for lam, metric, value in (("0.1", "length", 3.0), ("0.1", "f_ns", 60.0), ("1", "length", 1.0))
    ]
    curve = scores.sweep([{"rows": rows}], "d", "top-5", "app", "lambda")
    assert curve == [{"value": 0.1, "length": 3.0, "f_ns": 60.0, "f_ns_low": 1.0, "f_ns_high": 2.0}]
    assert scores.sweep([{"rows": rows}], "d", "top-5", "as-published", "lambda") == []
    assert scores.sweep([{"rows": rows}], "d", "top-5", "app", "alpha") == []


def test_the_part_of_the_page_is_part_of_the_link() -> None:
    test = clean(app(sets="many").run())
    clean(test.switch_page("pages/sets.py").run())
    assert "many" in test.query_params["sets"]
    assert View(sets="many") == test.session_state["view"]


# -- more measures


def measure(system: str, metric: str, measured: float, **more: Any) -> dict[str, Any]:
    own = {"dataset": "ml-100k", "system": system, "explainer": system.removesuffix("-necessary"), "setting": "top-5"}
    return own | {"metric": metric, "measured": measured, "param": "K", "param_value": "5", "convention": "app"} | more


BENCH = [
    *(measure(system, "gini", 0.5) for system in ("lcer", "minimal-necessary", "random")),
    measure("lcer", "pos", 0.3, param="removed", param_value="in tenths"),
    measure("lcer", "pos", 0.9, param="removed", param_value="in tenths", setting="top-5, hits"),
    measure("lcer", "pos", 0.1, param="removed", param_value="1 to 5 items"),
    measure("lcer", "agreement_jaccard", 0.7, param="against", param_value="minimal-necessary"),
    measure("lcer", "f_ns", 70.0, param="budget", param_value="1000"),
    measure("lcer", "f_ns", 20.0, param="budget", param_value="300"),
]


def test_the_benchmark_is_shown_for_hits_and_misses_apart(results: Path) -> None:
    pd.DataFrame(BENCH).reindex(columns=COLUMNS).to_parquet(results / "explanation-benchmark-ml-100k.parquet")
    test = page_of("sets", sets="field")
    assert [table.value.shape[0] for table in test.dataframe] == [1, 3]
    assert test.dataframe[0].value["POS ↓"].tolist() == ["0.3"]
    assert len(test.get("plotly_chart")) == 4
    next(one for one in test.button_group if one.label == "Recommendations").set_value("hits")
    clean(test.run())
    assert test.dataframe[0].value["POS ↓"].tolist() == ["0.9"]
    assert "hits" in test.query_params["bench_who"]
    assert "list-benchmark" in said(test.caption), "what is missing is said with the command"
    assert "'ml-9m'" in said(page_of("sets", sets="field", scores="ml-9m").error)


def test_whole_lists_are_compared_for_what_is_to_be_replaced(results: Path) -> None:
    pd.DataFrame(BENCH).reindex(columns=COLUMNS).to_parquet(results / "explanation-benchmark-ml-100k.parquet")
    rows = [
        measure(system, metric, value + n, param="replaced", param_value=share)
        for n, system in enumerate(("random", "lcer"))
        for share, value in (("half", 50.0), ("all", 20.0))
        for metric in ("coverage", "length")
    ]
    pd.DataFrame(rows).reindex(columns=COLUMNS).to_parquet(results / "list-benchmark-ml-100k.parquet")
    test = page_of("sets", sets="field", replace="all")
    table = test.dataframe[-1].value
    assert table["explainer"].tolist() == ["LCER", "Random order"], "the widest coverage first"
    assert table["Coverage (%) ↑"].tolist() == ["21", "20"]


def test_agreement_is_the_same_both_ways_and_names_are_spoken() -> None:
    names, cells = field.matrix(BENCH, "agreement_jaccard")
    assert names == ["LCER", "Minimal set, necessary"], "who was compared with nobody is left out"
    assert cells == [[None, 0.7], [0.7, None]]


def test_without_a_stored_benchmark_the_page_says_how_to_get_one(results: Path) -> None:
    assert "python -m recx study explanation-benchmark" in page_of("sets", sets="field").code[0].value


# -- finding cases


def a_case(**more: Any) -> dict[str, Any]:
    own = {"dataset": "planted", "system": "lcer", "explainer": "lcer", "recommender": "ease", "setting": "top-5"}
    own |= {"user": "u005", "target": "i043", "target_title": "Vacation", "target_genres": "Comedy|Drama", "note": ""}
    own |= {"items": "i1 ; i2", "titles": "One ; Two", "genres": "Comedy ; Drama|War", "overlap": 0.5, "length": 2}
    return own | {"overlap_random": 0.2, "necessary": True, "sufficient": False, "metric": "case", "seed": 0} | more


CASES = [
    a_case(),
    a_case(user="u2", overlap=0.9, necessary=False),
    a_case(user="u3", overlap=None, length=0, titles="", genres="", necessary=False, note="lcer finds none"),
    a_case(user="u4", system="minimal", explainer="minimal"),
]


def test_cases_are_chosen_by_what_is_worth_a_look() -> None:
    own = CASES[:3]
    chosen = {which: [row["user"] for row in found.select(own, which)] for which in found.LABELS}
    assert chosen == {
        "all": ["u005", "u2", "u3"],
        "alike": ["u2", "u005"],
        "unlike": ["u005", "u2"],
        "long": ["u3"],
        "untrue": ["u2"],
    }
    assert [found.verdict(row) for row in own] == ["needed", "not needed", "none found"]
    line = found.as_line(own[0])
    assert (line["titles"], line["genres"], line["target_genres"]) == (
        ["One", "Two"],
        ["Comedy", "Drama, War"],
        "Comedy, Drama",
    )
    assert found.as_line(own[2])["titles"] == []


def test_the_case_finder_shows_titles_and_says_when_there_is_nothing(results: Path) -> None:
    pd.DataFrame(CASES).to_parquet(results / "lcer-cases-planted.parquet")
    test = page_of("sets", sets="cases")
    table = test.dataframe[0].value
    assert table["target_title"].tolist() == ["Vacation"] * 3
    assert "3 cases of EASE" in said(test.caption)
    next(one for one in test.button_group if one.label == "Show").set_value("long")
    clean(test.run())
    assert test.dataframe[0].value["note"].tolist() == ["lcer finds none"]
    assert "long" in test.query_params["found"]
    next(one for one in test.button_group if one.label == "Explainer").set_value("minimal")
    clean(test.run())
    assert "No stored case is of this kind" in said(test.info)
    assert "'kaffes'" in said(page_of("sets", sets="cases", found_by="kaffes").error)


def test_without_stored_cases_the_page_says_how_to_get_them(results: Path) -> None:
    assert "python -m recx study lcer-cases" in page_of("sets", sets="cases").code[0].value


def test_opening_a_case_shows_that_recommendation_of_that_person_with_its_explainer() -> None:
    script = f"""
from recx.ui import found, state
from recx.ui.view import View
import streamlit as st
st.session_state.setdefault("view", View(dataset="ml-100k", model="multvae", user="9", off=("3",), sets="cases"))
found.open_case({CASES[3] | {"user": "u005"}!r})
"""
    test = clean(AppTest.from_string(script, default_timeout=60).run())
    view = test.session_state["view"]
    assert (view.dataset, view.model, view.split, view.k, view.sets) == ("planted", "ease", "held-out-users", 5, "item")
    assert (view.user, view.target, view.explainers[0], view.off) == ("u005", "i043", "minimal", ())
    assert len(set(view.explainers)) == len(view.explainers)
