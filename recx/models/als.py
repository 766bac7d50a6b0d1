"""ALS: matrix factorisation by alternating least squares, of ratings or of implicit feedback."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from recx.core import device as devices
from recx.core.progress import Progress, quiet
from recx.core.recipe import param
from recx.data.interactions import PAD, Heldout, Interactions
from recx.models._fold import RatingFactors, Side, by_length, once, ridge, table
from recx.models._pairs import cells, initial, rated

FACTORS = {"explicit": 16, "implicit": 64}
L2 = {"explicit": 14.0, "implicit": 30.0}


@dataclass(frozen=True)
class Als:
    """ALS: matrix factorisation by alternating least squares.

    `explicit`: biased ratings (Koren, Bell & Volinsky, Computer 2009, Eq. 5): minimise, over the known ratings, the sum
    of (r_ui - mu - b_u - b_i - p_u . q_i)^2 + l2 (|p|^2 + |q|^2) + l2_bias (|b_u|^2 + |b_i|^2), the penalties counted
    once per vector and not per rating. `implicit`: Hu, Koren & Volinsky, ICDM 2008, Eq. 3: over all pairs, the sum of
    c_ui (x_ui - p_u . q_i)^2 + l2 (|p|^2 + |q|^2), with x = 1 and confidence c = 1 + alpha for what the person has,
    x = 0 and c = 1 for the rest. Either way all people, then all items are solved exactly in turn.
    """

    kind: str = param("explicit", "explicit: ratings; implicit: what people have", choices=("explicit", "implicit"))
    factors: int | None = param(None, "Width of the vectors (none: 16 explicit, 64 implicit)", low=1, high=1024)
    l2: float | None = param(None, "Penalty on the vectors (none: 14 explicit, 30 implicit)", low=1e-3, high=1e6)
    l2_bias: float = param(5.0, "Penalty on the biases, explicit only", low=1e-3, high=1e6)
    alpha: float = param(2.0, "Confidence in what people have, beyond 1; implicit only", low=1e-3, high=1e6)
    tolerance: float = param(1e-5, "Converged when a sweep lowers the objective by this share", low=1e-9, high=0.1)
    epochs: int = param(100, "Most sweeps over people and items", low=1, high=100_000)
    max_seconds: float = param(150.0, "Training stops after this long", unit="s", low=1.0, high=1e6)
    paper: ClassVar[str] = "Koren et al., Computer 2009; Hu et al., ICDM 2008"

    def fit(
        self,
        data: Interactions,
        *,
        valid: Heldout | None = None,
        seed: int = 0,
        device: str = "auto",
        progress: Progress = quiet,
    ) -> RatingFactors | ImplicitFactors:
        """Sweep until the objective stands still. Raises BadInput when `explicit` and the data have no ratings."""
        place = devices.resolve(device)
        factors = FACTORS[self.kind] if self.factors is None else self.factors
        l2 = L2[self.kind] if self.l2 is None else self.l2
        fit = _fit_ratings if self.kind == "explicit" else _fit_implicit
        return fit(self, data, initial(seed, 1, data.n_items, factors, 0.1).to(place), l2, progress)


def _fit_ratings(model: Als, data: Interactions, q: torch.Tensor, l2: float, progress: Progress) -> RatingFactors:
    """Explicit: the vectors are [p_u, b_u] for people and [q_i, b_i] for items, each with 1 for the other's bias."""
    user, item, rating = rated(data, "als --set kind=explicit")
    place, width = q.device, q.shape[1]
    people, things = Side(user, item, data.n_users, place), Side(item, user, data.n_items, place)
    u, i = (torch.as_tensor(codes.astype(np.int64)).to(place) for codes in (user, item))
    mean = float(rating.mean(dtype=np.float64))
    above = torch.as_tensor(rating - np.float32(mean)).to(place)
    penalty = torch.tensor([l2] * width + [model.l2_bias], device=place)
    p, q = q.new_zeros(data.n_users, width + 1), torch.nn.functional.pad(q, (0, 1))

    def sweep() -> float:
        p.copy_(people.solve(_with_one(q), above - q[i, -1], torch.diag(penalty)))
        q.copy_(things.solve(_with_one(p), above - p[u, -1], torch.diag(penalty)))
        error = above - p[u, -1] - q[i, -1] - (p[u, :-1] * q[i, :-1]).sum(1)
        return float(error.square().sum() + (p.square().sum(0) + q.square().sum(0)) @ penalty)

    report = _sweeps(model, sweep, "squared error and penalty", progress) | {"parameters": p.numel() + q.numel()}
    baseline, x = mean + q[:, -1], _with_one(q)
    values = above + mean - baseline[i]
    tensors = {
        "baseline": baseline,
        "items": x,
        "learnt": table(people.solve(x, values, torch.diag(penalty))),
        "penalty": penalty,
        "keys": u * data.n_items + i,
        "ratings": values,
    }
    scale = {"low": float(rating.min()), "high": float(rating.max())}
    scorer = RatingFactors(tensors, {"each": 0.0, "liked": float(values.std())} | scale)
    scorer.report = report
    return scorer


