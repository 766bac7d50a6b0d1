"""The systems that a study compares: explainers with settings, under the names its rows have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recx.core import registry
from recx.core.errors import BadInput
from recx.core.recipe import Named
from recx.recipes._build import Form

ALIASES: dict[str, tuple[str, dict[str, Any]]] = {
    "minimal-necessary": ("minimal", {"goal": "necessary"}),
    "lcer-importance": ("lcer", {"answer": "importance"}),
    "fia-derivative": ("fia", {"influence": "derivative"}),
    "accent-checked": ("accent", {"influence": "leave-one-out", "replacement": "best", "stop": "checked"}),
    "kaffes-checked": ("kaffes", {"goal": "rank", "answer": "best", "budget": 1000}),
}
"""Names beside those of the explainers: an explainer with settings of its own, whatever its paper's are."""


@dataclass(frozen=True)
class System:
    """A line of a study: `name` in its rows, and the explainer with its settings."""

    name: str
    explainer: Named


def explainer_name(word: str) -> str:
    """The explainer that a system's word means: an alias, NAME=EXPLAINER, or the explainer itself."""
    name, _, other = word.partition("=")
    return other or ALIASES.get(name, (name, {}))[0]


def present(*words: str) -> tuple[str, ...]:
    """The systems whose explainer is there."""
    return tuple(word for word in words if explainer_name(word) in registry.names("explainers"))


def system_of(word: str, settings: Mapping[str, Any], published: bool, form_of: Form) -> System:
    """A system by what a user types: an explainer, an alias, or NAME=EXPLAINER (one explainer, several settings).

    `published`: start from the explainer's published settings, where it has them. `settings` come last.
    Raises BadInput for an unknown explainer or field.
    """
    name, _, other = word.partition("=")
    explainer, base = (other, {}) if other else ALIASES.get(name, (name, {}))
    if explainer not in registry.names("explainers"):
        registry.module_name("explainers", explainer)
    form = form_of("explainers", explainer)
    start = dict(form.get("published", {})) if published else {}
    try:
        return System(name, registry.named("explainers", explainer, start | base | dict(settings), form_of=form_of))
    except BadInput as error:
        raise BadInput(f"{name}: {error}") from None
