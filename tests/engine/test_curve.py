"""The live loss curve: what the training loop says of its epochs is kept, point by point, while a job runs."""

from __future__ import annotations

import sqlite3
import time

import pytest
import torch

from recx.engine import curve, jobs
from recx.engine.jobs import Job, Jobs
from recx.models._training import Schedule, train

A, B = "a" * 32, "b" * 32


@pytest.fixture
def table(tmp_path):
    held = Jobs(tmp_path / "jobs.sqlite")
    yield held
    held.close()


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("epoch 3: loss 0.6931, validation 0.0712", {"epoch": 3, "loss": 0.6931, "quality": 0.0712}),
        ("epoch 1,234: loss -2.5", {"epoch": 1234, "loss": -2.5, "quality": None}),
        ("epoch 2: loss 1e-05, validation 0.5", {"epoch": 2, "loss": 1e-05, "quality": 0.5}),
        ("epoch 2: loss nan, validation 0.5", {"epoch": 2, "loss": None, "quality": 0.5}),
        ("epoch 2: batch 17", None),
        ("resumed after epoch 4", None),
        ("reading planted", None),
        ("", None),
    ],
)
def test_a_message_of_the_training_loop_becomes_a_point(message, expected):
    assert curve.point(message) == expected


def test_messages_that_differ_in_figures_are_of_one_kind():
    assert curve.kind("epoch 3: batch 1,017") == curve.kind("epoch 44: batch 2")
    assert curve.kind("epoch 3: batch 1") != curve.kind("epoch 3: loss 0.5")


def test_every_epoch_that_the_real_loop_reports_is_read():
    """The loop and the reader agree on the words: the points are the curve of the report, to the digits said."""
    said = []
    module = torch.nn.Linear(2, 1)
    x, y = torch.eye(2), torch.ones(2, 1)
    report = train(
        module,
        torch.optim.SGD(module.parameters(), lr=0.1),
        lambda epoch: iter([0, 1]),
        lambda batch: ((module(x) - y) ** 2).mean(),
        lambda: float(-((module(x) - y) ** 2).mean()),
        Schedule(epochs=5, patience=9, max_seconds=60, check_every=2),
        lambda fraction, message="": said.append(message),
    )
    points = [point for point in map(curve.point, said) if point]
    assert [point["epoch"] for point in points] == [1, 2, 3, 4, 5]
    for point, row in zip(points, report["curve"], strict=True):
        assert point["loss"] == pytest.approx(row["loss"], abs=5e-5)
        assert (point["quality"] is None) == (row["quality"] is None)
        assert point["quality"] == pytest.approx(row["quality"], abs=5e-5)


def started(table: Jobs, key: str = A):
    row = table.put([Job(key)])[0]
    table.start(key, row.attempt)
    return table.progress(key, row.attempt)


def test_no_epoch_is_lost_between_two_writes(table):
    """A hundred epochs in less than a tick, batches between them: all are there after the next write."""
    tell = started(table)
    for epoch in range(1, 101):
        tell(0.0, f"epoch {epoch}: batch 1")
        tell(0.0, f"epoch {epoch}: loss {1 / epoch:.4f}, validation {epoch / 100:.4f}")
    time.sleep(jobs.TICK)
    tell(1.0, "epoch 101: batch 1")
    rows = table.curve(A)
    assert [row["epoch"] for row in rows] == list(range(1, 101))
    assert rows[49] == {"epoch": 50, "loss": 0.02, "quality": 0.5}


def test_the_log_holds_epochs_and_new_kinds_of_message_not_every_batch(table):
    tell = started(table)
    for message in ("reading", "resumed after epoch 4", "epoch 5: batch 1", "epoch 5: batch 2", "epoch 5: loss 0.5"):
        tell(0.0, message)
    time.sleep(jobs.TICK)
    tell(0.5, "epoch 6: batch 1")
    words = [line.split(" ", 1)[1] for line in table.get(A).log.splitlines()]
    assert words == ["started", "reading", "resumed after epoch 4", "epoch 5: batch 1", "epoch 5: loss 0.5"]


def test_a_lost_worker_keeps_the_curve_and_a_new_attempt_begins_it_anew(table):
    tell = started(table)
    tell(0.1, "epoch 1: loss 0.9")
    table.start(A, 1)  # Dask gives the task to another worker
    again = table.progress(A, 1)
    again(0.1, "epoch 2: loss 0.5")
    assert [row["loss"] for row in table.curve(A)] == [0.9, 0.5]
    table.finish(A, 1, "failed", "no")
    table.put([Job(A)])
    assert table.curve(A) == []


def test_an_old_attempt_adds_no_point_and_curves_go_with_their_jobs(table):
    late = started(table)
    table.finish(A, 1, "cancelled")
    with pytest.raises(jobs.Cancelled):
        late(0.1, "epoch 1: loss 0.9")
    assert table.curve(A) == []
    started(table, B)(0.1, "epoch 1: loss 0.9")
    assert table.curve(B)
    table.finish(B, 1, "done")
    table.clean()
    assert table.curve(B) == []


def test_a_table_of_jobs_of_an_older_version_is_opened(tmp_path):
    held = Jobs(tmp_path / "jobs.sqlite")
    held.put([Job(A)])
    held.close()
    with sqlite3.connect(tmp_path / "jobs.sqlite") as old:
        old.execute("DROP TABLE curves")
    again = Jobs(tmp_path / "jobs.sqlite")
    assert again.get(A) is not None
    assert again.curve(A) == []
    again.close()
