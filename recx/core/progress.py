"""How long work says where it stands, learns that it is no longer wanted, and keeps what it needs to go on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Progress = Callable[[float, str], None]
"""`progress(fraction in 0..1, message)`; raises `Cancelled` after a cancel."""


class Cancelled(Exception):
    """Raised by `progress` inside work that somebody cancelled."""


def quiet(fraction: float, message: str = "") -> None:
    """A progress that tells nobody and is never cancelled."""


def part_of(progress: Progress, start: float, end: float) -> Progress:
    """A progress for a part of the work: its 0..1 becomes start..end of the whole."""

    def inner(fraction: float, message: str = "") -> None:
        progress(start + (end - start) * fraction, message)

    return inner


def with_scratch(progress: Progress, folder: Path) -> Progress:
    """The same progress for work that may keep unfinished state in `folder`, to go on from after a kill."""

    def inner(fraction: float, message: str = "") -> None:
        progress(fraction, message)

    carrier: Any = inner
    carrier.scratch = folder
    return inner


def scratch(progress: Progress) -> Path | None:
    """The folder for unfinished state; None where nobody keeps any."""
    return getattr(progress, "scratch", None)
