"""Figures of counterfactual sets: bars stand at the item's place, marks at what is named, panels share their rows."""

from __future__ import annotations

from typing import Any

import pytest

from recx.figures import palette, rules, sets

HISTORY = [
    {"item": i, "title": f"Film {i}", "year": None, "genres": "Drama", "rating": None, "time": None, "popularity": 1}
    for i in "abcd"
]
LANES = {"Drama": "blue"}


def explained(name: str, items: tuple[str, ...], per_item: dict[str, float] | None, weights: tuple[float, ...] = ()):
    details = {"per_item": [{"item": i, "value": v} for i, v in per_item.items()]} if per_item else {}
    return {"explainer": name, "items": items, "weights": weights, "details": details}


def words(figure: Any) -> str:
    return " ".join(note.text for note in figure.layout.annotations)


def bars(figure: Any) -> list[Any]:
    return [trace for trace in figure.data if trace.type == "bar"]


def marks(figure: Any) -> list[Any]:
    return [t for t in figure.data if t.type == "scatter" and t.marker.symbol == "diamond"]


def test_each_explainer_has_bars_at_the_places_of_the_history_scaled_by_its_own_largest() -> None:
    rows = [
        explained("minimal", ("b", "d"), {"a": 0.0, "b": 2.0, "c": -1.0, "d": 0.5}),
        explained("lcer", ("c",), {"d": 10.0, "c": 5.0}),
    ]
    figure = sets.importance(HISTORY, rows, LANES, {"minimal": "Minimal set"})
    first, second = bars(figure)
    assert dict(zip(first.x, first.y, strict=True)) == {1: 0.0, 2: 1.0, 3: -0.5, 4: 0.25}
    assert dict(zip(second.x, second.y, strict=True)) == {3: 0.5, 4: 1.0}
    assert list(first.marker.opacity) == [0.42, 1.0, 0.42, 1.0]
    assert [list(one.x) for one in marks(figure)] == [[2, 4], [3]]
    assert first.yaxis != second.yaxis, "a panel each"
    assert figure.layout.yaxis3.domain[1] <= figure.layout.yaxis2.domain[0], "one below the other"
    assert figure.layout.yaxis2.range[0] < 0 <= figure.layout.yaxis3.range[0], "room below zero only where it is used"
    assert "Minimal set" in words(figure)
    assert "longest bar 2" in words(figure)


def test_a_set_without_values_for_all_items_shows_the_weights_it_has() -> None:
    figure = sets.importance(HISTORY, [explained("association", ("b",), None, (0.6,))], LANES, {})
    assert (list(bars(figure)[0].x), list(bars(figure)[0].y)) == ([2], [1.0])
    assert "named items only" in words(figure)
    figure = sets.importance(HISTORY, [explained("lcer", (), None)], LANES, {})
    assert "gives no values" in words(figure)


def test_all_values_zero_or_missing_is_no_division_by_zero() -> None:
    rows = [explained("lcer", (), {"a": 0.0, "b": 0.0})]
    rows[0]["details"]["per_item"].append({"item": "c", "value": None})
    assert list(bars(sets.importance(HISTORY, rows, LANES, {}))[0].y) == [0.0, 0.0]


def test_the_figure_grows_with_the_explainers_and_says_when_there_is_nothing() -> None:
    row = explained("lcer", ("a",), {"a": 1.0})
    one, four = (sets.importance(HISTORY, [row] * n, LANES, {}).layout.height for n in (1, 4))
    assert four - one == 3 * (sets.PANEL + sets.HEAD)
    assert "empty" in words(sets.importance([], [row], LANES, {}))
    assert "No explainer" in words(sets.importance(HISTORY, [], LANES, {}))


