"""FMLP-Rec and BSARec: filters against plain loops and the published form, and the leak of the circular ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from recx.core import device as devices
from recx.core.errors import BadInput
from recx.data.interactions import PAD
from recx.models._scorer import compact
from recx.models._sequence import Batch, item_loss, scorer_of
from recx.models.bsarec import BsaRec, dirichlet
from recx.models.fmlprec import FILTERS, FmlpRec, causal, causal_at, cells, circular
from tests.models.test_bert4rec import EXACT, events_of, random_rows

MODELS = (FmlpRec, BsaRec)
CHANCE = np.log(100)
"""The best cross-entropy on sequences of 100 items without a pattern."""


def encoder(model: type, filter: str, max_len: int = 8) -> Any:
    """Untrained, with vectors and filters large enough that every input shows in the output."""
    net = model(dim=16, max_len=max_len, filter=filter).network(40, 0, devices.generator(0)).eval()
    with torch.no_grad():
        for weight in (net.items.weight, net.positions.weight):
            weight.mul_(25)
        for block in net.blocks:
            if hasattr(block, "spectrum"):
                block.spectrum.mul_(25)
    return net


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=devices.generator(seed))


# -- filters


@pytest.mark.parametrize(("length", "lags"), [(9, 9), (10, 10), (7, 12), (12, 7)])
def test_the_causal_filter_is_a_plain_double_loop(length: int, lags: int) -> None:
    x, kernel = drawn(2, length, 3), drawn(lags, 3, seed=1)
    expected = torch.zeros(2, length, 3)
    for t in range(length):
        for s in range(t + 1):
            if t - s < lags:
                expected[:, t] += kernel[t - s] * x[:, s]
    torch.testing.assert_close(causal(x, kernel), expected, atol=1e-5, rtol=1e-5)
    last = torch.tensor([length - 1, 3])
    torch.testing.assert_close(causal_at(x, kernel, last)[:, 0], expected[[0, 1], last], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("length", [9, 10])
def test_the_circular_filter_is_the_published_one_and_agrees_with_the_causal_one_at_the_last_position(
    length: int,
) -> None:
    """Published: irfft(rfft(x) W), both transforms orthonormal. A plain double loop with indices modulo the window."""
    block = encoder(FmlpRec, "as-published", length).blocks[0]
    x, spectrum = drawn(2, length, 16), torch.view_as_complex(block.spectrum.detach())
    published = torch.fft.irfft(torch.fft.rfft(x, dim=1, norm="ortho") * spectrum, n=length, dim=1, norm="ortho")
    kernel = block.kernel().detach()
    plain = torch.zeros_like(x)
    for t in range(length):
        for s in range(length):
            plain[:, t] += kernel[(t - s) % length] * x[:, s]
    torch.testing.assert_close(plain, published, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(circular(x, kernel), published, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(causal(x, kernel)[:, -1], published[:, -1], atol=1e-5, rtol=1e-5)
    assert (causal(x, kernel)[:, :-1] - published[:, :-1]).abs().max() > 0.1


@pytest.mark.parametrize(("length", "frequencies"), [(9, 5), (10, 5), (10, 3), (9, 1), (10, 9), (10, 11), (9, 99)])
def test_the_dirichlet_kernel_keeps_the_lowest_frequencies(length: int, frequencies: int) -> None:
    """Against transforming, cutting and transforming back, as published."""
    x = drawn(2, length, 3)
    spectrum = torch.fft.rfft(x, dim=1)
    spectrum[:, frequencies // 2 + 1 :] = 0
    expected = torch.fft.irfft(spectrum, n=length, dim=1)
    kernel = dirichlet(length, frequencies)[:, None].expand(-1, 3)
    torch.testing.assert_close(circular(x, kernel), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("filter", FILTERS)
def test_the_low_pass_of_bsarec_is_a_plain_loop_over_its_kernel(filter: str) -> None:
    block = BsaRec(dim=16, max_len=10, filter=filter).network(40, 0, devices.generator(0)).blocks[0]
    x, kernel = drawn(2, 10, 16), dirichlet(10, 5)
    expected = torch.zeros_like(x)
    for t in range(10):
        for s in range(10 if filter == "as-published" else t + 1):
            expected[:, t] += kernel[(t - s) % 10] * x[:, s]
    torch.testing.assert_close(block.low_pass(x), expected, atol=1e-5, rtol=1e-5)
    last = torch.tensor([9, 4])
    torch.testing.assert_close(block.low_pass(x, last)[:, 0], expected[[0, 1], last], atol=1e-5, rtol=1e-5)


def test_the_parts_of_bsarec() -> None:
    """beta^2 = 1 passes everything; alpha 0 is attention alone, alpha 1 the filter alone."""

    def output(alpha: float, frequencies: int, beta: float, values: float) -> torch.Tensor:
        net = BsaRec(dim=16, max_len=8, alpha=alpha, frequencies=frequencies).network(40, 0, devices.generator(0))
        with torch.no_grad():
            net.blocks[0].beta.fill_(beta)
            net.blocks[0].attention.out.bias.copy_(values * torch.linspace(-1, 1, 16))
            return net.eval().blocks[0](drawn(1, 6, 16), torch.ones(1, 6, dtype=torch.bool))

    torch.testing.assert_close(output(0.7, 3, -1.0, 0.0), output(0.7, 5, 1.0, 0.0))
    assert (output(0.7, 3, 2.0, 0.0) - output(0.7, 5, 2.0, 0.0)).abs().max() > 1e-3
    torch.testing.assert_close(output(0.0, 3, 2.0, 1.0), output(0.0, 5, 0.5, 1.0))
    torch.testing.assert_close(output(1.0, 3, 2.0, 0.0), output(1.0, 3, 2.0, 5.0))
    assert (output(0.7, 3, 2.0, 0.0) - output(0.7, 3, 2.0, 5.0)).abs().max() > 1e-2


# -- the leak


@pytest.mark.parametrize("model", MODELS)
def test_a_later_item_does_not_change_an_earlier_state(model: type) -> None:
    """True of what either form offers; rows inside a published window, which nothing trains or reads, do change."""
    items = torch.arange(8)[None]
    changed = items.clone()
    changed[0, 5:] = 30
    with torch.no_grad():
        for filter in FILTERS:
            net = encoder(model, filter)
            one, two = net(items), net(changed)
            assert one.shape == (1, 9, 16)
            torch.testing.assert_close(one[:, :6], two[:, :6], **EXACT)
            assert (one[:, 6:] - two[:, 6:]).abs().amax(2).min() > 1e-3
        inside = [net.states(net.items(one), one != PAD) for one in (items, changed)]
    assert (inside[0] - inside[1])[:, :5].abs().amax(2).min() > 1e-3


@pytest.mark.parametrize("filter", FILTERS)
@pytest.mark.parametrize("model", MODELS)
def test_the_state_after_some_items_is_that_of_the_shorter_history(model: type, filter: str) -> None:
    """Asked for the last position only, and with more padding behind."""
    net, items = encoder(model, filter), torch.tensor([[3, 9, 4, 7], [5, 6, PAD, PAD]])
    with torch.no_grad():
        states = net(items)
        for t in range(5):
            wide = nn.functional.pad(items, (0, 2), value=PAD)
            torch.testing.assert_close(net(wide, torch.tensor([t, t])), states[:, t], **EXACT)


@pytest.mark.parametrize("model", MODELS)
def test_published_filters_are_trained_on_last_positions_alone(model: type) -> None:
    """The loss of a drawn prefix does not depend on items behind its target."""
    recipe = model(dim=16, max_len=12, filter="as-published")
    net = recipe.network(40, 0, devices.generator(0))
    rows = torch.as_tensor(random_rows(20, 12, 40))
    drew = (torch.rand(20, 1, generator=devices.generator(7)) * 12).long()
    behind = torch.arange(12) > drew
    assert behind.any(1).sum() > 10
    changed = torch.where(behind, (rows + 11) % 40, rows)
    losses = []
    for items in (rows, changed, torch.where(~behind, (rows + 11) % 40, rows)):
        with devices.seeded(0, torch.device("cpu")):
            losses.append(recipe.objective(net, devices.generator(7))((torch.arange(20), items)).item())
    assert losses[1] == pytest.approx(losses[0], abs=1e-5)
    assert abs(losses[2] - losses[0]) > 1e-5


def all_positions(net: Any, noise: torch.Generator) -> Callable[[Batch], torch.Tensor]:
    """The fault: every row of a published window predicts the next item, which it has seen."""

    def loss(batch: Batch) -> torch.Tensor:
        states = net.states(net.items(batch[1]), batch[1] != PAD)[:, :-1]
        return item_loss(states.flatten(0, 1), batch[1][:, 1:].flatten(), net, "ce", 1, 0.0, noise)

    return loss


@pytest.mark.parametrize("model", MODELS)
def test_trained_at_all_positions_a_published_filter_reads_the_future(
    model: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sequences without a pattern: nothing honest beats log 100; the fault does, on fresh ones too but for the end."""
    data, fresh = events_of(random_rows(1000, 12, 100), 100), torch.as_tensor(random_rows(500, 12, 100, seed=9))
    sizes = {"dim": 32, "max_len": 12, "dropout": 0.0, "lr": 1e-2, "batch": 40, "epochs": 4, "max_seconds": 1e5}
    sizes |= {"alpha": 0.9} if model is BsaRec else {}
    for filter in FILTERS:
        honest = model(filter=filter, **sizes).fit(data).report["curve"]
        assert min(row["loss"] for row in honest) > 0.95 * CHANCE
    monkeypatch.setattr(model, "objective", lambda recipe, net, noise: all_positions(net, noise))
    scorer = model(filter="as-published", **sizes | {"epochs": 6}).fit(data)
    assert scorer.report["curve"][-1]["loss"] < 0.5 * CHANCE
    with torch.no_grad():
        states = scorer.net.states(scorer.net.items(fresh), fresh != PAD)[:, :-1]
    read = ((states @ scorer.net.items.weight.t()).argmax(2) == fresh[:, 1:]).float().mean()
    assert read > 0.5, "it says the next item of a sequence nobody can foresee"
    hit = (scorer.score(fresh[:, :-1]).argmax(1) == fresh[:, -1]).float().mean()
    assert hit < 0.05, "and knows nothing where the next item is not on the page"


