"""The table of jobs, and recipes as text."""

from __future__ import annotations

import errno
import re
import sqlite3
import threading
import time

import pytest

from recx.core.errors import BadInput
from recx.core.progress import Cancelled
from recx.core.recipe import Named
from recx.engine import _task, _wire, jobs
from recx.engine.jobs import Job, Jobs
from recx.engine.probe import Probe, ProbeQuick, ProbeSum
from recx.recipes._build import fit_of
from recx.recipes.fit import Evaluate
from recx.recipes.people import Person
from recx.recipes.recommend import Recommend

A, B, C = ("a" * 32, "b" * 32, "c" * 32)


@pytest.fixture
def table(tmp_path):
    held = Jobs(tmp_path / "jobs.sqlite")
    yield held
    held.close()


def test_an_open_job_is_joined_and_an_ended_one_begins_anew(table):
    assert table.put([Job(A, "first")])[0].attempt == 1
    assert table.put([Job(A, "second")])[0].title == "first"
    table.start(A, 1)
    assert table.put([Job(A)])[0].state == "running"
    assert table.finish(A, 1, "failed", "no")
    again = table.put([Job(A)])[0]
    assert (again.attempt, again.state, again.error) == (2, "queued", "")


def test_an_old_attempt_can_no_longer_write(table):
    table.put([Job(A)])
    table.start(A, 1)
    tell = table.progress(A, 1)
    table.finish(A, 1, "failed", "no")
    table.put([Job(A)])
    assert table.start(A, 1) is None
    assert not table.finish(A, 1, "done")
    with pytest.raises(Cancelled):
        tell(0.5, "late")
    assert table.get(A).state == "queued"


def test_progress_is_throttled_and_kept_within_bounds(table, monkeypatch):
    table.put([Job(A)])
    table.start(A, 1)
    writes = []
    monkeypatch.setattr(table, "_tell", lambda *what: writes.append(what))
    tell = table.progress(A, 1)
    start = time.monotonic()
    while time.monotonic() - start < 2.5 * jobs.TICK:
        tell(0.5, "again")
    assert 2 <= len(writes) <= 4
    monkeypatch.undo()
    table._tell(A, 1, 1.7, "too far", "")
    assert table.get(A).fraction == 1.0


def test_a_cancel_is_heard_at_the_next_progress(table):
    table.put([Job(A)])
    table.start(A, 1)
    table.cancel(A)
    with pytest.raises(Cancelled):
        table.progress(A, 1)(0.1)
    assert table.cancel(B) == []


def test_a_cancel_spares_what_others_need(table):
    table.put([Job(A), Job(B, needs=(A,)), Job(C, needs=(A,))])
    assert table.cancel(B) == [B]
    assert table.cancel(C) == [C, A]


def test_open_jobs_come_first(table):
    table.put([Job(A)])
    table.start(A, 1)
    table.put([Job(B)])
    table.start(B, 1)
    table.finish(B, 1, "done")
    assert [job.key for job in table.latest()] == [A, B]
    assert table.clean() == 1


def test_many_threads_and_processes_write_at_once(table):
    other = Jobs(table.path)

    def work(number):
        key = f"{number:032d}"
        for held in (table, other):
            held.put([Job(key)])
            held.start(key, held.get(key).attempt)
            held.finish(key, held.get(key).attempt, "done")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {(job.state, job.attempt) for job in table.latest()} == {("done", 2)}
    other.close()


def test_old_rows_go(table):
    for number in range(6):
        table.put([Job(f"{number:032d}")])
        table.finish(f"{number:032d}", 1, "done")
    table.put([Job(A)])
    table.prune(2)
    assert len(table.latest()) == 3


def test_a_recipe_survives_as_text_with_its_device():
    fit = fit_of("planted", "ease", {"l2": 3}, device="cpu", seed=4)
    for recipe in (fit, Recommend(fit, (Person("u1", without=("x",)), Person(None, ("i", "j"))), 5), ProbeSum()):
        assert _wire.from_text(_wire.to_text(recipe)) == recipe
    assert _wire.device_of(Recommend(fit, (Person("u1"),))) == "cpu"
    assert _wire.device_of(ProbeSum()) == "auto"


def test_only_our_own_classes_are_ever_built():
    with pytest.raises(ValueError, match="not a recipe"):
        _wire.from_text('{"recipe": "os.system", "command": "true"}')


def test_what_is_kept_in_memory_is_looked_through():
    fit = fit_of("planted", "ease")
    assert list(_wire.stored_needs(Evaluate(fit))) == [fit]
    assert list(_wire.stored_needs(fit)) == []
    assert list(_wire.stored_needs(ProbeQuick(Probe("x")))) == [Probe("x")]


def test_a_title_names_what_is_in_it():
    assert _wire.title(Evaluate(fit_of("planted", "ease"))) == "Evaluate: ease, leave-one-out, planted"
    assert _wire.title(Probe()) == "Probe"
    assert isinstance(fit_of("planted", "ease").model, Named)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (BadInput("give me a number."), "give me a number."),
        (MemoryError(), "There was not enough memory: choose a smaller data set, model or batch."),
        (OSError(28, "No space"), "The disk is full: free some space or run `python -m recx store clean`."),
        (ValueError("one\ntwo"), "The computation failed: ValueError: one"),
        (RuntimeError(), "The computation failed: RuntimeError"),
    ],
)
def test_a_failure_is_one_sentence(error, said):
    assert _task.sentence(error) == said


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "The disk is full"),
        (RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"), "The disk is full"),
        (sqlite3.OperationalError("database or disk is full"), "The disk is full"),
        (OSError(errno.EROFS, "Read-only file system", "/x/y"), "/x/y cannot be written .*set RECX_HOME"),
        (PermissionError(errno.EACCES, "Permission denied", "/x/y"), "/x/y cannot be written"),
        (sqlite3.OperationalError("attempt to write a readonly database"), "cannot be written .*readonly"),
        (sqlite3.DatabaseError("file is not a database"), "delete .*jobs.sqlite"),
        (MemoryError(), "not enough memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate"), "not enough memory"),
    ],
)
def test_what_the_machine_lacks_is_a_sentence_with_the_cure(error: Exception, says: str) -> None:
    assert re.search(says, _task.machine_trouble(error))
    assert _task.sentence(error) == _task.machine_trouble(error)


def test_other_failures_are_not_blamed_on_the_machine() -> None:
    for error in (
        ValueError("x"),
        FileNotFoundError(errno.ENOENT, "gone"),
        sqlite3.OperationalError("database is locked"),
    ):
        assert _task.machine_trouble(error) == ""
        assert _task.sentence(error).startswith("The computation failed")
