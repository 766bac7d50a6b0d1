"""A real browser against a real app: own home, own engine, free port, nothing left running."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
CEILING = 180_000
"""Milliseconds that anything may take; nothing here measures speed."""


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """Chromium of the machine, else Playwright's own; skipped with the reason when there is neither."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_api.sync_playwright() as playwright:
        if not found and not Path(playwright.chromium.executable_path).is_file():
            pytest.skip("no Chromium: install the package chromium, or run `playwright install chromium`")
        chromium = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("browser-home")


@pytest.fixture(scope="session")
def app(home: Path) -> Iterator[str]:
    """The address of `streamlit run app.py`; the app starts its own engine."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = os.environ | {"RECX_HOME": str(home), "RECX_IDLE_SECONDS": "600"}
    env.pop("RECX_SCHEDULER", None)
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        "app.py",
        "--server.port",
        str(port),
        "--server.headless",
        "true",
    ]
    with (home / "app.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)
    try:
        _until_up(process, port, home)
        yield f"http://127.0.0.1:{port}"
    finally:
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(
                [sys.executable, "-m", "recx", "engine", "--stop"],
                cwd=ROOT,
                env=env,
                timeout=60,
                check=False,
                capture_output=True,
            )
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
        _end_rest(home)


def _until_up(process: subprocess.Popen[bytes], port: int, home: Path) -> None:
    deadline = time.monotonic() + CEILING / 1000
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        assert process.poll() is None, (home / "app.log").read_text()
        time.sleep(0.1)
    raise AssertionError((home / "app.log").read_text())


def _end_rest(home: Path) -> None:
    """Engine and workers of this home that did not end by themselves."""
    rest = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get("RECX_HOME") == str(home):
                rest.append(process)
    _, alive = psutil.wait_procs(rest, timeout=20)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()


@pytest.fixture
def page(browser, app: str) -> Iterator[object]:
    """A window of its own; a script error in the page fails the test."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, permissions=["clipboard-read", "clipboard-write"]
    )
    context.set_default_timeout(CEILING)
    window = context.new_page()
    errors: list[str] = []
    window.on("pageerror", lambda error: errors.append(str(error)))
    yield window
    context.close()
    assert not errors, errors
