"""What no explainer may fall over: short histories, models that say nothing, budgets of nothing, wrong settings."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from recx.core import registry
from recx.core.errors import BadInput
from recx.data.interactions import PAD
from recx.explainers._check import check, check_list
from recx.explainers._lists import explain_list, support
from recx.models._external_blackbox import Answer
from recx.worlds.edited import EditedWorld
from tests.explainers.conftest import KINDS, made, pairs_of, world_for, world_of

NAMES = registry.names("explainers")
BUDGETS = {"max_calls", "calls", "budget", "samples", "m", "steps", "max_runs", "runs"}
K = 3


def answered(explainer: Any, world: EditedWorld, row: torch.Tensor, target: torch.Tensor, k: int) -> list[Any]:
    """Its findings, each with a sentence and in the history, and all of them through the check."""
    findings = explainer.explain(world, row, target, k, seed=0)
    assert len(findings) == len(row)
    for r, finding in zip(row.tolist(), findings, strict=True):
        assert finding.searched.strip()
        assert all(world.histories[r, column] != PAD for column in finding.positions)
    check(world, row, target, k, findings)
    return findings


@pytest.mark.parametrize("name", NAMES)
def test_a_history_of_one_item(name: str) -> None:
    """If anything is named it is that item; as a list too."""
    explainer = made(name)
    world = world_for(explainer, *KINDS)
    world.histories[:, :-1] = PAD
    row, target = pairs_of(world, K)
    last = world.histories.shape[1] - 1
    assert all(finding.positions in ((), (last,)) for finding in answered(explainer, world, row, target, K))
    assert all(f.positions in ((), (last,)) for f in explain_list(explainer, world, row[:2], K, "half"))


@pytest.mark.parametrize("name", NAMES)
def test_people_without_history_beside_others(name: str) -> None:
    explainer = made(name)
    world = world_for(explainer, *KINDS)
    row, target = pairs_of(world, K)
    alone = explainer.explain(world, row[K:], target[K:], K, seed=0)
    world.histories[0] = PAD
    first, _ = world.top_k(torch.tensor([0]), None, K)
    target = torch.cat([first[0], target[K:]])
    findings = answered(explainer, world, row, target, K)
    assert [f.positions for f in findings[:K]] == [()] * K
    assert [f.positions for f in findings[K:]] == [f.positions for f in alone]
    assert explain_list(explainer, world, torch.tensor([0, 1]), K, "one")[0].positions == ()


@pytest.mark.parametrize("name", NAMES)
def test_all_items_equally_irrelevant(name: str) -> None:
    """A model that scores everything alike: nothing that is named may be called necessary."""
    explainer = made(name)
    world = world_for(explainer, *KINDS)
    silence(world)
    row, target = pairs_of(world, K)
    scores = world.scores(row)
    assert torch.equal(scores, scores[:1, :1].expand_as(scores))
    findings = answered(explainer, world, row, target, K)
    assert all(one.minimal is None for one in check(world, row, target, K, findings))
    rows = torch.arange(len(world.histories))
    lists = explain_list(explainer, world, rows, K, "one")
    assert [finding.positions for finding in lists] == [()] * len(rows)
    assert all(one.replaced == 0 for one in check_list(world, rows, K, "one", lists))
    assert all(one.share == 0 for rows in support(world, rows, K) for one in rows)


def silence(world: EditedWorld) -> None:
    """Every parameter of the model becomes 0."""
    scorer: Any = world.scorer
    for tensor in scorer.tensors().values():
        if tensor.is_floating_point():
            tensor.data.zero_()


@pytest.mark.parametrize("name", NAMES)
def test_a_list_longer_than_the_catalogue(name: str) -> None:
    """Nothing can leave a list that holds everything."""
    explainer = made(name)
    world = world_for(explainer, *KINDS)
    row, target = pairs_of(world, K)
    findings = answered(explainer, world, row, target, 1000)
    verdicts = check(world, row, target, 1000, findings)
    assert all(one.rank_after is None or one.rank_after <= 1000 for one in verdicts)
    assert all(one.minimal is None for one in verdicts)
    lists = explain_list(explainer, world, row[:1], 1000, "one")
    assert lists[0].positions == ()


@pytest.mark.parametrize("name", NAMES)
def test_a_budget_of_nothing(name: str) -> None:
    """Where a form allows none it is a plain answer, else the least that it allows is; less is out of range."""
    form = {row["name"]: row for row in registry.form("explainers", name)["parameters"]}
    for field in BUDGETS & set(form):
        least = form[field]["low"]
        with pytest.raises(BadInput, match=rf"{name}.{field}={least - 1} is out of range: allowed is {least} to"):
            registry.named("explainers", name, {field: least - 1})
        explainer = made(name, **{field: least})
        world = world_for(explainer, *KINDS)
        row, target = pairs_of(world, K)
        findings = answered(explainer, world, row, target, K)
        assert least > 0 or not any(finding.positions for finding in findings)
        explain_list(explainer, world, row[:2], K, "half")


@pytest.mark.parametrize("name", NAMES)
def test_settings_out_of_range_are_one_sentence(name: str) -> None:
    """Thresholds outside their range, not a number, of the wrong type, unknown."""
    for row in registry.form("explainers", name)["parameters"]:
        field, low, high = row["name"], row["low"], row["high"]
        if row["choices"]:
            with pytest.raises(BadInput, match=f"{name}.{field}='no such' is not one of"):
                registry.named("explainers", name, {field: "no such"})
        if row["type"] in ("int", "float"):
            assert low is not None, f"{name}.{field} has no lower limit"
            assert high is not None, f"{name}.{field} has no upper limit"
            for value in (low - 1, high * 2 + 1):
                with pytest.raises(BadInput, match=rf"{name}.{field}=.* is out of range: allowed is"):
                    registry.named("explainers", name, {field: value})
            with pytest.raises(BadInput, match=rf"{name}.{field}='many' is not"):
                registry.named("explainers", name, {field: "many"})
        if row["type"] == "float":
            with pytest.raises(BadInput, match=f"{name}.{field}=nan is not finite"):
                registry.named("explainers", name, {field: float("nan")})


@pytest.mark.parametrize("name", NAMES)
def test_scores_that_are_no_numbers_are_refused_by_name(name: str) -> None:
    """A black box that breaks in the middle of a search: its sentence, not a wrong answer."""
    explainer, world = made(name), world_of("external")
    if explainer.needs_of_world - world.capabilities:
        return  # it is never asked: `check_capabilities`
    row, target = pairs_of(world, K)
    scorer: Any = world.scorer
    from recx.models._external_blackbox import scores_of

    def broken(histories: torch.Tensor, users: torch.Tensor) -> Answer:
        return Answer(
            scores_of("own (own:scores)", [[float("nan")] * 25] * len(histories), len(histories), scorer.ids), True
        )

    scorer.ask, calls = broken, world.calls
    said = ""
    try:
        explainer.explain(world, row, target, K, seed=0)
    except BadInput as error:
        said = str(error)
    assert "not finite" in said or world.calls == calls, "an explainer that asks the model must hear the refusal"
