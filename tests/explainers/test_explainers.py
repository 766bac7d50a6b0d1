"""What each explainer must find, from outside its own code: all sets tried, closed forms, mlxtend."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pandas as pd
import pytest
import torch
from mlxtend.frequent_patterns import apriori, association_rules

from recx.explainers.association import Association, global_rules, transactions
from recx.explainers.lcer import Lcer
from recx.explainers.leave_one_out import LeaveOneOut
from recx.explainers.minimal import Minimal
from recx.models.ease import ItemWeights
from tests.explainers.conftest import columns_of, does, pairs_of, plain_rank, smallest, world_of


@pytest.mark.parametrize("goal", ["both", "necessary"])
@pytest.mark.parametrize("kind", ["ease", "multvae"])
@pytest.mark.parametrize("seed", range(6))
def test_minimal_finds_the_smallest_set_of_all(goal: str, kind: str, seed: int) -> None:
    """All 127 sets of a history of 7 are tried by hand."""
    world, k = world_of(kind, seed), 3
    row, target = pairs_of(world, k)
    for p, finding in enumerate(Minimal(goal=goal).explain(world, row, target, k)):
        best = smallest(world, int(row[p]), int(target[p]), k, goal)
        assert len(finding.positions) == (best or 0)
        if best:
            assert does(world, int(row[p]), int(target[p]), set(finding.positions), k, goal)
            assert finding.details["smallest"] == "proved"
        else:
            assert "no set" in finding.searched


@pytest.mark.parametrize("goal", ["both", "necessary"])
def test_minimal_searches_nothing_for_a_target_tied_out_of_the_list(goal: str) -> None:
    """Rounded weights: many equal scores, some in the last place of a list. The tie is counted by a loop."""
    world, k = world_of("ease", 1, n_items=20, length=6), 3
    world.scorer = ItemWeights(torch.round(world.scorer.weights))
    row, target = pairs_of(world, k)
    findings = Minimal(goal=goal).explain(world, row, target, k)
    tied = [
        plain_rank(world, int(r), set(columns_of(world, int(r))), int(t)) > k for r, t in zip(row, target, strict=True)
    ]
    assert 0 < sum(tied) < len(tied)
    for finding, is_tied in zip(findings, tied, strict=True):
        assert ("others score the same" in finding.searched) == is_tied
        assert not (is_tied and finding.positions)


def test_minimal_under_a_small_budget_says_that_nothing_is_proved() -> None:
    world, k = world_of("multvae", 2, people=6, length=20, n_items=60), 3
    row, target = pairs_of(world, k)
    findings = Minimal(max_calls=60, chunk=8).explain(world, row, target, k)
    long = [(p, f) for p, f in enumerate(findings) if len(f.positions) > 2]
    assert long, "the budget must be too small for some pair"
    for p, finding in long:
        assert finding.details["smallest"] == "not proved"
        assert finding.proved is None
        assert does(world, int(row[p]), int(target[p]), set(finding.positions), k, "both")


def test_leave_one_out_effects_are_the_weights_of_an_additive_model() -> None:
    world = world_of("ease")
    row, target = pairs_of(world, 3)
    for p, finding in enumerate(LeaveOneOut().explain(world, row, target, 3)):
        weights = {
            c: float(world.scorer.weights[world.histories[row[p], c], target[p]])
            for c in columns_of(world, int(row[p]))
        }
        effects = {c: effect for c, effect, _ in finding.details["per_item"]}
        assert effects == pytest.approx(weights, abs=1e-5)
        assert finding.positions == (max(weights, key=weights.__getitem__),)


@pytest.fixture(scope="module")
def mined() -> dict[str, dict[tuple[int, int], Any]]:
    """mlxtend's rules of one item each: of the histories, and with what each person is recommended first, by a loop."""
    world = world_of("ease")
    people = world.population
    plain = [set(people.history(u).tolist()) for u in range(people.n_users)]
    more = []
    for own in plain:
        scores = world.scorer.score(torch.tensor([sorted(own)]))[0].tolist()
        more.append(own | {max((i for i in range(25) if i not in own), key=scores.__getitem__)})
    found = {}
    for name, sets in (("histories", plain), ("with-recommendation", more)):
        table = pd.DataFrame([[i in own for i in range(25)] for own in sets])
        rules = association_rules(apriori(table, min_support=1e-9, max_len=2), metric="confidence", min_threshold=0.0)
        rules = rules.rename(columns={"consequent support": "base_rate"})
        pairs = [r for r in rules.itertuples() if len(r.antecedents) == len(r.consequents) == 1]
        found[name] = {(min(r.antecedents), min(r.consequents)): r for r in pairs}
    return found


