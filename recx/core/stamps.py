"""What files outside the package hold: their contents, and the sources that a module of somebody else is made of."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
from importlib.machinery import PathFinder
from pathlib import Path

from recx.core.code_version import _PARSING
from recx.core.errors import BadInput


def state(path: Path) -> tuple[int, int]:
    """Time of change and size: what a file is taken to be unchanged by."""
    found = path.stat()
    return found.st_mtime_ns, found.st_size


def content(path: Path) -> str:
    """Sha256 (hex) of a file, remembered by this process as long as its state stays. Raises OSError."""
    return _content(path, state(path))


@functools.lru_cache(maxsize=1024)
def _content(path: Path, _state: tuple[int, int]) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sources(owner: str, module: str, folder: str = "") -> dict[str, Path]:
    """Module name -> file, of a module and of all that it imports from beside it, at any depth; nothing is executed.

    "Beside it" is the folder named, or the module's own package where it is an installed one. `owner` is named in the
    sentence: raises BadInput when the module is not there, has no source, or is not Python.
    """
    top = module.partition(".")[0]
    root = Path(folder) if folder else _root(owner, top)
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = source_file(root, name)
        if path is None or name in found or not (folder or name.partition(".")[0] == top):
            continue
        found[name] = path
        waiting += [name.rpartition(".")[0], *_imports(owner, name, path, state(path))]
    if module not in found:
        where = f"in {folder}" if folder else "among the installed packages: give --path FOLDER, or install it"
        raise BadInput(f"{owner}: there is no source of the module {module!r} {where}.")
    return dict(sorted(found.items()))


def _root(owner: str, top: str) -> Path:
    """The folder that an installed top-level module lies in; nothing is imported."""
    try:
        spec = PathFinder.find_spec(top) or importlib.util.find_spec(top)
    except (ImportError, ValueError):
        spec = None
    places = [*(spec.submodule_search_locations or ()), spec.origin or ""] if spec else []
    if not places or not places[0]:
        raise BadInput(f"{owner}: no module {top!r} is installed: give --path FOLDER, or install it.")
    return Path(places[0]).parent


def source_file(root: Path, name: str) -> Path | None:
    """The source of a module below a folder, if it has one."""
    if not name:
        return None
    base = root.joinpath(*name.split("."))
    candidates = (base / "__init__.py", base.with_name(base.name + ".py"))
    return next((path for path in candidates if path.is_file()), None)


@functools.lru_cache(maxsize=1024)
def _imports(owner: str, name: str, path: Path, _state: tuple[int, int]) -> tuple[str, ...]:
    """The full names of everything that a file imports, relative ones resolved."""
    try:
        with _PARSING:
            tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, RecursionError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise BadInput(f"{owner}: {path}{line} is not Python ({error.args[0]}): mend it.") from None
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            steps = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*filter(None, steps), *([node.module] if node.module else [])])
            found += [base, *(f"{base}.{alias.name}".lstrip(".") for alias in node.names)]
    return tuple(found)
