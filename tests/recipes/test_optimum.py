"""The smallest sets of studies against all sets tried in a loop, and joined with the answers they are compared with."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from recx.core.progress import quiet
from recx.data.interactions import Heldout, Split
from recx.recipes._build import explainer_of, fit_of
from recx.recipes.judge import Judge
from recx.recipes.optimum import Optimum
from recx.studies._sets import GOALS, with_optimum
from tests.explainers.conftest import smallest, world_of

FIT = fit_of("planted", "ease", split="held-out-users")
K, PEOPLE = 3, 4


@pytest.mark.parametrize("kind", ["ease", "multvae"])
def test_sizes_are_those_of_a_loop_and_stay_with_their_pair(kind: str) -> None:
    world = world_of(kind)
    people = Heldout(np.arange(PEOPLE), world.histories.numpy(), np.full((PEOPLE, 1), -1), known=False)
    split = Split(world.population, people, people)

    @cache
    def get(recipe: Any) -> Any:
        known = {FIT: world.scorer, FIT.split_data: split}
        return known[recipe] if recipe in known else recipe.run(get, quiet)

    parts = tuple(Optimum(FIT, K, at, at + 2, goal) for goal in GOALS for at in (0, 2))
    for part in parts:
        for row in get(part).itertuples():
            assert row.smallest == (smallest(world, row.user, row.target, K, part.goal) or 0)
    for goal in GOALS:
        table = get(Judge(FIT, explainer_of("minimal", {"goal": goal}), K, 0, PEOPLE))
        known = with_optimum(get, table, parts)
        assert known[["user", "target"]].equals(table[["user", "target"]]), "the order of the pairs stays"
        assert known["proved"].any()
        assert (known["length"] == known["smallest"])[known["proved"]].all()
