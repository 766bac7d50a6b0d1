"""Asking the engine: stored answers at once, others as jobs that outlive whoever asked."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from recx.core import paths
from recx.engine import _wire, cluster
from recx.engine._codecs import unpack
from recx.engine.code import environment, package_version
from recx.engine.jobs import Job, Jobs
from recx.engine.store import Store

if TYPE_CHECKING:
    from distributed import Client, Future

START_SECONDS = 60.0
"""How long a new engine may take to answer."""
CONNECT_SECONDS = 5.0


class EngineGone(RuntimeError):
    """No engine answers and none could be started; the message says what to do."""


@dataclass(frozen=True)
class Answer:
    """`result` when it is there (`job` is then None), else the job: to poll, or to show the failure of."""

    result: Any | None = None
    job: Job | None = None

    @property
    def done(self) -> bool:
        """Is the result there?"""
        return self.result is not None


class Engine:
    """A holder of the store, the table of jobs and, once something must be computed, a connection; thread-safe."""

    def __init__(self, *, start: bool = True) -> None:
        self.store = Store()
        self.table = Jobs()
        self.scheduler = os.environ.get("RECX_SCHEDULER", "")
        self._start = start
        self._client: Client | None = None
        self._id = ""
        self._lanes: set[str] = set()
        self._futures: dict[str, tuple[Future[Any], Any]] = {}
        self._lock = threading.Lock()
        self._connecting = threading.Lock()
        self.booting: subprocess.Popen[bytes] | None = None

    @classmethod
    def connect(cls, start: bool = True) -> Engine:
        """An engine holder. With `start`, an engine process is started when none answers; nobody waits for it here.

        RECX_SCHEDULER names another cluster (tcp://host:port), or `inline` to compute in this process.
        """
        engine = cls(start=start)
        if start and not engine.scheduler and not _current_card():
            engine.booting = spawn()
        return engine

    # -- asking

    def peek(self, recipe: Any) -> Any | None:
        """The result if it is stored, else None; starts nothing."""
        return self.store.peek(recipe)

    def ask(self, recipe: Any, *, wait: float = 0.3, title: str = "", again: bool = False) -> Answer:
        """The result, when stored or computed within `wait` seconds; else the job.

        One that failed or was cancelled is not tried again unless `again`. Raises EngineGone.
        """
        with self.store.one_moment():
            return self._ask(recipe, wait, title, again)

    def _ask(self, recipe: Any, wait: float, title: str, again: bool) -> Answer:
        found = self.store.peek(recipe)
        if found is not None:
            return Answer(found)
        key = self.store.key(recipe)
        job = self.table.get(key)
        if job and job.state in ("failed", "cancelled") and not again:
            return Answer(job=job)
        if self.scheduler == "inline":
            return self._inline(recipe, key, title)
        future = self._submit(recipe, title, again)
        if future is not None:
            self._wait(future, wait)
            found = self._collect(key)
        job = None if found is not None else self.job(key)
        if found is None and (job is None or not job.open):
            found = self.store.peek(recipe)
        return Answer(found) if found is not None else Answer(job=job)

    def job(self, key: str) -> Job | None:
        """A job as it stands. While it waits for others, its message says which one, and how far that is."""
        self._collect(key)
        job = self.table.get(key)
        if job is None or not job.open:
            return job
        if not self._alive(job.engine):
            self.table.interrupt(job.engine)
            return self.table.get(key)
        return self._with_needs(job) if job.state == "queued" else job

    def jobs(self, limit: int = 200) -> list[Job]:
        """All jobs, those that will still change first."""
        rows = self.table.latest(limit)
        dead = {row.engine for row in rows if row.open and not self._alive(row.engine)}
        for engine in dead:
            self.table.interrupt(engine)
        return self.table.latest(limit) if dead else rows

    def cancel(self, key: str) -> list[str]:
        """Ask a job to stop, and what only it waits for; returns the keys asked. The job ends at its next progress."""
        return self.table.cancel(key)

    def retry(self, key: str) -> Job | None:
        """Ask again for a job that failed, was cancelled or interrupted."""
        job = self.table.get(key)
        if job is None or job.open:
            return job
        return self.ask(_wire.from_text(job.recipe), wait=0.0, title=job.title, again=True).job or self.table.get(key)

    def alive(self) -> bool:
        """Does an engine answer now?"""
        if self.scheduler == "inline":
            return True
        return cluster.answers(self.scheduler) if self.scheduler else cluster.card() is not None

    def close(self) -> None:
        """Drop the connection; jobs go on."""
        with self._lock:
            client, self._client = self._client, None
            self._futures.clear()
        if client is not None:
            with contextlib.suppress(Exception):
                client.close(timeout=1)
        self.table.close()

    # -- submitting

    def _inline(self, recipe: Any, key: str, title: str) -> Answer:
        from recx.engine import _task

        row = self.table.put([replace(self._job(recipe, [], title), engine=f"inline:{os.getpid()}")])[0]
        started = self.table.start(key, row.attempt, worker="inline")
        if started is not None:
            _task.run(started, recipe, self.store, self.table)
        found = self.store.peek(recipe)
        return Answer(found) if found is not None else Answer(job=self.table.get(key))

    def _submit(self, recipe: Any, title: str, again: bool) -> Future[Any] | None:
        """Submit a recipe and all it needs that is not stored; None when something below it has failed before."""
        client = self._connected()
        graph = self._graph(recipe)
        jobs = {key: self._job(one, needs, title if one is recipe else "") for key, (one, needs) in graph.items()}
        own = self.store.key(recipe)
        blocked = None if again else self._blocked(jobs, own)
        rows = {row.key: row for row in self.table.put([jobs[own]] if blocked else jobs.values())}
        if blocked:
            state = "cancelled" if blocked.state == "cancelled" else "failed"
            self.table.finish(own, rows[own].attempt, state, f"{blocked.title}: {blocked.error or blocked.state}")
            return None
        futures: dict[str, Future[Any]] = {}
        for key, (one, needs) in graph.items():
            futures[key] = self._task(client, rows[key], one, [futures[need] for need in needs])
        with self._lock:
            self._futures[own] = (futures[own], recipe)
        return futures[own]

    def _graph(self, recipe: Any) -> dict[str, tuple[Any, list[str]]]:
        """Key -> (recipe, keys it waits for) of a recipe and all below it that is not stored, the lowest first."""
        graph: dict[str, tuple[Any, list[str]]] = {}

        def visit(one: Any) -> str:
            key = self.store.key(one)
            if key not in graph:
                needs = list(dict.fromkeys(visit(need) for need in _wire.stored_needs(one) if not self.store.has(need)))
                graph[key] = (one, needs)
            return key

        visit(recipe)
        return graph

    def _job(self, recipe: Any, needs: list[str], title: str) -> Job:
        return Job(
            self.store.key(recipe),
            title or _wire.title(recipe),
            type(recipe).__name__,
            _wire.to_text(recipe),
            device="" if (device := _wire.device_of(recipe)) == "auto" else device,
            engine=self._id,
            lane=self._lane(recipe),
            needs=tuple(needs),
        )

    def _blocked(self, jobs: dict[str, Job], own: str) -> Job | None:
        """A job below that failed or was cancelled and that nobody asked for again."""
        below = (self.table.get(key) for key in jobs if key != own)
        return next((job for job in below if job and job.state in ("failed", "cancelled")), None)

    def _task(self, client: Client, job: Job, recipe: Any, needs: list[Future[Any]]) -> Future[Any]:
        from distributed import fire_and_forget

        from recx.engine import _task

        future = client.submit(
            _task.compute,
            {"key": job.key, "attempt": job.attempt, "text": job.recipe},
            needs,
            key=cluster.task_key(job.kind, job.key, job.attempt),
            resources={job.lane: 1} if job.lane else None,
            pure=False,
        )
        fire_and_forget(future)
        return future

    def _lane(self, recipe: Any) -> str:
        """The resource a task asks for, among those that some worker offers; empty on a cluster that offers none."""
        device = _wire.device_of(recipe)
        gpu = recipe.lane == "batch" and (device == "auto" or device.startswith("cuda")) and "GPU" in self._lanes
        lane = "GPU" if gpu else recipe.lane
        return lane if lane in self._lanes else ""

    # -- answers of tasks

    def _wait(self, future: Future[Any], seconds: float) -> None:
        with contextlib.suppress(Exception):  # not done in time, or lost: the table of jobs says which
            future.result(timeout=max(seconds, 0.001))

    def _collect(self, key: str) -> Any | None:
        """If the task of a key has ended: let it go, and keep an answer that it sent along."""
        with self._lock:
            held = self._futures.get(key)
            if held is None or held[0].status == "pending":
                return None
            del self._futures[key]
        future, recipe = held
        if future.status == "finished":
            with contextlib.suppress(Exception):
                outcome = future.result(timeout=CONNECT_SECONDS)
                if "payload" in outcome:
                    found = unpack(*outcome["payload"])
                    self.store.remember(recipe, found)
                    return found
        elif future.status == "error":
            cluster.fail_lost(self.table, str(future.key), cluster.KILLED)
        return None

    def _with_needs(self, job: Job) -> Job:
        """A queued job with the message of what it waits for."""
        below = [row for row in map(self.table.get, job.needs) if row]
        waiting = [self._with_needs(row) if row.state == "queued" else row for row in below if row.open]
        if not waiting:
            return job
        first = max(waiting, key=lambda row: (row.state == "running", row.fraction))
        share = (len(below) - len(waiting) + sum(row.fraction for row in waiting)) / (len(below) + 1)
        more = f" (and {len(waiting) - 1} more)" if len(waiting) > 1 else ""
        return replace(job, fraction=share, message=f"first: {first.title}, {first.message or first.state}{more}")

    # -- the connection

    def _alive(self, engine: str) -> bool:
        """Is the engine that a job was given to still there?"""
        if engine.startswith("inline:"):
            import psutil

            return psutil.pid_exists(int(engine.split(":")[1]))
        if engine.startswith("local:"):
            card = cluster.card(probe=False)
            return card is not None and card["id"] == engine
        return cluster.answers(engine)

    def _connected(self) -> Client:
        """A working connection to the engine, started if need be. Raises EngineGone."""
        with self._connecting:
            address, name = (self.scheduler, self.scheduler) if self.scheduler else self._local()
            if self._client is None or self._client.status != "running" or self._id != name:
                self._drop()
                self._client, self._id = self._open(address), name
            if not self._lanes or self.scheduler:
                self._lanes = self._offered(self._client)
            return self._client

    def _local(self) -> tuple[str, str]:
        card = _current_card()
        if card is None:
            if not self._start and cluster.card() is None:
                raise EngineGone("no engine is running: start one with `python -m recx engine`.")
            card = start_engine(self.booting)
        return card["address"], card["id"]

    def _open(self, address: str) -> Client:
        from distributed import Client

        if not cluster.answers(address):
            raise EngineGone(f"no engine answers at {address}: start it, or unset RECX_SCHEDULER.")
        try:
            return Client(address, set_as_default=False, timeout=CONNECT_SECONDS, name="recx")
        except (OSError, TimeoutError) as error:
            raise EngineGone(f"the engine at {address} does not answer: {error}") from error

    def _drop(self) -> None:
        client, self._client, self._lanes = self._client, None, set()
        with self._lock:
            self._futures.clear()
        if client is not None:
            threading.Thread(target=_close, args=(client,), daemon=True).start()

    def _offered(self, client: Client) -> set[str]:
        """The resources that workers offer: ours are known before the workers have come up."""
        if not self.scheduler:
            return {name for resources, _ in cluster.worker_plan().values() for name in resources}
        workers = client.scheduler_info(n_workers=-1)["workers"].values()
        return {name for worker in workers for name, amount in worker.get("resources", {}).items() if amount}


def _close(client: Client) -> None:
    with contextlib.suppress(Exception):
        client.close(timeout=1)


def _current_card() -> dict[str, Any] | None:
    """The engine that runs this very code, if one does."""
    card = cluster.card()
    return card if card and card["code"] == package_version() else None


def spawn() -> subprocess.Popen[bytes]:
    """Start an engine process that outlives us; its words go to RECX_HOME/engine.log."""
    with (paths.home() / "engine.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "recx", "engine"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=environment(),
        )


def start_engine(process: subprocess.Popen[bytes] | None = None) -> dict[str, Any]:
    """The card of a running engine of this code, started if there is none; `process` is one that is starting already.

    Raises EngineGone with the end of its log.
    """
    deadline = time.monotonic() + START_SECONDS
    process = None if process is None or process.poll() is not None else process  # an earlier one may have ended
    while time.monotonic() < deadline:
        card = _current_card()
        if card:
            return card
        if process is None or process.poll() == 0:
            process = spawn()
        elif process.poll() is not None:
            break
        time.sleep(0.05)
    log = paths.home() / "engine.log"
    said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
    ended = process is not None and process.poll()
    why = f": {said[0]}" if ended and said else "" if ended else f" within {START_SECONDS:g} s"
    raise EngineGone(f"the engine did not start{why}; see {log}.")
