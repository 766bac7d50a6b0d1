"""Results that stay in this process: the latest used ones, up to a number and a size."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any


class Memory:
    """A bounded table slot -> result, safe between threads; the slot used longest ago goes first."""

    def __init__(self, max_bytes: int = 512 * 2**20, max_entries: int = 256) -> None:
        self.max_bytes, self.max_entries = max_bytes, max_entries
        self._held: OrderedDict[str, tuple[Any, int]] = OrderedDict()
        self._lock = threading.Lock()
        self._computing: dict[str, threading.RLock] = {}

    def __contains__(self, slot: str) -> bool:
        return slot in self._held

    def __len__(self) -> int:
        return len(self._held)

    def get(self, slot: str) -> Any | None:
        """The result at a slot, which becomes the latest used; None when it is not there."""
        with self._lock:
            if slot not in self._held:
                return None
            self._held.move_to_end(slot)
            return self._held[slot][0]

    def put(self, slot: str, result: Any) -> None:
        """Keep a result; others go until it fits. One too large for the table is not kept, except alone."""
        with self._lock:
            self._held[slot] = (result, bytes_of(result))
            self._held.move_to_end(slot)
            while len(self._held) > 1 and (len(self._held) > self.max_entries or self.bytes() > self.max_bytes):
                self._held.popitem(last=False)

    def drop(self, key: str) -> None:
        """Forget a key on every device."""
        with self._lock:
            for slot in [slot for slot in self._held if slot.split("@")[0] == key]:
                del self._held[slot]

    def bytes(self) -> int:
        """The estimated size of what is held."""
        return sum(size for _, size in self._held.values())

    @contextlib.contextmanager
    def computing(self, slot: str) -> Iterator[None]:
        """Hold a slot's own lock, so that two threads do not compute the same."""
        with self._lock:
            lock = self._computing.setdefault(slot, threading.RLock())
        with lock:
            yield


def bytes_of(value: Any) -> int:
    """The size of a result, estimated: arrays, tensors and tables are measured, the rest counts a little."""
    if hasattr(value, "memory_usage"):
        usage = value.memory_usage(deep=True)
        return int(usage if isinstance(usage, int) else usage.sum())
    if hasattr(value, "nbytes"):
        return int(value.nbytes)
    if hasattr(value, "tensors"):
        return sum(bytes_of(tensor) for tensor in value.tensors().values())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return sum(bytes_of(getattr(value, field.name)) for field in dataclasses.fields(value))
    if isinstance(value, dict):
        return sum(bytes_of(part) for part in value.values())
    if isinstance(value, (list, tuple)):
        return sum(bytes_of(part) for part in value) if len(value) < 1000 else 64 * len(value)
    return len(value) if isinstance(value, (str, bytes)) else 64
