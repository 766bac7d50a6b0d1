"""The command line: names and settings to recipes, results to tables or one JSON document.

Exit 0: done. 1: the computation failed. 2: bad input, said in one line.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import wraps
from typing import Any

import click

from recx.core import registry
from recx.core.errors import BadInput, unknown
from recx.core.progress import Cancelled, Progress

HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


# -- saying


def _strict(value: Any) -> Any:
    """Plain values as strict JSON knows them: infinities and not-a-number become null."""
    if isinstance(value, dict):
        return {str(key): _strict(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(part) for part in value]
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return ", ".join(map(_cell, value)) if isinstance(value, (list, tuple)) else plain(str(value))


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+")


def plain(text: str) -> str:
    """Text of a data set without what would steer a terminal: control characters, overrides of direction."""
    return _CONTROL.sub(" ", text)


def table(rows: Sequence[dict[str, Any]], columns: Sequence[str], empty: str = "nothing yet") -> str:
    """Rows as aligned text; numbers stand to the right."""
    if not rows:
        return empty
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(name), *(len(row[i]) for row in cells)) for i, name in enumerate(columns)]
    right = [all(isinstance(row.get(c), (int, float, type(None))) for row in rows) for c in columns]
    lines = [columns, *cells]
    shape = [str.rjust if numbers else str.ljust for numbers in right]
    put = [[fill(text, width) for text, width, fill in zip(line, widths, shape, strict=True)] for line in lines]
    return "\n".join("  ".join(line).rstrip() for line in put)


class Teller:
    """A progress on stderr: one line that is written over on a terminal, now and then a line elsewhere."""

    def __init__(self) -> None:
        self.tty, self.said = sys.stderr.isatty(), False
        self.last = 0.0 if self.tty else time.monotonic()  # in a log, what is quick says nothing

    def __call__(self, fraction: float, message: str = "") -> None:
        now = time.monotonic()
        if now - self.last < (0.1 if self.tty else 5.0):
            return
        self.last, self.said = now, True
        text = f"{100 * fraction:3.0f} % {message}"
        click.echo(f"\r\033[K{text[:100]}" if self.tty else text, err=True, nl=not self.tty)

    def done(self) -> None:
        """Leave the line that was written over."""
        if self.said and self.tty:
            click.echo("\r\033[K", err=True, nl=False)


Shown = tuple[Any, Callable[[], str]]
"""What a command gives: the JSON document, and the text for a reader (made only when it is wanted)."""


EXIT = "recx.exit"
"""Where a command leaves an exit code other than 0 (`click`'s context)."""


def _json(document: Any) -> str:
    return json.dumps(_strict(document), indent=2, ensure_ascii=False, allow_nan=False)


def shown(command: Callable[..., Shown]) -> Callable[..., int]:
    """A command that returns its document and its text; adds --json and a `progress`."""

    @click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout and nothing else.")
    @wraps(command)
    def inner(as_json: bool, **options: Any) -> int:
        context, teller = click.get_current_context(), Teller()
        if context.invoked_subcommand:  # `jobs --json cancel`: the subcommand speaks for itself
            return 0
        try:
            with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
                document, text = command(progress=teller, **options)
                said = _json(document) if as_json else "\n".join(map(plain, text().split("\n")))
        finally:
            teller.done()
        click.echo(said)
        return int(context.meta.get(EXIT, 0))

    return inner


def main() -> None:
    """Run the command line and exit."""
    with contextlib.suppress(AttributeError, ValueError):
        sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
        sys.stderr.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line; the exit code."""
    try:
        return cli.main(args=arguments, prog_name="recx", standalone_mode=False) or 0
    except (BadInput, click.UsageError) as error:
        text = error.format_message() if isinstance(error, click.UsageError) else str(error)
        click.echo(f"recx: {' '.join(text.split())}", err=True)
        return 2
    except (KeyboardInterrupt, click.Abort, Cancelled):
        click.echo("recx: interrupted, nothing was lost.", err=True)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # a trace for who mends it, a sentence for who asked
        from recx.engine._task import machine_trouble, sentence

        if not machine_trouble(error):
            traceback.print_exc()
        click.echo(f"recx: {sentence(error)}", err=True)
        return 1


# -- reading


def pairs(values: Iterable[str], example: str) -> dict[str, str]:
    """`name=value` words as a dict. Raises BadInput."""
    found = {}
    for word in values:
        name, sign, value = word.partition("=")
        if not sign or not name.strip():
            raise BadInput(f"{word!r} is not of the form name=value, as in {example}.")
        found[name.strip()] = value.strip()
    return found


def settings_of(words: Iterable[str], owners: dict[str, str]) -> dict[str, dict[str, str]]:
    """`--set` words by owner (name -> kind).

    `field=value` goes to the one owner that has the field, `owner.field=value` to that owner; a data set's fields need
    its name (`seed=3` must not change the data). Raises BadInput when no owner has it, or several.
    """
    out: dict[str, dict[str, str]] = {name: {} for name in owners}
    bare = [name for name, kind in owners.items() if kind != "data.sources"]
    fields = {name: [row["name"] for row in registry.form(kind, name)["parameters"]] for name, kind in owners.items()}
    for field, value in pairs(words, "--set l2=100").items():
        owner, dot, rest = field.rpartition(".")
        if dot and owner not in owners:
            raise unknown("system", owner, owners, " in --set")
        having = [owner] if dot else [name for name in bare if rest in fields[name]]
        if len(having) > 1:
            raise BadInput(f"--set {field} is ambiguous: write {' or '.join(f'{name}.{field}' for name in having)}.")
        if not having:
            known = [name for one in bare for name in fields[one]]
            known += [f"{one}.{name}" for one in owners if one not in bare for name in fields[one]]
            raise unknown("field", rest, known, f" of {' and '.join(bare)}")
        out[having[0]][rest] = value
    return out


def _number_or_none(text: str | None) -> Any:
    from recx.recipes._build import UNSET

    if text is None:
        return UNSET
    if text.lower() in ("none", ""):
        return None
    with contextlib.suppress(ValueError):
        if math.isfinite(float(text)):
            return float(text)
    raise BadInput(f"--rating-above {text!r} is not a number: give one, or none for no threshold.")


def _data(options: dict[str, Any], dataset: str, settings: dict[str, str]) -> Any:
    from recx.recipes._build import UNSET, data_of

    given: dict[str, Any] = {"rating_above": _number_or_none(options["rating_above"])}
    given |= {name: UNSET if options[name] is None else options[name] for name in ("min_user", "min_item")}
    return data_of(dataset, settings, **given)


Settings = dict[str, dict[str, str]]


def _fit(dataset: str, model: str, options: dict[str, Any], explainers: Sequence[str] = ()) -> tuple[Any, Settings]:
    """The fit that the options name, and the settings of each explainer."""
    from recx.data._files import source
    from recx.recipes._build import fit_of

    found = source(dataset)
    owners = {found.name: found.kind} if found.name == dataset else {}
    owners |= {options["split"]: "data.splits", model: "models"} | dict.fromkeys(explainers, "explainers")
    for name, kind in ((options["split"], "data.splits"), *owners.items()):
        registry.module_name(kind, name)
    chosen = settings_of(options["settings"], owners)
    fit = fit_of(
        _data(options, dataset, chosen.get(dataset, {})),
        model,
        chosen[model],
        seed=options["seed"],
        split=options["split"],
        split_settings=chosen[options["split"]],
        device=options["device"],
    )
    return fit, chosen


def fit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say which model is meant."""
    for option in (
        click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps."),
        click.option("--min-item", type=click.IntRange(1), help="Items need this many events [the data set's own]."),
        click.option("--min-user", type=click.IntRange(1), help="Users need this many events [the data set's own]."),
        click.option("--rating-above", help="Keep ratings above this, or none [the data set's own]."),
        click.option("--split", default="leave-one-out", show_default=True, help="What is held out."),
        click.option("--seed", default=0, show_default=True, type=click.IntRange(0, 2**31 - 1)),
        click.option(
            "--set", "settings", multiple=True, metavar="FIELD=VALUE", help="A setting (or NAME.FIELD=VALUE)."
        ),
    ):
        command = option(command)
    return command


def _store() -> Any:
    """The store; while a command runs, one state of code and data: what is edited meanwhile moves no key."""
    from recx.engine.store import Store

    found = Store()
    click.get_current_context().with_resource(found.one_moment())
    return found


# -- commands


@click.group(context_settings=HELP)
@click.version_option("0.1.0", prog_name="recx")
def cli() -> None:
    """Why a recommender recommended something, and whether the reason is true."""


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
    card = _store().get(Card(Data(named)), progress) if here else {}
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
@shown
def data_import(file: str, name: str, columns: str, progress: Progress, **options: Any) -> Shown:
    """Make a data set of a CSV, TSV or Parquet file."""
    from recx.data import _files

    named = pairs(columns.split(","), "--columns user=uid,item=film")
    given = {key: value for key, value in options.items() if value is not None}
    found = _files.import_table(file, name, named, progress=progress, **given)
    return found, lambda: _summary_text(found)


def _discovered(kind: str) -> Shown:
    keys = ("name", "title", "paper", "parameters")
    from recx.engine.catalogue import form

    forms = [form(kind, name) for name in registry.names(kind)]
    rows = [{key: form[key] for key in keys} for form in forms]
    brief = [row | {"parameters": [f"{p['name']}={p['default']}" for p in row["parameters"]]} for row in rows]
    return rows, lambda: table(brief, keys)


@cli.command()
@shown
def models(progress: Progress) -> Shown:
    """Recommenders and their settings."""
    return _discovered("models")


@cli.command()
@shown
def explainers(progress: Progress) -> Shown:
    """Explainers and their settings."""
    return _discovered("explainers")


@cli.command()
@shown
def studies(progress: Progress) -> Shown:
    """Studies and their settings."""
    return _discovered("studies")


@cli.command()
@click.argument("dataset")
@click.argument("model")
@fit_options
@shown
def fit(dataset: str, model: str, progress: Progress, **options: Any) -> Shown:
    """Fit a model and measure it on the held-out part, beside chance and popularity."""
    from recx.core.progress import part_of
    from recx.recipes.fit import Chance, Evaluate

    store, (recipe, _) = _store(), _fit(dataset, model, options)
    scorer = store.get(recipe, part_of(progress, 0.0, 0.8))
    metrics = store.get(Evaluate(recipe), part_of(progress, 0.8, 0.9))
    popular = replace(recipe, model=registry.named("models", "toppop"))
    floors = {"chance": store.get(Chance(recipe.split_data))}
    floors |= {"toppop": store.get(Evaluate(popular), part_of(progress, 0.9, 1.0))}
    document = {"key": store.key(recipe), "dataset": dataset, "model": model, "metrics": metrics, "floors": floors}
    document |= {key: scorer.report.get(key) for key in ("seconds", "device", "converged")}
    rows = [{"": model} | metrics, *({"": name} | values for name, values in floors.items())]
    head = f"{model} on {dataset}: {document['seconds']} s on {document['device']}"
    return document, lambda: f"{head}\n{table(rows, ['', *metrics])}"


@cli.command()
@click.argument("dataset")
@click.argument("model")
@click.option("--user", required=True, help="The data set's own id.")
@click.option("--k", default=10, show_default=True)
@fit_options
@shown
def recommend(dataset: str, model: str, user: str, k: int, progress: Progress, **options: Any) -> Shown:
    """What a user is recommended."""
    from recx.recipes.people import Person
    from recx.recipes.recommend import Recommend

    recipe = Recommend(_fit(dataset, model, options)[0], (Person(user),), k)
    found = _store().get(recipe, progress)[0]
    return found, lambda: _recommend_text(user, found)


def _recommend_text(user: str, found: dict[str, Any]) -> str:
    held = ", ".join(row["title"] for row in found["held_out"]) or "nothing"
    head = f"user {user}: {len(found['history'])} items in the history, held out: {held}"
    return f"{head}\n{table(found['items'], ('rank', 'item', 'title', 'year', 'score', 'held_out'))}"


@cli.command()
@click.argument("dataset")
@click.argument("model")
@click.option("--user", required=True, help="The data set's own id.")
@click.option("--item", help="The recommended item to explain [the first of the list].")
@click.option("--list", "whole", is_flag=True, help="Explain every item of the list.")
@click.option("--k", default=10, show_default=True, help="The length of the list.")
@click.option(
    "--with", "names", multiple=True, default=("minimal",), show_default=True, help="An explainer (repeatable)."
)
@click.option("--world", default="edited-history", show_default=True)
@fit_options
@shown
def explain(
    dataset: str,
    model: str,
    user: str,
    item: str | None,
    whole: bool,
    k: int,
    names: tuple[str, ...],
    world: str,
    progress: Progress,
    **options: Any,
) -> Shown:
    """Why a user is recommended an item, checked by running the model without the reason."""
    from recx.core.progress import part_of
    from recx.recipes._build import explainer_of
    from recx.recipes.explain import Explain
    from recx.recipes.people import Person
    from recx.recipes.recommend import Recommend

    if item and whole:
        raise BadInput("--item and --list exclude each other: give one.")
    store, person = _store(), Person(user)
    recipe, chosen = _fit(dataset, model, options, names)
    asked = [explainer_of(name, chosen[name]) for name in dict.fromkeys(names)]
    targets: tuple[str | None, ...] = (item,)
    if whole:
        targets = tuple(row["item"] for row in store.get(Recommend(recipe, (person,), k), progress)[0]["items"])
    found = []
    for place, explainer in enumerate(asked):
        question = Explain(recipe, (person,) * len(targets), targets, explainer, k, world, options["seed"])
        found += store.get(question, part_of(progress, place / len(asked), (place + 1) / len(asked)))
    return [one.as_dict() for one in found], lambda: "\n\n".join(map(_explanation_text, found))


def _explanation_text(one: Any) -> str:
    """The sentence and the verdict of an explanation."""
    after = "-" if one.rank_after is None else one.rank_after
    verdict = f"rank {one.rank_before} -> {after}, necessary {_cell(one.necessary)}, sufficient {_cell(one.sufficient)}"
    more = f", minimal {one.minimal}" if one.minimal else ""
    instead = f", replaced by {one.replacement_title}" if one.replacement_title else ""
    cost = f"{one.model_calls:,} model calls, {one.seconds:.3f} s; {one.searched}"
    return f"{one.explainer}: {one.sentence}\n  {verdict}{more}{instead}\n  {cost}"


@cli.command()
@click.argument("name")
@click.option("--dataset", help="The data set [the study's own].")
@click.option("--with", "systems", multiple=True, help="A system to compare; may be repeated [all].")
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
    store = _store()
    with store.one_moment():  # code that is edited meanwhile must not hide where the rows come from
        found = store.get(recipe, progress)
        rows, manifest, seconds = shipped.records(found), store.manifest(recipe), store.seconds(recipe)
    document = {"study": name, "rows": rows, "seconds": seconds, "device": manifest.get("device", "cpu")}
    document |= {"provenance": _provenance(manifest) | {"command": _command()}}
    if keep:
        about = {key: value for key, value in document.items() if key != "rows"}
        shipped.keep(f"{name}-{recipe.data.source.name}", found, about)
    return document, lambda: _study_text(rows)


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
    wanted = "dataset recommender system setting metric convention published measured ci_low ci_high placebo n unit"
    columns = [c for c in wanted.split() if any(row.get(c) not in (None, "") for row in rows)]
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
@shown
def bench(name: str, progress: Progress) -> Shown:
    """Time ours and a baseline on the same work, in the same run."""
    from recx.engine import benches

    found = {"bench": name} | benches.load(name)(progress)
    return found, lambda: table([found], [key for key, value in found.items() if not isinstance(value, (dict, list))])


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
    found = _store()
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
    done = _store().clean(everything=everything)
    return done, lambda: f"{done['removed']} removed, {done['freed_bytes'] / 1e6:.1f} MB freed"


@store.command("remove")
@click.argument("key")
@shown
def store_remove(key: str, progress: Progress) -> Shown:
    """Delete one result by (the beginning of) its key."""
    found = _store()
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
