"""What explainers that give a value to each history item must find, from outside their own code."""

from __future__ import annotations

import math
import time
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import Ridge

from recx.core import registry
from recx.data.interactions import Interactions
from recx.explainers._explanation import Finding
from recx.explainers._learnt import load, save
from recx.explainers._ranked import TIED, ranked
from recx.explainers.integrated_gradients import IntegratedGradients
from recx.explainers.knn import Knn
from recx.explainers.leave_one_out import LeaveOneOut
from recx.explainers.lime import Lime
from recx.explainers.lxr import TRIED, Lxr
from recx.explainers.random import Random, lots
from recx.explainers.shap import Shap
from recx.models.ease import ItemWeights
from recx.worlds.edited import EditedWorld
from tests.explainers.conftest import columns_of, made, pairs_of, plain_rank, world_of

VALUES = {"attention", "integrated-gradients", "knn", "lime", "lxr", "random", "shap"}


def by_hand(world: Any, row: int, target: int, k: int, values: list[float], most: int) -> list[int] | None:
    """The shortest start of the ranking whose removal takes the target out, one run at a time; None: none does it."""
    own = columns_of(world, row)
    order = sorted(own, key=lambda c: (-values[c], c))
    for n in range(min(most, len(own)) + 1):
        if plain_rank(world, row, set(own) - set(order[:n]), target) > k:
            return order[:n]
    return None


@pytest.mark.parametrize("kind", ["ease", "multvae"])
@pytest.mark.parametrize("most", [None, 2])
def test_a_ranking_gives_the_shortest_start_that_a_loop_finds(kind: str, most: int | None) -> None:
    for seed in range(4):
        world, k = world_of(kind, seed, length=12, n_items=30), 3
        row, target = pairs_of(world, k)
        values = torch.randn(len(row), 12, generator=torch.Generator().manual_seed(seed))
        findings = ranked(world, row, target, k, values, said="x", start=time.perf_counter(), calls=7, most=most)
        for p, finding in enumerate(findings):
            expected = by_hand(world, int(row[p]), int(target[p]), k, values[p].tolist(), most or 12)
            assert list(finding.positions) == (expected or [])
            assert ("never" in finding.searched) == (expected is None)
            assert finding.calls >= 7 + 1 + len(expected or columns_of(world, int(row[p]))[:most])
            order = [c for c, _ in finding.details["per_item"]]
            assert sorted(order) == columns_of(world, int(row[p]))
            assert [v for _, v in finding.details["per_item"]] == sorted((v for _, v in finding.details["per_item"]))[
                ::-1
            ]


def test_only_items_of_positive_value_are_named_when_so_asked() -> None:
    world, k = world_of("ease", 1), 3
    row, target = pairs_of(world, k)
    values = torch.full((len(row), 7), -1.0)
    values[:, -2:] = 1.0
    findings = ranked(world, row, target, k, values, said="x", start=0.0, positive=True)
    assert {c for f in findings for c in f.positions} <= {5, 6}
    none = ranked(world, row, target, k, values.clamp_max(0), said="x", start=0.0, positive=True)
    assert {f.searched for f in none} == {"x: no item speaks for it"}
    assert not any(f.positions for f in none)


def test_a_target_outside_the_list_is_not_explained_by_a_ranking() -> None:
    world, k = world_of("ease"), 3
    row = torch.tensor([0])
    target = world.top_k(row, None, k + 1)[0][:, -1]
    finding = ranked(world, row, target, k, torch.ones(1, 7), said="x", start=0.0)[0]
    assert finding.positions == ()
    assert finding.searched == TIED


def test_lots_are_uniform_and_a_deleted_item_shifts_no_other() -> None:
    drawn = lots(3, np.arange(20_000), np.array([5]))
    share = np.histogram(drawn, 20, (0, 1))[0] / len(drawn)
    assert np.abs(share - 0.05).max() < 4 * (0.05 * 0.95 / len(drawn)) ** 0.5
    assert not np.isclose(drawn, lots(4, np.arange(20_000), np.array([5]))).any()
    assert abs(np.corrcoef(drawn, lots(3, np.arange(20_000), np.array([6])))[0, 1]) < 0.03
    world, k = world_of("ease"), 3
    row, target = pairs_of(world, k)
    before = ordered_items(world, row, Random().explain(world, row, target, k, seed=1))
    gone = int(world.histories[0, 4])
    world.histories[0, 4] = -1
    after = ordered_items(world, row, Random().explain(world, row, target, k, seed=1))
    assert after[:k] == [[item for item in order if item != gone] for order in before[:k]]


