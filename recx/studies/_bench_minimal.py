"""Bench: minimal sets of 500 pairs, all searches together, against one run at a time, and against LCER as published."""

from __future__ import annotations

import statistics
import time
from collections.abc import Generator
from typing import Any

import numpy as np
import torch

from recx.core.progress import Progress, quiet
from recx.explainers._check import Verdict, check
from recx.explainers._lockstep import Ask
from recx.explainers._smallest import Search
from recx.explainers.lcer import Lcer
from recx.explainers.minimal import Minimal
from recx.metrics.explanation import f_ns
from recx.recipes._build import fit_of
from recx.recipes._recipe import Get, plain_get
from recx.studies._bench_lcer import published_form
from recx.worlds.edited import EditedWorld


def run(
    progress: Progress = quiet,
    *,
    get: Get = plain_get,
    users: int = 100,
    k: int = 5,
    slow_pairs: int = 5,
    steps: int = 3000,
    slow_steps: int = 300,
    max_calls: int = 4000,
    settings: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """`{bench, ours_s, baseline_s, ratio, ...}`, `users` x top k of Mult-VAE on ML-100K; slow sides are extrapolated.

    `baseline_s`: the same search, one pair and one run of the recommender at a time. `lcer_s`: LCER in its published
    form, one pair at a time; `lcer_ratio` likewise. `f_ns`, `lcer_f_ns`: the quality of both on the same pairs,
    convention `app` (LCER's own answers, from the batched form). `max_abs_diff`: margins of the batched runs against
    single ones.
    """
    fit = fit_of("ml-100k", "multvae", settings or {}, split="held-out-users")
    split, scorer = get(fit.split_data), get(fit)
    world = EditedWorld(scorer, torch.as_tensor(split.test.histories[:users]))
    row = torch.arange(len(world.histories), device=scorer.device).repeat_interleave(k)
    target = world.top_k(row[::k], None, k)[0].flatten()
    some = torch.linspace(0, len(row) - 1, slow_pairs, device=scorer.device).long().tolist()
    recipe, rounds = Minimal(max_calls=max_calls), []
    for _ in range(3):
        start = time.perf_counter()
        findings = recipe.explain(world, row, target, k, progress=progress)
        rounds.append(time.perf_counter() - start)
    single = [_one_by_one(recipe, world, row[p : p + 1], target[p : p + 1], k) for p in some]
    threshold = world.top_k(row, None, k + 1)[1][:, -1]
    published = [_seconds_of_lcer(world, int(row[p]), int(target[p]), float(threshold[p]), slow_steps) for p in some]
    ours, n = statistics.median(rounds), len(row)
    slow, lcer = statistics.mean(single) * n, statistics.mean(published) * n * steps / slow_steps
    theirs = Lcer(steps=steps).explain(world, row, target, k)
    return {
        "bench": "minimal",
        "ours_s": round(ours, 2),
        "baseline_s": round(slow, 1),
        "ratio": round(slow / ours, 1),
        "baseline": f"the same search, one pair and one run at a time; extrapolated from {slow_pairs} pairs",
        "milliseconds_a_pair": round(1000 * ours / n, 1),
        "lcer_s": round(lcer, 1),
        "lcer_ratio": round(lcer / ours, 1),
        "lcer": f"LCER's published form; extrapolated from {slow_pairs} pairs x {slow_steps} of {steps} steps",
        "f_ns": _quality(check(world, row, target, k, findings), k),
        "lcer_f_ns": _quality(check(world, row, target, k, theirs), k),
        "work": f"{n} pairs, goal both, ml-100k, {scorer.device}, {torch.get_num_threads()} threads",
        "max_abs_diff": _difference(world, row, target, k),
    }


def _one_by_one(recipe: Minimal, world: EditedWorld, row: torch.Tensor, target: torch.Tensor, k: int) -> float:
    """Seconds of one pair's search when every set is a call of its own."""
    columns = np.flatnonzero(world.histories[int(row)].cpu().numpy() >= 0)
    plan: Generator[Ask, np.ndarray, Any] = Search(recipe.goal, len(columns), recipe.max_calls, recipe.chunk).run()
    start = time.perf_counter()
    try:
        ask = next(plan)
        while True:
            reply = []
            for kept in ask.keep:
                keep = torch.zeros(1, world.histories.shape[1], dtype=torch.bool)
                keep[0, columns[kept]] = True
                rank, margin = world.rank_and_margin(row, keep.to(row.device), target, k)
                reply.append((float(rank) <= k, float(margin)))
            ask = plan.send(np.array(reply, np.float32))
    except StopIteration:
        return time.perf_counter() - start


def _seconds_of_lcer(world: EditedWorld, person: int, target: int, limit: float, steps: int) -> float:
    history: Any = world.histories[person]
    scorer: Any = world.scorer
    start = time.perf_counter()
    published_form(scorer, history[history >= 0], target, limit, steps)
    return time.perf_counter() - start


def _quality(verdicts: list[Verdict], k: int) -> float:
    """F_NS in % over the pairs with an explanation."""
    named = [v for v in verdicts if v.rank_after is not None and v.rank_only is not None]
    necessary = np.mean([v.rank_after > k for v in named if v.rank_after is not None])
    sufficient = np.mean([v.rank_only <= k for v in named if v.rank_only is not None])
    return round(100 * float(f_ns(np.asarray(necessary), np.asarray(sufficient))), 2)


def _difference(world: EditedWorld, row: torch.Tensor, target: torch.Tensor, k: int) -> float:
    """The largest difference between margins of many edits at once and of one at a time."""
    keep = world.histories[row] >= 0
    keep &= torch.rand(keep.shape, generator=torch.Generator().manual_seed(0)).to(keep.device) > 0.1
    together = world.margins(row, keep, target[:, None], k)[:, 0]
    some = range(0, len(row), max(1, len(row) // 50))
    alone = [world.rank_and_margin(row[p : p + 1], keep[p : p + 1], target[p : p + 1], k)[1] for p in some]
    return float((together[list(some)] - torch.cat(alone)).abs().max())
