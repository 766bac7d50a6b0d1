"""Keeping the app process small: it holds no data, so memory of past requests goes back to the system."""

from __future__ import annotations

import ctypes
import sys
import time

ARENA_MAX = -8
"""glibc's `M_ARENA_MAX`: how many heaps the threads of a process share."""
EVERY = 5.0

_last = 0.0


def _libc() -> ctypes.CDLL | None:
    """The C library where it is glibc."""
    try:
        library = ctypes.CDLL("libc.so.6") if sys.platform == "linux" else None
        return library if library is not None and hasattr(library, "malloc_trim") else None
    except OSError:
        return None


LIBC = _libc()
if LIBC is not None:
    LIBC.mallopt(ARENA_MAX, 2)


def tidy() -> None:
    """Give free memory back to the system, at most every few seconds; does nothing where the C library cannot."""
    global _last
    _small_arrow()
    if LIBC is not None and time.monotonic() - _last > EVERY:
        _last = time.monotonic()
        LIBC.malloc_trim(0)


def _small_arrow() -> None:
    """If something loaded pyarrow: one thread, and memory that can be given back."""
    arrow = sys.modules.get("pyarrow")
    if arrow is not None and arrow.cpu_count() > 1:
        arrow.set_memory_pool(arrow.system_memory_pool())
        arrow.set_cpu_count(1)
        arrow.set_io_thread_count(1)
