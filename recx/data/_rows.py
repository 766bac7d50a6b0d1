"""Rows of text files: decoded, cut into columns, and the bad ones counted per reason."""

from __future__ import annotations

import csv as python_csv
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import csv

from recx.core.errors import BadInput, unknown
from recx.data._build import FIRST_SECOND, LAST_SECOND

Dropped = dict[str, int]


def text_bytes(path: Path, encoding: str = "utf-8") -> bytes:
    """The whole file as UTF-8 without a byte order mark; `.gz` is unpacked.

    Raises BadInput for an empty or truncated file and for another encoding than the one named.
    """
    raw = _raw(path)
    if not raw.strip():
        raise BadInput(f"{path.name} is empty: nothing to read in {path}.")
    if raw.startswith((b"PK\x03\x04", b"\x1f\x8b", b"PAR1")):
        raise BadInput(
            f"{path.name} is not text but an Excel, zip, gzip or Parquet file: unpack it, or give it its right ending."
        )
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff") and not encoding.lower().startswith("utf-16"):
        raise BadInput(f"{path.name} is in UTF-16, not {encoding}: pass encoding utf-16, or save it as UTF-8.")
    if encoding.lower().replace("_", "-") in ("utf-8", "utf8", "utf-8-sig"):
        _check_utf8(path, raw)
        return raw.removeprefix(b"\xef\xbb\xbf")
    try:
        return raw.decode(encoding).removeprefix("\ufeff").encode()
    except LookupError:
        raise BadInput(
            f"unknown encoding {encoding!r}: use utf-8, latin-1 or another name that Python knows."
        ) from None
    except UnicodeDecodeError as error:
        raise _wrong_encoding(path, raw, encoding, error.start) from None


def _raw(path: Path) -> bytes:
    try:
        if path.suffix == ".gz":
            with gzip.open(path, "rb") as file:
                return file.read()
        return path.read_bytes()
    except (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError):
        raise BadInput(f"{path.name} is truncated or not gzip: fetch {path} again.") from None
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror or error}.") from None


def _check_utf8(path: Path, raw: bytes) -> None:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _wrong_encoding(path, raw, "utf-8", error.start) from None


def _wrong_encoding(path: Path, raw: bytes, encoding: str, at: int) -> BadInput:
    line = raw.count(b"\n", 0, at) + 1
    other = "latin-1" if encoding.lower().startswith("utf") else "utf-8"
    return BadInput(f"line {line:,} of {path.name} is not {encoding}: pass another encoding, for example {other}.")


def read_rows(
    path: Path,
    columns: Sequence[str] | None,
    *,
    separator: str,
    encoding: str = "utf-8",
    quote: str | None = None,
    skip: int = 0,
) -> tuple[pd.DataFrame, Dropped]:
    """All cells as text (an empty cell is missing), and how many lines had another number of columns.

    `columns`: names when the file has no header, None to read them from its first line. `separator` may be "::".
    `skip`: lines to leave out at the top. Raises BadInput for a file that is empty, damaged, or in another encoding.
    """
    body, separator = _one_character(text_bytes(path, encoding), separator)
    names = columns or header(body.split(b"\n", 1)[0] + b"\n", separator)
    if len(set(names)) < len(names):
        raise BadInput(f"{path.name} has two columns of the same name: {', '.join(names)}.")
    bad: list[int] = []

    def count(row: csv.InvalidRow) -> str:
        bad.append(row.actual_columns)
        return "skip"

    try:
        table = csv.read_csv(
            io.BytesIO(body),
            read_options=csv.ReadOptions(column_names=names, skip_rows=skip if columns else 1, use_threads=False),
            parse_options=csv.ParseOptions(
                delimiter=separator,
                quote_char=quote or False,
                newlines_in_values=quote is not None,
                invalid_row_handler=count,
            ),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                strings_can_be_null=True,
                null_values=["", "NULL", "null", r"\N"],
            ),
        )
    except pa.ArrowInvalid as error:
        if "Empty CSV" not in str(error):
            raise BadInput(f"{path.name} cannot be read as a table: {str(error).splitlines()[0]}.") from None
        table = pa.table({name: pa.array([], pa.string()) for name in names})
    return table.to_pandas(), {"unparsable line (wrong number of columns)": len(bad)} if bad else {}


