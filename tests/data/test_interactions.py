"""Histories, kept rows, thresholds and padding: by hand and against a plain loop."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recx.core.errors import BadInput
from recx.data.interactions import PAD, Interactions, pad, prepare


def tiny(rating: list[float] | None = None, cause: list[int] | None = None) -> Interactions:
    """Users a: x y z; b: x y; c: z."""
    return Interactions(
        "tiny",
        np.array([0, 0, 0, 1, 1, 2], np.int32),
        np.array([0, 1, 2, 0, 1, 2], np.int32),
        pd.DataFrame({"id": ["a", "b", "c"]}),
        pd.DataFrame({"id": ["x", "y", "z"], "title": ["X", "Y", "Z"]}),
        rating=None if rating is None else np.array(rating, np.float32),
        extra={} if cause is None else {"cause": np.array(cause, np.int32)},
    )


def test_histories_are_right_aligned_oldest_first() -> None:
    assert tiny().histories(np.array([2, 0])).tolist() == [[PAD, PAD, 2], [0, 1, 2]]
    assert tiny().histories(np.array([], int)).shape == (0, 1)


@given(st.lists(st.lists(st.integers(0, 99), max_size=7), max_size=9))
def test_pad_equals_a_plain_loop(lists: list[list[int]]) -> None:
    out = pad([np.array(one, np.int64) for one in lists])
    width = max([len(one) for one in lists] + [1])
    assert out.tolist() == [[PAD] * (width - len(one)) + one for one in lists]


def test_keep_renumbers_causes_and_forgets_those_left_out() -> None:
    data = tiny(cause=[-1, 0, 1, -1, 3, -1]).keep(np.array([True, False, True, True, True, True]))
    assert data.extra["cause"].tolist() == [-1, -1, -1, 2, -1]
    assert data.n_items == 3


def test_prepare_applies_rating_then_items_then_users_once_each() -> None:
    # Rating leaves a: x z; b: x y; c: z. Items with 2 events: x, z. Users with 2 events: a. By hand.
    data = prepare(tiny(rating=[4, 3, 4, 4, 4, 5]), rating_above=3.5, min_user=2, min_item=2)
    assert data.users["id"].tolist() == ["a"]
    assert data.items["title"].tolist() == ["X", "Z"]
    assert data.item.tolist() == [0, 1]


def test_prepare_leaves_its_input_alone_and_unknown_ratings_out() -> None:
    data = tiny(rating=[4, np.nan, 4, 4, 4, 5])
    before = data.fingerprint
    assert len(prepare(data, rating_above=3.5, min_user=1, min_item=1)) == 5
    assert data.fingerprint == before


def test_prepare_says_the_cure() -> None:
    with pytest.raises(BadInput, match="leave rating_above empty"):
        prepare(tiny(), rating_above=3.5, min_user=1, min_item=1)
    with pytest.raises(BadInput, match="lower rating_above"):
        prepare(tiny(rating=[1] * 6), rating_above=3.5, min_user=1, min_item=1)


def test_fingerprint_follows_events_and_ids() -> None:
    assert tiny().fingerprint == tiny().fingerprint
    assert tiny().fingerprint != tiny(rating=[1] * 6).fingerprint
    assert tiny().fingerprint != tiny().keep(np.arange(5)).fingerprint


def test_codes_by_name() -> None:
    assert tiny().user_code("b") == 1
    with pytest.raises(BadInput, match=r"unknown item 'q' in tiny \(3 items\)"):
        tiny().item_code("q")
