"""Causal rules against hand counts, scipy, statsmodels and a planted recommender that follows exactly one item."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.stats import binomtest

from recx.data.interactions import PAD
from recx.explainers import _perturb, _rules
from recx.explainers._learnt import load, save
from recx.explainers._perturb import HistoryVae, VaeShape, uniform, windows
from recx.explainers.causal_rules import CausalRules
from recx.metrics.rules import difference, paired_effect, wilson
from recx.worlds.edited import EditedWorld
from tests.explainers.conftest import pairs_of, population, world_of

QUICK: dict[str, Any] = {"hidden": 32, "epochs": 30, "m": 120, "m_test": 60}
A, B, C, Y, OTHER, NEW = 0, 1, 2, 3, 4, 5


class Follows:
    """A recommender that puts item Y first where a condition on the history holds, and OTHER first where not."""

    n_items, device, exact_scores, edited_history = 400, torch.device("cpu"), True, ""

    def __init__(self, holds: Any) -> None:
        self.holds, self.report = holds, {}

    def score(self, histories: torch.Tensor, users: Any = None, items: torch.Tensor | None = None) -> torch.Tensor:
        scores = -torch.arange(self.n_items).float().expand(len(histories), -1).clone()
        hit = self.holds(histories)
        scores[:, Y] = -1000.0
        scores[:, OTHER] = 1.0
        scores[hit, Y] = 2.0
        return scores if items is None else scores.gather(1, items)


def follows(holds: Any, histories: list[list[int]]) -> EditedWorld:
    return EditedWorld(Follows(holds), torch.tensor(histories), population=population(12, 0))


def records(world: EditedWorld, items: list[list[int]], y: list[bool]) -> tuple[_rules.Records, _rules.Cases]:
    cases = _rules.Cases.of(world, torch.tensor([0]), torch.tensor([Y]), world.histories.shape[1])
    return _rules.Records(torch.tensor([items]), torch.tensor([y]), own=True), cases


def thetas(form: str, made: _rules.Records, cases: _rules.Cases, gamma: float = 0.7) -> dict[int, float]:
    found = _rules.fit(made, cases, gamma, form, 400, 1.0, 0.01)
    return dict(zip(found.item.tolist(), found.value.tolist(), strict=True))


def test_the_papers_example_by_hand() -> None:
    """A, B, C -> Y and A, B', C -> Y' (Section 4.5): Eq. 1 alone ranks by place; against negatives B is the cause."""
    world = follows(lambda h: (h == B).any(1), [[A, B, C]])
    made, cases = records(world, [[A, B, C], [A, NEW, C]], [True, False])
    alone = thetas("as-published", made, cases)
    assert sorted(alone) == [A, B, C], "the record with another output says nothing"
    assert alone[C] > alone[B] > alone[A] > 0
    ratio = [alone[A] / alone[C], alone[B] / alone[C]]
    assert ratio == pytest.approx([0.49, 0.7], rel=1e-4), "one record: the gradient is always gamma^(n-j)"
    against = thetas("regularised", made, cases)
    assert max(against, key=against.__getitem__) == B
    assert against[NEW] < 0


def test_the_second_case_of_the_papers_example() -> None:
    """A, B', C -> Y as well: A and C stand in both records, B in one."""
    world = follows(lambda h: (h == A).any(1), [[A, B, C]])
    made, cases = records(world, [[A, B, C], [A, NEW, C]], [True, True])
    found = thetas("as-published", made, cases, gamma=1.0)
    assert found[A] == pytest.approx(found[C])
    assert found[A] > found[B] == pytest.approx(found[NEW])


def test_equal_weights_are_placed_against_the_history() -> None:
    """B and the item put in its place have the same theta: the one outside the history comes before."""
    world = follows(lambda h: (h == A).any(1), [[A, B, C]])
    made, cases = records(world, [[A, B, C], [A, NEW, C]], [True, True])
    found = _rules.fit(made, cases, 0.7, "as-published", 1, 1.0, 0.01)
    place = dict(zip(found.item.tolist(), found.place.tolist(), strict=True))
    value = dict(zip(found.item.tolist(), found.value.tolist(), strict=True))
    assert value[B] == value[NEW]
    assert place == {C: 1, A: 2, NEW: 3, B: 4}


