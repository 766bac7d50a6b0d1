"""A computation that needs no data: `doctor` and the tests ask the engine for it to see that it works."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any, ClassVar

from recx.core.errors import BadInput
from recx.core.progress import Progress
from recx.recipes._recipe import Get, Recipe


@dataclass(frozen=True)
class Probe:
    """Counts to `steps`, `pause` seconds each; `trouble` makes it fail: "input" or "bug"."""

    name: str = "doctor"
    steps: int = 1
    pause: float = 0.0
    trouble: str = ""
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "batch"

    def needs(self) -> tuple[Recipe, ...]:
        return ()

    def run(self, get: Get, progress: Progress) -> dict[str, Any]:
        for step in range(self.steps):
            progress(step / self.steps, f"step {step} of {self.steps}")
            time.sleep(self.pause)
        if self.trouble == "input":
            raise BadInput("this probe was told to fail: clear its field trouble.")
        if self.trouble:
            raise KeyError(self.trouble)
        return {"name": self.name, "steps": self.steps, "pid": os.getpid()}


@dataclass(frozen=True)
class ProbeSum:
    """Adds the steps of probes: a recipe that needs others."""

    parts: tuple[Probe, ...] = (Probe(),)
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "interactive"

    def needs(self) -> tuple[Recipe, ...]:
        return self.parts

    def run(self, get: Get, progress: Progress) -> dict[str, Any]:
        return {"steps": sum(get(part)["steps"] for part in self.parts)}


@dataclass(frozen=True)
class ProbeQuick:
    """A small answer that is kept in memory only, from a probe that is stored."""

    of: Probe = Probe()
    keep: ClassVar[str] = "memory"
    lane: ClassVar[str] = "interactive"

    def needs(self) -> tuple[Recipe, ...]:
        return (self.of,)

    def run(self, get: Get, progress: Progress) -> dict[str, Any]:
        return {"twice": 2 * get(self.of)["steps"], "pid": os.getpid()}


@dataclass(frozen=True)
class ProbeLong:
    """A question that takes its time, as an explanation learnt by gradient does."""

    as_long_as: Probe = Probe()
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "interactive"

    def needs(self) -> tuple[Recipe, ...]:
        return ()

    def run(self, get: Get, progress: Progress) -> dict[str, Any]:
        return self.as_long_as.run(get, progress)
