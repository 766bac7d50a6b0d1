"""FIA and ACCENT against finite differences, plain loops and all sets tried."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
import torch

from recx.core.errors import BadInput
from recx.explainers._influence import influences
from recx.explainers.accent import Accent
from recx.explainers.fia import Fia
from recx.models.als import ImplicitFactors
from recx.worlds.edited import EditedWorld
from tests.explainers.conftest import columns_of, does, pairs_of, plain_rank, world_of

STEP = 0.01
"""Of central differences in single precision: rounding (1e-6 / STEP) and curvature (STEP^2) both stay under 1e-3."""


def ridge_world(seed: int = 0, people: int = 4, length: int = 7, n_items: int = 25, alpha: float = 2.0) -> EditedWorld:
    """People solved by ridge regression from their items (implicit ALS), as ALS solves them."""
    stream = torch.Generator().manual_seed(seed)
    items = torch.randn(n_items, 5, generator=stream)
    histories = torch.stack([torch.randperm(n_items, generator=stream)[:length] for _ in range(people)])
    histories[1, :3] = -1
    return EditedWorld(ImplicitFactors(items, items.T @ items + 3 * torch.eye(5), alpha), histories)


def any_world(kind: str) -> EditedWorld:
    return ridge_world() if kind == "ridge" else world_of(kind)


@pytest.mark.parametrize("kind", ["ease", "multvae", "ridge"])
def test_a_derivative_is_the_limit_of_differences(kind: str) -> None:
    """Central differences of soft scores in one item's weight, item by item, for three items of each person."""
    world = any_world(kind)
    row, target = pairs_of(world, 3)
    items = torch.stack([target, target.roll(1), target.roll(2)], dim=1)
    found = influences(world, row, items, "derivative")
    assert found.shape == (len(row), 3, 7)
    for p in range(0, len(row), 5):
        for t in range(3):
            soft = world.soft([(row[p : p + 1], items[p : p + 1, t : t + 1])])
            for c in range(7):
                if c not in columns_of(world, int(row[p])):
                    assert found[p, t, c] == 0
                    continue
                at = []
                for sign in (1, -1):
                    keep = torch.ones(1, 1, world.widest(row[p : p + 1]))
                    keep[0, 0, c - 7] += sign * STEP
                    at.append(float(soft([keep])[0].detach()))
                slope = (at[0] - at[1]) / (2 * STEP)
                assert float(found[p, t, c]) == pytest.approx(slope, abs=2e-3, rel=1e-3)


def test_the_derivative_of_a_ridge_solution_is_the_influence_function_of_the_persons_block() -> None:
    """Koh & Liang's formula by hand: the inverse Hessian times the gradient of item j's own loss.

    The normal equations are A w = (1 + alpha) sum_j k_j x_j with A = start + alpha sum_j k_j x_j x_j^T, so
    dw / dk_j = A^-1 x_j ((1 + alpha) - alpha x_j . w).
    """
    world, alpha = ridge_world(alpha=2.0), 2.0
    x = world.scorer.items
    row, target = pairs_of(world, 3)
    found = influences(world, row, target[:, None], "derivative")[:, 0]
    for p in range(len(row)):
        columns = columns_of(world, int(row[p]))
        own = x[world.histories[row[p], columns]]
        hessian = world.scorer.start + alpha * own.T @ own
        w = torch.linalg.solve(hessian, (1 + alpha) * own.sum(0))
        by_hand = (own @ torch.linalg.solve(hessian, x[target[p]])) * ((1 + alpha) - alpha * own @ w)
        assert found[p, columns].tolist() == pytest.approx(by_hand.tolist(), abs=1e-5)


@pytest.mark.parametrize("kind", ["ease", "multvae", "ridge"])
def test_leave_one_out_is_two_plain_runs(kind: str) -> None:
    world = any_world(kind)
    row, target = pairs_of(world, 3)
    items = torch.stack([target, target.roll(1)], dim=1)
    found = influences(world, row, items, "leave-one-out")
    for p in range(0, len(row), 4):
        own = columns_of(world, int(row[p]))
        whole = world.scorer.score(world.histories[row[p], own][None])[0]
        for c in own:
            rest = world.scorer.score(world.histories[row[p], [j for j in own if j != c]][None])[0]
            plain = (whole - rest)[items[p]].tolist()
            assert found[p, :, c].tolist() == pytest.approx(plain, abs=1e-5)


def test_blocks_do_not_change_influences(monkeypatch: pytest.MonkeyPatch) -> None:
    world = world_of("multvae", people=6)
    row, target = pairs_of(world, 3)
    items = torch.stack([target, target.roll(1), target.roll(2)], dim=1)
    whole = {kind: influences(world, row, items, kind) for kind in ("derivative", "leave-one-out")}
    monkeypatch.setattr("recx.explainers._influence.CELLS", 20)
    for kind, values in whole.items():
        torch.testing.assert_close(influences(world, row, items, kind), values)


@pytest.mark.parametrize("influence", ["derivative", "leave-one-out"])
def test_fia_names_the_item_of_largest_weight_in_an_additive_model(influence: str) -> None:
    world = world_of("ease")
    row, target = pairs_of(world, 3)
    for p, finding in enumerate(Fia(influence).explain(world, row, target, 3)):
        weights = {
            c: float(world.scorer.weights[world.histories[row[p], c], target[p]])
            for c in columns_of(world, int(row[p]))
        }
        assert dict(finding.details["per_item"]) == pytest.approx(weights, abs=1e-5)
        assert finding.positions == (max(weights, key=weights.__getitem__),)
        assert finding.predicted_effect == pytest.approx(max(weights.values()), abs=1e-5)


