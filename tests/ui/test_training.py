"""How a training ended, in words; the groups of its form; the menu of models."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from recx.engine.catalogue import Catalogue
from recx.engine.jobs import Job
from recx.ui import bring, models, settings, training

CURVE = [
    {"epoch": 1, "loss": 2.0, "quality": 0.10, "seconds": 30.0},
    {"epoch": 2, "loss": 1.0, "quality": 0.30, "seconds": 61.0},
    {"epoch": 3, "loss": 0.5, "quality": None, "seconds": 90.0},
]


@pytest.mark.parametrize(
    ("report", "words"),
    [
        ({"stopped": "max_seconds", "converged": False}, "Stopped by its time limit after 1 min 30 s, not converged."),
        ({"stopped": "patience", "converged": True}, "Converged: 3 epochs"),
        ({"stopped": "epochs", "converged": False}, "Stopped after its 3 epochs, not converged"),
        ({"stopped": "epochs", "converged": True}, "Ended after its 3 epochs."),
        ({"stopped": "diverged", "note": "lower the learning rate"}, "diverged .* Lower the learning rate\\."),
    ],
)
def test_the_end_of_a_training_is_said(report: dict[str, Any], words: str) -> None:
    said = training.ended({"epochs": 3, "seconds": 95.0, "curve": CURVE} | report).replace("\\", "")
    assert re.search(words, said), said
    assert "after epoch 2 is kept (validation 0.3000)" in said


def test_a_model_without_epochs_has_nothing_to_converge() -> None:
    assert training.ended({"converged": True, "seconds": 0.1}).startswith("Computed at once")


def test_accuracy_stands_beside_its_floors_and_what_is_not_above_one_is_said() -> None:
    metrics = {"hr@10": 0.2, "ndcg@10": 0.1, "recall@20": 0.3, "n": 9, "rmse": 0.9}
    floors = {"toppop": metrics | {"ndcg@10": 0.15}, "chance": metrics | {"ndcg@10": 0.01, "rmse": None}}
    rows = training.accuracy("SASRec", metrics, floors)
    assert [row["model"] for row in rows] == ["SASRec", "toppop (floor)", "chance (floor)"]
    assert list(rows[0]) == ["model", "HR@10", "NDCG@10", "Recall@20", "RMSE"]
    assert (rows[0]["NDCG@10"], rows[2]["RMSE"]) == ("0.1000", "–")
    assert "not above toppop:" in training.beside("sasrec", metrics, floors)
    assert training.beside("sasrec", metrics | {"ndcg@10": 0.2}, floors) == ""
    assert training.beside("toppop", metrics, floors) == "", "a floor is not said to be below itself"


def test_a_lost_worker_is_said_with_the_epoch_where_the_training_goes_on() -> None:
    log = "12:00:00 started\n12:00:09 started again after its worker was lost\n12:00:10 resumed after epoch 7\n"
    assert training.resumed(Job("a", log=log, restarts=1)) == "Its worker was lost: resumed after epoch 7."
    assert training.resumed(Job("a", restarts=1)) == "Its worker was lost: it begins again."
    cancelled_before = Job("a", log="12:00:00 started\n12:00:01 resumed after epoch 7\n")
    assert training.resumed(cancelled_before) == "Resumed after epoch 7."
    assert training.resumed(Job("a", log="12:00:00 started")) == training.resumed(None) == ""


def field(name: str, low: float | None = None, high: float | None = None) -> dict[str, Any]:
    return {"name": name, "type": "float", "default": 1.0, "text": "t", "low": low, "high": high}


def test_a_long_form_has_groups_and_a_short_one_none() -> None:
    rows = [field(name) for name in ("epochs", "dim", "lr", "max_seconds", "blocks")]
    found = settings.grouped(rows)
    assert {heading: [row["name"] for row in own] for heading, own in found.items()} == {
        "Model": ["dim", "blocks"],
        "Learning": ["lr"],
        "When to stop": ["epochs", "max_seconds"],
    }
    assert list(settings.grouped(rows[:3])) == [""]
    assert settings.grouped([]) == {}


def test_a_range_is_said_in_words() -> None:
    said = [settings.allowed(field("x", *span)) for span in ((1, 4096), (0.5, None), (None, 3), (None, None), (0, 1))]
    assert said == ["1 to 4,096", "at least 0.5", "at most 3", "", "0 to 1"]
    assert settings.allowed(field("x", 1e-7, 1_000_000)) == "1e-7 to 1e6"
    assert settings.allowed(field("x", -0.5, 123_456)) == "−0.5 to 1.23e5"


TITLES = {
    "ease": "EASE: closed form",
    "random": "Random: any order",
    "ncf": "NeuMF: two towers",
    "toppop": "Most popular: the same for everybody",
    "sasrec": "SASRec: attention",
}


def test_the_menu_is_in_the_order_of_its_labels_the_floors_that_ignore_the_person_last() -> None:
    known = Catalogue({"models": {name: {"name": name, "title": title} for name, title in TITLES.items()}}, {})
    assert models.ordered(known) == ["ease", "ncf", "sasrec", "random", "toppop"]
    labels = {name: models.label(known, name) for name in TITLES}
    assert labels["sasrec"] == "SASRec"
    assert labels["ncf"] == "NeuMF (ncf)", "a search for either finds it"
    assert labels["toppop"] == "Most popular (toppop) · floor"


def test_only_files_below_the_data_folders_can_be_named_when_others_are_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECX_DATA", str(tmp_path / "data"))
    inside, outside = tmp_path / "data" / "x.csv", tmp_path / "x.csv"
    assert bring.may_read(outside, "127.0.0.1")
    assert bring.may_read(inside, "0.0.0.0")
    assert not bring.may_read(outside, "0.0.0.0")
    assert not bring.may_read(tmp_path / "data" / ".." / "x.csv", "")


def test_columns_of_one_name_are_told_apart() -> None:
    assert bring.distinct(["a", "b", "a", "a"]) == ["a", "b", "a (2)", "a (3)"]
    assert bring.column_label("", True) == "(no name)"
    assert bring.column_label("3", False) == "column 3"
