"""The stored table on the Start page."""

from __future__ import annotations

from recx.engine import shipped
from recx.ui.measured import METRICS, chosen


def test_the_shipped_table_is_shown_with_published_and_measured_values() -> None:
    stored = shipped.read("lcer-table2")
    assert stored, "results/ holds the table of LCER"
    rows = chosen(stored[0]["rows"])
    lcer = {row["measure"]: row for row in rows if row["method"] == "lcer"}
    assert set(lcer) == set(METRICS.values())
    assert lcer["necessary (PN)"]["published"] == 61.41
    assert lcer["necessary (PN)"]["measured"] > lcer["necessary (PN)"]["placebo"]
    about = stored[0]["provenance"]
    assert about["seconds"] > 0
    assert {"command", "recipe", "data", "code", "libraries"} <= set(about["provenance"])


def test_other_settings_are_left_out() -> None:
    row = {"setting": "top-10", "convention": "app", "seed": None, "metric": "pn"}
    assert chosen([row]) == []
