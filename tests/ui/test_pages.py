"""Each page runs by itself and shows what only it has; the menu can be walked; the app stays light."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from recx.ui.view import View

ROOT = Path(__file__).resolve().parents[2]
CEILING = 120


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
        ("data", "planted"),
        ("jobs", "Running and waiting"),
    ],
)
def test_each_page_runs_by_itself_and_shows_what_only_it_has(page: str, words: str) -> None:
    test = clean(app(f"pages/{page}.py").run())
    assert any(words in head.value for head in test.subheader), [head.value for head in test.subheader]


def test_the_menu_can_be_walked() -> None:
    test = clean(app().run())
    assert test.title[0].value == "recx"
    for page in ("case", "data", "jobs", "start"):
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


SCRIPT = """
import sys
from streamlit.testing.v1 import AppTest
test = AppTest.from_file({path!r}, default_timeout=120).run()
assert not test.exception, test.exception
for page in ("case", "data", "jobs"):
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
