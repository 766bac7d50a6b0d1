"""Where things lie follows RECX_HOME and RECX_DATA, read at the time of asking."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from recx.core import paths
from recx.core.errors import BadInput


def test_home_is_made_where_recx_home_says(recx_home: Path) -> None:
    assert not recx_home.exists()
    assert paths.home() == recx_home
    assert recx_home.is_dir()
    assert paths.downloads() == recx_home / "data"


def test_without_recx_home_it_is_the_users_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECX_HOME", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert paths.home().name == "recx"
    assert tmp_path in paths.home().parents


def test_data_is_searched_in_each_folder_named_then_in_the_downloads(
    recx_home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RECX_DATA", os.pathsep.join([str(tmp_path / "a"), "", str(tmp_path / "b")]))
    assert paths.data_folders() == [tmp_path / "a", tmp_path / "b", recx_home / "data"]
    monkeypatch.delenv("RECX_DATA")
    assert paths.data_folders() == [recx_home / "data"]


def test_a_tilde_is_the_users_folder(recx_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECX_DATA", "~/films")
    assert paths.data_folders()[0] == Path.home() / "films"


def test_shipped_results_lie_beside_the_package() -> None:
    assert paths.shipped_results() == Path(__file__).resolve().parents[2] / "results"


def test_a_home_that_cannot_be_made_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path / "file", tmp_path / "file" / "home"):
        monkeypatch.setenv("RECX_HOME", str(folder))
        with pytest.raises(BadInput, match=r"cannot be made .*set RECX_HOME"):
            paths.home()
