"""Studies from the words a user types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recx.core import recipe, registry
from recx.core.errors import BadInput, unknown
from recx.recipes._build import Form, data_of
from recx.studies._systems import explainer_name, system_of


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
    """A study recipe by name. Raises BadInput, naming what is known.

    `settings`: {system or model: {field: value}}; under the study's own name its fields, and `model`: another one.
    """
    cls: Any = registry.load("studies", name)
    if hasattr(cls, "of"):
        counts = {key: value for key, value in (("users", users), ("seeds", seeds)) if value is not None}
        return cls.of(dataset=dataset, systems=systems, small=small, settings=settings or {}, form_of=form_of, **counts)
    dataset = dataset or cls.default_dataset
    chosen = tuple(dict.fromkeys(systems or cls.default_systems))
    names = [word.partition("=")[0] for word in chosen]
    for word, key in zip(chosen, names, strict=True):
        if not key:
            raise BadInput(f"--with {word} has no name before the = sign: write NAME{word}, the name its rows have.")
        if names.count(key) > 1:
            raise BadInput(
                f"{name}: two systems are called {key!r}: give one a name of its own, --with NAME=EXPLAINER."
            )
    given = {key: dict(value) for key, value in (settings or {}).items()}
    own = given.get(name, {})
    model = str(own.pop("model", cls.model.name))
    registry.module_name("models", model)
    for key in given:
        if key not in (*names, model, name):
            raise unknown("system", key, (*names, model), f" of {name}")
    fields = _fields(cls, name, small, own, users=users, seeds=seeds)

    def settled(key: str, kind: str) -> dict[str, Any]:
        base = dict(cls.dataset_settings.get(dataset, {}).get(kind, {}))
        return base | (cls.small_settings.get(kind, {}) if small else {}) | given.get(key, {})

    published = getattr(cls, "as_published", False)
    try:
        parts = tuple(
            system_of(word, settled(key, explainer_name(word)), published, form_of)
            for word, key in zip(chosen, names, strict=True)
        )
    except BadInput as error:
        raise BadInput(f"{name}: {error}") from None
    named_model = registry.named("models", model, settled(model, model), form_of=form_of)
    return cls(data=data_of(dataset, form_of=form_of), systems=parts, model=named_model, **fields)


def _fields(cls: Any, name: str, small: bool, own: Mapping[str, Any], **counts: int | None) -> dict[str, Any]:
    """The study's own fields: those of its small version, then `--set STUDY.field=value`, then the counts; checked."""
    known = {row["name"]: row for row in recipe.describe(cls)}
    asked = {key: value for key, value in counts.items() if value is not None}
    for key in asked.keys() - known.keys():
        raise BadInput(f"{name} has no {key} to choose: leave --{key} out.")
    typed = dict(own) | asked
    checked = dict(recipe.clean(name, list(known.values()), typed))
    defaults = {key: known[key]["default"] for key in typed if key not in checked}
    return (dict(cls.small) if small else {}) | defaults | checked
