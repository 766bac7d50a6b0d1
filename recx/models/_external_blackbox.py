"""A model that can only be asked: histories in, scores or ranked lists out, checked, and each history asked once."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from recx.core import registered
from recx.core.errors import BadInput
from recx.data.interactions import PAD, Interactions
from recx.models._scorer import compact

CACHE_BYTES = 64 * 2**20
"""Scores that one scorer remembers; the histories asked for longest ago go."""


@dataclass(frozen=True, eq=False)
class Ids:
    """What a model of somebody else knows the data by: the data set's name and its own ids, in the order of codes."""

    dataset: str
    items: list[str]
    users: list[str]

    @classmethod
    def of(cls, data: Interactions) -> Ids:
        return cls(data.name, data.items["id"].tolist(), data.users["id"].tolist())

    def item_codes(self) -> dict[str, int]:
        """Code by id."""
        return {name: code for code, name in enumerate(self.items)}


@dataclass(frozen=True, eq=False)
class Answer:
    """Scores Float[B, n_items] on the CPU; `exact` is False when they are only minus the rank."""

    scores: torch.Tensor
    exact: bool


Ask = Callable[[torch.Tensor, torch.Tensor], Answer]
"""Histories Long[B, L] (on the CPU, PAD on the left only, a copy) and users Long[B] (-1 unknown) to an answer."""


