"""Whom a question is about: a user of the data, or somebody who named some titles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recx.core.errors import BadInput
from recx.recipes._recipe import Get
from recx.recipes.fit import Fit

if TYPE_CHECKING:
    import numpy as np

    from recx.data.interactions import Interactions, Split
    from recx.worlds.edited import EditedWorld


@dataclass(frozen=True)
class Person:
    """A user by the data set's own id, or a new one by a history of item ids, oldest first.

    `without`: items of the history that are switched off (a what-if).
    """

    user: str | None = None
    history: tuple[str, ...] | None = None
    without: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.user is None) == (self.history is None):
            raise BadInput("a person is either a user of the data or a list of titles: give one of the two.")


@dataclass(frozen=True, eq=False)
class Case:
    """People resolved against a data set: codes int64, histories padded int64[B, L], `kept` bool[B, L], held-out codes.

    `rows` int64[B, L]: the event of each column in the data (-1 for new people and padding).
    """

    users: np.ndarray
    histories: np.ndarray
    kept: np.ndarray
    rows: np.ndarray
    held_out: list[np.ndarray]


def resolve(fit: Fit, people: tuple[Person, ...], get: Get) -> Case:
    """Histories as the model sees them at test time: everything but what the split holds out.

    A user whom the split keeps out of training is shown with the history that the split gives as input.
    Raises BadInput for unknown users and items, repeated titles, and items to switch off that are not in the history.
    """
    import numpy as np

    from recx.data.interactions import PAD, pad

    data, split = get(fit.data), get(fit.split_data)
    users, histories, rows, held_out = [], [], [], []
    history: Any
    for person in people:
        if person.user is None:
            history = _typed_history(data, person.history or ())
            users.append(-1)
            rows.append(np.full(len(history), -1))
            held_out.append(np.empty(0, np.int64))
        else:
            code = data.user_code(person.user)
            model_user, history, held = _seen_at_test(split, data, code)
            users.append(model_user)
            rows.append(_event_rows(data, code, history))
            held_out.append(held)
        histories.append(np.asarray(history, np.int64))
    padded, event_rows = pad(histories), pad(rows)
    kept = padded != PAD
    for b, person in enumerate(people):
        codes = [data.item_code(item) for item in person.without]
        missing = [item for item, code in zip(person.without, codes, strict=True) if code not in histories[b]]
        if missing:
            raise BadInput(f"item {missing[0]!r} is not in the history, so it cannot be switched off.")
        kept[b] &= ~np.isin(padded[b], codes)
    return Case(np.asarray(users, np.int64), padded, kept, event_rows, held_out)


def world_of(fit: Fit, case: Case, get: Get) -> EditedWorld:
    """The edited-history world of resolved people."""
    import torch

    from recx.worlds.edited import EditedWorld

    train = get(fit.split_data).train
    return EditedWorld(get(fit), torch.as_tensor(case.histories), torch.as_tensor(case.users), population=train)


def item_row(data: Interactions, code: int) -> dict[str, Any]:
    """What tables show of an item: item (id), title, year (or None), genres, popularity (events in the data)."""
    return dict(data.item_rows[code])


def _typed_history(data: Interactions, items: tuple[str, ...]) -> list[int]:
    codes = [data.item_code(item) for item in items]
    if len(set(codes)) < len(codes):
        raise BadInput("a title is named twice: name each once.")
    return codes


def _seen_at_test(split: Split, data: Interactions, code: int) -> tuple[int, np.ndarray, np.ndarray]:
    """A user's code as the model may look it up (-1: nothing learnt of them), history, and held-out items."""
    import numpy as np

    for part in (split.test,) if split.valid.known else (split.test, split.valid):
        for row in np.flatnonzero(part.users == code):
            history, targets = part.histories[row], part.targets[row]
            return int(part.model_users[row]), history[history >= 0], targets[targets >= 0]
    return code, data.history(code), data.item[:0]


def _event_rows(data: Interactions, code: int, history: Any) -> Any:
    """The row in the data of each history item of a user (the first, where an item repeats)."""
    import numpy as np

    start = int(data.offsets[code])
    first: dict[int, int] = {}
    for offset, item in enumerate(data.history(code)):
        first.setdefault(int(item), start + offset)
    return np.asarray([first.get(int(item), -1) for item in history], np.int64)
