"""The only gradient loop: epochs of batches, validation, early stopping, progress, cancel, a budget of seconds."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from recx.core import device as devices
from recx.core.errors import BadInput
from recx.core.progress import Progress


@dataclass(frozen=True)
class Schedule:
    """How long to train: at most `epochs`, at most `max_seconds`, until `patience` checks brought nothing better.

    A check is made every `check_every` epochs, and when the seconds are used up, which may be within an epoch.
    """

    epochs: int
    patience: int
    max_seconds: float
    check_every: int = 1


def train(
    module: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    batches: Callable[[int], Iterator[Any]],
    loss: Callable[[Any], torch.Tensor],
    quality: Callable[[], float] | None,
    schedule: Schedule,
    progress: Progress,
    seed: int = 0,
) -> dict[str, Any]:
    """Train in place, put the best state back, and report. Dropout follows the seed.

    `batches(epoch)` yields batches; `loss(batch)` is a scalar; `quality()` is a validation score to raise (None:
    no selection, the last state stays). Returns `{epochs, converged, stopped, best, curve}`, curve rows
    `{epoch, loss, quality, seconds}`. Raises BadInput when the loss is not finite before any good state was reached.
    """
    with devices.seeded(seed, next(module.parameters()).device):
        run = _Run(module, optimiser, schedule, progress)
        run.epochs(batches, loss, quality)
    if run.stopped == "diverged" and run.best_state is None:
        raise BadInput("the loss became infinite before a first good state: lower the learning rate and fit again.")
    if run.best_state is not None:
        module.load_state_dict(run.best_state)
    module.eval()
    return run.report(selected=quality is not None)


class _Run:
    """One training: the best state so far, the curve, and why it stopped."""

    def __init__(
        self, module: torch.nn.Module, optimiser: torch.optim.Optimizer, schedule: Schedule, progress: Progress
    ) -> None:
        self.module, self.optimiser, self.schedule, self.progress = module, optimiser, schedule, progress
        self.start, self.stopped = time.perf_counter(), "epochs"
        self.curve: list[dict[str, Any]] = []
        self.best, self.since_best = -math.inf, 0
        self.best_state: dict[str, torch.Tensor] | None = None

    def epochs(self, batches: Any, loss: Any, quality: Callable[[], float] | None) -> None:
        """Epochs until the schedule ends them."""
        for epoch in range(1, self.schedule.epochs + 1):
            self.module.train()
            mean_loss = self._epoch(epoch, batches(epoch - 1), loss)
            if not math.isfinite(mean_loss):
                self.stopped = "diverged"
                return
            row = {"epoch": epoch, "loss": mean_loss, "quality": None, "seconds": self._seconds()}
            self.curve.append(row)
            over = row["seconds"] > self.schedule.max_seconds
            if quality is not None and (over or epoch % self.schedule.check_every == 0):
                row["quality"] = self._check(quality)
            shown = "" if row["quality"] is None else f", validation {row['quality']:.4f}"
            self.progress(self._share(epoch), f"epoch {epoch}: loss {mean_loss:.4f}{shown}")
            if self.since_best >= self.schedule.patience:
                self.stopped = "patience"
                return
            if over:
                self.stopped = "max_seconds"
                return

    def _epoch(self, epoch: int, batches: Iterator[Any], loss: Callable[[Any], torch.Tensor]) -> float:
        """One pass, cut short when the seconds are used up; the mean loss, read from the device once."""
        total, n = None, 0
        for batch in batches:
            self.optimiser.zero_grad(set_to_none=True)
            value = loss(batch)
            value.backward()
            self.optimiser.step()
            total, n = (value.detach() if total is None else total + value.detach()), n + 1
            self.progress(self._share(epoch - 1), f"epoch {epoch}: batch {n:,}")
            if self._seconds() > self.schedule.max_seconds:
                break
        return float(total) / n if total is not None else math.nan

    def _seconds(self) -> float:
        return time.perf_counter() - self.start

    def _check(self, quality: Callable[[], float]) -> float:
        self.module.eval()
        with torch.no_grad():
            value = quality()
        self.since_best += 1
        if value > self.best:
            self.best, self.since_best = value, 0
            self.best_state = {name: tensor.clone() for name, tensor in self.module.state_dict().items()}
        return value

    def _share(self, epoch: int) -> float:
        """How much of the budget is used up: of epochs or of seconds, whichever is more."""
        return min(1.0, max(epoch / self.schedule.epochs, self._seconds() / self.schedule.max_seconds))

    def report(self, selected: bool) -> dict[str, Any]:
        """Plain values. Converged: patience ran out, or all epochs were meant to be run."""
        return {
            "epochs": len(self.curve),
            "converged": self.stopped == "patience" or (self.stopped == "epochs" and not selected),
            "stopped": self.stopped,
            "best": self.best if self.best_state is not None else None,
            "curve": self.curve,
        }
