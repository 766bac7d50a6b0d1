"""Tables of users: read from CSV, TSV or Parquet with named columns, kept as parquet, loaded as `Interactions`."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import parquet

from recx.core import paths
from recx.core.errors import BadInput, unknown
from recx.core.progress import Progress, quiet
from recx.data import _files
from recx.data._build import build
from recx.data._rows import Dropped, clean, header, read_rows, require, text_bytes
from recx.data.interactions import Interactions

ROLES = ("user", "item", "rating", "time", "title", "year", "genres")
PARTS = ("events.parquet", "items.parquet", "users.parquet")
SEPARATORS = (",", "\t", ";", "|", "::")


def import_table(
    path: Path,
    name: str,
    columns: Mapping[str, str],
    *,
    items: Path | str | None = None,
    encoding: str = "utf-8",
    separator: str | None = None,
    repeats: bool = False,
    ordered: bool = True,
    progress: Progress = quiet,
) -> None:
    """Turn a file into the data set `name` in `downloads()`; an earlier table of that name is replaced.

    `path`: .parquet, or text with a header (.csv, .tsv, .gz too); without a header name the columns by number, from 1.
    `columns`: role -> column, roles `user`, `item` (needed), `rating`, `time`, `title`, `year`, `genres` (as "a|b").
    `items`: a second file with the `item`, `title`, `year`, `genres` columns. `time`: seconds, milli-, micro- or
    nanoseconds since 1970 (told apart by size) or ISO 8601. `repeats`: keep it when a user meets an item again
    (listening, visits). `ordered`: without a time, whether the rows stand in the order of events. Rows with an empty
    rating or time are left out: do not name the column to keep them.
    Raises BadInput for a bad name, an unknown role or column, an unreadable file, and when no row is usable.
    """
    _check_name(name)
    _check_roles(columns)
    if separator and (not separator.isascii() or set(separator) & set('"\r\n')):
        raise BadInput(f"{separator!r} cannot separate columns: use an ASCII character (not a quote), or `::`.")
    progress(0.0, f"reading {path.name}")
    of_items = {role: column for role, column in columns.items() if role in ("item", "title", "year", "genres")}
    of_events = {role: column for role, column in columns.items() if items is None or role in ROLES[:4]}
    rows, dropped = _cells(path, of_events, encoding, separator)
    about = rows if items is None else _cells(Path(items).expanduser(), of_items, encoding, separator)[0]
    progress(0.4, f"checking {len(rows):,} rows")
    events, dropped = clean(rows, dropped)
    data = build(name, events, items=_items(about), dropped=dropped, repeats=repeats)
    facts = {"file": path.name, "sha256": _files.content(path), "columns": dict(columns), "repeats": repeats}
    progress(0.8, "writing")
    with _files.fresh_folder(name) as folder:
        _write(data, folder, facts | {"ordered": ordered or "time" in columns})


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name):
        raise BadInput(f"{name!r} cannot name a data set: use lower-case letters, digits, - and _, at most 64.")
    if name in _files.built_in() or name == "table":
        raise BadInput(f"{name!r} is the name of a built-in data set: choose another.")
    folder = paths.downloads() / name
    if folder.is_dir() and any(folder.iterdir()) and not (folder / _files.HEAD).is_file():
        raise BadInput(f"{folder} holds files that are no imported data set: choose another name.")


def _check_roles(columns: Mapping[str, str]) -> None:
    for role in columns:
        if role not in ROLES:
            raise unknown("column role", role, ROLES)
    for role in ("user", "item"):
        if not columns.get(role):
            raise BadInput(f"which column holds the {role}? Name it: --columns user=..,item=..")


def _cells(
    path: Path, columns: Mapping[str, str], encoding: str, separator: str | None
) -> tuple[pd.DataFrame, Dropped]:
    """The named columns of a file as text, called by their roles; and how many lines could not be cut into columns."""
    if not path.is_file():
        raise BadInput(f"there is no file {path}.")
    if path.suffix.lower() in (".parquet", ".pq"):
        rows, dropped = _parquet(path)
    else:
        rows, dropped = _text(path, columns, encoding, separator)
    require(rows, tuple(columns.values()), path)
    return pd.DataFrame({role: rows[column] for role, column in columns.items()}), dropped


def _text(path: Path, columns: Mapping[str, str], encoding: str, separator: str | None) -> tuple[pd.DataFrame, Dropped]:
    first = text_bytes(path, encoding).split(b"\n", 1)[0].rstrip(b"\r") + b"\n"
    guess = separator or _separator(first, columns)
    names = header(first, guess)
    if set(columns.values()) <= set(names) or not all(column.isdigit() for column in columns.values()):
        twice = [column for column, n in Counter(names).items() if n > 1 and column in columns.values()]
        if twice:
            raise BadInput(f"{path.name} has two columns called {twice[0]!r}: rename one.")
        unique = [name if name in columns.values() else f"{name}\x00{number}" for number, name in enumerate(names)]
        rows, dropped = read_rows(path, unique, separator=guess, encoding=encoding, quote='"', skip=1)
        return rows.rename(columns=dict(zip(unique, names, strict=True))), dropped
    numbers = [str(number) for number in range(1, len(names) + 1)]
    return read_rows(path, numbers, separator=guess, encoding=encoding, quote='"')


def _separator(first: bytes, columns: Mapping[str, str]) -> str:
    """What cuts the first line into the named columns, else into most columns."""

    def fits(separator: str) -> tuple[int, int]:
        names = header(first, separator)
        return len(set(columns.values()) & set(names)), len(names)

    return max(SEPARATORS, key=fits)


def _parquet(path: Path) -> tuple[pd.DataFrame, Dropped]:
    """A Parquet file with every column as text; times as seconds, whole floats without their ".0"."""
    try:
        table = parquet.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise BadInput(f"{path.name} is not a whole Parquet file: {str(error).splitlines()[0].rstrip('.')}.") from None
    return pd.DataFrame({name: _as_text(table[name].to_pandas()) for name in table.column_names}), {}


def _as_text(column: pd.Series) -> pd.Series:
    if pd.api.types.is_datetime64_any_dtype(column):
        utc = pd.to_datetime(column, utc=True).dt.as_unit("s")
        return utc.astype("int64").astype("str").where(column.notna())
    if (
        pd.api.types.is_float_dtype(column)
        and (np.isnan(column) | (column == column.round())).all()
        and np.isfinite(column.dropna()).all()
    ):
        return column.astype("Int64").astype("str").where(column.notna())
    return column.astype("str").where(column.notna())


def _items(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per item with what is said of it, the first thing said counting per column."""
    known = rows[[role for role in ("item", "title", "year", "genres") if role in rows]]
    known = known.assign(item=known["item"].str.strip()).dropna(subset=["item"])
    return known.groupby("item", sort=False).first().reset_index().rename(columns={"item": "id"})


