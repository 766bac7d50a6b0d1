"""What sequence models share, against torch's own functions and plain loops."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from recx.core import device as devices
from recx.core import registry
from recx.core.errors import BadInput
from recx.models import _sequence
from recx.models._sequence import batches, cross_entropy, dropout, item_loss, last_weight, left_aligned, window_weight
from recx.models.sasrec import SasRec
from tests.models.conftest import small_split
from tests.models.test_models import checkerboard, events_of


class Table:
    """Item vectors and biases, as `item_loss` asks a network for them."""

    def __init__(self, n: int, dim: int, seed: int = 0) -> None:
        random = devices.generator(seed)
        self.weight = torch.randn(n, dim, generator=random, requires_grad=True)
        self.bias = torch.randn(n, generator=random, requires_grad=True)

    def table(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self.weight, self.bias


@pytest.mark.parametrize("block_bytes", [4 * 7 * 3, 2**20])
def test_cross_entropy_and_its_gradient_equal_torchs(block_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_sequence, "BLOCK_BYTES", {"cpu": block_bytes})
    net = Table(7, 5)
    states = torch.randn(11, 5, generator=devices.generator(1), requires_grad=True)
    wanted = torch.arange(11) % 7
    plain = F.cross_entropy(states @ net.weight.t() + net.bias, wanted)
    expected = torch.autograd.grad(3 * plain, [states, net.weight, net.bias])
    ours = cross_entropy(states, *net.table(), wanted)
    torch.testing.assert_close(ours, plain)
    torch.testing.assert_close(torch.autograd.grad(3 * ours, [states, net.weight, net.bias]), expected)


def test_a_hopeless_position_keeps_the_loss_finite() -> None:
    states, table = torch.tensor([[1000.0]]), torch.tensor([[1.0], [-1.0]])
    assert cross_entropy(states, table, None, torch.tensor([1])).isfinite()


@pytest.mark.parametrize("kind", ["bce-many", "bpr-max"])
def test_a_target_is_no_negative_of_its_own(kind: str) -> None:
    """With every item drawn but one, the loss must equal the plain loop over the items that are not the target."""
    net, states, wanted = Table(6, 4), torch.randn(3, 4, generator=devices.generator(2)), torch.tensor([0, 3, 5])
    noise = devices.generator(9)
    others = torch.randperm(6, generator=devices.generator(9))[:5]
    values = []
    for state, target in zip(states, wanted, strict=True):
        scores = state @ net.weight.t() + net.bias
        bad = torch.stack([scores[j] for j in others if j != target])
        if kind == "bce-many":
            values.append(F.softplus(-scores[target]) + F.softplus(bad).sum())
        else:
            share = bad.softmax(0)
            values.append(-(share * torch.sigmoid(scores[target] - bad)).sum().log() + (share * bad**2).sum())
    found = item_loss(states, wanted, net, kind, 5, 0.0, noise)
    torch.testing.assert_close(found, torch.stack(values).mean(), atol=1e-5, rtol=1e-5)


def test_calibration_follows_gbce() -> None:
    """gSASRec, Eq. 9: beta is 1 for t = 0 and the sampled share for t = 1; only the positive's term carries it."""
    net, states, wanted = Table(21, 4), torch.randn(3, 4, generator=devices.generator(2)), torch.tensor([0, 3, 5])
    at = [
        float(item_loss(states, wanted, net, "bce-many", 5, t, devices.generator(1)).detach()) for t in (0.0, 0.5, 1.0)
    ]
    positive = float(F.softplus(-(states * net.weight[wanted]).sum(1) - net.bias[wanted]).mean().detach())
    assert at[0] - at[2] == pytest.approx((1 - 5 / 20) * positive, rel=1e-4)
    assert at[1] == pytest.approx((at[0] + at[2]) / 2, rel=1e-5)


