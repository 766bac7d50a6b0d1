"""Every explainer keeps the contract; each test runs on all that are discovered."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from recx import explainers
from recx.core import registry
from recx.core.errors import BadInput
from recx.core.recipe import Named
from recx.explainers._check import check
from recx.explainers._explanation import Finding
from recx.explainers.minimal import Minimal
from recx.recipes.explain import check_capabilities
from recx.worlds.edited import EditedWorld
from tests.explainers.conftest import KINDS, columns_of, does, made, pairs_of, plain_rank, world_for, world_of


@pytest.fixture(params=registry.names("explainers"))
def explainer(request: pytest.FixtureRequest) -> Any:
    return made(request.param)


def without_time(findings: list[Finding]) -> list[Finding]:
    said = lambda text: text.rsplit(";", 1)[0]  # noqa: E731
    return [dataclasses.replace(f, seconds=0.0, searched=said(f.searched)) for f in findings]


def test_the_explainers_under_test_are_the_files_on_disk() -> None:
    files = {one.stem for one in Path(explainers.__file__).parent.glob("*.py") if not one.stem.startswith("_")}
    assert {name.replace("-", "_") for name in registry.names("explainers")} == files
    assert {"association", "lcer", "leave_one_out", "minimal", "random"} <= files


def able_world(explainer: Any, kind: str) -> EditedWorld:
    """The world of a kind; skips where it lacks what the explainer needs, once the sentence that says so is seen."""
    world = world_of(kind)
    missing = explainer.needs_of_world - world.capabilities
    if missing:
        name = module_name(explainer)
        fit = SimpleNamespace(model=Named("models", kind))
        with pytest.raises(BadInput) as refused:
            check_capabilities(Named("explainers", name), explainer, fit, world)  # type: ignore[arg-type]
        said = str(refused.value)
        assert re.fullmatch(
            rf"{name} needs \S+ \S+ .+, which {kind} does not have: choose another model or explainer\.", said
        )
        pytest.skip(said)
    return world


def module_name(explainer: Any) -> str:
    return type(explainer).__module__.rpartition(".")[2].replace("_", "-")


def test_some_world_can_do_what_an_explainer_needs(explainer: Any) -> None:
    assert explainer.needs_of_world <= world_for(explainer, *KINDS).capabilities


@pytest.mark.parametrize("kind", KINDS)
def test_findings_name_history_items_once_and_leave_the_world_alone(explainer: Any, kind: str) -> None:
    world = able_world(explainer, kind)
    before = world.histories.clone()
    row, target = pairs_of(world, 3)
    findings = explainer.explain(world, row, target, 3, seed=0)
    assert len(findings) == len(row) == 12
    assert torch.equal(world.histories, before)
    for p, finding in enumerate(findings):
        assert set(finding.positions) <= set(columns_of(world, int(row[p])))
        assert len(set(finding.positions)) == len(finding.positions) == len(finding.weights)
        assert finding.searched
        assert finding.seconds >= 0
    assert any(finding.positions for finding in findings)


@pytest.mark.parametrize("kind", KINDS)
def test_values_of_single_items_are_given_for_all_of_them_the_largest_first(explainer: Any, kind: str) -> None:
    """What studies, lists and pages read; the details are plain values."""
    world = able_world(explainer, kind)
    row, target = pairs_of(world, 3)
    for p, finding in enumerate(explainer.explain(world, row, target, 3, seed=0)):
        json.dumps(finding.details, allow_nan=False)
        assert all(math.isfinite(weight) for weight in finding.weights)
        if "per_item" in finding.details:
            rows = finding.details["per_item"]
            assert sorted(one[0] for one in rows) == columns_of(world, int(row[p]))
            assert [one[1] for one in rows] == sorted((one[1] for one in rows), reverse=True)


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_same_answer_and_one_pair_alone_equals_it_in_a_batch(explainer: Any, kind: str) -> None:
    world = able_world(explainer, kind)
    row, target = pairs_of(world, 3)
    whole = without_time(explainer.explain(world, row, target, 3, seed=5))
    assert without_time(explainer.explain(world, row, target, 3, seed=5)) == whole
    for p in range(0, len(row), 4):
        alone = without_time(explainer.explain(world, row[p : p + 1], target[p : p + 1], 3, seed=5))[0]
        assert alone.positions == whole[p].positions
        assert alone.weights == pytest.approx(whole[p].weights, abs=1e-4), "sums in another order"


def test_more_padding_on_the_left_moves_the_answer_and_nothing_else(explainer: Any) -> None:
    world = world_for(explainer, "ease", "external")
    row, target = pairs_of(world, 3)
    before = explainer.explain(world, row, target, 3, seed=1)
    world.histories = torch.nn.functional.pad(world.histories, (2, 0), value=-1)
    for plain, moved in zip(before, explainer.explain(world, row, target, 3, seed=1), strict=True):
        assert tuple(column - 2 for column in moved.positions) == plain.positions
        assert moved.weights == pytest.approx(plain.weights, abs=1e-4)


def test_nobody_asks_nothing_is_answered(explainer: Any) -> None:
    world, none = world_for(explainer, "ease", "external"), torch.empty(0, dtype=torch.long)
    assert explainer.explain(world, none, none, 3, seed=0) == []


def test_somebody_without_history_gets_no_reason_and_no_error(explainer: Any) -> None:
    world = world_for(explainer, "ease")
    world.histories[0] = -1
    findings = explainer.explain(world, torch.tensor([0]), torch.tensor([3]), 3, seed=0)
    assert [finding.positions for finding in findings] == [()]


@pytest.mark.parametrize("kind", KINDS)
def test_the_verdict_is_what_a_plain_run_gives(explainer: Any, kind: str) -> None:
    """Ranks, necessity, sufficiency and minimality, each tried again by a loop."""
    world, k = able_world(explainer, kind), 3
    row, target = pairs_of(world, k)
    findings = explainer.explain(world, row, target, k, seed=0)
    for p, (finding, verdict) in enumerate(zip(findings, check(world, row, target, k, findings), strict=True)):
        r, t, own, named = int(row[p]), int(target[p]), set(columns_of(world, int(row[p]))), set(finding.positions)
        assert verdict.rank_before == plain_rank(world, r, own, t) <= k
        assert verdict.margin_before > 0
        if not named:
            assert verdict.rank_after is verdict.minimal is verdict.replacement is None
            continue
        assert verdict.rank_after == plain_rank(world, r, own - named, t)
        assert verdict.rank_only == plain_rank(world, r, named, t)
        assert (verdict.margin_after > 0) == (verdict.rank_after <= k)
        if verdict.rank_after > k:
            assert verdict.replacement is not None
        if verdict.rank_after > k and named != own:  # without any history all items of `ease` score the same
            assert (
                plain_rank(world, r, own, verdict.replacement)
                > k
                >= plain_rank(world, r, own - named, verdict.replacement)
            )
        if verdict.minimal == "proved":
            assert does(world, r, t, named, k, finding.goal)
            smaller = [named - {c} for c in named] + [{c} for c in named if len(named) > 1]
            assert not any(does(world, r, t, subset, k, finding.goal) for subset in smaller if subset)


def test_a_target_tied_at_the_edge_of_the_list_is_never_called_necessary(explainer: Any) -> None:
    """Two items of the same score in the last place: by the strict count neither is in the list."""
    world, k = world_of("ease"), 3
    if not explainer.needs_of_world <= world.capabilities:
        pytest.skip("the tie is made in an ease world")
    row, top = torch.tensor([0]), world.top_k(torch.tensor([0]), None, k + 1)[0][0]
    world.scorer.weights[:, top[k]] = world.scorer.weights[:, top[k - 1]]
    target = world.top_k(row, None, k)[0][:, -1]
    findings = explainer.explain(world, row, target, k, seed=0)
    verdict = check(world, row, target, k, findings)[0]
    assert verdict.rank_before == k + 1
    assert verdict.minimal is None


def test_who_says_proved_is_not_believed_but_tried() -> None:
    world, k = world_of("ease"), 3
    row, target = pairs_of(world, k)
    honest = Minimal(goal="necessary").explain(world, row, target, k)
    p = next(p for p, finding in enumerate(honest) if finding.positions)
    more = next(c for c in columns_of(world, int(row[p])) if c not in honest[p].positions)
    bent = Finding(positions=(*honest[p].positions, more), proved=True)
    assert does(world, int(row[p]), int(target[p]), set(bent.positions), k, "necessary")
    assert check(world, row[p : p + 1], target[p : p + 1], k, [bent])[0].minimal == "not proved"
