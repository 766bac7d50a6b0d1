"""The real engine: processes of its own, one answer per question, jobs that survive lost workers and closed tabs."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from recx.core.errors import BadInput
from recx.engine.client import Answer, Engine
from recx.engine.probe import Probe, ProbeLong, ProbeQuick, ProbeSum
from recx.engine.serve import stop_engine

PATIENCE = 90.0
"""Seconds after which a condition counts as never met; on a busy machine workers take long to start."""


def until(condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """The first true value of a condition, looked at again and again."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("the condition was never met")


def ended(engine: Engine, key: str) -> Any:
    return until(lambda: (job := engine.job(key)) and not job.open and job)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("engine-home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECX_HOME", str(folder))
        patch.delenv("RECX_SCHEDULER", raising=False)
        yield folder
        stop_engine()


@pytest.fixture(scope="module")
def engine(home):
    held = Engine.connect()
    assert until(lambda: held.ask(ProbeSum((Probe("first"),)), wait=PATIENCE).done)
    yield held
    held.close()


def processes_of(home) -> list[psutil.Process]:
    """The processes whose RECX_HOME is this one, ours excepted."""
    found = []
    for process in psutil.process_iter():
        try:
            alive = process.status() != psutil.STATUS_ZOMBIE and process.pid != os.getpid()
            if alive and process.environ().get("RECX_HOME") == str(home):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def test_an_answer_comes_back_and_is_stored(engine):
    answer = engine.ask(Probe("stored", 3), wait=PATIENCE)
    assert answer.result["steps"] == 3
    assert answer.result["pid"] != os.getpid(), "the asking process must not compute"
    assert engine.ask(Probe("stored", 3)).result == answer.result
    job = engine.job(engine.store.key(Probe("stored", 3)))
    assert (job.state, job.fraction, job.worker, job.lane) == ("done", 1.0, "batch", "batch")


