"""Bench: the top 10 of all users of ML-1M from vectors, against `implicit`; and the memory of a full evaluation."""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recx.core import device as devices
from recx.core import registry
from recx.core.progress import Progress, quiet
from recx.data.interactions import Interactions
from recx.metrics.evaluate import evaluate
from recx.metrics.topk import top_k
from recx.recipes._build import fit_of
from recx.recipes._recipe import Get, plain_get
from recx.studies import _peers

MOST_MB = 2000
"""A full-ranking evaluation of ML-1M stays below this (issue 3)."""


def run(
    progress: Progress = quiet,
    *,
    get: Get = plain_get,
    dataset: str = "ml-1m",
    dim: int = 64,
    k: int = 10,
    rounds: int = 9,
    models: tuple[str, ...] = ("sasrec", "bpr"),
) -> dict[str, Any]:
    """`{ours_s, baseline_s, ratio, baseline, work, max_abs_diff, different_items, evaluation}`.

    Both sides rank the same random vectors in turn, so that whatever else the machine does falls on both; medians.
    `max_abs_diff`: of the scores, place by place. `different_items`: places that name another item although the scores
    there differ by more than float rounding. `evaluation`: peak memory of loading, a second of training and a full
    evaluation, each model in a process of its own.
    """
    train = get(fit_of(_peers.whole(dataset), "toppop").split_data).train
    progress(0.0, f"top {k} of {train.n_users:,} users")
    ours, theirs, found = _ranked(train, dim, k, rounds)
    names = [name for name in models if name in registry.names("models")]
    peaks = []
    for i, name in enumerate(names):
        progress((1 + i) / (1 + len(names)), f"full evaluation of {name} in a process of its own")
        peaks.append(_peak(dataset, name))
    return {
        "bench": "rank",
        "ours_s": round(ours, 4),
        "baseline_s": round(theirs, 4),
        "ratio": round(theirs / ours, 2),
        "baseline": f"implicit {_peers.versions()['implicit']}: recommend(N={k}, filter_already_liked_items=True), CPU",
        "work": (
            f"top {k} of {train.n_users:,} users and {train.n_items:,} items, {dim} numbers a vector, "
            f"{len(train):,} seen events removed, {dataset}, cpu, {torch.get_num_threads()} threads, "
            f"median of {rounds} in turn"
        ),
        **found,
        "evaluation_peak_mb": max((row["peak_mb"] for row in peaks), default=None),
        "evaluation_limit_mb": MOST_MB,
        "cases": peaks,
    }


def _ranked(train: Interactions, dim: int, k: int, rounds: int) -> tuple[float, float, dict[str, Any]]:
    """Median seconds of ours and theirs, and how their lists differ."""
    random = devices.generator(0)
    users, items = (torch.randn(n, dim, generator=random) for n in (train.n_users, train.n_items))
    offsets, seen = torch.as_tensor(train.offsets), torch.as_tensor(train.item.astype(np.int64))
    clocks: tuple[list[float], list[float]] = ([], [])
    with tempfile.TemporaryDirectory(prefix="recx-bench-") as name:
        folder = Path(name)
        np.save(folder / "users.npy", users.numpy())
        np.save(folder / "items.npy", items.numpy())
        _peers.write_seen(train, folder)
        with _peers.running("implicit_rank", folder, {"k": k}, threads=torch.get_num_threads()) as peer:
            peer.hear()
            peer.ask(go=True)
            for _ in range(rounds):
                begin = time.perf_counter()
                best, scores = top_k(users, items, k, offsets, seen)
                clocks[0].append(time.perf_counter() - begin)
                clocks[1].append(peer.ask(go=True)["seconds"])
        theirs = torch.as_tensor(np.load(folder / "scores.npy"))
        ids = torch.as_tensor(np.load(folder / "ids.npy").astype(np.int64))
    apart = (scores - theirs).abs()
    other = int(((best != ids) & (apart > 1e-4)).sum())
    ours_s, theirs_s = (statistics.median(clock) for clock in clocks)
    return ours_s, theirs_s, {"max_abs_diff": float(apart.max()), "different_items": other}


def _peak(dataset: str, model: str) -> dict[str, Any]:
    """Peak memory and seconds of a full evaluation in a fresh process."""
    command = [sys.executable, "-m", "recx.studies._bench_rank", dataset, model]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=registry.PACKAGE.parent)
    if done.returncode:
        raise RuntimeError(f"the evaluation of {model} on {dataset} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def _evaluate(dataset: str, model: str) -> dict[str, Any]:
    """A second of training, then the evaluation; the peak is that of the whole process."""
    settings = {name: value for name, value in {"epochs": 1, "max_seconds": 1.0}.items() if name in _fields(model)}
    fit = fit_of(_peers.whole(dataset), model, settings, device="cpu")
    split = plain_get(fit.split_data)
    scorer = fit.model.build().fit(split.train, device="cpu")
    begin = time.perf_counter()
    found = evaluate(scorer, split.test)
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    return {"model": model, "peak_mb": round(peak), "seconds": round(seconds, 2), "users": found["n"]}


def _fields(model: str) -> set[str]:
    return {row["name"] for row in registry.form("models", model)["parameters"]}


if __name__ == "__main__":
    print(json.dumps(_evaluate(sys.argv[1], sys.argv[2])))