def test_bars_marks_and_their_words_are_those_of_the_same_item_whatever_the_order_of_the_values() -> None:
    values = {"d": 4.0, "b": -2.0, "a": 1.0}
    row = explained("lcer", ("d", "c"), values)
    row["details"]["per_item"][0]["rank_without"] = 77
    figure = sets.importance(HISTORY, [row], LANES, {})
    (bar,), (mark,) = bars(figure), marks(figure)
    assert dict(zip(bar.x, bar.y, strict=True)) == {4: 1.0, 2: -0.5, 1: 0.25}
    for place, height, words_of, opacity in zip(bar.x, bar.y, bar.text, bar.marker.opacity, strict=True):
        item = HISTORY[place - 1]["item"]
        assert f"Film {item}</b><br>value {values[item]:.4g}" in words_of
        assert height == pytest.approx(values[item] / 4.0)
        assert ("rank without it alone 77" in words_of) == (item == "d")
        assert (opacity == 1.0) == (item == "d") == ("not named" not in words_of)
    assert [(place, words_of.split("</b>")[0]) for place, words_of in zip(mark.x, mark.text, strict=True)] == [
        (3, "<b>Film c"),
        (4, "<b>Film d"),
    ]
    (strip,) = [trace for trace in figure.data if trace.type == "scatter" and trace.marker.symbol == "square"]
    assert [words_of.split("</b>")[0] for words_of in strip.text] == [f"<b>Film {i}" for i in "abcd"]


def test_titles_are_text() -> None:
    history = [HISTORY[0] | {"title": "<b>x</b>"}]
    figure = sets.importance(history, [explained("lcer", ("a",), {"a": 1.0})], LANES, {"lcer": "<i>L</i>"})
    assert "&lt;b&gt;x" in bars(figure)[0].text[0]
    assert "&lt;i&gt;L" in words(figure)


def test_support_has_a_bar_per_item_and_says_how_many_it_leaves_out() -> None:
    head = {"pn_s": 0.2, "pn_r": 0.3, "share": 0.5, "share_ranked": 0.4}
    rows = [head | {"item": str(n), "title": f"Film {n}", "replaced": 5 - n} for n in range(4)]
    figure = sets.support(rows, 10)
    assert list(figure.data[0].x) == [5, 4, 3, 2]
    assert figure.data[0].y[0] > figure.data[0].y[1], "the first on top"
    assert figure.layout.yaxis.ticktext[0] == "Film 0"
    assert "first 2 of 4" in sets.support(rows, 10, most=2).layout.xaxis.title.text
    assert "stays the same" in words(sets.support([], 10))


def cell(measured: float, **more: float) -> dict[str, Any]:
    return {"measured": measured, "ci_low": measured - 2, "ci_high": measured + 3, "n": 50} | more


SCORES = [
    {"explainer": "minimal", "label": "Minimal set", "pn": cell(100.0, placebo=15.0), "length": cell(3.0)},
    {"explainer": "lcer", "label": "LCER", "pn": cell(75.0, published=61.4), "length": cell(4.8)},
]


def test_the_scorecard_has_a_panel_per_metric_and_a_line_per_explainer() -> None:
    figure = sets.scorecard(SCORES, {"pn": "Needed", "length": "Items"})
    assert list(figure.layout.yaxis.ticktext) == ["Minimal set", "LCER"]
    assert figure.layout.yaxis.tickvals[0] > figure.layout.yaxis.tickvals[1], "the first row on top"
    measured = [trace for trace in figure.data if trace.error_x.array is not None]
    assert [(trace.x[0], trace.xaxis) for trace in measured] == [(100.0, "x"), (75.0, "x"), (3.0, "x2"), (4.8, "x2")]
    assert (measured[0].error_x.array[0], measured[0].error_x.arrayminus[0]) == (3.0, 2.0)
    placebo, published = (next(t for t in figure.data if t.marker.symbol == s) for s in ("x-thin", "diamond-open"))
    assert (list(placebo.x), list(published.x)) == ([15.0], [61.4])
    assert figure.layout.xaxis.domain[1] < figure.layout.xaxis2.domain[0]
    assert "Nothing is stored" in words(sets.scorecard([], {"pn": "Needed"}))


def test_a_scorecard_with_missing_cells_shows_the_others() -> None:
    rows = [{"explainer": "x", "label": "X", "pn": None}, SCORES[0]]
    figure = sets.scorecard(rows, {"pn": "Needed", "ps": "Enough"})
    assert [trace.x[0] for trace in figure.data if trace.error_x.array is not None] == [100.0]


