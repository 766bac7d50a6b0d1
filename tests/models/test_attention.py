"""Attention that the recommenders report: shares of the items of a history, equal to what the network itself does."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from recx.core import device as devices
from recx.models import bert4rec, bsarec, narm, sasrec, stamp
from recx.models._sequence import scorer_of

LAYERS = ("last", "mean", "rollout")
NETS = {
    "sasrec": lambda random: sasrec.Encoder(20, 8, 2, 2, 6, random),
    "bert4rec": lambda random: bert4rec.Encoder(20, 8, 2, 2, 6, random),
    "bsarec": lambda random: made_bsarec(random, "causal"),
    "bsarec as published": lambda random: made_bsarec(random, "as-published"),
    "narm": lambda random: narm.AttentiveReader(20, 8, 12, 6, random),
    "stamp": lambda random: stamp.PriorityMemory(20, 8, 6, random),
}


def made_bsarec(random: torch.Generator, filter: str) -> bsarec.Encoder:
    return bsarec.Encoder(20, 8, 2, 6, filter, random, heads=2, alpha=0.7, frequencies=3)


def made(name: str) -> Any:
    net = NETS[name](devices.generator(0))
    for weight in net.parameters():
        weight.data.mul_(3)
    return scorer_of(net, "made")


@pytest.mark.parametrize("layers", LAYERS)
@pytest.mark.parametrize("name", NETS)
def test_attention_lies_on_the_items_of_the_window_alone(name: str, layers: str) -> None:
    """Gaps, a history longer than the window, an empty one; and each row alone gives the same."""
    histories = torch.tensor([[-1, 3, -1, 4, 5, 6, 7, 8, 9, 10], [-1] * 9 + [2], [-1] * 10, [1, -1, 2] + [-1] * 7])
    found = made(name).attention(histories, None, layers)
    assert found.shape == histories.shape
    assert (found >= 0).all()
    assert (found.sum(1) <= 1 + 1e-5).all()
    assert (found[0, :4] == 0).all(), "3 and 4 are older than the window of six"
    assert (found[0, 4:] > 0).all()
    assert (found[histories == -1] == 0).all()
    for r in range(4):
        torch.testing.assert_close(made(name).attention(histories[r : r + 1], None, layers)[0], found[r])


@pytest.mark.parametrize("name", ["bert4rec", "bsarec", "bsarec as published", "narm", "stamp"])
def test_attention_is_the_slope_of_the_state_in_the_values_it_mixes(name: str) -> None:
    """One layer of attention is linear in its values: what the network's own forward pass makes of a changed value."""
    scorer = made(name)
    net = scorer.net
    history = torch.tensor([[4, 5, 6, 7, 8]])
    found = scorer.attention(history)[0].double()
    seen: list[torch.Tensor] = []  # the window of bsarec, or its start token, puts one column before the items
    if name not in ("narm", "stamp"):
        block = net.blocks[-1].attention
        block.out.register_forward_hook(lambda _m, given, _out: seen.append(given[0].detach()))
        base = values_of(net, history, seen)
        width = base.shape[-1] // block.heads
        slopes = []
        for column in range(5):
            changed = values_of(net, history, seen, column + name.startswith("bsarec"))
            moved = (changed - base)[0, 0].view(block.heads, width).mean(1)
            slopes.append(moved.mean())
        torch.testing.assert_close(found, torch.stack(slopes).double(), atol=1e-4, rtol=1e-3)
        return
    looks = []
    module = narm if name == "narm" else stamp
    plain = module.attention_of_one

    def watch(query: Any, key: Any, value: Any, weights: Any, share: Any) -> torch.Tensor:
        looks.extend(plain(query, key, torch.eye(5)[None].float(), weights, share)[0].tolist())
        return plain(query, key, value, weights, share)

    module.attention_of_one = watch  # type: ignore[attr-defined]
    try:
        scorer.score(history)
    finally:
        module.attention_of_one = plain  # type: ignore[attr-defined]
    own = torch.tensor(looks, dtype=torch.float64).abs()
    torch.testing.assert_close(found, own / own.sum(), atol=1e-5, rtol=1e-4)


def values_of(net: Any, history: torch.Tensor, seen: list[torch.Tensor], column: int | None = None) -> torch.Tensor:
    """What the last block's attention mixes, with 1 added to the value of one column."""
    block = net.blocks[-1].attention

    def add(_module: Any, _given: Any, out: torch.Tensor) -> torch.Tensor:
        if column is not None:
            out = out.clone()
            out[:, column, out.shape[2] // 2 :] += 1
        return out

    handle = block.key_value.register_forward_hook(add)
    try:
        seen.clear()
        with torch.no_grad():
            net(history, torch.tensor([5]))
        return seen[-1]
    finally:
        handle.remove()
