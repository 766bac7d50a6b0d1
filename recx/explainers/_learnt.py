"""What an explainer learns before any question, written to files and read back.

An explainer that has to be trained declares, beside its fields,

    learns_with: ClassVar[tuple[str, ...]]     the fields that its learning depends on (literal: read without importing)
    learns_from: ClassVar[str]                 "data" (the split alone) or "model" (the fitted scorer too)
    learns_unless: ClassVar[dict[str, str]]    optional: with one of these settings there is nothing to learn
    learn(split, scorer, *, seed, device, progress)
                                               what it learns: an object with `tensors`, `settings`, `report`, and a
                                               class method `from_tensors(tensors, settings)`; scorer None from data

`recx.recipes.learnt.Learnt` computes it once and stores it; `explain` gets `get`, a function without arguments that
gives it, or None: then the explainer learns from what the world has.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from safetensors.torch import load_file, save_file

from recx.core import device as devices


@runtime_checkable
class Learnt(Protocol):
    """`report`: plain JSON values of the training."""

    report: dict[str, Any]

    def tensors(self) -> dict[str, torch.Tensor]: ...

    def settings(self) -> dict[str, Any]: ...


def save(learnt: Learnt, folder: Path) -> None:
    """Write `learnt.safetensors` and `learnt.json` into an existing folder."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in learnt.tensors().items()}
    save_file(tensors, folder / "learnt.safetensors")
    head: dict[str, Any] = {"module": type(learnt).__module__, "class": type(learnt).__name__}
    head |= {"settings": learnt.settings(), "report": learnt.report}
    (folder / "learnt.json").write_text(json.dumps(head, indent=1, sort_keys=True), encoding="utf-8")


def load(folder: Path, device: str = "auto") -> Any:
    """Read what `save` wrote, onto a device. Only classes of `recx.explainers` are ever built."""
    head = json.loads((folder / "learnt.json").read_text(encoding="utf-8"))
    if not head["module"].startswith("recx.explainers."):
        raise ValueError(f"{folder / 'learnt.json'} names a class outside recx.explainers: {head['module']}")
    cls = getattr(importlib.import_module(head["module"]), head["class"])
    place = devices.resolve(device)
    found = cls.from_tensors(load_file(folder / "learnt.safetensors", device=str(place)), head["settings"])
    found.report = head["report"]
    return found