def whole_rows(path: Path, columns: Sequence[str] | None, **options: Any) -> pd.DataFrame:
    """`read_rows` of a file that must have no bad line. Raises BadInput for one that has."""
    rows, dropped = read_rows(path, columns, **options)
    if dropped:
        raise BadInput(
            f"{path.name} has {sum(dropped.values()):,} lines with another number of columns: fetch it again."
        )
    return rows


def _one_character(body: bytes, separator: str) -> tuple[bytes, str]:
    """The text with a separator that the reader can take: "::" becomes the control character 31."""
    return (body.replace(separator.encode(), b"\x1f"), "\x1f") if len(separator) > 1 else (body, separator)


def header(line: bytes, separator: str) -> list[str]:
    """The cells of the first line of a file, without quotes."""
    body, separator = _one_character(line, separator)
    names = next(python_csv.reader([body.decode().rstrip("\r\n")], delimiter=separator), [])
    return [name.strip() for name in names]


def require(rows: pd.DataFrame, columns: Sequence[str], path: Path) -> None:
    """Nothing, when the columns are there. Raises BadInput naming the one that is not and the nearest that are."""
    for name in columns:
        if name not in rows:
            raise unknown("column", name, rows.columns, f" in {path.name}")


def clean(rows: pd.DataFrame, dropped: Dropped) -> tuple[pd.DataFrame, Dropped]:
    """Events of the right type, and how many rows were left out per reason, each row under its first reason.

    `rows`: text columns `user`, `item`, optionally `rating` and `time`, further ones kept as they are.
    """
    keep = np.ones(len(rows), bool)
    dropped = dict(dropped)

    def drop(bad: np.ndarray, reason: str) -> None:
        now = keep & np.asarray(bad, bool)
        if now.any():
            dropped[reason] = dropped.get(reason, 0) + int(now.sum())
            keep[now] = False

    out = rows.copy()
    for column in ("user", "item"):
        out[column] = rows[column].str.strip()
        drop(out[column].isna() | (out[column] == ""), f"missing {column}")
    if "rating" in rows:
        out["rating"] = _numbers(rows["rating"], "rating", drop)
        drop(out["rating"] == 0, "zero rating (means not rated)")
    if "time" in rows:
        out["time"] = _seconds(rows["time"], drop)
    return out[keep].reset_index(drop=True), dropped


Drop = Callable[[Any, str], None]
"""`drop(bad[N], reason)`: leave these rows out and count those that no earlier reason took."""


def _numbers(text: pd.Series, what: str, drop: Drop, read: Callable[..., pd.Series] | None = None) -> pd.Series:
    """float64: the numbers of a text column; missing, unparsable and non-finite ones are dropped.

    `read(text, numbers)` may turn further text into numbers first.
    """
    drop(text.isna(), f"missing {what}")
    number = pd.to_numeric(text, errors="coerce").astype("float64")
    written = text.fillna("").str.strip().str.lower().str.lstrip("+-").isin(["inf", "infinity", "nan"])
    drop(written | np.isinf(number), f"non-finite {what}")
    number = number.where(np.isfinite(number))
    number = read(text, number) if read else number
    drop(number.isna(), f"unparsable {what}")
    return number


def _seconds(text: pd.Series, drop: Drop) -> pd.Series:
    """int64: seconds since 1970 UTC; missing, unparsable and absurd ones are dropped."""
    seconds = _numbers(text, "time", drop, _iso_seconds)
    drop((seconds < FIRST_SECOND) | (seconds > LAST_SECOND), "absurd date (before 1970 or after 2100)")
    return seconds.where(seconds.between(FIRST_SECOND, LAST_SECOND), -1).astype("int64")


UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))
"""A column whose median is above the first number counts the second per second."""


def _iso_seconds(text: pd.Series, number: pd.Series) -> pd.Series:
    """float64: seconds from numbers (in the unit that their median tells) and, where there is none, from ISO 8601."""
    middle = number.abs().median()
    number = number / next((per_second for above, per_second in UNITS if middle > above), 1)
    words = number.isna() & text.notna()
    if words.any():
        dates = pd.to_datetime(text[words], format="ISO8601", utc=True, errors="coerce").dt.as_unit("s")
        number[words] = dates.astype("int64").astype("float64").where(dates.notna())
    return number
