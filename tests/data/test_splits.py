"""Splits: by hand on a tiny world, against plain loops on the planted one."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from recx.core import registry
from recx.core.errors import BadInput
from recx.data.interactions import PAD, Heldout, Interactions, Split
from recx.data.sources.planted import Planted
from recx.data.splits.global_time import GlobalTime
from recx.data.splits.held_out_users import HeldOutUsers
from recx.data.splits.last_6 import Last6
from recx.data.splits.leave_one_out import LeaveOneOut
from recx.data.splits.random import Random

SPLITS = registry.names("data.splits")


@pytest.fixture(scope="module")
def planted() -> Interactions:
    return Planted(users=260).load()


def of_lists(*histories: list[int], time: list[int] | None = None) -> Interactions:
    """A world in which user u did histories[u], items named by number."""
    item = np.array([i for one in histories for i in one], np.int32)
    user = np.repeat(np.arange(len(histories)), [len(one) for one in histories]).astype(np.int32)
    names = [str(i) for i in range(int(item.max()) + 1)]
    return Interactions(
        "tiny",
        user,
        item,
        pd.DataFrame({"id": [str(u) for u in range(len(histories))]}),
        pd.DataFrame({"id": names, "title": names}),
        time=None if time is None else np.array(time, np.int64),
    )


def rows(cases: Heldout) -> list[tuple[int, list[int], list[int]]]:
    """(user, history, targets) of each case without padding."""
    return [
        (int(user), [int(i) for i in history if i != PAD], [int(i) for i in target if i != PAD])
        for user, history, target in zip(cases.users, cases.histories, cases.targets, strict=True)
    ]


def learnt(split: Split) -> list[list[int]]:
    return [split.train.history(user).tolist() for user in range(split.train.n_users)]


def test_all_splits_are_found() -> None:
    assert SPLITS == ["global-time", "held-out-users", "last-6", "leave-one-out", "random"]


def test_leave_one_out_by_hand() -> None:
    split = LeaveOneOut().split(of_lists([3, 1, 4, 0], [2, 0], [1, 2, 3], [4]), 0)
    assert learnt(split) == [[3, 1], [2, 0], [1], [4]]
    assert rows(split.valid) == [(0, [3, 1], [4]), (2, [1], [2])]
    assert rows(split.test) == [(0, [3, 1, 4], [0]), (2, [1, 2], [3])]


def test_last_6_by_hand() -> None:
    split = Last6().split(of_lists(list(range(9)), list(range(6)), list(range(7))), 0)
    assert learnt(split) == [[0, 1, 2], [0, 1, 2, 3, 4, 5], [0]]
    assert rows(split.test) == [(0, [3, 4, 5, 6, 7], [8]), (2, [1, 2, 3, 4, 5], [6])]
    assert rows(split.valid) == [(0, [3, 4, 5, 6], [7]), (2, [1, 2, 3, 4], [5])]


def test_global_time_by_hand() -> None:
    # Twenty events at seconds 0 to 19, two parts of two events: the dates are 16 and 18.
    user_0, user_1 = list(range(16)), [20, 21, 22, 23]
    data = of_lists(user_0, user_1, time=[*range(15), 18, 15, 16, 17, 19])
    split = GlobalTime().split(data, 0)
    assert learnt(split) == [user_0[:15], [20]]
    assert rows(split.valid) == [(1, [20], [21, 22])]
    assert rows(split.test) == [(0, user_0[:15], [15]), (1, [20, 21, 22], [23])]


def test_global_time_needs_every_time() -> None:
    with pytest.raises(BadInput, match="tiny has no times: use leave-one-out"):
        GlobalTime().split(of_lists([0, 1, 2]), 0)
    with pytest.raises(BadInput, match="tiny has 1 events of unknown time"):
        GlobalTime().split(of_lists([0, 1, 2], time=[5, -1, 7]), 0)


def test_random_takes_its_share_of_each_user_and_keeps_the_order() -> None:
    data = of_lists(list(range(20)), list(range(10)), list(range(4)))
    split = Random(valid=0.1, test=0.25).split(data, 3)
    assert [len(history) for history in learnt(split)] == [13, 7, 3]  # less 2 + 5, 1 + 2, 0 + 1
    assert [len(target) for _, _, target in rows(split.test)] == [5, 2, 1]
    assert [len(target) for _, _, target in rows(split.valid)] == [2, 1]
    for user, history, target in rows(split.test):
        assert sorted(history + target) == data.history(user).tolist()
        assert history == sorted(history)


def test_random_over_all_events_takes_exactly_its_share(planted: Interactions) -> None:
    split = Random(valid=0.1, test=0.3, per_user=False).split(planted, 0)
    held = int(0.3 * len(planted)) + int(0.1 * len(planted))
    assert len(split.train) == len(planted) - held


def test_held_out_users_are_as_mult_vae_has_them(planted: Interactions) -> None:
    split = HeldOutUsers(valid=30, test=40, known_items=False).split(planted, 5)
    assert (len(split.valid), len(split.test), split.test.known) == (30, 40, False)
    assert (split.test.model_users == -1).all()
    assert not set(split.valid.users) & set(split.test.users)
    held = np.concatenate([split.valid.users, split.test.users])
    assert not np.isin(split.train.user, held).any()
    assert len(split.train) == (~np.isin(planted.user, held)).sum()
    for user, history, target in rows(split.test):
        whole = planted.history(user).tolist()
        assert len(target) == int(0.2 * len(whole))
        assert history == [i for i in whole if i not in target]


def test_held_out_events_on_items_that_nobody_else_has_are_left_out() -> None:
    data = of_lists(*([[0, 1, 2, 3, 4, 5]] * 30), *[[0, 1, 2, 3, 4, 6 + u] for u in range(30)])
    split = HeldOutUsers(valid=15, test=15).split(data, 0)
    known = set(split.train.item)
    for cases in (split.valid, split.test):
        assert len(cases) == 15
        assert all(set(history + target) <= known for _, history, target in rows(cases))
        assert all(target for _, _, target in rows(cases))


def test_held_out_users_never_leave_a_case_without_target_or_history() -> None:
    data = of_lists(*([[0, 1, 2]] * 10), *([[0, 1, 2, 3, 4]] * 4))
    split = HeldOutUsers(valid=1, test=1).split(data, 0)
    assert set(split.test.users) | set(split.valid.users) <= {10, 11, 12, 13}
    assert [len(target) for _, _, target in rows(split.test)] == [1]


def plain_leave_one_out(data: Interactions) -> tuple[list, list]:
    valid, test = [], []
    for user in range(data.n_users):
        history = data.history(user).tolist()
        if len(history) >= 3:
            valid.append((user, history[:-2], history[-2:-1]))
            test.append((user, history[:-1], history[-1:]))
    return valid, test


def test_leave_one_out_equals_a_plain_loop(planted: Interactions) -> None:
    split = LeaveOneOut().split(planted, 0)
    assert (rows(split.valid), rows(split.test)) == plain_leave_one_out(planted)
    assert len(split.train) == len(planted) - 2 * len(split.test)


@pytest.mark.parametrize("name", SPLITS)
def test_what_every_split_promises(name: str, planted: Interactions) -> None:
    before = planted.fingerprint
    recipe = registry.load("data.splits", name)()
    split = recipe.split(planted, 7)
    again = recipe.split(planted, 7)
    assert planted.fingerprint == before
    assert split.train.fingerprint == again.train.fingerprint
    assert (split.train.n_users, split.train.n_items) == (planted.n_users, planted.n_items)
    for cases, same in ((split.valid, again.valid), (split.test, again.test)):
        assert len(cases) > 0
        assert rows(cases) == rows(same)
        assert cases.histories.dtype == cases.targets.dtype == cases.users.dtype == np.int64
        assert (cases.histories[:, -1] != PAD).all()
        assert (cases.targets[:, -1] != PAD).all()
        known = np.isin(cases.users, split.train.user)
        assert known.all() if cases.known else not known.any()
        for user, history, target in rows(cases):
            whole = planted.history(user).tolist()
            assert [i for i in whole if i in history] == history  # in their order
            assert set(target) <= set(whole)
            assert not set(target) & set(history)
            if cases.known:
                assert not set(target) & set(split.train.history(user))


@pytest.mark.parametrize("name", ["held-out-users", "random"])
def test_another_seed_draws_otherwise(name: str, planted: Interactions) -> None:
    recipe = registry.load("data.splits", name)()
    assert rows(recipe.split(planted, 1).test) != rows(recipe.split(planted, 2).test)


@pytest.mark.parametrize("name", SPLITS)
def test_too_small_is_one_sentence(name: str) -> None:
    data = of_lists([0, 1], [1], time=[1, 2, 3])
    with pytest.raises(BadInput, match="tiny") as caught:
        registry.load("data.splits", name)().split(data, 0)
    assert "\n" not in str(caught.value)


def test_ratings_of_the_targets_stand_where_the_targets_do(planted: Interactions) -> None:
    """Every held-out (user, item, rating) is found again; what is padding has no rating."""
    stream = np.random.default_rng(0)
    data = dataclasses.replace(planted, rating=stream.integers(1, 6, len(planted)).astype(np.float32))
    rating = {(u, i): r for u, i, r in zip(data.user.tolist(), data.item.tolist(), data.rating.tolist(), strict=True)}
    for part in (Random(test=0.3).split(data, 0).test, LeaveOneOut().split(data, 0).valid):
        assert part.ratings.shape == part.targets.shape
        assert (np.isnan(part.ratings) == (part.targets < 0)).all()
        for user, row, given in zip(part.users, part.targets, part.ratings, strict=True):
            assert [rating[user, item] for item in row if item >= 0] == given[row >= 0].tolist()
