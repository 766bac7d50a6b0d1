"""Codes, the order of events, repeated pairs, titles of films: by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from recx.core.errors import BadInput
from recx.data._build import build, coded, film_title


@pytest.mark.parametrize(
    ("raw", "title", "year"),
    [
        ("Toy Story (1995)", "Toy Story", 1995),
        ("Matrix, The (1999)", "The Matrix", 1999),
        ("American in Paris, An (1951)", "An American in Paris", 1951),
        ("Ennui, L' (1998)", "L'Ennui", 1998),
        (
            "City of Lost Children, The (Cité des enfants perdus, La) (1995)",
            "The City of Lost Children (La Cité des enfants perdus)",
            1995,
        ),
        ("2001: A Space Odyssey (1968)", "2001: A Space Odyssey", 1968),
        ("Corrina, Corrina (1994)", "Corrina, Corrina", 1994),
        ("Paris, Texas (1984)", "Paris, Texas", 1984),
        ("Seven (Se7en) (1995)", "Seven (Se7en)", 1995),
        ("Land Before Time III (1995) (V)", "Land Before Time III", 1995),
        ("Death Note (2006–2007)", "Death Note", 2006),
        ("Lost (2004-)", "Lost", 2004),
        ("unknown", "unknown", None),
        ("", "", None),
        ("1984 (1984)", "1984", 1984),
    ],
)
def test_film_title(raw: str, title: str, year: int | None) -> None:
    assert film_title(raw) == (title, year)


def test_numbers_are_ordered_as_numbers_and_before_words() -> None:
    ids, code = coded(pd.Series(["10", "b", "9", "a", "10", "９"]))
    assert ids.tolist() == ["9", "10", "a", "b", "９"]  # a full-width nine is a word, not a number
    assert code.tolist() == [1, 3, 0, 2, 1, 4]


def test_ids_of_any_length_are_kept_apart() -> None:
    huge = ["9" * 5000, "9" * 4999 + "8", str(2**63), str(2**64 + 1), "1e3", "1000", "007", "7"]
    ids, code = coded(pd.Series(huge))
    assert sorted(ids) == sorted(huge)
    assert [ids[c] for c in code] == huge


def events(**columns: list) -> pd.DataFrame:
    return pd.DataFrame(columns)


def test_order_is_user_then_time_then_row_of_the_file() -> None:
    data = build(
        "x",
        events(
            user=["2", "1", "1", "2", "1"],
            item=["a", "b", "c", "d", "e"],
            time=[5, 9, 9, 5, 1],
            rating=[1.0, 2, 3, 4, 5],
        ),
    )
    assert [data.items["id"][i] for i in data.item] == ["e", "b", "c", "a", "d"]
    assert data.user.tolist() == [0, 0, 0, 1, 1]
    assert data.time is not None
    assert data.time.tolist() == [1, 9, 9, 5, 5]
    assert data.rating is not None
    assert data.rating.tolist() == [5, 2, 3, 1, 4]


def test_an_order_column_replaces_time() -> None:
    data = build("x", events(user=["1", "1", "1"], item=["a", "b", "c"], time=[-1, 7, -1], order=[3, 1, 2]))
    assert [data.items["id"][i] for i in data.item] == ["b", "c", "a"]


def test_of_a_repeated_pair_the_earliest_is_kept_and_the_rest_counted() -> None:
    rows = events(user=["1", "1", "1", "2"], item=["a", "a", "a", "a"], time=[9, 3, 5, 1], rating=[1.0, 2, 3, 4])
    data = build("x", rows)
    assert data.time is not None
    assert data.time.tolist() == [3, 1]
    assert data.dropped == {"repeated user and item (the earliest is kept)": 2}
    again = build("x", rows, repeats=True)
    assert len(again) == 4
    assert again.dropped == {}


def test_items_keep_what_is_known_and_are_called_by_their_id_otherwise() -> None:
    known = pd.DataFrame(
        {"id": ["b", "a", "b", "z"], "title": ["Bee", None, "Later", "Zed"], "year": [1999, None, 1, 2]}
    )
    data = build("x", events(user=["1", "1"], item=["a", "b"]), items=known)
    assert data.items["title"].tolist() == ["a", "Bee"]
    assert data.items["year"].tolist() == [pd.NA, 1999]
    assert data.items["genres"].tolist() == ["", ""]
    assert data.rating is None
    assert data.time is None


def test_nothing_usable_says_what_was_left_out() -> None:
    with pytest.raises(BadInput, match=r"x has no usable row \(left out: 3 missing user\)"):
        build("x", events(user=[], item=[]), dropped={"missing user": 3})


def test_the_arrays_are_frozen() -> None:
    data = build("x", events(user=["1"], item=["a"]))
    assert isinstance(data.user, np.ndarray)
    with pytest.raises(ValueError, match="read-only"):
        data.user[0] = 3
