"""What explainers that give a value to each history item must find, from outside their own code."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import torch

from recx.core import registry
from recx.explainers._explanation import Finding
from recx.explainers._ranked import TIED, ranked
from recx.explainers.knn import Knn
from recx.explainers.random import Random, lots
from tests.explainers.conftest import columns_of, pairs_of, plain_rank, world_of

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
    findings = registry.load("explainers", name)().explain(world, row, target, k, seed=0)
    for p, finding in enumerate(findings):
        values = [value for _, value in finding.details["per_item"]]
        assert sorted(c for c, _ in finding.details["per_item"]) == columns_of(world, int(row[p]))
        assert values == sorted(values, reverse=True)
        assert list(finding.positions) == [c for c, _ in finding.details["per_item"][: len(finding.positions)]]


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