def _with_one(vectors: torch.Tensor) -> torch.Tensor:
    """Vectors with 1 in place of their bias: what the other side's bias is multiplied by."""
    return torch.cat([vectors[:, :-1], torch.ones_like(vectors[:, -1:])], dim=1)


def _fit_implicit(model: Als, data: Interactions, q: torch.Tensor, l2: float, progress: Progress) -> ImplicitFactors:
    user, item, _ = cells(data)
    place = q.device
    people, things = Side(user, item, data.n_users, place), Side(item, user, data.n_items, place)
    u, i = (torch.as_tensor(codes.astype(np.int64)).to(place) for codes in (user, item))
    confidence = torch.full((len(u),), 1.0 + model.alpha, device=place)
    p = q.new_zeros(data.n_users, q.shape[1])

    def sweep() -> float:
        p.copy_(people.solve(q, confidence, _all_pairs(q, l2), model.alpha))
        q.copy_(things.solve(p, confidence, _all_pairs(p, l2), model.alpha))
        score = (p[u] * q[i]).sum(1)
        there = ((1 + model.alpha) * (1 - score).square() - score.square()).sum()
        return float(there + ((p.T @ p) * (q.T @ q)).sum() + l2 * (p.square().sum() + q.square().sum()))

    report = _sweeps(model, sweep, "weighted squared error and penalty", progress) | {
        "parameters": p.numel() + q.numel()
    }
    scorer = ImplicitFactors(q, _all_pairs(q, l2), model.alpha)
    scorer.report = report
    return scorer


def _all_pairs(vectors: torch.Tensor, l2: float) -> torch.Tensor:
    """Float[k, k]: the part of the normal equations that is the same for all (Hu et al., section 4)."""
    return vectors.T @ vectors + l2 * torch.eye(vectors.shape[1], device=vectors.device)


def _sweeps(model: Als, sweep: Callable[[], float], unit: str, progress: Progress) -> dict[str, Any]:
    """Sweep until the objective stands still, the sweeps are done or the seconds used up; the report."""
    begin, curve, stopped = time.perf_counter(), [], "epochs"
    for epoch in range(1, model.epochs + 1):
        loss, seconds = sweep(), time.perf_counter() - begin
        curve.append({"epoch": epoch, "loss": loss, "quality": None, "seconds": seconds})
        progress(min(1.0, max(epoch / model.epochs, seconds / model.max_seconds)), f"sweep {epoch}: {unit} {loss:,.1f}")
        if epoch > 1 and curve[-2]["loss"] - loss < model.tolerance * abs(loss):
            stopped = "tolerance"
            break
        if seconds > model.max_seconds:
            stopped = "max_seconds"
            break
    return {"epochs": len(curve), "converged": stopped == "tolerance", "stopped": stopped, "curve": curve}


class ImplicitFactors:
    """p . q_i, p being solved for each history: `items` q Float[n_items, k], `start` Float[k, k] = Q^T Q + l2 I."""

    exact_scores: ClassVar[bool] = True
    edited_history: ClassVar[str] = (
        "The person's vector is solved anew, exactly, from the remaining items: the items' vectors stay."
    )

    def __init__(self, items: torch.Tensor, start: torch.Tensor, alpha: float) -> None:
        self.items, self.start, self.alpha = items, start, alpha
        self.n_items, self.device = len(items), items.device
        self.report: dict[str, Any] = {}

    def score(
        self, histories: torch.Tensor, users: torch.Tensor | None = None, items: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Float[B, n_items or T]: about 1 for what the person would have, about 0 for the rest."""
        people = self.people(histories)
        return people @ self.items.t() if items is None else (self.items[items] @ people[:, :, None])[:, :, 0]

    def people(self, histories: torch.Tensor) -> torch.Tensor:
        """Float[B, k]: the exact solution for each history (Hu et al., Eq. 4), in groups of like length."""
        lists = once(histories)
        out = self.items.new_zeros(len(lists), self.items.shape[1])
        for rows, width in by_length((histories != PAD).sum(1), self.items.shape[1]):
            part = lists[rows][:, -width:]
            out[rows] = self._ridge(part, (part != PAD).to(out.dtype))
        return out

    def _ridge(self, items: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
        x = self.items[items.clamp_min(0)]
        return ridge(
            x if keep.ndim == 2 else x[:, None], torch.full_like(keep, 1 + self.alpha), keep, self.start, self.alpha
        )

    def soft_score(self, histories: torch.Tensor, keep: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Float[B, S] of targets Long[B, S] under soft edits keep Float[B, S, L]. A history must not repeat an item."""
        people = self._ridge(histories, keep * (histories != PAD)[:, None])
        return (people * self.items[targets]).sum(2)

    def item_vectors(self) -> torch.Tensor:
        """Float[n_items, k]."""
        return self.items

    def tensors(self) -> dict[str, torch.Tensor]:
        return {"items": self.items, "start": self.start}

    def settings(self) -> dict[str, Any]:
        return {"alpha": self.alpha}

    @classmethod
    def from_tensors(cls, tensors: dict[str, torch.Tensor], settings: dict[str, Any]) -> ImplicitFactors:
        return cls(tensors["items"], tensors["start"], settings["alpha"])
