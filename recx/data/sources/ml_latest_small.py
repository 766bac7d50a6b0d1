"""MovieLens latest-small, either edition."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from recx.data import _files
from recx.data._build import build, films
from recx.data._rows import clean, read_rows, require, whole_rows
from recx.data.interactions import Interactions

NAME = "ml-latest-small"
FILES = ("ratings.csv", "movies.csv")
NO_GENRES = "(no genres listed)"


@dataclass(frozen=True)
class MlLatestSmall:
    """MovieLens latest small (films, 2016 or 2018).

    About 100,000 ratings from 0.5 to 5 in halves. The 2016 edition has 671 people and 9,066 rated films, the one of
    2018, which GroupLens offers, 610 people: the fingerprint tells them apart. Ratings of one person in the same
    second keep the order of the file.
    """

    verb: ClassVar[str] = "watched"
    paper: ClassVar[str] = "Harper & Konstan 2015, The MovieLens datasets"
    prepare: ClassVar[dict[str, Any]] = {"rating_above": 3.5, "min_user": 5, "min_item": 1}
    how_to_get: ClassVar[str] = (
        "`python -m recx data add ml-latest-small` downloads it from GroupLens (1 MB; research use); "
        "or put ratings.csv and movies.csv into a folder ml-latest-small of RECX_DATA."
    )
    layouts: ClassVar[tuple[tuple[str, ...], ...]] = (FILES,)
    url: ClassVar[str] = "https://files.grouplens.org/datasets/movielens/ml-latest-small.zip"
    md5: ClassVar[str] = ""  # GroupLens replaces this archive now and then, so it has no fixed checksum

    def files(self) -> list[Path]:
        """The files read. Raises BadInput when they are nowhere on the search path."""
        return _files.find(NAME, *self.layouts)

    def load(self) -> Interactions:
        """The events as published. Raises BadInput when a file is absent or damaged."""
        return self.read(self.files())

    def read(self, files: list[Path]) -> Interactions:
        """The events in given files, in the order of `files`."""
        ratings, movies = files
        rows, dropped = read_rows(ratings, None, separator=",", quote='"')
        require(rows, ("userId", "movieId", "rating", "timestamp"), ratings)
        names = {"userId": "user", "movieId": "item", "timestamp": "time"}
        events, dropped = clean(rows.rename(columns=names), dropped)
        return build(NAME, events, items=_items(movies), dropped=dropped)


def _items(path: Path) -> pd.DataFrame:
    rows = whole_rows(path, None, separator=",", quote='"')
    require(rows, ("movieId", "title", "genres"), path)
    return films(rows["movieId"], rows["title"].fillna(""), rows["genres"].where(rows["genres"] != NO_GENRES))
