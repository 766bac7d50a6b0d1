"""Bench: LCER on 500 pairs, all at once, against one pair at a time, as published and with our own kernel."""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch
from torch.nn import functional as F

from recx.core import device as devices
from recx.core.progress import Progress, quiet
from recx.explainers.lcer import Lcer
from recx.models.multvae import Vae
from recx.recipes._build import fit_of
from recx.recipes._recipe import Get, plain_get
from recx.worlds.edited import EditedWorld


def run(
    progress: Progress = quiet,
    *,
    get: Get = plain_get,
    users: int = 100,
    k: int = 5,
    steps: int = 3000,
    slow_pairs: int = 3,
    slow_steps: int = 300,
    settings: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """`{bench, ours_s, baseline_s, ratio, baseline, work, max_abs_diff, ...}`; slow sides are extrapolated and say so.

    `baseline_s`: the published form, one pair at a time, the whole [n_items, 2] variable, all outputs. `batch_1_s`: our
    kernel with one pair a batch. `max_abs_diff`: our scores against the published form's, on the same hard samples.
    """
    fit = fit_of("ml-100k", "multvae", settings or {"epochs": 20}, split="held-out-users")
    split, scorer = get(fit.split_data), get(fit)
    world = EditedWorld(scorer, torch.as_tensor(split.test.histories[:users]))
    row = torch.arange(len(world.histories), device=scorer.device).repeat_interleave(k)
    target = world.top_k(row[::k], None, k)[0].flatten()
    threshold = world.top_k(row, None, k + 1)[1][:, -1]
    some = torch.linspace(0, len(row) - 1, slow_pairs, device=scorer.device).long()
    ours = _seconds(lambda: Lcer(steps=steps).explain(world, row, target, k, progress=progress))
    scale = len(row) * steps / slow_steps
    single = statistics.median(
        _seconds(lambda p=p: Lcer(steps=slow_steps).explain(world, row[p, None], target[p, None], k)) for p in some
    )
    history = [world.histories[row[p]] for p in some]
    published = statistics.median(
        _seconds(lambda p=p, h=h: published_form(scorer, h[h >= 0], int(target[p]), float(threshold[p]), slow_steps))
        for p, h in zip(some, history, strict=True)
    )
    return {
        "bench": "lcer",
        "ours_s": round(ours, 2),
        "baseline_s": round(published * scale, 1),
        "ratio": round(published * scale / ours, 1),
        "baseline": f"the published form, one pair at a time; extrapolated: {slow_pairs} pairs x {slow_steps} steps",
        "batch_1_s": round(single * scale, 1),
        "batch_1_ratio": round(single * scale / ours, 1),
        "work": f"{len(row)} pairs x {steps} steps, ml-100k, {scorer.device}, {torch.get_num_threads()} threads",
        "max_abs_diff": _difference(scorer, world, row, target),
    }


def published_form(scorer: Vae, items: torch.Tensor, target: int, limit: float, steps: int, seed: int = 2022) -> Any:
    """LCER as its public code computes it: a variable [n_items, 2], a Gumbel sample of it, all outputs, Adam.

    Written after `../shared/notes/reference.md` 1.1. Returns the removed items of the best sample, Long[n].
    """
    random = devices.generator(seed, scorer.device)
    factual = torch.zeros(scorer.n_items, device=scorer.device)
    factual[items] = 1.0
    variable = torch.rand(scorer.n_items, 2, generator=random, device=scorer.device).requires_grad_()
    optimiser = torch.optim.Adam([variable], lr=1e-3)
    best, best_loss = items[:0], float("inf")
    for _ in range(steps):
        uniform = torch.rand(variable.shape, generator=random, device=scorer.device).clamp_min(1e-10)
        soft = F.softmax(variable - torch.log(-torch.log(uniform)), dim=1)
        hard = F.one_hot(soft.argmax(1), 2).float()
        kept = factual * (hard + soft - soft.detach())[:, 1]
        score = dense_scores(scorer, kept[None])[0, target]
        removed = factual.sum() - kept.sum()
        loss = torch.relu(0.1 + score - limit) + 0.01 * removed
        optimiser.zero_grad()
        loss.backward(inputs=[variable])
        optimiser.step()
        if float(loss.detach()) < best_loss:
            best, best_loss = torch.nonzero((factual > 0) & (hard[:, 1] == 0))[:, 0], float(loss.detach())
    return best


def dense_scores(scorer: Vae, x: torch.Tensor) -> torch.Tensor:
    """Logits Float[B, n_items] of inputs Float[B, n_items], every layer in full."""
    net = scorer.net
    mean, _ = net["code"](torch.tanh(net["input"](F.normalize(x)))).chunk(2, dim=1)
    return net["output"](torch.tanh(net["up"](mean)))


def _difference(scorer: Vae, world: EditedWorld, row: torch.Tensor, target: torch.Tensor) -> float:
    """The largest difference between the gathered and the full scores on random 0/1 edits of every pair."""
    n = len(world.histories)
    targets = target.view(n, -1)
    width = world.widest(row)
    keep = torch.rand(n, targets.shape[1], width, generator=devices.generator(0)).to(target.device).round()
    ours = world.soft([(torch.arange(n, device=target.device), targets)])([keep])[0]
    history = world.histories[:, -width:]
    full = torch.zeros(n, targets.shape[1], scorer.n_items + 1, device=target.device)
    full.scatter_(2, history.remainder(scorer.n_items + 1)[:, None].expand_as(keep), keep)
    plain = dense_scores(scorer, full[:, :, :-1].flatten(0, 1)).view(*targets.shape, -1)
    return (ours - plain.gather(2, targets[:, :, None])[:, :, 0]).detach().abs().max().item()


def _seconds(work: Any) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