def test_one_question_from_many_is_computed_once(engine, home):
    recipe = Probe("flight", 10, 0.1)
    others = [Engine.connect() for _ in range(3)]
    answers: list[Answer] = []
    threads = [threading.Thread(target=lambda e=e: answers.append(e.ask(recipe, wait=PATIENCE))) for e in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for other in others:
        other.close()
    assert len({answer.result["pid"] for answer in answers}) == 1
    job = engine.job(engine.store.key(recipe))
    assert job.attempt == 1
    assert job.log.count("started") == 1


def test_progress_is_seen_while_it_waits_and_while_it_runs(engine):
    asked = engine.ask(ProbeSum((Probe("watched", 12, 0.15),)), wait=0.0)
    key, below = asked.job.key, engine.store.key(Probe("watched", 12, 0.15))
    first = until(lambda: (job := engine.job(key)) and job.fraction > 0 and job)
    assert (first.state, first.message.startswith("first: Probe, step")) == ("queued", True)
    running = until(lambda: (job := engine.job(below)) and job.fraction > 0.3 and job)
    assert running.state == "running"
    assert ended(engine, key).state == "done"
    assert engine.ask(ProbeSum((Probe("watched", 12, 0.15),))).result == {"steps": 12}


def test_a_short_question_does_not_wait_behind_a_long_job(engine):
    engine.ask(Probe("ready"), wait=PATIENCE)
    slow = engine.ask(Probe("slow", 200, 0.1), wait=0.0).job
    until(lambda: engine.job(slow.key).state == "running")
    assert engine.ask(ProbeQuick(Probe("ready")), wait=10.0).result["twice"] == 2
    assert engine.job(slow.key).state == "running"
    engine.cancel(slow.key)
    assert ended(engine, slow.key).state == "cancelled"


def test_a_slow_question_does_not_hold_up_the_next_one(engine):
    engine.ask(Probe("ready"), wait=PATIENCE)
    slow = engine.ask(ProbeLong(Probe("slow question", 600, 0.1)), wait=0.0).job
    until(lambda: engine.job(slow.key).state == "running")
    assert engine.ask(ProbeQuick(Probe("ready")), wait=10.0).result["twice"] == 2
    assert engine.job(slow.key).state == "running"
    engine.cancel(slow.key)
    assert ended(engine, slow.key).state == "cancelled"


def test_what_is_kept_in_memory_comes_back_and_leaves_no_row(engine):
    recipe = ProbeQuick(Probe("kept", 5))
    assert engine.ask(recipe, wait=PATIENCE).result["twice"] == 10
    assert engine.table.get(engine.store.key(recipe)) is None
    assert engine.peek(recipe)["twice"] == 10
    assert Engine(start=False).peek(recipe) is None


def test_what_is_kept_in_memory_can_be_polled_for(engine):
    recipe = ProbeQuick(Probe("polled", 6, 0.1))
    job = engine.ask(recipe, wait=0.0).job
    until(lambda: engine.job(job.key) is None)
    until(
        lambda: engine.peek(recipe) is not None
    )  # the row goes when the worker is done, the result is then on its way
    assert engine.peek(recipe)["twice"] == 12


def test_a_cancelled_job_stops_and_is_asked_again_only_when_told(engine):
    recipe = Probe("cancel me", 600, 0.1)
    key = engine.ask(recipe, wait=0.0).job.key
    until(lambda: engine.job(key).state == "running")
    start = time.monotonic()
    assert engine.cancel(key) == [key]
    assert ended(engine, key).state == "cancelled"
    assert time.monotonic() - start < 10
    assert engine.ask(recipe).job.state == "cancelled"
    assert engine.retry(key).open
    assert engine.job(key).attempt == 2
    engine.cancel(key)
    assert ended(engine, key).state == "cancelled"


def test_a_cancel_takes_along_what_nobody_else_waits_for(engine):
    own, shared = Probe("own", 600, 0.1), Probe("shared", 30, 0.1)
    first, other = ProbeSum((own, shared)), ProbeSum((shared,))
    key = engine.ask(first, wait=0.0).job.key
    kept = engine.ask(other, wait=0.0).job.key
    assert set(engine.cancel(key)) == {key, engine.store.key(own)}
    assert ended(engine, key).state == "cancelled"
    assert ended(engine, kept).state == "done"


@pytest.mark.parametrize(
    ("trouble", "said", "traced"), [("input", "told to fail: clear", False), ("bug", "failed: KeyError", True)]
)
def test_a_failure_is_a_sentence_with_its_cause_above(engine, trouble, said, traced):
    recipe = ProbeSum((Probe(trouble, 1, 0.0, trouble),))
    job = ended(engine, engine.ask(recipe, wait=5.0).job.key)
    below = engine.job(engine.store.key(recipe.parts[0]))
    assert (job.state, below.state) == ("failed", "failed")
    assert said in below.error
    assert "\n" not in below.error
    assert job.error == f"Probe: {below.error}"
    assert ("Traceback" in below.log) == traced
    assert engine.ask(recipe).job.state == "failed", "it must not be tried again by itself"
    assert engine.ask(ProbeSum((*recipe.parts, Probe("x"))), wait=0.0).job.error == job.error
    again = engine.retry(job.key)
    assert ended(engine, again.key).attempt == 2
    assert engine.job(below.key).attempt == 2


def test_a_question_that_makes_no_sense_is_refused_at_the_door(engine):
    from recx.core.recipe import Named
    from recx.recipes.data import Data
    from recx.recipes.tables import Card

    with pytest.raises(BadInput, match="no-such"):
        engine.ask(Card(Data(Named("data.sources", "no-such"))))


def test_a_job_outlives_who_asked(engine):
    tab = Engine.connect()
    key = tab.ask(Probe("outlives", 8, 0.1), wait=0.0).job.key
    tab.close()
    assert ended(engine, key).state == "done"


def test_a_killed_worker_costs_a_restart_not_the_job(engine):
    recipe = ProbeSum((Probe("killed", 20, 0.1),))
    key = engine.ask(recipe, wait=0.0).job.key
    below = engine.store.key(recipe.parts[0])
    pid = until(lambda: (job := engine.job(below)) and job.fraction > 0.2 and job.pid)
    os.kill(pid, 9)
    assert ended(engine, key).state == "done"
    job = engine.job(below)
    assert (job.state, job.restarts, job.pid != pid) == ("done", 1, True)
    assert "started again after its worker was lost" in job.log


@pytest.mark.slow
def test_a_job_that_kills_every_worker_fails_with_a_sentence(engine):
    key = engine.ask(Probe("murder", 6000, 0.1), wait=0.0).job.key
    killed: set[int] = set()
    while (job := engine.job(key)).open:
        if job.state == "running" and job.pid not in killed:
            killed.add(job.pid)
            os.kill(job.pid, 9)
        time.sleep(0.05)
    assert (job.state, len(killed)) == ("failed", 4)
    assert "killed four times" in job.error


def test_nothing_of_it_is_left_when_it_is_told_to_stop(engine, home):
    """The last one: it ends the engine of this module, while a job runs."""
    key = engine.ask(Probe("cut off", 6000, 0.1), wait=0.0).job.key
    until(lambda: engine.job(key).state == "running")
    assert len(processes_of(home)) >= 3
    assert stop_engine()
    until(lambda: not processes_of(home), 10)
    assert not (home / "engine.json").exists()
    assert engine.job(key).state == "interrupted"
    assert not engine.alive()
