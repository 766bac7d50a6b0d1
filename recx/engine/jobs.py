"""The table of jobs: what is being computed, how far it is, how it ended. Survives the processes that write it."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from recx.core import paths
from recx.core.progress import Cancelled, Progress
from recx.engine import curve

OPEN = ("queued", "running")
"""States of a job that will still change; the others are done, failed, cancelled, interrupted."""
TICK = 0.25
"""Seconds between two writes of progress, and so between two looks at the cancel flag."""
LOG_LINES = 200


@dataclass(frozen=True)
class Job:
    """One row: a recipe being computed, or how that ended.

    `key` is the store's key. `state`: queued, running, done, failed, cancelled, interrupted. `error`: one sentence.
    `log`: messages with their times, and the traceback of a failure. `needs`: keys of the jobs it waits for. `attempt`
    counts the askings, `restarts` the workers lost in this attempt. Times are seconds since 1970.
    """

    key: str
    title: str = ""
    kind: str = ""
    recipe: str = ""
    state: str = "queued"
    fraction: float = 0.0
    message: str = ""
    error: str = ""
    log: str = ""
    device: str = ""
    worker: str = ""
    pid: int = 0
    engine: str = ""
    lane: str = ""
    needs: tuple[str, ...] = ()
    attempt: int = 1
    restarts: int = 0
    cancel: bool = False
    created: float = 0.0
    started: float = 0.0
    finished: float = 0.0

    @property
    def open(self) -> bool:
        """Will it still change?"""
        return self.state in OPEN

    @property
    def seconds(self) -> float:
        """Seconds of computing so far."""
        return (self.finished or time.time()) - self.started if self.started else 0.0

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values, without the recipe and the log."""
        row = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in ("recipe", "log")}
        return row | {"needs": list(self.needs), "seconds": round(self.seconds, 3)}


COLUMNS = tuple(field.name for field in fields(Job))
_TYPES = {"float": "REAL", "int": "INTEGER", "bool": "INTEGER"}
_SCHEMA = ", ".join(f"{f.name} {_TYPES.get(str(f.type), 'TEXT')} NOT NULL" for f in fields(Job))
_CURVES = "key TEXT NOT NULL, epoch INTEGER NOT NULL, loss REAL, quality REAL, PRIMARY KEY (key, epoch)"


