"""PRINCE: the fewest history items whose removal replaces a recommendation, exact where scores add up."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
import torch

from recx.core.progress import Progress, quiet
from recx.explainers._explanation import Finding
from recx.explainers._influence import per_item
from recx.worlds.edited import EditedWorld

CELLS = 2**22
"""Contributions compared at a time: 32 MB in double precision, and a few copies."""
POOL = 32
"""Replacements, beyond the k nearest ones, whose orders of removal are tried."""
OPTIMIST, PESSIMIST = -1e-7, 2e-6
"""A gap is closed below minus this share of its largest part: first ties within rounding count, and are run."""
SETS = 25_000
"""Sets of one size that are tried for a longer list, to find a smaller one or to prove that there is none."""
NEVER = 2**30


@dataclass(frozen=True)
class Prince:
    """PRINCE: the fewest items whose removal puts another item in the recommendation's place.

    Ghazimatin, Balalau, Saha Roy & Weikum, "PRINCE: Provider-side Interpretability with Counterfactual Explanations in
    Recommender Systems", WSDM 2020. For recommenders whose scores are sums (or means) over the history, as personalised
    PageRank is in the person's edges: for each replacement c, the gap to c is the sum of each item's own part of it;
    items are taken out in falling order of their part until the gap is closed; the smallest set over all c is the
    answer. For k = 1 no smaller set exists (their theorem).

    Beyond the paper: k > 1. The recommendation leaves the list when k others reach it. Each of them needs at least as
    many removals as its own gap does, so the k-th smallest of those numbers is a lower bound. The answer is the
    shortest prefix, over the orders of the nearest replacements, after which k items have reached it, less what it does
    not need: an upper bound. Between the two, all sets of a size are tried by their sums where they are few (SETS); the
    answer is proved where nothing is left between. Candidates are all items outside the original history (`app`);
    a tie counts against the recommendation. Every set is run; where rounding makes a tie of a gap, the gap must be
    closed by more. Taking out everything is an answer only if nothing less is, and the run says so. On ML-100K, 50
    users: top 1 proved for all (PageRank); top 5 found for 98 % of 18.6 items, 72 % proved (PageRank), and for all, of
    2.3 items, 94 % proved (EASE).
    """

    paper: ClassVar[str] = "Ghazimatin et al., WSDM 2020"
    needs_of_world: ClassVar[frozenset[str]] = frozenset({"additive"})

    def explain(
        self,
        world: EditedWorld,
        row: torch.Tensor,
        target: torch.Tensor,
        k: int,
        *,
        seed: int = 0,
        get: Any = None,
        progress: Progress = quiet,
    ) -> list[Finding]:
        """Findings whose weights are the items' parts of the gap to the replacement (score units, before a mean).

        `details`: `per_item` (those parts), `predicted_replacement` (item code), `at_least` (the lower bound).
        """
        start = time.perf_counter()
        answers = _solved(world, row, target, k, OPTIMIST)
        failed = _failing(world, row, target, k, answers)
        again = torch.tensor(failed, dtype=torch.long, device=row.device)
        strict = _solved(world, row[again], target[again], k, PESSIMIST)
        wrong = set(_failing(world, row[again], target[again], k, strict))
        for i, (p, answer) in enumerate(zip(failed, strict, strict=True)):
            columns = [] if i in wrong else answer.columns
            answers[p] = replace(answer, columns=columns, at_least=answers[p].at_least)
        seconds = (time.perf_counter() - start) / max(1, len(row))
        return [self._finding(answer, k, seconds) for answer in answers]

    def _finding(self, answer: _Answer, k: int, seconds: float) -> Finding:
        rows = per_item(list(answer.parts), list(answer.parts.values()))
        named = [column for column, _ in rows if column in answer.columns]
        proved = bool(named) and len(named) == answer.at_least
        smaller = "there is no smaller set" if proved else f"a smaller one has at least {answer.at_least}"
        searched = f"{answer.tried:,} possible replacements: "
        searched += smaller if named else answer.why or f"no set puts {k:,} others in its place"
        details = {"per_item": rows, "predicted_replacement": answer.replacement, "at_least": answer.at_least}
        return Finding(
            positions=tuple(named),
            weights=tuple(answer.parts[c] for c in named),
            details={name: value for name, value in details.items() if value is not None},
            predicted_effect=sum(answer.parts[c] for c in named) if named else None,
            proved=proved or None,
            calls=1,
            seconds=seconds,
            searched=searched,
        )


@dataclass(eq=False)
class _Answer:
    """`columns` named; `parts` of the gap to `replacement` (item code) by column; `at_least`: what any set needs."""

    columns: list[int]
    parts: dict[int, float]
    replacement: int | None
    at_least: int | None
    tried: int
    why: str = ""


def _failing(world: EditedWorld, row: torch.Tensor, target: torch.Tensor, k: int, answers: list[_Answer]) -> list[int]:
    """Which answers leave the target in the top k when run, all in one batch."""
    keep = world.histories[row] >= 0
    for p, answer in enumerate(answers):
        keep[p, answer.columns] = False
    stays = (world.rank(row, keep, target) <= k).tolist()
    return [p for p, answer in enumerate(answers) if answer.columns and stays[p]]


def _solved(world: EditedWorld, row: torch.Tensor, target: torch.Tensor, k: int, slack: float) -> list[_Answer]:
    """One answer per pair from the sums alone. `slack`: a gap is closed at minus this share of its largest part."""
    if not len(row):
        return []
    items, needs, tried = _nearest(world, row, target, k, slack)
    histories, answers = world.histories[row].cpu().numpy(), []
    for part in torch.arange(len(row), device=row.device).split(max(1, CELLS // (items.shape[1] * histories.shape[1]))):
        parts = (_own(world, row[part], target[part]) - world.contributions(row[part], items[part]).double()).cpu()
        for p, gaps in zip(part.tolist(), parts.numpy(), strict=True):
            columns = np.flatnonzero(histories[p] >= 0)
            real = int((needs[p] <= NEVER).sum())
            own, need = gaps[:real, columns], needs[p, :real]
            chosen, c = _shortest(own, need, k, slack)
            bound = int(need[k - 1]) if k <= real and len(columns) else NEVER
            if 0 < bound < NEVER:
                most = NEVER if real == tried[p] else int(need[-1])
                chosen, bound = _smaller(own, k, slack, chosen, bound, most)
            answers.append(_answer((chosen, c), columns, gaps, items[p, :real].tolist(), bound, k, tried[p]))
    return answers


def _answer(
    found: tuple[np.ndarray, int],
    columns: np.ndarray,
    gaps: np.ndarray,
    items: list[int],
    bound: int,
    k: int,
    tried: int,
) -> _Answer:
    """`found` of `_shortest` in columns of the history; everything taken out where nothing less does."""
    chosen, c = found
    parts = {int(j): float(gaps[c, j]) for j in columns} if len(gaps) else dict.fromkeys(columns.tolist(), 0.0)
    answer = _Answer(columns[chosen].tolist(), parts, items[c] if items else None, min(bound, len(columns)), tried)
    if bound == 0:
        answer.why = "as many others have its score or more, so by the strict count it is not in the list"
        answer.columns = []
    elif not len(chosen) and k <= tried:
        answer.columns = columns.tolist()
    return answer


def _own(world: EditedWorld, row: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return world.contributions(row, target[:, None]).double()


def _nearest(
    world: EditedWorld, row: torch.Tensor, target: torch.Tensor, k: int, slack: float
) -> tuple[torch.Tensor, np.ndarray, list[int]]:
    """The replacements that need fewest removals: items Long[P, M], removals [P, M] rising, and how many were tried.

    0 removals: it is before the target already; NEVER: not even with one item left; above: no candidate, only filling.
    """
    n, width = world.n_items, world.histories.shape[1]
    most, columns = min(n, k + POOL), min(n, max(1, CELLS // width))
    items = torch.empty(len(row), most, dtype=torch.long, device=row.device)
    key = torch.empty(len(row), most, dtype=torch.float64, device=row.device)
    length = (world.histories[row] >= 0).sum(1)
    for pairs in torch.argsort(length * len(world.histories) + row).split(max(1, CELLS // (columns * width))):
        people, which = torch.unique(row[pairs], return_inverse=True)
        near = world.widest(people)
        own, best, codes = _own(world, row[pairs], target[pairs]), key[pairs, :0], items[pairs, :0]
        for some in torch.arange(n, device=row.device).split(columns):
            theirs = world.contributions(people, some.expand(len(people), -1))[:, :, -near:].double()
            needed = _removals(own[:, :, -near:] - theirs[which], length[pairs], slack)
            _leave_out(needed, some, world.histories[row[pairs]], target[pairs])
            best, codes = torch.cat([best, needed], 1), torch.cat([codes, some.expand(len(pairs), -1)], 1)
            best, order = torch.topk(best, min(most, best.shape[1]), largest=False)
            codes = codes.gather(1, order)
        key[pairs], items[pairs] = best, codes
    candidates = n - 1 - torch.tensor([len(set(h)) for h in _histories(world, row)])
    usable = int(torch.isfinite(key).sum(1).max())
    needs = key.floor().clamp_max(NEVER + 1).long()
    return items[:, :usable], needs[:, :usable].cpu().numpy(), candidates.tolist()


def _histories(world: EditedWorld, row: torch.Tensor) -> list[list[int]]:
    return [[item for item in history if item >= 0] for history in world.histories[row].tolist()]


def _leave_out(needed: torch.Tensor, items: torch.Tensor, histories: torch.Tensor, target: torch.Tensor) -> None:
    """Infinity for what is no candidate, in place: `items` are consecutive codes."""
    for codes in (histories, target[:, None]):
        pair, column = torch.nonzero((codes >= items[0]) & (codes <= items[-1]), as_tuple=True)
        needed[pair, codes[pair, column] - items[0]] = float("inf")


def _removals(parts: torch.Tensor, length: torch.Tensor, slack: float) -> torch.Tensor:
    """Float64[P, T]: how many of the largest parts [P, T, L] close their gap; decimals prefer a gap closed wider."""
    gap, scale = parts.sum(2), parts.abs().amax(2)
    limit = -slack * scale
    left = gap[:, :, None] - parts.sort(dim=2, descending=True).values.cumsum(2)
    closed = left <= limit[:, :, None]
    needed = torch.where(closed.any(2), closed.int().argmax(2) + 1, NEVER)
    needed = torch.where(needed >= length[:, None], NEVER, needed)
    needed = torch.where(gap <= limit, 0, needed)
    after = left.gather(2, (needed - 1).clamp(0, left.shape[2] - 1)[:, :, None])[:, :, 0]
    return needed + 0.5 * torch.sigmoid(after / scale.clamp_min(1e-30))


def _shortest(parts: np.ndarray, needs: np.ndarray, k: int, slack: float) -> tuple[np.ndarray, int]:
    """The shortest prefix, over replacements, after which k of them are before the target; and which one's it is.

    `parts` [M, n] of the gaps to M replacements, `needs` [M]. Without a prefix: no item, the nearest replacement.
    """
    n = parts.shape[1]
    tried = np.flatnonzero((needs > 0) & (needs < NEVER))
    nothing = np.zeros(0, int), int(np.argmax(needs > 0)) if len(needs) else 0
    if not len(tried) or not n:
        return nothing
    gap, limit = parts.sum(1), -slack * np.abs(parts).max(1)
    order = np.argsort(-parts[tried], axis=1, kind="stable")
    left = gap[:, None, None] - parts[:, order].cumsum(2)
    enough = (left <= limit[:, None, None]).sum(0) >= k
    enough[:, n - 1] = False
    sizes = np.where(enough.any(1), enough.argmax(1) + 1, NEVER)
    best = int(sizes.argmin())
    if sizes[best] == NEVER:
        return nothing
    chosen = order[best, : sizes[best]]
    while len(chosen) > 1:
        without = gap[:, None] - (parts[:, chosen].sum(1)[:, None] - parts[:, chosen])
        spare = np.flatnonzero((without <= limit[:, None]).sum(0) >= k)
        if not len(spare):
            break
        chosen = np.delete(chosen, spare[-1])
    return chosen, int(tried[best])


def _smaller(
    parts: np.ndarray, k: int, slack: float, chosen: np.ndarray, bound: int, most: int
) -> tuple[np.ndarray, int]:
    """A set of fewer items than `chosen`, if one is among all sets of the sizes from `bound` on; and the new bound.

    Sizes of more than SETS sets are not tried. Below `most` removals no replacement outside `parts` [M, n] is reached.
    """
    n = parts.shape[1]
    gap, limit = parts.sum(1), -slack * np.abs(parts).max(1)
    for size in range(bound, min(len(chosen) or n, n, most)):
        if math.comb(n, size) > SETS:
            return chosen, size
        sets = np.array(list(combinations(range(n), size)))
        for some in np.array_split(sets, 1 + len(sets) // 2048):
            left = gap[:, None] - parts[:, some].sum(2)
            good = np.flatnonzero((left <= limit[:, None]).sum(0) >= k)
            if len(good):
                return some[good[0]], size
        bound = size + 1
    return chosen, bound
