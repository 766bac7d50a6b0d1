"""Results that ship with the project: small tables with their provenance, shown before anything is computed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from recx.core import paths
from recx.core.errors import BadInput


def files(study: str | None = None) -> list[Path]:
    """The tables of a study (`<study>.parquet`, `<study>-<what>.parquet`), or all."""
    found = sorted(paths.shipped_results().glob("*.parquet"))
    return [path for path in found if study is None or path.stem == study or path.stem.startswith(f"{study}-")]


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The rows of one table as plain values, read without pandas. Raises BadInput when the file is damaged."""
    from pyarrow.parquet import ParquetFile

    try:
        return list(ParquetFile(path).read().to_pylist())
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} is damaged: restore it from the repository ({str(error).splitlines()[0]}).") from None


def provenance(path: Path) -> dict[str, Any]:
    """What the JSON beside a table says: recipe, seed, device, versions, wall time; empty when there is none."""
    beside = path.with_suffix(".json")
    return dict(json.loads(beside.read_text(encoding="utf-8"))) if beside.is_file() else {}


def keep(name: str, frame: Any, about: dict[str, Any], lines: tuple[str, ...] = ()) -> Path:
    """Write a table and its provenance into `results/` of this checkout: `<name>.parquet` and `<name>.json`.

    `lines`: columns that name a line of the table. An earlier table then keeps its other lines; `runs` and
    `run_of` say of each line where it comes from: a better run replaces a line, not the table.
    """
    path = paths.shipped_results() / f"{name}.parquet"
    path.parent.mkdir(exist_ok=True)
    if lines:
        frame, about = _merged(path, frame, about, lines)
    frame.to_parquet(path, index=False)
    path.with_suffix(".json").write_text(json.dumps(about, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return path


def _merged(path: Path, frame: Any, about: dict[str, Any], lines: tuple[str, ...]) -> tuple[Any, dict[str, Any]]:
    """The table with the lines of an earlier one that it lacks, and the provenance of each line."""
    import pandas as pd

    named = lambda table: table[list(lines)].astype("str").agg(", ".join, axis=1)  # noqa: E731
    run_of = dict.fromkeys(named(frame), about)
    if path.is_file():
        old, before = pd.read_parquet(path), provenance(path)
        rest = old[~named(old).isin(run_of)]
        run_of |= {line: before["runs"][before["run_of"][line]] for line in dict.fromkeys(named(rest))}
        frame = pd.concat([rest.dropna(axis=1, how="all"), frame], ignore_index=True)[list(frame.columns)]
    runs = [run for place, run in enumerate(run_of.values()) if run not in list(run_of.values())[:place]]
    return frame, about | {"runs": runs, "run_of": {line: runs.index(run) for line, run in run_of.items()}}


def read(study: str | None = None) -> list[dict[str, Any]]:
    """One dict per stored table: file, rows (plain values), provenance."""
    return [{"file": path.name, "rows": rows_of(path), "provenance": provenance(path)} for path in files(study)]


def records(frame: Any) -> list[dict[str, Any]]:
    """A table as plain rows, None where a cell is missing; arrays as lists."""
    rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return [{key: value.tolist() if hasattr(value, "tolist") else value for key, value in row.items()} for row in rows]
