"""Each page runs by itself and shows what only it has; the menu can be walked; the app stays light."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from recx.core import paths
from recx.studies._rows import COLUMNS
from recx.ui.view import View

ROOT = Path(__file__).resolve().parents[2]
CEILING = 120
QUICK = (("causal-rules", (("epochs", 2), ("hidden", 32), ("m", 50), ("m_test", 50))),)
"""Settings with which a page of rules is quick."""


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory):
    """One home for this file, and an engine that computes in this process."""
    old = {name: os.environ.get(name) for name in ("RECX_HOME", "RECX_SCHEDULER")}
    os.environ |= {"RECX_HOME": str(tmp_path_factory.mktemp("home")), "RECX_SCHEDULER": "inline"}
    clear_caches()
    yield
    clear_caches()
    for name, value in old.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})


def clear_caches() -> None:
    import streamlit as st

    st.cache_resource.clear()


def app(path: str = "app.py", **query: str | list[str]) -> AppTest:
    test = AppTest.from_file(str(ROOT / path), default_timeout=CEILING)
    for name, value in query.items():
        test.query_params[name] = value
    return test


def clean(test: AppTest) -> AppTest:
    assert not test.exception, [error.message for error in test.exception]
    return test


def html(test: AppTest) -> str:
    return " ".join(str(element.proto.body) for element in test.get("html"))


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("start", "What the words of a verdict mean"),
        ("case", "Compare"),
        ("sets", "hang on?"),
        ("rules", "Which rules lead to"),
        ("models", "Train EASE on planted"),
        ("data", "planted"),
        ("jobs", "Running and waiting"),
    ],
)
def test_each_page_runs_by_itself_and_shows_what_only_it_has(page: str, words: str) -> None:
    test = page_of(page, explainer_settings=QUICK)
    assert any(words in head.value for head in test.subheader), [head.value for head in test.subheader]


def test_the_menu_can_be_walked() -> None:
    test = app()
    test.session_state["view"] = View(explainer_settings=QUICK)
    clean(test.run())
    assert test.title[0].value == "recx"
    for page in ("case", "sets", "rules", "models", "data", "jobs", "start"):
        clean(test.switch_page(f"pages/{page}.py").run())
    assert test.selectbox(key="choose_dataset").value == "planted"


def test_the_first_case_opens_with_one_click() -> None:
    test = app().run()
    next(button for button in test.button if "First case" in button.label).click()
    clean(test.run())
    clean(test.switch_page("pages/case.py").run())  # AppTest does not follow st.switch_page; the browser test does
    assert any(str(head.value).startswith("Why ") for head in test.subheader)


def case(**query: str | list[str]) -> AppTest:
    test = app(**query)
    test.run()
    return clean(test.switch_page("pages/case.py").run())


def test_a_case_shows_every_explainer_with_its_check() -> None:
    test = case(model="ease", draw="1", trait="heavy")
    page = html(test)
    for explainer in ("leave-one-out", "association", "lcer", "minimal"):
        assert f'data-explainer="{explainer}"' in page, explainer
    assert "necessary" in page
    assert 'data-list="what-if"' in page


def strip_of(test: AppTest) -> object:
    return next(group for group in test.button_group if str(group.key).startswith("strip_"))


def test_switching_an_item_off_changes_the_list_and_the_link() -> None:
    test = case(model="ease", k="5")
    strip = strip_of(test)
    before, kept = html(test), list(strip.value)
    strip.set_value(kept[:-3])
    clean(test.run())
    assert html(test) != before
    assert set(test.query_params["off"]) == set(kept[-3:])


def test_choosing_another_row_explains_that_row() -> None:
    test = case(model="ease")
    rows = [button for button in test.button if str(button.key).startswith("rec_")]
    assert len(rows) == View().k
    rows[2].click()
    clean(test.run())
    assert rows[2].key.removeprefix("rec_") in test.query_params["target"]


def test_the_link_names_every_parameter() -> None:
    test = case(model="ease")
    assert {"dataset", "split", "model", "settings", "seed", "k", "user", "target", "off", "pin"} <= set(
        test.query_params
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dataset", "nowhere"),
        ("model", "nobody"),
        ("k", "0"),
        ("explainers", "oracle"),
        ("settings", "l9=1"),
        ("colour", "red"),
    ],
)
def test_a_link_with_an_unknown_value_shows_an_error_and_no_other_view(name: str, value: str) -> None:
    test = clean(app(**{name: value}).run())
    said = test.error[0].value.replace("\\", "")
    assert value.split("=")[0] in said or name in said
    assert not test.title
    next(button for button in test.button if "last view" in button.label).click()
    clean(test.run())
    assert test.title[0].value == "recx"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("user", "nobody", "nobody"),
        ("target", "i99999", "i99999"),
        ("off", "i99999", "i99999"),
        ("whynot", "i99999", "i99999"),
        ("k", "900", "900"),
    ],
)
def test_a_link_with_an_unknown_person_or_item_shows_a_sentence(name: str, value: str, words: str) -> None:
    query = {"user": "u001", "model": "toppop"} | {name: value}
    test = case(**query)
    assert any(words in error.value.replace("\\", "") for error in test.error), [error.value for error in test.error]
    assert 'data-explainer="' not in html(test)


def test_a_new_user_starts_empty_and_is_recommended_something_after_one_title() -> None:
    test = case(who="new", model="ease")
    assert any("Choose titles" in note.value for note in test.info)
    test = case(who="new", model="ease", history=["i001", "i002"])
    assert 'data-list="what-if"' in html(test)


def test_an_item_leads_to_those_who_are_shown_it() -> None:
    test = case(who="item", model="toppop", item="i001")
    assert any("is in the top" in note.value for note in test.markdown)


def test_why_not_and_comparison_answer_from_a_link() -> None:
    from recx.data._files import source

    ids = source("planted").build().load().items["id"]
    test = case(user="u005", model="ease", pin="yes", pin_model="toppop", pin_user="u006")
    seen = {str(button.key).removeprefix("rec_") for button in test.button if str(button.key).startswith("rec_")}
    kept = set(strip_of(test).value)
    other = next(item for item in ids if item not in seen | kept)
    assert any("recommendations in common" in note.value for note in test.markdown)
    test = case(user="u005", model="ease", whynot=other)
    assert any(
        "has rank" in note.value or "already in the history" in note.value for note in [*test.markdown, *test.error]
    )


def page_of(name: str, **values: object) -> AppTest:
    """A page by itself with a view. (Through app.py AppTest loses a press: every run of it begins anew in `enter`.)"""
    test = app(f"pages/{name}.py")
    test.session_state["view"] = View(**values)
    return clean(test.run())


def press(test: AppTest, words: str) -> AppTest:
    next(button for button in test.button if words in button.label).click()
    return clean(test.run())


def said(elements: Iterable[Any]) -> str:
    """The words of elements without the marks that keep markdown out."""
    return "\n".join(element.value for element in elements).replace("\\", "")


def training_fields(test: AppTest) -> dict[str, Any]:
    found = (field for field in test.text_input if str(field.key).startswith("train_"))
    return {field.label.split(" ")[0]: field for field in found}


def test_a_model_is_trained_from_its_form_and_stands_beside_the_floors() -> None:
    test = page_of("models", model="multvae")
    assert "Not trained yet" in said(test.caption)
    training_fields(test)["epochs"].set_value("3")
    press(test, "Train")
    assert "epochs=3" in test.query_params["settings"]
    assert {one.label: one.value for one in test.metric}["Epochs"] == "3"
    assert "Stopped after its 3 epochs, not converged" in said(test.markdown)
    assert "toppop (floor)" in html(test)
    assert "chance (floor)" in html(test)
    press(test, "Defaults")
    assert training_fields(test)["epochs"].value == "200"


def test_a_wrong_field_is_one_sentence_and_trains_nothing() -> None:
    test = page_of("models", model="multvae", seed=5)
    training_fields(test)["epochs"].set_value("minus one")
    press(test, "Train")
    assert said(test.error).startswith("multvae.epochs='minus one' is not a whole number")
    training_fields(test)["epochs"].set_value("0")
    press(test, "Train")
    assert said(test.error).startswith("multvae.epochs=0 is out of range: allowed is 1 to")
    assert "Not trained yet" in said(test.caption)


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in place of `results/`."""
    monkeypatch.setattr(paths, "shipped_results", lambda: tmp_path)
    return tmp_path


