"""Discovery: every file of a folder is one recipe; its name is the file name with - for _."""

from __future__ import annotations

import dataclasses
import functools
import importlib
from pathlib import Path
from typing import Any

from recx.core import recipe
from recx.core.errors import unknown

PACKAGE = Path(__file__).resolve().parents[1]
KINDS = {
    "models": "model",
    "explainers": "explainer",
    "studies": "study",
    "data.sources": "data set",
    "data.splits": "split",
}


def names(kind: str) -> list[str]:
    """The names discovered under `recx/<kind>/`, sorted; imports nothing."""
    folder = PACKAGE.joinpath(*kind.split("."))
    return sorted(p.stem.replace("_", "-") for p in folder.glob("*.py") if not p.stem.startswith("_"))


def module_name(kind: str, name: str) -> str:
    """The module that holds a discovered recipe. Raises BadInput for a name that no file has."""
    if name not in names(kind):
        raise unknown(KINDS.get(kind, kind), name, names(kind))
    return f"recx.{kind}.{name.replace('-', '_')}"


def load(kind: str, name: str) -> type:
    """The one public frozen dataclass of a discovered file; imports it."""
    module = importlib.import_module(module_name(kind, name))
    found = [
        value
        for key, value in vars(module).items()
        if not key.startswith("_") and dataclasses.is_dataclass(value) and value.__module__ == module.__name__
    ]
    if len(found) != 1 or not isinstance(found[0], type):
        raise TypeError(f"{module.__name__} must hold exactly one public dataclass, found {found}")
    return found[0]


@functools.cache
def form(kind: str, name: str) -> dict[str, Any]:
    """What menus and the command line show of a recipe: name, title, paper, parameters; imports its module."""
    cls = load(kind, name)
    extra: dict[str, Any] = {}
    if kind == "explainers":
        extra["needs"] = sorted(cls.needs_of_world)  # type: ignore[attr-defined]
    if kind == "data.sources":
        extra |= {"prepare": cls.prepare, "how_to_get": cls.how_to_get}  # type: ignore[attr-defined]
    return {
        "name": name,
        "title": recipe.title(cls),
        "paper": getattr(cls, "paper", ""),
        "parameters": recipe.describe(cls),
    } | extra


def named(kind: str, name: str, settings: dict[str, Any] | None = None, *, form_of: Any = form) -> recipe.Named:
    """A discovered recipe by name with checked settings.

    `form_of(kind, name)` gives its form; the app passes the catalogue's so that no module is imported.
    """
    module_name(kind, name)
    return recipe.Named(kind, name, recipe.clean(name, form_of(kind, name)["parameters"], settings or {}))
