"""Figures are functions of tables: four rows in, traces and titles out; an empty table says so."""

from __future__ import annotations

import pytest

from recx.figures import compare, data, explanations, history, palette, training

ROWS = [
    {"item": "1", "title": "Alien", "year": 1979, "genres": "Horror|Sci-Fi", "rating": 4.0, "time": 0, "popularity": 7},
    {"item": "2", "title": "<b>$5 & up</b>", "year": None, "genres": "", "rating": None, "time": None, "popularity": 1},
    {"item": "3", "title": "Brazil", "year": 1985, "genres": "Drama", "rating": 5.0, "time": 86400, "popularity": 3},
]
LANES = palette.genre_lanes({"Drama": 9, "Horror": 2, "Sci-Fi": 4})


def words(figure) -> str:
    return " ".join(note.text for note in figure.layout.annotations)


def test_the_six_commonest_genres_have_colours_of_their_own_and_an_item_takes_its_rarest() -> None:
    counts = {f"g{n}": 100 - n for n in range(9)}
    lanes = palette.genre_lanes(counts)
    assert list(lanes) == ["g0", "g1", "g2", "g3", "g4", "g5"]
    assert len(set(lanes.values())) == 6
    assert palette.lane_of("g0|g4|g8", lanes) == "g4"
    assert palette.lane_of("g8", lanes) == palette.lane_of("", lanes) == palette.lane_of(None, lanes) == "other"


def test_a_name_has_one_colour_everywhere() -> None:
    assert palette.of_name("ease") == palette.of_name("ease") != palette.of_name("multvae")
    assert palette.of_name("somebody-elses").startswith("#")


def test_the_timeline_has_one_mark_per_item_in_the_lane_of_its_genre() -> None:
    figure = history.timeline(ROWS, LANES, off=("3",), named={"1"})
    ring, marks = figure.data
    assert list(marks.x) == [1, 2, 3]
    assert list(marks.y) == ["Horror", "other", "Drama"]
    assert list(marks.customdata) == ["1", "2", "3"]
    assert list(marks.marker.symbol) == ["circle", "circle", "circle-open"]
    assert list(ring.x) == [1]
    assert "oldest" in figure.layout.xaxis.title.text
    assert "&lt;b&gt;$5 &amp; up&lt;/b&gt;" in marks.text[1]
    assert "1970-01-02" in marks.text[2]


def test_the_timeline_has_the_same_height_for_any_history() -> None:
    assert history.timeline([], LANES).layout.height == history.timeline(ROWS * 200, LANES).layout.height
    assert "empty" in words(history.timeline([], LANES))


def explanation(name: str, items: tuple[str, ...], necessary: bool | None) -> dict:
    return {"explainer": name, "items": items, "titles": tuple(f"Film {i}" for i in items), "necessary": necessary}


def test_agreement_puts_the_items_named_most_often_first_and_fills_what_is_needed() -> None:
    rows = [
        explanation("minimal", ("1", "2"), True),
        explanation("association", ("2",), False),
        explanation("lcer", (), None),
    ]
    figure = explanations.agreement(rows)
    assert figure.layout.xaxis.ticktext[0] == "Film 2"
    assert [trace.marker.symbol for trace in figure.data[:2]] == ["circle", "circle-open"]
    assert len({trace.marker.color for trace in figure.data}) == 3
    assert list(figure.layout.yaxis.categoryarray) == ["lcer", "association", "minimal"]
    named = explanations.agreement(rows, {"minimal": "Minimal <set>"})
    assert "Minimal &lt;set&gt;" in named.layout.yaxis.categoryarray
    assert "No explainer" in words(explanations.agreement([explanation("lcer", (), None)]))


def test_agreement_says_how_many_items_it_leaves_out() -> None:
    figure = explanations.agreement([explanation("lcer", tuple(map(str, range(20))), True)], most=12)
    assert "12" in words(figure)
    assert "20" in words(figure)


def test_effects_show_the_strongest_and_colour_by_direction() -> None:
    rows = [
        {"item": str(n), "title": f"Film {n}", "effect": e, "rank_without": n + 1}
        for n, e in enumerate([0.5, -0.1, 0.0, -2.0])
    ]
    (bars,) = explanations.effects(rows, most=3).data
    assert list(bars.x) == [-2.0, -0.1, 0.5]
    assert list(bars.marker.color) == [palette.YES, palette.YES, palette.NO]
    assert "no item" in words(explanations.effects([]))


