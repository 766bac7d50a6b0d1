"""The pairs that studies judge: people of a split's part with each item of their top k."""

from __future__ import annotations

from typing import Any, Protocol

from recx.core.errors import BadInput
from recx.recipes._recipe import Get
from recx.recipes.fit import Fit


class Chunk(Protocol):
    """The people `first` to `last` of a part ("test" or "valid") and the length of their lists."""

    @property
    def fit(self) -> Fit: ...
    @property
    def k(self) -> int: ...
    @property
    def first(self) -> int: ...
    @property
    def last(self) -> int: ...
    @property
    def part(self) -> str: ...


def pairs(chunk: Chunk, get: Get) -> tuple[Any, Any, Any, Any]:
    """World (edited-history) of a part, `row` Long[P], `target` Long[P], held-out items int64[B, T] (-1 fills).

    P: `k` pairs per person, in the order of their list. People stand in one random order, so that the first 100 of 500
    are a random draw of them. Raises BadInput when the part has nobody at `first`.
    """
    import numpy as np
    import torch

    from recx.worlds.edited import EditedWorld

    split, scorer = get(chunk.fit.split_data), get(chunk.fit)
    people = getattr(split, chunk.part)
    order = np.random.default_rng(0).permutation(len(people))
    users = torch.as_tensor(order[chunk.first : chunk.last])
    if not len(users):
        name, n = chunk.fit.data.source.name, len(people)
        raise BadInput(
            f"more than {chunk.first:,} users were asked for and {name} has {n:,} in its {chunk.part} part: "
            f"ask for at most {n} (`study ... --users {n}`)."
        )
    world = EditedWorld(
        scorer, torch.as_tensor(people.histories), torch.as_tensor(people.model_users), population=split.train
    )
    top, _ = world.top_k(users.to(world.histories.device), None, chunk.k)
    return world, users.to(top.device).repeat_interleave(top.shape[1]), top.flatten(), people.targets
