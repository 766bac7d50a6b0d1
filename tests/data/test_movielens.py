"""The real MovieLens sets. Expected values: SOURCE.md beside the files, the papers, plain counting with csv."""

from __future__ import annotations

import csv
import gzip
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from recx.data import _files
from recx.data.interactions import Interactions, prepare
from recx.data.sources.ml_1m import Ml1m
from recx.data.sources.ml_100k import Ml100k
from recx.data.sources.ml_latest_small import MlLatestSmall
from recx.data.splits.global_time import GlobalTime
from recx.data.splits.leave_one_out import LeaveOneOut


@pytest.fixture(scope="module")
def ml_100k() -> Interactions:
    return Ml100k().load()


@pytest.fixture(scope="module")
def ml_1m() -> Interactions:
    return Ml1m().load()


def shared(events: Interactions) -> float:
    """The share of events that have their second in common with another of the same user."""
    assert events.time is not None
    same = (np.diff(events.time) == 0) & (np.diff(events.user) == 0)
    return float((np.append(same, False) | np.insert(same, 0, False)).mean())


@pytest.mark.data("ml-100k")
def test_ml_100k_as_published(ml_100k: Interactions) -> None:
    assert (len(ml_100k), ml_100k.n_users, ml_100k.n_items, ml_100k.dropped) == (100_000, 943, 1_682, {})
    assert ml_100k.rating is not None
    assert np.bincount(ml_100k.rating.astype(int)).tolist() == [0, 6110, 11370, 27145, 34174, 21201]
    assert ml_100k.time is not None
    assert (ml_100k.time.min(), ml_100k.time.max()) == (
        874724710,
        893286638,
    )  # 1997-09-20 03:05:10, 1998-04-22 23:10:38
    assert np.diff(ml_100k.offsets).min() == 20
    assert round(100 * shared(ml_100k), 1) == 75.8
    assert ml_100k.items.duplicated(["title", "year"]).sum() == 18


@pytest.mark.data("ml-100k")
def test_ml_100k_under_the_thresholds_of_lcer(ml_100k: Interactions) -> None:
    data = prepare(ml_100k, rating_above=3.5, min_user=5, min_item=1)
    assert (data.n_users, data.n_items, len(data)) == (938, 1_447, 55_361)


@pytest.mark.data("ml-100k")
def test_ml_100k_films_and_people(ml_100k: Interactions) -> None:
    items = ml_100k.items.set_index("id")
    assert items.loc["1"].tolist() == ["Toy Story", 1995, "Animation|Children's|Comedy"]
    assert items.loc["11", "title"] == "Seven (Se7en)"
    assert items.loc["50"].tolist() == ["Star Wars", 1977, "Action|Adventure|Romance|Sci-Fi|War"]
    assert items.loc["127", "title"] == "The Godfather"
    assert items.loc["267", "title"] == "unknown"
    assert items.loc["267", "year"] is not None
    assert items["year"].isna().sum() == 1
    assert items["title"].str.contains("é").any()  # latin-1 was read as latin-1
    assert not items["title"].str.contains("Ã|�").any()
    assert set(items.loc[items["genres"] == ""].index) == {"267", "1373"}  # "unknown" is no genre
    assert ml_100k.users.iloc[0].tolist() == ["1", 24, "M", "technician"]


@pytest.mark.data("ml-100k")
def test_ml_100k_order_equals_a_plain_loop(ml_100k: Interactions) -> None:
    path = _files.find("ml-100k", ["u.data"])[0]
    plain: dict[str, list] = defaultdict(list)
    for row, line in enumerate(csv.reader(path.open(), delimiter="\t")):
        plain[line[0]].append((int(line[3]), row, line[1]))
    ids = ml_100k.items["id"].to_numpy(object)
    for name in ("1", "13", "405", "943"):
        assert ids[ml_100k.history(ml_100k.user_code(name))].tolist() == [item for *_, item in sorted(plain[name])]


@pytest.mark.data("ml-1m")
def test_ml_1m_assembled_as_its_source_says(ml_1m: Interactions) -> None:
    assert (len(ml_1m), ml_1m.n_users, ml_1m.n_items, ml_1m.dropped) == (1_000_115, 6_040, 3_647, {})
    assert ml_1m.rating is not None
    assert int(np.isfinite(ml_1m.rating).sum()) == 983_333
    assert ml_1m.time is not None
    assert int((ml_1m.time >= 0).sum()) == 506_680
    assert ml_1m.items.set_index("id").loc["2571"].tolist() == ["The Matrix", 1999, "Action|Sci-Fi|Thriller"]
    assert ml_1m.users.iloc[0].tolist() == ["1", "under 18", "F", "K-12 student"]


