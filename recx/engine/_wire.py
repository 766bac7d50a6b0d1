"""A recipe as text for another process: every field, those outside the key (device) too."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any

from recx.core.recipe import Named, canonical, rebuild
from recx.recipes._recipe import nested


def to_text(recipe: Any) -> str:
    """JSON that `from_text` makes the same recipe of."""
    return json.dumps(_whole(recipe), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def from_text(text: str) -> Any:
    """The recipe again; only classes of `recx` are ever built."""
    return rebuild(json.loads(text))


def _whole(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        body = {field.name: _whole(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"recipe": f"{type(value).__module__}.{type(value).__qualname__}"} | body
    return [_whole(part) for part in value] if isinstance(value, (tuple, list)) else canonical(value)


def stored_needs(recipe: Any) -> Iterator[Any]:
    """The nearest recipes below that are worth a task of their own: what is kept in memory is looked through."""
    for need in recipe.needs():
        if need.keep == "memory":
            yield from stored_needs(need)
        else:
            yield need


def title(recipe: Any) -> str:
    """A name for a recipe's job: its kind and the discovered parts in it ("Fit: ease, leave-one-out, ml-100k")."""
    names = [part.name for part in nested(recipe) if isinstance(part, Named)]
    text = ", ".join(dict.fromkeys(reversed(names)))
    return f"{type(recipe).__name__}: {text}" if text else type(recipe).__name__


def device_of(recipe: Any) -> str:
    """The device asked for anywhere in a recipe; `auto` when none is named."""
    named = {getattr(part, "device", "auto") for part in nested(recipe)} - {"auto"}
    return sorted(named)[0] if named else "auto"
