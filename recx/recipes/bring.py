"""Data of one's own: what a file holds, what an import would leave out, and the import. Only workers read files."""

from __future__ import annotations

import gzip
import itertools
import re
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from recx.core.errors import BadInput
from recx.core.progress import Progress
from recx.recipes._recipe import Get, Recipe

if TYPE_CHECKING:
    from recx.data.interactions import Interactions

MOST_BYTES = 2**30
"""A larger file is read whole into memory several times over: too much for a worker that others share."""
SHOWN = 8
"""Rows of a preview."""
HEAD_BYTES = 256 * 1024
JSON_LINES = (".jsonl", ".ndjson")
PARQUET = (".parquet", ".pq")
NAMES = {
    "user": "user userid uid customer customerid visitor visitorid reviewer reviewerid member person account who",
    "item": "item itemid iid product productid movie movieid film book bookid isbn asin article articleid track "
    "trackid song artist artistid business businessid sku what",
    "rating": "rating score stars overall value preference",
    "time": "time timestamp ts date datetime when created createdat unixreviewtime reviewtime",
    "title": "title name itemname productname movietitle producttitle label",
    "year": "year releaseyear",
    "genres": "genres genre categories category tags",
}
"""Role -> names of columns that probably play it, letters and digits only, the surest first."""
PARTS = {"user": "user", "item": "item", "rating": "rating", "time": "timestamp", "title": "title", "genres": "genre"}
"""Role -> what the name of its column holds, when none of NAMES is there."""
BY_PLACE = ("user", "item", "rating", "time")
"""What the columns of a file without a header usually are (MovieLens, Amazon)."""


@dataclass(frozen=True)
class Preview:
    """The first rows of a file. `stamp`: its size and time, so that a changed file is another question."""

    file: str
    stamp: str
    encoding: str = "utf-8"
    separator: str = ""
    keep: ClassVar[str] = "memory"
    lane: ClassVar[str] = "interactive"

    def needs(self) -> tuple[Recipe, ...]:
        return ()

    def run(self, get: Get, progress: Progress) -> dict[str, Any]:
        """`columns`, `rows` (texts), `header` (False: columns go by number), `guess` {role: column}, `bytes`.

        Raises BadInput for a file that is empty, no table, or in another encoding.
        """
        path = readable(self.file)
        if path.suffix.lower() in PARQUET:
            columns, rows = _parquet_head(path)
        elif path.suffix.lower() in JSON_LINES:
            columns, rows = _json_head(path, self.encoding)
        else:
            columns, rows = _text_head(path, self.encoding, self.separator)
        header = columns != [str(number) for number in range(1, len(columns) + 1)]
        if len(columns) < 2:
            raise BadInput(f"{path.name} has one column only: choose what separates its columns, or another file.")
        return {
            "columns": columns,
            "rows": rows,
            "header": header,
            "guess": guess(columns) if header else dict(zip(BY_PLACE, columns, strict=False)),
            "bytes": path.stat().st_size,
        }


@dataclass(frozen=True)
class Own:
    """A file and what its columns are: all that an import needs. `columns`: (role, column) pairs."""

    file: str
    stamp: str
    name: str
    columns: tuple[tuple[str, str], ...]
    encoding: str = "utf-8"
    separator: str = ""
    repeats: bool = False
    ordered: bool = True

    def check(self) -> Path:
        """The file, when it can be read and the columns can be meant so. Raises BadInput."""
        from recx.data import _tables

        path = readable(self.file)
        _tables._check_name(self.name)
        chosen: dict[str, str] = {}
        for role, column in self.columns:
            if column in chosen:
                raise BadInput(f"column {column!r} is chosen for {chosen[column]} and for {role}: choose it once.")
            chosen[column] = role
        for role in ("user", "item"):
            if role not in chosen.values():
                raise BadInput(f"no column is chosen for the {role}: every row needs a user and an item.")
        return path

    def options(self) -> dict[str, Any]:
        """How the text of the file is read."""
        return {"encoding": self.encoding, "separator": self.separator or None}


@dataclass(frozen=True)
class Check:
    """What an import would keep and leave out; writes nothing."""

    own: Own
    keep: ClassVar[str] = "memory"
    lane: ClassVar[str] = "interactive"

    def needs(self) -> tuple[Recipe, ...]:
        return ()

    def run(self, get: Get, progress: Progress) -> dict[str, Any]:
        """`rows`, `users`, `items`, `events`, `dropped` {reason: rows}, `times`. Raises BadInput."""
        path = self.own.check()
        progress(0.0, f"reading {path.name}")
        with plain_table(path, self.own.encoding) as table:
            data = _read(table, self.own)
        return {
            "rows": len(data) + sum(data.dropped.values()),
            "users": data.n_users,
            "items": data.n_items,
            "events": len(data),
            "dropped": dict(data.dropped),
            "times": data.time is not None,
        }


@dataclass(frozen=True)
class Import:
    """Make a data set of a file. `asked`: when somebody asked, so that asking again imports again."""

    own: Own
    asked: str
    keep: ClassVar[str] = "memory"
    lane: ClassVar[str] = "interactive"

    def needs(self) -> tuple[Recipe, ...]:
        return ()

    def run(self, get: Get, progress: Progress) -> dict[str, Any]:
        """What `data import` says: name, users, items, events, fingerprint, dropped, first, last. Raises BadInput."""
        from recx.data import _files

        path = self.own.check()
        options = self.own.options() | ({} if self.own.ordered else {"ordered": False})
        with plain_table(path, self.own.encoding) as table:
            return _files.import_table(
                table,
                self.own.name,
                dict(self.own.columns),
                repeats=self.own.repeats,
                progress=progress,
                **options,
            )


