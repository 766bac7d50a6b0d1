"""Asking the engine from a page: results, running jobs and failures, each shown in its own way."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import streamlit as st

from recx.core.errors import BadInput
from recx.engine.client import Engine, EngineGone
from recx.engine.jobs import Job
from recx.ui import text

WAIT = 0.3
"""Seconds that a page waits for an answer before it shows progress: quick answers come without a flash."""
POLL = 0.7


@st.cache_resource(show_spinner=False, max_entries=1)
def engine() -> Engine:
    """The one holder of the connection; threads may share it."""
    return Engine.connect()


@dataclass(frozen=True)
class Outcome:
    """A result, or the job that is making it, or the sentence that says why there is none."""

    result: Any | None = None
    job: Job | None = None
    error: str = ""


def moment() -> contextlib.AbstractContextManager[None]:
    """While a page is drawn, code and data are looked at once, not once per question."""
    return engine().store.one_moment()


def get(recipe: Any, title: str = "", wait: float = WAIT, *, again: bool = False) -> Outcome:
    """What there is for a recipe now. Never raises for a mistake of the user or an absent engine.

    `again`: try anew what failed or was cancelled.
    """
    try:
        answer = engine().ask(recipe, wait=wait, title=title, again=again)
    except (BadInput, EngineGone) as error:
        return Outcome(error=str(error))
    if answer.result is not None:
        return Outcome(answer.result)
    if answer.job is not None and answer.job.state in ("failed", "cancelled", "interrupted"):
        return Outcome(job=answer.job, error=answer.job.error or f"This was {answer.job.state}.")
    return Outcome(job=answer.job)


def now(recipe: Any) -> Outcome:
    """What there is for a recipe, without asking for it: the stored result, its open or failed job, or neither."""
    try:
        found = engine().peek(recipe)
        job = None if found is not None else engine().job(engine().store.key(recipe))
    except BadInput as error:
        return Outcome(error=str(error))
    if found is not None or job is None or job.state == "done":
        return Outcome(found)
    return Outcome(job=job, error="" if job.open else job.error or f"This was {job.state}.")


def result(recipe: Any, title: str, key: str) -> Any | None:
    """The result; or None, with progress or the failure on the page."""
    outcome = get(recipe, title)
    if outcome.result is None:
        show(outcome, key)
    return outcome.result


def panel(
    recipe: Any,
    draw: Callable[[Any], None],
    *,
    key: str,
    title: str,
    parallel: bool = True,
    below: Callable[[], None] | None = None,
    failed: Callable[[Outcome], None] | None = None,
) -> None:
    """A part of the page that fetches its own result beside the others, and polls while a job makes it.

    `below` draws what stands under the result, and under a failure too; `failed` draws a failure in its own way.
    """

    @st.fragment(parallel=parallel)
    def body() -> None:
        outcome = get(recipe, title)
        if outcome.result is not None:
            draw(outcome.result)
        elif outcome.error and failed is not None:
            failed(outcome)
        else:
            show(outcome, key)
        if below is not None:
            below()

    body()


def show(outcome: Outcome, key: str) -> None:
    """A running job with progress and cancel, or a failure in words with retry."""
    job = outcome.job
    if job is None:
        st.error(text.md(outcome.error), icon=":material/error:")
    elif outcome.error:
        _ended(job, outcome.error, key)
    else:
        _running(job.key, key)


def _running(job_key: str, key: str) -> None:
    @st.fragment(run_every=POLL)
    def poll() -> None:
        job = engine().job(job_key)
        if job is None or not job.open:
            st.rerun()
        progress(job)
        st.button("Cancel", key=f"cancel_{key}", on_click=cancel, args=(job.key,), icon=":material/close:")

    poll()


def progress(job: Job) -> None:
    """The bar of a job: what it does, how far it is, for how long, and where."""
    spent = text.seconds(time.time() - (job.started or job.created))
    place = f" · {job.device}" if job.device else ""
    words = job.message or ("waiting for a worker" if job.state == "queued" else "working")
    st.progress(min(max(job.fraction, 0.0), 1.0), text=text.md(f"{job.title or job.kind}: {words} · {spent}{place}"))


def cancel(key: str) -> None:
    """Ask a job to stop."""
    engine().cancel(key)


def retry(key: str) -> None:
    """Ask again for a job that ended without a result."""
    engine().retry(key)


def _ended(job: Job, sentence: str, key: str) -> None:
    if job.state == "cancelled":
        st.info(f"Cancelled: {text.md(job.title)}. Nothing is lost; ask again when you like.", icon=":material/block:")
    else:
        st.error(text.md(sentence), icon=":material/error:")
    st.button("Try again", key=f"retry_{key}", on_click=retry, args=(job.key,), icon=":material/replay:")


def peek(recipe: Any) -> Any | None:
    """The result if it is at hand; asks nobody to compute."""
    try:
        return engine().peek(recipe)
    except BadInput:
        return None
