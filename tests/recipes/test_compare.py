"""Two models side by side: places in each other's ranking, and agreement over users against lists made by hand."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from recx.core.errors import BadInput
from recx.core.progress import Cancelled, quiet
from recx.recipes import compare
from recx.recipes._build import fit_of
from recx.recipes.compare import Agreement, SideBySide, agreed
from recx.recipes.people import Person
from recx.recipes.recommend import Recommend
from recx.recipes.trained import About, Trained


@cache
def store() -> dict[Any, Any]:
    return {}


def get(recipe: Any) -> Any:
    if recipe not in store():
        store()[recipe] = recipe.run(get, quiet)
    return store()[recipe]


EASE, POP = fit_of("planted", "ease"), fit_of("planted", "toppop")
ANNA = Person(user="u003")


def test_agreement_of_lists_made_by_hand() -> None:
    """Three users: the same list, the same items in another order, one of three in common in the last place."""
    left = np.asarray([[1, 2, 3], [1, 2, 3], [1, 2, 3]])
    right = np.asarray([[1, 2, 3], [2, 1, 3], [7, 8, 1]])
    found = agreed(left, right)
    assert found["overlap"]["mean"] == pytest.approx((1 + 1 + 1 / 3) / 3)
    assert found["same_first"]["mean"] == pytest.approx(1 / 3)
    assert found["histogram"] == [
        {"common": 0, "users": 0},
        {"common": 1, "users": 1},
        {"common": 2, "users": 0},
        {"common": 3, "users": 2},
    ]
    for name in ("overlap", "rbo", "same_first"):
        assert found[name]["low"] <= found[name]["mean"] <= found[name]["high"]
    assert 0 < found["rbo"]["mean"] < found["overlap"]["mean"]


def test_an_empty_first_place_is_no_agreement() -> None:
    nobody = np.full((2, 3), -1)
    assert agreed(nobody, nobody)["same_first"]["mean"] == 0.0


def test_the_histogram_counts_every_user_of_a_large_block_once(monkeypatch: pytest.MonkeyPatch) -> None:
    left = np.tile(np.arange(4), (50, 1))
    whole = agreed(left, left[:, ::-1])
    monkeypatch.setattr(compare, "BLOCK", 32)  # two users at a time
    assert agreed(left, left[:, ::-1]) == whole
    assert whole["histogram"][4] == {"common": 4, "users": 50}


def test_a_model_agrees_with_itself_and_the_lists_are_those_of_each_user() -> None:
    assert get(Agreement(EASE, EASE, k=5))["overlap"] == {"mean": 1.0, "low": 1.0, "high": 1.0}
    found = get(Agreement(EASE, POP, k=5, users=30))
    assert (found["n"], found["k"]) == (30, 5)
    test, data = get(EASE.split_data).test, get(EASE.data)
    rows = np.sort(np.random.default_rng(0).choice(len(test), 30, replace=False))
    users = [Person(user=data.users["id"].iloc[code]) for code in test.users[rows]]
    same = []
    for user in users:
        lists = [{row["item"] for row in get(Recommend(fit, (user,), 5))[0]["items"]} for fit in (EASE, POP)]
        same.append(len(lists[0] & lists[1]) / 5)
    assert found["overlap"]["mean"] == pytest.approx(np.mean(same))
    assert sum(row["users"] for row in found["histogram"]) == 30


def test_a_cancel_is_heard_between_blocks_of_users() -> None:
    def stop(fraction: float, message: str = "") -> None:
        if "users" in message:
            raise Cancelled

    with pytest.raises(Cancelled):
        Agreement(EASE, POP).run(get, stop)


def test_each_item_has_its_place_in_the_other_list() -> None:
    found = get(SideBySide(EASE, POP, ANNA, 10))
    for side, other in (("left", POP), ("right", EASE)):
        everything = get(Recommend(other, (ANNA,), 200))[0]["items"]
        place = {row["item"]: row["rank"] for row in everything}
        score = {row["item"]: row["score"] for row in everything}
        for row in found[side]["items"]:
            behind_ties = sum(value >= score[row["item"]] for value in score.values())
            assert row["other"] == (place[row["item"]] if place[row["item"]] <= 10 else behind_ties)
    mine, theirs = ({row["item"] for row in found[side]["items"]} for side in ("left", "right"))
    assert found["overlap"] == pytest.approx(len(mine & theirs) / 10)
    assert 0 <= found["rbo"] <= 1


def test_switched_off_items_stay_out_of_both_lists() -> None:
    history = [row["item"] for row in get(SideBySide(EASE, POP, ANNA, 5))["left"]["history"]]
    off = Person(user="u003", without=(history[0],))
    found = get(SideBySide(EASE, POP, off, 5))
    assert history[0] not in {row["item"] for side in ("left", "right") for row in found[side]["items"]}
    rank = {row["item"]: row["rank"] for row in get(Recommend(EASE, (off,), 250))[0]["items"]}
    assert [row["other"] for row in found["right"]["items"]] == [rank[row["item"]] for row in found["right"]["items"]]


def test_models_of_different_data_are_not_compared() -> None:
    other = fit_of("planted", "toppop", split="random")
    for recipe in (Agreement(EASE, other), SideBySide(EASE, other, ANNA)):
        with pytest.raises(BadInput, match="learnt from different data"):
            recipe.run(get, quiet)


def test_a_training_is_told_with_its_floors() -> None:
    found = get(Trained(EASE))
    assert found["floors"]["toppop"] == get(Trained(POP))["metrics"]
    assert 0 < found["floors"]["chance"]["hr@10"] < found["floors"]["toppop"]["hr@10"] < found["metrics"]["hr@10"]
    assert found["report"]["seconds"] >= 0
    assert found["edited_history"] == get(About(EASE))["edited_history"]
    assert found["edited_history"].endswith(".")
