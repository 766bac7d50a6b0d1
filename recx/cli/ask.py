"""What was typed, read: names and settings to recipes."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import click

from recx.core import registry
from recx.core.errors import BadInput, unknown


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
    forms = {name: registry.form(kind, name)["parameters"] for name, kind in owners.items()}
    fields = {name: {row["name"]: row for row in rows} for name, rows in forms.items()}
    for field, value in pairs(words, "--set l2=100").items():
        owner, dot, rest = field.rpartition(".")
        if dot and owner not in owners:
            raise unknown("system", owner, owners, " in --set")
        asked = [owner] if dot else bare
        having = [name for name in asked if rest in fields[name]]
        if len(having) > 1:
            raise BadInput(f"--set {field} is ambiguous: write {' or '.join(f'{name}.{field}' for name in having)}.")
        if not having:
            known = {name: row for one in asked for name, row in fields[one].items()}
            if not dot:
                known |= {f"{one}.{n}": row for one in owners if one not in bare for n, row in fields[one].items()}
            raise BadInput(with_ranges(unknown("field", rest, known, f" of {' and '.join(asked)}"), known))
        out[having[0]][rest] = value
    return out


def with_ranges(error: BadInput, known: dict[str, dict[str, Any]]) -> str:
    """The sentence for an unknown field, with what each field that it proposes may be."""
    lead, mark, shown = str(error).rpartition("; did you mean ")
    if not mark:
        return str(error)
    return f"{lead}{mark}{', '.join(name + allowed(known[name]) for name in shown.rstrip('.').split(', '))}."


def allowed(row: dict[str, Any]) -> str:
    """The values that a field may have, in brackets; empty where anything goes."""
    low, high, choices = row.get("low"), row.get("high"), row.get("choices")
    if choices:
        return f" ({', '.join(choices)})"
    ends = [f"from {low:g}"] if low is not None else []
    ends += [f"to {high:g}"] if high is not None else []
    return f" ({' '.join(ends)})" if ends else ""


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


def fit_and_settings(
    dataset: str, model: str, options: dict[str, Any], explainers: Sequence[str] = ()
) -> tuple[Any, Settings]:
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


def a_store() -> Any:
    """The store; while a command runs, one state of code and data: what is edited meanwhile moves no key."""
    from recx.engine.store import Store

    found = Store()
    click.get_current_context().with_resource(found.one_moment())
    return found