def _write(data: Interactions, folder: Path, about: dict[str, Any]) -> None:
    columns = {"user": data.user, "item": data.item, "rating": data.rating, "time": data.time}
    events = pd.DataFrame({name: column for name, column in columns.items() if column is not None})
    for part, table in zip(PARTS, (events, data.items, data.users), strict=True):
        parquet.write_table(pa.Table.from_pandas(table, preserve_index=False), folder / part)
    head = {"format": 1, "name": data.name, "dropped": data.dropped} | about
    (folder / _files.HEAD).write_text(json.dumps(head, indent=1, ensure_ascii=False), encoding="utf-8")


def files(name: str) -> list[Path]:
    """The files of an imported table. Raises BadInput when there is none of that name."""
    folder, _ = _files.read_head(name)
    return [folder / part for part in (*PARTS, _files.HEAD)]


def load(name: str) -> Interactions:
    """An imported table. Raises BadInput when it is absent or damaged."""
    folder, head = _files.read_head(name)
    try:
        events, items, users = (parquet.read_table(folder / part).to_pandas() for part in PARTS)
        columns = {column: events[column].to_numpy() for column in events}
        about = {"dropped": dict(head["dropped"]), "ordered": head.get("ordered", True)}
        data = Interactions(name, users=users, items=items, **about, **columns)
        sound = data.user.max() < data.n_users and data.item.max() < data.n_items
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError):
        sound = False
    if not sound:
        raise BadInput(f"the table {name!r} in {folder} is damaged: import it again.")
    return data
