"""Benches by name: `recx/studies/_bench_<name>.py` and the engine's own."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

from recx.core.errors import unknown
from recx.core.progress import Progress
from recx.core.registry import PACKAGE
from recx.engine.code import environment

MOST_SECONDS = 5.0
"""The second start must reach the first page within this (issue 2)."""
Bench = Callable[[Progress], dict[str, Any]]


def names() -> list[str]:
    """The benches there are."""
    found = [path.stem.removeprefix("_bench_").replace("_", "-") for path in (PACKAGE / "studies").glob("_bench_*.py")]
    return sorted([*found, "start"])


def load(name: str) -> Bench:
    """The function of a bench. Raises BadInput for an unknown name."""
    if name not in names():
        raise unknown("bench", name, names())
    if name == "start":
        return start
    bench: Bench = importlib.import_module(f"recx.studies._bench_{name.replace('-', '_')}").run
    return bench


def start(progress: Progress) -> dict[str, Any]:
    """Seconds from `python -m recx serve` to the first page: the first time (in an empty home) and the second."""
    with tempfile.TemporaryDirectory(prefix="recx-bench-") as home:
        progress(0.0, "first start, in an empty home")
        first = _seconds_to_first_page(home)
        progress(0.5, "second start")
        second = _seconds_to_first_page(home)
    return {
        "ours_s": round(second["page"], 3),
        "address_s": round(second["address"], 3),
        "first_start_s": round(first["page"], 3),
        "baseline_s": MOST_SECONDS,
        "ratio": round(MOST_SECONDS / second["page"], 2),
        "baseline": "the ceiling that the issue sets",
        "work": f"`recx serve` until {second['seen']}",
        "max_abs_diff": None,
    }


def _seconds_to_first_page(home: str) -> dict[str, Any]:
    """From the start of `recx serve` to its address, and to the first page in a browser that is open already."""
    from playwright.sync_api import sync_playwright

    from recx.engine.doctor import chromium

    browser = chromium()
    if browser is None:
        times = _started(home, lambda address: None)
        return times | {"seen": "its address answers (no Chromium here to draw the page)"}
    with sync_playwright() as tools:
        held = tools.chromium.launch(executable_path=str(browser), args=["--no-sandbox"])
        page = held.new_page()

        def look(address: str) -> None:
            page.goto(address)
            page.locator("h1").first.wait_for(timeout=60_000)

        times = _started(home, look)
        held.close()
    return times | {"seen": "the first page's heading is drawn in a Chromium that was open already"}


def _started(home: str, look: Callable[[str], None]) -> dict[str, Any]:
    env = environment(RECX_HOME=home, PYTHONUNBUFFERED="1")
    begin = time.perf_counter()
    command = [sys.executable, "-m", "recx", "serve"]
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True, cwd=PACKAGE.parent)
    try:
        assert process.stdout is not None
        address = next((word for line in process.stdout for word in line.split() if word.startswith("http://")), None)
        if address is None:
            raise RuntimeError("the app did not start: run `python -m recx serve` to see why")
        told = time.perf_counter() - begin
        look(address)
        return {"address": told, "page": time.perf_counter() - begin}
    finally:
        process.terminate()
        process.wait(30)