class Jobs:
    """The table in RECX_HOME/jobs.sqlite; any number of processes and threads may use it at once."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = Path(path) if path else paths.home() / "jobs.sqlite"
        self._lock = threading.RLock()
        self._db = sqlite3.connect(self.path, timeout=10, isolation_level=None, check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.execute(f"CREATE TABLE IF NOT EXISTS jobs ({_SCHEMA}, PRIMARY KEY (key))")
        self._db.execute(f"CREATE TABLE IF NOT EXISTS curves ({_CURVES})")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # -- reading

    def get(self, key: str) -> Job | None:
        """The job of a key."""
        rows = self._rows("WHERE key = ?", key)
        return rows[0] if rows else None

    def latest(self, limit: int = 200) -> list[Job]:
        """The jobs: those that will still change first, then the latest."""
        return self._rows("ORDER BY state NOT IN ('running', 'queued'), created DESC, rowid DESC LIMIT ?", limit)

    def curve(self, key: str) -> list[dict[str, Any]]:
        """What a training job has said of its epochs so far: {epoch, loss, quality}, in order."""
        with self._lock:
            rows = self._db.execute("SELECT epoch, loss, quality FROM curves WHERE key = ? ORDER BY epoch", (key,))
            return [dict(row) for row in rows.fetchall()]

    def open_of(self, engine: str) -> list[Job]:
        """The open jobs that one engine was asked for."""
        return self._rows("WHERE state IN ('queued', 'running') AND engine = ?", engine)

    # -- asking

    def put(self, jobs: Iterable[Job]) -> list[Job]:
        """Queue jobs that are not open already, all at once; returns the rows as they stand (joined or new)."""
        out = []
        with self._transaction():
            for job in jobs:
                old = self.get(job.key)
                if old is None or not old.open or old.engine != job.engine:
                    job = replace(job, attempt=old.attempt + 1 if old else 1, created=time.time(), state="queued")
                    marks = ", ".join("?" * len(COLUMNS))
                    self._db.execute("DELETE FROM curves WHERE key = ?", (job.key,))
                    self._db.execute(
                        f"INSERT OR REPLACE INTO jobs ({', '.join(COLUMNS)}) VALUES ({marks})", _values(job)
                    )
                out.append(self.get(job.key) or job)
        return out

    def cancel(self, key: str) -> list[str]:
        """Ask a job to stop, and what it waits for unless another open job needs that too; returns the keys asked."""
        with self._transaction():
            job = self.get(key)
            if job is None or not job.open:
                return []
            self._db.execute("UPDATE jobs SET cancel = 1, message = 'cancelling' WHERE key = ?", (key,))
            asked = [key]
            for need in job.needs:
                if not self._needed(need):
                    asked += self.cancel(need)
            return asked

    def _needed(self, key: str) -> bool:
        rows = self._rows("WHERE state IN ('queued', 'running') AND cancel = 0 AND needs LIKE ?", f'%"{key}"%')
        return bool(rows)

    # -- telling

    def start(self, key: str, attempt: int, *, worker: str = "", device: str = "") -> Job | None:
        """A worker takes up a job; None when this attempt is no longer wanted. Counts a restart after a lost worker."""
        with self._transaction():
            job = self.get(key)
            if job is None or job.attempt != attempt or not job.open:
                return None
            lost = job.state == "running"
            message = "started again after its worker was lost" if lost else "started"
            self._db.execute(
                "UPDATE jobs SET state = 'running', fraction = 0, message = ?, log = log || ?, worker = ?, "
                "device = CASE WHEN device = '' THEN ? ELSE device END, pid = ?, started = ?, restarts = restarts + ? "
                "WHERE key = ?",
                (message, _line(message), worker, device, os.getpid(), time.time(), int(lost), key),
            )
            return self.get(key)

    def finish(self, key: str, attempt: int, state: str, error: str = "", log: str = "") -> bool:
        """The end of an attempt that is still open; False when it was closed already."""
        with self._lock:
            cursor = self._db.execute(
                "UPDATE jobs SET state = ?, error = ?, log = log || ?, finished = ?, message = ?, "
                "fraction = CASE WHEN ? = 'done' THEN 1 ELSE fraction END "
                "WHERE key = ? AND attempt = ? AND state IN ('queued', 'running')",
                (state, error, log, time.time(), error or state, state, key, attempt),
            )
            return cursor.rowcount > 0

    def progress(self, key: str, attempt: int) -> Progress:
        """A progress that writes to the row at most every TICK seconds, and raises Cancelled once a cancel is seen.

        Between two writes the message is forgotten, but not the loss of an epoch, nor a message of a new kind: those
        are written with the next.
        """
        last, lines, kinds = 0.0, 0, set[str]()
        log: list[str] = []
        points: list[dict[str, Any]] = []

        def tell(fraction: float, message: str = "") -> None:
            nonlocal last, lines
            now, point, kind = time.monotonic(), curve.point(message), curve.kind(message)
            if point:
                points.append(point)
            if message and lines < LOG_LINES and (point or kind not in kinds):
                log.append(_line(message))
                kinds.add(kind)
                lines += 1
            if now - last < TICK:
                return
            last = now
            if points:
                self._tell_curve(key, attempt, points)
            if self._tell(key, attempt, fraction, message, "".join(log)):
                raise Cancelled
            points.clear()
            log.clear()

        return tell

    def _tell_curve(self, key: str, attempt: int, points: list[dict[str, Any]]) -> None:
        """Write points of the curve of a running attempt; an epoch done again after a lost worker replaces itself."""
        with self._transaction():
            self._db.executemany(
                "INSERT OR REPLACE INTO curves SELECT :key, :epoch, :loss, :quality WHERE EXISTS "
                "(SELECT 1 FROM jobs WHERE key = :key AND attempt = :attempt AND state = 'running')",
                [point | {"key": key, "attempt": attempt} for point in points],
            )

    def _tell(self, key: str, attempt: int, fraction: float, message: str, log: str) -> bool:
        """Write where a job stands; True when it should stop: cancelled, or asked anew elsewhere."""
        with self._lock:
            cursor = self._db.execute(
                "UPDATE jobs SET fraction = ?, message = ?, log = log || ? "
                "WHERE key = ? AND attempt = ? AND state = 'running' AND cancel = 0",
                (min(max(fraction, 0.0), 1.0), message, log, key, attempt),
            )
            return cursor.rowcount == 0

    def interrupt(self, engine: str) -> int:
        """Close the open jobs of an engine that is gone; returns how many."""
        with self._lock:
            cursor = self._db.execute(
                "UPDATE jobs SET state = 'interrupted', finished = ?, error = ?, message = 'interrupted' "
                "WHERE state IN ('queued', 'running') AND engine = ?",
                (time.time(), "The engine ended before this was done: ask again.", engine),
            )
            return cursor.rowcount

    def interrupt_others(self, prefix: str, mine: str) -> None:
        """Close the open jobs of every engine of a kind but one."""
        for job in self._rows(
            "WHERE state IN ('queued', 'running') AND engine LIKE ? AND engine != ?", f"{prefix}%", mine
        ):
            self.interrupt(job.engine)

    def drop(self, key: str, attempt: int) -> bool:
        """Delete the row of an attempt that is still open: its answer was quick and nobody needs its story."""
        with self._lock:
            rest = "WHERE key = ? AND attempt = ? AND state IN ('queued', 'running')"
            return self._db.execute(f"DELETE FROM jobs {rest}", (key, attempt)).rowcount > 0

    def prune(self, most: int = 1000) -> None:
        """Delete the oldest rows of jobs that have ended, beyond so many."""
        ended = "SELECT key FROM jobs WHERE finished > 0 ORDER BY finished DESC LIMIT -1 OFFSET ?"
        with self._lock:
            self._db.execute(f"DELETE FROM jobs WHERE key IN ({ended})", (most,))
            self._drop_curves()

    def clean(self) -> int:
        """Delete the rows of jobs that have ended; returns how many."""
        with self._lock:
            gone = self._db.execute("DELETE FROM jobs WHERE state NOT IN ('queued', 'running')").rowcount
            self._drop_curves()
            return gone

    def _drop_curves(self) -> None:
        """Curves whose job's row is gone go too."""
        self._db.execute("DELETE FROM curves WHERE key NOT IN (SELECT key FROM jobs)")

    # -- sqlite

    def _rows(self, rest: str, *values: Any) -> list[Job]:
        with self._lock:
            found = self._db.execute(f"SELECT {', '.join(COLUMNS)} FROM jobs {rest}", values).fetchall()
        return [
            Job(**(dict(row) | {"needs": tuple(json.loads(row["needs"])), "cancel": bool(row["cancel"])}))
            for row in found
        ]

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """All or nothing, one process at a time; may be nested."""
        with self._lock:
            outer = self._db.in_transaction
            if not outer:
                self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                if not outer:
                    self._db.execute("ROLLBACK")
                raise
            if not outer:
                self._db.execute("COMMIT")


def _values(job: Job) -> list[Any]:
    return [json.dumps(job.needs) if name == "needs" else getattr(job, name) for name in COLUMNS]


def _line(message: str) -> str:
    return f"{time.strftime('%H:%M:%S')} {message}\n"
