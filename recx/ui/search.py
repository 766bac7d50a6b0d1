"""Searching users and items: runs here on the server, over columns, and gives a few rows.

A table is a mapping column -> values, so that the app process needs no pandas.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from recx.ui import text

MOST = 8
"""Matches shown at a time."""
Table = Mapping[str, Sequence[Any]]
Row = dict[str, Any]


def rows(table: Table, places: Iterable[int]) -> list[Row]:
    """Some rows of a table as dicts."""
    return [{name: column[place] for name, column in table.items()} for place in places]


def row_of(table: Table, column: str, value: str) -> Row | None:
    """The first row that holds a value in a column."""
    values = list(table[column])
    return rows(table, [values.index(value)])[0] if value in values else None


def title_of(items: Table, item: str) -> str:
    """The title and year of an item; its id when it is not there. Not escaped."""
    row = row_of(items, "item", item)
    return text.named(row["title"], row["year"]) if row else item


def find_users(people: Table, words: str, most: int = MOST) -> list[Row]:
    """Users whose id begins with what was typed, the exact id first."""
    start, ids = words.strip().casefold(), people["user"]
    found = [place for place, user in enumerate(ids) if user.casefold().startswith(start)]
    return rows(people, sorted(found, key=lambda place: len(ids[place]))[:most])


def find_items(items: Table, words: str, most: int = MOST, without: Iterable[str] = ()) -> list[Row]:
    """Items whose title holds every typed word; popular ones first. An exact id counts too."""
    parts, own, left_out = words.casefold().split(), words.strip(), set(without)
    if not parts:
        return []
    found = [
        place
        for place, (item, title) in enumerate(zip(items["item"], items["title"], strict=True))
        if item not in left_out and (item == own or all(part in title.casefold() for part in parts))
    ]
    return rows(items, sorted(found, key=lambda place: -items["popularity"][place])[:most])


def describe(row: Mapping[str, Any]) -> str:
    """A user in one line: events, how popular their items are, traits, attributes."""
    known, nothing = ("user", "events", "popularity", "traits"), ("", "nan", "<NA>", "None", None)
    own = {name: value for name, value in row.items() if name not in known and value not in nothing}
    more = [f"{name} {str(value).replace('|', ', ')}" for name, value in own.items()]
    parts = [text.plural(row["events"], "event"), f"mean popularity {row['popularity']:.2f}", row["traits"], *more]
    return " · ".join(part for part in parts if part)
