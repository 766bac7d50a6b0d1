"""Where things lie: RECX_HOME (what recx keeps) and RECX_DATA (where data sets are looked for)."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from recx.core.errors import BadInput


def home() -> Path:
    """The folder that holds store, jobs and downloads: RECX_HOME, else the platform's user cache folder.

    Raises BadInput when it is not there and cannot be made.
    """
    folder = Path(os.environ.get("RECX_HOME") or platformdirs.user_cache_dir("recx", appauthor=False))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{folder} cannot be made ({error.strerror}): set RECX_HOME to a folder of yours.") from None
    return folder


def downloads() -> Path:
    """The folder that `data add` and `data import` fill: RECX_HOME/data."""
    return home() / "data"


def data_folders() -> list[Path]:
    """The search path for data sets: each folder of RECX_DATA, then `downloads()`."""
    named = os.environ.get("RECX_DATA", "")
    return [Path(part).expanduser() for part in named.split(os.pathsep) if part] + [downloads()]


def shipped_results() -> Path:
    """The folder of results that ship with the project (`results/` beside the package)."""
    return Path(__file__).resolve().parents[2] / "results"
