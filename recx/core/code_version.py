"""The version of code a result depends on: a hash of the syntax trees of a module and all it imports from recx."""

from __future__ import annotations

import ast
import functools
import hashlib
import os
import threading
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
_PARSING = threading.Lock()
"""Two threads that parse at once can break CPython 3.11's parser ("AST constructor recursion depth mismatch")."""


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
        if name in seen or not path:
            continue
        try:
            changed = os.stat(path).st_mtime_ns
        except OSError:
            continue
        seen[name], imported = _parsed(path, changed)
        waiting.extend(imported)
    text = "\n".join(f"{name} {seen[name]}" for name in sorted(seen))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@functools.cache
def _path(module: str) -> str:
    """Where the file of a recx module would be; empty for other libraries. A package has no such file: its `__init__`
    is not followed."""
    parts = module.split(".")
    return str(PACKAGE.joinpath(*parts[1:]).with_suffix(".py")) if parts[0] == "recx" and len(parts) > 1 else ""


@functools.cache
def _parsed(path: str, _mtime_ns: int) -> tuple[str, tuple[str, ...]]:
    """The hash of a file's docstring-free syntax tree, and the recx names it imports."""
    with _PARSING:
        tree = ast.parse(Path(path).read_text(encoding="utf-8"))
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
