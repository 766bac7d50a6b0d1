"""How an engine begins and ends: found, probed, replaced, idle, killed; nothing of it stays behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest

from recx.engine import cluster
from recx.engine.client import Engine, EngineGone, start_engine
from recx.engine.code import package_version
from recx.engine.jobs import Job, Jobs
from recx.engine.probe import Probe, ProbeQuick, ProbeSum
from recx.engine.serve import stop_engine

from .test_engine import ended, processes_of, until


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("RECX_HOME", str(tmp_path))
    monkeypatch.delenv("RECX_SCHEDULER", raising=False)
    yield tmp_path
    if (card := cluster.card(probe=False)) and card["pid"] != os.getpid():
        stop_engine()
    until(lambda: not processes_of(tmp_path), 15)


def write_card(home, **changes):
    me = psutil.Process()
    card = {"address": "tcp://127.0.0.1:1", "pid": me.pid, "start": me.create_time(), "id": "local:1:1"}
    (home / "engine.json").write_text(json.dumps(card | {"code": package_version(), "started": ""} | changes))


@pytest.mark.parametrize("changes", [{"pid": 2**22 - 3}, {"start": 1.0}, {}, {"address": "nonsense"}])
def test_a_stale_address_is_known_at_once(home, changes):
    write_card(home, **changes)
    start = time.monotonic()
    assert cluster.card() is None
    assert not Engine(start=False).alive()
    with pytest.raises(EngineGone, match="recx engine"):
        Engine(start=False).ask(Probe())
    assert time.monotonic() - start < 1.5


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}'])
def test_a_damaged_address_file_is_no_engine(home, text):
    (home / "engine.json").write_text(text)
    assert cluster.card() is None


def test_an_address_that_swallows_everything_is_known_at_once(home, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        monkeypatch.setenv("RECX_SCHEDULER", f"tcp://127.0.0.1:{deaf.getsockname()[1]}")
        start = time.monotonic()
        with pytest.raises(EngineGone, match="no engine answers"):
            Engine.connect().ask(Probe())
        assert time.monotonic() - start < 1.5


def test_kill_9_leaves_no_worker_and_an_interrupted_job_that_is_asked_again(home):
    held = Engine.connect()
    recipe = Probe("interrupted", 40, 0.1)
    key = held.ask(recipe, wait=0.0).job.key
    until(lambda: held.job(key).state == "running")
    first = cluster.card()
    os.kill(first["pid"], signal.SIGKILL)
    until(lambda: not processes_of(home), 15)
    assert held.job(key).state == "interrupted"
    assert "ask again" in held.job(key).error
    answer = held.ask(recipe, wait=0.0)
    assert answer.job.attempt == 2
    assert ended(held, key).state == "done"
    assert cluster.card()["pid"] != first["pid"]
    held.close()


def test_a_new_engine_marks_what_a_dead_one_left(home):
    table = Jobs()
    table.put([Job("a" * 32, engine="local:1:1"), Job("b" * 32, engine="tcp://elsewhere:8786")])
    table.start("a" * 32, 1)
    start_engine()
    assert table.get("a" * 32).state == "interrupted"
    assert table.get("b" * 32).state == "queued"


def test_two_that_start_at_once_end_up_with_one(home):
    both = [subprocess.Popen([sys.executable, "-m", "recx", "engine"], stdout=subprocess.PIPE) for _ in range(2)]
    gone = until(lambda: [process for process in both if process.poll() is not None])
    assert len(gone) == 1
    assert gone[0].returncode == 0
    assert b"running already" in gone[0].communicate()[0]
    assert cluster.card()["pid"] in [process.pid for process in both]
    stop_engine()
    for process in both:
        process.communicate(timeout=15)


def test_it_ends_when_nobody_asks_anything(home, monkeypatch):
    monkeypatch.setenv("RECX_IDLE_SECONDS", "1")
    start_engine()
    until(lambda: not processes_of(home), 30)
    assert not (home / "engine.json").exists()
    assert "nobody asked anything for long" in (home / "engine.log").read_text()


def test_it_ends_when_another_takes_over(home):
    pid = start_engine()["pid"]
    write_card(home, id="local:2:2")
    until(lambda: not [process for process in processes_of(home) if process.pid == pid], 15)
    assert json.loads((home / "engine.json").read_text())["id"] == "local:2:2", "the new one's file must stay"


def test_other_code_gets_an_engine_of_its_own(home):
    old = start_engine()
    (home / "engine.json").write_text(json.dumps(old | {"code": "older"}))
    new = start_engine()
    assert new["pid"] != old["pid"]
    until(lambda: not psutil.pid_exists(old["pid"]) or psutil.Process(old["pid"]).status() == psutil.STATUS_ZOMBIE, 15)


def test_inline_computes_in_this_process(home, monkeypatch):
    monkeypatch.setenv("RECX_SCHEDULER", "inline")
    held = Engine.connect()
    assert held.ask(ProbeSum((Probe("a", 2), Probe("b", 3)))).result == {"steps": 5}
    assert held.ask(ProbeQuick(Probe("a", 2))).result == {"twice": 4, "pid": os.getpid()}
    failed = held.ask(Probe("bad", trouble="input")).job
    assert (failed.state, failed.error[:10]) == ("failed", "this probe")
    assert held.ask(Probe("bad", trouble="input"), again=True).job.attempt == 2
    assert cluster.card() is None
    held.close()
