"""From a value per history item to a set: the shortest start of the ranking without which the target is out."""

from __future__ import annotations

import time
from typing import Any

import torch

from recx.core.progress import Progress, quiet
from recx.explainers._explanation import Finding
from recx.worlds.edited import EditedWorld

FIRST, LARGEST = 4, 64
"""Lengths tried in the first round and, doubled each round, in the largest."""
CELLS = 2**26
"""Entries of the edits that are held at a time."""
TIED = "others score the same, so by the strict count it is not in the list: nothing was searched"


def ranked(
    world: EditedWorld,
    row: torch.Tensor,
    target: torch.Tensor,
    k: int,
    values: torch.Tensor,
    *,
    said: str,
    start: float,
    calls: int | torch.Tensor = 0,
    most: int | None = None,
    positive: bool = False,
    additive: bool = False,
    details: list[dict[str, Any]] | None = None,
    progress: Progress = quiet,
) -> list[Finding]:
    """Findings of rankings by values Float[P, L], one per column of `world.histories[row]`, large = important.

    The set is the shortest prefix of the ranking (equal values: the older item first) whose removal takes the target
    out of the top k, by real runs; `most` caps it, `positive` leaves out items of value 0 or less. `said`: how the
    values were got, for `searched`. `start`: `time.perf_counter()` when the work began. `calls`: runs of the model
    spent on the values, for each pair or Long[P]; those of the search are added. `additive`: the values are effects in
    score units that add up, so their sum over the set is the predicted effect. `details`: more of them, one per pair.
    `details["per_item"]` holds (column, value) of every history item, the most important first.
    """
    full = world.histories[row] >= 0
    values = torch.nan_to_num(values.float(), nan=0.0).to(full.device).masked_fill(~full, float("-inf"))
    order = torch.argsort(values, dim=1, descending=True, stable=True)
    limit = (values > 0).sum(1) if positive else full.sum(1)
    limit = limit if most is None else limit.clamp_max(most)
    length, tried = shortest(world, row, target, k, order, limit, progress)
    spent = (tried + torch.as_tensor(calls).to(tried.device)).tolist()
    sizes, lengths, limits = full.sum(1).tolist(), length.tolist(), limit.tolist()
    columns, sorted_values = order.tolist(), values.gather(1, order).tolist()
    seconds = (time.perf_counter() - start) / max(1, len(row))
    findings = []
    for p, (size, found) in enumerate(zip(sizes, lengths, strict=True)):
        per_item = list(zip(columns[p][:size], sorted_values[p][:size], strict=True))
        named = per_item[: max(0, found)]
        findings.append(
            Finding(
                positions=tuple(column for column, _ in named),
                weights=tuple(value for _, value in named),
                details={"per_item": per_item} | ({} if details is None else details[p]),
                predicted_effect=sum(value for _, value in named) if named and additive else None,
                calls=spent[p],
                seconds=seconds,
                searched=_searched(said, size, found, limits[p]),
            )
        )
    return findings


def shortest(
    world: EditedWorld,
    row: torch.Tensor,
    target: torch.Tensor,
    k: int,
    order: torch.Tensor,
    limit: torch.Tensor,
    progress: Progress = quiet,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Length of the shortest prefix of each order whose removal takes the target out, and lengths tried: Long[P] each.

    `order` Long[P, L]: columns, the history's own first. Lengths 0 to `limit` Long[P] are tried in growing chunks, all
    pairs at once. -1: none does it; 0: the target is not in the top k to begin with.
    """
    full, place = world.histories[row] >= 0, order.argsort(1)
    length, tried = torch.full_like(row, -1), torch.zeros_like(row)
    active, first, step = torch.arange(len(row), device=row.device), 0, FIRST
    while len(active):
        lengths = torch.arange(first, first + step, device=row.device)
        for part in active.split(max(1, CELLS // (step * full.shape[1]))):
            asked = lengths <= limit[part, None]
            edits = full[part, None] & (place[part, None] >= lengths[:, None])
            owner = part[:, None].expand_as(asked)[asked]
            out = asked.clone()
            out[asked] = world.rank(row[owner], edits[asked], target[owner]) > k
            tried[part] += asked.sum(1)
            length[part] = torch.where(out.any(1), lengths[out.int().argmax(1)], -1)
        first += step
        step = min(2 * step, LARGEST)
        active = active[(length[active] < 0) & (limit[active] >= first)]
        progress(1 - len(active) / len(row), f"{len(row) - len(active):,} of {len(row):,} pairs done")
    return length, tried


def _searched(said: str, size: int, found: int, limit: int) -> str:
    if size == 0:
        return "there is no history to take items out of"
    if found == 0:
        return TIED
    if limit == 0:
        return f"{said}: no item speaks for it"
    if found < 0:
        part = f"all {size:,}" if limit == size else f"the first {limit:,} of {size:,}"
        return f"{said}: taking out {part}, one after another, never moves it out of the list"
    return f"{said}: the first {found:,} of {size:,} have to go; no shorter start of this order does it"
