"""`recx models`, `explainers`, `studies`: what there is; models of your own, registered and removed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from recx.cli.ask import pairs
from recx.cli.root import cli
from recx.cli.say import Shown, shown, table
from recx.core import registered, registry, stamps
from recx.core.errors import BadInput
from recx.core.progress import Progress

KEYS = ("name", "title", "paper", "parameters")


def _discovered(kind: str, names: list[str]) -> Shown:
    from recx.engine.catalogue import form

    rows = []
    for name in names:
        try:
            rows.append({key: value for key, value in form(kind, name).items() if key in (*KEYS, "external")})
        except Exception as error:  # one file that does not import must not hide the others
            click.echo(f"recx: {name} cannot be used: {type(error).__name__}: {error}", err=True)
    brief = [row | {"parameters": [f"{p['name']}={p['default']}" for p in row["parameters"]]} for row in rows]
    return rows, lambda: table(brief, KEYS)


@cli.group(invoke_without_command=True)
@shown
def models(progress: Progress) -> Shown:
    """Recommenders and their settings; your own among them."""
    if not click.get_current_context().invoked_subcommand:
        for name, why in registered.read()[1].items():
            click.echo(f"recx: {name} cannot be used: {why}", err=True)
    own = [name for name in registry.listed("models") if registry.is_registered("models", name)]
    return _discovered("models", registry.names("models") + own)


def kind_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say what a model of one's own is."""
    for option in (
        click.option("--set", "settings", multiple=True, metavar="FIELD=VALUE", help="timeout, batch, retries, ..."),
        click.option("--version", help="A word of yours: change it when the model behind it changes."),
        click.option("--title", help="What menus call it [its name]."),
        click.option("--watch", multiple=True, help="With --python: a file that the function reads (repeatable)."),
        click.option("--path", help="With --python: the folder that holds the module."),
        click.option("--user-ids", help="With --users: the user id of each row, one per line."),
        click.option("--ids", help="The item id of each row, one per line [the order of the data set]."),
        click.option("--users", help="With --embeddings: a row per user, .npy or .safetensors."),
        click.option("--item-item", metavar="FILE", help="Weights between items, .npy, .safetensors or sparse .npz."),
        click.option("--embeddings", metavar="FILE", help="A row per item, .npy or .safetensors."),
        click.option("--http", metavar="URL", help="An endpoint that histories are posted to."),
        click.option("--python", metavar="PKG.MOD:FUNCTION", help="A function of histories, users, items."),
    ):
        command = option(command)
    return command


@models.command("add")
@click.argument("name")
@kind_options
@shown
def models_add(name: str, settings: tuple[str, ...], progress: Progress, **options: Any) -> Shown:
    """Register a model of your own: one of --python, --http, --embeddings, --item-item.

    It is then a model like the built-in ones. docs/external-models.md says what each must answer.
    """
    files = {"path", "watch", "embeddings", "item_item", "users", "ids", "user_ids"}
    given = {key: _absolute(value) if key in files else value for key, value in options.items() if value}
    if given.get("python") and "path" not in given:
        given |= _here(given["python"])
    extra = {key.replace("-", "_"): value for key, value in pairs(settings, "--set timeout=5").items()}
    if twice := sorted(set(extra) & set(given)):
        raise BadInput(f"{twice[0]} is given twice: as --{twice[0].replace('_', '-')} and with --set.")
    found = registered.add(name, given | extra)
    document = {"name": name, "title": found.title, "kind": found.kind, "file": str(found.file)}
    return document | {
        "stamp": registered.stamp(name)
    }, lambda: f"{name} stands in {found.file} ({found.kind}). Next: python -m recx fit DATASET {name}"


def _absolute(value: Any) -> Any:
    """Paths as seen from any folder: the engine runs elsewhere."""
    if isinstance(value, tuple):
        return [_absolute(one) for one in value]
    return os.path.abspath(os.path.expanduser(value))


def _here(target: str) -> dict[str, str]:
    """The folder one stands in, where the module is in it: the engine stands elsewhere."""
    return {"path": str(Path.cwd())} if stamps.source_file(Path.cwd(), target.partition(":")[0]) else {}


@models.command("remove")
@click.argument("name")
@shown
def models_remove(name: str, progress: Progress) -> Shown:
    """Forget a model of your own; its files and stored results stay."""
    registered.remove(name)
    return {"removed": name}, lambda: f"{name} is removed"


@cli.command()
@shown
def explainers(progress: Progress) -> Shown:
    """Explainers and their settings."""
    return _discovered("explainers", registry.names("explainers"))


@cli.command()
@shown
def studies(progress: Progress) -> Shown:
    """Studies and their settings."""
    return _discovered("studies", registry.names("studies"))
