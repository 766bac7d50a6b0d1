"""The check of every explanation: the recommender is run again without the items named, and with only them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import torch

from recx.explainers._explanation import Finding
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
