"""Is this installation whole? One row per thing that recx needs, with the cure where something is missing."""

from __future__ import annotations

import platform
import shutil
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from recx.core import paths

NEEDED = "torch numpy pandas scipy streamlit plotly distributed pyarrow safetensors filelock".split()
LEAST_FREE = 2 * 2**30
"""Bytes of free disk below which `doctor` warns."""
Row = dict[str, Any]


def checks() -> list[Row]:
    """Rows of `check`, `ok` (True, False, or None for what recx can do without) and `detail`."""
    rows = []
    for check in (_python, _libraries, _device, _home, _data, _catalogue, _store, _engine, _chromium):
        try:
            rows += check()
        except Exception as error:  # a check that breaks is a finding
            rows.append(_row(check.__name__.strip("_"), False, f"{type(error).__name__}: {error}"))
    return rows


def _row(check: str, ok: bool | None, detail: str) -> Row:
    return {"check": check, "ok": ok, "detail": detail}


def _python() -> list[Row]:
    here = sys.version_info[:2]
    return [_row("python", (3, 11) <= here <= (3, 13), f"{platform.python_version()} at {sys.executable}")]


def _libraries() -> list[Row]:
    found, missing = [], []
    for name in NEEDED:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    cure = f"; missing: {', '.join(missing)} (run `make app`)" if missing else ""
    return [_row("libraries", not missing, ", ".join(found) + cure)]


def _device() -> list[Row]:
    import torch

    from recx.core.device import resolve

    name = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{torch.get_num_threads()} threads"
    return [_row("device", True, f"auto is {resolve('auto')} ({name}), torch {torch.__version__}")]


def _home() -> list[Row]:
    home = paths.home()
    probe = home / ".doctor"
    try:
        probe.write_text("x")
        probe.unlink()
    except OSError as error:
        return [_row("home", False, f"{home} cannot be written ({error.strerror}): set RECX_HOME to a folder of yours")]
    free = shutil.disk_usage(home).free
    return [_row("home", True if free > LEAST_FREE else None, f"{home}, {free / 2**30:.1f} GiB free")]


def _data() -> list[Row]:
    from recx.data import _files

    here = [name for name in _files.source_names() if _files.on_disk(name)]
    other = [name for name in _files.source_names() if name not in here]
    more = f"; not here: {', '.join(other)} (see `python -m recx data`)" if other else ""
    return [_row("data", bool(here), ", ".join(here) + more)]


def _catalogue() -> list[Row]:
    from recx.engine import catalogue

    found = catalogue.read()
    counts = ", ".join(f"{len(forms)} {kind}" for kind, forms in found.forms.items())
    broken = "".join(f"; {name}: {why}" for name, why in found.broken.items())
    return [_row("catalogue", not found.broken, counts + broken)]


def _store() -> list[Row]:
    from recx.engine.probe import Probe
    from recx.engine.store import Store

    store = Store()
    right = store.get(Probe())["name"] == "doctor" and store.peek(Probe()) is not None
    store.remove(store.key(Probe()))
    return [_row("store", right, f"{len(store.entries())} results, {store.size() / 2**20:.1f} MiB at {store.root}")]


def _engine() -> list[Row]:
    from recx.engine import cluster

    card = cluster.card()
    if card is None:
        return [_row("engine", None, "not running (the app starts it when it is needed)")]
    return [_row("engine", True, f"{card['address']}, process {card['pid']}, since {card['started']}")]


def _chromium() -> list[Row]:
    found = chromium()
    detail = str(found) if found else "none (only browser tests need one: `python -m playwright install chromium`)"
    return [_row("chromium", True if found else None, detail)]


def chromium() -> Path | None:
    """A Chromium on this machine: the system's, else Playwright's download."""
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        if found := shutil.which(name):
            return Path(found)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    with sync_playwright() as tools:
        path = Path(tools.chromium.executable_path)
    return path if path.is_file() else None


def summary(rows: list[Row]) -> bool:
    """Is everything that recx needs there?"""
    return all(row["ok"] is not False for row in rows)