def assert_same_measures(rule: Any, other: Any) -> None:
    for name in ("support", "confidence", "lift", "leverage", "base_rate"):
        assert rule[name] == pytest.approx(getattr(other, name), abs=1e-6)
    assert rule["conviction"] == pytest.approx(min(other.conviction, 1e12), rel=1e-5)


@pytest.mark.parametrize("kind", ["histories", "with-recommendation"])
def test_association_measures_equal_mlxtend(kind: str, mined: Any) -> None:
    """Every rule of one item each, on the same transactions."""
    world = world_of("ease")
    row, target = pairs_of(world, 3)
    recipe = Association(min_support=0, min_confidence=0, min_lift=0, transactions=kind)
    seen = 0
    for p, finding in enumerate(recipe.explain(world, row, target, 3)):
        for rule in finding.details.get("rules", []):
            assert_same_measures(rule, mined[kind][int(world.histories[row[p], rule["column"]]), int(target[p])])
            seen += 1
    assert seen > 20


@pytest.mark.parametrize("kind", ["histories", "with-recommendation"])
def test_global_rules_equal_mlxtend(kind: str, mined: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them, whatever the size of a block; and those that pass thresholds."""
    people = transactions(world_of("ease"), kind)
    theirs = mined[kind]
    found = global_rules(people, 0, 0, 0)
    assert set(zip(found["item"], found["target"], strict=True)) == set(theirs)
    for rule in found.to_dict("records"):
        assert_same_measures(rule, theirs[rule["item"], rule["target"]])
    monkeypatch.setattr("recx.explainers.association.BLOCK_BYTES", 16 * 25 * 3)
    assert global_rules(people, 0, 0, 0).equals(found)
    some = global_rules(people, 0.06, 0.3, 1.0, by="lift")
    wanted = {pair for pair, r in theirs.items() if r.support >= 0.06 and r.confidence >= 0.3 and r.lift > 1 + 1e-12}
    assert set(zip(some["item"], some["target"], strict=True)) == wanted
    assert some["lift"].is_monotonic_decreasing
    assert 3 < len(some) < len(found) / 3
    assert global_rules(people, 0.06, 0.3, 1.0, by="lift", most=3).equals(some[:3])
    assert global_rules(people, 0.06, 0.3, 1.0, most=3).attrs["passing"] == len(some)
    assert global_rules(people, 1.0).empty


def test_rules_with_recommendations_count_the_runs_once() -> None:
    world = world_of("multvae")
    row, target = pairs_of(world, 3)
    before = world.calls
    for _ in range(2):
        Association(transactions="with-recommendation").explain(world, row, target, 3)
    assert world.calls - before == 50


def test_association_keeps_to_its_thresholds() -> None:
    world = world_of("ease")
    row, target = pairs_of(world, 3)
    for finding in Association(min_support=0.04, min_confidence=0.3, min_lift=1.2).explain(world, row, target, 3):
        for rule in finding.details.get("rules", []):
            assert rule["support"] >= 0.04
            assert rule["confidence"] >= 0.3
            assert rule["lift"] > 1.2
    assert not any(f.positions for f in Association(min_lift=1e6).explain(world, row, target, 3))


@pytest.mark.parametrize("kind", ["ease", "multvae"])
def test_lcer_reaches_the_lowest_loss_of_all_sets(kind: str) -> None:
    """Eq. 12 for all 128 sets of a history of 7, by hand, against the best of 1,500 samples."""
    world, k = world_of(kind, 1), 3
    row, target = pairs_of(world, k)
    recipe = Lcer(steps=1500, lam=0.05, alpha=0.2)
    for p, finding in enumerate(recipe.explain(world, row, target, k)):
        limit = finding.details["threshold"]

        def loss(named: tuple[int, ...], p: int = p, limit: float = limit) -> float:
            keep = world.histories[row[p]] >= 0
            keep[list(named)] = False
            score = float(world.scores(row[p : p + 1], keep[None], target[p : p + 1, None]))
            return max(0.0, recipe.alpha + score - limit) + recipe.lam * len(named)

        own = columns_of(world, int(row[p]))
        best = min(loss(named) for size in range(len(own) + 1) for named in combinations(own, size))
        if finding.details["validity"]:
            assert loss(finding.positions) == pytest.approx(best, abs=1e-4)
            assert finding.details["score_after"] <= limit
            assert all(0 < weight < 1 for weight in finding.weights)


def test_lcer_threshold_is_the_score_of_the_next_item_in_the_list() -> None:
    world, k = world_of("multvae"), 3
    row, target = pairs_of(world, k)
    _, scores = world.top_k(torch.arange(4), None, k + 1)
    findings = Lcer(steps=5).explain(world, row, target, k)
    assert [f.details["threshold"] for f in findings] == pytest.approx(scores[:, -1].repeat_interleave(k).tolist())


def test_lcer_by_importance_names_items_above_one_half() -> None:
    world = world_of("ease", 3)
    row, target = pairs_of(world, 3)
    findings = Lcer(steps=3000, lr=0.01, answer="importance").explain(world, row, target, 3)
    named = [f for f in findings if f.positions]
    assert named
    for finding in named:
        assert all(weight > 0.5 for weight in finding.weights)
        assert {c for c, weight in finding.details["per_item"] if weight > 0.5} == set(finding.positions)


@pytest.mark.parametrize("kind", ["ease", "multvae"])
def test_lcer_by_importance_keeps_only_what_passes_the_papers_check(kind: str) -> None:
    """After a few steps importances are still near their random start: some sets meet the condition, some do not."""
    kept = dropped = 0
    for seed in range(3):
        world, k = world_of(kind, seed), 3
        row, target = pairs_of(world, k)
        limit = world.top_k(row, None, k + 1)[1][:, -1]
        for p, finding in enumerate(Lcer(steps=5, answer="importance").explain(world, row, target, k, seed=seed)):
            own, per_item = columns_of(world, int(row[p])), finding.details["per_item"]
            assert sorted(c for c, _ in per_item) == own
            above = [c for c, importance in per_item if importance > 0.5]
            rest = torch.tensor([[int(world.histories[row[p], c]) for c in own if c not in above] or [-1]])
            score = float(world.scorer.score(rest)[0, target[p]])
            assert finding.details["score_after"] == pytest.approx(score, abs=1e-4)
            holds = bool(above) and score <= float(limit[p])
            assert list(finding.positions) == (above if holds else [])
            kept, dropped = kept + holds, dropped + (bool(above) and not holds)
    assert kept
    assert dropped


def test_lcer_names_fewer_items_at_a_larger_lambda_and_more_at_a_larger_alpha() -> None:
    world, k = world_of("ease", 1, length=12, n_items=60), 3
    row, target = pairs_of(world, k)

    def items(**settings: float) -> int:
        return sum(len(f.positions) for f in Lcer(steps=400, **settings).explain(world, row, target, k))

    cheap, dear, far = items(lam=0.001, alpha=0.5), items(lam=0.3, alpha=0.5), items(lam=0.001, alpha=4.0)
    assert dear < cheap < far


@pytest.mark.gpu
def test_lcer_on_cuda_gives_the_same_sets() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA on this machine")
    from recx.worlds.edited import EditedWorld

    world = world_of("ease")
    there = EditedWorld(ItemWeights(world.scorer.weights.cuda()), world.histories)
    row, target = pairs_of(world, 3)
    here = Lcer(steps=200).explain(world, row, target, 3)
    on_gpu = Lcer(steps=200).explain(there, row.cuda(), target.cuda(), 3)
    assert sum(a.positions == b.positions for a, b in zip(here, on_gpu, strict=True)) >= 11
