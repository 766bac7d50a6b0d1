"""MovieLens 100K, the original GroupLens files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from recx.data import _files
from recx.data._build import build, films
from recx.data._rows import clean, read_rows, whole_rows
from recx.data.interactions import Interactions

NAME = "ml-100k"
FILES = ("u.data", "u.item", "u.user", "u.genre")


@dataclass(frozen=True)
class Ml100k:
    """MovieLens 100K (films, 1998).

    100,000 ratings from 1 to 5 by 943 people on 1,682 films, 1997 to 1998. Ratings of one person in the same second
    (three quarters of all) keep the order of `u.data`, which is random.
    """

    verb: ClassVar[str] = "watched"
    paper: ClassVar[str] = "Harper & Konstan 2015, The MovieLens datasets"
    prepare: ClassVar[dict[str, Any]] = {"rating_above": 3.5, "min_user": 5, "min_item": 1}
    how_to_get: ClassVar[str] = (
        "`python -m recx data add ml-100k` downloads it from GroupLens (5 MB; research use, no redistribution); "
        "or put u.data, u.item, u.user and u.genre into a folder ml-100k of RECX_DATA."
    )
    layouts: ClassVar[tuple[tuple[str, ...], ...]] = (FILES,)
    url: ClassVar[str] = "https://files.grouplens.org/datasets/movielens/ml-100k.zip"
    md5: ClassVar[str] = "0e33842e24a9c977be4e0107933c0723"

    def files(self) -> list[Path]:
        """The files read. Raises BadInput when they are nowhere on the search path."""
        return _files.find(NAME, *self.layouts)

    def load(self) -> Interactions:
        """The events as published. Raises BadInput when a file is absent or damaged."""
        return self.read(self.files())

    def read(self, files: list[Path]) -> Interactions:
        """The events in given files, in the order of `files`."""
        data, item, user, genre = files
        rows, dropped = read_rows(data, ("user", "item", "rating", "time"), separator="\t")
        events, dropped = clean(rows, dropped)
        return build(NAME, events, items=_items(item, genre), users=_users(user), dropped=dropped)


def _items(path: Path, genre_path: Path) -> pd.DataFrame:
    """Films with the names of their genres, out of 19 columns of 0 and 1."""
    genres = whole_rows(genre_path, ("name", "number"), separator="|")
    names = genres.dropna()["name"].to_numpy(object)
    columns = ("id", "title", "released", "video", "url", *names)
    rows = whole_rows(path, columns, separator="|", encoding="latin-1")
    flags = rows[list(names)].to_numpy(object) == "1"
    return films(rows["id"], rows["title"].fillna(""), pd.Series(joined(flags, names)))


def joined(flags: np.ndarray, names: np.ndarray) -> list[str]:
    """The names at each row of flags (bool[N, G]) with "|" between; "unknown" is no genre."""
    return ["|".join(name for name in names[row] if name != "unknown") for row in flags]


def _users(path: Path) -> pd.DataFrame:
    """People with `age` (years), `gender`, `occupation`."""
    rows = whole_rows(path, ("id", "age", "gender", "occupation", "zip"), separator="|")
    return rows[["id", "age", "gender", "occupation"]].assign(
        age=pd.to_numeric(rows["age"], errors="coerce").astype("Int64")
    )
