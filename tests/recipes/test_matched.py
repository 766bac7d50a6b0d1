"""The search for a lambda: on made-up curves whose answer is known, and once with LCER itself."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import pytest

from recx.core.progress import quiet
from recx.recipes._build import explainer_of, fit_of
from recx.recipes.judge import Judge
from recx.recipes.matched import CLOSE, GREATEST, MOST, START, Matched, search


@pytest.mark.parametrize("wanted", [1.05, 1.7, 3.4, 4.9, 9.0])
def test_a_falling_curve_is_met_in_few_steps(wanted: float) -> None:
    """Length 1 + 5 / (1 + 20 lambda) ... and steps of 1/500, as means over 500 pairs have."""
    calls = []

    def length(lam: float) -> float:
        calls.append(lam)
        return round((1 + 10 / (1 + 60 * lam)) * 500) / 500

    tried = search(length, wanted, quiet)
    assert min(abs(n - wanted) for n in tried.values()) <= CLOSE
    assert len(calls) == len(set(calls)) == len(tried) <= MOST
    assert set(START) <= set(tried), "searches for several lengths share their first steps"


def test_a_length_that_no_lambda_has_ends_too() -> None:
    jump = search(lambda lam: 4.0 if lam < 0.05 else 1.0, 2.5, quiet)
    assert len(jump) <= MOST
    assert min(abs(n - 2.5) for n in jump.values()) == 1.5
    assert len(search(lambda lam: 1.0, 3.0, quiet)) <= MOST
    assert len(search(lambda lam: 5.0, 3.0, quiet)) <= MOST
    assert all(math.isfinite(lam) and lam <= GREATEST for lam in search(lambda lam: 5.0, 3.0, quiet))


def test_where_the_other_finds_far_more_the_search_goes_back() -> None:
    """Above 0.1 so few sets are left that their length (counted as 0) means nothing; the answer lies below."""
    tried = search(lambda lam: 6 / (1 + 50 * lam) + 1 if lam < 0.1 else 0.0, 2.3, quiet)
    best = min(tried, key=lambda lam: abs(tried[lam] - 2.3))
    assert abs(tried[best] - 2.3) <= CLOSE
    assert best < 0.1


def test_lcer_is_tuned_on_validation_people_only() -> None:
    fit = fit_of("planted", "multvae", {"epochs": 3}, split="held-out-users")
    asked: list[Any] = []

    @cache
    def get(recipe: Any) -> Any:
        asked.append(recipe)
        return recipe.run(get, quiet)

    lcer, other = explainer_of("lcer", {"steps": 40}), explainer_of("minimal", {"max_calls": 50, "goal": "necessary"})
    match = get(Matched(fit, lcer, other, 3, 6))
    judged = [recipe for recipe in asked if isinstance(recipe, Judge)]
    assert {recipe.part for recipe in judged} == {"valid"}
    lengths = {dict(r.explainer.settings).get("lam", 0.01): get(r) for r in judged if r.explainer.name == "lcer"}
    found = next(get(recipe) for recipe in judged if recipe.explainer.name == "minimal")["found"].sum()
    enough = lambda table: 2 * table["found"].sum() >= max(1, found)  # noqa: E731
    mean = lambda table: table["length"].sum() / table["found"].sum() if enough(table) else 0.0  # noqa: E731
    assert dict(map(tuple, match["tried"])) == {lam: pytest.approx(mean(table)) for lam, table in lengths.items()}
    assert abs(match["length"] - match["wanted"]) == min(abs(n - match["wanted"]) for _, n in match["tried"])
