"""Bench: what one explanation costs, in time and memory, as the catalogue and the number of people grow."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import psutil
import torch

from recx.core import device as devices
from recx.core.progress import Progress, quiet
from recx.explainers.leave_one_out import LeaveOneOut
from recx.explainers.minimal import Minimal
from recx.models.multvae import Vae
from recx.worlds.edited import EditedWorld

MOST_SLOPE = 1.1
"""A cost that grows by this power of the catalogue counts as linear (issue 4)."""
MB = 2**20
LENGTH, WIDTH, LATENT = 20, 64, 32
"""Items of a history; numbers per item in the first and last layer, and in the code, of the scorer."""
K = 5


def run(
    progress: Progress = quiet,
    *,
    catalogues: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000),
    people: tuple[int, ...] = (10, 100, 1_000),
    pairs: int = 4,
    at: int = 2_000,
    max_calls: int = 100,
    rounds: int = 3,
) -> dict[str, Any]:
    """`{bench, ours_s, baseline_s, ratio, slope, slope_last, slope_people, most_mb, cases}`, on the CPU.

    Generated: histories of 20 different random items, the first recommendation of each person explained, a Mult-VAE of
    random weights (a row per item in its first and its last layer). Explainers: `minimal`, goal `necessary`, with
    about `max_calls` runs a pair at most, and `leave-one-out`.

    `cases`: one row per explainer and size; `axis` is items (`pairs` people each) or people (`at` items).
    `ms_per_pair`, `ms_per_run`: processor time, which other processes stretch little; `wall_ms_per_pair`; medians of
    `rounds` (one where a round takes over 10 s) after one round that is not timed, in which memory is watched. `runs`
    of the recommender per pair. `work_mb`: the most memory above what was held before, looked at every 2 ms;
    `model_mb`. Slopes are of log(ms per pair) on log(size), the largest of the explainers': `slope` over all
    catalogues, `slope_last` over the last two, `slope_people`. `ratio`: MOST_SLOPE over the larger of the first two.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a thread that waits for another counts as work on the processor's clock
    try:
        cases = _cases(progress, catalogues, people, pairs, at, max_calls, rounds)
    finally:
        torch.set_num_threads(threads)
    names = list(dict.fromkeys(case["explainer"] for case in cases))
    slopes = {axis: [slope(cases, name, axis) for name in names] for axis in ("items", "people")}
    last = [slope(cases, name, "items", 2) for name in names]
    largest = max(*slopes["items"], *last)
    return {
        "bench": "scale",
        "ours_s": None,
        "baseline_s": None,
        "ratio": round(MOST_SLOPE / largest, 2) if largest > 0 else None,
        "baseline": f"a cost that grows by the power {MOST_SLOPE} of the catalogue",
        "slope": round(max(slopes["items"]), 3),
        "slope_last": round(max(last), 3),
        "slope_people": round(max(slopes["people"]), 3),
        "most_mb": max(case["work_mb"] for case in cases),
        "work": (
            f"top {K}, histories of {LENGTH} items, {pairs} pairs a catalogue of {catalogues[0]:,} to "
            f"{catalogues[-1]:,} items, {people[0]:,} to {people[-1]:,} people at {at:,} items, Mult-VAE {WIDTH} wide "
            f"with random weights, cpu, 1 thread"
        ),
        "max_abs_diff": None,
        "cases": cases,
    }


def _cases(
    progress: Progress,
    catalogues: tuple[int, ...],
    people: tuple[int, ...],
    pairs: int,
    at: int,
    max_calls: int,
    rounds: int,
) -> list[dict[str, Any]]:
    explainers = {"minimal-necessary": Minimal(goal="necessary", max_calls=max_calls), "leave-one-out": LeaveOneOut()}
    sizes = [("items", n, pairs) for n in catalogues] + [("people", at, n) for n in people]
    cases: list[dict[str, Any]] = []
    for done, (axis, items, persons) in enumerate(sizes):
        progress(done / len(sizes), f"{items:,} items, {persons:,} people")
        world, row, target = generated(items, persons)
        model = sum(tensor.nbytes for tensor in world.scorer.tensors().values())
        for name, explainer in explainers.items():
            case = {"axis": axis, "size": items if axis == "items" else persons, "explainer": name}
            cases.append(case | measured(world, row, target, explainer, rounds) | {"model_mb": round(model / MB, 1)})
    return cases


def generated(items: int, persons: int) -> tuple[EditedWorld, torch.Tensor, torch.Tensor]:
    """A world of random histories Long[persons, LENGTH] without repeats; rows, and the first item of each list."""
    random, cpu = devices.generator(0), torch.device("cpu")
    step = items // LENGTH
    histories = torch.arange(LENGTH) * step + torch.randint(step, (persons, LENGTH), generator=random)
    world = EditedWorld(Vae.start(items, WIDTH, LATENT, random, cpu), histories)
    row = torch.arange(persons)
    return world, row, world.top_k(row, None, 1)[0][:, 0]  # also makes the scorer's tables, before any clock runs


def measured(
    world: EditedWorld, row: torch.Tensor, target: torch.Tensor, explainer: Any, rounds: int
) -> dict[str, Any]:
    """Milliseconds and runs per pair, and the memory that they took."""
    work = lambda: explainer.explain(world, row, target, K)  # noqa: E731
    before = world.calls
    with peak() as memory:
        first, _ = _clocked(work)
    runs = (world.calls - before) / len(row)
    clocks = [_clocked(work) for _ in range(rounds if first < 10 else 1)]
    wall, processor = (1000 * statistics.median(one) / len(row) for one in zip(*clocks, strict=True))
    return {
        "ms_per_pair": round(processor, 3),
        "wall_ms_per_pair": round(wall, 3),
        "ms_per_run": round(processor / runs, 4),
        "runs": round(runs, 1),
        "work_mb": round(memory[0] / MB, 1),
        "rounds": len(clocks),
    }


def _clocked(work: Callable[[], Any]) -> tuple[float, float]:
    """Seconds by the clock on the wall and by the processor's."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


@contextmanager
def peak(every: float = 0.002) -> Iterator[list[int]]:
    """A list whose one number is the most memory, in bytes, above what the process held at the start."""
    process, over = psutil.Process(), threading.Event()
    start = process.memory_info().rss
    most = [0]

    def look() -> None:
        while not over.wait(every):
            most[0] = max(most[0], process.memory_info().rss - start)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield most
    finally:
        over.set()
        watcher.join()


def slope(cases: list[dict[str, Any]], explainer: str, axis: str, last: int = 0) -> float:
    """The power of the size that milliseconds per pair grow by: least squares on logarithms; over the `last` sizes."""
    rows = [case for case in cases if (case["explainer"], case["axis"]) == (explainer, axis)][-last:]
    size, ms = (np.log([row[key] for row in rows]) for key in ("size", "ms_per_pair"))
    return float(np.polyfit(size, ms, 1)[0])
