"""The one data object: who did what, when, and what the things are called."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from recx.core.errors import BadInput, unknown

PAD = -1
"""The code that fills the left of a history shorter than its row."""


@dataclass(frozen=True, eq=False)
class Interactions:
    """Events (user, item, rating, time) with the tables of users and items; integer-coded, frozen.

    `user`, `item`: int32[N], codes that are row numbers of `users` and `items`. Events are ordered by user, then time,
    then the order of the source file: that order is the order of a history, ties included.
    `rating`: float32[N] or None. `time`: int64[N] seconds since 1970 UTC (-1 where unknown), or None.
    `users`: DataFrame with column `id` (str). `items`: DataFrame with `id` (str), `title` (str), `year` (Int64, may be
    missing), `genres` (str, "|" between). `dropped`: rows left out, per reason.
    `extra`: further int32[N] event columns by name (`exposed_by`, `accepted`; `cause`: the row number of the earlier
    event that caused this one in generated data, -1 for none).
    """

    name: str
    user: np.ndarray
    item: np.ndarray
    users: pd.DataFrame
    items: pd.DataFrame
    rating: np.ndarray | None = None
    time: np.ndarray | None = None
    dropped: dict[str, int] = field(default_factory=dict)
    extra: dict[str, np.ndarray] = field(default_factory=dict)
    ordered: bool = True

    def __post_init__(self) -> None:
        for array in (self.user, self.item, self.rating, self.time, *self.extra.values()):
            if array is not None:
                array.setflags(write=False)

    def __len__(self) -> int:
        return len(self.user)

    @property
    def n_users(self) -> int:
        return len(self.users)

    @property
    def n_items(self) -> int:
        return len(self.items)

    @cached_property
    def offsets(self) -> np.ndarray:
        """int64[n_users + 1]: the events of user u are rows offsets[u] to offsets[u + 1]."""
        return np.concatenate([[0], np.cumsum(np.bincount(self.user, minlength=self.n_users))])

    @cached_property
    def popularity(self) -> np.ndarray:
        """int64[n_items]: the number of events of each item."""
        return np.bincount(self.item, minlength=self.n_items)

    @cached_property
    def item_rows(self) -> list[dict[str, Any]]:
        """What tables show of each item: item (id), title, year (or None), genres, popularity."""
        empty = pd.Series([None] * self.n_items, dtype=object)
        years = self.items.get("year", empty).astype(object)
        genres = self.items.get("genres", empty).fillna("")
        columns = zip(self.items["id"], self.items["title"], years, genres, self.popularity.tolist(), strict=True)
        return [
            {"item": i, "title": t, "year": None if pd.isna(y) else int(y), "genres": str(g), "popularity": n}
            for i, t, y, g, n in columns
        ]

    @cached_property
    def fingerprint(self) -> str:
        """Sha256 (16 hex digits) of the events and of the ids of users and items."""
        digest = hashlib.sha256()
        for array in (self.user, self.item, self.rating, self.time, *(self.extra[k] for k in sorted(self.extra))):
            digest.update(b"none" if array is None else np.ascontiguousarray(array).tobytes())
        for ids in (self.users["id"], self.items["id"]):
            digest.update("\x00".join(ids).encode())
        return digest.hexdigest()[:16]

    @cached_property
    def _user_code(self) -> dict[str, int]:
        return {name: code for code, name in enumerate(self.users["id"])}

    @cached_property
    def _item_code(self) -> dict[str, int]:
        return {name: code for code, name in enumerate(self.items["id"])}

    def user_code(self, name: str) -> int:
        """The code of a user by the data set's own id. Raises BadInput."""
        if str(name) not in self._user_code:
            raise unknown("user", name, self._user_code, f" in {self.name} ({self.n_users:,} users)")
        return self._user_code[str(name)]

    def item_code(self, name: str) -> int:
        """The code of an item by the data set's own id. Raises BadInput."""
        if str(name) not in self._item_code:
            raise unknown("item", name, self._item_code, f" in {self.name} ({self.n_items:,} items)")
        return self._item_code[str(name)]

    def history(self, user: int) -> np.ndarray:
        """int32[n]: the items of one user, oldest first."""
        return self.item[self.offsets[user] : self.offsets[user + 1]]

    def histories(self, users: np.ndarray) -> np.ndarray:
        """int64[B, L]: the histories of users, oldest first, right-aligned, filled with PAD on the left."""
        users = np.asarray(users, np.int64)
        return windows(self.item, self.offsets[users], self.offsets[users + 1])

    def keep(self, rows: np.ndarray) -> Interactions:
        """The same users and items with the events at `rows` only (bool[N] or sorted row numbers)."""
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows
        extra = {name: column[rows] for name, column in self.extra.items()}
        if "cause" in extra:
            new_row = np.full(len(self) + 1, -1, np.int32)
            new_row[rows] = np.arange(len(rows))
            extra["cause"] = new_row[extra["cause"]]
        pick = lambda column: None if column is None else column[rows]  # noqa: E731
        return dataclasses.replace(
            self,
            user=self.user[rows],
            item=self.item[rows],
            rating=pick(self.rating),
            time=pick(self.time),
            extra=extra,
        )


