"""GRU4Rec, NARM, STAMP, Caser, VT-RNN and FPMC against plain loops over their equations and planted sequences."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from recx.core import device as devices
from recx.core.errors import BadInput
from recx.data.interactions import PAD, Heldout, Interactions, pad
from recx.models import narm
from recx.models._scorer import compact
from recx.models._sequence import SequenceScorer
from recx.models.caser import Caser
from recx.models.fpmc import Fpmc
from recx.models.gru4rec import Gru4Rec
from recx.models.narm import Narm
from recx.models.stamp import Stamp
from recx.models.vtrnn import VtRnn
from tests.models.test_models import checkerboard, events_of

MODELS = [Gru4Rec, Narm, Stamp, Caser, VtRnn, Fpmc]
LOOK_BACK = [Gru4Rec, Narm, Stamp, VtRnn]
"""Those whose state depends on the whole window, and not on who the person is."""
CLOSE = {"atol": 1e-5, "rtol": 1e-4}


def network_of(cls: type, n_items: int = 30, n_users: int = 5, **fields: Any) -> Any:
    """An untrained network in evaluation, its vectors large enough to tell states apart."""
    net = cls(**{"dim": 8} | fields).network(n_items, n_users, devices.generator(0))
    with torch.no_grad():
        for name, weight in net.named_parameters():
            weight.copy_(torch.randn(weight.shape, generator=devices.generator(len(name))) * 0.4)
    if hasattr(net, "people"):
        net.people.met[:3] = True
    return net.eval()


def rows_of(n: int, length: int, n_items: int = 30, seed: int = 1) -> torch.Tensor:
    return torch.randint(n_items, (n, length), generator=devices.generator(seed))


@pytest.mark.parametrize(
    "model",
    [
        Gru4Rec(lr=1e-2, epochs=35, dropout_input=0.0),
        Gru4Rec(lr=1e-2, epochs=60, dropout_input=0.0, loss="bpr-max", negatives=100),
        Narm(lr=1e-2, epochs=35, hidden=64, dropout_input=0.0),
        Stamp(lr=1e-2, epochs=50),
        Caser(lr=1e-2, epochs=40),
        VtRnn(lr=1e-2, epochs=40, dropout_input=0.0),
        Fpmc(lr=2e-2, epochs=60),
    ],
    ids=lambda model: f"{type(model).__name__}-{model.loss}",
)
def test_planted_sequences_are_memorised(model: Any) -> None:
    """64 random sequences of 12 over 200 items: every next item follows from what came before (HR@1 >= 0.95)."""
    stream = np.random.default_rng(3)
    rows = [stream.permutation(200)[:12].tolist() for _ in range(64)]
    scorer = dataclasses.replace(model, dropout=0.0, max_seconds=1e5).fit(events_of(rows, 200))
    cases = Heldout(np.arange(64), pad([np.asarray(r[:-1]) for r in rows]), np.asarray([[r[-1]] for r in rows]))
    histories = torch.as_tensor(cases.histories)
    top = scorer.score(histories, torch.as_tensor(cases.users)).scatter(1, histories, -1e9).argmax(1)
    assert (top.numpy() == cases.targets[:, 0]).mean() >= 0.95


@pytest.mark.parametrize("cls", MODELS)
def test_checkerboard_tastes_are_learnt(cls: type) -> None:
    """Taste must be read from the history; FPMC, which sees its last item only, knows the people."""
    data = checkerboard()
    histories = torch.as_tensor(data.histories(np.arange(data.n_users)))
    users = torch.arange(data.n_users) if cls is Fpmc else None
    scores = cls(dim=16, epochs=40 if cls in (Stamp, Fpmc) else 20, lr=1e-2).fit(data).score(histories, users)
    scores.scatter_(1, histories, float("-inf"))
    best = scores.topk(2, dim=1).indices
    assert (best % 2 == (torch.arange(data.n_users) % 2)[:, None]).float().mean() >= 0.95


# -- states: causal, of one history each


@pytest.mark.parametrize("cls", MODELS)
def test_no_state_sees_the_future(cls: type) -> None:
    net, items = network_of(cls), rows_of(3, 9)
    changed = items.clone()
    changed[:, 5:] = (changed[:, 5:] + 7) % 30
    with torch.no_grad():
        one, two = net(items, users=torch.arange(3)), net(changed, users=torch.arange(3))
    torch.testing.assert_close(one[:, :6], two[:, :6])
    assert (one[:, 6:] - two[:, 6:]).abs().amax(2).min() > 1e-3


@pytest.mark.parametrize("cls", MODELS)
@pytest.mark.parametrize("training", [False, True])
def test_a_row_of_a_batch_is_one_history_and_nothing_is_carried_on(cls: type, training: bool) -> None:
    """In training too: each row alone, in the batch, and in a second pass has the same states."""
    net, items, users = network_of(cls, dropout=0.0), rows_of(4, 9), torch.tensor([2, 0, 1, 2])
    items[1, 4:] = PAD
    if hasattr(net, "dropout_input"):
        net.dropout_input = 0.0
    net.train(training)
    first = net(items, users=users)
    for b in range(4):
        torch.testing.assert_close(net(items[b : b + 1], users=users[b : b + 1]), first[b : b + 1], **CLOSE)
    torch.testing.assert_close(net(items, users=users), first)


@pytest.mark.parametrize("cls", MODELS)
def test_the_state_after_the_last_item_alone_equals_that_among_all(cls: type) -> None:
    net, items, users = network_of(cls), rows_of(4, 9), torch.tensor([2, 0, -1, 4])
    last = torch.tensor([9, 4, 0, 1])
    items[1, 4:] = items[2] = items[3, 1:] = PAD
    with torch.no_grad():
        every = net(items, users=users)
        torch.testing.assert_close(net(items, last, users), every[torch.arange(4), last], **CLOSE)


@pytest.mark.parametrize("cls", MODELS)
def test_histories_of_one_item_and_no_histories(cls: type) -> None:
    scorer = cls(dim=8, epochs=1).fit(events_of([[1], [2], [3]], 5))
    assert scorer.score(torch.tensor([[1]])).isfinite().all()
    assert scorer.score(torch.full((0, 3), PAD)).shape == (0, 5)


# -- soft edits


@pytest.mark.parametrize(
    ("cls", "fields"),
    [
        (Gru4Rec, {"layers": 2, "max_len": 4}),
        (Gru4Rec, {"tied": False, "max_len": 100}),
        (Narm, {"max_len": 4}),
        (Stamp, {"max_len": 4}),
        (VtRnn, {"max_len": 4}),
        (Caser, {"window": 3}),
        (Caser, {"window": 12}),
        (Fpmc, {}),
    ],
)
def test_soft_states_equal_those_of_the_edited_history(cls: type, fields: dict[str, Any]) -> None:
    """Windows shorter and longer than the history, PAD within it, all and nothing kept; the person known."""
    net, items = network_of(cls, **fields), rows_of(40, 9)
    items[::3, 2] = PAD
    keep = torch.rand(40, 9, generator=devices.generator(2)) > 0.5
    keep[0], keep[1] = True, False
    users = torch.arange(40) % 5
    known = (users,) if hasattr(net, "people") else ()
    with torch.no_grad():
        plain = SequenceScorer(net, "").state(compact(items, keep), users)
        soft = net.soft(items, (keep & (items != PAD)).float(), *known)
    torch.testing.assert_close(soft, plain, **CLOSE)


# -- GRU4Rec


def gru_by_hand(net: Any, row: list[int], h: np.ndarray | None = None) -> np.ndarray:
    """The states of one history, unit by unit: Hidasi et al., Eq. 1-4, with torch's two biases."""
    p = {name: value.detach().double().numpy() for name, value in net.state_dict().items()}
    sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    h = p["recurrence.start"][0] if h is None else h
    states = [h]
    for item in row:
        x = p["items.weight"][item]
        given = p["recurrence.gru.weight_ih_l0"] @ x + p["recurrence.gru.bias_ih_l0"]
        own = p["recurrence.gru.weight_hh_l0"] @ h + p["recurrence.gru.bias_hh_l0"]
        (r_in, z_in, n_in), (r_own, z_own, n_own) = np.split(given, 3), np.split(own, 3)
        z = sigmoid(z_in + z_own)
        h = (1 - z) * np.tanh(n_in + sigmoid(r_in + r_own) * n_own) + z * h
        states.append(h)
    return np.stack(states)