def readable(file: str) -> Path:
    """A file that is there, not empty and not too large. Raises BadInput."""
    path = Path(file).expanduser()
    if not path.is_file():
        raise BadInput(f"there is no file {path} on the server: check the path.")
    size = path.stat().st_size
    if not size:
        raise BadInput(f"{path.name} is empty: nothing to read in it.")
    if size > MOST_BYTES:
        raise BadInput(
            f"{path.name} has {size / 2**30:.1f} GB, and at most {MOST_BYTES / 2**30:g} GB are read here: import a "
            "part of it, or use `python -m recx data import` on a machine with much memory."
        )
    return path


def guess(columns: Sequence[str]) -> dict[str, str]:
    """Role -> the column that by its name probably plays it; a column plays one role."""
    plain = {column: re.sub(r"[\W_]", "", column.casefold()) for column in columns}
    found: dict[str, str] = {}
    for role, names in NAMES.items():
        for name in names.split():
            column = next((c for c, p in plain.items() if p == name and c not in found.values()), None)
            if column is not None:
                found[role] = column
                break
    for role, part in PARTS.items():
        column = next((c for c, p in plain.items() if part in p and c not in found.values()), None)
        if role not in found and column is not None:
            found[role] = column
    return found


# -- the first rows


def _text_head(path: Path, encoding: str, separator: str) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of a text file; columns are numbers when the first line holds a number, so no names."""
    import csv

    from recx.data import _rows, _tables

    lines = _head(path, encoding).splitlines()
    first = lines[0].encode() + b"\n"
    cut = separator or max(_tables.SEPARATORS, key=lambda one: len(_rows.header(first, one)))
    body = [line.replace(cut, "\x1f") for line in lines] if len(cut) > 1 else lines
    cells = list(itertools.islice(csv.reader(body, delimiter="\x1f" if len(cut) > 1 else cut), SHOWN + 1))
    names = [cell.strip() for cell in cells[0]]
    if any(re.fullmatch(r"[-+]?\d+(\.\d+)?", name) for name in names):
        return [str(number) for number in range(1, len(names) + 1)], cells[:SHOWN]
    return names, cells[1:]


def _head(path: Path, encoding: str) -> str:
    """The first lines of a text file, as `data import` reads them. Raises BadInput as it does."""
    from recx.data import _rows

    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            raw = file.read(HEAD_BYTES)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise BadInput(f"{path.name} is truncated or not gzip: make it again.") from None
    if len(raw) == HEAD_BYTES:
        end = raw.rfind(b"\n") + 1 or len(raw)
        raw = raw[: end + end % 2 if encoding.lower().startswith("utf-16") else end]
    with tempfile.TemporaryDirectory() as folder:
        part = Path(folder) / path.name.removesuffix(".gz")
        part.write_bytes(raw)
        return _rows.text_bytes(part, encoding).decode()


def _parquet_head(path: Path) -> tuple[list[str], list[list[str]]]:
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            batch = next(file.iter_batches(batch_size=SHOWN), None)
            names = list(file.schema_arrow.names)
    except (pa.ArrowException, OSError) as error:
        raise BadInput(f"{path.name} is not a whole Parquet file: {str(error).splitlines()[0].rstrip('.')}.") from None
    rows = [] if batch is None else batch.to_pylist()
    return names, [[_shown(row[name]) for name in names] for row in rows]


def _json_head(path: Path, encoding: str) -> tuple[list[str], list[list[str]]]:
    import json

    rows = []
    for number, line in enumerate(_head(path, encoding).splitlines()[:SHOWN], 1):
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise BadInput(f"line {number} of {path.name} is no JSON object: one object per line is needed.")
        rows.append(row)
    names = list(dict.fromkeys(name for row in rows for name in row))
    return names, [[_shown(row.get(name)) for name in names] for row in rows]


def _shown(value: Any) -> str:
    return "" if value is None else "|".join(map(str, value)) if isinstance(value, list) else str(value)


# -- the whole file


@contextmanager
def plain_table(path: Path, encoding: str) -> Iterator[Path]:
    """The file as `data import` reads it: lines of JSON become a Parquet file of the same name that goes afterwards."""
    if path.suffix.lower() not in JSON_LINES:
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / f"{path.stem}.parquet"
        _json_as_parquet(path, encoding, table)
        yield table


def _json_as_parquet(path: Path, encoding: str, table: Path) -> None:
    import io

    import pyarrow as pa
    from pyarrow import compute, json, parquet

    from recx.data import _rows

    try:
        rows = json.read_json(io.BytesIO(_rows.text_bytes(path, encoding)))
    except (pa.ArrowException, OSError) as error:
        raise BadInput(
            f"{path.name} is not JSON, one object per line: {str(error).splitlines()[0].rstrip('.')}."
        ) from None
    for place, column in enumerate(rows.schema):
        if pa.types.is_list(column.type):
            texts = compute.binary_join(rows[column.name].cast(pa.list_(pa.string())), "|")
            rows = rows.set_column(place, column.name, texts)
    parquet.write_table(rows, table)


def _read(path: Path, own: Own) -> Interactions:
    """The data set that an import would write."""
    from recx.data import _tables
    from recx.data._build import build
    from recx.data._rows import clean

    rows, dropped = _tables._cells(path, dict(own.columns), **own.options())
    events, dropped = clean(rows, dropped)
    return build(own.name, events, items=_tables._items(rows), dropped=dropped, repeats=own.repeats)