def ordered_items(world: Any, row: torch.Tensor, findings: list[Finding]) -> list[list[int]]:
    return [
        [int(world.histories[r, c]) for c, _ in finding.details["per_item"]]
        for r, finding in zip(row.tolist(), findings, strict=True)
    ]


@pytest.mark.parametrize("name", [name for name in registry.names("explainers") if name in VALUES])
@pytest.mark.parametrize("length", [1, 7])
def test_every_history_item_has_its_value(name: str, length: int) -> None:
    world, k = world_of("sasrec", length=7), 3
    world.histories[:, : 7 - length] = -1
    row, target = pairs_of(world, k)
    findings = made(name).explain(world, row, target, k, seed=0)
    for p, finding in enumerate(findings):
        values = [value for _, value in finding.details["per_item"]]
        assert sorted(c for c, _ in finding.details["per_item"]) == columns_of(world, int(row[p]))
        assert values == sorted(values, reverse=True)
        assert list(finding.positions) == [c for c, _ in finding.details["per_item"][: len(finding.positions)]]


# -- shap, lime, integrated gradients


def worth_by_hand(world: Any, row: int, target: int, k: int, value: str) -> Any:
    """What a set of columns is worth, by one run of the recommender."""

    def worth(kept: frozenset[int]) -> float:
        history = torch.tensor([[int(world.histories[row, c]) for c in sorted(kept)] or [-1]])
        scores = world.scorer.score(history)[0].tolist()
        free = [i for i in range(world.n_items) if i not in world.histories[row] and i != target]
        best = sorted((scores[i] for i in free), reverse=True)[k - 1]
        return scores[target] - (best if value == "margin" else 0.0)

    return worth


def shapley(own: list[int], worth: Any) -> dict[int, float]:
    """The mean over all orders of what an item adds when it comes in, set by set (Shapley 1953)."""
    n, known = len(own), {}
    for size in range(n + 1):
        for kept in combinations(own, size):
            known[frozenset(kept)] = worth(frozenset(kept))
    values = {}
    for c in own:
        rest, total = [other for other in own if other != c], 0.0
        for size in range(n):
            share = math.factorial(size) * math.factorial(n - size - 1) / math.factorial(n)
            total += share * sum(known[frozenset({*s, c})] - known[frozenset(s)] for s in combinations(rest, size))
        values[c] = total
    return values


def per_item(finding: Finding) -> dict[int, float]:
    return dict(finding.details["per_item"])


@pytest.mark.parametrize("value", ["score", "margin"])
@pytest.mark.parametrize("kind", ["multvae", "sasrec"])
def test_shap_is_the_shapley_value_at_ten_items(kind: str, value: str) -> None:
    world, k = world_of(kind, length=10, n_items=30), 3
    row, target = (part[::5] for part in pairs_of(world, k))
    for p, finding in enumerate(Shap(value=value).explain(world, row, target, k)):
        own = columns_of(world, int(row[p]))
        expected = shapley(own, worth_by_hand(world, int(row[p]), int(target[p]), k, value))
        assert finding.details["exact"]
        assert per_item(finding) == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("kind", ["multvae", "sasrec"])
def test_sampled_shap_comes_near_and_keeps_the_sum(kind: str) -> None:
    """Half of the 1,024 coalitions of ten items; the sum is that of the scores by definition."""
    world, k = world_of(kind, length=10, n_items=30), 3
    row, target = pairs_of(world, k)
    exact, sampled = (Shap(samples=n).explain(world, row, target, k) for n in (1024, 512))
    scores = world.scores(row, None, target[:, None])[:, 0] - world.scores(
        row, torch.zeros(len(row), 10, dtype=torch.bool), target[:, None]
    ).squeeze(1)
    for p, (a, b) in enumerate(zip(exact, sampled, strict=True)):
        if len(columns_of(world, int(row[p]))) < 10:
            continue
        assert not b.details["exact"]
        assert sum(per_item(b).values()) == pytest.approx(float(scores[p]), abs=1e-4)
        truth = np.array([per_item(a)[c] for c in sorted(per_item(a))])
        found = np.array([per_item(b)[c] for c in sorted(per_item(b))])
        assert np.linalg.norm(found - truth) < 0.35 * np.linalg.norm(truth - truth.mean())


