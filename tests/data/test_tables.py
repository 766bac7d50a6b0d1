"""Importing one's own table: bad rows counted by hand, and every way to break it is one sentence."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recx.core.errors import BadInput
from recx.data import _files
from recx.data.interactions import Interactions

pytestmark = pytest.mark.usefixtures("recx_home")
PLAIN = {"user": "user", "item": "item"}


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Interactions]:
    """`load(text or bytes, columns, file=..., ...)`: what importing such a file gives."""

    def inner(body: str | bytes, columns: dict[str, str] = PLAIN, file: str = "t.csv", **options: Any) -> Interactions:
        (tmp_path / file).write_bytes(body.encode() if isinstance(body, str) else body)
        _files.import_table(tmp_path / file, "mine", columns, **options)
        return _files.source("mine").build().load()

    return inner


def pairs(data: Interactions) -> list[tuple[str, str]]:
    users, items = data.users["id"].tolist(), data.items["id"].tolist()
    return [(users[u], items[i]) for u, i in zip(data.user, data.item, strict=True)]


def test_every_bad_row_is_counted_under_its_first_reason(load: Callable[..., Interactions]) -> None:
    data = load(
        "who,what,stars,when\n"
        "ana,1,5,2020-01-02\n"  # good
        "ana,2,0,2020-01-03\n"  # zero rating
        "ana,3,inf,2020-01-03\n"  # non-finite
        "ana,3,NaN,2020-01-03\n"  # non-finite
        "ana,4,3,1820-01-03\n"  # absurd date
        "ana,4,3,2101-01-03\n"  # absurd date
        "ana,4,3,-5\n"  # absurd date
        "bob,3,4,2020-01-03T10:00:00Z\n"  # good
        "bob,3,4,2020-01-04\n"  # repeated
        "bob,4,many,2020-01-04\n"  # unparsable rating
        ",4,many,2020-01-04\n"  # missing user (before unparsable rating)
        "bob, ,4,2020-01-04\n"  # missing item
        "bob,4,3,2020-13-04\n"  # unparsable time
        "bob,4,3,yesterday\n"  # unparsable time
        "bob,4,3,\n"  # missing time
        "bob,4,,2020-01-02\n"  # missing rating
        "bob,4,3\n"  # too few columns
        "bob,4,3,2020-01-04,more\n",  # too many columns
        {"user": "who", "item": "what", "rating": "stars", "time": "when"},
    )
    assert data.dropped == {
        "unparsable line (wrong number of columns)": 2,
        "missing user": 1,
        "missing item": 1,
        "missing rating": 1,
        "missing time": 1,
        "non-finite rating": 2,
        "unparsable rating": 1,
        "zero rating (means not rated)": 1,
        "unparsable time": 2,
        "absurd date (before 1970 or after 2100)": 3,
        "repeated user and item (the earliest is kept)": 1,
    }
    assert pairs(data) == [("ana", "1"), ("bob", "3")]
    assert data.time is not None
    assert data.time.tolist() == [1577923200, 1578045600]  # 2020-01-02 00:00 and 2020-01-03 10:00 UTC
    assert data.rating is not None
    assert data.rating.tolist() == [5, 4]


@pytest.mark.parametrize(
    ("text", "separator"),
    [
        ("user,item\na,x\nb,y\n", "comma"),
        ("user\titem\na\tx\nb\ty\n", "tab"),
        ("user;item\na;x\nb;y\n", "semicolon"),
        ("user::item\na::x\nb::y\n", "double colon"),
        ('\ufeff"user","item"\r\n"a","x"\r\n"b","y"\r\n', "byte order mark, quotes, CRLF"),
        ("item,extra,extra,user\nx,1,2,a\ny,3,4,b", "other columns, two of one name, no last line end"),
        ("\n\nuser,item\n".lstrip("\n") + "a,x\n\n\nb,y\n\n", "empty lines"),
    ],
)
def test_the_many_ways_to_write_a_table(load: Callable[..., Interactions], text: str, separator: str) -> None:
    assert pairs(load(text)) == [("a", "x"), ("b", "y")]


def test_without_header_columns_go_by_number(load: Callable[..., Interactions]) -> None:
    assert pairs(load("9\t7\n9\t8\n", {"user": "1", "item": "2"}, file="u.tsv")) == [("9", "7"), ("9", "8")]


def test_gzip_and_other_encodings(load: Callable[..., Interactions]) -> None:
    text = "user,item,title\na,x,Amélie\n"
    columns = PLAIN | {"title": "title"}
    assert load(gzip.compress(text.encode()), columns, file="t.csv.gz").items["title"].tolist() == ["Amélie"]
    assert load(text.encode("latin-1"), columns, encoding="latin-1").items["title"].tolist() == ["Amélie"]
    assert load(text.encode("utf-16"), columns, encoding="utf-16").items["title"].tolist() == ["Amélie"]


def test_titles_are_kept_as_they_are(load: Callable[..., Interactions]) -> None:
    titles = ["<b>bold</b>", 'say ""hi""', "مرحبا بالعالم", "😀, 😀", "two\nlines", "=1+1"]
    body = "user,item,title,year,genres\n" + "".join(f'u,{i},"{t}",19{i}0,A|B\n' for i, t in enumerate(titles))
    items = load(body, PLAIN | {"title": "title", "year": "year", "genres": "genres"}).items
    assert items["title"].tolist() == [t.replace('""', '"') for t in titles]
    assert items["year"].tolist() == [1900, 1910, 1920, 1930, 1940, 1950]
    assert set(items["genres"]) == {"A|B"}


def test_a_second_file_tells_the_titles(load: Callable[..., Interactions], tmp_path: Path) -> None:
    (tmp_path / "films.csv").write_text("item,name\nx,The X\nz,The Z\n")
    data = load("user,item\na,x\na,y\n", PLAIN | {"title": "name"}, items=tmp_path / "films.csv")
    assert data.items["title"].tolist() == ["The X", "y"]


@pytest.mark.parametrize(("factor", "unit"), [(1, "s"), (1000, "ms"), (10**6, "us"), (10**9, "ns")])
def test_times_in_any_unit(load: Callable[..., Interactions], factor: int, unit: str) -> None:
    data = load(f"user,item,t\na,x,{1_600_000_000 * factor}\na,y,{1_500_000_000 * factor}\n", PLAIN | {"time": "t"})
    assert data.time is not None
    assert data.time.tolist() == [1_500_000_000, 1_600_000_000]
    assert data.items["id"][data.item[0]] == "y"


def test_without_time_the_file_gives_the_order_and_repeats_can_be_kept(load: Callable[..., Interactions]) -> None:
    body = "user,item\na,y\nb,y\na,x\na,y\n"
    assert pairs(load(body)) == [("a", "y"), ("a", "x"), ("b", "y")]
    assert pairs(load(body, repeats=True)) == [("a", "y"), ("a", "x"), ("a", "y"), ("b", "y")]
    assert load(body).time is None


def test_rows_in_no_order_are_remembered_as_such(load: Callable[..., Interactions]) -> None:
    """A time is an order, whatever is said of the rows."""
    body = "user,item,time\na,y,5\nb,y,6\n"
    assert not load(body, ordered=False).ordered
    assert load(body).ordered
    assert load(body, {"user": "user", "item": "item", "time": "time"}, ordered=False).ordered


def test_parquet_in_any_types(load: Callable[..., Interactions], tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "user": pd.array([1, 2, None], dtype="Float64"),  # whole numbers that lost their type to a missing one
            "item": [2**62, 7, 8],
            "rating": [4.5, np.inf, 3],
            "time": pd.to_datetime(["2020-01-01", "2020-01-01", "2020-01-01"]),
        }
    )
    table.to_parquet(tmp_path / "in.parquet")
    columns = {name: name for name in table}
    data = load((tmp_path / "in.parquet").read_bytes(), columns, file="t.parquet")
    assert pairs(data) == [("1", str(2**62))]
    assert data.dropped == {"non-finite rating": 1, "missing user": 1}
    assert data.time is not None
    assert data.time.tolist() == [1577836800]


@pytest.mark.parametrize(
    ("body", "columns", "file", "sentence"),
    [
        ("", PLAIN, "t.csv", "t.csv is empty"),
        (" \n\n", PLAIN, "t.csv", "t.csv is empty"),
        ("user,item\n", PLAIN, "t.csv", "mine has no usable row"),
        ("user,item\n,x\na,\n", PLAIN, "t.csv", r"no usable row \(left out: 1 missing user, 1 missing item\)"),
        ("user,item\na,x\n", PLAIN | {"user": "usr"}, "t.csv", "unknown column 'usr' in t.csv; did you mean user"),
        ("user,item\na,x\n", PLAIN | {"who": "user"}, "t.csv", "unknown column role 'who'"),
        ("user,item\na,x\n", {"user": "user"}, "t.csv", "which column holds the item"),
        ("user,user,item\na,b,x\n", PLAIN, "t.csv", "two columns called 'user'"),
        (
            "user,item\na,\xe9\n".encode("latin-1"),
            PLAIN,
            "t.csv",
            "line 2 of t.csv is not utf-8: pass another encoding",
        ),
        ("user,item\na,x\n".encode("utf-16"), PLAIN, "t.csv", "t.csv is in UTF-16"),
        (gzip.compress(b"user,item\na,x\n" * 99)[:-12], PLAIN, "t.csv.gz", "truncated or not gzip"),
        (b"user,item\na,x\n", PLAIN, "t.csv.gz", "truncated or not gzip"),
        (gzip.compress(b"user,item\na,x\n"), PLAIN, "t.csv", "is not text but an Excel, zip, gzip or Parquet file"),
        (b"PK\x03\x04rest", PLAIN, "t.csv", "Excel"),
        (b"PAR1 and no more", PLAIN, "t.parquet", "not a whole Parquet file"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(
    load: Callable[..., Interactions], body: str | bytes, columns: dict[str, str], file: str, sentence: str
) -> None:
    with pytest.raises(BadInput, match=sentence) as caught:
        load(body, columns, file)
    assert "\n" not in str(caught.value)
    assert _files.imported() == []  # nothing half done is left
    assert list(_files.paths.downloads().glob(".*")) == []


@pytest.mark.parametrize("name", ["", "Mine", "a b", "../up", "planted", "table", "x" * 65, ".hidden", "café"])
def test_bad_names(tmp_path: Path, name: str) -> None:
    (tmp_path / "t.csv").write_text("user,item\na,x\n")
    with pytest.raises(BadInput, match="data set"):
        _files.import_table(tmp_path / "t.csv", name, PLAIN)


def test_a_folder_of_something_else_is_left_alone(load: Callable[..., Interactions]) -> None:
    folder = _files.paths.downloads() / "mine"
    folder.mkdir(parents=True)
    (folder / "precious.txt").write_text("x")
    with pytest.raises(BadInput, match="holds files that are no imported data set"):
        load("user,item\na,x\n")
    assert (folder / "precious.txt").read_text() == "x"


def test_an_imported_table_is_a_data_set_like_any_other(load: Callable[..., Interactions]) -> None:
    data = load("user,item\na,x\n")
    named = _files.source("mine")
    assert named.build().name == "mine"
    assert _files.on_disk("mine")
    assert _files.source_names()[-1] == "mine"
    assert _files.summary("mine")["fingerprint"] == data.fingerprint
    before = _files.fingerprint(named)
    load("user,item\na,y\n")  # the same name again: replaced
    assert _files.fingerprint(named) != before
    with pytest.raises(BadInput, match="did you mean mine"):
        _files.source("mien")


def test_a_damaged_table_is_one_sentence(load: Callable[..., Interactions]) -> None:
    load("user,item\na,x\n")
    folder = _files.paths.downloads() / "mine"
    (folder / "items.parquet").write_bytes(b"PAR1")
    with pytest.raises(BadInput, match=r"'mine' in .* is damaged: import it again"):
        _files.source("mine").build().load()
    (folder / "items.parquet").unlink()
    with pytest.raises(BadInput, match="damaged"):
        _files.source("mine").build().load()
    assert not _files.on_disk("mine")
    (folder / _files.HEAD).write_text("{")
    with pytest.raises(BadInput, match="damaged"):
        _files.source("mine").build().load()


words = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r\n\x1f"), min_size=1, max_size=8)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(words, words), min_size=1, max_size=8))
def test_any_ids_survive(load: Callable[..., Interactions], rows: list[tuple[str, str]]) -> None:
    """Ids come back without the space around them; rows with an empty one, or one that says "no value", do not."""
    quoted = [[f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in row] for row in rows]
    body = "user,item\n" + "".join(",".join(row) + "\n" for row in quoted)
    nothing = {"", "NULL", "null", r"\N"}
    expected = {(u.strip(), i.strip()) for u, i in rows if not {u, i} & nothing and u.strip() and i.strip()}
    if not expected:
        with pytest.raises(BadInput, match="no usable row"):
            load(body)
    else:
        assert set(pairs(load(body))) == expected


@pytest.mark.parametrize("separator", ["é", '"', "\n", "\r"])
def test_a_separator_that_cannot_be_one_is_a_sentence(load: Callable[..., Interactions], separator: str) -> None:
    with pytest.raises(BadInput, match="cannot separate columns"):
        load("user,item\na,b\n", separator=separator)


def test_a_separator_of_several_characters_is_taken(load: Callable[..., Interactions]) -> None:
    assert pairs(load("user||item\na||b\n", separator="||")) == [("a", "b")]
