"""What runs in a worker: one recipe, computed through the store, its life written to the table of jobs."""

from __future__ import annotations

import errno
import functools
import gc
import os
import sqlite3
import traceback
from typing import Any

from recx.core import paths
from recx.core.errors import BadInput
from recx.core.progress import Cancelled
from recx.engine import _wire
from recx.engine._codecs import pack
from recx.engine.jobs import Job, Jobs
from recx.engine.store import Store

Outcome = dict[str, Any]
"""What a task returns: state, error, title, and for what is kept in memory `payload` (codec, files)."""


@functools.cache
def store() -> Store:
    """The store of this process: loaded scorers stay in its memory between questions."""
    return Store()


@functools.cache
def jobs() -> Jobs:
    """The table of jobs, opened once by this process."""
    return Jobs()


def compute(spec: dict[str, Any], needs: list[Outcome]) -> Outcome:
    """Compute the recipe of a spec (key, attempt, text) after its needs; never raises for a failed computation."""
    job = jobs().start(spec["key"], spec["attempt"], worker=_worker_name(), device=auto_device())
    if job is None:
        return _ended(spec["key"])
    bad = next((need for need in needs if need["state"] != "done"), None)
    if job.cancel:
        return _close(job, "cancelled")
    if bad:
        state = "cancelled" if bad["state"] == "cancelled" else "failed"
        return _close(job, state, f"{bad['title']}: {bad['error'] or bad['state']}")
    with store().one_moment():
        return run(job, _wire.from_text(spec["text"]), store(), jobs())


def run(job: Job, recipe: Any, store: Store, jobs: Jobs) -> Outcome:
    """Compute one recipe in this process and write how it ended."""
    try:
        if store.key(recipe) != job.key:
            raise BadInput("the code or the data changed after this was asked: ask again.")
        result = store.get(recipe, jobs.progress(job.key, job.attempt))
        if recipe.keep == "memory":
            sent = {"state": "done", "error": "", "title": job.title, "payload": pack(result)}
            jobs.drop(job.key, job.attempt)
            return sent
    except Cancelled:
        return _close(job, "cancelled", table=jobs)
    except Exception as error:  # whatever a model or an explainer raises ends in the job's row
        log = "" if isinstance(error, BadInput) else traceback.format_exc()
        gc.collect()
        return _close(job, "failed", sentence(error), log, jobs)
    return _close(job, "done", table=jobs)


def sentence(error: BaseException) -> str:
    """One sentence for the person who asked: a BadInput's own, else what kind of failure it was."""
    said = str(error).strip().splitlines()[:1]
    if isinstance(error, BadInput):
        return str(error)
    return (
        machine_trouble(error)
        or (f"The computation failed: {type(error).__name__}{': ' + said[0] if said else ''}"[:300])
    )


def machine_trouble(error: BaseException) -> str:
    """The sentence for what the machine lacks (memory, disk, a folder to write to); empty for any other failure."""
    kind, text = type(error).__name__, str(error).lower()
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, MemoryError) or kind == "OutOfMemoryError" or "can't allocate memory" in text:
        return "There was not enough memory: choose a smaller data set, model or batch."
    if number == errno.ENOSPC or "no space left" in text or "disk is full" in text:
        return "The disk is full: free some space or run `python -m recx store clean`."
    if isinstance(error, sqlite3.DatabaseError) and ("not a database" in text or "malformed" in text):
        return f"The table of jobs is damaged: delete {paths.home() / 'jobs.sqlite'}, results are not in it."
    unwritable = number in (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR)
    if unwritable or (isinstance(error, sqlite3.OperationalError) and "locked" not in text):
        what, why = getattr(error, "filename", None) or paths.home(), getattr(error, "strerror", None) or error
        return f"{what} cannot be written ({why}): set RECX_HOME to a folder of yours."
    return ""


def _close(job: Job, state: str, error: str = "", log: str = "", table: Jobs | None = None) -> Outcome:
    if not (table or jobs()).finish(job.key, job.attempt, state, error, log):
        state, error = "interrupted", error or "This was asked anew meanwhile."
    return {"state": state, "error": error, "title": job.title}


def _ended(key: str) -> Outcome:
    """The outcome of a job that is closed already: it ended before this was submitted, or was asked anew."""
    job = jobs().get(key)
    if job is None or job.open:
        return {"state": "interrupted", "error": "This was asked anew meanwhile.", "title": job.title if job else ""}
    return {"state": job.state, "error": job.error, "title": job.title}


@functools.cache
def auto_device() -> str:
    """What `auto` means in this process; makes torch ready, with our number of threads."""
    import torch

    from recx.core.device import resolve
    from recx.engine.cluster import threads

    torch.set_num_threads(threads())  # Dask's nanny has set OMP_NUM_THREADS to 1 in the environment
    return str(resolve("auto"))


def _worker_name() -> str:
    from distributed import get_worker

    try:
        return str(get_worker().name)
    except ValueError:
        return f"process {os.getpid()}"
