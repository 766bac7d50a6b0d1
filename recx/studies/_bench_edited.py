"""Bench: 10,000 edited histories of one user, ranked by SASRec, against the form that computes every position."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch

from recx.core import device as devices
from recx.core.progress import Progress, quiet
from recx.models._scorer import compact
from recx.models._sequence import left_aligned
from recx.recipes._build import fit_of
from recx.recipes._recipe import Get, plain_get
from recx.studies import _peers
from recx.worlds.edited import EditedWorld


def run(
    progress: Progress = quiet,
    *,
    get: Get = plain_get,
    dataset: str = "ml-1m",
    edits: int = 10_000,
    slow_edits: int = 200,
    settings: dict[str, Any] | None = None,
    device: str = "auto",
) -> dict[str, Any]:
    """`{ours_s, baseline_s, ratio, baseline, work, max_abs_diff}`; the slow side is extrapolated and says so.

    The user with the longest history; each edit deletes 1 to 20 of its latest items. Ours: `EditedWorld.rank` of one
    target, over the whole catalogue. Baseline: the states and the scores of every position of every edited history, as
    a training pass computes them, of which the last is used. A default SASRec, briefly trained: its time does not
    depend on what it has learnt.
    """
    fit = fit_of(_peers.whole(dataset), "sasrec", settings or {"epochs": 1, "max_seconds": 5.0}, device=device)
    split = get(fit.split_data)
    progress(0.0, "training briefly")
    scorer = fit.model.build().fit(split.train, device=device)
    user = int(np.diff(split.train.offsets).argmax())
    world = EditedWorld(scorer, torch.as_tensor(split.train.histories(np.array([user]))))
    row = torch.zeros(edits, dtype=torch.long, device=scorer.device)
    keep = _edits(edits, world.histories.shape[1], scorer.max_len).to(scorer.device)
    target = world.top_k(row[:1], None, 1)[0][:, 0].expand(edits)
    progress(0.3, f"{edits:,} edited histories")
    ours, ranks = _seconds(lambda: world.rank(row, keep, target), scorer.device)
    progress(0.7, f"{slow_edits:,} of them at every position")
    few = slice(0, slow_edits)
    slow, scores = _seconds(lambda: every_position(scorer, world.histories[row[few]], keep[few]), scorer.device)
    scale = edits / slow_edits
    return {
        "bench": "edited",
        "ours_s": round(ours, 3),
        "baseline_s": round(slow * scale, 1),
        "ratio": round(slow * scale / ours, 1),
        "baseline": f"states and scores of every position; extrapolated from {slow_edits} edited histories",
        "work": (
            f"{edits:,} edited histories of one user with {int((world.histories >= 0).sum()):,} events, the latest "
            f"{scorer.max_len} looked at, rank of one of {scorer.n_items:,} items, {dataset}, {scorer.device}, "
            f"{torch.get_num_threads()} threads"
        ),
        "max_abs_diff": float((scores - world.scores(row[few], keep[few])).abs().max()),
        "mean_rank": round(float(ranks.float().mean()), 2),
    }


def every_position(scorer: Any, histories: torch.Tensor, keep: torch.Tensor, size: int = 20) -> torch.Tensor:
    """Float[S, n_items]: scores of edited histories by way of all positions' states and scores, `size` at a time."""
    items, length = left_aligned(compact(histories, keep), scorer.max_len)
    parts = []
    with torch.no_grad():
        for start in range(0, len(items), size):
            part = slice(start, start + size)
            table, bias = scorer.net.table()
            every = scorer.net(items[part]) @ table.t() + (0 if bias is None else bias)
            parts.append(every[torch.arange(len(every), device=every.device), length[part]])
    return torch.cat(parts)


def _edits(n: int, length: int, window: int) -> torch.Tensor:
    """Bool[n, L]: what each edit keeps: all but 1 to 20 items at random places of the window."""
    random = devices.generator(0)
    width = min(window, length)
    most = min(20, width)
    keep = torch.ones(n, length, dtype=torch.bool)
    order = torch.rand(n, width, generator=random).argsort(dim=1)[:, :most]
    drop = torch.arange(most) < torch.randint(1, most + 1, (n, 1), generator=random)
    keep[:, length - width :].scatter_(1, order, ~drop)
    return keep


def _seconds(work: Any, device: torch.device) -> tuple[float, Any]:
    begin = time.perf_counter()
    result = work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - begin, result
