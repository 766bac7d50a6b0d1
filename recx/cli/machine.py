"""`recx serve`, `engine`, `jobs`, `store`, `doctor`: what runs, what is kept, what is missing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click

from recx.cli.ask import a_store
from recx.cli.root import cli
from recx.cli.say import EXIT, Shown, shown, table
from recx.core.errors import BadInput
from recx.core.progress import Progress


@cli.command()
@click.option("--port", type=click.IntRange(1, 65535), help="Of the app [8501, else a free one].")
@click.option("--presenter", is_flag=True, help="For an audience: no sidebar, large type.")
@click.option("--warm", multiple=True, metavar="DATASET", help="Compute this data set's models before the app opens.")
def serve(port: int | None, presenter: bool, warm: tuple[str, ...]) -> int:
    """Start engine and app; Ctrl-C ends both."""
    from recx.engine import serve as runner

    return runner.serve(port=port, presenter=presenter, warm=warm, say=lambda text: click.echo(text))


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen; 0.0.0.0: for a trusted network.")
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="[a free one]")
@click.option("--status", is_flag=True, help="Say whether one is running.")
@click.option("--stop", is_flag=True, help="End the one that is running.")
@click.option("--json", "as_json", is_flag=True, help="With --status or --stop: one JSON document.")
def engine(host: str, port: int, status: bool, stop: bool, as_json: bool) -> int:
    """Run the engine here; the app starts one by itself."""
    from recx.engine import cluster
    from recx.engine.serve import stop_engine

    if not (status or stop):
        return cluster.serve(host, port)
    card = cluster.card()
    document = {"running": card is not None, "stopped": stop_engine() if stop else False} | (card or {})
    text = f"engine at {card['address']}, process {card['pid']}" if card else "no engine is running"
    click.echo(json.dumps(document, indent=2) if as_json else text + (", ended" if document["stopped"] else ""))
    return 0


@cli.group(invoke_without_command=True)
@shown
def jobs(progress: Progress) -> Shown:
    """What the engine computes, and how it ended."""
    from recx.engine.client import Engine

    rows = [job.as_dict() for job in Engine(start=False).jobs()]
    brief = [row | {"key": row["key"][:8], "done": f"{100 * row['fraction']:.0f} %"} for row in rows]
    return rows, lambda: table(brief, ("key", "state", "done", "title", "message", "seconds", "worker"), "no jobs yet")


def _job(prefix: str) -> Any:
    """The job whose key begins so. Raises BadInput."""
    from recx.engine.jobs import Jobs

    found = [job for job in Jobs().latest(10_000) if job.key.startswith(prefix)]
    if len(found) != 1:
        raise BadInput(f"{len(found)} jobs begin with {prefix!r}: `python -m recx jobs` lists them.")
    return found[0]


@jobs.command("log")
@click.argument("key")
@shown
def jobs_log(key: str, progress: Progress) -> Shown:
    """Messages of a job, and the trace of its failure."""
    job = _job(key)
    return job.as_dict() | {"log": job.log}, lambda: f"{job.title}: {job.state} {job.error}\n{job.log}"


@jobs.command("cancel")
@click.argument("key")
@shown
def jobs_cancel(key: str, progress: Progress) -> Shown:
    """Stop a job, and what only it waits for."""
    from recx.engine.jobs import Jobs

    asked = Jobs().cancel(_job(key).key)
    return {"cancelled": asked}, lambda: f"{len(asked)} asked to stop"


@jobs.command("retry")
@click.argument("key")
@shown
def jobs_retry(key: str, progress: Progress) -> Shown:
    """Ask again for a job that failed, was cancelled or interrupted."""
    from recx.engine.client import Engine

    whole = _job(key).key  # before an engine is started for nothing
    held = Engine.connect()
    job = held.retry(whole)
    held.close()
    return job.as_dict() if job else {}, lambda: f"{job.title}: {job.state}" if job else "done"


@jobs.command("clean")
@shown
def jobs_clean(progress: Progress) -> Shown:
    """Forget the jobs that have ended; results stay."""
    from recx.engine.jobs import Jobs

    removed = Jobs().clean()
    return {"removed": removed}, lambda: f"{removed} rows removed"


@cli.group(invoke_without_command=True)
@shown
def store(progress: Progress) -> Shown:
    """Results on disk."""
    found = a_store()
    rows = found.entries()
    document = {"root": str(found.root), "bytes": found.size(), "cap_bytes": found.cap_bytes, "entries": rows}
    brief = [{"key": row["key"][:8], "MB": row["bytes"] / 1e6, "what": _what(row["recipe"])} | row for row in rows]
    brief = [row | {"key": row["key"][:8]} for row in brief]
    head = f"{len(rows)} results, {found.size() / 1e6:.1f} of {found.cap_bytes / 1e6:,.0f} MB at {found.root}"
    return document, lambda: f"{head}\n{table(brief, ('key', 'MB', 'seconds', 'device', 'created', 'what'))}"


def _what(recipe: Any) -> str:
    """The class of a recipe and the discovered parts in it."""

    def names(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if value.get("recipe") == "recx.core.recipe.Named":
                yield value["name"]
            for part in value.values():
                yield from names(part)
        elif isinstance(value, list):
            for part in value:
                yield from names(part)

    return f"{recipe['recipe'].rpartition('.')[2]} {' '.join(dict.fromkeys(names(recipe)))}".strip()


@store.command("clean")
@click.option("--all", "everything", is_flag=True, help="Delete every result.")
@shown
def store_clean(everything: bool, progress: Progress) -> Shown:
    """Delete leftovers, damaged entries and results of other code or data."""
    done = a_store().clean(everything=everything)
    return done, lambda: f"{done['removed']} removed, {done['freed_bytes'] / 1e6:.1f} MB freed"


@store.command("remove")
@click.argument("key")
@shown
def store_remove(key: str, progress: Progress) -> Shown:
    """Delete one result by (the beginning of) its key."""
    found = a_store()
    keys = [row["key"] for row in found.entries() if row["key"].startswith(key)]
    if len(keys) != 1:
        raise BadInput(f"{len(keys)} results begin with {key!r}: `python -m recx store` lists them.")
    done = {"removed": found.remove(keys[0]), "key": keys[0]}
    return done, lambda: "removed" if done["removed"] else "somebody is using it"


@cli.command()
@shown
def doctor(progress: Progress) -> Shown:
    """Is the installation whole? What is missing, and the cure."""
    from recx.engine import doctor as looker

    rows = looker.checks()
    click.get_current_context().meta[EXIT] = 0 if looker.summary(rows) else 1
    marks = {True: "ok", False: "BAD", None: "note"}
    return rows, lambda: table([row | {"": marks[row["ok"]]} for row in rows], ("", "check", "detail"))
