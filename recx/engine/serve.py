"""Engine and app together: started, watched, ended."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable

import psutil

from recx.core.errors import BadInput
from recx.core.registry import PACKAGE
from recx.engine import catalogue, client, cluster, warming
from recx.engine.code import environment

APP = PACKAGE.parent / "app.py"
FIRST_PORT = 8501
READY_SECONDS = 60.0
Say = Callable[[str], None]


def serve(*, port: int | None, presenter: bool, warm: tuple[str, ...], say: Say) -> int:
    """Run engine and app until Ctrl-C, a SIGTERM, or the end of the app; 0 when it was told to stop.

    `warm`: data sets to compute beforehand. What is quick is waited for; models that train for long go on in the
    background after the address is said. An engine that was running before is left running.
    """
    where = free_port(port)
    plans = [(name, *warming.quick_and_slow(name)) for name in warm]
    own = not os.environ.get("RECX_SCHEDULER") and cluster.card() is None
    stop = _on_signals()
    catalogue.read()
    engine = client.Engine.connect()
    app: subprocess.Popen[bytes] | None = None
    try:
        app = _start_app(where, presenter)
        awaited = warming.Awaited(engine, say)
        for name, quick, _ in plans:
            warming.compute(awaited, name, quick, stop)
        address = f"http://127.0.0.1:{where}"
        if not stop.is_set() and answers(address, app, stop):
            say(f"recx is at {address} (Ctrl-C ends it)")
        for name, _, slow in plans:
            warming.go_on(awaited, name, slow, stop)
        while app.poll() is None and not stop.wait(0.3):
            awaited.look()
        return 0 if stop.is_set() else app.returncode or 0
    finally:
        end_process(app)
        engine.close()
        if own:
            stop_engine()
            end_process(engine.booting)


def free_port(asked: int | None) -> int:
    """The port asked for, else 8501 if it is free, else any free one. Raises BadInput when the one asked is taken."""
    for port in (asked or FIRST_PORT, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return int(probe.getsockname()[1])
            except OSError:
                if asked:
                    raise BadInput(
                        f"port {asked} is taken: choose another, or leave --port out for a free one."
                    ) from None
    raise BadInput("no port is free on this machine.")


def _start_app(port: int, presenter: bool) -> subprocess.Popen[bytes]:
    if not APP.is_file():
        raise BadInput(f"there is no {APP}: run recx from its checkout.")
    command = [sys.executable, "-m", "streamlit", "run", str(APP), "--server.address", "127.0.0.1"]
    command += ["--server.port", str(port), "--server.headless", "true", "--browser.gatherUsageStats", "false"]
    command += ["--logger.level", "warning"]
    env = environment(RECX_PRESENTER="1") if presenter else environment()
    return subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, start_new_session=True, cwd=PACKAGE.parent)


def answers(address: str, app: subprocess.Popen[bytes], stop: threading.Event) -> bool:
    """Wait until the app answers; False when it ended or we were told to stop."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and app.poll() is None and not stop.is_set():
        with (
            contextlib.suppress(urllib.error.URLError, OSError),
            urllib.request.urlopen(f"{address}/_stcore/health", timeout=1),
        ):
            return True
        time.sleep(0.05)
    return False


def end_process(process: subprocess.Popen[bytes] | None) -> None:
    """Ask a process to end, and make it end after five seconds."""
    if process is None or process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(5)


def stop_engine(seconds: float = 15.0) -> bool:
    """Tell the running engine to end and wait for it; False when there is none."""
    card = cluster.card(probe=False)
    if card is None:
        return False
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(card["pid"])
        process.terminate()
        try:
            process.wait(seconds)
        except psutil.TimeoutExpired:
            process.kill()
    return True


def _on_signals() -> threading.Event:
    """An event that SIGINT and SIGTERM set; in a thread other than the main one signals stay as they are."""
    stop = threading.Event()
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda *_: stop.set())
    return stop
