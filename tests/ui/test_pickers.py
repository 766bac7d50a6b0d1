"""Searches over users and items run on the server and give few matches."""

from __future__ import annotations

from recx.recipes.tables import draw_user, with_trait
from recx.ui import export, search

PEOPLE = {
    "user": ["1", "12", "121", "2", "21"],
    "events": [5, 6, 7, 8, 9],
    "popularity": [0.1, 0.2, 0.3, 0.4, 0.5],
    "traits": ["light, niche", "", "", "mainstream", "heavy"],
    "age": ["24", "nan", "30", "<NA>", "50"],
    "likes": ["Drama|Noir", "", "", "", ""],
}
ITEMS = {
    "item": ["a", "b", "c"],
    "title": ["Star Wars (1977)", "Star Trek", "C++ (the film)"],
    "year": [1977, None, None],
    "popularity": [9, 5, 1],
}


def ids(rows: list[dict], name: str = "item") -> list[str]:
    return [row[name] for row in rows]


def test_users_are_found_by_the_beginning_of_their_id_the_exact_one_first() -> None:
    assert ids(search.find_users(PEOPLE, "12"), "user") == ["12", "121"]
    assert search.find_users(PEOPLE, "9") == []
    assert len(search.find_users(PEOPLE, "", most=2)) == 2


def test_a_trait_narrows_and_a_number_draws_the_same_user_again() -> None:
    assert with_trait(PEOPLE, "niche") == ["1"]
    assert len(with_trait(PEOPLE, "any")) == 5
    assert draw_user(PEOPLE, "any", 3) == draw_user(PEOPLE, "any", 3)
    assert len({draw_user(PEOPLE, "any", seed) for seed in range(40)}) == 5
    assert draw_user({"user": [], "traits": []}, "any", 0) is None


def test_titles_are_found_by_their_words_not_as_patterns() -> None:
    assert ids(search.find_items(ITEMS, "star")) == ["a", "b"]
    assert ids(search.find_items(ITEMS, "wars STAR")) == ["a"]
    assert ids(search.find_items(ITEMS, "c++ (the")) == ["c"]
    assert ids(search.find_items(ITEMS, "b")) == ["b"]
    assert ids(search.find_items(ITEMS, "star", without=("a",))) == ["b"]
    assert search.find_items(ITEMS, "  ") == []


def test_an_item_is_called_by_its_title_and_an_unknown_one_by_its_id() -> None:
    assert search.title_of(ITEMS, "a") == "Star Wars (1977)"
    assert search.title_of(ITEMS, "z") == "z"


def test_a_user_is_described_without_empty_attributes() -> None:
    rows = search.rows(PEOPLE, (0, 1))
    assert search.describe(rows[0]) == "5 events · mean popularity 0.10 · light, niche · age 24 · likes Drama, Noir"
    assert "age" not in search.describe(rows[1])


def test_a_title_that_looks_like_a_formula_is_not_one_in_a_spreadsheet() -> None:
    rows = [{"title": "=1+1", "score": -1.5, "items": ("a",)}, {"title": "Alien", "score": None, "items": ()}]
    assert export.as_csv(rows) == 'title,score,items\n\'=1+1,-1.5,"[""a""]"\nAlien,,[]\n'
    assert export.as_csv([]) == "\n"
