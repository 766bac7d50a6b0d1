"""The version of code a result depends on: a hash of the syntax trees of a module and all it imports from recx."""

from __future__ import annotations

import ast
import functools
import hashlib
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]


def code_version(*modules: str) -> str:
    """Sha256 over the docstring-free syntax trees of the modules and their transitive `recx` imports.

    Imports are read from the source (nothing is executed) and not followed through `__init__` files, so adding a
    model does not change the version of another.
    """
    seen: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        path = _path(name)
        if name in seen or path is None:
            continue
        seen[name], imported = _parsed(path, path.stat().st_mtime_ns)
        waiting.extend(imported)
    text = "\n".join(f"{name} {seen[name]}" for name in sorted(seen))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _path(module: str) -> Path | None:
    """The file of a recx module; None for packages (their `__init__` is not followed) and for other libraries."""
    parts = module.split(".")
    path = PACKAGE.joinpath(*parts[1:]).with_suffix(".py")
    return path if parts[0] == "recx" and len(parts) > 1 and path.is_file() else None


@functools.cache
def _parsed(path: Path, _mtime_ns: int) -> tuple[str, tuple[str, ...]]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            imported += [node.module] + [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            imported += [alias.name for alias in node.names]
        _drop_docstring(node)
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), tuple(n for n in imported if n.startswith("recx."))


def _drop_docstring(node: ast.AST) -> None:
    if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
        first = node.body[0] if node.body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            node.body = node.body[1:]
