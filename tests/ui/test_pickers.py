"""Searches over users and items run on the server and give few matches."""

from __future__ import annotations

import pandas as pd

from recx.ui import export, pickers

PEOPLE = pd.DataFrame(
    {
        "user": ["1", "12", "121", "2", "21"],
        "events": [5, 6, 7, 8, 9],
        "popularity": [0.1, 0.2, 0.3, 0.4, 0.5],
        "traits": ["light, niche", "", "", "mainstream", "heavy"],
        "age": ["24", "nan", "30", "<NA>", "50"],
    }
)
ITEMS = pd.DataFrame(
    {
        "item": ["a", "b", "c"],
        "title": ["Star Wars (1977)", "Star Trek", "C++ (the film)"],
        "year": [1977, None, None],
        "popularity": [9, 5, 1],
    }
)


def test_users_are_found_by_the_beginning_of_their_id_the_exact_one_first() -> None:
    assert pickers.find_users(PEOPLE, "12")["user"].tolist() == ["12", "121"]
    assert pickers.find_users(PEOPLE, "9").empty
    assert len(pickers.find_users(PEOPLE, "", most=2)) == 2


def test_a_trait_narrows_and_a_number_draws_the_same_user_again() -> None:
    assert pickers.with_trait(PEOPLE, "niche")["user"].tolist() == ["1"]
    assert len(pickers.with_trait(PEOPLE, "any")) == 5
    assert pickers.draw_user(PEOPLE, "any", 3) == pickers.draw_user(PEOPLE, "any", 3)
    assert len({pickers.draw_user(PEOPLE, "any", seed) for seed in range(40)}) == 5
    assert pickers.draw_user(PEOPLE.head(0), "any", 0) is None


def test_titles_are_found_by_their_words_not_as_patterns() -> None:
    assert pickers.find_items(ITEMS, "star")["item"].tolist() == ["a", "b"]
    assert pickers.find_items(ITEMS, "wars STAR")["item"].tolist() == ["a"]
    assert pickers.find_items(ITEMS, "c++ (the")["item"].tolist() == ["c"]
    assert pickers.find_items(ITEMS, "star", without=("a",))["item"].tolist() == ["b"]
    assert pickers.find_items(ITEMS, "  ").empty


def test_a_user_is_described_without_empty_attributes() -> None:
    assert pickers.describe(PEOPLE.iloc[0]) == "5 events · mean popularity 0.10 · light, niche · age 24"
    assert "age" not in pickers.describe(PEOPLE.iloc[1])


def test_a_title_that_looks_like_a_formula_is_not_one_in_a_spreadsheet() -> None:
    table = export.guarded(pd.DataFrame({"title": ["=1+1", "Alien"], "score": [-1.5, 2.0]}))
    assert table["title"].tolist() == ["'=1+1", "Alien"]
    assert table["score"].tolist() == [-1.5, 2.0]
