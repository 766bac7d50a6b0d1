"""A recommended list as a whole: the history items that hold it up, and a set whose removal replaces part of it."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from recx.core.errors import BadInput
from recx.core.progress import Progress, part_of, quiet
from recx.explainers._explanation import Finding
from recx.explainers._lockstep import Ask, run_together
from recx.metrics.lists import pn_r, pn_s, shares
from recx.worlds.edited import EditedWorld

Plan = Generator[Ask, np.ndarray, Any]

SHARES = ("one", "half", "all")
WEIGHTS = ("equal", "rank")


@dataclass(frozen=True, eq=False)
class Lists:
    """What people are recommended: `items` Long[P, k], -1 where candidates run out.

    `size` Long[P] of each list; `need` Long[P]: how many of it shall be replaced; `spare` Long[P]: other candidates.
    """

    items: torch.Tensor
    size: torch.Tensor
    need: torch.Tensor
    spare: torch.Tensor

    @classmethod
    def of(cls, world: EditedWorld, row: torch.Tensor, k: int, share: str) -> Lists:
        """The lists as they are now. Raises BadInput for an unknown share."""
        if share not in SHARES:
            raise BadInput(f"unknown share {share!r} of a list: it is one of {', '.join(SHARES)}.")
        items = listed(world, row, None, k)
        size = (items >= 0).sum(1)
        need = {"one": torch.ones_like(size), "half": (size + 1) // 2, "all": size}[share]
        distinct = [len(set(history) - {-1}) for history in world.histories[row].tolist()]
        spare = world.n_items - torch.tensor(distinct, device=size.device) - size
        return cls(items, size, need, spare)


def listed(world: EditedWorld, row: torch.Tensor, keep: torch.Tensor | None, k: int) -> torch.Tensor:
    """Long[S, k]: the top k after an edit, -1 where candidates run out."""
    items, scores = world.top_k(row, keep, k)
    return items.masked_fill(scores == float("-inf"), -1)


def explain_list(
    explainer: Any,
    world: EditedWorld,
    row: torch.Tensor,
    k: int,
    share: str,
    *,
    weights: str = "equal",
    seed: int = 0,
    get: Any = None,
    progress: Progress = quiet,
) -> list[Finding]:
    """One Finding per person of `row` Long[P] with goal "list": items whose removal replaces `share` of the top k.

    An explainer with a search of its own (`explain_list`) is asked. Every other one explains each item of the list;
    its values, scaled to a sum of 1 per item, are added up (`weights`: all alike, or 1 / log2(1 + place) each), the
    history is ranked by the sum, the shortest prefix that replaces enough is removed by real runs, and items of it
    that turn out not to be needed are put back. `details`: share, need, per_item (column, value), largest first.
    """
    if weights not in WEIGHTS:
        raise BadInput(f"unknown weights {weights!r}: they are one of {', '.join(WEIGHTS)}.")
    lists = Lists.of(world, row, k, share)
    own = getattr(explainer, "explain_list", None)
    if own is not None:
        return list(own(world, row, k, share, seed=seed, get=get, progress=progress))
    start = time.perf_counter()
    place, rank = torch.nonzero(lists.items >= 0, as_tuple=True)
    each = explainer.explain(
        world,
        row[place],
        lists.items[place, rank],
        k,
        seed=seed,
        get=get,
        progress=part_of(progress, 0.0, 0.8),
    )
    totals = [_Total(world, int(r)) for r in row.tolist()]
    for p, r, finding in zip(place.tolist(), rank.tolist(), each, strict=True):
        totals[p].add(finding, 1.0 if weights == "equal" else 1 / np.log2(2 + r))
    plans = [by_ranking(total.order(), need, total.n) for total, need in zip(totals, lists.need.tolist(), strict=True)]
    found = run(world, row, lists, plans, part_of(progress, 0.8, 1.0))
    seconds = (time.perf_counter() - start) / max(1, len(row))
    return [
        total.finding(one, share, int(need), int(spare), seconds)
        for total, one, need, spare in zip(totals, found, lists.need, lists.spare, strict=True)
    ]


def run(world: EditedWorld, row: torch.Tensor, lists: Lists, plans: list[Plan], progress: Progress) -> list[Any]:
    """What plans about lists return, all advancing together: each is sent Float[S, 2], items replaced and margin."""
    columns = [np.flatnonzero(history >= 0) for history in world.histories[row].cpu().numpy()]
    return run_together(
        world,
        row,
        row,
        1,
        columns,
        plans,
        progress,
        lambda p, edits: world.replaced(row[p], edits, lists.items[p], lists.need[p]),
    )


class _Total:
    """Values of one person's history items, added up over the list."""

    def __init__(self, world: EditedWorld, row: int) -> None:
        self.columns = np.flatnonzero(world.histories[row].cpu().numpy() >= 0)
        self.n = len(self.columns)
        self.value, self.named = np.zeros(self.n), np.zeros(self.n, bool)
        self.calls = 0

    def add(self, finding: Finding, weight: float) -> None:
        """An item's values; the set alone where an explainer gives none, all its items alike if a weight is not above
        0."""
        self.calls += finding.calls
        rows = finding.details.get("per_item")
        if rows is None:
            plain = not all(w > 0 for w in finding.weights)
            rows = [(c, 1.0 if plain else w) for c, w in zip(finding.positions, finding.weights, strict=True)]
        place = np.searchsorted(self.columns, [one[0] for one in rows]).astype(int)
        values = np.nan_to_num(np.array([one[1] for one in rows], np.float64), posinf=0.0, neginf=0.0)
        whole = np.abs(values).sum()
        np.add.at(self.value, place, weight * values / whole if whole > 0 else 0.0)
        self.named[place] = True

    def order(self) -> np.ndarray:
        """Int[n']: the items that have a value, the largest first."""
        order = np.argsort(-self.value, kind="stable")
        return order[self.named[order]]

    def finding(self, answer: dict[str, Any], share: str, need: int, spare: int, seconds: float) -> Finding:
        order = self.order()
        chosen = [j for j in order if answer["set"] is not None and answer["set"][j]]
        details = {"share": share, "need": need}
        details |= {"per_item": [(int(self.columns[j]), float(self.value[j])) for j in order]}
        tried = f"{answer['calls']:,} lists tried"
        if answer["set"] is None:
            why = too_few(need, spare) or (
                f"no history item was given a value; {tried}"
                if not len(order)
                else f"taking out the {len(order):,} ranked items one after another never replaces enough; {tried}"
            )
        else:
            back = answer["prefix"] - len(chosen)
            why = f"the first {answer['prefix']:,} of {len(order):,} ranked items"
            why += f", {back:,} of them put back as not needed; {tried}" if back else f", all needed; {tried}"
        return Finding(
            positions=tuple(int(self.columns[j]) for j in chosen),
            weights=tuple(float(self.value[j]) for j in chosen),
            details=details,
            goal="list",
            calls=self.calls + answer["calls"],
            seconds=seconds,
            searched=why,
        )


