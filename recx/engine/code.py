"""The version of the code that computes: what an engine or a catalogue was made by."""

from __future__ import annotations

import functools
import hashlib
import os

from recx.core.registry import PACKAGE

LOOKS = ("ui", "pages", "figures")
"""Folders that compute nothing: editing them needs no new engine."""


def environment(**more: str) -> dict[str, str]:
    """The environment for a process of ours: it imports this very recx, wherever it starts."""
    places = (str(PACKAGE.parent), os.environ.get("PYTHONPATH"))
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, places))} | more


def package_version() -> str:
    """Sha256 (16 hex digits) of the sources of recx, without those that only draw."""
    files = []
    for folder, below, names in os.walk(PACKAGE):  # not pathlib: this is asked before every submission
        below[:] = [name for name in below if name != "__pycache__" and (name not in LOOKS or folder != str(PACKAGE))]
        for name in names:
            if name.endswith(".py"):
                state = os.stat(os.path.join(folder, name))
                files.append((os.path.join(folder, name), state.st_mtime_ns, state.st_size))
    return _digest(tuple(sorted(files)))


@functools.lru_cache(maxsize=4)
def _digest(files: tuple[tuple[str, int, int], ...]) -> str:
    digest = hashlib.sha256()
    for path, _, _ in files:
        with open(path, "rb") as file:
            digest.update(path.encode() + b"\0" + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]
