"""Many coalitions of a person's history items, scored together: what SHAP and LIME are made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from recx.explainers._layout import buckets, grouped
from recx.explainers.lcer import column_noise
from recx.worlds.edited import EditedWorld

CELLS = 2**22
"""Entries of the coalitions that are held at a time."""
VALUES = ("score", "margin")
VALUE_TEXT = "score: the target's own; margin: by how much it beats the best item that it keeps out of the list"


@dataclass(frozen=True, eq=False)
class People:
    """Persons with about equally long histories and all that is asked about them.

    `rows` Long[R]; `targets` Long[R, T] (filled with item 0); `here` Bool[R, L]: which of the latest L columns hold an
    item. Pair `pairs[i]` stands at `slot` (indices into [R, T]).
    """

    rows: torch.Tensor
    targets: torch.Tensor
    here: torch.Tensor
    pairs: torch.Tensor
    slot: tuple[torch.Tensor, torch.Tensor]

    @property
    def at(self) -> tuple[torch.Tensor, torch.Tensor]:
        """`slot` on the CPU."""
        return self.slot[0].cpu(), self.slot[1].cpu()


def people(world: EditedWorld, row: torch.Tensor, target: torch.Tensor, coalitions: int) -> Iterator[People]:
    """Groups of persons small enough that `coalitions` of each fit `CELLS`; those without a history are in none."""
    lengths = (world.histories[row] >= 0).sum(1)
    some = torch.nonzero(lengths)[:, 0]
    for bucket in buckets(lengths[some]) if len(some) else ():
        pairs = some[bucket]
        width = world.widest(row[pairs])
        together = max(1, CELLS // (coalitions * width))
        persons = torch.unique(row[pairs], return_inverse=True)[1]
        for first in range(0, int(persons.max()) + 1, together):
            mine = pairs[(persons >= first) & (persons < first + together)]
            rows, slot, targets = grouped(row[mine], target[mine])
            yield People(rows, targets, world.histories[rows][:, -width:] >= 0, mine, slot)


def subsets(here: torch.Tensor, sizes: torch.Tensor, seed: int) -> torch.Tensor:
    """Bool[R, S, L]: uniform subsets, `sizes` Long[R, S] items each, of the columns `here` Bool[R, L].

    A column, counted from the right, has the same lots for everybody: who else is asked about shifts nothing.
    """
    noise = column_noise(sizes.shape[1], here.shape[1], seed).flip(1).to(here.device)
    lots = noise.expand(len(here), -1, -1).masked_fill(~here[:, None], 2.0)
    edge = lots.sort(dim=2).values.gather(2, (sizes - 1).clamp_min(0)[:, :, None])
    return (lots <= edge) & here[:, None] & (sizes > 0)[:, :, None]


def values_of(world: EditedWorld, group: People, keep: torch.Tensor, k: int, value: str) -> torch.Tensor:
    """float64[R, S, T]: the value of each target when only the columns keep Bool[R, S, L] are there.

    On the CPU, as all that is solved in double precision: not every device has it.
    """
    n_rows, n_sets = keep.shape[:2]
    edits = F.pad(keep, (world.histories.shape[1] - keep.shape[2], 0)).flatten(0, 1)
    rows = group.rows.repeat_interleave(n_sets)
    targets = group.targets.repeat_interleave(n_sets, 0)
    found = world.scores(rows, edits, targets) if value == "score" else world.margins(rows, edits, targets, k)
    return torch.nan_to_num(found.cpu().double(), posinf=0.0, neginf=0.0).view(n_rows, n_sets, -1)