def test_the_best_of_a_history_is_the_first_of_its_items() -> None:
    """As by a loop over all that was fitted, for pairs of several people at once."""
    for seed in range(5):
        _, made, cases = case(seed)
        theta = _rules.fit(made, cases, 0.7, "as-published", 20, 1.0, 0.01)
        item, place = _rules.best(theta, cases)
        for p in range(3):
            own, mine = cases.window[cases.person[p]].tolist(), theta.of(p)
            fitted = zip(theta.item[mine].tolist(), theta.place[mine].tolist(), theta.value[mine].tolist(), strict=True)
            first = next(((i, at) for i, at, value in fitted if i in own and value > 0), (-1, 0))
            assert (int(item[p]), int(place[p])) == first


def case(seed: int) -> tuple[EditedWorld, _rules.Records, _rules.Cases]:
    """Three pairs of two people with random records."""
    stream = torch.Generator().manual_seed(seed)
    world = follows(lambda h: (h == B).any(1), [[A, B, C, 6], [PAD, PAD, 7, 8]])
    cases = _rules.Cases.of(world, torch.tensor([0, 1, 0]), torch.tensor([Y, Y, OTHER]), 4)
    items = torch.randint(12, (2, 15, 4), generator=stream)
    items[1, :, :2] = PAD
    return world, _rules.Records(items, torch.rand(3, 15, generator=stream) < 0.5, own=True), cases


def test_the_decoupled_fit_is_the_plain_one() -> None:
    """A double loop over all (item, output) pairs of a person at once, as the paper writes it."""
    _, made, cases = case(0)
    found = _rules.fit(made, cases, 0.7, "as-published", 50, 0.5, 0.01)
    for p in range(3):
        mine = found.of(p)
        got = dict(zip(found.item[mine].tolist(), found.value[mine].tolist(), strict=True))
        own = [r.tolist() for r, y in zip(made.items[cases.person[p]], made.y[p], strict=True) if y]
        theta = {item: 0.0 for r in own for item in r if item != PAD}
        for _ in range(50):
            step = dict.fromkeys(theta, 0.0)
            for r in own:
                score = sum(theta[i] * 0.7 ** (3 - j) for j, i in enumerate(r) if i != PAD)
                for j, i in enumerate(r):
                    if i != PAD:
                        step[i] += 0.7 ** (3 - j) / (1 + np.exp(score)) / len(own)
            theta = {i: theta[i] + 0.5 * step[i] for i in theta}
        assert got == pytest.approx(theta, abs=1e-5)
        assert found.value[mine].tolist() == sorted(got.values(), reverse=True)


def test_the_regularised_fit_is_what_scipy_finds() -> None:
    _, made, cases = case(1)
    found = _rules.fit(made, cases, 0.7, "regularised", 3000, 1.0, 0.05)
    for p in range(3):
        own, y = made.items[cases.person[p]].numpy(), made.y[p].numpy()
        names = sorted(set(own.flatten().tolist()) - {PAD})
        x = np.zeros((len(own), len(names) + 1))
        x[:, -1] = 1
        for r, row in enumerate(own):
            for j, item in enumerate(row):
                if item != PAD:
                    x[r, names.index(item)] += 0.7 ** (3 - j)
        penalty = np.full(len(names) + 1, 0.05)
        penalty[-1] /= 1000

        def loss(w: np.ndarray, x: np.ndarray = x, y: np.ndarray = y, penalty: np.ndarray = penalty) -> float:
            score = x @ w
            return float(np.mean(np.logaddexp(0, score) - y * score) + (penalty * w * w).sum() / 2)

        best = minimize(loss, np.zeros(len(names) + 1), method="BFGS", options={"gtol": 1e-9}).x
        mine = found.of(p)
        got = dict(zip(found.item[mine].tolist(), found.value[mine].tolist(), strict=True))
        assert got == pytest.approx(dict(zip(names, best[:-1], strict=True)), abs=2e-3)


def test_counts_are_those_of_a_loop() -> None:
    _, made, cases = case(2)
    table = _rules.counts(made, cases)
    for p in range(3):
        for j, item in enumerate(cases.window[cases.person[p]].tolist()):
            if item == PAD:
                continue
            there = [item in r for r in made.items[cases.person[p]].tolist()]
            y = made.y[p].tolist()
            pairs = list(zip(there, y, strict=True))
            want = [sum(t and o for t, o in pairs), sum(there), sum(o and not t for t, o in pairs), 15 - sum(there)]
            assert table[p, j].tolist() == want


