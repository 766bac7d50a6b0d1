"""The sources that a module of somebody else is made of, found without running them."""

from __future__ import annotations

from pathlib import Path

import pytest

from recx.core import stamps
from recx.core.errors import BadInput


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        file = folder / (name.replace("__slash__", "/") + ".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


def test_all_that_is_imported_from_beside_it_is_found(tmp_path: Path) -> None:
    write(
        tmp_path, main="import json, helper\nfrom pkg.deep import one as o\nraise SystemExit('it was run')", unused=""
    )
    write(tmp_path, helper="def f():\n    import late", late="")
    write(tmp_path / "pkg", __init__="", deep="from . import sibling\nfrom .sub import more", one="", sibling="")
    write(tmp_path / "pkg" / "sub", __init__="from ..other import x", more="from ...outside import y")
    write(tmp_path / "pkg", other="from .deep import x")  # a circle
    found = stamps.sources("mine", "main", str(tmp_path))
    names = ["helper", "late", "main", "pkg", "pkg.deep", "pkg.other", "pkg.sibling", "pkg.sub", "pkg.sub.more"]
    assert list(found) == names
    assert found["pkg.sub"] == tmp_path / "pkg" / "sub" / "__init__.py"


def test_of_an_installed_package_only_the_package_counts() -> None:
    found = stamps.sources("mine", "safetensors.torch")
    assert {"safetensors", "safetensors.torch"} <= set(found)
    assert all(name.partition(".")[0] == "safetensors" for name in found)


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("nowhere_at_all.x", "mine: no module 'nowhere_at_all' is installed: give --path FOLDER"),
        ("json.nowhere", "mine: there is no source of the module 'json.nowhere' among the installed packages"),
        ("sys", "no source of the module 'sys'"),
    ],
)
def test_a_module_that_is_not_there_is_one_sentence(module: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        stamps.sources("mine", module)


def test_a_file_that_is_not_python_is_named_with_its_line(tmp_path: Path) -> None:
    write(tmp_path, main="import helper", helper="x = 1\ndef broken(:\n")
    with pytest.raises(BadInput, match=r"mine: .*helper.py, line 2 is not Python"):
        stamps.sources("mine", "main", str(tmp_path))
    (tmp_path / "helper.py").write_bytes(b"x = 1\x00")
    with pytest.raises(BadInput, match=r"helper.py.* is not Python"):
        stamps.sources("mine", "main", str(tmp_path))


def test_a_content_is_read_again_when_the_file_changes(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_text("one")
    first = stamps.content(file)
    assert stamps.content(file) == first
    file.write_text("two")
    assert stamps.content(file) != first
    with pytest.raises(OSError, match="No such file"):
        stamps.content(tmp_path / "none")
