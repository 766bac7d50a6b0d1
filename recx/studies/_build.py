"""Studies from the words a user types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recx.core import recipe, registry
from recx.core.errors import BadInput, unknown
from recx.recipes._build import Form, data_of


def study_of(
    name: str,
    *,
    dataset: str | None = None,
    systems: tuple[str, ...] = (),
    users: int | None = None,
    seeds: int | None = None,
    small: bool = False,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    form_of: Form = registry.form,
) -> Any:
    """A study recipe by name. `settings`: {system or model: {field: value}}. Raises BadInput, naming what is known."""
    cls: Any = registry.load("studies", name)
    if hasattr(cls, "of"):
        counts = {key: value for key, value in (("users", users), ("seeds", seeds)) if value is not None}
        return cls.of(dataset=dataset, systems=systems, small=small, settings=settings or {}, form_of=form_of, **counts)
    dataset = dataset or cls.default_dataset
    chosen = tuple(dict.fromkeys(systems or cls.default_systems))
    model = cls.model.name
    given = {key: dict(value) for key, value in (settings or {}).items()}
    for key in given:
        if key not in (*chosen, model):
            raise unknown("system", key, (*chosen, model), f" of {name}")
    fields: dict[str, Any] = dict(cls.small) if small else {}
    fields |= {key: value for key, value in (("users", users), ("seeds", seeds)) if value is not None}
    counts = {key: value for key, value in fields.items() if key in ("users", "seeds")}
    recipe.clean(name, [row for row in recipe.describe(cls) if row["name"] in ("users", "seeds")], counts)

    def settled(key: str) -> dict[str, Any]:
        base = dict(cls.dataset_settings.get(dataset, {}).get(key, {}))
        return base | (cls.small_settings.get(key, {}) if small else {}) | given.get(key, {})

    try:
        parts = tuple(registry.named("explainers", one, settled(one), form_of=form_of) for one in chosen)
    except BadInput as error:
        raise BadInput(f"{name}: {error}") from None
    named_model = registry.named("models", model, settled(model), form_of=form_of)
    return cls(data=data_of(dataset, form_of=form_of), systems=parts, model=named_model, **fields)
