"""The leaderboard: which rows are shown, in which order, what is below a floor, what was cut."""

from __future__ import annotations

from typing import Any

import pytest

from recx.core.errors import BadInput
from recx.figures import board as figures
from recx.figures import palette
from recx.ui import board
from recx.ui.view import View


def row(system: str, metric: str, measured: float, **more: Any) -> dict[str, Any]:
    base = {"dataset": "ml-100k", "setting": "full ranking", "param": None, "param_value": None, "seed": None}
    base |= {"n": 943, "ci_low": measured - 0.01, "ci_high": measured + 0.01, "note": None}
    return base | {"system": system, "metric": metric, "measured": measured} | more


ROWS = [
    row("sasrec", "ndcg@10", 0.12, param="loss", param_value="equal budget"),
    row("sasrec", "hr@10", 0.2, param="loss", param_value="equal budget"),
    row("sasrec", "seconds", 61.0, param="loss", param_value="equal budget"),
    row("sasrec", "parameters", 120_000.0, param="loss", param_value="equal budget"),
    row("sasrec", "converged", 1.0, param="loss", param_value="equal budget"),
    row("sasrec", "ndcg@10", 0.09, param="loss", param_value="as-published", note="Loss checked by hand."),
    row("sasrec", "converged", 0.0, param="loss", param_value="as-published"),
    row("mf", "ndcg@10", 0.01),
    row("ease", "ndcg@10", 0.1),
    row("toppop", "ndcg@10", 0.03),
    row("random", "ndcg@10", 0.005),
    row("sasrec", "ndcg@10", 0.05, param="loss", param_value="as-published", seed=3),  # one seed: not shown
]

SUMMARY = [one for one in ROWS if one["seed"] is None]


def test_one_row_per_system_and_loss_best_first_with_what_was_measured_of_it() -> None:
    found = board.boards([{"rows": ROWS}])["ml-100k"]["full ranking"]
    assert [one["label"] for one in found] == ["sasrec", "ease", "sasrec (as-published)", "toppop", "mf", "random"]
    assert found[2]["measured"] == 0.09, "the summary, not a single seed"
    first = found[0]
    assert (first["measured"], first["hr"], first["seconds"], first["parameters"]) == (0.12, 0.2, 61.0, 120_000.0)
    assert (first["ci_low"], first["n"], first["converged"]) == (pytest.approx(0.11), 943, 1.0)
    assert [one["floor"] for one in found] == [False, True, False, True, False, True]


def test_what_is_below_a_floor_is_marked_and_said() -> None:
    found = {one["label"]: one for one in board.standings(SUMMARY)}
    assert found["sasrec"]["below"] == []
    assert found["sasrec (as-published)"]["below"] == ["ease"]
    assert found["mf"]["below"] == ["toppop", "ease"]
    said = [one.replace("\\", "") for one in board.remarks(board.standings(SUMMARY))]
    assert "**mf** is below toppop and ease: no better than a list that ignores the person." in said
    assert "Below the simple method ease: **sasrec (as-published)**." in said
    assert "**sasrec (as-published)**: Loss checked by hand." in said
    assert "Stopped by the time limit, not converged: sasrec (as-published)." in said
    assert not any("is not in this table" in one for one in said)


def test_a_floor_that_was_not_measured_is_missed() -> None:
    said = board.remarks(board.standings([one for one in SUMMARY if one["system"] != "random"]))
    assert any("The floor random is not in this table" in one for one in said)


def test_a_table_row_says_in_words_what_it_holds() -> None:
    shown = {one["label"]: board.as_shown(one) for one in board.standings(SUMMARY)}
    assert shown["sasrec"]["interval"] == "0.1100 to 0.1300"
    assert (shown["sasrec"]["converged"], shown["sasrec (as-published)"]["converged"]) == ("yes", "no")
    assert shown["mf"]["converged"] == "–"
    assert shown["sasrec"]["seconds"] == "1 min 1 s"
    assert shown["mf"]["note"] == "below toppop and ease"
    assert (shown["ease"]["kind"], shown["mf"]["kind"]) == ("floor", "model")
    half = board.as_shown(board.standings([row("a", "ndcg@10", 0.1), row("a", "converged", 0.6)])[0])
    assert half["converged"] == "60% of seeds"


def test_settings_stand_apart_and_sampled_ones_take_time_from_the_same_fit() -> None:
    other = [row("sasrec", "ndcg@10", 0.6, setting="sampled-100"), row("mf", "ndcg@10", 0.1, dataset="ml-1m")]
    known = board.boards([{"rows": other}, {"rows": ROWS}])
    assert {name: list(settings) for name, settings in known.items()} == {
        "ml-100k": ["full ranking", "sampled-100"],
        "ml-1m": ["full ranking"],
    }
    sampled = known["ml-100k"]["sampled-100"]
    assert [(one["measured"], one["seconds"]) for one in sampled] == [(0.6, 61.0)]


def test_a_link_to_a_board_that_is_not_there_is_a_sentence() -> None:
    known = board.boards([{"rows": ROWS}])
    assert board.chosen(known, View(dataset="planted")) == ("ml-100k", "full ranking")
    assert board.chosen(known, View(dataset="ml-100k", board_setting="full ranking")) == ("ml-100k", "full ranking")
    with pytest.raises(BadInput, match="ml-99k"):
        board.chosen(known, View(board="ml-99k"))
    with pytest.raises(BadInput, match="half ranking"):
        board.chosen(known, View(board_setting="half ranking"))


def test_the_figure_draws_a_dot_with_its_interval_floors_hollow_best_on_top() -> None:
    found = board.standings(SUMMARY)
    models, floors = figures.standings(found, "NDCG@10").data
    assert list(models.x) == [0.12, 0.09, 0.01]
    assert list(models.y) == [6, 4, 2]
    assert models.marker.symbol == "circle"
    assert (floors.marker.symbol, floors.marker.color) == ("circle-open", palette.NEUTRAL)
    assert list(models.error_x.array) == pytest.approx([0.01] * 3)
    figure = figures.standings(found, "NDCG@10")
    assert figure.layout.yaxis.ticktext[0] == "sasrec"
    assert figure.layout.shapes[0].x0 == 0.1, "the best floor"
    assert "95 % interval 0.1100 to 0.1300" in models.text[0]


def test_a_model_without_an_interval_has_none_drawn_and_an_empty_board_says_so() -> None:
    one = board.standings([row("mf", "ndcg@10", 0.1, ci_low=None, ci_high=None)])
    (dots,) = figures.standings(one, "NDCG@10").data
    assert list(dots.error_x.array) == [0.0]
    assert "interval" not in dots.text[0]
    empty = figures.standings([], "NDCG@10")
    assert "Nothing has been measured" in empty.layout.annotations[0].text
