"""What all parts of a case study share: whose case it is, and which question a card asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from recx.recipes import _build
from recx.recipes.explain import Explain
from recx.recipes.fit import Fit
from recx.recipes.people import Person
from recx.recipes.trained import About
from recx.ui import fetch, text
from recx.ui.frame import forms, short
from recx.ui.state import view

CHART = {
    "displaylogo": False,
    "modeBarButtonsToRemove": ["zoom", "pan", "select", "lasso2d", "zoomIn", "zoomOut", "autoScale", "resetScale"],
}


@dataclass(frozen=True)
class Case:
    """What every part needs: the fit, the person, the recommendations, the genre colours, the explainers asked."""

    fit: Fit
    person: Person
    base: Mapping[str, Any]
    lanes: Mapping[str, str]
    target: str
    explainers: tuple[str, ...]

    @property
    def chosen(self) -> Mapping[str, Any] | None:
        """The recommendation that is explained."""
        return next((row for row in self.base["items"] if row["item"] == self.target), None)


def person_of(user: str, history: tuple[str, ...], off: tuple[str, ...] = ()) -> Person:
    """The person of a view or of a pin."""
    return Person(history=history, without=off) if history else Person(user=user, without=off)


def person_label(user: str, history: tuple[str, ...]) -> str:
    """What a person is called on screen; not escaped."""
    return f"Someone new with {text.plural(len(history), 'title')}" if history else f"User {user}"


def explain_recipe(case: Case, explainer: str) -> Explain:
    """The question that one card asks."""
    now = view()
    named = _build.explainer_of(explainer, dict(now.settings_of(explainer)), form_of=forms().form_of)
    return Explain(case.fit, (case.person,), (case.target,), named, k=now.k)


def edited_history(case: Case) -> str:
    """What an edited history means for the model, in its own sentence; empty while that is not known. Not escaped."""
    about = fetch.get(About(case.fit), f"About {case.fit.model.name}").result
    return f"{short(forms().form_of('models', case.fit.model.name))}: {about['edited_history']}" if about else ""


def explained(case: Case) -> list[dict[str, Any]]:
    """The explanations that are at hand; asks nobody to compute."""
    stored = [fetch.peek(explain_recipe(case, name)) for name in case.explainers if case.chosen]
    return [found[0].as_dict() for found in stored if found]
