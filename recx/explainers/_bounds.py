"""How small a set can be at all where a model adds up what its history items contribute: a bound without a run."""

from __future__ import annotations

import torch

from recx.data.interactions import PAD
from recx.worlds.edited import EditedWorld

CELLS = 2**24
"""Numbers of one block of work: 64 MB."""
SLACK = 1e-5
"""Sums of single precision are trusted to this share of the largest: the bound gives way by as much."""


def least_sizes(world: EditedWorld, row: torch.Tensor, target: torch.Tensor, k: int, goal: str) -> list[int]:
    """For each pair a number of items, at most the length of the history, such that no smaller set meets the goal.

    World with capability `additive`. For a candidate c let d_j be what item j adds to the target less what it adds to
    c. Without a set S the target is behind c (or level) only if the sum of d over S reaches the sum over the history; a
    set of s items reaches at most the sum of the s largest d. The target leaves the top k when k candidates pass it, so
    s must do for at least k candidates, each taken for itself. In the same way S alone keeps the target before c only
    if its d sum above 0. Admissible: it may be too small, never too large. The whole history as a set is not judged.
    """
    size = max(1, CELLS // (world.n_items * world.histories.shape[1] * 4))
    parts = [
        _least(world, row[at], target[at], k, goal) for at in torch.arange(len(row), device=row.device).split(size)
    ]
    return torch.cat(parts).tolist() if parts else []


def _least(world: EditedWorld, row: torch.Tensor, target: torch.Tensor, k: int, goal: str) -> torch.Tensor:
    items = torch.arange(world.n_items, device=row.device).expand(len(row), -1)
    histories = world.histories[row]
    added = world.contributions(row, items)
    ahead = added.gather(1, target[:, None, None].expand(-1, -1, added.shape[2])) - added
    slack = SLACK * added.abs().sum(2).amax(1)[:, None]
    length = (histories != PAD).sum(1)
    reach = ahead.sort(dim=2, descending=True).values.cumsum(2).cummax(2).values
    rivals = torch.ones(len(row), world.n_items, dtype=torch.bool, device=row.device)
    person, column = torch.nonzero(histories != PAD, as_tuple=True)
    rivals[person, histories[person, column]] = False
    rivals.scatter_(1, target[:, None], False)
    needed = 1 + (reach < (ahead.sum(2) - slack)[:, :, None]).sum(2)
    needed = needed.masked_fill(~rivals, world.n_items + histories.shape[1] + 1)
    if k <= needed.shape[1]:
        least = needed.kthvalue(k, dim=1).values
    else:
        least = needed.new_full((len(row),), world.n_items + histories.shape[1] + 1)
    if goal == "both":
        passed = (reach > -slack[:, :, None]) | ~rivals[:, :, None]
        enough = (~passed).sum(1) < k
        least = torch.maximum(least, 1 + (~enough).sum(1))
    return torch.where(least >= length, torch.minimum(least, length.clamp_min(1)), least)
