"""Peers run in `.venv-bench`, on exchanged files: `peers/NAME.py` is started there and answers line by line."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from recx.core.errors import BadInput
from recx.core.registry import PACKAGE
from recx.data.interactions import Interactions, Split
from recx.recipes._build import data_of
from recx.recipes.data import Data

ROOT = PACKAGE.parent
PYTHON = ROOT / ".venv-bench" / "bin" / "python"
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


def here() -> bool:
    """Whether the peers are installed."""
    return PYTHON.is_file()


class Peer:
    """A running peer: `hear` its next facts, `ask` it something."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self.process, self.log = process, log

    def hear(self) -> dict[str, Any]:
        """The next document. Raises RuntimeError with the end of its log when the peer ended instead."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            end = "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-15:])
            raise RuntimeError(f"the peer {self.log.stem} ended without an answer:\n{end}")
        return json.loads(line)

    def say(self, **question: Any) -> None:
        """Send a question."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()

    def ask(self, **question: Any) -> dict[str, Any]:
        """Send a question and wait for the answer."""
        self.say(**question)
        return self.hear()


@contextmanager
def running(name: str, folder: Path, settings: dict[str, Any], *, threads: int) -> Iterator[Peer]:
    """Start `peers/<name>.py` on a folder of exchanged files; it is ended on the way out.

    Raises BadInput when `.venv-bench` is absent.
    """
    if not here():
        raise BadInput(
            f"there are no peers to compare with: run `make install-bench`, which makes {PYTHON.parents[1]}."
        )
    (folder / "settings.json").write_text(json.dumps(settings | {"threads": threads, "parent": os.getpid()}), "utf-8")
    log = folder / f"{name}.log"
    env = os.environ | dict.fromkeys(THREADS, str(threads)) | {"TOKENIZERS_PARALLELISM": "false"}
    command = [str(PYTHON), str(ROOT / "peers" / f"{name}.py"), str(folder)]
    with log.open("w") as errors:
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=errors, text=True, cwd=folder, env=env)
    try:
        yield Peer(process, log)
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


def write_recbole(split: Split, folder: Path, name: str) -> None:
    """`<folder>/<name>/<name>.inter`: training events, then the validation and test item of each user, in order.

    RecBole holds the last two out again; an event's time is its place in the history of its user.
    """
    (folder / name).mkdir(parents=True, exist_ok=True)
    n = np.diff(split.train.offsets)
    held = [
        np.stack([c.users, c.targets[:, 0], n[c.users] + i], axis=1) for i, c in enumerate((split.valid, split.test))
    ]
    head = "user_id:token\titem_id:token\ttimestamp:float"
    rows = np.concatenate([_rows(split.train), *held])
    np.savetxt(folder / name / f"{name}.inter", rows, "%d", delimiter="\t", header=head, comments="")


def write_table(events: Interactions, path: Path) -> None:
    """CSV of user_id, item_id, datetime (the place in the history of its user)."""
    np.savetxt(path, _rows(events), "%d", delimiter=",", header="user_id,item_id,datetime", comments="")


def _rows(events: Interactions) -> np.ndarray:
    place = np.arange(len(events)) - events.offsets[events.user]
    return np.stack([events.user.astype(np.int64), events.item.astype(np.int64), place], axis=1)


def write_seen(events: Interactions, folder: Path) -> None:
    """Events as the parts of a sparse matrix, a row per user: `indptr.npy` and `indices.npy`."""
    np.save(folder / "indptr.npy", events.offsets.astype(np.int32))
    np.save(folder / "indices.npy", events.item.astype(np.int32))


def whole(dataset: str) -> Data:
    """Every rating is an event; users and items with 5 or more."""
    return data_of(dataset, rating_above=None, min_user=5, min_item=5)


def versions() -> dict[str, str]:
    """The peers' versions, as pinned."""
    lines = (ROOT / "requirements-bench.txt").read_text("utf-8").splitlines()
    pins = [line.split("#")[0].strip().partition("==") for line in lines if "==" in line]
    return {name.partition("[")[0]: version for name, _, version in pins}
