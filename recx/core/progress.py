"""How long work says where it stands, and learns that it is no longer wanted."""

from __future__ import annotations

from collections.abc import Callable

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
