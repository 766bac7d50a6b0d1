"""The figure of what an explanation costs: lines at the measured values, and a line in proportion."""

from __future__ import annotations

import math

import pytest

from recx.figures.scale import AXES, MEASURES, scale


def row(size: int, explainer: str, ms: float, axis: str = "items", mb: float = 1.0) -> dict[str, object]:
    numbers = {"ms_per_pair": ms, "ms_per_run": ms / 10, "work_mb": mb, "runs": 10.0}
    return {"axis": axis, "size": size, "explainer": explainer} | numbers


ROWS = [
    row(100_000, "minimal-necessary", 90.0, mb=0.0),
    row(1_000, "minimal-necessary", 2.0, mb=3.0),
    row(1_000, "leave-one-out", 1.0),
    row(100_000, "leave-one-out", 40.0),
    row(10, "leave-one-out", 7.0, axis="people"),
    row(1_000, "leave-one-out", 5.0, axis="people"),
]


def test_lines_are_the_measured_values_in_the_order_of_the_sizes() -> None:
    lines = {trace.name: (list(trace.x), list(trace.y)) for trace in scale(ROWS).data}
    assert lines["minimal-necessary"] == ([1_000, 100_000], [2.0, 90.0])
    assert lines["leave-one-out"] == ([1_000, 100_000], [1.0, 40.0])
    assert lines["in proportion"] == ([1_000, 100_000], [2.0, 200.0])
    people = {trace.name: list(trace.y) for trace in scale(ROWS, "people").data}
    assert people == {"leave-one-out": [7.0, 5.0], "in proportion": [7.0, 700.0]}


def test_both_axes_are_logarithmic_and_say_what_they_show() -> None:
    figure = scale(ROWS)
    assert (figure.layout.xaxis.type, figure.layout.yaxis.type) == ("log", "log")
    assert figure.layout.xaxis.title.text == AXES["items"]
    assert figure.layout.yaxis.title.text == MEASURES["ms_per_pair"][0]
    low, high = figure.layout.yaxis.range
    assert low < math.log10(1.0) < math.log10(90.0) < high


def test_zero_has_no_place_on_a_logarithmic_axis() -> None:
    lines = {trace.name: list(trace.x) for trace in scale(ROWS, measure="work_mb").data}
    assert lines["minimal-necessary"] == [1_000]


@pytest.mark.parametrize("rows", [[], ROWS[:4]])
def test_without_rows_the_figure_says_how_to_get_them(rows: list[dict[str, object]]) -> None:
    assert "bench scale" in scale(rows, "people").layout.annotations[0].text
