"""`recx study`, `results`, `bench`: tables of papers and of our own."""

from __future__ import annotations

import sys
import time
from typing import Any

import click

from recx.cli.ask import a_store, pairs
from recx.cli.root import cli
from recx.cli.say import Shown, shown, table
from recx.core import registry
from recx.core.errors import BadInput
from recx.core.progress import Progress


@cli.command()
@click.argument("name")
@click.option("--dataset", help="The data set [the study's own].")
@click.option(
    "--with",
    "systems",
    multiple=True,
    help="A system (or NAME=SYSTEM: with settings of its own); may be repeated [the study's own].",
)
@click.option("--users", type=click.IntRange(1), help="How many users are drawn [the study's own].")
@click.option("--seeds", type=click.IntRange(1), help="How many repetitions [the study's own].")
@click.option("--small", is_flag=True, help="A small version that ends in a minute or two.")
@click.option("--set", "settings", multiple=True, metavar="SYSTEM.FIELD=VALUE", help="A setting of one system.")
@click.option("--keep", is_flag=True, help="Also write the rows into results/ of this checkout.")
@shown
def study(name: str, settings: tuple[str, ...], keep: bool, progress: Progress, **options: Any) -> Shown:
    """Run a study: a paper's table, published and measured side by side."""
    from recx.engine import shipped
    from recx.studies._build import study_of

    recipe = study_of(name, settings=_by_system(settings), **options)
    store = a_store()
    with store.one_moment():  # code that is edited meanwhile must not hide where the rows come from
        found = store.get(recipe, progress)
        rows, manifest, seconds = shipped.records(found), store.manifest(recipe), store.seconds(recipe)
    document = {"study": name, "rows": rows, "seconds": seconds, "device": manifest.get("device", "cpu")}
    document |= {"provenance": _provenance(manifest) | {"command": _command()}}
    if keep:
        about = {key: value for key, value in document.items() if key != "rows"}
        shipped.keep(_stem(name, recipe), found, about, getattr(recipe, "lines", ()))
    return document, lambda: _study_text(rows)


def _stem(name: str, recipe: Any) -> str:
    """The file of a stored study: its name, the data set, and the model where it is not the study's own."""
    model, usual = getattr(recipe, "model", None), getattr(type(recipe), "model", None)
    other = [model.name] if model is not None and usual is not None and model.name != usual.name else []
    return "-".join([name, recipe.data.source.name, *other])


def _command() -> str:
    """What was typed, without `--keep` and `--json`, which change nothing in the rows."""
    return " ".join(["python -m recx", *(word for word in sys.argv[1:] if word not in ("--keep", "--json"))])


def _by_system(words: tuple[str, ...]) -> dict[str, dict[str, str]]:
    """`--set SYSTEM.field=value` words by system. Raises BadInput."""
    out: dict[str, dict[str, str]] = {}
    for name, value in pairs(words, "--set lcer.steps=300").items():
        system, dot, field = name.rpartition(".")
        if not dot:
            raise BadInput(f"--set {name} does not say whose it is: write SYSTEM.{name}={value}.")
        out.setdefault(system, {})[field] = value
    return out


def _provenance(manifest: dict[str, Any]) -> dict[str, Any]:
    return {key: manifest[key] for key in ("key", "recipe", "code", "data", "libraries", "created") if key in manifest}


def _study_text(rows: list[dict[str, Any]]) -> str:
    names = "dataset recommender system param_value setting metric convention".split()
    numbers = "published measured ci_low ci_high placebo n unit".split()
    columns = [c for c in names + numbers if any(row.get(c) not in (None, "") for row in rows)]
    columns = columns or list(rows[0] if rows else ())  # a bench has columns of its own
    return table([row for row in rows if row.get("seed") is None], columns)


@cli.command()
@click.argument("name", required=False)
@shown
def results(name: str | None, progress: Progress) -> Shown:
    """The results that ship with recx, of one study or all."""
    from recx.engine import shipped

    if name is not None:
        registry.module_name("studies", name)
    found = shipped.read(name)
    if name is not None and not found:
        raise BadInput(f"no result of {name} ships with recx: run `python -m recx study {name}`.")
    text = lambda: "\n\n".join(f"{one['file']}\n{_study_text(one['rows'])}" for one in found) or "nothing yet"  # noqa: E731
    return found, text


@cli.command()
@click.argument("name")
@click.option("--keep", is_flag=True, help="Also write the cases, or the one row, into results/ of this checkout.")
@shown
def bench(name: str, keep: bool, progress: Progress) -> Shown:
    """Time ours and a baseline on the same work, in the same run."""
    import pandas as pd

    from recx.engine import benches, shipped
    from recx.engine.code import package_version

    found = {"bench": name} | benches.load(name)(progress)
    if keep:
        about: dict[str, Any] = {key: value for key, value in found.items() if key != "cases"}
        made = {"command": _command(), "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        about |= {"provenance": made | {"code": package_version()}}
        shipped.keep(f"bench-{name}", pd.DataFrame(found.get("cases") or [found]), about)
    return found, lambda: table([found], [key for key, value in found.items() if not isinstance(value, (dict, list))])
