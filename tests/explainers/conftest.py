"""Worlds small enough that every set of history items can be tried."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from recx.core import device as devices
from recx.core import registered, registry
from recx.data.interactions import PAD, Interactions
from recx.models import gru4rec, sasrec
from recx.models._external_blackbox import Answer, BlackBox, Ids
from recx.models._sequence import scorer_of
from recx.models.ease import ItemWeights
from recx.models.multvae import Vae
from recx.worlds.edited import EditedWorld

KINDS = ("ease", "multvae", "sasrec", "gru4rec", "external")
"""Kinds of model: additive; a network; one that attends; one that reads in order; a function that can only be asked."""


def world_of(kind: str, seed: int = 0, people: int = 4, length: int = 7, n_items: int = 25) -> EditedWorld:
    """A model of a kind with random weights; the second person has a shorter history."""
    stream = torch.Generator().manual_seed(seed)
    histories = torch.stack([torch.randperm(n_items, generator=stream)[:length] for _ in range(people)])
    histories[1, :3] = PAD
    people_before = population(n_items, seed)
    scorer: Any
    if kind == "ease":
        scorer = ItemWeights(torch.randn(n_items, n_items, generator=stream))
    elif kind == "sasrec":
        scorer = scorer_of(larger(sasrec.Encoder(n_items, 8, 2, 2, length, devices.generator(seed))), "made")
    elif kind == "gru4rec":
        scorer = scorer_of(larger(gru4rec.Reader(n_items, 8, 1, True, length, devices.generator(seed))), "made")
    elif kind == "external":
        scorer = black_box(torch.randn(n_items, n_items, generator=stream).numpy(), people_before)
    else:
        scorer = Vae.start(n_items, 16, 8, devices.generator(seed), torch.device("cpu"))
        for layer in scorer.net.values():
            layer.weight.data.mul_(3)
    return EditedWorld(scorer, histories, population=people_before)


def larger(net: torch.nn.Module) -> torch.nn.Module:
    """Weights of three times their size: histories matter more than at the start of a training."""
    for weight in net.parameters():
        weight.data.mul_(3)
    return net


def black_box(weights: np.ndarray, data: Interactions) -> BlackBox:
    """A registered Python function as recx asks it: not additive, the later items of a history count more."""
    entry = registered.Registered(
        "own", "python", registered.PythonModel("own:scores"), registered.About(), Path("models.toml")
    )

    def ask(histories: torch.Tensor, users: torch.Tensor) -> Answer:
        out = np.zeros((len(histories), len(weights)), np.float32)
        for row, history in enumerate(histories.tolist()):
            for place, item in enumerate(one for one in history if one >= 0):
                out[row] += (1 + 0.1 * place) * np.maximum(weights[item], 0.0)
            out[row] = np.sqrt(out[row])
        return Answer(torch.as_tensor(out), exact=True)

    return BlackBox(entry, "1", Ids.of(data), ask, True, torch.device("cpu"))


def population(n_items: int, seed: int) -> Interactions:
    stream = np.random.default_rng(seed)
    rows = [np.sort(stream.choice(n_items, stream.integers(2, 9), replace=False)) for _ in range(50)]
    user = np.repeat(np.arange(50), [len(r) for r in rows]).astype(np.int32)
    users = pd.DataFrame({"id": [str(u) for u in range(50)]})
    items = pd.DataFrame({"id": [str(i) for i in range(n_items)], "title": [f"Item {i}" for i in range(n_items)]})
    return Interactions("made", user, np.concatenate(rows).astype(np.int32), users, items)


def columns_of(world: EditedWorld, row: int) -> list[int]:
    return [c for c, item in enumerate(world.histories[row].tolist()) if item != PAD]


def plain_rank(world: EditedWorld, row: int, kept: set[int], target: int) -> int:
    """The place of a target by a loop over the catalogue, with the columns `kept` as history."""
    history = torch.tensor([[int(world.histories[row, c]) for c in sorted(kept)] or [PAD]])
    scores = world.scorer.score(history)[0].tolist()
    free = [i for i in range(world.n_items) if i not in world.histories[row]]
    return 1 + sum(scores[i] >= scores[target] for i in free if i != target)


def does(world: EditedWorld, row: int, target: int, named: set[int], k: int, goal: str) -> bool:
    """Whether a set of columns meets a goal, tried by hand."""
    own = set(columns_of(world, row))
    out = plain_rank(world, row, own - named, target) > k
    return out and (goal == "necessary" or plain_rank(world, row, named, target) <= k)


def smallest(world: EditedWorld, row: int, target: int, k: int, goal: str) -> int | None:
    """The size of the smallest set that meets a goal, by trying all."""
    own = columns_of(world, row)
    for size in range(1, len(own) + 1):
        if any(does(world, row, target, set(named), k, goal) for named in combinations(own, size)):
            return size
    return None


def pairs_of(world: EditedWorld, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Everybody with each item of their top k."""
    rows = torch.arange(len(world.histories))
    top, _ = world.top_k(rows, None, k)
    return rows.repeat_interleave(k), top.flatten()


QUICK: dict[str, Any] = {
    "steps": 60,
    "most": 120,
    "max_calls": 300,
    "samples": 64,
    "people": 8,
    "tries": 1,
    "hidden": 32,
    "epochs": 20,
    "m": 100,
    "m_test": 20,
}
"""Settings that make an explainer quick, given to all that have them."""


def made(name: str, **settings: Any) -> Any:
    """An explainer by name, quick."""
    cls = registry.load("explainers", name)
    quick = {key: value for key, value in QUICK.items() if key in cls.__dataclass_fields__}
    return cls(**(quick | settings))


def world_for(explainer: Any, *kinds: str) -> EditedWorld:
    """The first of the worlds that can do what the explainer needs; the last can do all."""
    worlds = [world_of(kind) for kind in (*kinds, "sasrec")]
    return next(world for world in worlds if explainer.needs_of_world <= world.capabilities)
