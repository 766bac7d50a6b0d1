"""The leaderboard: settings chosen on validation, floors always there, rows against arithmetic by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from recx.core import registry
from recx.core.errors import BadInput
from recx.core.recipe import Named
from recx.recipes._recipe import plain_get
from recx.recipes.data import Data
from recx.recipes.fit import Fit
from recx.recipes.tune import Entry, Tuned, Validate, per_person
from recx.studies._build import study_of
from recx.studies._leaderboard import rows_of
from recx.studies._rows import COLUMNS, beside_logs
from recx.studies.leaderboard import EQUAL, FLOORS, PUBLISHED

N = 400


def table(ranks: np.ndarray, candidates: int = 50, **facts: float) -> pd.DataFrame:
    gain = np.where(ranks <= 10, 1 / np.log2(ranks + 1), 0.0)
    columns = {"user": np.arange(len(ranks)), "hr@10": (ranks <= 10) * 1.0, "ndcg@10": gain, "rank": ranks}
    cost = {"seconds": 2.0, "parameters": 10.0, "epochs": -1.0, "converged": 1.0} | facts
    return pd.DataFrame(columns | {"candidates": candidates}).assign(settings="", valid=0.5, **cost)


def line(name: str, random: bool = False) -> Entry:
    return Entry(name, EQUAL, (Named("models", name),), random)


def rows() -> pd.DataFrame:
    ranks = np.random.default_rng(0).integers(1, 51, N)
    better = np.maximum(ranks - 5, 1)
    runs = {
        line("toppop"): [table(ranks)],
        line("ease"): [table(better)],
        line("sasrec", True): [table(better), table(np.maximum(better - 1, 1), converged=0.0)],
    }
    return beside_logs([{"dataset": "ml-1m"} | row for row in rows_of(runs, "leave-one-out", CHANCE, 9)])


CHANCE = {"hr@10": 0.2, "ndcg@10": 0.09}


def pick(frame: pd.DataFrame, **wanted: object) -> pd.Series:
    for name, value in wanted.items():
        frame = frame[frame[name].isna() if value is None else frame[name] == value]
    assert len(frame) == 1, frame
    return frame.iloc[0]


def test_means_intervals_and_seeds() -> None:
    frame = rows()
    assert list(frame.columns) == COLUMNS
    ranks = np.random.default_rng(0).integers(1, 51, N)
    top = pick(frame, system="toppop", setting="full ranking", metric="hr@10")
    assert top["measured"] == pytest.approx((ranks <= 10).mean())
    spread = 1.96 * (top["measured"] * (1 - top["measured"]) / N) ** 0.5
    assert top["ci_high"] - top["ci_low"] == pytest.approx(2 * spread, rel=0.1), "close to the normal interval"
    assert (top["n"], top["placebo"]) == (N, 0.2)
    own = [pick(frame, system="sasrec", setting="full ranking", metric="hr@10", seed=s)["measured"] for s in (0, 1)]
    both = pick(frame, system="sasrec", setting="full ranking", metric="hr@10", seed=None)
    assert both["measured"] == pytest.approx(np.mean(own))
    assert both["published"] == 0.3152
    assert pick(frame, system="sasrec", setting="full ranking", metric="hr@10", seed=0)[["published"]].isna().all()


def test_sampled_candidates_with_nine_negatives() -> None:
    """Among 1 + 9 candidates every target is in the first ten, and chance is the mean gain of ten places."""
    found = pick(rows(), system="toppop", setting="sampled-9", metric="hr@10")
    assert found["measured"] == pytest.approx(1)
    gain = pick(rows(), system="toppop", setting="sampled-9", metric="ndcg@10")
    assert gain["placebo"] == pytest.approx(np.mean(1 / np.log2(np.arange(2, 12))))


def test_differences_are_paired_against_the_best_floor() -> None:
    frame = rows()
    name = "ndcg@10 over best floor"
    lost = pick(frame, system="toppop", setting="full ranking", metric=name)
    ranks = np.random.default_rng(0).integers(1, 51, N)
    gain = lambda r: np.where(r <= 10, 1 / np.log2(r + 1), 0.0)  # noqa: E731
    apart = gain(ranks) - gain(np.maximum(ranks - 5, 1))
    assert lost["measured"] == pytest.approx(apart.mean())
    assert "ease" in lost["note"]
    standard = 1.96 * apart.std() / N**0.5
    assert lost["ci_high"] - lost["ci_low"] == pytest.approx(2 * standard, rel=0.1), "of the differences, not the means"
    assert frame[(frame["system"] == "ease") & (frame["metric"] == name)].empty


def test_costs_say_what_was_cut() -> None:
    frame = rows()
    assert pick(frame, system="sasrec", metric="converged")["measured"] == 0.5
    assert pick(frame, system="ease", metric="converged")["measured"] == 1
    assert frame[frame["metric"] == "epochs"].empty, "what is unknown is not shown as a number"


def test_settings_are_chosen_on_validation_and_the_test_part_is_read_once() -> None:
    data = Data(Named("data.sources", "planted", (("items", 120), ("users", 120))))
    split = Named("data.splits", "leave-one-out")
    fits = tuple(Fit(data, split, Named("models", "ease", (("l2", l2),))) for l2 in (1e-3, 30.0, 1e8))
    quality = [plain_get(Validate(fit))["ndcg@10"] for fit in fits]
    found = plain_get(Tuned(fits, 0))
    best = fits[int(np.argmax(quality))]
    assert found["settings"].iloc[0] == f"l2={dict(best.model.settings)['l2']}"
    assert found["valid"].iloc[0] == max(quality)
    expected = per_person(plain_get(best), plain_get(best.split_data).test)
    pd.testing.assert_frame_equal(found[list(expected.columns)], expected)
    assert len(set(quality)) == 3, "a grid whose points agree would choose nothing"


def test_floors_are_always_in_the_table_and_published_losses_stand_beside() -> None:
    study = study_of("leaderboard", dataset="planted", systems=("sasrec",), small=True)
    lines = [(entry.system, entry.training) for entry in study.entries]
    assert lines[:2] == [("sasrec", EQUAL), ("sasrec", PUBLISHED)]
    assert {name for name, _ in lines} == {"sasrec", *FLOORS}
    assert dict(study.entries[1].candidates[0].settings)["loss"] == "bce"
    whole = study_of("leaderboard", dataset="planted")
    assert {entry.system for entry in whole.entries} == set(registry.built_in("models"))
    grid = next(entry for entry in whole.entries if (entry.system, entry.training) == ("sasrec", EQUAL))
    assert len(grid.candidates) == 3
    assert len(whole.seeds_of(grid)) == 5


def test_a_small_leaderboard_of_the_planted_world() -> None:
    """Its structure is learnable: the floors that look at the history beat those that do not, and chance."""
    quick = {"multvae": {"epochs": 1}}
    study = study_of("leaderboard", dataset="planted", systems=("multvae",), small=True, settings=quick)
    frame = plain_get(study)
    full = frame[(frame["setting"] == "full ranking") & (frame["metric"] == "ndcg@10")].set_index("system")
    assert full.loc["ease", "measured"] > full.loc["toppop", "measured"] > full.loc["random", "measured"]
    assert full.loc["random", "ci_low"] <= full.loc["random", "placebo"] <= full.loc["random", "ci_high"]
    assert set(full.index) == {"multvae", *FLOORS}


@pytest.mark.parametrize(
    ("words", "match"),
    [
        ({"settings": {"sasrek": {"lr": 1}}}, "sasrek"),
        ({"settings": {"sasrec": {"lrr": 1}}, "systems": ("sasrec",)}, "lr"),
        ({"settings": {"leaderboard": {"split": "nowhere"}}}, "split"),
        ({"settings": {"leaderboard": {"max_seconds": -1}}}, "max_seconds"),
        ({"systems": ("sasrek",)}, "sasrec"),
    ],
)
def test_bad_words_are_one_sentence(words: dict, match: str) -> None:
    with pytest.raises(BadInput, match=match):
        study_of("leaderboard", dataset="planted", **words)