def pad(lists: list[np.ndarray]) -> np.ndarray:
    """int64[B, L]: ragged lists as one right-aligned array, PAD on the left; L is at least 1."""
    stop = np.cumsum([len(one) for one in lists], dtype=np.int64)
    values = np.concatenate(lists) if lists else np.empty(0, np.int64)
    return windows(values, np.concatenate([[0], stop[:-1]]).astype(np.int64)[: len(lists)], stop)


def windows(
    values: np.ndarray, start: np.ndarray, stop: np.ndarray, fill: float = PAD, dtype: type = np.int64
) -> np.ndarray:
    """dtype[B, L]: `values[start[b]:stop[b]]` as rows, right-aligned, `fill` on the left; L is at least 1."""
    length = stop - start
    width = max(int(length.max(initial=0)), 1)
    out: np.ndarray = np.full((len(length), width), fill, dtype)
    row = np.repeat(np.arange(len(length)), length)
    within = np.arange(len(row)) - np.repeat(np.cumsum(length) - length, length)
    out[row, width - length[row] + within] = values[start[row] + within]
    return out


@dataclass(frozen=True, eq=False)
class Heldout:
    """Cases a model is asked about: `users` int64[B], `histories` int64[B, L] (padded), `targets` int64[B, T] (padded).

    `users` are codes of the data. `known` says whether the training part holds events of them; a model is given their
    codes only then (`model_users`). `ratings` float32[B, T], NaN-padded, are those of the targets, where the data has
    any.
    """

    users: np.ndarray
    histories: np.ndarray
    targets: np.ndarray
    known: bool = True
    ratings: np.ndarray | None = None

    @property
    def model_users(self) -> np.ndarray:
        """int64[B]: the codes a model may look up, -1 for people it has never seen."""
        return self.users if self.known else np.full_like(self.users, -1)

    def __len__(self) -> int:
        return len(self.users)


@dataclass(frozen=True, eq=False)
class Split:
    """What a model may learn from, is selected on, and is judged by. All three share one coding of users and items.

    `train` keeps all users and items of the data, so codes stay valid; users held out entirely have no event in it.
    """

    train: Interactions
    valid: Heldout
    test: Heldout


def prepare(data: Interactions, *, rating_above: float | None, min_user: int, min_item: int) -> Interactions:
    """Events rated above a threshold, then items, then users with enough of them; users and items coded anew.

    Each threshold is applied once, in that order (as `vae_cf` and LCER do). Raises BadInput when nothing is left.
    """
    rows = np.ones(len(data), bool)
    if rating_above is not None:
        if data.rating is None:
            raise BadInput(f"{data.name} has no ratings: leave rating_above empty.")
        rows &= np.nan_to_num(data.rating, nan=-np.inf) > rating_above
    if min_item > 1:
        rows &= (np.bincount(data.item[rows], minlength=data.n_items) >= min_item)[data.item]
    if min_user > 1:
        rows &= (np.bincount(data.user[rows], minlength=data.n_users) >= min_user)[data.user]
    if not rows.any():
        raise BadInput(f"no event of {data.name} passes the thresholds: lower rating_above, min_user or min_item.")
    return _recode(data.keep(rows))


def _recode(data: Interactions) -> Interactions:
    """Codes without the users and items that have no event left."""
    users, user = np.unique(data.user, return_inverse=True)
    items, item = np.unique(data.item, return_inverse=True)
    return dataclasses.replace(
        data,
        user=user.astype(np.int32),
        item=item.astype(np.int32),
        users=data.users.iloc[users].reset_index(drop=True),
        items=data.items.iloc[items].reset_index(drop=True),
    )
