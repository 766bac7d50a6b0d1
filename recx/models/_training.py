"""The only gradient loop: epochs of batches, validation, early stopping, progress, cancel, a budget of seconds."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

from recx.core.errors import BadInput
from recx.core.progress import Progress


@dataclass(frozen=True)
class Schedule:
    """How long to train: at most `epochs`, at most `max_seconds`, until `patience` checks brought nothing better.

    A check is made every `check_every` epochs.
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
) -> dict[str, Any]:
    """Train in place, put the best state back, and report.

    `batches(epoch)` yields batches; `loss(batch)` is a scalar; `quality()` is a validation score, higher is better (None:
    no selection, the last state stays). Returns `{epochs, converged, stopped, best, curve}`, curve rows
    `{epoch, loss, quality, seconds}`. Raises BadInput when the loss is not finite before any good state was reached.
    """
    start = time.perf_counter()
    curve: list[dict[str, Any]] = []
    best, best_state, since_best, stopped = -math.inf, None, 0, "epochs"
    for epoch in range(schedule.epochs):
        module.train()
        mean_loss = _epoch(optimiser, batches(epoch), loss)
        if not math.isfinite(mean_loss):
            stopped = "diverged"
            break
        row = {"epoch": epoch + 1, "loss": mean_loss, "quality": None, "seconds": time.perf_counter() - start}
        curve.append(row)
        if quality is not None and (epoch + 1) % schedule.check_every == 0:
            module.eval()
            with torch.no_grad():
                row["quality"] = quality()
            since_best = 0 if row["quality"] > best else since_best + 1
            if row["quality"] > best:
                best, best_state = row["quality"], {k: v.clone() for k, v in module.state_dict().items()}
        shown = "" if row["quality"] is None else f", validation {row['quality']:.4f}"
        progress(_share(epoch + 1, start, schedule), f"epoch {epoch + 1}: loss {mean_loss:.4f}{shown}")
        if since_best >= schedule.patience:
            stopped = "patience"
            break
        if time.perf_counter() - start > schedule.max_seconds:
            stopped = "max_seconds"
            break
    if stopped == "diverged" and best_state is None:
        raise BadInput("the loss became infinite before a first good state: lower the learning rate and fit again.")
    if best_state is not None:
        module.load_state_dict(best_state)
    module.eval()
    converged = stopped == "patience" or (stopped == "epochs" and quality is None)
    return {
        "epochs": len(curve),
        "converged": converged,
        "stopped": stopped,
        "best": best if best_state is not None else None,
        "curve": curve,
    }


def _epoch(
    optimiser: torch.optim.Optimizer, batches: Iterator[Any], loss: Callable[[Any], torch.Tensor]
) -> float:
    """One pass; the mean loss, read from the device once."""
    total, n = None, 0
    for batch in batches:
        optimiser.zero_grad(set_to_none=True)
        value = loss(batch)
        value.backward()
        optimiser.step()
        total, n = (value.detach() if total is None else total + value.detach()), n + 1
    return float(total) / n if total is not None else math.nan


def _share(epoch: int, start: float, schedule: Schedule) -> float:
    """How much of the budget is used up: of epochs or of seconds, whichever is more."""
    return min(1.0, max(epoch / schedule.epochs, (time.perf_counter() - start) / schedule.max_seconds))