@pytest.mark.parametrize("length", [1, 7, 14])
def test_on_an_additive_model_all_agree_with_leaving_one_out(length: int) -> None:
    """An additive model's weights are Shapley values, slopes and effects at once; LIME's fit is exact without ridge."""
    world, k = world_of("ease", length=14, n_items=40), 3
    world.histories[:, : 14 - length] = -1
    row, target = pairs_of(world, k)
    recipes = (Shap(samples=256), IntegratedGradients(steps=3), Lime(samples=200, l2=0.0))
    for recipe in recipes:
        for p, finding in enumerate(recipe.explain(world, row, target, k)):
            weights = {
                c: float(world.scorer.weights[world.histories[row[p], c], target[p]])
                for c in columns_of(world, int(row[p]))
            }
            assert per_item(finding) == pytest.approx(weights, abs=1e-4), recipe
            assert finding.predicted_effect == pytest.approx(sum(finding.weights)) or not finding.positions
    ridge = Lime().explain(world, row, target, k)
    loo = LeaveOneOut().explain(world, row, target, k)
    for a, b in zip(ridge, loo, strict=True):
        assert [c for c, _ in a.details["per_item"]] == [c for c, *_ in b.details["per_item"]]


def test_lime_is_the_weighted_ridge_regression_of_scikit_learn() -> None:
    """The same edited histories, weighed by the formula of the paper, one by one."""
    world, k, recipe = world_of("multvae", length=9), 3, Lime(samples=120, l2=0.7)
    row, target = (part[:1] for part in pairs_of(world, k))
    asked: list[torch.Tensor] = []
    plain = world.scores
    world.scores = lambda r, keep=None, items=None: (asked.append(keep), plain(r, keep, items))[1]  # type: ignore[method-assign]
    found = per_item(recipe.explain(world, row, target, k)[0])
    keep = asked[0].numpy()
    assert keep[0].all()
    assert sorted(keep[1:].sum(1).tolist()) == [9 * i // 120 for i in range(120)]
    worth = worth_by_hand(world, 0, int(target[0]), k, "score")
    y = [worth(frozenset(np.flatnonzero(one).tolist())) for one in keep]
    distance = np.array([1 - one.sum() / math.sqrt(9 * max(one.sum(), 1)) for one in keep])
    model = Ridge(alpha=0.7).fit(keep, y, sample_weight=np.sqrt(np.exp(-(distance**2) / 0.25**2)))
    assert found == pytest.approx(dict(enumerate(model.coef_)), abs=1e-4)


@pytest.mark.parametrize("value", ["score", "margin"])
@pytest.mark.parametrize(("kind", "tolerance"), [("ease", 1e-4), ("multvae", 1e-3), ("gru4rec", 1e-3), ("sasrec", 0.2)])
def test_integrated_gradients_sum_to_the_difference_of_the_scores(kind: str, tolerance: float, value: str) -> None:
    """sasrec's soft edits interpolate position vectors: the slope has corners, `gap` tells by how much it misses."""
    world, k = world_of(kind), 3
    if kind == "sasrec":  # weights as at the start of a training; at three times that the slopes are spikes
        for weight in world.scorer.net.parameters():
            weight.data.div_(3)
    row, target = pairs_of(world, k)
    nothing = torch.zeros(len(row), 7, dtype=torch.bool)
    rival = world.top_k(row, None, k + 1)[0][:, -1:]
    ends = [world.scores(row, keep, target[:, None]) for keep in (None, nothing)]
    if value == "margin":
        ends = [end - world.scores(row, keep, rival) for end, keep in zip(ends, (None, nothing), strict=True)]
    change = (ends[0] - ends[1])[:, 0]
    for p, finding in enumerate(IntegratedGradients(steps=100, most=100, value=value).explain(world, row, target, k)):
        assert abs(sum(per_item(finding).values()) - float(change[p])) < tolerance * float(change.abs().max())
        assert finding.details["gap"] == pytest.approx(
            abs(sum(per_item(finding).values()) - float(change[p])), abs=1e-4
        )


def test_integrated_gradients_take_more_points_only_where_their_sum_is_off() -> None:
    """Slopes with corners (sasrec): better sums than with the first points; no more of them for multvae."""
    world, k = world_of("sasrec"), 3
    for weight in world.scorer.net.parameters():
        weight.data.div_(3)
    row, target = pairs_of(world, k)
    once, more = (IntegratedGradients(steps=10, most=most).explain(world, row, target, k) for most in (10, 160))
    assert {f.details["points"] for f in once} == {10}
    assert len({f.details["points"] for f in more}) > 1
    for a, b in zip(once, more, strict=True):
        off = 0.05 * sum(abs(value) for value in per_item(b).values())
        assert b.details["gap"] <= off or b.details["points"] == 160
        assert b.details["points"] > 10 or per_item(a) == pytest.approx(per_item(b), abs=1e-6)
        assert (a.calls < b.calls) or b.details["points"] == 10
    assert sum(f.details["gap"] for f in more) < 0.5 * sum(f.details["gap"] for f in once)
    plain = world_of("multvae")
    assert {f.details["points"] for f in IntegratedGradients().explain(plain, *pairs_of(plain, k), k)} == {50}


def test_integrated_gradients_are_those_of_finite_differences() -> None:
    """Riemann sums over 2,000 steps of the network's own formula, for one pair."""
    world, k = world_of("multvae", length=5), 3
    row, target = (part[:1] for part in pairs_of(world, k))
    weight = {name: value.detach().double().numpy() for name, value in world.scorer.net.state_dict().items()}
    items, latent = world.histories[0].numpy(), world.scorer.sizes[2]

    def score(keep: np.ndarray) -> float:
        x = np.zeros(world.n_items)
        x[items] = keep / math.sqrt(5)
        hidden = np.tanh(weight["input.weight"] @ x + weight["input.bias"])
        code = (weight["code.weight"] @ hidden + weight["code.bias"])[:latent]
        up = np.tanh(weight["up.weight"] @ code + weight["up.bias"])
        return float(weight["output.weight"][int(target)] @ up + weight["output.bias"][int(target)])

    expected = np.zeros(5)
    for t in (np.arange(2000) + 0.5) / 2000:
        for c in range(5):
            step = 1e-5 * np.eye(5)[c]
            expected[c] += (score(np.full(5, t) + step) - score(np.full(5, t) - step)) / 2e-5 / 2000
    found = per_item(IntegratedGradients().explain(world, row, target, k)[0])
    assert found == pytest.approx(dict(enumerate(expected)), abs=1e-4)


def test_margins_of_several_targets_are_those_of_each() -> None:
    world, k = world_of("multvae"), 3
    row = torch.arange(4)
    targets = world.top_k(row, None, 8)[0]
    found = world.margins(row, world.histories >= 0, targets, k)
    for t in range(8):
        torch.testing.assert_close(found[:, t], world.rank_and_margin(row, None, targets[:, t], k)[1])


# -- knn


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("kind", ["ease", "multvae", "sasrec"])
def test_nearest_items_are_those_of_a_plain_loop(kind: str, distance: str) -> None:
    world, k = world_of(kind), 3
    row, target = pairs_of(world, k)
    table = {
        "ease": lambda net: net.weights.t(),
        "multvae": lambda net: net.net["output"].weight,
        "sasrec": lambda net: net.net.items.weight,
    }[kind](world.scorer)
    vectors = table.detach().double().numpy()

    def like(a: np.ndarray, b: np.ndarray) -> float:
        if distance == "euclidean":
            return -float(np.sqrt(((a - b) ** 2).sum()))
        return float(a @ b / np.sqrt(a @ a) / np.sqrt(b @ b))

    for p, finding in enumerate(Knn(distance=distance).explain(world, row, target, k)):
        for column, value in finding.details["per_item"]:
            own = vectors[int(world.histories[row[p], column])]
            assert value == pytest.approx(like(own, vectors[int(target[p])]), abs=1e-5)


# -- attention


def test_attention_of_a_sequence_is_the_softmax_worked_out_by_hand() -> None:
    """Each head, key and layer in a loop of float64, from the formulas of the paper."""
    world = world_of("sasrec")
    net = world.scorer.net
    weight = {name: value.detach().double().numpy() for name, value in net.state_dict().items()}
    found = {layers: world.attention(torch.arange(4), layers).numpy() for layers in ("last", "mean", "rollout")}
    for r in range(4):
        own = columns_of(world, r)
        maps = maps_by_hand(weight, [int(world.histories[r, c]) for c in own], blocks=2, heads=2)
        n = len(own)
        expected = {
            "last": maps[1][n],
            "mean": (maps[0][n] + maps[1][n]) / 2,
            "rollout": ((maps[1] + np.eye(n + 1)) @ (maps[0] + np.eye(n + 1)) / 4)[n],
        }
        for layers, values in expected.items():
            np.testing.assert_allclose(found[layers][r, own], values[1:], atol=2e-4)
            assert found[layers][r].sum() == pytest.approx(1 - values[0], abs=2e-4)


def maps_by_hand(weight: dict[str, np.ndarray], items: list[int], blocks: int, heads: int) -> list[np.ndarray]:
    def norm(x: np.ndarray, name: str) -> np.ndarray:
        centred = x - x.mean()
        return centred / np.sqrt((centred**2).mean() + 1e-8) * weight[f"{name}.weight"] + weight[f"{name}.bias"]

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return weight[f"{name}.weight"] @ x + weight[f"{name}.bias"]

    dim = weight["items.weight"].shape[1]
    x = [weight["start"], *(weight["items.weight"][item] * dim**0.5 for item in items)]
    x = [vector + weight["positions.weight"][t] for t, vector in enumerate(x)]
    maps, width = [], dim // heads
    for b in range(blocks):
        name = f"blocks.{b}"
        key_value = [linear(vector, f"{name}.key_value") for vector in x]
        looks, out = np.zeros((len(x), len(x))), []
        for t, vector in enumerate(x):
            normed = norm(vector, f"{name}.norm_attention")
            query, mixed = linear(normed, f"{name}.query"), []
            for h in range(heads):
                part = slice(h * width, (h + 1) * width)
                logits = np.array([query[part] @ key_value[j][part] for j in range(t + 1)]) / width**0.5
                share = np.exp(logits - logits.max())
                share /= share.sum()
                looks[t, : t + 1] += share / heads
                mixed.append(sum(s * key_value[j][dim:][part] for j, s in enumerate(share)))
            inner = norm(normed + linear(np.concatenate(mixed), f"{name}.out"), f"{name}.norm_network")
            out.append(inner + linear(np.maximum(0, linear(inner, f"{name}.up")), f"{name}.down"))
        x = out
        maps.append(looks)
    return maps


# -- lxr


def test_lxr_finds_the_items_that_were_planted() -> None:
    """Item j's twin is j + 20: having one is what recommends the other; nothing else weighs much."""
    n, random = 40, np.random.default_rng(0)
    weights = torch.tensor(random.normal(0, 0.05, (n, n)).astype(np.float32))
    weights[torch.arange(20), torch.arange(20) + 20] = 3.0
    rows = [random.permutation(20)[:6] for _ in range(400)]
    train = interactions(rows, n)
    scorer = ItemWeights(weights)
    recipe = Lxr(steps=200, tries=2)
    learnt = recipe.learn(SimpleNamespace(train=train), scorer)
    assert [one["weights"] for one in learnt.report["tries"]] == [list(one) for one in TRIED[:2]]
    histories = np.stack([random.permutation(20)[:6] for _ in range(50)])
    world = EditedWorld(scorer, torch.as_tensor(histories), population=train)
    row = torch.arange(50)
    target = world.top_k(row, None, 1)[0][:, 0]
    findings = recipe.explain(world, row, target, 1, get=lambda: learnt)
    twin = [
        int(world.histories[r, f.details["per_item"][0][0]]) + 20 == int(t)
        for r, f, t in zip(row, findings, target, strict=True)
    ]
    assert np.mean(twin) > 0.7, "one of six by chance"
    assert all(0 <= value <= 1 for finding in findings for _, value in finding.details["per_item"])


def test_lxr_is_stored_and_read_back(tmp_path: Path) -> None:
    world = world_of("ease")
    recipe = Lxr(hidden=8, steps=3, people=4)
    learnt = recipe.learn(SimpleNamespace(train=world.population), world.scorer)
    save(learnt, tmp_path)
    row, target = pairs_of(world, 3)
    again = recipe.explain(world, row, target, 3, get=lambda: load(tmp_path, "cpu"))
    for a, b in zip(recipe.explain(world, row, target, 3, get=lambda: learnt), again, strict=True):
        assert a.details == b.details
    assert load(tmp_path, "cpu").report["tries"] == learnt.report["tries"]


def interactions(rows: list[np.ndarray], n_items: int) -> Interactions:
    user = np.repeat(np.arange(len(rows)), [len(one) for one in rows]).astype(np.int32)
    users = pd.DataFrame({"id": [str(u) for u in range(len(rows))]})
    items = pd.DataFrame({"id": [str(i) for i in range(n_items)], "title": [f"Item {i}" for i in range(n_items)]})
    return Interactions("made", user, np.concatenate(rows).astype(np.int32), users, items)
