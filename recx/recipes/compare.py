"""Two recommenders on the same data: their lists for one person side by side, and their agreement over many users."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from recx.core.errors import BadInput
from recx.core.progress import Progress
from recx.recipes._recipe import Get, Recipe
from recx.recipes.fit import Fit
from recx.recipes.people import Person, resolve, world_of
from recx.recipes.recommend import Recommend, check_k

if TYPE_CHECKING:
    import numpy as np

CHUNK = 512
"""Users ranked between two looks at the cancel flag."""
BLOCK = 4_000_000
"""Pairs of places compared at a time."""


@dataclass(frozen=True)
class SideBySide:
    """The top k of two recommenders for one person, each item with its place in the other's full ranking."""

    left: Fit
    right: Fit
    person: Person
    k: int = 10
    keep: ClassVar[str] = "memory"
    lane: ClassVar[str] = "interactive"

    def needs(self) -> tuple[Recipe, ...]:
        return (Recommend(self.left, (self.person,), self.k), Recommend(self.right, (self.person,), self.k))

    def run(self, get: Get, progress: Progress) -> dict[str, Any]:
        """`left`, `right`: answers of `Recommend`, their items with `other`, the item's rank under the other model;
        `overlap` and `rbo` of the two lists. Raises BadInput for models of different data."""
        import numpy as np

        from recx.metrics import agreement

        same_data(self.left, self.right)
        left, right = (get(need)[0] for need in self.needs())
        codes = {item: code for code, item in enumerate(_items(left, right))}
        mine, theirs = (np.asarray([[codes[row["item"]] for row in one["items"]]], np.int64) for one in (left, right))
        return {
            "left": left | {"items": self._placed(left, right, self.right, get)},
            "right": right | {"items": self._placed(right, left, self.left, get)},
            "overlap": float(agreement.overlap(mine, theirs)[0]),
            "rbo": float(agreement.rank_biased(mine, theirs)[0]),
        }

    def _placed(self, answer: dict[str, Any], beside: dict[str, Any], other: Fit, get: Get) -> list[dict[str, Any]]:
        """The items of a list with `other`: their place in the list beside it, else their rank under that model (ties
        against the item); all ranks in one question."""
        import torch

        data = get(other.data)
        case = resolve(other, (self.person,), get)
        world = world_of(other, case, get)
        target = torch.as_tensor([data.item_code(row["item"]) for row in answer["items"]], dtype=torch.long)
        row = torch.zeros(len(target), dtype=torch.long)
        keep = torch.as_tensor(case.kept)[row]
        place = world.histories.device
        ranks = world.rank(row.to(place), keep.to(place), target.to(place)).tolist()
        shown = {row["item"]: row["rank"] for row in beside["items"]}
        return [
            row | {"other": shown.get(row["item"], int(rank))} for row, rank in zip(answer["items"], ranks, strict=True)
        ]


@dataclass(frozen=True)
class Agreement:
    """How far the top k of two recommenders agree over test users, at most `users` of them, drawn by the seed."""

    left: Fit
    right: Fit
    k: int = 10
    users: int = 1000
    seed: int = 0
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "interactive"

    def needs(self) -> tuple[Recipe, ...]:
        return (self.left.data, self.left.split_data, self.left, self.right)

    def run(self, get: Get, progress: Progress) -> dict[str, Any]:
        """`overlap`, `rbo`, `same_first`: mean over users with its 95 % interval (bootstrap over users); `histogram`:
        users by the number of items in common; `n` users of `n_test`. Raises BadInput for models of different data."""
        import numpy as np

        from recx.core.progress import part_of

        same_data(self.left, self.right)
        check_k(self.k, get(self.left.data).n_items)
        test = get(self.left.split_data).test
        n = min(self.users, len(test))
        rows = np.sort(np.random.default_rng(self.seed).choice(len(test), n, replace=False))
        lists = [
            top_lists(get(fit), test, rows, self.k, part_of(progress, 0.5 * part, 0.5 * part + 0.5))
            for part, fit in enumerate((self.left, self.right))
        ]
        return agreed(*lists, seed=self.seed) | {"n": n, "n_test": len(test), "k": self.k}


def agreed(left: np.ndarray, right: np.ndarray, *, seed: int = 0) -> dict[str, Any]:
    """What `Agreement` says of two arrays of lists int[B, K] (negative where a list has run out)."""
    import numpy as np

    from recx.metrics import agreement
    from recx.metrics.explanation import bootstrap

    size = max(1, BLOCK // left.shape[1] ** 2)
    parts = [(left[at : at + size], right[at : at + size]) for at in range(0, len(left), size)]
    shared = np.concatenate([agreement.common(*part)[:, -1] for part in parts])
    values = {
        "overlap": np.concatenate([agreement.overlap(*part) for part in parts]),
        "rbo": np.concatenate([agreement.rank_biased(*part) for part in parts]),
        "same_first": ((left[:, 0] == right[:, 0]) & (left[:, 0] >= 0)).astype(float),
    }
    counts = np.bincount(shared, minlength=left.shape[1] + 1)
    rows = {name: bootstrap(lambda v: v.mean(-1), [column], seed=seed) for name, column in values.items()}
    return {name: dict(zip(("mean", "low", "high"), row, strict=True)) for name, row in rows.items()} | {
        "histogram": [{"common": place, "users": int(count)} for place, count in enumerate(counts)]
    }


def top_lists(scorer: Any, test: Any, rows: np.ndarray, k: int, progress: Progress) -> np.ndarray:
    """int64[B, k]: the lists of the test users at `rows`, -1 where the candidates run out."""
    import numpy as np
    import torch

    from recx.worlds.edited import EditedWorld

    world = EditedWorld(scorer, torch.as_tensor(test.histories[rows]), torch.as_tensor(test.model_users[rows]))
    out = np.full((len(rows), k), -1, np.int64)
    for start in range(0, len(rows), CHUNK):
        part = torch.arange(start, min(start + CHUNK, len(rows)), device=world.histories.device)
        top, scores = world.top_k(part, None, k)
        out[start : start + CHUNK] = top.masked_fill(scores == float("-inf"), -1).cpu().numpy()
        progress(min(1.0, (start + CHUNK) / len(rows)), f"ranked {start + len(part):,} of {len(rows):,} users")
    return out


def same_data(left: Fit, right: Fit) -> None:
    """Raises BadInput for two models that did not learn from the same part of the same data."""
    if left.split_data != right.split_data:
        raise BadInput("these two models learnt from different data: choose the same data set, split and seed.")


def _items(*answers: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(row["item"] for one in answers for row in one["items"]))