@pytest.mark.parametrize(("filter", "epochs"), [("causal", 40), ("as-published", 60)])
@pytest.mark.parametrize("model", MODELS)
def test_they_memorise_planted_sequences(model: type, filter: str, epochs: int) -> None:
    """64 random sequences of 12 over 200 items (HR@1 >= 0.95)."""
    rows = torch.as_tensor(random_rows(64, 12, 200))
    recipe = model(
        filter=filter, prefixes=5, max_len=12, dropout=0.0, lr=5e-3, batch=16, epochs=epochs, max_seconds=1e5
    )
    scores = recipe.fit(events_of(rows.numpy(), 200)).score(rows[:, :-1]).scatter(1, rows[:, :-1], -1e9)
    assert (scores.argmax(1) == rows[:, -1]).float().mean() >= 0.95


# -- edits


def test_cells_of_a_soft_history() -> None:
    """0/1: the kept items in their order. Halves: two of them share a place. A place is full or the last."""
    got = cells(torch.tensor([[1.0, 0, 1, 0, 1], [0.5, 0.5, 0.5, 0.5, 0.25]]))
    assert got[0].argmax(1)[:3].tolist() == [0, 2, 4]
    assert got[0].sum(1).tolist() == [1, 1, 1, 0, 0]
    expected = [[0.5, 0.5, 0, 0, 0], [0, 0, 0.5, 0.5, 0], [0, 0, 0, 0, 0.25]]
    torch.testing.assert_close(got[1, :3], torch.tensor(expected))
    weight = torch.rand(4, 9, generator=devices.generator(0))
    got = cells(weight)
    torch.testing.assert_close(got.sum(1), weight)
    torch.testing.assert_close(got.sum(2), (weight.sum(1, keepdim=True) - torch.arange(9)).clamp(0, 1))


