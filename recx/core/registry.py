"""Discovery: every file of a folder is one recipe; its name is the file name with - for _.

Models that somebody registered (`recx.core.registered`) are recipes of `models/external.py`, each under its own name.
"""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import functools
import importlib
from pathlib import Path
from typing import Any

from recx.core import recipe, registered
from recx.core.errors import unknown

PACKAGE = Path(__file__).resolve().parents[1]
KINDS = {
    "models": "model",
    "explainers": "explainer",
    "studies": "study",
    "data.sources": "data set",
    "data.splits": "split",
}
EXTERNAL = "external"
"""The discovered model that stands for all registered ones."""


def names(kind: str) -> list[str]:
    """The names discovered under `recx/<kind>/`, sorted; imports nothing."""
    folder = PACKAGE.joinpath(*kind.split("."))
    return sorted(p.stem.replace("_", "-") for p in folder.glob("*.py") if not p.stem.startswith("_"))


def built_in(kind: str) -> list[str]:
    """The discovered names that mean something without a registration, sorted."""
    return [name for name in names(kind) if (kind, name) != ("models", EXTERNAL)]


def listed(kind: str) -> list[str]:
    """What a menu lists: what is built in, then the registered models."""
    own = registered.names() if kind == "models" else []
    return built_in(kind) + [name for name in own if is_registered(kind, name)]


def is_registered(kind: str, name: str) -> bool:
    """Is this a model that somebody registered (or tried to: its entry may be wrong)? A discovered name never is."""
    return kind == "models" and name not in names(kind) and any(name in found for found in registered.read())


def module_name(kind: str, name: str) -> str:
    """The module that holds a recipe. Raises BadInput for a name that no file has and nobody registered."""
    if is_registered(kind, name):
        registered.find(name)
        name = EXTERNAL
    if name not in names(kind):
        raise unknown(KINDS.get(kind, kind), name, listed(kind))
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


def declared(kind: str, name: str) -> dict[str, Any]:
    """The class attributes of a recipe that are written as plain values, read from its source: imports nothing."""
    path = PACKAGE.parent.joinpath(*module_name(kind, name).split(".")).with_suffix(".py")
    return _declared(str(path), path.stat().st_mtime_ns)


@functools.cache
def _declared(path: str, _mtime_ns: int) -> dict[str, Any]:
    tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]
    found = {}
    for node in (one for cls in classes for one in cls.body if isinstance(one, ast.AnnAssign) and one.value):
        if isinstance(node.target, ast.Name) and "ClassVar" in ast.unparse(node.annotation):
            with contextlib.suppress(ValueError):
                found[node.target.id] = ast.literal_eval(node.value)  # type: ignore[arg-type]
    return found


def build(kind: str, name: str, settings: dict[str, Any]) -> Any:
    """A recipe by name with settings that were checked; imports its module."""
    return load(kind, name)(**({"name": name} if is_registered(kind, name) else settings))


def form(kind: str, name: str) -> dict[str, Any]:
    """What menus and the command line show of a recipe: name, title, paper, parameters; imports its module.

    A registered model also has `external`: what kind it is. Nothing of it can be set here, least of all where it lies.
    """
    if is_registered(kind, name):
        found = registered.find(name)
        return {"name": name, "title": found.title, "paper": "", "parameters": [], "external": found.kind}
    return _form(kind, name)


@functools.cache
def _form(kind: str, name: str) -> dict[str, Any]:
    cls = load(kind, name)
    extra: dict[str, Any] = {}
    if kind == "explainers":
        extra["needs"] = sorted(cls.needs_of_world)  # type: ignore[attr-defined]
        extra["published"] = dict(getattr(cls, "published", {}))
    if kind == "models":
        grid = getattr(cls, "grid", {})
        extra |= {"grid": {field: list(values) for field, values in grid.items()}}
        extra |= {"published": dict(getattr(cls, "published", {}))}
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
    cleaned = recipe.clean(name, form_of(kind, name)["parameters"], settings or {})
    if (kind, name) == ("models", EXTERNAL) and cleaned:  # `external` with a name is that model
        return named(kind, registered.find(dict(cleaned)["name"]).name)
    return recipe.Named(kind, name, cleaned)
