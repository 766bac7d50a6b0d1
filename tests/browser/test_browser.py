"""The road that a person takes: a user, a recommendation, a checked reason, a what-if, a link, a lost worker."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from recx.engine.jobs import Job, Jobs

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect
CEILING = 240
"""Seconds; generous, because nothing here measures speed."""
expect.set_options(timeout=1000 * CEILING)
pytestmark = pytest.mark.browser

ML = pytest.mark.data("ml-100k")


def rows(page) -> object:
    """The recommendations; a button with help is twice in the page, once hidden."""
    return page.locator("[class*=st-key-rec_] [data-testid=stTooltipHoverTarget] button")


def open_case(page, app: str, query: str) -> None:
    page.goto(f"{app}/case?{query}")
    expect(page.locator(".rx-card")).to_have_count(4)


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
        f"{app}/case?dataset=ml-100k&model=sasrec&user=12&settings=max_seconds%3D5&settings=dim%3D16&settings=blocks%3D1&settings=max_len%3D50"
    )
    table = Jobs()

    def fit() -> Job | None:
        return next((one for one in table.latest() if one.kind == "Fit" and "sasrec" in one.recipe), None)

    until(page, lambda: (job := fit()) is not None and job.state == "running" and job.pid)
    psutil.Process(fit().pid).kill()
    until(page, lambda: not fit().open)
    assert (fit().state, fit().restarts >= 1) == ("done", True), fit()
    expect(page.locator(".rx-card")).to_have_count(4)
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
        ("Data", "Popularity: the long tail"),
        ("Jobs", "Running and waiting"),
        ("Start", "What each page answers"),
    ):
        menu.get_by_role("link", name=name).click()
        expect(page.get_by_text(words).first).to_be_visible()
