"""Table 3, the sweeps, the case finder and the popularity of what is named, in small."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from recx.core.errors import BadInput
from recx.core.progress import quiet
from recx.studies import _genres, _rows
from recx.studies._build import study_of
from recx.studies._popular import Counts
from recx.studies.lcer_cases import CASE_COLUMNS
from recx.studies.lcer_popularity import ITEM_COLUMNS

QUICK = {"multvae": {"epochs": 2}, "lcer": {"steps": 30}, "minimal": {"max_calls": 100}}
SYSTEMS = ("lcer", "minimal", "accent")


@cache
def get(recipe: Any) -> Any:
    return recipe.run(get, quiet)


def study(name: str, systems: tuple[str, ...] = SYSTEMS) -> Any:
    own = {key: value for key, value in QUICK.items() if key in (*systems, "multvae")}
    return study_of(name, dataset="planted", systems=systems, users=6, settings=own)


def test_sweeps_have_the_papers_grids_and_the_lines_beside() -> None:
    rows = get(study("lcer-sweeps"))
    assert list(rows.columns) == _rows.COLUMNS
    own = rows[(rows["convention"] == "as-published") & (rows["metric"] == "length")]
    grid = own[own["system"] == "lcer"].groupby("param")["param_value"].apply(list)
    assert grid["lambda"] == ["0.01", "0.02", "0.03", "0.04", "0.05"]
    assert grid["alpha"] == ["0.02", "0.04", "0.06", "0.08", "0.1"]
    assert set(own[own["param"] == ""]["system"]) == set(SYSTEMS)
    one = own[own["system"] == "lcer"].set_index(["param", "param_value"])["measured"]
    assert one["lambda", "0.01"] == one["alpha", "0.1"] == one["", ""], "the paper's setting lies on both grids"


def test_table3_compares_at_one_length_and_shows_the_papers_table() -> None:
    rows = get(study("lcer-table3", ("lcer", "accent")))
    assert list(rows.columns) == _rows.COLUMNS
    ours = rows[rows["dataset"] == "planted"]
    assert set(ours["setting"]) == {"length-matched to accent"}
    lam = ours[ours["metric"] == "lambda"]["measured"].item()
    assert set(ours[(ours["system"] == "lcer") & (ours["metric"] == "pn")]["param_value"]) == {str(lam)}
    length = ours[(ours["metric"] == "length") & (ours["convention"] == "app")].set_index("system")["measured"]
    gap = ours[ours["metric"] == "length_gap"]["measured"].tolist()
    assert gap[1] == pytest.approx(length["lcer"] - length["accent"])
    theirs = rows[rows["dataset"] == "epinions"].set_index(["system", "metric"])
    assert theirs["measured"].isna().all()
    assert theirs.loc[("lcer", "f_ns"), "published"] == 57.55
    assert theirs.loc[("accent", "pn"), "published"] == 71.92


def test_table3_without_lcer_is_one_sentence() -> None:
    with pytest.raises(BadInput, match="name lcer"):
        study("lcer-table3", ("minimal",))


def test_cases_say_who_was_recommended_what_and_why() -> None:
    asked = study("lcer-cases")
    rows, data = get(asked), get(asked.data)
    assert list(rows.columns) == [*_rows.COLUMNS, *CASE_COLUMNS]
    cases = rows[rows["metric"] == "case"]
    assert len(cases) == 6 * 5 * len(SYSTEMS)
    assert cases["system"].tolist()[:3] == list(SYSTEMS), "the systems of one recommendation stand together"
    assert cases["target"].tolist()[0] == cases["target"].tolist()[2]
    genres = dict(zip(data.items["id"], data.items["genres"], strict=True))
    for row in cases[cases["length"] > 0].itertuples():
        named, own = row.items.split(" ; "), set(row.target_genres.split("|"))
        assert [genres[one] for one in named] == row.genres.split(" ; ")
        history = set(data.items["id"][data.history(data.user_code(row.user))])
        assert set(named) <= history
        assert row.target not in set(named)
        plain = [len(own & set(genres[o].split("|"))) / len(own | set(genres[o].split("|"))) for o in named]
        assert row.overlap == pytest.approx(np.mean(plain))
    none = cases[cases["length"] == 0]
    assert all("finds none" in note for note in none["note"])
    summary = rows[rows["metric"] == "none"].set_index("system")["measured"]
    assert summary["lcer"] == pytest.approx(100 * (cases[cases["system"] == "lcer"]["length"] == 0).mean())


def test_overlap_of_random_sets_is_the_mean_over_all_draws() -> None:
    like = _genres.jaccard_of(pd.DataFrame({"genres": ["a|b", "a", "c", "", None]}))
    found = _genres.overlaps(like, np.array([[-1, 1, 2, 3], [0, 0, 3, 4]]), np.array([0, 4]))
    assert found[0, 1:].tolist() == [0.5, 0.0, 0.0]
    assert np.isnan(found[0, 0])
    assert found[1, :2].tolist() == [0, 0]
    assert np.isnan(found[1, 2:]).all(), "two without genres are not alike"


def test_points_and_correlations_of_popularity() -> None:
    asked = study("lcer-popularity")
    rows = get(asked)
    assert list(rows.columns) == [*_rows.COLUMNS, *ITEM_COLUMNS]
    points = rows[(rows["param"] == "item") & (rows["system"] == "lcer")]
    counted = points[points["metric"] == "explanation_count"]
    assert counted["measured"].is_monotonic_decreasing
    summary = rows[(rows["system"] == "lcer") & (rows["metric"] == "popularity_explanation_count")].iloc[0]
    plain = stats.spearmanr(counted["measured"], counted["popularity"]).statistic
    assert summary["measured"] == pytest.approx(plain)
    assert summary["ci_low"] <= summary["measured"] + 0.2


def test_counts_by_hand() -> None:
    """Two people with the items 1, 2, 3 and 2; sets {2} with importance 0.8, none, {2} with 0.4."""
    histories = np.array([[1, 2, 3], [-1, -1, 2]])
    table = pd.DataFrame(
        {
            "user": [0, 0, 1],
            "seed": 0,
            "target": [4, 5, 4],
            "items": [[2], [], [2]],
            "ranking": [[2, 1, 3], [], [2]],
            "values": [[0.8, 0.5, 0.1], [], [0.4]],
        }
    )
    counts = Counts.of(table, histories, 6)
    assert counts.named.tolist() == [[0, 0, 1, 0, 0, 0], [0, 0, 1, 0, 0, 0]]
    assert counts.chances.sum(0).tolist() == [0, 2, 3, 2, 0, 0]
    assert counts.random.sum(1).tolist() == [2] * len(counts.random)
    assert counts.random.mean(0) == pytest.approx([0, 1 / 3, 1 / 3 + 1, 1 / 3, 0, 0], abs=0.35)
    assert counts.shown.sum(0).tolist() == [0, 0, 0, 0, 2, 1]
    points = {metric: values for metric, _, values in counts.points()}
    assert points["mean_importance"] == {2: pytest.approx(0.6)}
    assert points["naming_rate"][2] == pytest.approx(2 / 3)
    assert points["explanation_count"] == {2: 2.0, 1: 0.0, 3: 0.0}


@pytest.mark.parametrize(
    "name", ["lcer-table2", "lcer-table3", "lcer-sweeps", "lcer-cases", "lcer-popularity", "explanation-benchmark"]
)
def test_a_study_as_it_is_asked_for_names_systems_that_are_there(name: str) -> None:
    """Its default systems, its published settings and its own data set's are all known; the small version too."""
    for small in (False, True):
        asked = study_of(name, dataset="ml-1m", small=small)
        assert len({system.name for system in asked.systems}) == len(asked.systems) >= 3
        assert all(system.explainer.build() for system in asked.systems)
        lcer = next(system for system in asked.systems if system.name == "lcer")
        assert dict(lcer.explainer.settings)["lam"] == 0.02