def test_the_tradeoff_has_a_line_per_parameter_and_a_mark_per_explainer() -> None:
    curve = [{"value": v, "length": 5 - v, "f_ns": 50 + v, "f_ns_low": 49.0, "f_ns_high": 60.0} for v in (0.1, 0.5, 1)]
    point = {"explainer": "minimal", "label": "Minimal set", "length": 3.0, "f_ns": 100.0}
    line, other, mark = sets.tradeoff({"lambda": curve, "alpha": curve[:2], "beta": []}, [point]).data
    assert list(line.text) == ["", "", "lambda 1"], "the end says which way it runs"
    assert list(line.x) == [4.9, 4.5, 4.0]
    assert line.line.dash != other.line.dash
    assert (list(mark.x), list(mark.y)) == ([3.0], [100.0])
    assert line.line.color == palette.of_name("lcer") != mark.marker.color
    assert "No sweep" in words(sets.tradeoff({"lambda": []}, []))


def test_points_that_lie_on_each_other_share_a_label() -> None:
    near = [("A", 3.0, 70.0), ("B", 3.1, 71.0), ("C", 3.0, 90.0), ("D", 22.0, 70.0)]
    points = [{"explainer": n, "label": n, "length": x, "f_ns": y} for n, x, y in near]
    marks = sets.tradeoff({}, points).data
    assert [mark.text[0] for mark in marks] == ["", "B<br>A", "C", "D"], "no mark of the group lies on its names"
    assert [mark.textposition for mark in marks][1:] == ["middle right"] * 3
    beside = [{"explainer": n, "label": n, "length": x, "f_ns": 50.0} for n, x in (("A", 2.0), ("B", 4.0), ("C", 30.0))]
    assert [m.textposition for m in sets.tradeoff({}, beside).data] == ["top center", "middle right", "middle right"]
    assert [mark.customdata[0][0] for mark in marks] == ["A", "B", "C", "D"], "each is named on hover"


def test_agreement_is_a_square_without_its_diagonal() -> None:
    figure = sets.matrix(["A", "<b>"], [[1.0, 0.25], [0.25, None]])
    heat, told = figure.data
    assert list(zip(told.y, told.x, told.text, strict=True)) == [(0, 1, "0.25"), (1, 0, "0.25")]
    assert set(told.textfont.color) != {"#ffffff"}, "white on a pale cell cannot be read"
    assert [list(row) for row in heat.z] == [[None, 0.25], [0.25, None]]
    assert list(figure.layout.yaxis.ticktext) == ["A", "&lt;b&gt;"]
    assert "No agreement" in words(sets.matrix([], []))


@pytest.mark.parametrize("n", [1, 18])
def test_panels_stay_inside_the_figure(n: int) -> None:
    figure = sets.importance(HISTORY, [explained(f"e{i}", ("a",), {"a": 1.0}) for i in range(n)], LANES, {})
    domains = [figure.layout[f"yaxis{i}" if i > 1 else "yaxis"].domain for i in range(1, n + 2)]
    assert all(0 <= low < high <= 1 for low, high in domains)
    assert domains[0][1] <= min(low for low, _ in domains[1:]) + 1e-9, "the history lies under all bars"


def test_a_sweep_of_rules_is_a_line_per_measure_over_evenly_spaced_values() -> None:
    def point(value: str, measured: float | None) -> dict[str, Any]:
        return {"value": value, "measured": measured, "ci_low": 10.0, "ci_high": 90.0}

    figure = rules.sweep({"coverage": [point("10", 40.0), point("500", 80.0)], "held": [point("500", None)]}, "m <i>")
    line, gone = figure.data
    assert (list(line.x), list(line.y)) == ([0, 1], [40.0, 80.0])
    assert (list(line.error_y.array), list(line.error_y.arrayminus)) == ([50.0, 10.0], [30.0, 70.0])
    assert list(figure.layout.xaxis.ticktext) == ["10", "500"]
    assert list(gone.x) == []
    assert "&lt;i&gt;" in figure.layout.xaxis.title.text
    assert "No sweep is stored" in words(rules.sweep({}, "m"))
    one, other = rules.sweep(
        {"a": [point("1", 2.0)], "b": [point("1", 3.0)]}, "m", {"a": "#123456", "b": "#123456"}
    ).data
    assert (one.line.color, one.line.dash, other.line.dash) == ("#123456", "solid", "dot")
