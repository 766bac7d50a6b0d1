"""MovieLens 1M, original or assembled."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from recx.core.recipe import param
from recx.data import _files
from recx.data._build import build, films
from recx.data._rows import Dropped, clean, read_rows, require, whole_rows
from recx.data.interactions import Interactions

NAME = "ml-1m"
ORIGINAL = ("movies.dat", "users.dat", "ratings.dat")
ASSEMBLED = ("movies.dat", "users.dat", "interactions.csv.gz")
LAST_WITH_TIME = 2999
AGES = {"1": "under 18", "18": "18-24", "25": "25-34", "35": "35-44", "45": "45-49", "50": "50-55", "56": "56+"}
OCCUPATIONS = (
    "other|academic/educator|artist|clerical/admin|college/grad student|customer service|doctor/health care|"
    "executive/managerial|farmer|homemaker|K-12 student|lawyer|programmer|retired|sales/marketing|scientist|"
    "self-employed|technician/engineer|tradesman/craftsman|unemployed|writer"
).split("|")


@dataclass(frozen=True)
class Ml1m:
    """MovieLens 1M (films, 2003).

    1,000,209 ratings from 1 to 5 by 6,040 people on 3,706 films, 2000 to 2003: from the original `ratings.dat` when it
    is there, else from `interactions.csv.gz`, which lacks 94 rows, 16,782 ratings (nan) and half of the times (-1).
    There, users up to 2999 are ordered by time, the others by `position`; their 198 events without a position (on
    films rated fewer than 5 times) come first, so that none becomes a held-out target. Ratings of one person in the
    same second keep the order of the file, as `position` does.
    """

    known_times: bool = param(False, "Only users 1 to 2999, whose times are all known (needed by clock-time splits).")
    verb: ClassVar[str] = "watched"
    paper: ClassVar[str] = "Harper & Konstan 2015, The MovieLens datasets"
    prepare: ClassVar[dict[str, Any]] = {"rating_above": 3.5, "min_user": 5, "min_item": 1}
    how_to_get: ClassVar[str] = (
        "`python -m recx data add ml-1m` downloads it from GroupLens (6 MB; research use, no redistribution); "
        "or put movies.dat, users.dat and ratings.dat (or interactions.csv.gz) into a folder ml-1m of RECX_DATA."
    )
    layouts: ClassVar[tuple[tuple[str, ...], ...]] = (ORIGINAL, ASSEMBLED)
    url: ClassVar[str] = "https://files.grouplens.org/datasets/movielens/ml-1m.zip"
    md5: ClassVar[str] = "c4d9eecfca2ab87c1945afe126590906"

    def files(self) -> list[Path]:
        """The files read: the original ones first. Raises BadInput when they are nowhere on the search path."""
        return _files.find(NAME, *self.layouts)

    def load(self) -> Interactions:
        """The events. Raises BadInput when a file is absent or damaged."""
        return self.read(self.files())

    def read(self, files: list[Path]) -> Interactions:
        """The events in given files, in the order of `files`."""
        movies, users, ratings = files
        read = _original if ratings.name == "ratings.dat" else _assembled
        events, dropped = read(ratings)
        if self.known_times:
            events = events[pd.to_numeric(events["user"], errors="coerce") <= LAST_WITH_TIME]
        return build(NAME, events, items=_items(movies), users=_users(users), dropped=dropped)


def _original(path: Path) -> tuple[pd.DataFrame, Dropped]:
    rows, dropped = read_rows(path, ("user", "item", "rating", "time"), separator="::")
    return clean(rows, dropped)


def _assembled(path: Path) -> tuple[pd.DataFrame, Dropped]:
    """Events whose empty ratings and times are known to be unknown: nan and -1, not bad rows."""
    rows, dropped = read_rows(path, None, separator=",")
    require(rows, ("user_id", "movie_id", "rating", "timestamp", "position"), path)
    events, dropped = clean(rows.rename(columns={"user_id": "user", "movie_id": "item", "rating": "stars"}), dropped)
    seconds = pd.to_numeric(events["timestamp"], errors="coerce").fillna(-1).astype("int64")
    timed = (seconds >= 0).groupby(events["user"]).transform("all")
    position = pd.to_numeric(events["position"], errors="coerce").fillna(0).astype("int64")
    rating = pd.to_numeric(events["stars"], errors="coerce").astype("float32")
    events = events[["user", "item"]].assign(rating=rating, time=seconds, order=seconds.where(timed, position))
    return events, dropped


def _items(path: Path) -> pd.DataFrame:
    rows = whole_rows(path, ("id", "title", "genres"), separator="::", encoding="latin-1")
    return films(rows["id"], rows["title"].fillna(""), rows["genres"])


def _users(path: Path) -> pd.DataFrame:
    """People with `age` (a range of years), `gender`, `occupation`."""
    rows = whole_rows(path, ("id", "gender", "age", "occupation", "zip"), separator="::")
    names = {str(code): name for code, name in enumerate(OCCUPATIONS)}
    age, work = rows["age"].map(AGES).astype("str"), rows["occupation"].map(names).astype("str")
    return rows[["id"]].assign(age=age, gender=rows["gender"], occupation=work)