@pytest.mark.parametrize("kind", ["bce", "bpr"])
def test_the_losses_with_one_negative(kind: str) -> None:
    net, states, wanted = Table(9, 4), torch.randn(5, 4, generator=devices.generator(2)), torch.arange(5)
    other = torch.randint(9, (5,), generator=devices.generator(4))
    scores = states @ net.weight.t() + net.bias
    good, bad = scores.gather(1, wanted[:, None])[:, 0], scores.gather(1, other[:, None])[:, 0]
    plain = -(torch.sigmoid(good).log() + torch.sigmoid(-bad).log()) if kind == "bce" else -F.logsigmoid(good - bad)
    torch.testing.assert_close(item_loss(states, wanted, net, kind, 1, 0.0, devices.generator(4)), plain.mean())


def test_every_position_is_trained_once_an_epoch() -> None:
    data = small_split().train
    for max_len in (3, 200):
        epoch = batches(data, 7, max_len, 0, torch.device("cpu"))
        for number in (0, 1):
            seen = {}
            for users, items in epoch(number):
                for user, row in zip(users.tolist(), items, strict=True):
                    assert user not in seen
                    seen[user] = row[row >= 0].tolist()
            assert seen == {u: data.history(u)[-max_len:].tolist() for u in range(data.n_users)}
        order = [[users.tolist() for users, _ in epoch(number)] for number in (0, 0, 1)]
        assert order[0] == order[1] != order[2]


def test_dropped_numbers_are_as_many_as_asked_and_the_mean_stays() -> None:
    with devices.seeded(3, torch.device("cpu")):
        dropped = dropout(torch.ones(1000, 1001), 0.2, True)
    share = 51 / 256
    assert float((dropped == 0).double().mean()) == pytest.approx(
        share, abs=4 * (share * (1 - share) / 1_001_000) ** 0.5
    )
    assert float(dropped.max()) == pytest.approx(256 / 205)
    column = (dropped == 0).double().mean(0)
    assert float(column.std()) == pytest.approx((share * (1 - share) / 1000) ** 0.5, rel=0.1), "columns are independent"
    x = torch.randn(5)
    assert dropout(x, 0.2, False) is x


def test_left_alignment_and_the_window() -> None:
    histories = torch.tensor([[-1, 4, -1, 5, 6], [-1, -1, -1, -1, -1], [1, 2, 3, 4, 5]])
    items, length = left_aligned(histories, 4)
    assert items.tolist() == [[4, 5, 6, -1], [-1, -1, -1, -1], [2, 3, 4, 5]]
    assert length.tolist() == [3, 0, 4]


def test_soft_windows_are_exact_where_keep_is_0_or_1() -> None:
    random = np.random.default_rng(0)
    keep = torch.as_tensor(random.integers(0, 2, (50, 9)).astype(np.float32))
    for row in keep:
        kept = torch.nonzero(row)[:, 0]
        window = torch.zeros(9)
        window[kept[-4:]] = 1
        assert torch.equal(window_weight(row[None], 4)[0], window)
        last = torch.zeros(9)
        last[kept[-1:]] = 1
        assert torch.equal(last_weight(row[None])[0], last)


def test_data_without_order_has_nothing_for_a_sequence_model() -> None:
    data = dataclasses.replace(checkerboard(), ordered=False)
    with pytest.raises(BadInput, match="no time or order"):
        SasRec().fit(data)


def test_history_of_one_item_is_learnt_from() -> None:
    scorer = SasRec(dim=8, epochs=1).fit(events_of([[1], [2], [3]], 5))
    assert scorer.score(torch.tensor([[1]])).isfinite().all()


@pytest.mark.parametrize("name", ["sasrec", "bert4rec", "fmlprec", "bsarec"])
def test_what_a_full_window_reads_was_trained(name: str) -> None:
    """The state behind `max_len` items is read for everybody with so many: its position must have had a gradient."""
    data = events_of([list(range(20))[u:] + list(range(20))[:u] for u in range(8)], 20)
    model = registry.load("models", name)(dim=8, max_len=6, epochs=3, lr=1e-2, dropout=0.0)
    start = model.network(data.n_items, data.n_users, devices.generator(0)).positions.weight
    trained = model.fit(data, seed=0).net.positions.weight
    assert ((trained - start).abs().amax(1) > 1e-3).all()
