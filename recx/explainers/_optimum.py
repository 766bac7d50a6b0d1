"""The smallest set of all, by trying every one: the yardstick of every explainer."""

from __future__ import annotations

from collections.abc import Generator
from itertools import combinations, islice

import numpy as np
import torch

from recx.core.errors import BadInput
from recx.core.progress import Progress, quiet
from recx.explainers._lockstep import Ask, run_together
from recx.worlds.edited import EditedWorld

CHUNK = 4096
"""Sets asked about at a time for one pair."""
MOST = 22
"""More items than these have too many sets to try."""


def smallest_sizes(
    world: EditedWorld,
    row: torch.Tensor,
    target: torch.Tensor,
    k: int,
    goal: str,
    *,
    limit: int = 18,
    progress: Progress = quiet,
) -> torch.Tensor:
    """Long[P]: items of the smallest set that meets the goal; 0 where no set does, -1 for histories beyond `limit`.

    `goal`: "necessary" (without it the target leaves the top k) or "both" (and alone it recommends it). A target that
    by the strict count is not in the top k has no such set. All 2^n - 1 sets are tried, the small ones first, until one
    does it. Raises BadInput for a limit above 22.
    """
    if limit > MOST:
        raise BadInput(f"a limit of {limit} items means {2**limit:,} sets a pair: use at most {MOST}.")
    own = [np.flatnonzero(history >= 0) for history in world.histories[row].cpu().numpy()]
    sizes = torch.full((len(row),), -1, dtype=torch.long)
    short = [p for p, columns in enumerate(own) if len(columns) <= limit]
    at = torch.tensor(short, dtype=torch.long, device=row.device)
    plans = [_every_set(len(own[p]), goal == "both") for p in short]
    found = run_together(world, row[at], target[at], k, [own[p] for p in short], plans, progress)
    sizes[at.cpu()] = torch.tensor(found, dtype=torch.long)
    return sizes.to(row.device)


def _every_set(n: int, both: bool) -> Generator[Ask, np.ndarray, int]:
    """All sets of 1, 2, ... n items, until one meets the goal."""
    before = yield Ask(np.ones((1, n), bool))
    if before[0, 0] == 0:
        return 0
    for size in range(1, n + 1):
        every = combinations(range(n), size)
        while part := list(islice(every, CHUNK)):
            sets = np.zeros((len(part), n), bool)
            np.put_along_axis(sets, np.array(part), True, axis=1)
            out = yield Ask(~sets)
            good = sets[out[:, 0] == 0]
            if len(good) and both:
                alone = yield Ask(good)
                good = good[alone[:, 0] > 0]
            if len(good):
                return size
    return 0
