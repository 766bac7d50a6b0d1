"""The code version follows what a result depends on, and nothing else. Run on a made-up package."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

import recx.core.code_version as real

EASE = '''
"""A model."""
from recx.models._training import solve
def fit(data):
    """Fits."""
    return solve(data)  # quick
'''
FILES = {
    "models/__init__.py": "from recx.models import other\n",
    "models/ease.py": EASE,
    "models/other.py": "ANSWER = 41\n",
    "models/_training.py": "from recx.core import device\ndef solve(data):\n    return data\n",
    "core/__init__.py": "SPEED = 1\n",
    "core/device.py": "import math\nCPU = 'cpu'\n",
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / "recx" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "recx" / "core" / "code_version.py").write_text(Path(real.__file__).read_text("utf-8"))
    return tmp_path / "recx"


def version(package: Path, *modules: str) -> str:
    """What the same code says about the made-up package it lies in; a fresh copy each time, as a new process would."""
    spec = importlib.util.spec_from_file_location("made_up", package / "core" / "code_version.py")
    assert spec
    assert spec.loader
    module = ModuleType("made_up")
    module.__file__ = spec.origin
    spec.loader.exec_module(module)
    return module.code_version(*modules)


@pytest.mark.parametrize(
    ("file", "text", "changes"),
    [
        ("models/ease.py", EASE.replace("A model.", "The same model, said better."), False),
        ("models/ease.py", EASE.replace('"""Fits."""', '"""Fits it all at once."""'), False),
        ("models/ease.py", EASE.replace("# quick", "# not slow").replace("    return", "\n    return"), False),
        ("models/ease.py", EASE.replace("solve(data)", "solve(data) + 1"), True),
        ("models/_training.py", FILES["models/_training.py"].replace("return data", "return 2 * data"), True),
        ("core/device.py", "import math\nCPU = 'cpu:0'\n", True),
        ("models/other.py", "ANSWER = 42\n", False),
        ("models/__init__.py", "SOMETHING = 1\n", False),
        ("core/__init__.py", "SPEED = 2\n", False),
    ],
)
def test_it_changes_with_code_and_transitive_imports_not_with_words_or_neighbours(
    package: Path, file: str, text: str, changes: bool
) -> None:
    before = version(package, "recx.models.ease")
    (package / file).write_text(text)
    assert (version(package, "recx.models.ease") != before) == changes


def test_imports_inside_functions_and_for_types_count(package: Path) -> None:
    late = "def run():\n    from recx.models import ease\n    return ease\n"
    (package / "models" / "late.py").write_text(late)
    before = version(package, "recx.models.late")
    (package / "core" / "device.py").write_text("CPU = 'other'\n")
    assert version(package, "recx.models.late") != before


def test_the_same_process_notices_an_edit(package: Path) -> None:
    spec = importlib.util.spec_from_file_location("made_up", package / "core" / "code_version.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    before = module.code_version("recx.models.other")
    (package / "models" / "other.py").write_text("ANSWER = 4242\n")
    assert module.code_version("recx.models.other") != before


def test_import_cycles_and_foreign_modules_are_no_trouble(package: Path) -> None:
    (package / "models" / "a.py").write_text("from recx.models import b\nimport torch\n")
    (package / "models" / "b.py").write_text("from recx.models import a\n")
    assert version(package, "recx.models.a") == version(package, "recx.models.b", "recx.models.a")
    assert version(package, "torch", "recx.models.missing") == version(package)


def test_order_of_the_modules_does_not_matter() -> None:
    assert real.code_version("recx.core.paths", "recx.core.errors") == real.code_version(
        "recx.core.errors", "recx.core.paths"
    )


def test_threads_that_ask_at_once_get_the_same_version() -> None:
    """CPython 3.11 raises SystemError when several threads build syntax trees at once; caches are emptied between."""
    from concurrent.futures import ThreadPoolExecutor

    from recx.core import code_version as module

    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            module._parsed.cache_clear()
            found = set(pool.map(lambda _: module.code_version("recx.recipes.explain"), range(16)))
            assert len(found) == 1