def test_gru4rec_equals_a_loop_over_each_history_from_a_fresh_state() -> None:
    """Fault 1 of Hidasi & Czapp's: a history that starts from the last state of the one before has other states."""
    net, items = network_of(Gru4Rec), rows_of(3, 6)
    found = net(items).detach().numpy()
    by_hand = [gru_by_hand(net, row) for row in items.tolist()]
    np.testing.assert_allclose(found, np.stack(by_hand), atol=1e-5)
    leaked = gru_by_hand(net, items[1].tolist(), h=by_hand[0][-1])
    assert np.abs(leaked[1:] - by_hand[1][1:]).max(1).min() > 1e-3


@pytest.mark.parametrize("tied", [True, False])
def test_gru4rec_s_loss_is_bpr_max_over_the_items_that_are_not_wanted(tied: bool) -> None:
    """Faults 2, 3 and 4: CIKM 2018, Eq. 10 by plain loops; with the wanted item as its own negative it would differ."""
    model = Gru4Rec(dim=8, tied=tied, loss="bpr-max", negatives=20, dropout=0.0, dropout_input=0.0)
    net, items = network_of(Gru4Rec, n_items=12, tied=tied, dropout=0.0, dropout_input=0.0), rows_of(3, 6, 12)
    items[1, 4:] = PAD
    found = model.objective(net, devices.generator(5))((torch.arange(3), items))
    vectors = (net.items if tied else net.outputs).weight.detach().double().numpy()
    sampled = torch.randperm(12, generator=devices.generator(5))[:11].tolist()
    right, wrong = [], []
    for row in items.tolist():
        row = [item for item in row if item != PAD]
        for h, wanted in zip(gru_by_hand(net, row), row, strict=False):
            score = vectors @ h + net.bias.detach().double().numpy()
            for values, others in ((right, [j for j in sampled if j != wanted]), (wrong, sampled)):
                share = np.exp(score[others]) / np.exp(score[others]).sum()
                won = (share / (1 + np.exp(score[others] - score[wanted]))).sum()
                values.append(-np.log(won) + (share * score[others] ** 2).sum())
    assert float(found.detach()) == pytest.approx(np.mean(right), rel=1e-4)
    assert abs(np.mean(right) - np.mean(wrong)) > 1e-2