@pytest.mark.parametrize("form", ["as-published", "regularised"])
@pytest.mark.parametrize("place", range(4))
def test_a_recommender_that_follows_one_item_is_found_out(form: str, place: int) -> None:
    """With negatives the rule names the item wherever it stands; as published it must stand last."""
    history = [A, B, C, 6]
    world = follows(lambda h: (h == history[place]).any(1), [history, [7, 8, 9, 10]])
    recipe = CausalRules(fit=form, perturb="uniform", share=0.4, m=300, m_test=200, steps=500)
    finding = recipe.explain(world, torch.tensor([0]), torch.tensor([Y]), 1)[0]
    rules = {row["column"]: row for row in finding.details["rules"]}
    assert rules[place]["out_and_y"] == rules[place]["fresh_out_and_y"] == 0, "never recommended without it"
    for name in ("difference", "fresh_difference", "effect"):
        assert rules[place][name] > 0.95, "below 1 only where Y itself was put into the history"
    assert rules[place]["fresh_difference_low"] > 0.9
    assert all(abs(rules[c]["effect"]) < 0.05 for c in rules if c != place), "putting others back changes nothing"
    if form == "regularised" or place == 3:
        assert finding.positions == (place,)


def test_nothing_is_said_where_the_history_does_not_matter() -> None:
    """Always the same output: Eq. 2 holds for nothing."""
    world = follows(lambda h: torch.ones(len(h), dtype=torch.bool), [[A, B, C, 6]])
    finding = CausalRules(perturb="uniform", m=100, m_test=50).explain(world, torch.tensor([0]), torch.tensor([Y]), 1)[
        0
    ]
    for row in finding.details["rules"]:
        assert abs(row["difference"]) < 0.05
        assert row["difference_low"] < 0 < row["difference_high"]
        assert row["effect_low"] < 0 < row["effect_high"]
    assert finding.details["recommended"] > 0.95


def test_a_cause_outside_the_history_is_no_explanation() -> None:
    """Y comes only with a new item in the last place: the largest weight belongs to that item."""
    world = follows(lambda h: (h[:, -1] == NEW) | (h == torch.tensor([A, B, C, 6])).all(1), [[A, B, C, 6]])
    recipe = CausalRules(perturb="uniform", share=0.9, m=9000, m_test=0)
    first = recipe.explain(world, torch.tensor([0]), torch.tensor([Y]), 1)[0]
    assert first.positions == ()
    assert first.details["leading"][0] == {
        "code": NEW,
        "theta": first.details["leading"][0]["theta"],
        "place": 1,
        "in_history": False,
    }
    assert "no item of the history" in first.searched
    wide = dataclasses.replace(recipe, rank_limit=10_000)
    assert wide.explain(world, torch.tensor([0]), torch.tensor([Y]), 1)[0].positions == (3,)


@pytest.mark.parametrize("kind", ["ease", "multvae"])
def test_records_say_what_the_recommender_says(kind: str) -> None:
    """Each perturbed history shown, run again alone by a loop over the catalogue."""
    world, k = world_of(kind), 3
    row, target = pairs_of(world, k)
    for p, finding in enumerate(CausalRules(**QUICK).explain(world, row, target, k)):
        history = world.histories[row[p]].tolist()
        changed = [any(one["changed"]) for one in finding.details["perturbed"]]
        for one in finding.details["perturbed"][:5]:
            own = [item for item in history if item != PAD]
            new = own[: len(own) - len(one["codes"])] + one["codes"]
            assert [a != b for a, b in zip(own[-len(one["codes"]) :], one["codes"], strict=True)] == one["changed"]
            scores = world.scorer.score(torch.tensor([new]))[0].tolist()
            free = [i for i in range(world.n_items) if i not in own and i not in new]
            best = sorted(free, key=lambda i: -scores[i])
            assert one["output"] == best[0]
            assert one["recommended"] == (int(target[p]) in best[:k])
        assert any(changed)


def test_published_settings_ask_for_the_first_place_only() -> None:
    world = world_of("ease")
    row, target = pairs_of(world, 3)
    recipe = CausalRules(**QUICK, output="top-1")
    for p, finding in enumerate(recipe.explain(world, row, target, 3)):
        if p % 3:
            assert finding.positions == ()
            assert "nothing was learnt" in finding.searched


# -- the perturbation


