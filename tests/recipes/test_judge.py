"""One row per pair: who is asked, what was named, how popular it is, and whether the check agrees with a plain run."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recx.core.errors import BadInput
from recx.core.progress import quiet
from recx.core.recipe import Named
from recx.recipes._build import explainer_of, fit_of
from recx.recipes.judge import Judge

FIT = fit_of("planted", "ease", split="held-out-users")


@cache
def get(recipe: Any) -> Any:
    return recipe.run(get, quiet)


def table(explainer: Named, part: str = "test", k: int = 3) -> pd.DataFrame:
    return get(Judge(FIT, explainer, k, 0, 6, part=part))


@pytest.mark.parametrize("part", ["test", "valid"])
def test_who_is_asked_and_what_is_named(part: str) -> None:
    """Targets are the top of the list; a hit is a held-out event; named and ranked items are of the history."""
    people, rows = getattr(get(FIT.split_data), part), table(explainer_of("leave-one-out"), part)
    assert [len(own) for own in rows.groupby("user")["place"].apply(list)] == [3] * 6
    assert rows["place"].tolist() == [1, 2, 3] * 6
    for row in rows.itertuples():
        history = [int(item) for item in people.histories[row.user] if item >= 0]
        assert row.target not in history
        assert row.history == len(history)
        assert row.hit == (row.target in people.targets[row.user])
        assert sorted(row.ranking) == sorted(history)
        assert list(row.items) == list(row.ranking[: row.length])
        assert list(row.values) == sorted(row.values, reverse=True)
    assert rows["hit"].any()
    assert not rows["hit"].all()


def test_chunks_cover_everybody_once_in_a_random_order() -> None:
    """The order of codes is that of joining, in some data sets: the first chunk must not be the first to join."""
    n = len(get(FIT.split_data).test)
    chunks = [get(Judge(FIT, explainer_of("random"), 1, at, at + 40))["user"].tolist() for at in range(0, n, 40)]
    assert sorted(user for chunk in chunks for user in chunk) == list(range(n))
    assert np.mean(chunks[0]) == pytest.approx(n / 2, abs=4 * n / 12**0.5 / 40**0.5)
    assert chunks[0] != sorted(chunks[0])


def test_popularity_is_the_mean_percentile_of_what_is_named() -> None:
    rows, popularity = table(explainer_of("minimal")), get(FIT.split_data).train.popularity
    percentile = 100 * pd.Series(popularity).rank().sub(0.5).div(len(popularity)).to_numpy()
    people = get(FIT.split_data).test
    for row in rows.itertuples():
        history = people.histories[row.user]
        assert row.popularity_history == pytest.approx(percentile[history[history >= 0]].mean())
        if row.found:
            assert row.popularity == pytest.approx(percentile[list(row.items)].mean())
        else:
            assert np.isnan(row.popularity)


def test_nobody_there_and_a_model_that_cannot_are_one_sentence() -> None:
    with pytest.raises(BadInput, match=r"more than 1,000 users were asked for and planted has 100 .* at most 100 "):
        get(Judge(FIT, explainer_of("leave-one-out"), 3, 1000, 1010))
    constant = fit_of("planted", "toppop", split="held-out-users")
    with pytest.raises(BadInput, match=r"lcer needs .* which toppop does not have: choose another model"):
        get(Judge(constant, explainer_of("lcer"), 3, 0, 2))
