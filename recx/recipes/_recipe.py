"""What a computable recipe is, and the key under which its result is kept."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Protocol

from recx.core import registered, registry
from recx.core.code_version import code_version
from recx.core.progress import Progress
from recx.core.recipe import Named, canonical_text

Get = Callable[["Recipe"], Any]
"""`get(recipe)` gives a recipe's result: the store in the app, `plain_get` in a test."""


class Recipe(Protocol):
    """A frozen dataclass of plain values that can be computed.

    `keep`: "disk" (stored) or "memory" (cheap to make again: kept by its process). `lane`: "interactive" for a
    question that somebody waits for, "batch" for fits and chunks.
    """

    keep: ClassVar[str]
    lane: ClassVar[str]

    def needs(self) -> tuple[Recipe, ...]:
        """The recipes whose results `run` asks for."""
        ...

    def run(self, get: Get, progress: Progress) -> Any:
        """The result; `get` answers for `needs`."""
        ...


def plain_get(recipe: Recipe) -> Any:
    """The simplest `get`: computes everything anew."""
    from recx.core.progress import quiet

    return recipe.run(plain_get, quiet)


def nested(value: Any) -> Iterator[Any]:
    """Every dataclass inside a recipe, itself first."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield value
        for field in dataclasses.fields(value):
            yield from nested(getattr(value, field.name))
    elif isinstance(value, tuple):
        for part in value:
            yield from nested(part)


def versions(recipe: Recipe) -> dict[str, Any]:
    """The code version and the fingerprints of the data files and registered models a recipe depends on."""
    modules, data = set(), {}
    for part in nested(recipe):
        modules.add(type(part).__module__)
        if isinstance(part, Named):
            modules.add(registry.module_name(part.kind, part.name))
            if part.kind == "data.sources":
                from recx.data._files import fingerprint

                data[canonical_text(part)] = fingerprint(part)
            if registry.is_registered(part.kind, part.name):
                data[canonical_text(part)] = registered.stamp(part.name)
    return {"code": code_version(*sorted(modules)), "data": data}


def key(recipe: Recipe) -> str:
    """Sha256 (32 hex digits) of the canonical recipe, its data's fingerprints and its code version."""
    stamp = versions(recipe)
    text = "\n".join([canonical_text(recipe), stamp["code"], *(f"{k} {v}" for k, v in sorted(stamp["data"].items()))])
    return hashlib.sha256(text.encode()).hexdigest()[:32]
