"""The only gradient loop: epochs of batches, validation, early stopping, progress, cancel, a budget, resuming."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from recx.core import device as devices
from recx.core.errors import BadInput
from recx.core.progress import Progress, scratch

CHECKPOINT_SECONDS = 10.0
"""At most this much training is lost when the process is killed, or one epoch if that takes longer."""

DECAY_AFTER = 5
"""Checks without a better one after which the learning rate falls, if it is to fall at all."""


@dataclass(frozen=True)
class Schedule:
    """How long to train: at most `epochs`, at most `max_seconds`, until `patience` checks brought nothing better.

    A check is made every `check_every` epochs, and when the seconds are used up, which may be within an epoch. After
    each DECAY_AFTER checks without a better one the learning rate is multiplied by `decay`.
    """

    epochs: int
    patience: int
    max_seconds: float
    check_every: int = 1
    decay: float = 1.0


def train(
    module: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    batches: Callable[[int], Iterator[Any]],
    loss: Callable[[Any], torch.Tensor],
    quality: Callable[[], float] | None,
    schedule: Schedule,
    progress: Progress,
    seed: int = 0,
    noise: torch.Generator | None = None,
) -> dict[str, Any]:
    """Train in place, put the best state back, and report.

    `batches(epoch)` yields batches; `loss(batch)` is a scalar; `quality()` is a validation score to raise (None:
    no selection, the last state stays). Dropout and `noise` are keyed by (seed, epoch), and the state after an epoch is
    kept in the scratch folder of `progress` (if it has one): a training that was killed goes on where it was, with the
    same numbers. Returns `{epochs, seconds, converged, stopped, note, best, parameters, curve}`, curve rows `{epoch,
    loss, quality, seconds}`. Raises BadInput when the loss is not finite before any good state was reached.
    """
    run = _Run(module, optimiser, schedule, progress)
    run.resume()
    run.epochs(batches, loss, quality, seed, noise)
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
        self.start, self.stopped, self.note = time.perf_counter(), "epochs", ""
        self.curve: list[dict[str, Any]] = []
        self.best, self.since_best = -math.inf, 0
        self.best_state: dict[str, torch.Tensor] | None = None
        folder = scratch(progress)
        self.path = None if folder is None else folder / "training.safetensors"
        self.kept_at = self.start

    def epochs(
        self, batches: Any, loss: Any, quality: Callable[[], float] | None, seed: int, noise: torch.Generator | None
    ) -> None:
        """Epochs until the schedule ends them."""
        place = next(self.module.parameters()).device
        while self._goes_on():
            epoch = len(self.curve) + 1
            self.module.train()
            if noise is not None:
                noise.manual_seed(_stream(seed, epoch) + 1)
            with devices.seeded(_stream(seed, epoch), place):
                mean_loss = self._epoch(epoch, batches(epoch - 1), loss)
            if not math.isfinite(mean_loss):
                self.stopped = "diverged"
                self.note = f"the loss became infinite in epoch {epoch}: lower the learning rate"
                return
            row = {"epoch": epoch, "loss": mean_loss, "quality": None, "seconds": self._seconds()}
            self.curve.append(row)
            if quality is not None and (self._is_over() or epoch % self.schedule.check_every == 0):
                row["quality"] = self._check(quality)
            shown = "" if row["quality"] is None else f", validation {row['quality']:.4f}"
            self._keep()
            self.progress(self._share(epoch), f"epoch {epoch}: loss {mean_loss:.4f}{shown}")

    def _goes_on(self) -> bool:
        """Whether another epoch is due; else why not is noted."""
        if self.since_best >= self.schedule.patience:
            self.stopped = "patience"
        elif len(self.curve) >= self.schedule.epochs:
            self.stopped = "epochs"
        elif self.curve and self._is_over():
            self.stopped = "max_seconds"
        else:
            return True
        return False

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
            if self._is_over():
                break
        return float(total) / n if total is not None else math.nan

    def _seconds(self) -> float:
        return time.perf_counter() - self.start

    def _is_over(self) -> bool:
        return self._seconds() > self.schedule.max_seconds

    def _check(self, quality: Callable[[], float]) -> float:
        self.module.eval()
        with torch.no_grad():
            value = quality()
        self.since_best += 1
        if value > self.best:
            self.best, self.since_best = value, 0
            self.best_state = {name: tensor.clone() for name, tensor in self.module.state_dict().items()}
        elif self.since_best % DECAY_AFTER == 0:
            for group in self.optimiser.param_groups:
                group["lr"] *= self.schedule.decay
        return value

    def _share(self, epoch: int) -> float:
        """How much of the budget is used up: of epochs or of seconds, whichever is more."""
        return min(1.0, max(epoch / self.schedule.epochs, self._seconds() / self.schedule.max_seconds))

    # -- going on after a kill

    def _keep(self) -> None:
        """Write the state after this epoch: one file, replaced at once, so that a kill leaves the old or the new."""
        if self.path is None or time.perf_counter() - self.kept_at < CHECKPOINT_SECONDS:
            return
        tensors = {f"now.{name}": value for name, value in self.module.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in (self.best_state or {}).items()}
        state = self.optimiser.state_dict()["state"]
        plain: dict[str, dict[str, Any]] = {}
        for index, slot in state.items():
            for name, value in slot.items():
                if isinstance(value, torch.Tensor):
                    tensors[f"optimiser.{index}.{name}"] = value
                else:
                    plain.setdefault(str(index), {})[name] = value
        facts = {"curve": self.curve, "best": self.best, "since_best": self.since_best, "seconds": self._seconds()}
        facts["rates"] = [group["lr"] for group in self.optimiser.param_groups]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        tmp = self.path.with_suffix(".tmp")
        copies = {name: value.detach().cpu().clone().contiguous() for name, value in tensors.items()}
        save_file(copies, tmp, {"facts": json.dumps(facts | {"plain": plain})})
        tmp.replace(self.path)
        self.kept_at = time.perf_counter()

    def resume(self) -> None:
        """Go on from what an earlier process left; a file that does not fit this model counts as none."""
        if self.path is None or not self.path.is_file():
            return
        try:
            tensors, facts = _read(self.path)
            own = _under(tensors, "now.")
            best = _under(tensors, "best.")
            self.module.load_state_dict(own)
            self.optimiser.load_state_dict(self._optimiser_state(tensors, facts["plain"]))
        except (SafetensorError, RuntimeError, KeyError, ValueError, OSError):
            return
        for group, rate in zip(self.optimiser.param_groups, facts["rates"], strict=True):
            group["lr"] = rate
        place = next(self.module.parameters()).device
        self.best_state = {name: value.to(place) for name, value in best.items()} or None
        self.curve, self.best, self.since_best = facts["curve"], facts["best"], facts["since_best"]
        self.start -= facts["seconds"]
        self.progress(self._share(len(self.curve)), f"resumed after epoch {len(self.curve)}")

    def _optimiser_state(self, tensors: dict[str, torch.Tensor], plain: dict[str, dict[str, Any]]) -> dict[str, Any]:
        slots: dict[int, dict[str, Any]] = {int(index): dict(values) for index, values in plain.items()}
        for name, value in _under(tensors, "optimiser.").items():
            index, _, field = name.partition(".")
            slots.setdefault(int(index), {})[field] = value
        return {"state": slots, "param_groups": self.optimiser.state_dict()["param_groups"]}

    def report(self, selected: bool) -> dict[str, Any]:
        """Plain values. Converged: patience ran out, or all epochs were meant to be run."""
        return {
            "epochs": len(self.curve),
            "seconds": round(self._seconds(), 3),
            "converged": self.stopped == "patience" or (self.stopped == "epochs" and not selected),
            "stopped": self.stopped,
            "note": self.note,
            "best": self.best if self.best_state is not None else None,
            "parameters": sum(weight.numel() for weight in self.module.parameters()),
            "curve": self.curve,
        }


def _stream(seed: int, epoch: int) -> int:
    """The key of an epoch's random numbers."""
    return (seed * 1_000_003 + epoch) * 2


def _read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()["facts"])  # noqa: SIM118


def _under(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
