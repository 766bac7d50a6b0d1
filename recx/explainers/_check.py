"""The check of every explanation: the recommender is run again without the items named, and with only them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch

from recx.explainers._explanation import Finding
from recx.explainers._lists import Lists, listed
from recx.metrics.lists import newcomers, pn_r, pn_s
from recx.worlds.edited import EditedWorld

LARGEST_PROOF = 8
"""Sets of up to this many items have all their proper subsets tried (at most 254 runs each)."""


@dataclass(frozen=True)
class Verdict:
    """What really happens. Codes, ranks (1-based), margins in score units; None where nothing was named."""

    rank_before: int
    margin_before: float
    rank_after: int | None = None
    margin_after: float | None = None
    rank_only: int | None = None
    replacement: int | None = None
    minimal: str | None = None


def check(
    world: EditedWorld, row: torch.Tensor, target: torch.Tensor, k: int, findings: list[Finding]
) -> list[Verdict]:
    """One verdict per finding, all runs in one batch: as it is, without the named items, with only them."""
    full = world.histories[row] >= 0
    named = named_mask(full, findings)
    edits = torch.cat([full, full & ~named, full & named])
    rank, margin = world.rank_and_margin(row.repeat(3), edits, target.repeat(3), k)
    n = len(row)
    before, _ = world.top_k(row, full, k)
    after, _ = world.top_k(row, full & ~named, k)
    minimal = _minimal(world, row, target, k, findings, *rank.split(n))
    verdicts = []
    for p, finding in enumerate(findings):
        verdict = Verdict(int(rank[p]), float(margin[p]))
        if finding.positions:
            new = [int(item) for item in after[p] if item not in before[p] and item != target[p]]
            left = int(rank[p]) <= k < int(rank[n + p])
            verdict = Verdict(
                verdict.rank_before,
                verdict.margin_before,
                int(rank[n + p]),
                float(margin[n + p]),
                int(rank[2 * n + p]),
                new[0] if left and new else None,
                minimal[p],
            )
        verdicts.append(verdict)
    return verdicts


def named_mask(full: torch.Tensor, findings: list[Finding]) -> torch.Tensor:
    """Bool[P, L]: the columns that each finding names."""
    named = torch.zeros_like(full)
    for p, finding in enumerate(findings):
        named[p, list(finding.positions)] = True
    return named


def _minimal(
    world: EditedWorld,
    row: torch.Tensor,
    target: torch.Tensor,
    k: int,
    findings: list[Finding],
    rank_before: torch.Tensor,
    rank_after: torch.Tensor,
    rank_only: torch.Tensor,
) -> list[str | None]:
    """ "proved" where no proper subset does what the set does, "not proved" where one does or not all were tried.

    An explainer's own word counts only for sets of more than LARGEST_PROOF items, whose subsets are too many to try.
    """
    answers: list[str | None] = [None] * len(findings)
    owners, subsets, goals = [], [], []
    for p, finding in enumerate(findings):
        does = rank_before[p] <= k < rank_after[p] and (finding.goal == "necessary" or rank_only[p] <= k)
        if not finding.positions or not does:
            continue
        few = len(finding.positions) <= LARGEST_PROOF
        answers[p] = "proved" if few or finding.proved else "not proved"
        if not few:
            continue
        for size in range(1, len(finding.positions)):
            for subset in combinations(finding.positions, size):
                owners.append(p)
                subsets.append(subset)
                goals.append(finding.goal == "both")
    if not owners:
        return answers
    index = torch.tensor(owners, device=row.device)
    full = world.histories[row[index]] >= 0
    named = named_mask(full, [Finding(positions=subset) for subset in subsets])
    works = world.rank(row[index], full & ~named, target[index]) > k
    both = torch.tensor(goals, device=row.device) & works
    if both.any():
        works[both] = world.rank(row[index][both], (full & named)[both], target[index][both]) <= k
    for p in index[works].tolist():
        answers[p] = "not proved"
    return answers


@dataclass(frozen=True)
class ListVerdict:
    """What really happens to a list without the named items. Items are codes, best first.

    `size` of the list, `need`: how many shall be replaced, `replaced`: how many are; `left`: (item, place before),
    `came`: (item, place now); `pn_s`, `pn_r`: share of the list that is new, plain and by place (2604.19663); `stay`:
    how many of the list remain with only the named items; `minimal` as for items.
    """

    size: int
    need: int
    replaced: int = 0
    left: tuple[tuple[int, int], ...] = ()
    came: tuple[tuple[int, int], ...] = ()
    pn_s: float = 0.0
    pn_r: float = 0.0
    stay: int | None = None
    minimal: str | None = None


def check_list(
    world: EditedWorld, row: torch.Tensor, k: int, share: str, findings: list[Finding], *, minimal: bool = True
) -> list[ListVerdict]:
    """One verdict per person of `row` Long[P]: the lists with all items, without the named ones, with only them.

    `minimal`: whether parts of the sets are tried, too.
    """
    lists = Lists.of(world, row, k, share)
    full = world.histories[row] >= 0
    named = named_mask(full, findings)
    before = lists.items.cpu().numpy()
    after = listed(world, row, full & ~named, k).cpu().numpy()
    only, _ = world.replaced(row, full & named, lists.items, lists.need)
    plain, ranked = pn_s(before, after), pn_r(before, after)
    came, left = newcomers(before, after), newcomers(after, before)
    no_less = _minimal_lists(world, row, lists, findings if minimal else [], left.sum(1))
    verdicts = []
    for p, finding in enumerate(findings):
        size, need = int(lists.size[p]), int(lists.need[p])
        if not finding.positions:
            verdicts.append(ListVerdict(size, need))
            continue
        gone = tuple((int(before[p, r]), int(r) + 1) for r in left[p].nonzero()[0])
        new = tuple((int(after[p, r]), int(r) + 1) for r in came[p].nonzero()[0])
        stay = size - int(only[p])
        verdicts.append(
            ListVerdict(size, need, len(gone), gone, new, float(plain[p]), float(ranked[p]), stay, no_less.get(p))
        )
    return verdicts


def _minimal_lists(
    world: EditedWorld, row: torch.Tensor, lists: Lists, findings: list[Finding], replaced: np.ndarray
) -> dict[int, str]:
    """As `_minimal`, for sets that replace enough of a list."""
    answers: dict[int, str] = {}
    owners, subsets = [], []
    for p, finding in enumerate(findings):
        if not finding.positions or replaced[p] < int(lists.need[p]):
            continue
        few = len(finding.positions) <= LARGEST_PROOF
        answers[p] = "proved" if few or finding.proved else "not proved"
        for size in range(1, len(finding.positions) if few else 1):
            for subset in combinations(finding.positions, size):
                owners.append(p)
                subsets.append(Finding(positions=subset))
    if owners:
        index = torch.tensor(owners, device=row.device)
        full = world.histories[row[index]] >= 0
        keep = full & ~named_mask(full, subsets)
        count, _ = world.replaced(row[index], keep, lists.items[index], lists.need[index])
        for p in index[count >= lists.need[index]].tolist():
            answers[p] = "not proved"
    return answers