def test_a_slope_joins_what_both_lists_hold() -> None:
    left = [{"item": i, "title": f"Film {i}", "rank": r, "held_out": False} for r, i in enumerate("abc", 1)]
    right = [{"item": i, "title": f"Film {i}", "rank": r, "held_out": i == "d"} for r, i in enumerate("dba", 1)]
    figure = compare.slope(left, right, ("pinned", "now"))
    lines = [trace for trace in figure.data if trace.mode == "lines"]
    assert sorted(tuple(line.y) for line in lines) == [(1, 3), (2, 2)]
    marks = [trace for trace in figure.data if trace.mode != "lines"]
    assert list(marks[0].marker.symbol) == ["circle", "circle", "circle-open"]
    assert marks[1].text[0].startswith("★")
    assert "empty" in words(compare.slope([], [], ("a", "b")))


def test_agreement_over_users_is_a_bar_per_number_of_common_items() -> None:
    rows = [{"common": c, "users": n} for c, n in enumerate([5, 2, 3])]
    figure = compare.in_common(rows, 2, 0.8)
    (bars,) = figure.data
    assert (list(bars.x), list(bars.y)) == ([0, 1, 2], [5, 2, 3])
    assert "of 10 users" in bars.hovertemplate
    assert figure.layout.shapes[0].x0 == 0.8
    assert "of 2" in figure.layout.xaxis.title.text
    assert "No user" in words(compare.in_common([], 2, 0.0))


def test_a_training_shows_loss_and_validation_and_rings_the_best_epoch() -> None:
    rows = [
        {"epoch": 1, "loss": 2.0, "quality": 0.1},
        {"epoch": 2, "loss": None, "quality": 0.3},
        {"epoch": 3, "loss": 0.5, "quality": None},
        {"epoch": 4, "loss": 0.4, "quality": 0.2},
    ]
    figure = training.curves(rows)
    loss, quality, best = figure.data
    assert (list(loss.x), list(loss.y)) == ([1, 3, 4], [2.0, 0.5, 0.4])
    assert (list(quality.x), list(quality.y)) == ([1, 2, 4], [0.1, 0.3, 0.2])
    assert (list(best.x), list(best.y)) == ([2], [0.3])
    assert (loss.yaxis, quality.yaxis) == ("y", "y2")
    assert "loss" in figure.layout.yaxis.title.text
    assert figure.layout.xaxis.domain[1] < figure.layout.xaxis2.domain[0], "two panels side by side"


def test_a_training_without_epochs_or_validation_says_so_at_the_same_height() -> None:
    empty, unchecked = training.curves([]), training.curves([{"epoch": 1, "loss": 2.0, "quality": None}])
    assert empty.layout.height == unchecked.layout.height == training.HEIGHT
    assert "No epoch" in words(empty)
    assert "not checked" in words(unchecked)


def test_the_long_tail_is_drawn_on_two_log_axes_and_thinned() -> None:
    figure = data.long_tail([1] * 50_000 + [900, 30])
    assert figure.layout.xaxis.type == figure.layout.yaxis.type == "log"
    assert len(figure.data[0].x) <= 600
    assert (figure.data[0].y[0], figure.data[0].y[-1]) == (900, 1)


@pytest.mark.parametrize(
    "figure",
    [
        data.long_tail([]),
        data.counts({}, "rating", nothing="This data set has no ratings."),
        data.over_time({}),
        data.genres({}, {}),
    ],
)
def test_no_data_is_said_in_words_at_the_same_height(figure) -> None:
    assert figure.layout.height == data.HEIGHT
    assert words(figure)


def test_bars_show_the_counts_given() -> None:
    (bars,) = data.counts({"1": 3, "5": 8}, "rating", nothing="-").data
    assert (list(bars.x), list(bars.y)) == (["1", "5"], [3, 8])
    (bars,) = data.genres({"Drama": 2, "Noir": 9}, {"Drama": "blue"}).data
    assert list(bars.y) == ["Drama", "Noir"]
    assert list(bars.marker.color) == [palette.GENRE_COLOURS["blue"], palette.OTHER[1]]
