"""How a peer's runner talks with recx: one JSON document a line, facts out on stdout, questions in on stdin.

Runners are started by `recx.studies._peers` in `.venv-bench`, as `python peers/NAME.py FOLDER` with the exchanged files
in FOLDER. They import the peer, never recx.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

_OUT = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)  # whatever a library prints goes to stderr

FOLDER = Path(sys.argv.pop(1))
"""Popped, because RecBole reads the command line too."""
SETTINGS: dict[str, Any] = json.loads((FOLDER / "settings.json").read_text("utf-8"))


def _end_with(parent: int) -> None:
    """End this process when the one that started it is gone: a killed bench leaves no training behind."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


threading.Thread(target=_end_with, args=(int(SETTINGS["parent"]),), daemon=True).start()


def tell(**facts: Any) -> None:
    """Send one document."""
    _OUT.write(json.dumps(facts) + "\n")


def asked() -> dict[str, Any]:
    """The next question; ends the process when nobody is there to ask."""
    line = sys.stdin.readline()
    if not line:
        sys.exit(0)
    return json.loads(line)


def threads() -> int:
    """The number of threads to compute with, set for torch as well where it is imported."""
    n = int(SETTINGS["threads"])
    with contextlib.suppress(RuntimeError):
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(n)
    return n
