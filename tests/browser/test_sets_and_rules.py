"""Counterfactual sets and rules in a real browser: choose, see the check, share the link, nothing runs off a page."""

from __future__ import annotations

import re

import pytest

from tests.browser.test_browser import expect, idle

pytestmark = pytest.mark.browser

CASE = "dataset=planted&model=ease&user=u005&k=5"
NOTHING_BESIDE = """() => {
  const scrolls = [document.documentElement, document.querySelector("[data-testid=stMain]")];
  return scrolls.every((part) => part.scrollWidth <= part.clientWidth);
}"""
"""Neither the document nor what Streamlit scrolls instead of it is wider than the window."""
QUICK = "&".join(f"explainer_settings=causal-rules.{field}" for field in ("epochs%3D2", "hidden%3D32", "m%3D50"))


def open_sets(page, app: str, query: str, cards: int = 4) -> None:
    page.goto(f"{app}/sets?{query}")
    expect(page.locator(".rx-card")).to_have_count(cards)
    expect(page.locator(".rx-foot")).to_be_visible()


def choose(page, label: str, option: re.Pattern[str]) -> None:
    """Choose from a menu of Streamlit."""
    page.get_by_role("combobox", name=re.compile(label)).click()
    page.get_by_role("option", name=option).click()


def test_from_a_recommendation_to_checked_sets_their_size_the_bars_and_a_link_that_reopens_them(page, app: str) -> None:
    open_sets(page, app, CASE)
    minimal = page.locator(".rx-card[data-explainer=minimal]")
    expect(minimal.locator(".verdict")).to_have_text(re.compile("True"))
    expect(page.locator(".st-key-sizes_minimal")).to_contain_text(
        re.compile(r"fewest needed\s*\d+, proved; as few here")
    )
    bars = page.locator(".js-plotly-plot .barlayer .point path")
    expect(bars.first).to_be_attached()
    idle(page)

    choose(page, "Recommendation", re.compile("^2 · "))
    expect(page).to_have_url(re.compile("target=i"))
    title = page.get_by_role("combobox", name=re.compile("Recommendation")).input_value()
    assert re.match(r"2 · \D", title), "a title, not an id"
    heading = page.get_by_role("heading", name=re.compile("^What does .* hang on"))
    expect(heading).to_contain_text(title.removeprefix("2 · "))
    idle(page)

    page.get_by_role("button", name=re.compile("^Explainers")).click()
    page.get_by_role("button", name="Random order").click()
    expect(page.locator(".rx-card")).to_have_count(5)
    page.keyboard.press("Escape")
    idle(page)
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_text("Link copied")).to_be_visible()
    link = page.evaluate("navigator.clipboard.readText()")
    for part in ("explainers=random", "sets=item", "replace=half", "target=i"):
        assert part in link, (part, link)
    window = page.context.browser.new_context(viewport={"width": 800, "height": 900}).new_page()
    window.goto(link)
    expect(window.locator(".rx-card")).to_have_count(5)
    expect(window.get_by_role("heading", name=re.compile("^What does "))).to_contain_text(title.removeprefix("2 · "))
    idle(window)
    assert window.evaluate(NOTHING_BESIDE)
    window.context.close()


def test_a_whole_list_is_explained_and_the_stored_scores_need_no_computing(page, app: str) -> None:
    open_sets(page, app, f"{CASE}&explainers=minimal&explainers=leave-one-out", cards=2)
    page.get_by_role("radio", name=re.compile("Whole list")).click()
    expect(page.get_by_role("heading", name=re.compile("What do these 5 recommendations hang on"))).to_be_visible()
    expect(page.locator(".rx-card[data-explainer=minimal]")).to_contain_text("asked for 3")
    page.get_by_role("radio", name="the whole list").click()
    expect(page.locator(".rx-card[data-explainer=minimal]")).to_contain_text("asked for 5")
    expect(page).to_have_url(re.compile("replace=all"))
    idle(page)
    page.get_by_role("radio", name=re.compile("Over many users")).click()
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
    page.get_by_role("radio", name="as the paper counts").click()
    expect(page).to_have_url(re.compile("convention=as-published"))
    expect(page.get_by_text(re.compile("measured over [0-9,]+ recommendations"))).to_be_visible()
    idle(page)
    assert page.locator("[data-testid=stException]").count() == 0


def test_rules_are_checked_item_by_item_and_a_slider_stands_in_the_link(page, app: str) -> None:
    page.goto(f"{app}/rules?{CASE}&{QUICK}")
    rows = page.locator("[aria-label='Rules after the check'] tbody tr")
    expect(rows.first).to_be_visible()
    expect(page.get_by_text("Having an answer is no merit")).to_be_visible()
    idle(page)
    expect(page.get_by_text("What the perturbed histories say")).to_be_visible()
    page.get_by_text("Look into the perturbed histories").click()
    expect(page.locator(".rx-perturbed tbody tr").first).to_be_visible()
    idle(page)
    before = rows.count()
    slider = page.get_by_role("slider", name=re.compile("least lift"))
    slider.focus()
    page.keyboard.press("End")
    expect(page).to_have_url(re.compile(r"explainer_settings=association\.min_lift%3D5"))
    expect(rows).not_to_have_count(before)
    idle(page)
    assert page.locator("[data-testid=stException]").count() == 0
