"""recx in a notebook: the app's questions as four functions, computed here, kept in the same store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from recx.engine.store import Store
from recx.explainers._explanation import Explanation
from recx.recipes._build import explainer_of, fit_of
from recx.recipes.explain import Explain
from recx.recipes.explain_list import ExplainList
from recx.recipes.fit import Evaluate
from recx.recipes.people import Person
from recx.recipes.recommend import Recommend


def explain(
    dataset: str,
    model: str,
    *,
    user: str | None = None,
    history: Iterable[str] | None = None,
    item: str | None = None,
    k: int = 10,
    explainer: str = "minimal",
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    **fitting: Any,
) -> Explanation:
    """Why a user (or somebody with a history of item ids) is recommended an item (None: the first), checked.

    `fitting` goes to `fit_of`: settings of the model, split, device. Raises BadInput.
    """
    asked = Explain(
        fit_of(dataset, model, seed=seed, **fitting),
        (_person(user, history),),
        (item,),
        explainer_of(explainer, settings),
        k,
        seed=seed,
    )
    found: list[Explanation] = Store().get(asked)
    return found[0]


def explain_list(
    dataset: str,
    model: str,
    *,
    user: str | None = None,
    history: Iterable[str] | None = None,
    k: int = 10,
    replace: str = "half",
    explainer: str = "minimal",
    settings: Mapping[str, Any] | None = None,
    seed: int = 0,
    **fitting: Any,
) -> Explanation:
    """The history items without which `replace` (one, half, all) of the top k would be others, checked.

    `details["shares"]` says what each history item alone holds up. Raises BadInput.
    """
    fit, person = fit_of(dataset, model, seed=seed, **fitting), _person(user, history)
    asked = ExplainList(fit, (person,), explainer_of(explainer, settings), k, replace, seed=seed)
    found: list[Explanation] = Store().get(asked)
    return found[0]


def recommend(
    dataset: str,
    model: str,
    *,
    user: str | None = None,
    history: Iterable[str] | None = None,
    k: int = 10,
    **fitting: Any,
) -> dict[str, Any]:
    """The top k with titles, scores, the history and what was held out (`recipes.recommend.Recommend`)."""
    found: list[dict[str, Any]] = Store().get(
        Recommend(fit_of(dataset, model, **fitting), (_person(user, history),), k)
    )
    return found[0]


def evaluate(dataset: str, model: str, **fitting: Any) -> dict[str, Any]:
    """Accuracy on the held-out part, full ranking, seen items removed."""
    found: dict[str, Any] = Store().get(Evaluate(fit_of(dataset, model, **fitting)))
    return found


def _person(user: str | None, history: Iterable[str] | None) -> Person:
    return Person(user=None if user is None else str(user), history=None if history is None else tuple(history))
