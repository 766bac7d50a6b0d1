"""How much each history item adds to a score: a derivative in its weight, or what taking it out changes."""

from __future__ import annotations

from typing import Any

import torch

from recx.core.errors import BadInput
from recx.core.recipe import param
from recx.explainers._layout import buckets, grouped
from recx.worlds.edited import EditedWorld

CELLS = 2**15
"""History items weighed at a time by a derivative: a sequence model keeps up to 8 KB for each."""

KINDS = ("derivative", "leave-one-out")


def influence_param(default: str) -> Any:
    """The field `influence` of an explainer."""
    text = "derivative: of the score in the item's weight; leave-one-out: score with the item minus without it"
    return param(default, text, choices=KINDS)


class NeedsOfInfluence:
    """`needs_of_world` of an explainer with a field `influence`: only a derivative needs soft edits."""

    def __get__(self, explainer: Any, cls: Any) -> frozenset[str]:
        kind = cls.__dataclass_fields__["influence"].default if explainer is None else explainer.influence
        return frozenset({"soft"}) if kind == "derivative" else frozenset()


def influences(world: EditedWorld, row: torch.Tensor, items: torch.Tensor, kind: str) -> torch.Tensor:
    """Float[P, T, L]: influence of every column of the histories `row` Long[P] on the scores of items Long[P, T].

    derivative: d score / d keep_j where all items are kept. leave-one-out: score(H) - score(H without j). Positive: the
    item raises the score. 0 where a history has no item. Pairs of one person share their edits; histories of like
    length go together. Raises BadInput for a derivative in a world that has no soft edits.
    """
    if kind == "derivative" and "soft" not in world.capabilities:
        raise BadInput(
            "influence=derivative needs scores that can be differentiated in the history, which this model does not "
            "have: use influence=leave-one-out."
        )
    if not items.numel():
        return torch.zeros(*items.shape, world.histories.shape[1], device=world.histories.device)
    measure = _derivatives if kind == "derivative" else _differences
    people, slot, targets = grouped(row.repeat_interleave(items.shape[1]), items.flatten())
    out = torch.zeros(len(people), targets.shape[1], world.histories.shape[1], device=world.histories.device)
    for bucket in buckets((world.histories[people] >= 0).sum(1)):
        width = world.widest(people[bucket])
        columns = max(1, min(targets.shape[1], CELLS // width))
        rows = max(1, CELLS // (width * columns))
        for part in bucket.split(rows):
            for some in torch.arange(targets.shape[1], device=part.device).split(columns):
                found = measure(world, people[part], targets[part[:, None], some])
                out[part[:, None], some, -found.shape[2] :] = found
    return out[slot].unflatten(0, items.shape)


def _derivatives(world: EditedWorld, people: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Float[R, S, w] for targets Long[R, S], w columns from the right: one pass back gives all items of a history."""
    width = world.widest(people)
    here = (world.histories[people][:, -width:] >= 0)[:, None].expand(-1, targets.shape[1], -1)
    keep = here.float().requires_grad_()
    total = world.soft([(people, targets)])([keep])[0].sum()
    return torch.autograd.grad(total, keep)[0] * here


def _differences(world: EditedWorld, people: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Float[R, S, L]: each item of each history taken out alone."""
    full = world.histories[people] >= 0
    person, column = torch.nonzero(full, as_tuple=True)
    edits = full[person]
    edits[torch.arange(len(person), device=edits.device), column] = False
    without = world.scores(people[person], edits, targets[person])
    out = torch.zeros(*targets.shape, full.shape[1], device=full.device)
    out[person, :, column] = world.scores(people, None, targets)[person] - without
    return out


def per_item(columns: list[int], values: list[float]) -> list[tuple[int, float]]:
    """(column, value) of every history item, the largest value first, ties by column."""
    return sorted(zip(columns, values, strict=True), key=lambda one: (-one[1], one[0]))
