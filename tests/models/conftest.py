"""A small generated world, and every model fitted on it once."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from recx.core import registry
from recx.data.interactions import Split
from recx.data.sources.planted import Planted
from recx.data.splits.leave_one_out import LeaveOneOut

QUICK = {"epochs": 3, "max_seconds": 2.0}


@cache
def small_split() -> Split:
    """60 people, 120 items, last event held out."""
    return LeaveOneOut().split(Planted(users=60, items=120).load(), 0)


@cache
def fitted(name: str, device: str = "cpu", seed: int = 0) -> Any:
    """A model by name, briefly trained."""
    fields = {row["name"] for row in registry.form("models", name)["parameters"]}
    recipe = registry.named("models", name, {key: value for key, value in QUICK.items() if key in fields}).build()
    split = small_split()
    return recipe.fit(split.train, valid=split.valid, seed=seed, device=device)


@pytest.fixture
def split() -> Split:
    return small_split()


@pytest.fixture(params=registry.built_in("models"))
def model_name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def scorer(model_name: str, device: str) -> Any:
    return fitted(model_name, device)
