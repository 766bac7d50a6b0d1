"""`recx data`: data sets, which there are, and how the others get here."""

from __future__ import annotations

from typing import Any

import click

from recx.cli.ask import a_store, pairs
from recx.cli.root import cli
from recx.cli.say import Shown, shown, table
from recx.core import registry
from recx.core.progress import Progress


@cli.group(invoke_without_command=True)
@shown
def data(progress: Progress) -> Shown:
    """Data sets: which there are, where to get the others."""
    return _data_list(progress)


def _data_list(progress: Progress) -> Shown:
    from recx.data import _files

    rows = [_data_row(name, progress) for name in _files.source_names()]
    columns = ("name", "on_disk", "users", "items", "events", "title")
    lacking = [f"{row['name']}: {row['how_to_get']}" for row in rows if not row["on_disk"]]
    return rows, lambda: "\n".join([table(rows, columns), *([""] if lacking else []), *lacking])


def _data_row(name: str, progress: Progress) -> dict[str, Any]:
    from recx.data import _files
    from recx.recipes.data import Data
    from recx.recipes.tables import Card

    named = _files.source(name)
    form = registry.form(named.kind, named.name)
    here = _files.on_disk(name)
    card = a_store().get(Card(Data(named)), progress) if here else {}
    counts = {key: card.get(key) for key in ("users", "items", "events", "fingerprint")}
    return {"name": name, "title": form["title"], "on_disk": here} | counts | {"how_to_get": form["how_to_get"]}


def _summary_text(found: dict[str, Any]) -> str:
    lines = [f"{found['name']}: {found['users']:,} users, {found['items']:,} items, {found['events']:,} events"]
    lines += [f"  left out: {n:,} {reason}" for reason, n in found["dropped"].items()]
    return "\n".join([*lines, f"  fingerprint {found['fingerprint']}"])


@data.command("list")
@shown
def data_list(progress: Progress) -> Shown:
    """All data sets, on this machine or not."""
    return _data_list(progress)


@data.command("add")
@click.argument("name")
@click.option("--from", "source", help="A folder, zip or tar that holds the files, instead of the publisher.")
@shown
def data_add(name: str, source: str | None, progress: Progress) -> Shown:
    """Put a known data set where recx finds it."""
    from recx.data import _files

    found = _files.add(name, source, progress)
    return found, lambda: _summary_text(found)


@data.command("import")
@click.argument("file")
@click.option("--name", required=True, help="What the data set will be called.")
@click.option("--columns", required=True, help="Which column is what: user=uid,item=film,time=when,rating=stars.")
@click.option("--items", help="A second file with the items' titles, years, genres.")
@click.option("--separator", help="Between the columns of a text file [found out].")
@click.option("--encoding", help="Of a text file [utf-8].")
@click.option("--repeats", is_flag=True, help="Keep it when a user meets an item again.")
@click.option("--unordered", is_flag=True, help="Without a time: the rows are in no order that a model could learn.")
@shown
def data_import(file: str, name: str, columns: str, unordered: bool, progress: Progress, **options: Any) -> Shown:
    """Make a data set of a CSV, TSV or Parquet file."""
    from recx.data import _files

    named = pairs(columns.split(","), "--columns user=uid,item=film")
    given = {key: value for key, value in options.items() if value is not None} | {"ordered": not unordered}
    found = _files.import_table(file, name, named, progress=progress, **given)
    return found, lambda: _summary_text(found)
