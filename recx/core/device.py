"""Which processor the tensors live on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from recx.core.errors import BadInput


def resolve(device: str = "auto") -> torch.device:
    """The device asked for; `auto` picks CUDA, then MPS, then CPU. Raises BadInput when the one named is absent."""
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    kind, numbered, number = device.partition(":")
    present = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    if kind not in present or (numbered and not number.isdecimal()):
        raise BadInput(f"unknown device {device!r}: use auto, cpu, cuda or mps.")
    if int(number or 0) >= present[kind]:
        there = "none" if not present[kind] else f"{present[kind]} of that kind, counted from 0"
        raise BadInput(f"device {device!r} was asked for and this machine has {there}: use --device auto or cpu.")
    return torch.device(device)


def generator(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A random stream of its own: the same seed gives the same numbers on the same kind of device."""
    return torch.Generator(device=device).manual_seed(seed)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Draws from the default stream (dropout inside torch's kernels) follow the seed; the stream is put back after."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            torch.cuda.default_generators[device.index or 0].manual_seed(seed)
        yield
