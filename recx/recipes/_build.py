"""Recipes from the words a user types: the one place where names and settings are checked, for app and command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from recx.core import registry
from recx.core.recipe import Named
from recx.recipes.data import Data
from recx.recipes.fit import Fit

Form = Callable[[str, str], dict[str, Any]]
UNSET = object()


def data_of(
    dataset: str, settings: Mapping[str, Any] | None = None, *, form_of: Form = registry.form, **thresholds: Any
) -> Data:
    """A data set by name with its own default thresholds, or those given (rating_above, min_user, min_item)."""
    from recx.data._files import source

    named = source(dataset)
    if settings:
        named = registry.named(named.kind, named.name, dict(named.settings) | dict(settings), form_of=form_of)
    defaults = form_of(named.kind, named.name).get("prepare", {})
    given = {name: value for name, value in thresholds.items() if value is not UNSET}
    return Data(named, **(defaults | given))


def fit_of(
    dataset: str | Data,
    model: str,
    settings: Mapping[str, Any] | None = None,
    *,
    seed: int = 0,
    split: str = "leave-one-out",
    split_settings: Mapping[str, Any] | None = None,
    device: str = "auto",
    form_of: Form = registry.form,
) -> Fit:
    """A fit by names. Raises BadInput for an unknown data set, split, model or field, with the nearest names."""
    data = dataset if isinstance(dataset, Data) else data_of(dataset, form_of=form_of)
    split_part = registry.named("data.splits", split, dict(split_settings or {}), form_of=form_of)
    return Fit(data, split_part, registry.named("models", model, dict(settings or {}), form_of=form_of), seed, device)


def explainer_of(name: str, settings: Mapping[str, Any] | None = None, *, form_of: Form = registry.form) -> Named:
    """An explainer by name with checked settings."""
    return registry.named("explainers", name, dict(settings or {}), form_of=form_of)
