"""The page of models and data of one's own: a training with its live curve, a cancel, the leaderboard, two models, an
upload that ends in a checked explanation."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from recx.engine import shipped

expect = pytest.importorskip("playwright.sync_api", reason="playwright is not installed").expect
expect.set_options(timeout=180_000)
pytestmark = pytest.mark.browser

SMALL = "&".join(f"settings={one}" for one in ("dim%3D16", "blocks%3D1", "max_len%3D20", "patience%3D1000"))


def idle(page) -> None:
    """The page has drawn everything."""
    expect(page.locator("[data-testid=stStatusWidget]")).to_have_count(0)
    expect(page.locator("[data-stale=true]")).to_have_count(0)


def drawn(page, n: int) -> None:
    """The loss curve is drawn with at least so many points."""
    points = "document.querySelector('.st-key-training .js-plotly-plot')?.data?.[0]?.x?.length"
    page.wait_for_function(f"{points} >= {n}", timeout=180_000)


def train(page, app: str, query: str) -> object:
    """Open the form, press Train; the part of the page that shows the training."""
    page.goto(f"{app}/models?dataset=planted&model=sasrec&part=train&{SMALL}&{query}")
    expect(page.get_by_text("Not trained yet")).to_be_visible()
    idle(page)
    page.get_by_test_id("stFormSubmitButton").get_by_role("button", name="Train").click()
    return page.locator(".st-key-training")


def test_a_model_is_trained_to_the_end_with_a_live_curve(page, app: str) -> None:
    part = train(page, app, "settings=epochs%3D60&settings=max_seconds%3D30")
    cancel = part.get_by_role("button", name="Cancel")
    expect(cancel).to_be_visible()
    drawn(page, 2)
    expect(cancel).to_be_visible()  # so the curve is drawn while it trains
    expect(part.get_by_text(re.compile("Stopped (after its 60 epochs|by its time limit)"))).to_be_visible()
    expect(part.locator(".rx-table")).to_contain_text("toppop (floor)")
    for label in ("Time", "Epochs", "Parameters", "Converged"):
        expect(part.get_by_test_id("stMetric").filter(has_text=label)).to_be_visible()
    idle(page)
    drawn(page, 2)


def test_a_training_is_cancelled_and_can_be_tried_again(page, app: str) -> None:
    part = train(page, app, "settings=max_seconds%3D600&seed=1")
    drawn(page, 1)
    part.get_by_role("button", name="Cancel").click()
    expect(part.get_by_text(re.compile("^Cancelled"))).to_be_visible()
    expect(part.get_by_role("button", name="Try again")).to_be_visible()
    idle(page)
    drawn(page, 1)  # the curve up to the cancel stays


def test_the_leaderboard_is_shown_or_how_to_compute_it(page, app: str) -> None:
    page.goto(app)
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Models").click()
    page.get_by_test_id("stMain").get_by_text("Leaderboard", exact=True).first.click()
    if shipped.files("leaderboard"):
        expect(page.locator("[data-testid=stMain] .js-plotly-plot")).to_be_visible()
        expect(page.get_by_test_id("stDataFrame")).to_be_visible()
        expect(page.get_by_role("button", name="Download (CSV)")).to_be_visible()
    else:
        expect(page.get_by_text("python -m recx study leaderboard --dataset ml-100k")).to_be_visible()
    expect(page).to_have_url(re.compile("part=leaderboard"))


def test_two_models_are_compared_with_their_differences_marked(page, app: str) -> None:
    page.goto(f"{app}/models?dataset=planted&model=ease&other=toppop&part=compare&user=u005&k=5")
    lists = page.locator("[data-list=A] li, [data-list=B] li")
    expect(lists).to_have_count(10)
    expect(page.locator("[data-list] .mark").first).to_have_text(re.compile("only|=|[▲▼] \\d"))
    expect(page.get_by_text("Over all 400 test users")).to_be_visible()
    idle(page)
    scores = page.locator("[data-list=A] .num", has_text=re.compile(r"^\d+\.\d+$"))
    assert scores.count() == 0, "scores are hidden by default"
    page.locator(".st-key-compare_scores label").first.click()
    expect(scores).to_have_count(5)
    page.get_by_role("button", name="Copy link").click()
    link = page.evaluate("navigator.clipboard.readText()")
    assert "other=toppop" in link
    assert "part=compare" in link


def test_an_uploaded_table_becomes_a_data_set_with_a_checked_explanation(page, app: str, tmp_path: Path) -> None:
    table = tmp_path / "Our Shop.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["customer", "article", "when", "Name"])
        for user in range(40):
            for item in range(14):
                if (user + item) % 3:
                    writer.writerow([f"c{user}", f"a{item}", 1_500_000_000 + 60 * item, f"Thing № {item}"])
        writer.writerow(["", "a1", "1500000000", "x"])
    page.goto(f"{app}/data?dataset=planted&model=ease&k=3")
    page.get_by_text("Bring your own data").click()
    page.set_input_files("[data-testid=stFileUploaderDropzoneInput]", str(table))
    expect(page.get_by_text("of 374 rows can be used", exact=False)).to_be_visible()
    expect(page.get_by_test_id("stMain")).to_contain_text("missing user")
    idle(page)
    page.get_by_role("button", name=re.compile("Import as our")).click()
    expect(page.get_by_text("is imported and chosen", exact=False)).to_be_visible()
    idle(page)
    page.get_by_role("button", name="Open a case").click()
    expect(page.locator(".rx-card[data-explainer=minimal] .verdict")).to_have_text(re.compile("True|Not the reason"))
    expect(page.locator(".rx-card[data-explainer=minimal]")).to_contain_text("Thing №")
    expect(page).to_have_url(re.compile("dataset=our-shop"))
