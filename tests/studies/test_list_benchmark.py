"""The study of whole lists: its rows by hand, and in small against what the explainers say of themselves."""

from __future__ import annotations

from functools import cache
from typing import Any

import pandas as pd
import pytest

from recx.core.progress import quiet
from recx.studies import _rows
from recx.studies._build import study_of
from recx.studies.list_benchmark import SHARES, list_rows

SETTINGS = {"multvae": {"epochs": 2}, "minimal": {"max_calls": 200}}
SYSTEMS = ("minimal", "leave-one-out", "random")


@cache
def get(recipe: Any) -> Any:
    return recipe.run(get, quiet)


@cache
def study() -> Any:
    words = {"dataset": "planted", "systems": SYSTEMS, "users": 8, "small": True, "settings": SETTINGS}
    return study_of("list-benchmark", **words)


def test_rows_by_hand() -> None:
    """Three people: a set that is enough, one that is not, none."""
    table = pd.DataFrame(
        {
            "user": [0, 1, 2],
            "seed": 0,
            "found": [True, True, False],
            "enough": [True, False, False],
            "length": [2, 4, 0],
            "pn_s": [0.5, 0.25, 0.0],
            "pn_r": [0.4, 0.2, 0.0],
            "irreducible": [True, False, False],
            "proved": [True, False, False],
            "placebo_enough": [False, True, False],
            "placebo_pn_s": [0.1, 0.5, 0.0],
            "placebo_pn_r": [0.1, 0.3, 0.0],
            "calls": [10, 20, 30],
            "seconds": [0.001, 0.002, 0.003],
        }
    )
    rows = {row["metric"]: row for row in list_rows(table)}
    expected = {"coverage": 100 / 3, "length": 3, "pn_s": 37.5, "pn_r": 30, "irreducible": 50, "proved": 50}
    expected |= {"model_calls": 20, "milliseconds": 2}
    assert {name: row["measured"] for name, row in rows.items()} == pytest.approx(expected)
    assert [rows[name]["n"] for name in ("coverage", "length")] == [3, 2]
    placebo = {"coverage": 100 / 3, "pn_s": 30, "pn_r": 20}
    assert {name: rows[name]["placebo"] for name in placebo} == pytest.approx(placebo)


def test_in_small_every_share_has_its_rows_and_more_takes_more() -> None:
    rows = get(study())
    assert list(rows.columns) == _rows.COLUMNS
    assert set(rows["system"]) == set(SYSTEMS)
    one = rows.set_index(["system", "param_value", "metric"])["measured"]
    for system in SYSTEMS:
        lengths = [one[system, share, "length"] for share in SHARES if one[system, share, "coverage"] == 100]
        assert lengths == sorted(lengths)
    for share in SHARES:
        assert one["minimal", share, "coverage"] >= one["random", share, "coverage"]
    assert one["minimal", "one", "length"] <= one["leave-one-out", "one", "length"] <= one["random", "one", "length"]


def test_a_chunk_says_what_its_sets_do() -> None:
    """`enough` and `pn_s` are tried again, by the lists themselves."""
    import torch

    from recx.recipes._pairs import pairs

    judge = study().judged(study().systems[0], "half")[0]
    world, _, _, _ = pairs(judge, get)
    for row in get(judge).itertuples():
        person = torch.tensor([row.user])
        keep = torch.tensor([[int(item) not in row.items for item in world.histories[row.user]]])
        before, after = (world.top_k(person, edit, judge.k)[0][0].tolist() for edit in (None, keep))
        assert row.replaced == len(set(before) - set(after))
        assert row.pn_s == pytest.approx(row.replaced / judge.k)
        assert row.enough == (row.found and row.replaced >= judge.k / 2)