@pytest.mark.data("ml-1m")
def test_ml_1m_order_is_the_position_of_the_file(ml_1m: Interactions) -> None:
    path = _files.find("ml-1m", ["interactions.csv.gz"])[0]
    plain: dict[str, list] = defaultdict(list)
    with gzip.open(path, "rt") as file:
        for line in csv.DictReader(file):
            if line["position"] and line["user_id"] in ("1", "2999", "3000", "4169", "6040"):
                plain[line["user_id"]].append((int(line["position"]), line["movie_id"]))
    ids = ml_1m.items["id"].to_numpy(object)
    for name, items in plain.items():
        ordered = [item for _, item in sorted(items)]
        known = set(ordered)  # films of fewer than 5 ratings have no position
        assert [i for i in ids[ml_1m.history(ml_1m.user_code(name))] if i in known] == ordered


@pytest.mark.data("ml-1m")
def test_ml_1m_last_event_is_that_of_sasrec(ml_1m: Interactions) -> None:
    """No film without a position (5 and more ratings have one) is the last event of users whose times are unknown."""
    late = np.array([int(name) >= 3000 for name in ml_1m.users["id"]])
    last = ml_1m.item[ml_1m.offsets[1:] - 1][late]
    assert ml_1m.popularity[last].min() >= 5


@pytest.mark.data("ml-1m")
def test_ml_1m_with_all_times(ml_1m: Interactions) -> None:
    data = Ml1m(known_times=True).load()
    assert (len(data), data.n_users, data.n_items) == (487_650, 2_999, 3_615)
    assert data.time is not None
    assert data.time.min() >= 0
    split = GlobalTime().split(data, 0)
    assert split.train.time is not None
    assert len(split.train) == pytest.approx(0.8 * len(data), rel=0.001)


@pytest.mark.data("ml-1m")
def test_ml_1m_original_file_is_read_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The original lines of users 1 to 2999, as `ratings.dat`, give the same events as the assembled file."""
    movies, users, ratings = _files.find("ml-1m", ["movies.dat", "users.dat", "ratings_users_0001-2999.dat.gz"])
    folder = tmp_path / "ml-1m"
    folder.mkdir()
    for path in (movies, users):
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "ratings.dat").write_bytes(gzip.decompress(ratings.read_bytes()))
    assembled = Ml1m(known_times=True).load()
    monkeypatch.setenv("RECX_DATA", str(tmp_path))
    assert Ml1m().files()[2].name == "ratings.dat"
    assert Ml1m().load().fingerprint == assembled.fingerprint


@pytest.mark.data("ml-1m")
def test_ml_1m_under_the_thresholds_of_lcer(ml_1m: Interactions) -> None:
    """Published: 6,034 users, 3,502 films, 575,235 events; a little less here, as 1.7 % of the ratings are unknown."""
    data = prepare(ml_1m, rating_above=3.5, min_user=5, min_item=1)
    assert 0.97 < len(data) / 575_235 < 1
    assert 0.99 < data.n_users / 6_034 <= 1
    assert 0.99 < data.n_items / 3_502 <= 1


@pytest.mark.data("ml-1m")
def test_ml_1m_fits_a_worker() -> None:
    """Loading, preparing and splitting stays well under the 1.5 GB of a worker (0.5 GB measured)."""
    code = (
        "import resource; from recx.data.sources.ml_1m import Ml1m; from recx.data.interactions import prepare;"
        "from recx.data.splits.leave_one_out import LeaveOneOut;"
        "LeaveOneOut().split(Ml1m().load(), 0);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert int(answer.stdout) < 1_000_000  # kB


@pytest.mark.data("ml-1m")
def test_ml_1m_leave_one_out(ml_1m: Interactions) -> None:
    split = LeaveOneOut().split(ml_1m, 0)
    assert len(split.test) == len(split.valid) == 6_040
    assert len(split.train) == 1_000_115 - 2 * 6_040
    assert (split.test.targets[:, 0] == ml_1m.item[ml_1m.offsets[1:] - 1]).all()


@pytest.mark.data("ml-latest-small")
def test_ml_latest_small_2016() -> None:
    data = MlLatestSmall().load()
    assert (len(data), data.n_users, data.n_items) == (100_004, 671, 9_066)
    assert data.rating is not None
    assert set(np.unique(data.rating)) == {i / 2 for i in range(1, 11)}
    with _files.find("ml-latest-small", ["movies.csv"])[0].open(encoding="utf-8") as file:
        films = {row["movieId"]: row for row in csv.DictReader(file)}
    bare = [name for name in data.items["id"] if films[name]["genres"] == "(no genres listed)"]
    assert data.items.loc[data.items["genres"] == "", "id"].tolist() == bare
    assert data.items.set_index("id").loc["2571", "title"] == "The Matrix"
