"""LCER: learned counterfactual sets, all pairs at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from recx.core import device as devices
from recx.core.progress import Progress, quiet
from recx.core.recipe import param
from recx.explainers._explanation import Finding
from recx.worlds.edited import EditedWorld

STRETCH = 1.35
"""A bucket holds histories whose lengths differ by at most this factor, so little padding is computed."""


@dataclass(frozen=True)
class Lcer:
    """LCER: a counterfactual set found by learning which items to remove.

    "Learning-based counterfactual explanations for recommendation", Eq. 7-12: each history item is removed with a learnt
    probability (its importance), sampled by a straight-through Gumbel-softmax; the loss is
    max(0, alpha + g_i(x_cf) - g_{K+1}(x_f)) + lambda * number removed, minimised by Adam. As the public code does, the
    answer is the sample of lowest loss among all steps (`answer = best-sample`); the paper's rule, importance above 0.5,
    is the other choice. Found means its own score condition g_i(x_cf) <= g_{K+1}(x_f): not a place in the list, which
    the check adds.
    """

    steps: int = param(3000, "Steps of Adam, each one sample", low=1, high=1_000_000)
    lr: float = param(1e-3, "Learning rate of Adam", low=1e-7, high=10.0)
    lam: float = param(0.01, "lambda: cost of each removed item in the loss", low=0.0, high=10.0)
    alpha: float = param(0.1, "alpha: how far the score must fall below the threshold", unit="score", low=0.0, high=100.0)
    temperature: float = param(1.0, "Temperature of the Gumbel-softmax", low=1e-3, high=100.0)
    answer: str = param(
        "best-sample", "best-sample: as the code; importance: as the paper", choices=("best-sample", "importance")
    )
    paper: ClassVar[str] = "lcer"
    needs_of_world: ClassVar[frozenset[str]] = frozenset({"soft"})

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
        """Findings with the importance of each named item as its weight.

        `details`: `score_after`, `threshold`, `validity` (the paper's score condition), `per_item` (column, importance).
        All pairs share the noise of a column, so an answer does not depend on what else is in the batch.
        """
        threshold = world.top_k(row, None, k + 1)[1][:, -1]
        findings: list[Finding | None] = [None] * len(row)
        done = 0
        for bucket in buckets((world.histories[row] >= 0).sum(1)):
            start = time.perf_counter()
            parts = self._learn(world, row[bucket], target[bucket], threshold[bucket], seed, progress, done, len(row))
            seconds = (time.perf_counter() - start) / len(bucket)
            for p, part in zip(bucket.tolist(), parts, strict=True):
                findings[p] = Finding(**part, calls=self.steps, seconds=seconds)
            done += len(bucket)
        return [finding for finding in findings if finding is not None]

    def _learn(
        self,
        world: EditedWorld,
        row: torch.Tensor,
        target: torch.Tensor,
        threshold: torch.Tensor,
        seed: int,
        progress: Progress,
        done: int,
        total: int,
    ) -> list[dict[str, Any]]:
        """Adam on one bucket of pairs; the keyword arguments of their findings."""
        rows, slot, targets = grouped(row, target)
        length = int((world.histories[row] >= 0).sum(1).max()) if len(row) else 0
        inner = EditedWorld(world.scorer, world.histories[rows][:, world.histories.shape[1] - max(1, length) :])
        here = (inner.histories >= 0)[:, None, :].expand(-1, targets.shape[1], -1)
        limit = threshold.new_full(targets.shape, float("inf"))
        limit[slot] = threshold
        score = inner.soft(torch.arange(len(rows), device=rows.device), targets)
        search = Search(self, here, limit, seed)
        every = max(1, self.steps // 100)
        for step in range(self.steps):
            search.step(score, step)
            if step % every == 0:
                progress((done + len(row) * step / self.steps) / total, f"step {step:,} of {self.steps:,}, {len(row)} pairs")
        world.calls += inner.calls
        return self._answers(search, score, slot, limit, world.histories.shape[1] - inner.histories.shape[1])

    def _answers(self, search: Search, score: Any, slot: Any, limit: torch.Tensor, shift: int) -> list[dict[str, Any]]:
        importance = torch.sigmoid(-search.logit)
        removed = search.best if self.answer == "best-sample" else (importance > 0.5) & search.here
        with torch.no_grad():
            after = score((search.here & ~removed).float())
        removed, importance, here = removed[slot].cpu(), importance[slot].cpu(), search.here[slot].cpu()
        after, limit = after[slot].cpu(), limit[slot].cpu()
        return [self._answer(removed[p], importance[p], here[p], float(after[p]), float(limit[p]), shift) for p in range(len(removed))]

    def _answer(
        self, removed: torch.Tensor, importance: torch.Tensor, here: torch.Tensor, after: float, limit: float, shift: int
    ) -> dict[str, Any]:
        columns = torch.nonzero(removed)[:, 0].tolist()
        columns.sort(key=lambda c: (-float(importance[c]), c))
        valid = bool(columns) and after <= limit
        all_items = torch.nonzero(here)[:, 0].tolist()
        per_item = sorted(((c + shift, float(importance[c])) for c in all_items), key=lambda one: -one[1])
        details = {"validity": valid, "score_after": after, "threshold": limit, "per_item": per_item}
        searched = f"{self.steps:,} sampled sets; {'the condition holds' if valid else 'none meets the condition'}"
        if not valid:
            return {"details": details, "searched": searched}
        return {
            "positions": tuple(c + shift for c in columns),
            "weights": tuple(float(importance[c]) for c in columns),
            "details": details,
            "searched": searched,
        }


class Search:
    """The state of the optimisation: `logit` Float[R, S, L] of keeping each item, and the best sample so far.

    The two columns of the published variable always move against each other by the same amount, so their difference is
    all that is kept: logistic noise instead of two Gumbel ones, and twice the learning rate.
    """

    def __init__(self, recipe: Lcer, here: torch.Tensor, limit: torch.Tensor, seed: int) -> None:
        self.recipe, self.here, self.limit = recipe, here, limit
        noise = column_noise(recipe.steps + 2, here.shape[2], seed)
        self.logit = (noise[0] - noise[1]).to(here.device).expand(here.shape).clone()
        self.noise = torch.logit(noise[2:], eps=1e-7).to(here.device)
        self.mean, self.square = torch.zeros_like(self.logit), torch.zeros_like(self.logit)
        self.best = torch.zeros_like(here)
        self.best_loss = torch.full_like(limit, float("inf"))

    def step(self, score: Any, step: int) -> None:
        """One sample per pair, its loss, its place in the archive, one step of Adam."""
        recipe = self.recipe
        soft = torch.sigmoid((self.logit + self.noise[step]) / recipe.temperature)
        kept = (soft > 0.5) & self.here
        keep = kept.float().requires_grad_()
        after = score(keep)
        overshoot = torch.relu(recipe.alpha + after - self.limit)
        slope = torch.autograd.grad(overshoot.sum(), keep)[0] - recipe.lam
        loss = overshoot.detach() + recipe.lam * (self.here & ~kept).sum(2)
        better = loss < self.best_loss
        self.best_loss = torch.where(better, loss, self.best_loss)
        self.best = torch.where(better[:, :, None], self.here & ~kept, self.best)
        self._adam(slope * soft * (1 - soft) / recipe.temperature, step + 1)

    def _adam(self, gradient: torch.Tensor, t: int) -> None:
        self.mean.mul_(0.9).add_(gradient, alpha=0.1)
        self.square.mul_(0.999).addcmul_(gradient, gradient, value=0.001)
        size = 2 * self.recipe.lr / (1 - 0.9**t)
        self.logit.addcdiv_(self.mean, (self.square / (1 - 0.999**t)).sqrt_().add_(1e-8), value=-size)


def column_noise(rows: int, length: int, seed: int) -> torch.Tensor:
    """Uniform Float[rows, length]: column c from the right has its own stream, so a longer row adds columns on the left."""
    columns = [torch.rand(rows, generator=devices.generator(seed * 1_000_003 + c)) for c in range(length)]
    return torch.stack(columns[::-1], dim=1)


def buckets(lengths: torch.Tensor) -> Iterator[torch.Tensor]:
    """Groups of pairs, Long[n] each, whose lengths lie within `STRETCH` of each other, short ones first."""
    order = torch.argsort(lengths, stable=True)
    ordered = lengths[order].tolist()
    start = 0
    for end in range(1, len(ordered) + 1):
        if end == len(ordered) or ordered[end] > STRETCH * max(8, ordered[start]):
            yield order[start:end]
            start = end


def grouped(row: torch.Tensor, target: torch.Tensor) -> tuple[torch.Tensor, Any, torch.Tensor]:
    """Pairs of the same person side by side: rows Long[R], slot (index of each pair in [R, S]), targets Long[R, S]."""
    rows, inverse, n = torch.unique(row, return_inverse=True, return_counts=True)
    order = torch.argsort(inverse, stable=True)
    place = torch.empty_like(order)
    starts = torch.cat([n.new_zeros(1), n.cumsum(0)[:-1]])
    place[order] = torch.arange(len(row), device=row.device) - starts[inverse[order]]
    targets = torch.zeros(len(rows), int(n.max()), dtype=torch.long, device=row.device)
    targets[inverse, place] = target
    return rows, (inverse, place), targets
