"""Leave one out: the exact effect of every single history item."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from recx.core.progress import Progress, quiet
from recx.explainers._explanation import Finding
from recx.worlds.edited import EditedWorld


@dataclass(frozen=True)
class LeaveOneOut:
    """Leave one out: the one history item without which the score falls most.

    The recommender is run once without each item: the effect of item j is score(H) - score(H without j), exactly. This
    is what LCER's authors call FIA and ACCENT in their comparison (their footnote 9), for a single item.
    """

    paper: ClassVar[str] = "exact; compare FIA (Cheng et al., KDD 2019)"
    needs_of_world: ClassVar[frozenset[str]] = frozenset()

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
        """Findings of one item; `details["per_item"]`: (column, effect in score units, rank without), largest first."""
        start = time.perf_counter()
        full = world.histories[row] >= 0
        pair, column = torch.nonzero(full, as_tuple=True)
        edits = full[pair]
        edits[torch.arange(len(pair)), column] = False
        base = world.scores(row, None, target[:, None])[:, 0]
        score = world.scores(row[pair], edits, target[pair, None])[:, 0]
        rank = world.rank(row[pair], edits, target[pair])
        effect = (base[pair] - score).cpu()
        pair, column, rank = pair.cpu(), column.cpu(), rank.cpu()
        seconds = (time.perf_counter() - start) / max(1, len(row))
        return [_finding(p, pair, column, effect, rank, seconds) for p in range(len(row))]


def _finding(
    p: int, pair: torch.Tensor, column: torch.Tensor, effect: torch.Tensor, rank: torch.Tensor, seconds: float
) -> Finding:
    mine = pair == p
    measured = zip(column[mine].tolist(), effect[mine].tolist(), rank[mine].tolist(), strict=True)
    rows = sorted(measured, key=lambda one: (-one[1], one[0]))
    searched = f"each of {len(rows):,} history items taken out alone"
    if not rows or rows[0][1] <= 0:
        return Finding(
            details={"per_item": rows},
            calls=2 * len(rows) + 1,
            seconds=seconds,
            searched=f"{searched}: none lowers the score",
        )
    return Finding(
        positions=(rows[0][0],),
        weights=(rows[0][1],),
        details={"per_item": rows},
        predicted_effect=rows[0][1],
        calls=2 * len(rows) + 1,
        seconds=seconds,
        searched=searched,
    )