@pytest.mark.parametrize("filter", FILTERS)
@pytest.mark.parametrize("model", MODELS)
def test_soft_edits_of_a_history_longer_than_the_window(model: type, filter: str) -> None:
    """Deleting closes the gap and lets older items in: the soft score of a 0/1 edit is that of the edited history."""
    scorer = scorer_of(encoder(model, filter, max_len=5), "")
    histories = torch.as_tensor(random_rows(6, 11, 40))
    keep = torch.rand(6, 8, 11, generator=devices.generator(2)) > 0.4
    keep[0, 0], keep[0, 1] = False, True
    targets = torch.arange(48).reshape(6, 8) % 40
    edited = compact(histories.repeat_interleave(8, 0), keep.flatten(0, 1))
    plain = scorer.score(edited).gather(1, targets.reshape(48, 1)).reshape(6, 8)
    soft = torch.ones(6, 8, 11).copy_(keep).requires_grad_()
    found = scorer.soft_score(histories, soft, targets)
    torch.testing.assert_close(found, plain, **EXACT)
    slope = torch.autograd.grad(found.sum(), soft)[0]
    assert slope.isfinite().all()
    assert slope.abs().max() > 1e-3


@pytest.mark.parametrize("filter", FILTERS)
@pytest.mark.parametrize("model", MODELS)
def test_a_soft_score_has_no_jumps(model: type, filter: str) -> None:
    """A hair's breadth from any 0/1 edit, or from an inner one, it is a hair's breadth from its value there."""
    scorer = scorer_of(encoder(model, filter, max_len=12), "")
    histories, targets = torch.arange(8)[None], torch.arange(9, 13)[None]
    keep = torch.ones(1, 4, 8)
    keep[0, 1, 7], keep[0, 2, 3], keep[0, 3] = 0.0, 0.0, 0.5
    with torch.no_grad():
        value = scorer.soft_score(histories, keep, targets)
        for step in (1e-4, -1e-4):
            near = scorer.soft_score(histories, (keep + step).clamp(0, 1), targets)
            torch.testing.assert_close(near, value, atol=0.03 * value.abs().max().item(), rtol=0.0)


def test_attention_does_not_see_the_padding_of_a_published_window() -> None:
    """With attention alone (alpha 0), rows of items do not change when rows of padding do."""
    net = BsaRec(dim=16, max_len=8, filter="as-published", alpha=0.0).network(40, 0, devices.generator(0)).eval()
    there, x = torch.arange(8)[None] >= 3, drawn(1, 8, 16)
    changed = torch.where(there[:, :, None], x, drawn(1, 8, 16, seed=1))
    last = torch.tensor([7])
    with torch.no_grad():
        for one in (there, there.float()):
            states = [net.blocks[0](rows, one) for rows in (x, changed)]
            torch.testing.assert_close(states[0][:, 3:], states[1][:, 3:])
            assert (states[0][:, :3] - states[1][:, :3]).abs().max() > 1e-2
            torch.testing.assert_close(net.blocks[0](changed, one, last)[:, 0], states[0][:, 7], **EXACT)


def test_heads_that_do_not_divide_the_width_are_a_sentence() -> None:
    with pytest.raises(BadInput, match=r"heads=2 does not divide bsarec\.dim=3"):
        BsaRec(dim=3, heads=2).fit(events_of(random_rows(4, 5, 9), 9))
