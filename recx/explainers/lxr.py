"""LXR: a small network, trained once for a recommender, that says at once which history items matter."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from recx.core import device as devices
from recx.core.errors import BadInput
from recx.core.progress import Progress, part_of, quiet
from recx.core.recipe import param
from recx.data.interactions import PAD, Interactions, Split
from recx.explainers._explanation import Finding
from recx.explainers._ranked import ranked
from recx.worlds.edited import EditedWorld

TARGETS, RIVALS = 10, 2
"""Items of a list that are explained in training; others, from the next places, that each is compared with."""
PLACES = 50
"""Rivals come from the places behind the targets up to this one."""
LENGTH = 200
"""The latest items of a history that training looks at."""
VALIDATION = 40
"""People on whom the weights of the loss are chosen, at most a fifth of all."""
TRIED = ((1.0, 0.2, 0.01), (1.0, 1.0, 0.1), (0.2, 1.0, 0.1), (1.0, 1.0, 1.0))
"""(lpos, lneg, alpha) of the loss that are tried; only their ratios matter."""
LENGTHS = (1, 2, 3, 5, 8)
"""Numbers of items removed when the weights are chosen."""
CELLS = 2**24
"""Entries of the item vectors that are held at a time."""


@dataclass(frozen=True)
class Lxr:
    """LXR: a network trained once to mark the history items that a recommendation needs.

    Barkan et al., "Learning to Explain Recommendations", WWW 2024: a network sees a history x and a target and gives a
    mask m in 0..1 over the history; it is trained against the recommender f on training users and their top lists by
    lpos (-log f(x m)) + lneg log f(x (1 - m)) + alpha mean(m), through differentiable edits. One pass explains.
    Deviations. The weights (lpos, lneg, alpha) are chosen among four on validation users, up to 40 of the training
    users: the authors' code chooses them on test users, by the metric it reports. f is the softmax over the target and
    two items of the places behind the list, not over the catalogue: hundreds of times cheaper, and it is the list's
    edge that counts. The set is the shortest start of the ranking that does it.
    """

    hidden: int = param(64, "Width of the network", low=1, high=4096)
    steps: int = param(300, "Steps of Adam for each of the four weightings of the loss", low=1, high=1_000_000)
    people: int = param(32, "Training users in a step", unit="users", low=1, high=100_000)
    tries: int = param(4, "Weightings of the loss that are tried, the first ones of four", low=1, high=4)
    lr: float = param(0.01, "Learning rate of Adam", low=1e-7, high=10.0)
    paper: ClassVar[str] = "Barkan et al., WWW 2024"
    needs_of_world: ClassVar[frozenset[str]] = frozenset({"soft", "population"})
    learns_with: ClassVar[tuple[str, ...]] = ("hidden", "steps", "people", "tries", "lr")
    learns_from: ClassVar[str] = "model"

    def learn(
        self, split: Split, scorer: Any = None, *, seed: int = 0, device: str = "auto", progress: Progress = quiet
    ) -> Marker:
        """The network for a fitted recommender, from the users that it was trained on; it trains where that one is."""
        return self._learn(split.train, scorer, seed, progress)

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
        """Findings with the mask of each item, 0..1, as its weight; `get` gives the network, or it is trained here."""
        start = time.perf_counter()
        if world.population is None:
            raise BadInput("LXR needs the training histories: give the world a population.")
        learnt = get() if get is not None else self._learn(world.population, world.scorer, 0, progress)
        net = learnt.to(world.histories.device)
        values = torch.empty(len(row), world.histories.shape[1], device=row.device)
        size = max(1, CELLS // (values.shape[1] * self.hidden))
        with torch.no_grad():
            for part in torch.arange(len(row), device=row.device).split(size):
                values[part] = net(world.histories[row[part]], target[part])
        said = "items by the mask of a network trained once"
        return ranked(world, row, target, k, values, said=said, calls=0, start=start, progress=progress)

    def _learn(self, train: Interactions, scorer: Any, seed: int, progress: Progress) -> Marker:
        """Trains one network per weighting of the loss; the best on validation people is kept."""
        start = time.perf_counter()
        world = people_of(train, scorer, seed)
        held = min(VALIDATION, len(world.histories) // 5)
        top, _ = world.top_k(torch.arange(len(world.histories), device=world.histories.device), None, PLACES)
        tries: list[dict[str, Any]] = []
        best: Marker | None = None
        for number, weights in enumerate(TRIED[: self.tries]):
            told = part_of(progress, number / self.tries, (number + 1) / self.tries)
            net = self._train(world, top, held, weights, seed, told)
            tries.append({"weights": list(weights), "removed": _quality(net, world, top, held)})
            if best is None or tries[-1]["removed"] > max(one["removed"] for one in tries[:-1]):
                best = net
        assert best is not None
        best.report = {"tries": tries, "validation": held, "seconds": round(time.perf_counter() - start, 3)}
        return best

    def _train(
        self,
        world: EditedWorld,
        top: torch.Tensor,
        held: int,
        weights: tuple[float, float, float],
        seed: int,
        progress: Progress,
    ) -> Marker:
        net = Marker(world.n_items, self.hidden, devices.generator(seed)).to(world.histories.device)
        optimiser = torch.optim.Adam(net.parameters(), lr=self.lr)
        for step, (row, items) in enumerate(_batches(top, held, self.people, self.steps, seed)):
            loss = _loss(net, world, row, items, weights)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if step % 20 == 0:
                progress(step / self.steps, f"step {step:,} of {self.steps:,}, weighting {weights}")
        return net.eval()


class Marker(nn.Module):
    """Masks from histories and targets: two encoders, one hidden layer, one output for each item of the catalogue."""

    def __init__(self, n_items: int, hidden: int, random: torch.Generator) -> None:
        super().__init__()
        self.sizes = (n_items, hidden)
        self.person, self.target = nn.Embedding(n_items, hidden), nn.Embedding(n_items, hidden)
        self.item, self.bias = nn.Embedding(n_items, hidden), nn.Parameter(torch.zeros(n_items))
        self.mix = nn.Linear(2 * hidden, hidden)
        for table in (self.person, self.target, self.item):
            nn.init.normal_(table.weight, std=hidden**-0.5, generator=random)
        nn.init.xavier_uniform_(self.mix.weight, generator=random)
        nn.init.zeros_(self.mix.bias)
        self.report: dict[str, Any] = {}

    def forward(self, histories: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Masks Float[B, L] in 0..1 of histories Long[B, L] for targets Long[B]; 0 for padding."""
        here = (histories != PAD).float()
        items = histories.clamp_min(0)
        person = (here[:, None] @ self.person(items))[:, 0] / here.sum(1, keepdim=True).clamp_min(1).sqrt()
        state = torch.tanh(self.mix(torch.tanh(torch.cat([person, self.target(targets)], dim=1))))
        return torch.sigmoid((self.item(items) @ state[:, :, None])[:, :, 0] + self.bias[items]) * here

    def tensors(self) -> dict[str, torch.Tensor]:
        return dict(self.state_dict())

    def settings(self) -> dict[str, Any]:
        return {"sizes": list(self.sizes)}

    @classmethod
    def from_tensors(cls, tensors: dict[str, torch.Tensor], settings: dict[str, Any]) -> Marker:
        n_items, hidden = settings["sizes"]
        net = cls(n_items, hidden, devices.generator(0)).to(tensors["bias"].device)
        net.load_state_dict(tensors)
        return net.eval()


