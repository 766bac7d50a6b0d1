"""Registered matrices: embeddings of items (and users), or weights between items, in the order of the data."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from recx.core import registered
from recx.core.errors import BadInput
from recx.data.interactions import PAD, Interactions
from recx.models.ease import ItemWeights

MOST_ITEMS = 20_000
"""Weights between items are held whole: 1.6 GB at this size."""


class ItemVectors:
    """Scores of a history: the mean of its items' vectors times each item's vector; `vectors` Float[n_items, d]."""

    exact_scores: ClassVar[bool] = True
    edited_history: ClassVar[str] = "A person is the mean of the history items' vectors: an edit changes that mean."

    def __init__(self, vectors: torch.Tensor) -> None:
        self.vectors, self.n_items, self.device = vectors, len(vectors), vectors.device
        self.report: dict[str, Any] = {"converged": True}

    def score(
        self, histories: torch.Tensor, users: torch.Tensor | None = None, items: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Float[B, n_items or T]; 0 for an empty history."""
        return dot(mean_vectors(self.vectors, histories), self.vectors, items)

    def soft_score(self, histories: torch.Tensor, keep: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Float[B, S] of targets Long[B, S] under soft edits keep Float[B, S, L].

        Below a total weight of 1 the mean shrinks towards the empty history's 0, so the score has no jump there.
        """
        kept = keep * (histories != PAD)[:, None, :]
        products = self.vectors[histories.clamp_min(0)] @ self.vectors[targets].transpose(1, 2)
        return (kept * products.transpose(1, 2)).sum(2) / kept.sum(2).clamp_min(1.0)

    def item_vectors(self) -> torch.Tensor:
        """Float[n_items, d]."""
        return self.vectors

    def tensors(self) -> dict[str, torch.Tensor]:
        return {"vectors": self.vectors}

    def settings(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_tensors(cls, tensors: dict[str, torch.Tensor], settings: dict[str, Any]) -> ItemVectors:
        return cls(tensors["vectors"])


class PersonVectors:
    """Scores by a user's own vector, for users who have one; for others as `ItemVectors`.

    `people` Float[n_users, d]; `own` Bool[n_users]: who has a row. It has no `soft_score`: the score of a user with a
    vector does not depend on the history.
    """

    exact_scores: ClassVar[bool] = True
    edited_history: ClassVar[str] = (
        "A user with a vector keeps it, so no edit changes a score; of others the mean of their items' vectors changes."
    )

    def __init__(self, vectors: torch.Tensor, people: torch.Tensor, own: torch.Tensor) -> None:
        self.vectors, self.people, self.own = vectors, people, own
        self.n_items, self.device = len(vectors), vectors.device
        self.report: dict[str, Any] = {"converged": True}

    def score(
        self, histories: torch.Tensor, users: torch.Tensor | None = None, items: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Float[B, n_items or T]."""
        person = mean_vectors(self.vectors, histories)
        if users is not None:
            rows = users.clamp_min(0)
            person = torch.where(((users >= 0) & self.own[rows])[:, None], self.people[rows], person)
        return dot(person, self.vectors, items)

    def item_vectors(self) -> torch.Tensor:
        """Float[n_items, d]."""
        return self.vectors

    def tensors(self) -> dict[str, torch.Tensor]:
        return {"vectors": self.vectors, "people": self.people, "own": self.own}

    def settings(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_tensors(cls, tensors: dict[str, torch.Tensor], settings: dict[str, Any]) -> PersonVectors:
        return cls(tensors["vectors"], tensors["people"], tensors["own"])


def mean_vectors(vectors: torch.Tensor, histories: torch.Tensor) -> torch.Tensor:
    """Float[B, d]: the mean of the vectors of the history's items, repeats counted each time; 0 without any."""
    here = histories != PAD
    weights = torch.zeros(len(histories), len(vectors), device=vectors.device)  # not [B, L, d], which may be larger
    weights.scatter_add_(1, histories.clamp_min(0), here.float())
    return weights @ vectors / here.sum(1, keepdim=True).clamp_min(1)


def dot(person: torch.Tensor, vectors: torch.Tensor, items: torch.Tensor | None) -> torch.Tensor:
    """Float[B, n_items or T]: person Float[B, d] times the vectors of all items, or of `items`."""
    return person @ vectors.T if items is None else (vectors[items] @ person[:, :, None])[:, :, 0]


def embeddings(entry: registered.Registered, data: Interactions, place: torch.device) -> ItemVectors | PersonVectors:
    """The scorer of embedding matrices. Raises BadInput for files that do not fit each other or the data."""
    model = entry.model
    assert isinstance(model, registered.EmbeddingModel)
    who, items = entry.name, read(entry.name, Path(model.embeddings), "items")
    rows = placed(who, Path(model.embeddings), len(items), data.items["id"].tolist(), model.ids, "item", data.name)
    vectors = torch.as_tensor(items[rows]).to(place)
    if not model.users:
        return ItemVectors(vectors)
    people = read(who, Path(model.users), "users")
    if people.shape[1] != items.shape[1]:
        raise BadInput(
            f"{who}: users have vectors of length {people.shape[1]}, items of length {items.shape[1]}: they must be "
            "equal."
        )
    where = placed(who, Path(model.users), len(people), data.users["id"].tolist(), model.user_ids, "user", data.name)
    own = torch.as_tensor(where >= 0)
    return PersonVectors(vectors, torch.as_tensor(people[where] * (where >= 0)[:, None]).to(place), own.to(place))


def item_item(entry: registered.Registered, data: Interactions, place: torch.device) -> ItemWeights:
    """The scorer of weights between items. Raises BadInput for a file that does not fit the data."""
    model = entry.model
    assert isinstance(model, registered.ItemItemModel)
    file = Path(model.item_item)
    if data.n_items > MOST_ITEMS:
        raise BadInput(
            f"{entry.name}: {data.name} has {data.n_items:,} items, and weights between more than {MOST_ITEMS:,} "
            "do not fit: register embeddings or an endpoint instead."
        )
    weights = read(entry.name, file, "weights")
    if weights.shape[0] != weights.shape[1]:
        raise BadInput(
            f"{entry.name}: {file} has shape {list(weights.shape)}: it must have a row and a column per item."
        )
    rows = placed(entry.name, file, len(weights), data.items["id"].tolist(), model.ids, "item", data.name)
    return ItemWeights(torch.as_tensor(weights[np.ix_(rows, rows)]).to(place))


# -- reading


def placed(who: str, file: Path, n: int, ids: list[str], listed: str, what: str, dataset: str) -> np.ndarray:
    """int64: the row of the file that belongs to each id of the data; -1 for a user without one.

    Raises BadInput when an item has none, and, without a list of ids, when the file has another number of rows.
    """
    field = "ids" if what == "item" else "user_ids"
    if not listed:
        if n != len(ids):
            raise BadInput(
                f"{who}: {file} has {n:,} rows and {dataset} has {len(ids):,} {what}s: name the {what} id of each row "
                f"in a file, one per line, with {field}."
            )
        return np.arange(n)
    names = _lines(who, Path(listed))
    if len(names) != n:
        raise BadInput(f"{who}: {listed} has {len(names):,} lines and {file} has {n:,} rows: they must be equal.")
    row = {name: place for place, name in enumerate(names)}
    if len(row) < n:
        twice = next(name for place, name in enumerate(names) if row[name] != place)
        raise BadInput(f"{who}: {listed} names {twice!r} more than once: each id belongs to one row.")
    found = np.asarray([row.get(name, -1) for name in ids], np.int64)
    lacking = [name for name, place in zip(ids, found, strict=True) if place < 0]
    if lacking and (what == "item" or len(lacking) == len(ids)):
        raise BadInput(
            f"{who}: {listed} lacks {len(lacking):,} of {len(ids):,} {what}s of {dataset}, among them {lacking[0]!r}: "
            "add their rows, or choose the data that the model was made for."
        )
    return found


def _lines(who: str, file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{who}: {file} cannot be read as text ({error}): write one id per line.") from None


def read(who: str, file: Path, name: str) -> np.ndarray:
    """float32[n, m] of a file; in safetensors the tensor `name`, or the only one. Raises BadInput."""
    try:
        found = {".npy": _npy, ".npz": _npz, ".safetensors": _safetensors}[file.suffix](file, name)
    except BadInput as error:
        raise BadInput(f"{who}: {error}") from None
    except MemoryError:
        raise
    except (OSError, ValueError, TypeError, KeyError, EOFError, SafetensorError, zipfile.BadZipFile) as error:
        said = " ".join(str(error).split())[:150]
        raise BadInput(
            f"{who}: {file} cannot be read as {file.suffix} ({said}): write it again, without pickle."
        ) from None
    if found.ndim != 2 or not found.size or found.dtype.kind not in "fiu":
        raise BadInput(f"{who}: {file} holds {found.dtype}{list(found.shape)}: it must be a table of numbers.")
    found = found.astype(np.float32)
    if bad := int((~np.isfinite(found)).sum()):
        raise BadInput(f"{who}: {file} holds {bad:,} numbers that are not finite (NaN or infinite): mend the matrix.")
    return found


def _npy(file: Path, name: str) -> np.ndarray:
    return np.load(file, allow_pickle=False)


def _npz(file: Path, name: str) -> np.ndarray:
    from scipy import sparse

    found = sparse.load_npz(file)  # never unpickles
    if max(found.shape) > MOST_ITEMS:
        raise BadInput(f"{file} has shape {list(found.shape)}: at most {MOST_ITEMS:,} items can be held.")
    return found.toarray()


def _safetensors(file: Path, name: str) -> np.ndarray:
    with safe_open(file, framework="pt") as tensors:  # torch reads bfloat16, numpy does not
        names = list(tensors.keys())
        if name not in names and len(names) != 1:
            raise BadInput(f"{file} holds {', '.join(sorted(names)) or 'nothing'}: call one of its tensors {name!r}.")
        found = tensors.get_tensor(name if name in names else names[0])
    return found.float().numpy() if found.is_floating_point() else found.numpy()
