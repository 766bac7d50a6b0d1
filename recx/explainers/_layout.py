"""Pairs with histories of many lengths, side by side with little padding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from recx.worlds.edited import EditedWorld

STRETCH = 1.5
"""A bucket holds histories whose lengths differ by at most this factor, so little padding is computed."""


@dataclass(frozen=True, eq=False)
class Group:
    """Pairs whose histories are about equally long: people `rows` Long[R], `targets` Long[R, S] (filled with item 0).

    `pairs` Long[n]: which pairs; `slot`: where in [R, S] each stands.
    """

    rows: torch.Tensor
    targets: torch.Tensor
    pairs: torch.Tensor
    slot: tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True, eq=False)
class Layout:
    """All pairs in one flat vector, group after group as [R, S, L] blocks, so that one operation serves them all.

    `here` Bool[N]: which entries are history items; `column` Long[N]: their column counted from the right; `pair_of`
    Long[N]: their place in the vector of all [R, S] slots.
    """

    groups: list[Group]
    shapes: list[tuple[int, int, int]]
    here: torch.Tensor
    column: torch.Tensor
    pair_of: torch.Tensor
    n_pairs: int

    @classmethod
    def of(cls, world: EditedWorld, row: torch.Tensor, target: torch.Tensor) -> Layout:
        groups, shapes, here, column, pair_of, slots = [], [], [], [], [], 0
        for bucket in buckets((world.histories[row] >= 0).sum(1)):
            rows, slot, targets = grouped(row[bucket], target[bucket])
            shape = (*targets.shape, world.widest(rows))
            block = (world.histories[rows][:, -shape[2] :] >= 0)[:, None, :].expand(shape)
            groups.append(Group(rows, targets, bucket, slot))
            shapes.append(shape)
            here.append(block.flatten())
            column.append(torch.arange(shape[2] - 1, -1, -1, device=row.device).expand(shape).flatten())
            own = torch.arange(slots, slots + targets.numel(), device=row.device)
            pair_of.append(own.repeat_interleave(shape[2]))
            slots += targets.numel()
        return cls(groups, shapes, torch.cat(here), torch.cat(column), torch.cat(pair_of), len(row))

    def views(self, flat: torch.Tensor) -> list[torch.Tensor]:
        """The [R, S, L] blocks of a flat vector, without a copy."""
        parts = flat.split([a * b * c for a, b, c in self.shapes])
        return [part.view(shape) for part, shape in zip(parts, self.shapes, strict=True)]

    def flat_pairs(self, values: torch.Tensor, fill: float) -> torch.Tensor:
        """Float[slots]: a value per pair laid out as the slots are; unused slots get `fill`."""
        blocks = []
        for group in self.groups:
            block = values.new_full(group.targets.shape, fill)
            block[group.slot] = values[group.pairs]
            blocks.append(block.flatten())
        return torch.cat(blocks)


def buckets(lengths: torch.Tensor) -> Iterator[torch.Tensor]:
    """Groups of pairs, Long[n] each, whose lengths lie within `STRETCH` of each other, short ones first."""
    order = torch.argsort(lengths, stable=True)
    ordered = lengths[order].tolist()
    start = 0
    for end in range(1, len(ordered) + 1):
        if end == len(ordered) or ordered[end] > STRETCH * max(8, ordered[start]):
            yield order[start:end]
            start = end


def grouped(
    row: torch.Tensor, target: torch.Tensor
) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor], torch.Tensor]:
    """Pairs of the same person side by side: rows Long[R], slot (index of each pair in [R, S]), targets Long[R, S]."""
    rows, inverse, n = torch.unique(row, return_inverse=True, return_counts=True)
    order = torch.argsort(inverse, stable=True)
    place = torch.empty_like(order)
    starts = torch.cat([n.new_zeros(1), n.cumsum(0)[:-1]])
    place[order] = torch.arange(len(row), device=row.device) - starts[inverse[order]]
    targets = torch.zeros(len(rows), int(n.max()), dtype=torch.long, device=row.device)
    targets[inverse, place] = target
    return rows, (inverse, place), targets
