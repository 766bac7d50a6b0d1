"""Many searches that advance together: each asks about some edits, all questions of a round are one batch."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from recx.core.progress import Progress
from recx.worlds.edited import EditedWorld

Measure = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
"""Two numbers per edit: plans Long[S] and what each keeps, Bool[S, L], to two vectors of S."""


@dataclass(frozen=True, eq=False)
class Ask:
    """Edits of one person's history: `keep` Bool[S, n] over the n items of it."""

    keep: np.ndarray


def run_together(
    world: EditedWorld,
    row: torch.Tensor,
    target: torch.Tensor,
    k: int,
    columns: list[np.ndarray],
    plans: list[Generator[Ask, np.ndarray, Any]],
    progress: Progress,
    measure: Measure | None = None,
) -> list[Any]:
    """What each plan returns. A plan yields an Ask and is sent Float[S, 2]: 1 if the target is in the top k, margin.

    `columns[p]` are the columns of the history row that plan p numbers 0..n-1. `measure` gives two other numbers.
    """
    answers: list[Any] = [None] * len(plans)
    asked: dict[int, Ask] = {}
    for p, plan in enumerate(plans):
        _advance(p, plan, None, asked, answers)
    while asked:
        if measure is None:
            replies = _in_top_k(world, row, target, k, columns, asked)
        else:
            replies = _answer_round(world, columns, asked, measure)
        for p, reply in replies.items():
            _advance(p, plans[p], reply, asked, answers)
        progress(1 - len(asked) / len(plans), f"{len(plans) - len(asked):,} of {len(plans):,} pairs done")
    return answers


def _advance(p: int, plan: Any, reply: np.ndarray | None, asked: dict[int, Ask], answers: list[Any]) -> None:
    asked.pop(p, None)
    try:
        asked[p] = plan.send(reply)
    except StopIteration as end:
        answers[p] = end.value


def _answer_round(
    world: EditedWorld, columns: list[np.ndarray], asked: dict[int, Ask], measure: Measure
) -> dict[int, np.ndarray]:
    """All questions of a round as one batch; Float[S, 2] for each plan."""
    sizes = {p: len(ask.keep) for p, ask in asked.items()}
    keep = np.zeros((sum(sizes.values()), world.histories.shape[1]), bool)
    owner = np.repeat(list(sizes), list(sizes.values()))
    start = 0
    for p, ask in asked.items():
        keep[start : start + sizes[p], columns[p]] = ask.keep
        start += sizes[p]
    device = world.histories.device
    first, second = measure(torch.as_tensor(owner, device=device), torch.as_tensor(keep, device=device))
    both = torch.stack([first.float(), second], dim=1)
    table = (
        both.nan_to_num(posinf=0.0).cpu().numpy()
    )  # a list that holds every candidate has no margin, whatever is kept
    return dict(zip(sizes, np.split(table, np.cumsum(list(sizes.values()))[:-1]), strict=True))


def _in_top_k(
    world: EditedWorld,
    row: torch.Tensor,
    target: torch.Tensor,
    k: int,
    columns: list[np.ndarray],
    asked: dict[int, Ask],
) -> dict[int, np.ndarray]:
    """All questions of a round as one batch; Float[S, 2] for each plan.

    Pairs of one person ask about the same edits of one history: each edit is run once and all their targets are read.
    """
    people: dict[int, list[int]] = {}
    rows = row.tolist()
    for p in asked:
        people.setdefault(rows[p], []).append(p)
    most = max(map(len, people.values()))
    keep, owner, wanted = [], [], []
    places: dict[int, tuple[np.ndarray, int]] = {}
    start = 0
    for person, plans in people.items():
        sets = np.concatenate([asked[p].keep for p in plans])
        first, place = _distinct(sets)
        keep.append(_widened(sets[first], columns[plans[0]], world.histories.shape[1]))
        owner.append(np.full(len(first), person))
        wanted.append(np.tile([plans[min(t, len(plans) - 1)] for t in range(most)], (len(first), 1)))
        parts = np.split(start + place, np.cumsum([len(asked[p].keep) for p in plans])[:-1])
        places |= {p: (part, t) for t, (p, part) in enumerate(zip(plans, parts, strict=True))}
        start += len(first)
    device = world.histories.device
    margin = world.margins(
        torch.as_tensor(np.concatenate(owner), device=device),
        torch.as_tensor(np.concatenate(keep), device=device),
        target[torch.as_tensor(np.concatenate(wanted), device=device)],
        k,
    )
    inside = (margin > 0).cpu().numpy()
    found = margin.nan_to_num(posinf=0.0).cpu().numpy()  # a list of every candidate has no margin, whatever is kept
    return {p: np.stack([inside[at, t], found[at, t]], axis=1) for p, (at, t) in places.items()}


def _distinct(sets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which rows of Bool[S, n] to run, and for each row which of those is the same."""
    packed = np.packbits(sets, axis=1)
    if packed.shape[1] == 0:
        return np.arange(min(1, len(sets))), np.zeros(len(sets), np.int64)
    whole = np.ascontiguousarray(packed).view(np.dtype((np.void, packed.shape[1])))[:, 0]
    _, first, place = np.unique(whole, return_index=True, return_inverse=True)
    return first, place


def _widened(sets: np.ndarray, columns: np.ndarray, width: int) -> np.ndarray:
    """Bool[S, L]: sets over the n items of a history as columns of its row."""
    keep = np.zeros((len(sets), width), bool)
    keep[:, columns] = sets
    return keep