def people_of(train: Interactions, scorer: Any, seed: int) -> EditedWorld:
    """The world of up to 3,000 training users with at least three items, in an order drawn by lot."""
    some = np.flatnonzero(np.diff(train.offsets) >= 3)
    if len(some) < 5:
        raise BadInput(f"LXR learns from training users with three items or more: {len(some)} are too few, give it 5.")
    chosen = np.random.default_rng(seed).permutation(some)[:3000]
    histories = torch.as_tensor(train.histories(chosen))[:, -LENGTH:]
    return EditedWorld(scorer, histories, torch.as_tensor(chosen), population=train)


def _batches(
    top: torch.Tensor, held: int, size: int, steps: int, seed: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """People Long[B] and, for each, one item of the top list and RIVALS from behind it, Long[B, 1 + RIVALS]."""
    random = devices.generator(seed)
    places = top.shape[1]
    first = min(TARGETS, places - 1)
    for _ in range(steps):
        row = torch.randint(held, len(top), (size,), generator=random)
        mine = torch.randint(0, first, (size, 1), generator=random)
        others = torch.randint(first, places, (size, RIVALS), generator=random)
        row, place = row.to(top.device), torch.cat([mine, others], dim=1).to(top.device)
        yield row, top[row].gather(1, place)


def _loss(
    net: Marker, world: EditedWorld, row: torch.Tensor, items: torch.Tensor, weights: tuple[float, float, float]
) -> torch.Tensor:
    """The loss of masks for the first of the items Long[B, 1 + R] against the others, kept and taken away."""
    width, n = world.widest(row), items.shape[1]
    histories = world.histories[row][:, -width:]
    here = histories != PAD
    mask = net(histories, items[:, 0])
    keep = torch.cat([mask[:, None].expand(-1, n, -1), (1 - mask)[:, None].expand(-1, n, -1)], dim=1)
    scores = world.soft([(row, items.repeat(1, 2))])([keep * here[:, None]])[0]
    with_them, without = F.log_softmax(scores[:, :n], dim=1)[:, 0], F.log_softmax(scores[:, n:], dim=1)[:, 0]
    kept = mask.sum(1) / here.sum(1).clamp_min(1)
    lpos, lneg, alpha = weights
    return (lneg * without - lpos * with_them + alpha * kept).mean()


def _quality(net: Marker, world: EditedWorld, top: torch.Tensor, held: int) -> float:
    """How often a target of validation people leaves the top list without its first few items, mean over LENGTHS."""
    first = min(TARGETS, top.shape[1] - 1)
    row = torch.arange(held, device=top.device).repeat_interleave(first)
    target, full = top[:held, :first].flatten(), world.histories[row] != PAD
    with torch.no_grad():
        place = net(world.histories[row], target).masked_fill(~full, -1.0).argsort(1, descending=True).argsort(1)
    gone = [world.rank(row, full & (place >= n), target) > first for n in LENGTHS]
    return float(torch.stack(gone).float().mean()) if held else 0.0
