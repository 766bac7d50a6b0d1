"""BERT4Rec: what it may see, what it hides, and that its blocks are those of an independent implementation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from recx.core import device as devices
from recx.core.errors import BadInput
from recx.data.interactions import PAD, Interactions
from recx.models._scorer import compact
from recx.models._sequence import LOSSES, scorer_of
from recx.models.bert4rec import Bert4Rec, Encoder, cloze

EXACT = {"atol": 2e-5, "rtol": 1e-4}
"""Single precision; attention sums in another order."""


def events_of(rows: np.ndarray, n_items: int) -> Interactions:
    items = pd.DataFrame({"id": [str(i) for i in range(n_items)], "title": [f"Item {i}" for i in range(n_items)]})
    user = np.repeat(np.arange(len(rows), dtype=np.int32), rows.shape[1])
    users = pd.DataFrame({"id": [str(u) for u in range(len(rows))]})
    return Interactions("made", user, rows.astype(np.int32).ravel(), users, items)


def random_rows(n: int, length: int, n_items: int, seed: int = 3) -> np.ndarray:
    """Sequences without a pattern: the next item cannot be told from those before."""
    return np.random.default_rng(seed).random((n, n_items)).argsort(1)[:, :length]


def encoder(max_len: int = 12, blocks: int = 2) -> Encoder:
    """Untrained, with vectors large enough that every input shows in the output."""
    net = Encoder(40, dim=16, blocks=blocks, heads=2, max_len=max_len, random=devices.generator(0)).eval()
    with torch.no_grad():
        for weight in (net.items.weight, net.positions.weight, net.mask):
            weight.mul_(25)
    return net


def test_bert4rec_memorises_planted_sequences() -> None:
    """64 random sequences of 12 over 200 items (HR@1 >= 0.95)."""
    rows = torch.as_tensor(random_rows(64, 12, 200))
    model = Bert4Rec(mask=0.3, dropout=0.0, lr=3e-3, batch=32, epochs=90, max_seconds=1e5)
    scores = model.fit(events_of(rows.numpy(), 200)).score(rows[:, :-1]).scatter(1, rows[:, :-1], -1e9)
    assert (scores.argmax(1) == rows[:, -1]).float().mean() >= 0.95


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_of_the_family_goes_down(loss: str) -> None:
    model = Bert4Rec(dim=16, dropout=0.0, lr=3e-3, batch=32, epochs=25, loss=loss, max_seconds=1e5)
    curve = model.fit(events_of(random_rows(64, 12, 200), 200)).report["curve"]
    assert np.mean([row["loss"] for row in curve[-5:]]) < 0.99 * curve[0]["loss"]


def test_what_is_hidden_is_a_share_of_each_history_or_its_last_item() -> None:
    """Lengths 20, 7 and 1 with a share of 0.2: 4, 1 and 1 items, each position as often as any other."""
    lengths = torch.tensor([20, 7, 1]).repeat(2000)
    items = torch.arange(20).expand(6000, -1).masked_fill(torch.arange(20) >= lengths[:, None], PAD)
    at, there = cloze(items, 0.2, 0.0, devices.generator(0))
    assert there.sum(1).tolist() == [4, 1, 1] * 2000
    hidden = torch.zeros_like(items).scatter_add(1, at, there.long())
    assert hidden.max() == 1, "drawn without replacement"
    assert (hidden[items == PAD] == 0).all()
    often = hidden[0::3].float().mean(0)
    assert (often - 0.2).abs().max() < 5 * (0.2 * 0.8 / 2000) ** 0.5
    at, there = cloze(items, 0.2, 0.3, devices.generator(1))
    alone = (there.sum(1) == 1) & (at[:, 0] == lengths - 1)
    assert alone[0::3].float().mean() == pytest.approx(0.3, abs=5 * (0.3 * 0.7 / 2000) ** 0.5)
    again, _ = cloze(items, 0.2, 0.3, devices.generator(1))
    assert torch.equal(at, again), "the draw is that of the generator"


def test_a_hidden_item_is_out_of_sight_and_both_its_sides_are_seen() -> None:
    net, items = encoder(), torch.arange(10)[None]
    at, there, visible = torch.tensor([[4, 7]]), torch.tensor([[True, True]]), torch.ones(1, 10, dtype=torch.bool)
    other, before, behind = items.clone(), items.clone(), items.clone()
    other[0, [4, 7]], before[0, 1], behind[0, 9] = 30, 30, 30
    with torch.no_grad():
        states = net.fill(items, visible, at, there)
        torch.testing.assert_close(net.fill(other, visible, at, there), states)
        assert (net.fill(before, visible, at, there) - states).abs().max() > 1e-3
        assert (net.fill(behind, visible, at, there) - states).abs().max() > 1e-3
        shown = [net.fill(one, visible, at, ~there) for one in (items, other)]
        assert (shown[0] - shown[1]).abs().max() > 1e-3, "with the fault put back, this test would see it"


def test_a_target_that_is_visible_would_be_learnt_and_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """On sequences without a pattern the loss cannot go below log 100, unless the answer is on the page."""
    data = events_of(random_rows(1000, 12, 100), 100)
    model = Bert4Rec(dim=32, dropout=0.0, lr=1e-2, batch=64, epochs=3, max_seconds=1e5)
    assert model.fit(data).report["curve"][-1]["loss"] > 0.95 * np.log(100)
    fill = Encoder.fill
    monkeypatch.setattr(Encoder, "fill", lambda net, items, seen, at, there: fill(net, items, seen, at, there & False))
    assert model.fit(data).report["curve"][-1]["loss"] < 0.5 * np.log(100)


def test_padding_and_what_is_behind_the_mask_token_do_not_matter() -> None:
    net, items = encoder(), torch.tensor([[5, 8, 2, PAD, PAD]])
    last = torch.tensor([3])
    with torch.no_grad():
        state = net(items, last)
        torch.testing.assert_close(net(items[:, :3], last), state, **EXACT)
        torch.testing.assert_close(net(torch.tensor([[5, 8, 2, 7, 9, 1]]), last), state, **EXACT)
        assert (net(torch.tensor([[5, 8, 3]]), last) - state).abs().max() > 1e-3


def test_order_matters() -> None:
    net = encoder()
    with torch.no_grad():
        one, two = net(torch.tensor([[5, 8, 2, 6], [8, 5, 2, 6]]), torch.tensor([4, 4]))
    assert (one - two).abs().max() > 1e-2


def test_states_of_all_prefixes_are_those_of_each() -> None:
    net, items = encoder(), torch.tensor([[5, 8, 2, 6], [1, 9, PAD, PAD]])
    with torch.no_grad():
        states = net(items)
        for t in range(5):
            torch.testing.assert_close(states[:, t], net(items[:, : max(t, 1)], torch.tensor([t, t])), **EXACT)
        changed = items.clone()
        changed[:, 2:] = 30
        torch.testing.assert_close(net(changed)[:, :3], states[:, :3], **EXACT)


def test_the_blocks_are_those_of_torch() -> None:
    """The whole encoder up to the head, against torch's own post-norm encoder layers with the same weights."""
    net, items = encoder(), torch.tensor([[5, 8, 2, 6, 1]])
    layers = nn.ModuleList(
        nn.TransformerEncoderLayer(16, 2, 64, 0.0, "gelu", layer_norm_eps=1e-12, batch_first=True) for _ in range(2)
    ).eval()
    for layer, block in zip(layers, net.blocks, strict=True):
        ours = block.attention
        layer.self_attn.in_proj_weight.data = torch.cat([ours.query.weight, ours.key_value.weight])
        layer.self_attn.in_proj_bias.data = torch.cat([ours.query.bias, ours.key_value.bias])
        for theirs, part in (
            (layer.self_attn.out_proj, ours.out),
            (layer.norm1, ours.norm),
            (layer.linear1, block.network.up),
            (layer.linear2, block.network.down),
            (layer.norm2, block.network.norm),
        ):
            theirs.load_state_dict(part.state_dict())
    with torch.no_grad():
        x = torch.cat([net.items(items), net.mask.expand(1, 1, -1)], dim=1) + net.positions.weight[:6]
        x = net.norm(x)
        for layer in layers:
            x = layer(x)
        expected = net.head_norm(nn.functional.gelu(net.head(x[:, -1])))
        torch.testing.assert_close(net(items, torch.tensor([5])), expected, **EXACT)


def test_soft_edits_of_a_history_longer_than_the_window() -> None:
    """Deleting lets older items in: the soft score of a 0/1 edit is that of the edited history."""
    scorer = scorer_of(encoder(max_len=5), "")
    histories = torch.as_tensor(random_rows(6, 11, 40))
    keep = torch.rand(6, 8, 11, generator=devices.generator(2)) > 0.4
    targets = torch.arange(48).reshape(6, 8) % 40
    edited = compact(histories.repeat_interleave(8, 0), keep.flatten(0, 1))
    plain = scorer.score(edited).gather(1, targets.reshape(48, 1)).reshape(6, 8)
    with torch.no_grad():
        torch.testing.assert_close(scorer.soft_score(histories, keep.float(), targets), plain, **EXACT)


def test_heads_that_do_not_divide_the_width_are_a_sentence() -> None:
    with pytest.raises(BadInput, match=r"heads=2 does not divide bert4rec\.dim=3"):
        Bert4Rec(dim=3).fit(events_of(random_rows(4, 5, 9), 9))
