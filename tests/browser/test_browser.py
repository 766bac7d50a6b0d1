"""The road that a person takes: a user, a recommendation, a checked reason, a what-if, a link, a lost worker."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from recx.engine.jobs import Job, Jobs

ROOT = Path(__file__).resolve().parents[2]
expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect
CEILING = 180
"""Seconds; generous, because nothing here measures speed."""
expect.set_options(timeout=1000 * CEILING)
pytestmark = pytest.mark.browser

ML = pytest.mark.data("ml-100k")


def rows(page) -> object:
    """The recommendations; a button with help is twice in the page, once hidden."""
    return page.locator("[class*=st-key-rec_] [data-testid=stTooltipHoverTarget] button")


def open_case(page, app: str, query: str, cards: int = 4) -> None:
    page.goto(f"{app}/case?{query}")
    expect(page.locator(".rx-card")).to_have_count(cards)


def idle(page) -> None:
    """The page has drawn everything."""
    expect(page.locator("[data-testid=stStatusWidget]")).to_have_count(0)
    expect(page.locator("[data-stale=true]")).to_have_count(0)


def test_the_first_case_opens_from_the_start_page(page, app: str) -> None:
    page.goto(app)
    page.get_by_role("button", name="First case in ten seconds").click()
    expect(page.locator(".rx-card")).to_have_count(4)
    expect(page.get_by_text("What holds it down", exact=False)).to_have_count(0)


@ML
def test_from_a_user_to_a_checked_reason_a_what_if_and_a_link_that_reopens_it(page, app: str) -> None:
    open_case(page, app, "dataset=ml-100k&model=ease&user=1")
    page.get_by_role("textbox", name="User id").fill("12")
    page.get_by_role("button", name=re.compile(r"^12 · ")).click()
    expect(page.get_by_role("heading", name=re.compile("^User 12 "))).to_be_visible()

    second = rows(page).nth(1)
    title = second.inner_text().split("\n")[-2] if "\n" in second.inner_text() else ""
    second.click()
    expect(second).to_have_attribute("kind", "primary")
    minimal = page.locator(".rx-card[data-explainer=minimal]")
    expect(minimal).to_contain_text("necessary")
    expect(minimal).to_contain_text("→")
    expect(minimal.locator(".verdict")).to_have_text(re.compile("True|Not the reason|No reason"))
    idle(page)

    changed = page.locator("[data-list=what-if] .mark.yes, [data-list=what-if] .mark.no")
    expect(changed).to_have_count(0)
    page.locator(".st-key-strip").get_by_role("button", name=re.compile("Star Wars")).click()
    expect(changed.first).to_be_visible()
    expect(page).to_have_url(re.compile("off=50"))
    idle(page)
    before = page.locator("[data-list=what-if]").inner_text()

    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_text("Link copied")).to_be_visible()
    link = page.evaluate("navigator.clipboard.readText()")
    for name in ("dataset=ml-100k", "model=ease", "user=12", "off=50", "k=10", "seed=0", "settings=l2", "target="):
        assert name in link, (name, link)

    window = page.context.browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    window.goto(link)
    expect(window.get_by_role("heading", name=re.compile("^User 12 "))).to_be_visible()
    expect(window.locator(".rx-card")).to_have_count(4)
    expect(rows(window).nth(1)).to_have_attribute("kind", "primary")
    expect(window.locator("[data-list=what-if]")).to_have_text(re.compile(".+"))
    idle(window)
    assert window.locator("[data-list=what-if]").inner_text() == before
    assert title in rows(window).nth(1).inner_text()
    window.context.close()


def test_a_link_with_an_unknown_value_shows_a_sentence_and_nothing_else(page, app: str) -> None:
    page.goto(f"{app}/case?dataset=nowhere")
    expect(page.get_by_text("This link cannot be opened")).to_be_visible()
    expect(page.locator(".rx-card")).to_have_count(0)
    page.get_by_role("button", name="Leave the link").click()
    expect(page.locator(".rx-card")).to_have_count(4)


@ML
def test_a_killed_worker_is_replaced_and_the_job_finishes(
    page, app: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECX_HOME", str(home))
    page.goto(
        f"{app}/case?dataset=ml-100k&model=sasrec&user=12&settings=max_seconds%3D5&settings=dim%3D16&settings=blocks%3D1&settings=max_len%3D50&explainers=association"
    )
    table = Jobs()

    def fit() -> Job | None:
        return next((one for one in table.latest() if one.kind == "Fit" and "sasrec" in one.recipe), None)

    until(page, lambda: (job := fit()) is not None and job.state == "running" and job.pid)
    psutil.Process(fit().pid).kill()
    until(page, lambda: not fit().open)
    assert (fit().state, fit().restarts >= 1) == ("done", True), fit()
    expect(page.locator(".rx-card")).to_have_count(1)
    table.close()


def until(page, true: Callable[[], object]) -> None:
    """Look again and again, the page living on meanwhile, up to the ceiling."""
    deadline = time.monotonic() + CEILING
    while not true():
        assert time.monotonic() < deadline
        page.wait_for_timeout(50)


def test_the_menu_leads_to_every_page(page, app: str) -> None:
    page.goto(app)
    menu = page.get_by_test_id("stSidebarNav")
    for name, words in (
        ("Counterfactual sets", "hang on?"),
        ("Rules", "Which rules lead to"),
        ("Models", "Train EASE on planted"),
        ("Data", "Popularity: the long tail"),
        ("Jobs", "Running and waiting"),
        ("Start", "What each page answers"),
    ):
        menu.get_by_role("link", name=name).click()
        expect(page.get_by_text(words).first).to_be_visible()


def test_a_click_on_the_timeline_switches_the_item_off_and_on_again(page, app: str) -> None:
    open_case(page, app, "dataset=planted&model=ease&user=u005")
    idle(page)
    mark = page.locator(".st-key-history .scatterlayer .trace").last.locator("path.point").first
    mark.click(force=True)
    expect(page).to_have_url(re.compile(r"[?&]off=i\d+"))
    expect(page.get_by_text("1 item switched off")).to_be_visible()
    idle(page)
    mark.click(force=True)
    expect(page).to_have_url(re.compile(r"[?&]off=(&|$)"))


def test_what_an_explanation_names_can_be_switched_off_to_see_for_oneself(page, app: str) -> None:
    open_case(page, app, "dataset=planted&model=ease&user=u005&explainers=minimal", cards=1)
    expect(page.locator(".rx-card .verdict")).to_contain_text("True")
    idle(page)
    page.locator(".st-key-try_minimal [data-testid=stTooltipHoverTarget] button").click()
    gone = page.locator("[data-list=what-if] .gone", has_text="was 1")
    expect(gone).to_be_visible()


def test_the_downloads_hold_the_case(page, app: str, tmp_path: Path) -> None:
    open_case(page, app, "dataset=planted&model=ease&user=u005&k=5")
    idle(page)
    page.get_by_role("button", name="Download", exact=True).click()
    files = {}
    for label in ("Whole case (JSON)", "Recommendations (CSV)", "Explanations (CSV)"):
        with page.expect_download() as coming:
            page.get_by_role("button", name=label).click()
        files[label] = tmp_path / coming.value.suggested_filename
        coming.value.save_as(files[label])
    case = json.loads(files["Whole case (JSON)"].read_text(encoding="utf-8"))
    assert case["view"]["user"] == "u005"
    assert len(case["case"]["items"]) == 5
    assert len(case["explanations"]) == 4
    with files["Recommendations (CSV)"].open(encoding="utf-8", newline="") as file:
        assert [row["item"] for row in csv.DictReader(file)] == [row["item"] for row in case["case"]["items"]]
    with files["Explanations (CSV)"].open(encoding="utf-8", newline="") as file:
        assert {row["explainer"] for row in csv.DictReader(file)} == {row["explainer"] for row in case["explanations"]}


def test_the_settings_of_an_explainer_are_applied_and_stand_in_the_link(page, app: str) -> None:
    open_case(page, app, "dataset=planted&model=ease&user=u005&explainers=minimal&explainers=association&k=5", cards=2)
    idle(page)
    page.locator("[class*=st-key-settings_of_minimal] button").first.click()
    page.get_by_role("textbox", name=re.compile("^max")).fill("500")
    page.get_by_role("button", name="Apply").click()
    expect(page).to_have_url(re.compile(r"explainer_settings=minimal\.max_calls%3D500"))
    expect(page.get_by_text("max_calls 500")).to_be_visible()
    expect(page.locator(".rx-card")).to_have_count(2)


NASTY = (
    '<script>window.hacked = 1</script><img src=x onerror="window.hacked = 1">',
    "$x^2$ and $y$ *bold* _it_ `code` [a](http://b.c) :smile: # head",
    "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd \u202e(1999)",
    "\U0001f47e \u201cquotes\u201d 'single' \"double\" & ampersand",
    "A very long title " * 30,
)


def test_titles_are_shown_as_text_whatever_they_hold(page, app: str, home: Path, tmp_path: Path) -> None:
    table = tmp_path / "nasty.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["who", "what", "name"])
        for user in range(30):
            for item in range(12):
                if (user + item) % 3:
                    writer.writerow([f"p{user}", f"t{item}", NASTY[item] if item < len(NASTY) else f"Film {item}"])
        writer.writerow(["alone", "t1", NASTY[1]])
    columns = "user=who,item=what,title=name"
    command = [sys.executable, "-m", "recx", "data", "import", str(table), "--name", "nasty", "--columns", columns]
    env = os.environ | {"RECX_HOME": str(home)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=CEILING)
    assert done.returncode == 0, done.stderr
    open_case(page, app, "dataset=nasty&model=ease&user=p1&k=3&explainers=minimal&explainers=association", cards=2)
    idle(page)
    shown = page.locator("[data-testid=stMain]").inner_text().replace("\u2060", "")
    for words in ("$x^2$ and $y$ *bold* _it_ `code` [a](http://b.c) :smile:", "\u05e9\u05dc\u05d5\u05dd", "\U0001f47e"):
        assert words in shown, words
    assert "<img src=x" in shown
    assert page.evaluate("window.hacked") is None
    assert page.locator(".katex").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    for path, answer in (("sets", ".rx-card"), ("sets?sets=list&", ".rx-line"), ("rules", ".rx-card")):
        page.goto(f"{app}/{path}{'' if '?' in path else '?'}dataset=nasty&model=ease&user=p1&k=3&explainers=minimal")
        expect(page.locator(answer).first).to_be_visible()
        idle(page)
        assert page.evaluate("window.hacked") is None
        assert page.locator(".katex").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path
    page.goto(f"{app}/case?dataset=nasty&model=ease&user=alone&k=3")
    expect(page.get_by_role("heading", name=re.compile("^User alone "))).to_be_visible()
    idle(page)
    assert page.locator("[data-testid=stException]").count() == 0


def test_switching_pages_with_everything_stored_is_quick(page, app: str) -> None:
    """The median of five is printed (`pytest -s`); the ceiling is only there to notice a page that computes."""
    open_case(page, app, "dataset=planted&model=ease&user=u005")
    idle(page)
    times = []
    for _ in range(5):
        page.get_by_test_id("stSidebarNav").get_by_role("link", name="Data").click()
        expect(page.get_by_text("Popularity: the long tail")).to_be_visible()
        page.wait_for_timeout(700)
        times.append(page.evaluate(SWITCH))
    print(
        f"page switch to Case study, everything stored: median {sorted(times)[2]:.0f} ms of {sorted(map(round, times))}"
    )
    assert sorted(times)[2] < 5000


SWITCH = """() => new Promise((done) => {
  const begin = performance.now(), count = (what) => document.querySelectorAll(what).length
  const there = () => count('.rx-card') === 4 && count('[data-list=what-if]') && count('.js-plotly-plot') >= 2
    && count('.rx-foot') && !count('[data-stale=true]')
  const look = () => {
    const now = performance.now() - begin
    there() || now > 20000 ? done(now) : requestAnimationFrame(look)
  }
  ;[...document.querySelectorAll('[data-testid=stSidebarNavLink]')].find((a) => a.innerText.includes('Case')).click()
  look()
})"""
