"""What somebody is recommended, why not something else, and who is shown an item."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from recx.core.errors import BadInput
from recx.core.progress import Progress
from recx.recipes._recipe import Get, Recipe
from recx.recipes.fit import Fit
from recx.recipes.people import Person, item_row, resolve, world_of

MOST_K = 1000


@dataclass(frozen=True)
class Recommend:
    """The top k of people, with their history and what the split holds out."""

    fit: Fit
    people: tuple[Person, ...]
    k: int = 10
    keep: ClassVar[str] = "memory"
    lane: ClassVar[str] = "interactive"

    def needs(self) -> tuple[Recipe, ...]:
        return (self.fit.data, self.fit.split_data, self.fit)

    def run(self, get: Get, progress: Progress) -> list[dict[str, Any]]:
        """One dict per person: user, history, held_out, items, n_candidates. Raises BadInput."""
        import torch

        data = get(self.fit.data)
        check_k(self.k, data.n_items)
        case = resolve(self.fit, self.people, get)
        world = world_of(self.fit, case, get)
        rows = torch.arange(len(self.people))
        top, scores = world.top_k(rows, torch.as_tensor(case.kept).to(world.histories.device), self.k)
        lists = zip(top.tolist(), scores.tolist(), strict=True)
        return [self._answer(data, case, b, *one) for b, one in enumerate(lists)]

    def _answer(self, data: Any, case: Any, b: int, top: Any, scores: Any) -> dict[str, Any]:
        columns = [c for c in range(case.histories.shape[1]) if case.histories[b, c] >= 0]
        held = {int(code) for code in case.held_out[b]}
        items = [
            item_row(data, int(code)) | {"score": float(score), "rank": place, "held_out": int(code) in held}
            for place, (code, score) in enumerate(zip(top, scores, strict=True), 1)
            if score > float("-inf")
        ]
        return {
            "user": self.people[b].user,
            "history": [_history_row(data, case, b, c) for c in columns],
            "held_out": [item_row(data, int(code)) for code in case.held_out[b]],
            "items": items,
            "n_candidates": data.n_items - len(columns),
        }


def check_k(k: int, n_items: int) -> None:
    """Raises BadInput for a list length that no catalogue of this size can fill."""
    if not 1 <= k <= min(n_items, MOST_K):
        raise BadInput(f"k={k} is out of range: the catalogue allows 1 to {min(n_items, MOST_K)}.")


def _history_row(data: Any, case: Any, b: int, column: int) -> dict[str, Any]:
    row = int(case.rows[b, column])
    rating = None if row < 0 or data.rating is None else float(data.rating[row])
    time = None if row < 0 or data.time is None or data.time[row] < 0 else int(data.time[row])
    return item_row(data, int(case.histories[b, column])) | {
        "rating": None if rating != rating else rating,
        "time": time,
        "kept": bool(case.kept[b, column]),
    }


@dataclass(frozen=True)
class WhyNot:
    """Where an item stands that was not recommended, and what in the history holds it down."""

    fit: Fit
    person: Person
    item: str
    k: int = 10
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "interactive"

    def needs(self) -> tuple[Recipe, ...]:
        return (self.fit.data, self.fit.split_data, self.fit)

    def run(self, get: Get, progress: Progress) -> dict[str, Any]:
        """Rank, score, the k-th score, and the exact effect of taking each history item out (score change of the item).

        Raises BadInput for an item that the person already has.
        """
        import torch

        data = get(self.fit.data)
        check_k(self.k, data.n_items)
        code = data.item_code(self.item)
        case = resolve(self.fit, (self.person,), get)
        columns = [c for c in range(case.histories.shape[1]) if case.kept[0, c]]
        if code in case.histories[0]:
            raise BadInput(f"{data.items['title'].iloc[code]!r} is already in the history: ask about another item.")
        world = world_of(self.fit, case, get)
        base = torch.as_tensor(case.kept).to(world.histories.device)
        keep = base.repeat(1 + len(columns), 1)
        keep[torch.arange(1, len(keep)), torch.as_tensor(columns, dtype=torch.long)] = False
        row, target = torch.zeros(len(keep), dtype=torch.long), torch.full((len(keep),), code)
        rank, _ = world.rank_and_margin(row, keep, target.to(base.device), self.k)
        score = world.scores(row, keep, target[:, None].to(base.device))[:, 0]
        _, top = world.top_k(row[:1], base, self.k)
        effects = [
            item_row(data, int(case.histories[0, c]))
            | {"effect": float(score[i] - score[0]), "rank_without": int(rank[i])}
            for i, c in enumerate(columns, 1)
        ]
        return item_row(data, code) | {
            "rank": int(rank[0]),
            "n_candidates": data.n_items - int((case.histories[0] >= 0).sum()),
            "score": float(score[0]),
            "kth_score": float(top[0, -1]),
            "k": self.k,
            "held_out": any(int(held) == code for held in case.held_out[0]),
            "effects": sorted(effects, key=lambda effect: -effect["effect"]),
        }


@dataclass(frozen=True)
class Audience:
    """The users who are shown an item in their top k, best place first."""

    fit: Fit
    item: str
    k: int = 10
    limit: int = 50
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "interactive"

    def needs(self) -> tuple[Recipe, ...]:
        return (self.fit.data, self.fit.split_data, self.fit)

    def run(self, get: Get, progress: Progress) -> dict[str, Any]:
        """Counts over all users of the test part, and the first `limit` of those shown the item."""
        import torch

        data, test = get(self.fit.data), get(self.fit.split_data).test
        check_k(self.k, data.n_items)
        code, scorer = data.item_code(self.item), get(self.fit)
        from recx.worlds.edited import EditedWorld

        world = EditedWorld(scorer, torch.as_tensor(test.histories), torch.as_tensor(test.model_users))
        free = torch.as_tensor((test.histories != code).all(1)).nonzero()[:, 0]
        target = torch.full((len(free),), code, device=world.histories.device)
        rank = world.rank(free.to(world.histories.device), None, target).cpu()
        score = world.scores(free.to(world.histories.device), None, target[:, None])[:, 0].cpu()
        shown = sorted((int(r), i) for i, r in enumerate(rank) if int(r) <= self.k)
        users = [
            {
                "user": data.users["id"].iloc[int(test.users[free[i]])],
                "rank": place,
                "score": float(score[i]),
                "n_history": int((test.histories[free[i]] >= 0).sum()),
            }
            for place, i in shown[: self.limit]
        ]
        return item_row(data, code) | {"shown_to": len(shown), "n_users": len(test), "k": self.k, "users": users}
