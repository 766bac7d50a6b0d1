"""From rows of a file to `Interactions`: checks counted per reason, codes, and the one order of events."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from recx.core.errors import BadInput
from recx.data.interactions import Interactions

FIRST_SECOND, LAST_SECOND = 0, 4102444800
"""1970-01-01 and 2100-01-01 UTC: an event outside is an absurd date."""


def build(
    name: str,
    events: pd.DataFrame,
    *,
    items: pd.DataFrame | None = None,
    users: pd.DataFrame | None = None,
    dropped: dict[str, int] | None = None,
    repeats: bool = False,
) -> Interactions:
    """Interactions from clean rows: codes by id, order by user, time, then row; later repeats of a pair dropped.

    `events`: columns `user`, `item` (str), optionally `rating` (float), `time` (int seconds, -1 unknown) and `order`
    (int, which then takes the place of time in the order). `items`, `users`: what is known of them, with a column
    `id`. `repeats`: keep a pair that occurs again. Raises BadInput when no row is left.
    """
    if events.empty:
        raise BadInput(f"{name} has no usable row{_reasons(dropped)}: check the file and the column names.")
    user_ids, user = coded(events["user"])
    item_ids, item = coded(events["item"])
    time = events["time"].to_numpy(np.int64) if "time" in events else None
    row = np.arange(len(events))
    order = np.lexsort((row, events["order"].to_numpy() if "order" in events else row if time is None else time, user))
    order, again = (order, 0) if repeats else _first_of_pair(order, user, item, len(item_ids))
    rating = events["rating"].to_numpy(np.float32)[order] if "rating" in events else None
    return Interactions(
        name,
        user[order].astype(np.int32),
        item[order].astype(np.int32),
        _table(user_ids, users),
        _with_titles(_table(item_ids, items)),
        rating=rating,
        time=None if time is None else time[order],
        dropped=(dropped or {}) | ({"repeated user and item (the earliest is kept)": again} if again else {}),
    )


def coded(ids: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """The distinct ids, numbers in numeric order before other text in alphabetic order, and the code of each row."""
    code, found = pd.factorize(ids)
    text = [str(one) for one in found]
    rank = sorted(range(len(text)), key=lambda i: _id_order(text[i]))
    place = np.empty(len(rank), np.int64)
    place[rank] = np.arange(len(rank))
    return np.array(text, dtype=object)[rank], place[code]


def _id_order(text: str) -> tuple[int, int, str]:
    plain = text.isascii() and text.isdigit() and len(text) < 1000
    return (0, int(text), text) if plain else (1, 0, text)


def _first_of_pair(order: np.ndarray, user: np.ndarray, item: np.ndarray, n_items: int) -> tuple[np.ndarray, int]:
    """The order without later rows of a (user, item) pair, and how many those are."""
    pair = user[order].astype(np.int64) * n_items + item[order]
    again = pd.Series(pair).duplicated().to_numpy()
    return order[~again], int(again.sum())


def _table(ids: np.ndarray, known: pd.DataFrame | None) -> pd.DataFrame:
    """One row per id in the order given, with what the table knows of it (the first row of an id counts)."""
    table = pd.DataFrame({"id": pd.Series(ids, dtype="str")})
    if known is None:
        return table
    known = known.assign(id=known["id"].astype("str")).drop_duplicates("id")
    return table.merge(known, on="id", how="left", sort=False)


def _with_titles(items: pd.DataFrame) -> pd.DataFrame:
    """Columns `title`, `year`, `genres` present and of their type; an item without a title is called by its id."""
    title = items["title"] if "title" in items else pd.Series(pd.NA, index=items.index, dtype="str")
    title = title.astype("str").str.strip()
    year = items["year"] if "year" in items else pd.Series(pd.NA, index=items.index)
    genres = items["genres"] if "genres" in items else pd.Series("", index=items.index)
    return items.assign(
        title=title.where(title.notna() & (title != ""), items["id"]).astype("str"),
        year=pd.to_numeric(year, errors="coerce").round().astype("Int64"),
        genres=genres.fillna("").astype("str"),
    )


_YEAR = re.compile(r"^(.*?)\s*\((\d{4})(?:[-\u2013]\s*\d{0,4})?\)(?: \(V\))?$")
_ARTICLES = "The|A|An|Le|La|Les|L'|Il|El|Los|Las|Der|Die|Das|Det|Un|Une|Lo|O|Os"
_OUTER = re.compile(rf"^([^()]*?), ({_ARTICLES})(?=$| \()")
_INNER = re.compile(rf"\(([^()]*), ({_ARTICLES})\)")


def film_title(raw: str) -> tuple[str, int | None]:
    """A MovieLens title as people say it, and its year: "Matrix, The (1999)" gives "The Matrix", 1999."""
    found = _YEAR.match(raw.strip())
    name, year = (found[1], int(found[2])) if found else (raw.strip(), None)
    name = _OUTER.sub(lambda m: _with_article(m[2], m[1]), name)
    return _INNER.sub(lambda m: f"({_with_article(m[2], m[1])})", name), year


def _with_article(article: str, name: str) -> str:
    return article + ("" if article.endswith("'") else " ") + name


def films(ids: pd.Series, titles: pd.Series, genres: pd.Series) -> pd.DataFrame:
    """The item table of a MovieLens set: `id`, `title`, `year`, `genres` from raw titles."""
    names = [film_title(raw) for raw in titles]
    return pd.DataFrame(
        {
            "id": ids,
            "title": [name for name, _ in names],
            "year": pd.array([year for _, year in names], dtype="Int64"),
            "genres": genres,
        }
    )


def _reasons(dropped: dict[str, int] | None) -> str:
    shown = ", ".join(f"{n:,} {reason}" for reason, n in (dropped or {}).items())
    return f" (left out: {shown})" if shown else ""
