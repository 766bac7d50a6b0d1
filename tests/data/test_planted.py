"""The planted world: what was planted is really there, and nothing else claims to be."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

from recx.core.recipe import Named
from recx.data import _files
from recx.data._planted import RANGES
from recx.data.interactions import Interactions
from recx.data.sources.planted import Planted

SEEDS = (0, 1, 2, 3)


@pytest.fixture(scope="module", params=SEEDS)
def world(request: pytest.FixtureRequest) -> tuple[Interactions, dict]:
    recipe = Planted(seed=request.param)
    return recipe.load(), recipe.truth()


def has(data: Interactions, item: str) -> np.ndarray:
    """bool[n_users]: who has an item."""
    out = np.zeros(data.n_users, bool)
    out[data.user[data.item == data.item_code(item)]] = True
    return out


def lifts(data: Interactions, pairs: pd.DataFrame, a: str, b: str) -> np.ndarray:
    """P(both) / (P(a) P(b)) over users of each pair."""
    return np.array(
        [
            (has(data, one) & has(data, two)).mean() / (has(data, one).mean() * has(data, two).mean())
            for one, two in zip(pairs[a], pairs[b], strict=True)
        ]
    )


def test_siblings_have_more_lift_than_the_parts_of_a_series(world: tuple[Interactions, dict]) -> None:
    data, truth = world
    series = truth["edges"][truth["edges"]["kind"] == "series"]
    siblings = lifts(data, truth["common_causes"], "a", "b")
    assert siblings.min() > np.median(lifts(data, series, "cause", "effect"))
    assert np.median(siblings) > lifts(data, series, "cause", "effect").max()


def test_every_cause_is_an_earlier_event_of_the_same_person_on_a_true_edge(world: tuple[Interactions, dict]) -> None:
    data, truth = world
    effect = np.flatnonzero(data.extra["cause"] >= 0)
    cause = data.extra["cause"][effect]
    assert len(effect) > 500
    assert (cause < effect).all()
    assert data.time is not None
    assert (data.time[cause] < data.time[effect]).all()
    assert (data.user[cause] == data.user[effect]).all()
    ids = data.items["id"].to_numpy(object)
    edges = set(zip(truth["edges"]["cause"], truth["edges"]["effect"], strict=True))
    assert {(ids[data.item[c]], ids[data.item[e]]) for c, e in zip(cause, effect, strict=True)} == edges


def test_siblings_have_no_edge_between_them(world: tuple[Interactions, dict]) -> None:
    _, truth = world
    edges = {frozenset(pair) for pair in zip(truth["edges"]["cause"], truth["edges"]["effect"], strict=True)}
    siblings = {frozenset(pair) for pair in zip(truth["common_causes"]["a"], truth["common_causes"]["b"], strict=True)}
    assert len(siblings) == 8
    assert not siblings & edges


def test_an_edge_works_as_often_as_it_says(world: tuple[Interactions, dict]) -> None:
    """Of those who have the cause, 20 more choices and not yet the effect, the planted share goes on because of it.

    A choice by taste, or an end, in the few steps before the effect is due may come first, so the share can be smaller.
    """
    data, truth = world
    code = {name: number for number, name in enumerate(data.items["id"])}
    place = np.full((data.n_users, data.n_items), len(data))
    place[data.user, data.item] = np.arange(len(data))
    caused = np.append(data.extra["cause"], -1)
    expected, variance, seen = 0.0, 0.0, 0
    for cause, effect, chance in truth["edges"][["cause", "effect", "probability"]].itertuples(index=False):
        first, then = place[:, code[cause]], place[:, code[effect]]
        able = (first < len(data)) & (data.offsets[1:] - first > 20) & (then > first)
        seen += int(((caused[then] == first) & able).sum())
        expected += chance * able.sum()
        variance += chance * (1 - chance) * able.sum()
    assert expected > 300
    assert 0.85 * expected < seen < expected + 4 * variance**0.5


def test_popularity_is_skewed_and_every_item_is_chosen(world: tuple[Interactions, dict]) -> None:
    data, _ = world
    counts = np.sort(data.popularity)[::-1]
    assert counts[-1] > 0
    assert counts[: len(counts) // 10].sum() > 0.2 * counts.sum()


def test_taste_shows_in_what_people_choose(world: tuple[Interactions, dict]) -> None:
    """A person's favourite genre makes up more of their history than of the average one."""
    data, _ = world
    genre = [set(g.split("|")) for g in data.items["genres"]]
    best = data.users["likes"].str.split("|").str[0]
    own = np.mean([np.mean([best[u] in genre[i] for i in data.history(u)]) for u in range(data.n_users)])
    usual = np.mean([np.mean([g in genre[i] for i in data.item]) for g in best])
    assert own > 1.5 * usual


def test_titles_are_distinct_and_years_plausible(world: tuple[Interactions, dict]) -> None:
    data, truth = world
    assert data.items["title"].is_unique
    assert data.items["year"].between(1950, 2022).all()
    assert (data.items["genres"] != "").all()
    year = data.items.set_index("id")["year"]
    series = truth["edges"][truth["edges"]["kind"] == "series"]
    assert (year[series["effect"]].to_numpy() > year[series["cause"]].to_numpy()).all()
    assert data.time is not None
    assert (np.diff(data.time)[np.diff(data.user) == 0] > 0).all()
    assert data.rating is not None
    assert set(np.unique(data.rating)) == {1, 2, 3, 4, 5}


def test_strengths_come_from_the_committed_ranges(world: tuple[Interactions, dict]) -> None:
    _, truth = world
    assert truth["strengths"].keys() == RANGES.keys()
    assert all(low <= truth["strengths"][name] <= high for name, (low, high) in RANGES.items())


def test_nobody_chooses_an_item_twice(world: tuple[Interactions, dict]) -> None:
    data, _ = world
    assert len(np.unique(data.user.astype(np.int64) * data.n_items + data.item)) == len(data)


def test_the_seed_decides_everything() -> None:
    assert Planted(seed=4).load().fingerprint == Planted(seed=4).load().fingerprint
    assert Planted(seed=4).load().fingerprint != Planted(seed=5).load().fingerprint
    one, other = (
        _files.fingerprint(_files.source("planted")),
        _files.fingerprint(Named("data.sources", "planted", (("seed", 5),))),
    )
    assert one != other


@pytest.mark.parametrize(("users", "items"), [(20, 120), (1000, 300), (400, 600)])
def test_other_sizes_hold_together(users: int, items: int) -> None:
    data = Planted(users=users, items=items).load()
    assert (data.n_users, data.n_items) == (users, items)
    assert np.diff(data.offsets).min() >= 8


def test_it_is_made_in_under_a_second() -> None:
    best = np.inf
    for _ in range(3):
        start = time.process_time()
        Planted().load()
        best = min(best, time.process_time() - start)
    assert best < 1.0  # 0.3 s measured; processor time, so that a busy machine does not matter
