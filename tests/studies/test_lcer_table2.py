"""The study in small: its parts, its rows beside the published ones, its numbers against hand counts."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recx.core.errors import BadInput
from recx.core.progress import quiet
from recx.studies import _rows
from recx.studies._build import study_of
from recx.studies._sets import CHUNK, distances, measured

QUICK = {"multvae": {"epochs": 2}, "lcer": {"steps": 30}, "minimal": {"max_calls": 200}}


@cache
def result(dataset: str, seeds: int = 1) -> pd.DataFrame:
    made: dict[Any, Any] = {}

    def get(recipe: Any) -> Any:
        if recipe not in made:
            made[recipe] = recipe.run(get, quiet)
        return made[recipe]

    study = study_of("lcer-table2", dataset=dataset, systems=("lcer", "minimal"), users=6, seeds=seeds, settings=QUICK)
    return get(replace(study, ks=(5,), exhaustive=11))


@pytest.mark.data("ml-100k")
def test_published_and_measured_stand_side_by_side() -> None:
    rows = result("ml-100k")
    lcer = rows[(rows["system"] == "lcer") & (rows["setting"] == "top-5")].set_index(["convention", "metric"])
    for convention in ("as-published", "app"):
        assert lcer.loc[(convention, "pn"), "published"] == 61.41
        assert lcer.loc[(convention, "length"), "published"] == 4.461
    assert rows[rows["system"] == "minimal"]["published"].isna().all()
    assert list(rows.columns) == _rows.COLUMNS
    assert rows["measured"].notna().any()
    percent = rows[(rows["unit"] == "%") & rows["measured"].notna()]
    assert percent["measured"].between(0, 100).all()
    assert (percent["ci_low"].fillna(0) <= percent["measured"] + 1e-9).all()


def test_it_runs_on_data_that_no_paper_used_and_has_a_row_per_seed() -> None:
    rows = result("planted", seeds=2)
    assert rows["published"].isna().all()
    lcer = rows[(rows["system"] == "lcer") & (rows["metric"] == "validity") & (rows["convention"] == "app")]
    by_seed = lcer.dropna(subset=["seed"])
    assert sorted(by_seed["seed"]) == [0, 1]
    assert lcer["seed"].isna().sum() == 1, "one summary row"
    assert lcer[lcer["seed"].isna()]["n"].item() == by_seed["n"].sum() == 60


def test_minimal_sets_are_necessary_and_sufficient_in_the_app_convention() -> None:
    rows = result("planted", seeds=2)
    minimal = rows[(rows["system"] == "minimal") & (rows["convention"] == "app") & rows["seed"].isna()]
    minimal = minimal.set_index("metric")["measured"]
    assert minimal["pn"] == minimal["ps"] == minimal["f_ns"] == 100


def test_costs_and_distances_have_their_rows() -> None:
    rows = result("planted", seeds=2)
    minimal = rows[(rows["system"] == "minimal") & rows["seed"].isna()].set_index("metric")
    assert minimal.loc["model_calls", "measured"] > 1
    assert minimal.loc["milliseconds", "measured"] > 0
    lcer = rows[(rows["system"] == "lcer") & rows["seed"].isna()].set_index("metric")
    assert lcer.loc["model_calls", "measured"] == QUICK["lcer"]["steps"]
    assert minimal.loc["distance", "n"] <= minimal.loc["at_optimum", "n"]


def test_distance_by_hand() -> None:
    """Six pairs, k = 2: no set exists; history too long; at the optimum; two too many; not necessary, and alone not
    sufficient where that is the goal, so both short of it."""
    table = pd.DataFrame(
        {
            "user": [0, 0, 1, 1, 1, 1],
            "seed": 0,
            "found": [True] * 6,
            "goal": ["both", "both", "both", "necessary", "necessary", "both"],
            "length": [1, 4, 2, 3, 1, 1],
            "smallest": [0, -1, 2, 1, 2, 1],
            "out app": [3, 3, 3, 3, 1, 3],
            "only app": [1, 1, 2, 9, 1, 9],
        }
    )
    rows = {row["metric"]: row for row in distances(table, 2)}
    assert (rows["distance"]["measured"], rows["distance"]["n"]) == (1.0, 2)
    assert (rows["at_optimum"]["measured"], rows["at_optimum"]["n"]) == (25.0, 4)


def test_a_system_may_be_an_alias_or_one_explainer_under_several_names() -> None:
    words = ("minimal-necessary", "short=lcer", "lcer")
    study = study_of("lcer-table2", dataset="planted", systems=words, settings={"short": {"steps": 7}})
    assert [system.name for system in study.systems] == ["minimal-necessary", "short", "lcer"]
    assert [system.explainer.name for system in study.systems] == ["minimal", "lcer", "lcer"]
    assert dict(study.systems[0].explainer.settings) == {"goal": "necessary"}
    assert [dict(system.explainer.settings) for system in study.systems[1:]] == [{"steps": 7}, {}]


def test_another_model_is_named_and_its_table_stored_beside() -> None:
    from recx.cli.studies import _stem

    settings = {"lcer-table2": {"model": "sasrec"}, "sasrec": {"dim": 8}}
    study = study_of("lcer-table2", dataset="planted", systems=("lcer",), settings=settings)
    assert (study.model.name, dict(study.model.settings)) == ("sasrec", {"dim": 8})
    assert _stem("lcer-table2", study) == "lcer-table2-planted-sasrec"
    assert _stem("lcer-table2", study_of("lcer-table2", dataset="planted")) == "lcer-table2-planted"


def test_published_settings_are_the_start_and_an_alias_goes_beyond_them() -> None:
    study = study_of("lcer-table2", dataset="planted", systems=("accent", "accent-checked"))
    published, checked = (dict(system.explainer.settings) for system in study.systems)
    assert (published["replacement"], published["stop"]) == ("next", "predicted")
    built = study.systems[1].explainer.build()
    assert (built.replacement, built.stop) == ("best", "checked")
    assert "stop" not in checked, "a default is not written"


def test_measured_by_hand() -> None:
    """Two users, two pairs each, k = 2: three explanations, two necessary, one sufficient."""
    table = pd.DataFrame(
        {
            "user": [0, 0, 1, 1],
            "seed": 0,
            "found": [True, True, True, False],
            "validity": [True, True, True, False],
            "length": [1, 3, 2, 0],
            "out app": [3, 5, 2, 1],
            "only app": [9, 2, 3, 1],
            "placebo_out app": [1, 1, 1, 1],
            "placebo_only app": [1, 1, 1, 1],
        }
    )
    rows = {row["metric"]: row for row in measured(table, 2, "app")}
    assert rows["validity"]["measured"] == 75
    assert rows["validity_rank"]["measured"] == 50
    assert rows["length"]["measured"] == 2
    assert rows["pn"]["measured"] == pytest.approx(200 / 3)
    assert rows["ps"]["measured"] == pytest.approx(100 / 3)
    assert rows["f_ns"]["measured"] == pytest.approx(2 * (200 / 3) * (100 / 3) / 100)
    assert rows["pn"]["placebo"] == 0
    assert rows["ps"]["placebo"] == 100
    assert rows["pn"]["n"] == 3


def test_parts_cover_the_users_once() -> None:
    study = study_of("lcer-table2", dataset="planted", users=2 * CHUNK + 7)
    parts = study.parts(0, study.systems[0], 5)
    covered = [user for part in parts for user in range(part.first, part.last)]
    assert covered == list(range(2 * CHUNK + 7))
    assert set(parts) <= set(study.needs())


def test_the_papers_settings_per_data_set() -> None:
    study = study_of("lcer-table2", dataset="ml-1m")
    assert dict(study.systems[0].explainer.settings) == {"lam": 0.02, "alpha": 0.04}
    assert dict(study.fit(0).split.settings) == {"test": 500, "valid": 500}


def test_every_published_table_is_readable_with_known_values() -> None:
    cells = _rows.published("lcer")
    chosen = cells[(cells["table"] == "Table 2") & (cells["dataset"] == "ml-100k") & (cells["system"] == "LCER")]
    assert chosen.set_index(["setting", "metric"])["published"]["top-5", "ps"] == 55.56
    papers = ("causal-rules", "lcer", "csrec", "causalrec", "surrogate")
    assert sum(len(_rows.published(paper)) for paper in papers) == 676


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ({"systems": ("lcr",)}, "lcer"),
        ({"users": 0}, "out of range"),
        ({"users": -3}, "out of range"),
        ({"settings": {"lcer": {"stepz": 3}}}, "steps"),
        ({"settings": {"sasrec": {"dim": 3}}}, "sasrec"),
        ({"dataset": "ml-100"}, "ml-100k"),
        ({"systems": ("x=lcr",)}, "lcer"),
        ({"settings": {"lcer-table2": {"model": "sasrek"}}}, "sasrec"),
        ({"settings": {"lcer-table2": {"userz": 3}}}, "users"),
        ({"systems": ("lcer", "lcer=fia")}, "two systems are called 'lcer'"),
        ({"systems": ("=fia",)}, "no name before"),
    ],
)
def test_bad_words_are_one_sentence(words: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        study_of("lcer-table2", **words)


def test_a_count_that_a_study_lacks_is_not_ignored() -> None:
    with pytest.raises(BadInput, match="lcer-sweeps has no seeds to choose: leave --seeds out"):
        study_of("lcer-sweeps", dataset="planted", seeds=3)


@pytest.mark.data("ml-100k")
def test_the_bench_compares_the_same_work() -> None:
    """The gathered kernel and the published form give the same scores; the ratio is measured elsewhere."""
    from recx.studies._bench_lcer import run

    report = run(users=4, k=2, steps=5, slow_pairs=1, slow_steps=5, settings={"epochs": 1})
    assert report["max_abs_diff"] < 1e-5
    assert report["ratio"] > 0
    assert "extrapolated" in report["baseline"]


def test_random_sets_have_the_size_asked_for_and_lie_in_the_history() -> None:
    import torch

    from recx.recipes.judge import random_sets

    full = torch.tensor([[False, True, True, True], [True, True, False, False]])
    drawn = random_sets(full.repeat(200, 1), torch.tensor([2, 1]).repeat(200), 0)
    assert (drawn & ~full.repeat(200, 1)).sum() == 0
    assert drawn.sum(1).tolist() == [2, 1] * 200
    share = drawn[::2].float().mean(0)[1:]
    assert np.allclose(share, 2 / 3, atol=4 * (2 / 9 / 200) ** 0.5), "uniform over the history"
