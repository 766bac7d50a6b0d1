"""Jobs: what is being computed, how far it is, how it ended."""

from __future__ import annotations

import time

import streamlit as st

from recx.engine.jobs import Job
from recx.ui import fetch, frame, text
from recx.ui.words import tell

FACES = {
    "queued": (":material/schedule:", "gray"),
    "running": (":material/progress_activity:", "blue"),
    "done": (":material/check:", "green"),
    "failed": (":material/error:", "red"),
    "cancelled": (":material/block:", "gray"),
    "interrupted": (":material/power_off:", "orange"),
}
SHOWN = 40


def main() -> None:
    """The running ones, then the rest; looks again only while something runs."""
    st.title("Jobs", anchor=False)
    st.caption(
        "Work that takes longer than a moment runs in the engine, outside this page: it goes on when the "
        "page is closed."
    )
    jobs = fetch.engine().jobs()
    if any(job.open for job in jobs):
        st.fragment(watched, run_every=1.0)()
    else:
        draw(jobs)


def watched() -> None:
    """The list while something runs; the last look starts the page anew, which ends the looking."""
    jobs = fetch.engine().jobs()
    if not any(job.open for job in jobs):
        st.rerun(scope="app")
    draw(jobs)


def draw(jobs: list[Job]) -> None:
    """Running jobs as cards, the others as a list."""
    running = [job for job in jobs if job.open]
    ended = sorted((job for job in jobs if not job.open), key=lambda job: -job.finished)
    st.subheader(f"Running and waiting ({len(running)})", anchor=False)
    if not running:
        st.caption("Nothing is running.")
    for job in running:
        with st.container(border=True):
            left, right = st.columns([5, 1], vertical_alignment="center")
            with left:
                fetch.progress(job)
            right.button(
                "Cancel",
                key=f"cancel_{job.key}",
                on_click=fetch.cancel,
                args=(job.key,),
                icon=":material/close:",
                disabled=job.cancel,
                width="stretch",
            )
    st.subheader(f"Ended ({len(ended)})", anchor=False)
    if not ended:
        st.caption("No job has ended yet.")
    for job in ended[:SHOWN]:
        row(job)
    if len(ended) > SHOWN:
        st.caption(f"The last {SHOWN} of {len(ended):,}.")


def row(job: Job) -> None:
    """One ended job: state, title, time, device; error, log and retry inside."""
    icon, colour = FACES[job.state]
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(job.finished)) if job.finished else ""
    place = f" · {job.device}" if job.device else ""
    with st.expander(
        f":{colour}[{job.state}] · {text.md(job.title or job.kind)} :gray[· "
        f"{text.seconds(job.seconds)}{place} · {when}]",
        icon=icon,
        key=f"job_{job.key}",
    ):
        if job.error:
            st.error(text.md(job.error))
        facts = [
            f"{job.kind} `{job.key[:12]}`",
            f"lane {job.lane}" if job.lane else "",
            f"attempt {job.attempt}",
            f"worker lost {job.restarts} times" if job.restarts else "",
        ]
        st.caption(" · ".join(fact for fact in facts if fact), help=tell("lane"))
        st.code(job.log.strip() or "The log is empty.", language=None, wrap_lines=True)
        if job.state != "done":
            st.button(
                "Try again",
                key=f"retry_{job.key}",
                on_click=fetch.retry,
                args=(job.key,),
                icon=":material/replay:",
            )


frame.enter()
main()