def too_few(need: int, spare: int) -> str:
    """Why a list cannot be replaced, where other candidates are lacking; else nothing."""
    if not need:
        return "the list is empty"
    return f"only {spare:,} other items could take the place of {need:,}" if spare < need else ""


def by_ranking(order: np.ndarray, need: int, n: int) -> Plan:
    """The shortest prefix of `order` that replaces `need` items, without those not needed: `{set, prefix, calls}`."""
    answer: dict[str, Any] = {"set": None, "prefix": 0, "calls": 0}
    if not len(order) or not need:
        return answer
    removed = np.zeros((len(order), n), bool)
    removed[:, order] = np.tri(len(order), dtype=bool)
    enough = (yield Ask(~removed))[:, 0] >= need
    answer["calls"] = len(removed)
    if enough.any():
        first = int(enough.argmax())
        answer["prefix"] = first + 1
        answer["set"], calls = yield from without_needless(removed[first], order[::-1], need)
        answer["calls"] += calls
    return answer


def without_needless(removed: np.ndarray, order: np.ndarray, need: int) -> Generator[Ask, np.ndarray, Any]:
    """A set Bool[n] without the items that are not needed, tried in the order given, and how many runs that took.

    In the end no single item can be put back.
    """
    calls = 0
    while removed.sum() > 1:
        inside = order[removed[order]]
        fewer = np.repeat(removed[None], len(inside), axis=0)
        fewer[np.arange(len(inside)), inside] = False
        spare = inside[(yield Ask(~fewer))[:, 0] >= need]
        calls += len(fewer)
        if not len(spare):
            break
        several = np.repeat(removed[None], len(spare), axis=0)
        several[:, spare] = ~np.tri(len(spare), dtype=bool)
        some = several.any(1)
        enough = (yield Ask(~several))[:, 0] >= need
        calls += len(several)
        removed = several[np.flatnonzero(enough & some).max(initial=0)]
    return removed, calls


@dataclass(frozen=True)
class Support:
    """What one history item (`column`) alone holds up: the list without it.

    `replaced` items leave; `pn_s` the share of the list, `pn_r` weighted by place; `share`, `share_ranked`: of the sum
    over the person's history items.
    """

    column: int
    replaced: int
    pn_s: float
    pn_r: float
    share: float
    share_ranked: float


def support(world: EditedWorld, row: torch.Tensor, k: int) -> list[list[Support]]:
    """For each person every history item, the one that holds up most of the list first; one run each."""
    full = world.histories[row] >= 0
    person, column = torch.nonzero(full, as_tuple=True)
    edits = full[person]
    edits[torch.arange(len(person)), column] = False
    before = listed(world, row, None, k)[person].cpu().numpy()
    after = listed(world, row[person], edits, k).cpu().numpy()
    plain, ranked, size = pn_s(before, after), pn_r(before, after), (before >= 0).sum(1)
    owner, where = person.cpu().numpy(), column.cpu().numpy()
    answers = []
    for p in range(len(row)):
        own = np.flatnonzero(owner == p)
        parts, parts_ranked = shares(plain[own]), shares(ranked[own])
        rows = [
            Support(int(where[i]), round(plain[i] * size[i]), float(plain[i]), float(ranked[i]), float(a), float(b))
            for i, a, b in zip(own, parts, parts_ranked, strict=True)
        ]
        answers.append(sorted(rows, key=lambda one: (-one.pn_s, -one.pn_r, one.column)))
    return answers
