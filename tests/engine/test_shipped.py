"""Stored results: a better run replaces a line and leaves the others, each with where it comes from."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from recx.core import paths, registry
from recx.engine import shipped


def table(**lines: float) -> pd.DataFrame:
    return pd.DataFrame({"system": list(lines), "setting": "full", "measured": list(lines.values()), "note": None})


def test_a_better_run_replaces_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "shipped_results", lambda: tmp_path)
    lines = ("system", "setting")
    shipped.keep("board", table(ease=0.1, sasrec=0.2), {"command": "first"}, lines)
    shipped.keep("board", table(sasrec=0.3, markov=0.4), {"command": "second"}, lines)
    (stored,) = shipped.read("board")
    assert {row["system"]: row["measured"] for row in stored["rows"]} == {"ease": 0.1, "sasrec": 0.3, "markov": 0.4}
    about = stored["provenance"]
    runs = {line: about["runs"][run]["command"] for line, run in about["run_of"].items()}
    assert len(about["runs"]) == 2
    assert runs == {"ease, full": "first", "sasrec, full": "second", "markov, full": "second"}
    assert list(stored["rows"][0]) == ["system", "setting", "measured", "note"]


def test_a_table_without_lines_is_replaced_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "shipped_results", lambda: tmp_path)
    for frame in (table(ease=0.1), table(markov=0.4)):
        shipped.keep("board", frame, {"command": "any"})
    (stored,) = shipped.read("board")
    assert [row["system"] for row in stored["rows"]] == ["markov"]
    assert stored["provenance"] == {"command": "any"}


def test_lines_of_a_study_are_names_of_columns() -> None:
    """`study --keep` reads `lines` of every study: a method of that name broke it after the work was done."""
    for name in registry.names("studies"):
        lines = getattr(registry.load("studies", name), "lines", ())
        assert isinstance(lines, tuple), name
        assert all(isinstance(line, str) for line in lines), name
