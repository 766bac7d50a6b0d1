"""Histories and targets cut out of ordered events, without a loop over users or events."""

from __future__ import annotations

import numpy as np

from recx.core.errors import BadInput
from recx.data.interactions import Heldout, Interactions, Split, windows


def picked(data: Interactions, rows: np.ndarray, users: np.ndarray) -> np.ndarray:
    """int64[B, L]: for each of `users` (codes), the items of its events at `rows` (bool[N]), in order, padded."""
    return windows(data.item[rows], *_bounds(data, rows, users))


def ratings(data: Interactions, rows: np.ndarray, users: np.ndarray) -> np.ndarray | None:
    """float32[B, L]: the ratings of the same events in the same places, NaN where there is none; None without any."""
    if data.rating is None:
        return None
    return windows(data.rating[rows], *_bounds(data, rows, users), fill=np.nan, dtype=np.float32)


def _bounds(data: Interactions, rows: np.ndarray, users: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    before = np.concatenate([[0], np.cumsum(rows)])
    return before[data.offsets[users]], before[data.offsets[users + 1]]


def cases(data: Interactions, history: np.ndarray, target: np.ndarray, train: np.ndarray) -> Heldout:
    """One case per user who has events among each of `history`, `target` and `train` (bool[N], rows of the data).

    A user without a training event is no case: a model that keeps a vector per user has learnt none for them.
    """
    users = np.flatnonzero(np.all([per_user(data, rows) > 0 for rows in (history, target, train)], axis=0))
    return Heldout(
        users, picked(data, history, users), picked(data, target, users), ratings=ratings(data, target, users)
    )


def per_user(data: Interactions, rows: np.ndarray) -> np.ndarray:
    """int64[n_users]: how many of the events at `rows` (bool[N]) each user has."""
    return np.bincount(data.user[rows], minlength=data.n_users)


def from_end(data: Interactions) -> np.ndarray:
    """int64[N]: 1 for a user's last event, 2 for the one before, and so on."""
    return data.offsets[data.user + 1] - np.arange(len(data))


def checked(data: Interactions, split: Split, cure: str) -> Split:
    """The split itself. Raises BadInput when it has nothing to learn from, to select on, or to judge by."""
    sizes = {"training events": len(split.train), "validation users": len(split.valid), "test users": len(split.test)}
    for part, size in sizes.items():
        if size == 0:
            raise BadInput(f"{data.name} is too small for this split (no {part} left): {cure}.")
    return split
