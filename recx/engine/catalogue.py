"""The forms of everything discovered, as one JSON file: menus are drawn from it without importing a model."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from recx.core import paths, registered, registry
from recx.core.errors import BadInput, unknown
from recx.engine.code import environment, package_version

FIRST_EXPLAINERS = ("minimal", "lcer", "leave-one-out", "association")
"""The explainers that stand side by side until others are chosen: a proved set, a learnt one, one item, a rule."""


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
    """The catalogue of this code and of the models registered now; written first when it is not there.

    What the code holds another process collects; a change of what is registered costs nothing but a file.
    """
    path, own = _path(), path_now()
    for file, write_it in ((path, _write_elsewhere), (own, lambda: _put(own, _with_registered(path)))):
        if not file.is_file():
            with FileLock(file.with_suffix(".lock")):
                if not file.is_file():
                    write_it()
    return Catalogue(**json.loads(own.read_text(encoding="utf-8")))


def path_now() -> Path:
    """The file of the catalogue of this code and of the models registered now."""
    mark = registered.mark()
    return _path().with_stem(f"{package_version()}-{mark}") if mark else _path()


def _path() -> Path:
    """The file of the catalogue of this code alone."""
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
    path = _path()
    _put(path, collect())
    for old in sorted(path.parent.glob("*.json"), key=lambda one: one.stat().st_mtime)[:-5]:
        old.unlink(missing_ok=True)
    return path


def _put(path: Path, found: dict[str, Any]) -> None:
    """Write a catalogue, whole or not at all."""
    tmp = path.with_suffix(f".{uuid.uuid4().hex[:8]}.tmp")
    tmp.write_text(json.dumps(found, indent=1, ensure_ascii=False), encoding="utf-8")
    tmp.replace(path)


def _with_registered(path: Path) -> dict[str, Any]:
    """The catalogue of the code with the models that are registered now; none of them is imported."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    for name in set(registry.listed("models")) - set(registry.built_in("models")):
        found["forms"]["models"][name] = registry.form("models", name) | {"about": "Registered by whoever runs recx."}
    for name, why in registered.read()[1].items():
        found["broken"][f"{registered.FILE if name in registry.names('models') else 'models'} {name}"] = why
    return found


def collect() -> dict[str, Any]:
    """Forms and what is broken, from the modules themselves; imports all of them."""
    forms: dict[str, dict[str, Any]] = {kind: {} for kind in registry.KINDS}
    broken: dict[str, str] = {}
    for kind in registry.KINDS:
        for name in registry.built_in(kind):
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