def test_gru4rec_drops_outputs_and_feeds_nothing_dropped_back() -> None:
    """Fault 5: of the outputs about half are 0, and those left are the undropped states, scaled up."""
    net, items = network_of(Gru4Rec, dropout=0.5, dropout_input=0.0), rows_of(20, 9)
    states = net(items)
    with devices.seeded(0, torch.device("cpu")):
        dropped = net.train()(items)
    left = dropped != 0
    assert 0.45 < float(left.float().mean()) < 0.55
    torch.testing.assert_close(dropped[left], 2 * states[left], **CLOSE)
    with devices.seeded(0, torch.device("cpu")):
        net.dropout, net.dropout_input = 0.0, 0.5
        assert (net(items)[:, 1:] - states[:, 1:]).abs().max() > 1e-2, "the input's dropout is applied"


# -- attention of NARM and STAMP


def slow_attention(query: Any, key: Any, value: Any, weights: Any) -> torch.Tensor:
    rows = []
    for b in range(len(query)):
        for t in range(query.shape[1]):
            seen = [torch.sigmoid(query[b, t] + key[b, j]) @ weights * value[b, j] for j in range(t + 1)]
            rows.append(torch.stack(seen).sum(0))
    return torch.stack(rows).view(value.shape)


@pytest.mark.parametrize("block", [1, 200, 2**18])
def test_attention_and_its_gradient_equal_a_loop_over_positions(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(narm, "BLOCK", {"cpu": block})
    stream = devices.generator(0)
    sizes = [(3, 19, 4), (3, 19, 4), (3, 19, 5), (4,)]
    parts = [torch.randn(size, generator=stream, requires_grad=True) for size in sizes]
    slope = torch.randn(3, 19, 5, generator=stream)
    fast, slow = narm.attention(*parts), slow_attention(*parts)
    torch.testing.assert_close(fast, slow, **CLOSE)
    expected = torch.autograd.grad((slow * slope).sum(), parts)
    torch.testing.assert_close(torch.autograd.grad((fast * slope).sum(), parts), expected, atol=1e-4, rtol=1e-4)


def test_narm_equals_its_equations_position_by_position() -> None:
    """Li et al., Eq. 5-9 on the states of the recurrence."""
    net, items = network_of(Narm, hidden=6), rows_of(2, 7)
    found = net(items)
    read = net.recurrence(net.embed(items))
    for b in range(2):
        for t in range(8):
            now, local = read[b, t], torch.zeros(6)
            for j in range(1, t + 1):
                look = net.weights.weight[0] @ torch.sigmoid(net.query.weight @ now + net.key.weight @ read[b, j])
                local = local + look * read[b, j]
            torch.testing.assert_close(found[b, t], net.out.weight @ torch.cat([now, local]), **CLOSE)


def test_stamp_equals_its_equations_position_by_position() -> None:
    """Liu et al., Eq. 6-13; nothing but a learnt state for the empty history."""
    net, items = network_of(Stamp), rows_of(2, 7)
    found, x = net(items), net.items(items)
    torch.testing.assert_close(found[:, 0], net.start.expand(2, -1))
    for b in range(2):
        for t in range(1, 8):
            latest, mean = x[b, t - 1], x[b, :t].mean(0)
            looked = torch.zeros(8)
            for i in range(t):
                inner = net.of_each.weight @ x[b, i] + net.of_last.weight @ latest + net.of_mean.weight @ mean
                looked = looked + net.weights.weight[0] @ torch.sigmoid(inner + net.of_mean.bias) * x[b, i]
            memory = torch.tanh(net.memory.weight @ looked + net.memory.bias)
            recent = torch.tanh(net.recent.weight @ latest + net.recent.bias)
            torch.testing.assert_close(found[b, t], memory * recent, **CLOSE)


@pytest.mark.parametrize("cls", LOOK_BACK)
def test_an_old_item_matters_within_max_len_and_re_enters(cls: type) -> None:
    """With max_len 4 the fifth-last item matters only when a later one is taken out."""
    scorer = SequenceScorer(network_of(cls, max_len=4), "")
    long, other = torch.tensor([[1, 3, 5, 7, 9]]), torch.tensor([[2, 3, 5, 7, 9]])
    torch.testing.assert_close(scorer.score(long), scorer.score(other))
    assert (scorer.score(long[:, :4]) - scorer.score(other[:, :4])).abs().max() > 1e-3


# -- Caser


def test_caser_s_window_older_items_re_enter() -> None:
    """L = 5: the sixth-last item is out of sight, and enters when a later one is deleted."""
    scorer = SequenceScorer(network_of(Caser, window=5), "")
    long, other = torch.tensor([[1, 3, 5, 7, 9, 11]]), torch.tensor([[2, 3, 5, 7, 9, 11]])
    torch.testing.assert_close(scorer.score(long), scorer.score(other))
    cut = [row.index_fill(1, torch.tensor([4]), PAD) for row in (long, other)]
    assert (scorer.score(cut[0]) - scorer.score(cut[1])).abs().max() > 1e-3


def test_caser_equals_its_filters_slid_by_hand() -> None:
    """Tang & Wang, Eq. 3-9, window by window, zeros where an item is missing."""
    net, items = network_of(Caser, window=3, horizontal=2, vertical=2), rows_of(2, 5)
    found = net(items, users=torch.tensor([1, -1]))
    for b in range(2):
        for t in range(6):
            image = torch.zeros(3, 8)
            for back in range(min(t, 3)):
                image[2 - back] = net.items.weight[items[b, t - 1 - back]]
            wide = []
            for h, filters in enumerate(net.horizontal, start=1):
                values = [
                    [(image[i : i + h].T * weight).sum() + bias for i in range(3 - h + 1)]
                    for weight, bias in zip(filters.weight, filters.bias, strict=True)
                ]
                wide += [torch.relu(torch.stack(one)).max() for one in values]
            tall = torch.stack([image.T @ weight for weight in net.vertical.weight], 1) + net.vertical.bias
            z = torch.relu(net.join.weight @ torch.cat([torch.stack(wide), tall.flatten()]) + net.join.bias)
            torch.testing.assert_close(found[b, t, :8], z, **CLOSE)


def test_caser_learns_from_the_next_items_of_each_position() -> None:
    """T = 2: the mean over all pairs (position, one of its next two items)."""
    model = Caser(dim=8, targets=2, dropout=0.0)
    net, items = network_of(Caser, n_items=12, dropout=0.0), rows_of(2, 5, 12)
    items[1, 3:] = PAD
    found = model.objective(net, devices.generator(0))((torch.arange(2), items))
    table, bias = net.table()
    values = []
    for b, row in enumerate([items[0], items[1, :3]]):
        states = net(row[None], users=torch.tensor([b]))[0]
        for t in range(len(row)):
            values += [-(table @ states[t] + bias).log_softmax(0)[item] for item in row[t : t + 2]]
    torch.testing.assert_close(found, torch.stack(values).mean(), **CLOSE)


# -- FPMC and people


def test_fpmc_is_taste_plus_one_step() -> None:
    """Rendle et al., Eq. 15 with one-item baskets; only the last item of the history counts."""
    net = network_of(Fpmc)
    scorer = SequenceScorer(net, "")
    found = scorer.score(torch.tensor([[4, 9, 2], [7, 7, 2]]), torch.tensor([1, 1]))
    p, b = net.people.vectors.weight[1], net.before.weight[2]
    for_person, for_last = net.items.weight[:, :8], net.items.weight[:, 8:]
    torch.testing.assert_close(found[0], for_person @ p + for_last @ b, **CLOSE)
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize("cls", [Caser, Fpmc])
def test_a_person_without_a_learnt_vector_has_the_mean_of_those_who_have_one(cls: type) -> None:
    """Person 1 has no event in training: its vector was never learnt, and counts neither for it nor in the mean."""
    scorer = cls(dim=8, epochs=3).fit(events_of([[1, 2, 3], [], [4, 5], [3, 1]], 9))
    vectors = scorer.net.people.vectors.weight.detach()
    mean = vectors[[0, 2, 3]].mean(0)
    history = torch.tensor([[4]]).expand(4, -1)
    states = scorer.state(history, torch.tensor([0, 1, -1, 3]))
    torch.testing.assert_close(states[1], states[2])
    person = states[:, :8] if cls is Fpmc else states[:, 8:]
    torch.testing.assert_close(person, torch.stack([vectors[0], mean, mean, vectors[3]]))
    torch.testing.assert_close(scorer.state(history[:1]), states[2:3])


# -- VT-RNN's features


def with_genres(data: Interactions, genres: list[str]) -> Interactions:
    return dataclasses.replace(data, items=data.items.assign(genres=pd.Series(genres)))


def test_an_item_nobody_had_is_ranked_by_its_genre() -> None:
    """Items 28 and 29 have no event; a person of even items is to be offered the one whose genre even items have."""
    data = checkerboard()
    data = with_genres(data.keep(data.item < 28), ["Even", "Odd|Small"] * 15)
    histories = torch.as_tensor(data.histories(np.arange(data.n_users)))
    new = torch.tensor([28, 29]).expand(data.n_users, -1)
    own = torch.arange(data.n_users) % 2
    for features, least in (("genres", 0.95), ("none", None)):
        scorer = VtRnn(dim=16, epochs=20, lr=1e-2, features=features).fit(data)
        share = float((scorer.score(histories, items=new).argmax(1) == own).float().mean())
        assert share >= least if least else share < 0.95, features
        again = SequenceScorer.from_tensors(scorer.tensors(), scorer.settings())
        torch.testing.assert_close(again.score(histories), scorer.score(histories))


def test_data_without_genres_cannot_give_them() -> None:
    with pytest.raises(BadInput, match=r"no genres: leave vtrnn\.features=none"):
        VtRnn(features="genres").fit(checkerboard())


@pytest.mark.parametrize("cls", MODELS)
def test_the_published_form_is_made_of_fields_and_trains(cls: type) -> None:
    fields = {field.name: field.default for field in dataclasses.fields(cls)}
    assert set(cls.published) <= set(fields)
    model = cls(**cls.published | {"epochs": 12, "lr": 1e-2})
    curve = model.fit(checkerboard()).report["curve"]
    assert curve[-1]["loss"] < 0.98 * curve[0]["loss"]
