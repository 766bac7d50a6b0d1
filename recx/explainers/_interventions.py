"""Real interventions on single history items: deleted, replaced by a random item, by one equally popular."""

from __future__ import annotations

import torch

from recx.core import device as devices
from recx.core.progress import Progress, quiet
from recx.data.interactions import PAD
from recx.worlds.edited import EditedWorld

NEAR = 20
"""Items of the most similar popularity that a popularity-matched replacement is drawn from."""


def interventions(
    world: EditedWorld,
    row: torch.Tensor,
    target: torch.Tensor,
    column: torch.Tensor,
    draws: int,
    seed: int,
    progress: Progress = quiet,
) -> dict[str, torch.Tensor]:
    """What intervening on one history item per question does to a target that is in the first place.

    `row`, `target`, `column` Long[S]. `delete` Bool[S]: it loses the first place when the item is deleted; `margin`
    Float[S]: how far its lead over the best other candidate falls then. `random`, `matched` Float[S]: the share of
    `draws` replacements by a random item, or by one of the NEAR most equally popular, with which it loses the first
    place. Replacements are in neither the history nor the target; the draws are the same for everybody.
    """
    full = world.histories[row] != PAD
    keep = full.clone()
    keep[torch.arange(len(row)), column] = False
    base = world.rank_and_margin(row, full, target, 1)[1]
    rank, margin = world.rank_and_margin(row, keep, target, 1)
    out = {"delete": rank > 1, "margin": base - margin}
    allowed = torch.ones(len(row), world.n_items + 1, dtype=torch.bool, device=row.device)
    allowed.scatter_(1, torch.where(full, world.histories[row], world.n_items), False)
    allowed = allowed[:, : world.n_items].scatter_(1, target[:, None], False)
    uniform = torch.rand(draws, generator=devices.generator(seed)).to(row.device)
    item = world.histories[row, column]
    near = _nearest(world, item, allowed)
    for name, among in (("random", allowed), ("matched", near)):
        out[name] = _replaced(world, row, target, column, _drawn(among, uniform))
        progress(0.5 if name == "random" else 1.0, "replacing single items")
    return out


def _nearest(world: EditedWorld, item: torch.Tensor, allowed: torch.Tensor) -> torch.Tensor:
    """Bool[S, n_items]: the NEAR allowed items whose place by popularity is nearest to that of each item."""
    assert world.population is not None
    popularity = torch.as_tensor(world.population.popularity.copy(), device=item.device)
    place = popularity.argsort(stable=True).argsort()
    distance = (place[None] - place[item][:, None]).abs().float().masked_fill(~allowed, float("inf"))
    near = torch.topk(distance, min(NEAR, world.n_items), dim=1, largest=False).indices
    return torch.zeros_like(allowed).scatter_(1, near, True) & allowed


def _drawn(among: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """Long[S, D]: for each number u in [0, 1) the item at that share of the allowed ones; -1 where none is allowed."""
    order = among.cumsum(1)
    number = (uniform[None] * order[:, -1:]).floor() + 1
    items = torch.searchsorted(order.float(), number)
    return torch.where(order[:, -1:] > 0, items, -1)


def _replaced(
    world: EditedWorld, row: torch.Tensor, target: torch.Tensor, column: torch.Tensor, items: torch.Tensor
) -> torch.Tensor:
    """Float[S]: the share of replacements Long[S, D] with which the target loses the first place."""
    draws = items.shape[1]
    histories = world.histories[row].repeat_interleave(draws, 0)
    histories[torch.arange(len(histories)), column.repeat_interleave(draws)] = items.flatten()
    who, wanted = row.repeat_interleave(draws), target.repeat_interleave(draws)[:, None]
    lost = world.ranks_of(histories, who, wanted)[:, 0] > 1
    return lost.view(-1, draws).float().mean(1)


def gradient_times_input(world: EditedWorld, row: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Float[S, L]: the target's score differentiated in how much of each history item is kept, at all of it."""
    width = world.widest(row)
    scores = world.soft([(row, target[:, None])])
    keep = (world.histories[row][:, -width:] != PAD).float()[:, None].requires_grad_()
    (gradient,) = torch.autograd.grad(scores([keep])[0].sum(), keep)
    out = torch.zeros_like(world.histories[row], dtype=torch.float32)
    out[:, -width:] = gradient[:, 0] * keep.detach()[:, 0]
    return out