class Opaque:
    """A model that can only be asked for scores."""

    def __init__(self, inner: Any) -> None:
        self.score, self.n_items, self.device = inner.score, inner.n_items, inner.device


def test_a_derivative_in_a_black_box_is_refused_with_the_cure() -> None:
    world = world_of("ease")
    black = EditedWorld(Opaque(world.scorer), world.histories)
    row, target = pairs_of(black, 3)
    with pytest.raises(BadInput, match="use influence=leave-one-out"):
        Fia().explain(black, row, target, 3)
    assert Fia("leave-one-out").explain(black, row, target, 3)[0].positions
    assert Fia().needs_of_world == Fia.needs_of_world == {"soft"}
    assert Fia("leave-one-out").needs_of_world == frozenset()


def plain_gap(world: EditedWorld, row: int, kept: set[int], target: int, other: int) -> float:
    history = [int(world.histories[row, c]) for c in sorted(kept)]
    scores = world.scorer.score(torch.tensor([history or [-1]]))[0]
    return float(scores[target] - scores[other])


@pytest.mark.parametrize("influence", ["derivative", "leave-one-out"])
@pytest.mark.parametrize("seed", range(3))
def test_accent_finds_the_smallest_set_for_a_replacement_of_an_additive_model(influence: str, seed: int) -> None:
    """All 127 sets by hand: the fewest items without which the next item of the list scores higher."""
    world, k = world_of("ease", seed), 3
    row, target = pairs_of(world, k)
    following, _ = world.top_k(row, None, k + 1)
    recipe = Accent(influence=influence, replacement="next", stop="predicted")
    for p, finding in enumerate(recipe.explain(world, row, target, k)):
        r, t, other, own = int(row[p]), int(target[p]), int(following[p, k]), columns_of(world, int(row[p]))
        closing = [
            set(named)
            for size in range(1, len(own) + 1)
            for named in combinations(own, size)
            if plain_gap(world, r, set(own) - set(named), t, other) < -1e-6
        ]
        assert len(finding.positions) == (len(closing[0]) if closing else 0)
        if closing:
            assert set(finding.positions) in closing
            real = plain_gap(world, r, set(own) - set(finding.positions), t, other)
            assert finding.details["gap_left"] == pytest.approx(real, abs=1e-5)
            assert finding.details["predicted_replacement"] == other


@pytest.mark.parametrize("kind", ["ease", "multvae"])
def test_accent_as_published_equals_a_plain_loop(kind: str) -> None:
    """Every replacement, every item in turn, as the paper's Algorithm says it, from leave-one-out runs."""
    world, k = world_of(kind, 1, length=14, n_items=60), 2
    row, target = pairs_of(world, k)
    places, _ = world.top_k(row, None, k + 4)
    recipe = Accent(stop="predicted", candidates=4)
    sizes = []
    for p, finding in enumerate(recipe.explain(world, row, target, k)):
        r, t, own = int(row[p]), int(target[p]), set(columns_of(world, int(row[p])))
        best: tuple[int, float, list[int]] = (99, 0.0, [])
        for other in places[p, k:].tolist():
            gap = plain_gap(world, r, own, t, other)
            lead = {c: gap - plain_gap(world, r, own - {c}, t, other) for c in own}
            removed: list[int] = []
            for c in sorted(own, key=lambda c: -lead[c]):
                if lead[c] <= 0 or gap < 0:
                    break
                removed.append(c)
                gap -= lead[c]
            if gap < 0 and (len(removed), gap) < best[:2]:
                best = (len(removed), gap, removed)
        assert list(finding.positions) == best[2]
        sizes.append(len(best[2]))
    assert kind != "ease" or max(sizes) > 1


@pytest.mark.parametrize("kind", ["ease", "multvae"])
@pytest.mark.parametrize("replacement", ["next", "best"])
def test_accent_checked_stops_at_the_first_run_without_the_target(kind: str, replacement: str) -> None:
    world, k = any_world(kind), 3
    row, target = pairs_of(world, k)
    named = 0
    for p, finding in enumerate(Accent(replacement=replacement).explain(world, row, target, k)):
        r, t, own = int(row[p]), int(target[p]), set(columns_of(world, int(row[p])))
        for size in range(1, len(finding.positions)):
            assert plain_rank(world, r, own - set(finding.positions[:size]), t) <= k
        if finding.positions:
            named += 1
            assert does(world, r, t, set(finding.positions), k, "necessary")
            ranked = [c for c, _ in finding.details["per_item"]]
            assert list(finding.positions) == ranked[: len(finding.positions)]
    assert named >= 10


def test_accent_with_more_replacements_never_needs_a_larger_set() -> None:
    world, k = world_of("multvae", 3, people=6), 3
    row, target = pairs_of(world, k)
    some, more = (Accent(candidates=n).explain(world, row, target, k) for n in (1, 8))
    for one, other in zip(some, more, strict=True):
        assert not one.positions or len(other.positions) <= len(one.positions)


def test_accent_without_anything_behind_the_list_says_so() -> None:
    world = world_of("ease")
    row, target = pairs_of(world, 3)
    findings = Accent().explain(world, row, target, 18)
    assert not findings[0].positions
    assert "no item stands behind" in findings[0].searched
