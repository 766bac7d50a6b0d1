"""Recipes: frozen dataclasses whose fields are the parameters, the form in the app and the cache key."""

from __future__ import annotations

import dataclasses
import importlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_type_hints

from recx.core.errors import BadInput, unknown


def param(
    default: Any,
    text: str,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] | None = None,
) -> Any:
    """A field of a recipe, written once: default, one sentence, unit, range or choices."""
    meta = {"text": text, "unit": unit, "low": low, "high": high, "choices": choices}
    return dataclasses.field(default=default, metadata=meta)


def title(cls: type) -> str:
    """The name a menu shows for a recipe: the first line of its docstring, without the full stop."""
    return (cls.__doc__ or cls.__name__).strip().splitlines()[0].rstrip(".")


def describe(cls: type) -> list[dict[str, Any]]:
    """One dict per field written with `param`: name, type, default, text, unit, low, high, choices."""
    hints = get_type_hints(cls)
    rows = []
    for field in dataclasses.fields(cls):
        if "text" not in field.metadata:
            continue
        kind = hints[field.name]
        name = kind.__name__ if isinstance(kind, type) else str(kind)
        rows.append({"name": field.name, "type": name, "default": field.default} | dict(field.metadata))
    return rows


def clean(owner: str, form: list[dict[str, Any]], settings: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Settings checked against a form (`describe`), typed, sorted, without those equal to the default.

    Raises BadInput for an unknown field, a wrong type, or a value outside its range or choices.
    """
    known = {row["name"]: row for row in form}
    for name in settings:
        if name not in known:
            raise unknown("field", name, known, f" of {owner}")
    typed = {name: _typed(owner, known[name], value) for name, value in settings.items()}
    return tuple(sorted((n, v) for n, v in typed.items() if v != known[n]["default"]))


def _typed(owner: str, row: dict[str, Any], value: Any) -> Any:
    """One value in the type of its field, or the sentence that says why not."""
    where = f"{owner}.{row['name']}"
    readers: dict[str, Callable[[Any], Any]] = {"bool": _as_bool, "int": _as_int, "float": float, "str": str}
    reader = readers.get(row["type"], readers.get(row["type"].split(" | ")[0], str))
    if value is None or (isinstance(value, str) and value.lower() == "none" and "None" in row["type"]):
        if "None" in row["type"]:
            return None
        raise BadInput(f"{where} needs a value of type {row['type']}: {row['text']}")
    try:
        typed = reader(value)
    except (TypeError, ValueError):
        raise BadInput(f"{where}={value!r} is not {_article(row['type'])}: {row['text']}") from None
    _check_range(where, row, typed)
    return typed


def _check_range(where: str, row: dict[str, Any], value: Any) -> None:
    choices, low, high = row.get("choices"), row.get("low"), row.get("high")
    if choices and value not in choices:
        raise BadInput(f"{where}={value!r} is not one of {', '.join(map(str, choices))}.")
    if isinstance(value, float) and not math.isfinite(value):
        raise BadInput(f"{where}={value!r} is not finite.")
    if (low is not None and value < low) or (high is not None and value > high):
        span = f"{'' if low is None else low} to {'' if high is None else high}".strip()
        raise BadInput(f"{where}={value!r} is out of range: allowed is {span}.")


def _article(kind: str) -> str:
    return {"int": "a whole number", "float": "a number", "bool": "true or false"}.get(kind, f"of type {kind}")


def _as_bool(value: Any) -> bool:
    table = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
    text = str(value).lower()
    if text not in table:
        raise ValueError(value)
    return table[text]


def _as_int(value: Any) -> int:
    number = int(value)
    if isinstance(value, bool) or (isinstance(value, float) and value != number):
        raise ValueError(value)
    return number


@dataclass(frozen=True)
class Named:
    """A discovered recipe by name, with the settings that differ from its defaults; torch-free.

    `kind` is a discovery folder ("models", "explainers", "data.sources"); make one with `recx.core.registry.named`.
    """

    kind: str
    name: str
    settings: tuple[tuple[str, Any], ...] = ()

    def build(self) -> Any:
        """The recipe itself; imports its module."""
        from recx.core import registry

        return registry.build(self.kind, self.name, dict(self.settings))


def canonical(value: Any) -> Any:
    """A recipe as plain JSON values: every field of every nested recipe, with the class it belongs to."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        body = {
            f.name: canonical(getattr(value, f.name)) for f in dataclasses.fields(value) if f.metadata.get("key", True)
        }
        return {"recipe": f"{type(value).__module__}.{type(value).__qualname__}"} | body
    if isinstance(value, (tuple, list)):
        return [canonical(part) for part in value]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    raise TypeError(f"a recipe holds plain values only, not {type(value).__name__}: {value!r}")


def rebuild(value: Any) -> Any:
    """The inverse of `canonical`: nested recipes from plain values; only classes of `recx` are ever built."""
    if isinstance(value, list):
        return tuple(rebuild(part) for part in value)
    if not isinstance(value, dict):
        return value
    module, _, name = value["recipe"].rpartition(".")
    if module.split(".")[0] != "recx":
        raise ValueError(f"not a recipe of recx: {value['recipe']}")
    cls = getattr(importlib.import_module(module), name)
    return cls(**{key: rebuild(part) for key, part in value.items() if key != "recipe"})


def canonical_text(value: Any) -> str:
    """`canonical` as one line of JSON with sorted keys: what the store's key hashes."""
    return json.dumps(canonical(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
