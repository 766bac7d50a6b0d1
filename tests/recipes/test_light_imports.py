"""The app can import every recipe and study without the libraries that only workers need."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "recx"
HEAVY = {"torch", "numba", "sklearn", "statsmodels"}


def modules(folder: str) -> list[str]:
    """The modules of a folder but its benches, which run in a process of their own."""
    stems = sorted(path.stem for path in (PACKAGE / folder).glob("*.py"))
    return [f"recx.{folder}.{stem}" for stem in stems if stem != "__init__" and not stem.startswith("_bench_")]


def heavy_after_importing(*names: str) -> set[str]:
    program = (
        "import importlib, json, sys\nfor name in sys.argv[1:]: importlib.import_module(name)\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *names], cwd=PACKAGE.parent, capture_output=True, text=True, check=True
    )
    return HEAVY & set(json.loads(done.stdout))


@pytest.mark.parametrize("folder", ["recipes", "studies"])
def test_importing_them_imports_nothing_heavy(folder: str) -> None:
    names = modules(folder)
    assert names
    assert heavy_after_importing(*names) == set()


def test_the_check_sees_what_it_looks_for() -> None:
    assert heavy_after_importing("recx.models.ease") == {"torch"}