def learn(own: torch.Tensor, epochs: int = 150) -> HistoryVae:
    shape = VaeShape(latent=16, hidden=64, beta=0.01, epochs=epochs, batch=16, lr=3e-3)
    return HistoryVae.learn(population(25, 0), own, shape, 8, seed=0)


def test_without_variance_samples_are_the_reconstruction() -> None:
    own = windows(world_of("ease", people=30).histories, 5)
    vae = learn(own)
    once = vae.perturb(own, 4, 7, 0.0, anchor=False)
    assert torch.equal(once, vae.reconstruct(own)[:, None].expand(-1, 4, -1))
    assert torch.equal(vae.perturb(own, 4, 7, 0.0, anchor=True), own[:, None].expand(-1, 4, -1))
    assert vae.report["reconstructed"] > 0.9
    right = (vae.reconstruct(own) == own)[own != PAD].float().mean()
    assert vae.accuracy(own) == pytest.approx(float(right))


def test_more_variance_changes_more_and_padding_stays() -> None:
    own = windows(world_of("ease", people=30, length=4).histories, 5)
    assert (own == PAD).any()
    vae = learn(own, 60)
    changed = []
    for variance in (0.1, 3.0, 100.0):
        made = vae.perturb(own, 50, 1, variance, anchor=False)
        assert torch.equal(made == PAD, (own == PAD)[:, None].expand_as(made))
        changed.append(float((made != own[:, None]).float().mean()))
    assert changed == sorted(changed)
    assert changed[-1] > 2 * changed[0]


def test_one_window_alone_is_perturbed_as_in_a_batch_and_another_seed_otherwise() -> None:
    own = windows(world_of("ease", people=12).histories, 5)
    vae = learn(own, 20)
    whole = vae.perturb(own, 20, 3, 5.0, anchor=True)
    assert torch.equal(vae.perturb(own[4:5], 20, 3, 5.0, anchor=True), whole[4:5])
    assert not torch.equal(vae.perturb(own, 20, 4, 5.0, anchor=True), whole)


def test_a_large_catalogue_is_learnt_in_blocks_with_the_same_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    """One window at a time: the noise is drawn in the same order, sums are the same up to rounding."""
    own = windows(world_of("ease", people=12).histories, 5)
    whole = learn(own, 2)
    monkeypatch.setattr(_perturb, "BLOCK_FLOATS", 1)
    slow = learn(own, 2)
    assert slow._block() == 1
    for name, value in whole.tensors().items():
        assert torch.allclose(value, slow.tensors()[name], atol=1e-4), name


def test_what_was_learnt_comes_back_from_files(tmp_path: Any) -> None:
    own = windows(world_of("ease").histories, 5)
    vae = learn(own, 5)
    save(vae, tmp_path)
    again = load(tmp_path, "cpu")
    assert again.report == vae.report
    assert torch.equal(again.perturb(own, 5, 1, 3.0, anchor=True), vae.perturb(own, 5, 1, 3.0, anchor=True))


def test_uniform_replaces_with_the_probability_asked_for_and_never_by_itself() -> None:
    own = torch.tensor([[0, 1, 2, PAD, 11], [11, 10, 9, 8, 7]])
    made = uniform(own, 4000, 0, 0.3, 12)
    differs = (made != own[:, None]).float().mean((1,))
    here = own != PAD
    assert torch.allclose(differs[here], torch.tensor(0.3), atol=0.03)
    assert (made[:, :, 3][0] == PAD).all()
    new = made[1, :, 0][made[1, :, 0] != 11]
    counts = torch.bincount(new, minlength=12)[:11].float() / len(new)
    assert torch.allclose(counts, torch.tensor(1 / 11), atol=0.03), "all other items alike"


def test_windows_are_the_latest_items() -> None:
    histories = torch.tensor([[PAD, 1, 2, 3], [4, 5, 6, 7]])
    assert windows(histories, 2).tolist() == [[2, 3], [6, 7]]
    assert windows(histories, 5).tolist() == [[PAD, PAD, 1, 2, 3], [PAD, 4, 5, 6, 7]]


