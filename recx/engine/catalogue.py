"""The forms of everything discovered, as one JSON file: menus are drawn from it without importing a model."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from recx.core import paths, registry
from recx.core.errors import BadInput, unknown
from recx.engine.code import environment, package_version


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Forms by kind ("models", "explainers", "studies", "data.sources", "data.splits") and name.

    A form is a dict: name, title, about, paper, parameters (one dict per field); explainers also have `needs` (of the
    world), data sources `prepare` (default thresholds) and `how_to_get`. `broken`: "kind name" -> why not imported.
    """

    forms: dict[str, dict[str, dict[str, Any]]]
    broken: dict[str, str]

    def names(self, kind: str) -> list[str]:
        """The names of a kind, sorted."""
        return sorted(self.forms.get(kind, {}))

    def form_of(self, kind: str, name: str) -> dict[str, Any]:
        """The form of a discovered recipe. Raises BadInput for an unknown name."""
        if why := self.broken.get(f"{kind} {name}"):
            raise BadInput(f"{registry.KINDS.get(kind, kind)} {name!r} cannot be imported: {why}")
        if name not in self.forms.get(kind, {}):
            raise unknown(registry.KINDS.get(kind, kind), name, self.names(kind))
        return self.forms[kind][name]

    def all(self, kind: str) -> list[dict[str, Any]]:
        """All forms of a kind, by name."""
        return [self.forms[kind][name] for name in self.names(kind)]


def read() -> Catalogue:
    """The catalogue of this code; written first, by another process, when it is not there."""
    path = path_now()
    if not path.is_file():
        with FileLock(path.with_suffix(".lock")):
            if not path.is_file():
                _write_elsewhere()
    return Catalogue(**json.loads(path.read_text(encoding="utf-8")))


def path_now() -> Path:
    """The file of the catalogue of this code."""
    folder = paths.home() / "catalogue"
    folder.mkdir(exist_ok=True)
    return folder / f"{package_version()}.json"


def _write_elsewhere() -> None:
    """Collect in a process of its own, because it imports torch."""
    command = [sys.executable, "-m", "recx.engine.catalogue"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the catalogue could not be written: {done.stderr.strip().splitlines()[-1:]}")


def write() -> Path:
    """Import everything discovered and write its forms; older catalogues go."""
    path = path_now()
    tmp = path.with_suffix(f".{os.getpid()}.tmp")
    tmp.write_text(json.dumps(collect(), indent=1, ensure_ascii=False), encoding="utf-8")
    tmp.replace(path)
    for old in sorted(path.parent.glob("*.json"), key=lambda one: one.stat().st_mtime)[:-5]:
        old.unlink(missing_ok=True)
    return path


def collect() -> dict[str, Any]:
    """Forms and what is broken, from the modules themselves; imports all of them."""
    forms: dict[str, dict[str, Any]] = {kind: {} for kind in registry.KINDS}
    broken: dict[str, str] = {}
    for kind in registry.KINDS:
        for name in registry.names(kind):
            try:
                forms[kind][name] = form(kind, name)
            except Exception as error:  # one file that does not import must not hide the others
                broken[f"{kind} {name}"] = f"{type(error).__name__}: {error}"
    return {"forms": forms, "broken": broken}


def form(kind: str, name: str) -> dict[str, Any]:
    """One form, from the module itself: `registry.form` with what only a catalogue needs."""
    cls = registry.load(kind, name)
    about = "\n".join(inspect.cleandoc(cls.__doc__ or "").splitlines()[1:]).strip()
    found = registry.form(kind, name)
    parameters = [row for row in found["parameters"] if "text" in row]  # a study's recipes are no fields of a form
    return found | {"about": about, "parameters": parameters}


if __name__ == "__main__":
    write()