def test_without_a_leaderboard_the_page_says_how_to_compute_one(results: Path) -> None:
    test = page_of("models", part="leaderboard", dataset="ml-100k")
    assert test.code[0].value == "python -m recx study leaderboard --dataset ml-100k"


def test_the_leaderboard_shows_one_setting_at_a_time_and_what_is_below_a_floor(results: Path) -> None:
    rows = [
        {"dataset": "ml-100k", "setting": setting, "system": system, "metric": "ndcg@10", "measured": value}
        for setting in ("full ranking", "sampled-100")
        for system, value in (("ease", 0.1), ("toppop", 0.03), ("random", 0.01), ("multvae", 0.02))
    ]
    pd.DataFrame(rows).reindex(columns=COLUMNS).to_parquet(results / "leaderboard-ml-100k.parquet")
    test = page_of("models", part="leaderboard")
    assert test.dataframe[0].value["model"].tolist() == ["EASE", "Most popular", "Mult-VAE", "Random"]
    assert "**Mult-VAE** is below Most popular and EASE" in said(test.markdown)
    next(one for one in test.button_group if one.label == "Setting").set_value("sampled-100")
    clean(test.run())
    assert "sampled-100" in test.query_params["board_setting"]
    assert "100 sampled ones" in said(test.caption)
    test = page_of("models", part="leaderboard", board="ml-1m")
    assert "'ml-1m'" in said(test.error)
    (results / "leaderboard-ml-100k.parquet").write_bytes(b"PAR1")
    assert "damaged" in said(page_of("models", part="leaderboard").error)