class BlackBox:
    """Scores of a registered model. A history that was asked for before is not asked again.

    `entry`: its registration; `stamp`: of what it was when it was fitted; `exact_scores`: False for ranked lists.
    """

    edited_history: ClassVar[str] = "Your model is asked again with the edited history and the same user."

    def __init__(
        self, entry: registered.Registered, stamp: str, ids: Ids, ask: Ask, exact: bool, place: torch.device
    ) -> None:
        self.entry, self.stamp, self.ids, self.ask, self.exact_scores = entry, stamp, ids, ask, exact
        self.n_items, self.device = len(ids.items), place
        self.report: dict[str, Any] = {"converged": True, "external": entry.kind, "version": entry.about.version}
        self._known = _Remembered(max(1, CACHE_BYTES // (4 * max(1, self.n_items))))

    def score(
        self, histories: torch.Tensor, users: torch.Tensor | None = None, items: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Float[B, n_items or T]. Raises BadInput, naming the model, for an answer that cannot be used."""
        if not len(histories):
            return torch.empty(0, self.n_items if items is None else items.shape[1], device=self.device)
        packed = compact(histories).cpu()
        who = torch.full((len(packed),), -1) if users is None else users.cpu()
        keys = _keys(packed, who)
        found = {key: scores for key in set(keys) if (scores := self._known.get(key)) is not None}
        missing = {
            key: row for row, key in reversed(list(enumerate(keys))) if key not in found
        }  # the first row of each
        for part, answer in self._asked(packed, who, sorted(missing.values())):
            for row, scores in zip(part, answer, strict=True):
                found[keys[row]] = scores.clone()  # not a view, which would keep the whole batch
                self._known.put(keys[row], found[keys[row]])
        out = torch.stack([found[key] for key in keys]).to(self.device)
        return out if items is None else out.gather(1, items)

    def _asked(
        self, packed: torch.Tensor, who: torch.Tensor, rows: list[int]
    ) -> Iterator[tuple[list[int], torch.Tensor]]:
        """The scores of rows, batch by batch."""
        size = getattr(self.entry.model, "batch", len(rows) or 1)
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            width = max(1, int((packed[part] != PAD).sum(1).max()))
            answer = self.ask(packed[part, -width:], who[part])
            if answer.exact != self.exact_scores:
                kinds = ("scores", "a ranked list") if answer.exact else ("a ranked list", "scores")
                raise BadInput(
                    f"{called(self.entry)} answered with {kinds[0]}, and with {kinds[1]} when it was fitted: let it "
                    "always answer with one of the two."
                )
            yield part, answer.scores

    def tensors(self) -> dict[str, torch.Tensor]:
        """The size of the catalogue: nothing else of the model is here, and a tensor says which device is meant."""
        return {"n_items": torch.tensor([self.n_items], device=self.device)}

    def settings(self) -> dict[str, Any]:
        """Where it lies stays in the settings file: only its name is written."""
        own = {"name": self.entry.name, "stamp": self.stamp, "exact": self.exact_scores}
        return own | {"dataset": self.ids.dataset, "items": self.ids.items, "users": self.ids.users}

    @classmethod
    def from_tensors(cls, tensors: dict[str, torch.Tensor], settings: dict[str, Any]) -> BlackBox:
        """Raises BadInput when the model is no longer registered as it was."""
        entry = registered.find(settings["name"])
        if registered.stamp(entry.name) != settings["stamp"]:
            raise BadInput(f"the model {entry.name!r} was changed since it was fitted: ask again.")
        ids = Ids(settings["dataset"], settings["items"], settings["users"])
        return cls(entry, settings["stamp"], ids, asker(entry, ids), settings["exact"], tensors["n_items"].device)


def black_box(entry: registered.Registered, data: Interactions, place: torch.device) -> BlackBox:
    """The scorer of a function or an endpoint, which is asked twice first: one history of the data, and the empty one.

    Raises BadInput when it cannot answer.
    """
    ids, stamp = Ids.of(data), registered.stamp(entry.name)
    ask = asker(entry, ids)
    user = int(data.user[0])
    probe = torch.as_tensor(data.histories(np.asarray([user])))
    found = BlackBox(entry, stamp, ids, ask, ask(probe, torch.tensor([user])).exact, place)
    try:
        found.score(torch.full((1, 1), PAD))
    except BadInput as error:
        raise BadInput(f"an empty history of somebody unknown must have an answer too; {error}") from None
    return found


def asker(entry: registered.Registered, ids: Ids) -> Ask:
    """How a registered model is asked."""
    if isinstance(entry.model, registered.HttpModel):
        from recx.models._external_http import endpoint

        return endpoint(entry, ids)
    from recx.models._external_python import function

    return function(entry, ids)


def called(entry: registered.Registered) -> str:
    """A model as sentences name it: its name, and the function or address (without what stands after a ?)."""
    what = getattr(entry.model, entry.kind)
    return f"{entry.name} ({what.partition('?')[0]})"


# -- checking what came


def scores_of(who: str, raw: Any, rows: int, ids: Ids) -> torch.Tensor:
    """Float[rows, n_items] of numbers in any form. Raises BadInput for another shape and for what is not finite."""
    wanted = (rows, len(ids.items))
    try:
        with torch.no_grad():
            tensor = raw.detach().cpu() if isinstance(raw, torch.Tensor) else torch.as_tensor(_numbers(raw))
    except (ValueError, TypeError, RuntimeError):
        raise BadInput(f"{who} gave {_unequal(raw, wanted[1])}: return {_shape(wanted, ids)}.") from None
    if tuple(tensor.shape) != wanted:
        raise BadInput(f"{who} gave scores of shape {list(tensor.shape)}: return {_shape(wanted, ids)}.")
    if tensor.is_complex() or tensor.dtype == torch.bool:
        raise BadInput(f"{who} gave scores of type {tensor.dtype}: return real numbers.")
    tensor = tensor.to(torch.float32)
    if bad := int((~tensor.isfinite()).sum()):
        raise BadInput(
            f"{who} gave {bad:,} scores that are not finite (NaN or infinite): return a number for every item, also "
            "for those in the history, which recx leaves out by itself."
        )
    return tensor


def _numbers(raw: Any) -> np.ndarray:
    found = np.asarray(raw)
    return found if found.dtype.kind in "fiub" else np.asarray(raw, dtype=np.float64)


def _shape(wanted: tuple[int, int], ids: Ids) -> str:
    many = "1 history" if wanted[0] == 1 else f"{wanted[0]:,} histories"
    return f"[{wanted[0]}, {wanted[1]}], for {many} one number per item of {ids.dataset}"


def _unequal(raw: Any, width: int) -> str:
    """What is wrong with rows that make no table."""
    lengths = [len(row) if isinstance(row, Sequence) and not isinstance(row, str) else -1 for row in _rows(raw)]
    other = next((row for row, n in enumerate(lengths) if n != width), None)
    if other is None:
        return "scores that are not all numbers"
    return f"{'no list' if lengths[other] < 0 else f'{lengths[other]:,} scores'} in row {other}"


def _rows(raw: Any) -> Iterable[Any]:
    return raw if isinstance(raw, (list, tuple)) else ()


def ranked_scores(who: str, raw: Any, rows: int, ids: Ids, codes: dict[str, int]) -> torch.Tensor:
    """Float[rows, n_items]: minus the rank; items that a list leaves out stand together behind its last.

    A list names ids (text) or, from a function, codes (whole numbers; from an endpoint they are ids too: `codes` then
    holds no numbers). Raises BadInput for unknown or repeated items.
    """
    whole = raw.tolist() if hasattr(raw, "tolist") else raw
    lists = [row.tolist() if hasattr(row, "tolist") else row for row in _rows(whole)]
    lists = [row for row in lists if isinstance(row, (list, tuple))]
    if len(lists) != rows:
        many = f"{len(lists):,} ranked lists" if lists else "no ranked list"
        raise BadInput(f"{who} gave {many} for {rows:,} histories: return one list of items for each.")
    out = torch.empty(rows, len(ids.items))
    for row, own in enumerate(lists):
        places = _places(who, own, ids, codes)
        out[row] = -(len(places) + 1)
        out[row, places] = -torch.arange(1, len(places) + 1, dtype=torch.float32)
    return out


def _places(who: str, own: Sequence[Any], ids: Ids, codes: dict[str, int]) -> torch.Tensor:
    """Long[n]: the codes of a ranked list."""
    found = [_code(one, ids, codes) for one in own]
    unknown = [one for one, code in zip(own, found, strict=True) if code is None]
    if unknown:
        raise BadInput(
            f"{who} ranked {len(unknown):,} items that {ids.dataset} does not have, among them "
            f"{str(unknown[0])[:40]!r}: rank only the items that are asked for."
        )
    if len(set(found)) < len(found):
        raise BadInput(f"{who} ranked an item twice in one list: name each once.")
    return torch.tensor(found, dtype=torch.long)


def _code(one: Any, ids: Ids, codes: dict[str, int]) -> int | None:
    if isinstance(one, str):
        return codes.get(one)
    whole = isinstance(one, (int, np.integer)) and not isinstance(one, bool)
    return int(one) if whole and 0 <= one < len(ids.items) else None


# -- remembering


def _keys(packed: torch.Tensor, who: torch.Tensor) -> list[tuple[int, bytes]]:
    """(user, the bytes of the history without padding) of each row."""
    rows, lengths = packed.numpy(), (packed != PAD).sum(1).tolist()
    return [(user, row[len(row) - n :].tobytes()) for user, row, n in zip(who.tolist(), rows, lengths, strict=True)]


class _Remembered:
    """A bounded table (user, history) -> scores, safe between threads; what was used longest ago goes first."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._held: OrderedDict[tuple[int, bytes], torch.Tensor] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._held)

    def get(self, key: tuple[int, bytes]) -> torch.Tensor | None:
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
            return self._held.get(key)

    def put(self, key: tuple[int, bytes], scores: torch.Tensor) -> None:
        with self._lock:
            self._held[key] = scores
            while len(self._held) > self.most:
                self._held.popitem(last=False)