def test_the_recipe_learns_from_a_split_without_the_targets() -> None:
    from recx.data.splits.leave_one_out import LeaveOneOut

    data = population(25, 0)
    split = LeaveOneOut().split(data, 0)
    vae = CausalRules(**QUICK).learn(split)
    assert vae.report["windows"] <= data.n_users
    assert np.isfinite(vae.report["reconstructed"])
    world = EditedWorld(world_of("ease").scorer, torch.as_tensor(split.test.histories), population=split.train)
    row, target = pairs_of(world, 2)
    recipe = CausalRules(**QUICK)
    findings = recipe.explain(world, row[:6], target[:6], 2, get=lambda: vae)
    assert all("items weighed" in finding.searched for finding in findings)


def test_an_explanation_shows_the_perturbed_histories_by_title_and_the_store_keeps_what_was_learnt(
    recx_home: Any,
) -> None:
    from recx.engine.store import Store
    from recx.recipes._build import explainer_of, fit_of
    from recx.recipes.explain import Explain
    from recx.recipes.learnt import learnt_by
    from recx.recipes.people import Person

    fit, store = fit_of("planted", "ease"), Store()
    data = store.get(fit.data)
    explainer = explainer_of("causal-rules", {"hidden": 32, "epochs": 3, "m": 40, "m_test": 20})
    users = [Person(user) for user in data.users["id"][:2]]
    for gamma in (None, 0.5):
        chosen = explainer if gamma is None else explainer_of("causal-rules", dict(explainer.settings) | {"gamma": 0.5})
        for one in store.get(Explain(fit, tuple(users), (None, None), chosen, k=5)):
            shown = one.details["perturbed"]
            assert len(shown) == 30
            titles = set(data.items["title"])
            assert all(item["title"] in titles for record in shown for item in [*record["history"], record["output"]])
            assert {row["item"] for row in one.details["rules"]} <= set(data.items["id"])
            assert one.details["leading"][0]["title"] in titles
    assert store.manifest(learnt_by(explainer, fit))["type"] == "learnt"
    assert sum(row["type"] == "learnt" for row in store.entries()) == 1, "both settings share it"


# -- the numbers


@pytest.mark.parametrize(
    ("counts", "interval"),
    [
        ((56, 70, 48, 80), (0.0524, 0.3339)),
        ((9, 10, 3, 10), (0.1705, 0.8090)),
        ((6, 7, 2, 7), (0.0582, 0.8062)),
        ((5, 56, 0, 29), (-0.0381, 0.1926)),
        ((0, 10, 0, 20), (-0.1611, 0.2775)),
        ((10, 10, 0, 20), (0.6791, 1.0)),
    ],
)
def test_differences_are_those_of_newcombes_table(counts: tuple[int, ...], interval: tuple[float, float]) -> None:
    """Newcombe, Statistics in Medicine 17 (1998), Table II, method 10."""
    a, n, b, m = counts
    assert difference(a, n, b, m) == pytest.approx([a / n - b / m, *interval], abs=6e-5)


def test_wilson_is_that_of_scipy_and_nothing_is_verified_without_both_sides() -> None:
    for yes, n in ((8, 10), (0, 5), (5, 5), (400, 500)):
        theirs = binomtest(yes, n).proportion_ci(method="wilson")
        assert [float(x) for x in wilson(yes, n)] == pytest.approx([theirs.low, theirs.high], abs=1e-9)
    assert np.isnan(difference(3, 3, 0, 0)[0]), "never out: not verified"


def test_paired_effects_cover_the_truth() -> None:
    """1,000 experiments of 100 pairs with a true effect of 0.3 - 0.1: the interval holds it 95 % of the time."""
    stream = np.random.default_rng(0)
    drawn = stream.multinomial(100, [0.3, 0.1, 0.6], size=1000)
    value, low, high = paired_effect(np.full(1000, 100), drawn[:, 0], drawn[:, 1]).T
    assert value.mean() == pytest.approx(0.2, abs=0.01)
    assert 0.93 < ((low <= 0.2) & (high >= 0.2)).mean() < 0.98
    assert np.isnan(paired_effect(0, 0, 0)).all()


@pytest.mark.gpu
def test_on_cuda_the_same_items_are_named() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA on this machine")
    from recx.models.ease import ItemWeights

    world = world_of("ease")
    there = EditedWorld(ItemWeights(world.scorer.weights.cuda()), world.histories, population=world.population)
    row, target = pairs_of(world, 3)
    recipe = CausalRules(perturb="uniform", m=100, m_test=20)
    here = recipe.explain(world, row, target, 3)
    on_gpu = recipe.explain(there, row.cuda(), target.cuda(), 3)
    assert [one.positions for one in here] == [one.positions for one in on_gpu]
