"""Computing beforehand what the app shows first of a data set, with a line for everything that ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from recx.core import registry
from recx.engine import _wire, catalogue, client
from recx.recipes._build import data_of, explainer_of, fit_of
from recx.recipes.explain import Explain
from recx.recipes.fit import Evaluate, Fit
from recx.recipes.people import Person
from recx.recipes.recommend import Recommend
from recx.recipes.tables import Card, Items, People, draw_user

Say = Callable[[str], None]
FIRST_MODEL, FIRST_TRAIT, FIRST_DRAW, FIRST_K = "ease", "heavy", 0, 10
"""The case that the start page opens."""
CASE_SECONDS = 60.0


def quick_and_slow(dataset: str) -> tuple[list[Any], list[Any]]:
    """The recipes of a data set that take moments, and those of models that train for long. Raises BadInput."""
    form_of = catalogue.read().form_of
    found = data_of(dataset, form_of=form_of)
    fits = {name: Evaluate(fit_of(found, name, form_of=form_of)) for name in registry.built_in("models")}
    slow = [fit for name, fit in fits.items() if trains_long(name)]
    return [Card(found), Items(found), People(found), *(fit for fit in fits.values() if fit not in slow)], slow


def trains_long(model: str) -> bool:
    """Is this a model that is trained step by step? Those, and only those, have a limit of seconds."""
    return any(row["name"] == "max_seconds" for row in catalogue.read().form_of("models", model)["parameters"])


class Awaited:
    """Recipes asked of the engine, and a line for each that ends."""

    def __init__(self, engine: client.Engine, say: Say) -> None:
        self.engine, self.say = engine, say
        self.waiting: dict[str, tuple[Any, str, float]] = {}

    def ask(self, recipe: Any, title: str = "") -> bool:
        """Ask for a recipe; False when it is stored already."""
        answer = self.engine.ask(recipe, wait=0.0, title=title)
        if answer.result is not None:
            return False
        key = self.engine.store.key(recipe)
        self.waiting[key] = (recipe, title or _wire.title(recipe), time.monotonic())
        return True

    def look(self) -> None:
        """Say what has ended since the last look."""
        for key, (recipe, title, begun) in list(self.waiting.items()):
            job = self.engine.job(key)
            if job is not None and job.open:
                continue
            del self.waiting[key]
            if job is None or job.state == "done" or self.engine.peek(recipe) is not None:
                self.say(f"  {title}: {time.monotonic() - begun:.1f} s")
            else:
                self.say(f"  {title}: {job.error or job.state}")

    def wait(self, stop: threading.Event) -> None:
        """Wait until everything asked for has ended."""
        while self.waiting and not stop.wait(0.1):
            self.look()


def compute(awaited: Awaited, dataset: str, quick: list[Any], stop: threading.Event) -> None:
    """Have the quick part computed and wait for it: tables, quick models, and the first case with its explanations."""
    if stop.is_set():
        return
    missing = [recipe for recipe in quick if awaited.engine.peek(recipe) is None]
    if missing:
        awaited.say(f"computing {dataset} beforehand (the first time, the engine starts too):")
    for recipe in missing:
        awaited.ask(recipe)
    awaited.wait(stop)
    for recipe in quick:
        if isinstance(recipe, Evaluate) and recipe.fit.model.name == FIRST_MODEL and not stop.is_set():
            for one in first_case(awaited.engine, recipe.fit):
                awaited.ask(one, f"first case: {one.explainer.name} explains {one.fit.model.name}")
    awaited.wait(stop)


def first_case(engine: client.Engine, fit: Fit) -> list[Explain]:
    """The questions that the first case asks of a model; none when it cannot be made."""
    people = engine.peek(People(fit.data))
    user = draw_user(people, FIRST_TRAIT, FIRST_DRAW) if people else None
    if user is None:
        return []
    person = (Person(user=user),)
    found = engine.ask(Recommend(fit, person, FIRST_K), wait=CASE_SECONDS).result
    if not found or not found[0]["items"]:
        return []
    target, form_of = (found[0]["items"][0]["item"],), catalogue.read().form_of
    named = [explainer_of(name, form_of=form_of) for name in catalogue.FIRST_EXPLAINERS]
    return [Explain(fit, person, target, one, k=FIRST_K) for one in named]


def go_on(awaited: Awaited, dataset: str, slow: list[Any], stop: threading.Event) -> None:
    """Ask for the models that train for long; nobody waits for them, and the page can be used meanwhile."""
    asked = [recipe for recipe in slow if not stop.is_set() and awaited.ask(recipe)]
    if asked:
        names = ", ".join(recipe.fit.model.name for recipe in asked)
        awaited.say(f"training {names} on {dataset} in the background; the page can be used meanwhile:")