def test_two_models_are_compared_for_one_user_and_over_many() -> None:
    test = page_of("models", part="compare", user="u005")
    assert html(test).count('data-list="A"') == html(test).count('data-list="B"') == 1
    assert {"Overlap@10", "Rank-biased overlap", "Same first item"} <= {one.label for one in test.metric}
    test = page_of("models", part="compare", other="ease", user="u005")
    assert "the same model" in said(test.info)
    test = page_of("models", part="compare", other="ease", other_settings=(("l2", 3.0),), user="u005")
    assert 'data-list="A"' in html(test)
    test = page_of("models", part="compare", who="new")
    assert "somebody new" in said(test.info)


def own_data(file: Path) -> AppTest:
    """The page of data with a file named by its path."""
    test = page_of("data")
    test.session_state["own_data_0"] = True
    test.session_state["own_from"] = "Path on the server"
    clean(test.run())
    test.text_input(key="own_path").set_value(str(file))
    return clean(test.run())


def test_data_of_ones_own_is_previewed_checked_imported_and_chosen(tmp_path: Path) -> None:
    file = tmp_path / "My Films.csv"
    rows = [f"p{user},t{item},{1000 + item}" for user in range(9) for item in range(user, user + 6)]
    file.write_text("\n".join(["viewer,film,when", *rows, "p1,,5", "p2,t1,never"]), encoding="utf-8")
    test = own_data(file)
    assert test.dataframe[0].value.columns.tolist() == ["viewer", "film", "when"]
    assert "Choose which column holds the user" in said(test.info)
    chosen = {one.label: one for one in test.selectbox if str(one.key).startswith("own_")}
    assert (chosen["item"].value, chosen["time"].value) == ("film", "when")
    chosen["user"].set_value("viewer")
    clean(test.run())
    assert "**54** of 56 rows can be used: 9 users, 14 items." in said(test.markdown)
    assert "missing item" in html(test)
    assert "unparsable time" in html(test)
    press(test, "Import as my")
    assert test.session_state["view"].dataset == "my-films"
    assert "**my-films** is imported and chosen" in said(test.success)
    assert "unparsable time" in html(test), "the report stays after the import"
    test = case(dataset="my-films", model="ease", user="p3", k="3", explainers="minimal")
    assert 'data-explainer="minimal"' in html(test)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "is empty"),
        (b"\x89PNG\r\n\x1a\n\xff\xfe", "is not utf-8"),
        ("user,item\né,1\n".encode("latin-1"), "pass another encoding"),
        (b"only one column\nhere\n", "one column only"),
    ],
)
def test_a_file_that_is_no_table_is_one_sentence(tmp_path: Path, body: bytes, words: str) -> None:
    file = tmp_path / "x.csv"
    file.write_bytes(body)
    test = own_data(file)
    assert len(test.error) == 1
    assert words in said(test.error)


def test_a_name_that_is_taken_and_a_column_chosen_twice_are_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "ease.csv"
    file.write_text("user,item\na,1\nb,2\n", encoding="utf-8")
    test = own_data(file)
    for name, words in (("planted", "built-in data set"), ("Ünïcode!", "cannot name a data set")):
        next(one for one in test.text_input if one.label == "Name of the data set").set_value(name)
        clean(test.run())
        assert words in said(test.error)
    next(one for one in test.text_input if one.label == "Name of the data set").set_value("fine")
    next(one for one in test.selectbox if one.label == "item").set_value("user")
    clean(test.run())
    assert "chosen for user and for item" in said(test.error)


def test_a_model_that_ignores_the_history_says_so_on_its_cards() -> None:
    test = case(model="toppop", user="u005", explainers=["leave-one-out", "lcer"], off="i999")
    assert "Unknown item" in said(test.error)
    test = case(model="toppop", user="u005", explainers=["leave-one-out", "lcer"])
    assert "The history is not used: no edit changes a score." in html(test)
    assert "which toppop does not have" in html(test), "an explainer that cannot answer says why on its card"
    kept = strip_of(test).value
    test = case(model="toppop", user="u005", explainers="leave-one-out", off=kept[0])
    assert "Nothing moved. Most popular: The history is not used" in said(test.caption)


SCRIPT = """
import sys
from streamlit.testing.v1 import AppTest
test = AppTest.from_file({path!r}, default_timeout=120).run()
assert not test.exception, test.exception
for page in ("case", "sets", "rules", "models", "data", "jobs"):
    test.switch_page(f"pages/{{page}}.py").run()
    assert not test.exception, test.exception
heavy = {{"torch", "numba", "sklearn"}} & set(sys.modules)
print("HEAVY", sorted(heavy))
"""


def test_the_app_imports_neither_torch_nor_numba_nor_sklearn(tmp_path: Path) -> None:
    """In a process of its own, against an engine that is not there."""
    env = os.environ | {"RECX_HOME": str(tmp_path), "RECX_SCHEDULER": "tcp://127.0.0.1:9", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(path=str(ROOT / "app.py"))],
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert "HEAVY []" in done.stdout, done.stdout + done.stderr[-3000:]


def test_a_presenter_has_no_sidebar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECX_PRESENTER", "1")
    test = clean(app().run())
    assert not test.sidebar.selectbox
    assert test.selectbox(key="choose_dataset").value == "planted"
