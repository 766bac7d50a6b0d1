"""The best items of many users from vectors: a product and a selection, block by block, seen items removed."""

from __future__ import annotations

import torch

BLOCK = 2**23
"""Scores held at a time: 32 MB."""


def top_k(
    users: torch.Tensor,
    items: torch.Tensor,
    k: int,
    seen_offsets: torch.Tensor | None = None,
    seen_items: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Items Long[B, k] and scores Float[B, k] of the k largest products of `users` Float[B, d] and `items` Float[n, d].

    Best first; ties in no promised order. The seen items of user b are seen_items[seen_offsets[b]:seen_offsets[b + 1]]
    (Long[B + 1] and Long[N], as in `Interactions`) and no candidates; where candidates run out the item is -1 and its
    score minus infinity. k is at most n.
    """
    k = min(k, len(items))
    found = torch.empty(len(users), k, dtype=torch.long, device=users.device)
    best = torch.empty(len(users), k, dtype=users.dtype, device=users.device)
    size = max(1, BLOCK // max(len(items), 1))
    table = items.t()
    for start in range(0, len(users), size):
        stop = min(start + size, len(users))
        scores = users[start:stop] @ table
        if seen_offsets is not None and seen_items is not None:
            scores.view(-1).index_fill_(0, _places(start, stop, len(items), seen_offsets, seen_items), float("-inf"))
        torch.topk(scores, k, dim=1, out=(best[start:stop], found[start:stop]))
    return found.masked_fill_(best == float("-inf"), -1), best


def _places(start: int, stop: int, n: int, offsets: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
    """Long[M]: where the seen items of users `start` to `stop` lie in their block of scores, row after row."""
    first, last = int(offsets[start]), int(offsets[stop])
    row = torch.repeat_interleave(
        torch.arange(stop - start, device=items.device), offsets[start : stop + 1].diff(), output_size=last - first
    )
    return row * n + items[first:last]
