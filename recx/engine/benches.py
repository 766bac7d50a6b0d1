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
    from recx.engine.doctor import chromium

    env = environment(RECX_HOME=home, PYTHONUNBUFFERED="1")
    browser = chromium()
    begin = time.perf_counter()
    command = [sys.executable, "-m", "recx", "serve"]
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True, cwd=PACKAGE.parent)
    try:
        assert process.stdout is not None
        address = next((word for line in process.stdout for word in line.split() if word.startswith("http://")), None)
        if address is None:
            raise RuntimeError("the app did not start: run `python -m recx serve` to see why")
        told = time.perf_counter() - begin
        seen = _look(str(browser), address) if browser else "its address answers (no Chromium here to draw the page)"
        return {"address": told, "page": time.perf_counter() - begin, "seen": seen}
    finally:
        process.terminate()
        process.wait(30)


def _look(browser: str, address: str) -> str:
    """Open the first page and wait for its heading (the browser's own start counts)."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as tools:
        held = tools.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = held.new_page()
        page.goto(address)
        page.locator("h1").first.wait_for(timeout=30_000)
        held.close()
    return "the first page's heading is drawn in Chromium, whose own start counts"
