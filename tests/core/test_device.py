"""A device is what was asked for, or an error; random streams are one's own."""

from __future__ import annotations

import pytest
import torch

from recx.core.device import generator, resolve
from recx.core.errors import BadInput


def test_a_device_asked_for_is_given(device: str) -> None:
    assert resolve(device).type == device


def test_auto_takes_the_best_there_is() -> None:
    best = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    assert resolve().type == resolve("auto").type == best


def test_an_absent_device_is_an_error_with_the_cure() -> None:
    present = {"cuda": torch.cuda.is_available(), "cuda:0": torch.cuda.is_available()}
    present["mps"] = torch.backends.mps.is_available()
    for name in (name for name, there in present.items() if not there):
        with pytest.raises(BadInput, match=f"'{name}' was asked for and this machine has none: use --device"):
            resolve(name)


def test_an_unknown_device_is_an_error_with_the_names() -> None:
    for name in ("gpu", "", "cpus", "cuda:x", "cuda:-1", "cpu:"):
        with pytest.raises(BadInput, match="use auto, cpu, cuda or mps"):
            resolve(name)


def test_a_stream_is_its_seeds_and_leaves_the_global_one_alone(device: str) -> None:
    before = torch.get_rng_state()
    one, same, other = (torch.randn(8, generator=generator(s, device), device=device) for s in (3, 3, 4))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_number_beyond_the_devices_there_are_is_an_error() -> None:
    assert resolve("cpu:0").type == "cpu"
    with pytest.raises(BadInput, match="'cpu:7' was asked for and this machine has 1 of that kind"):
        resolve("cpu:7")
    with pytest.raises(BadInput, match="'cuda:64' was asked for and this machine has"):
        resolve("cuda:64")
