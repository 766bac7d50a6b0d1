"""Data of one's own: preview, guesses, a check that writes nothing, the import; every bad file is one sentence."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from recx.core.errors import BadInput
from recx.core.progress import quiet
from recx.data import _files
from recx.recipes import bring
from recx.recipes._recipe import plain_get
from recx.recipes.bring import Check, Import, Own, Preview

pytestmark = pytest.mark.usefixtures("recx_home")

ROWS = "who,film,stars,when,name\nann,f1,4,2001-01-01,Ünïcode — 映画\nann,f2,x,2001-01-02,\nbob,f1,5,,Alien\n,f3,1,9,\n"


def write(folder: Path, name: str, body: str | bytes) -> str:
    path = folder / name
    path.write_bytes(body if isinstance(body, bytes) else body.encode())
    return str(path)


def preview(file: str, **more: Any) -> dict[str, Any]:
    return Preview(file, "0", **more).run(plain_get, quiet)


def own(file: str, name: str = "mine", **more: Any) -> Own:
    columns = more.pop("columns", (("user", "who"), ("item", "film")))
    return Own(file, "0", name, columns, **more)


def test_a_preview_shows_the_first_rows_and_guesses_the_columns(tmp_path: Path) -> None:
    found = preview(write(tmp_path, "t.csv", ROWS))
    assert found["columns"] == ["who", "film", "stars", "when", "name"]
    assert found["rows"][0] == ["ann", "f1", "4", "2001-01-01", "Ünïcode — 映画"]
    assert found["guess"] == {"user": "who", "item": "film", "rating": "stars", "time": "when", "title": "name"}
    assert found["header"]


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (["userId", "movieId", "rating", "timestamp"], ["userId", "movieId", "rating", "timestamp"]),
        (
            ["USER-ID", "Product_ID", "Overall", "unixReviewTime"],
            ["USER-ID", "Product_ID", "Overall", "unixReviewTime"],
        ),
        (["my user", "my item nr", "Film title"], ["my user", "my item nr", "Film title"]),
        (["a", "b"], []),
    ],
)
def test_guesses(columns: list[str], expected: list[str]) -> None:
    assert list(bring.guess(columns).values()) == expected


def test_a_name_is_guessed_once() -> None:
    """`name` may be a title, and `item` the item; no column plays two roles."""
    found = bring.guess(["item", "name", "user", "user_name"])
    assert found["user"] == "user"
    assert len(set(found.values())) == len(found)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("r.dat", "1::1193::5::978300760\n1::661::3::978302109\n"),
        ("u.data", "1\t1193\t5\t978300760\n1\t661\t3\t978302109\n"),
        ("r.csv.gz", gzip.compress(b"1,1193,5,978300760\n1,661,3,978302109\n")),
    ],
)
def test_a_file_without_a_header_goes_by_number(tmp_path: Path, name: str, body: str | bytes) -> None:
    found = preview(write(tmp_path, name, body))
    assert (found["header"], found["columns"]) == (False, ["1", "2", "3", "4"])
    assert found["guess"] == {"user": "1", "item": "2", "rating": "3", "time": "4"}
    assert found["rows"][1] == ["1", "661", "3", "978302109"]
    columns = tuple(found["guess"].items())
    assert Check(own(str(tmp_path / name), columns=columns)).run(plain_get, quiet)["events"] == 2


def test_lines_of_json_and_parquet_are_read_alike(tmp_path: Path) -> None:
    rows = [{"who": "a", "film": 7, "genres": ["x", "y"], "stars": 4.0}, {"who": "b", "film": 8, "stars": 5.0}]
    lines = write(tmp_path, "t.jsonl", "\n".join(json.dumps(row) for row in rows))
    pd.DataFrame([{**row, "genres": "|".join(row.get("genres", []))} for row in rows]).to_parquet(
        tmp_path / "t.parquet"
    )
    columns = (("user", "who"), ("item", "film"), ("rating", "stars"), ("genres", "genres"))
    for file in (lines, str(tmp_path / "t.parquet")):
        assert preview(file)["columns"] == ["who", "film", "genres", "stars"]
        assert preview(file)["rows"][0][2] == "x|y"
        done = Import(own(file, columns=columns), "now").run(plain_get, quiet)
        assert (done["users"], done["items"], done["events"]) == (2, 2, 2)
        data = _files.source("mine").build().load()
        assert data.items["id"].tolist() == ["7", "8"]
        assert data.items["genres"].tolist() == ["x|y", ""]


def test_the_check_says_what_the_import_does_and_writes_nothing(tmp_path: Path) -> None:
    columns = (("user", "who"), ("item", "film"), ("rating", "stars"), ("time", "when"), ("title", "name"))
    asked = own(write(tmp_path, "t.csv", ROWS), columns=columns)
    before = Check(asked).run(plain_get, quiet)
    assert before["dropped"] == {"unparsable rating": 1, "missing time": 1, "missing user": 1}
    assert (before["rows"], before["events"]) == (4, 1)
    assert _files.imported() == []
    after = Import(asked, "now").run(plain_get, quiet)
    assert after["dropped"] == before["dropped"]
    assert _files.imported() == ["mine"]
    assert _files.source("mine").build().load().items["title"].tolist() == ["Ünïcode — 映画"]


def test_the_preview_of_a_large_file_reads_its_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bring, "HEAD_BYTES", 64)
    for encoding in ("utf-8", "utf-16", "utf-16-le"):
        file = write(tmp_path, "t.csv", ("user,item\n" + "é,ü\n" * 500).encode(encoding))
        assert preview(file, encoding=encoding)["rows"][0] == ["é", "ü"]


@pytest.mark.parametrize(
    ("name", "body", "words"),
    [
        ("t.csv", b"", "empty"),
        ("t.csv", b"  \n ", "empty"),
        ("t.csv", "user,item\né,1\n".encode("latin-1"), "not utf-8: pass another encoding"),
        ("t.csv", b"PK\x03\x04rest", "Excel"),
        ("t.csv", "just a letter to nobody\nabout nothing\n", "one column only"),
        ("t.csv.gz", gzip.compress(b"a,b\n" * 99)[:-9], "truncated or not gzip"),
        ("t.parquet", b"PAR1 and no more", "not a whole Parquet file"),
        ("t.jsonl", '{"user": 1}\n[2]\n', "line 2 of t.jsonl is no JSON object"),
    ],
)
def test_a_bad_file_is_one_sentence(tmp_path: Path, name: str, body: str | bytes, words: str) -> None:
    with pytest.raises(BadInput, match=words) as error:
        preview(write(tmp_path, name, body))
    assert "\n" not in str(error.value)


def test_a_file_that_is_too_large_or_absent_is_one_sentence(tmp_path: Path) -> None:
    large = tmp_path / "large.csv"
    with large.open("wb") as file:
        file.truncate(2 * 2**30)  # a hole: takes no space
    with pytest.raises(BadInput, match=r"2\.0 GB, and at most 1 GB"):
        preview(str(large))
    with pytest.raises(BadInput, match=r"no file .*nowhere"):
        preview(str(tmp_path / "nowhere.csv"))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"columns": (("user", "who"), ("item", "who"))}, "chosen for user and for item"),
        ({"columns": (("item", "film"),)}, "no column is chosen for the user"),
        ({"columns": (("user", "who"), ("item", "flim"))}, "unknown column 'flim'"),
        ({"name": "planted"}, "built-in"),
        ({"name": "Mine!"}, "cannot name a data set"),
        ({"name": ""}, "cannot name a data set"),
    ],
)
def test_a_wrong_choice_is_one_sentence_before_and_at_the_import(tmp_path: Path, changed: dict, words: str) -> None:
    asked = own(write(tmp_path, "t.csv", ROWS), **changed)
    for recipe in (Check(asked), Import(asked, "now")):
        with pytest.raises(BadInput, match=words):
            recipe.run(plain_get, quiet)
    assert _files.imported() == []


def test_asking_again_imports_again(tmp_path: Path) -> None:
    asked = own(write(tmp_path, "t.csv", ROWS))
    assert Import(asked, "1") != Import(asked, "2")
