"""The one-way arrow and the forbidden imports, read from the source of every file; nothing is executed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ARROW = (
    "core data metrics graphs models worlds explainers effects recipes studies engine survey figures ui pages".split()
)
SCREEN = {"ui", "pages", "app"}
"""Library -> the parts that may import it."""
ONLY = {"streamlit": SCREEN, "distributed": {"engine", "tests"}, "dask": {"engine", "tests"}}
"""Part -> libraries that it does not know."""
UNKNOWN_TO = {"figures": {"torch"}} | {part: {"torch", "numba", "sklearn"} for part in SCREEN}
PICKLE = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "shelve", "joblib"}
GLOBAL_SEEDS = {
    "random.seed",
    "torch.cuda.manual_seed",
    "torch.cuda.manual_seed_all",
    "torch.manual_seed",
    "torch.random.manual_seed",
    "torch.seed",
    "torch.set_default_device",
    "torch.set_default_dtype",
}
OWN_STREAMS = {"default_rng", "Generator", "SeedSequence", "PCG64", "PCG64DXSM", "Philox", "BitGenerator"}


def part_of(module: str) -> str:
    """The part of the design a module belongs to: `recx.models.ease` -> models, `pages.data` -> pages, `app` -> app."""
    names = module.split(".")
    if names[0] != "recx":
        return names[0]
    return {"__main__": "cli"}.get(names[1], names[1]) if len(names) > 1 else "recx"


def level(part: str) -> int | None:
    """Place on the arrow; cli stands beside ui, app.py at the end; None for what is not part of the project."""
    place = {"recx": -1, "cli": ARROW.index("ui"), "notebook": ARROW.index("ui"), "app": len(ARROW)}
    return place.get(part, ARROW.index(part) if part in ARROW else None)


def imports(module: str, tree: ast.AST, is_package: bool) -> Iterator[tuple[int, str]]:
    """Line and full name of everything imported anywhere in a file: in functions and under TYPE_CHECKING too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = module.split(".")[: None if is_package and node.level == 1 else is_package - node.level]
            source = ".".join([*(base if node.level else []), *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{source}.{alias.name}") for alias in node.names)


def offences(path: str, source: str) -> list[str]:
    """One sentence per rule that a file breaks; `path` is relative to the repository."""
    file = Path(path)
    names = list(file.with_suffix("").parts)
    is_package = names[-1] == "__init__"
    module = ".".join(names[:-1] if is_package else names)
    tree = ast.parse(source, path)
    here = part_of(module)
    found = []
    for line, name in imports(module, tree, is_package):
        found += [f"{path}:{line} {why}" for why in _import_offences(here, name)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            found += [f"{path}:{node.lineno} {why}" for why in _call_offences(node)]
    return found


def _import_offences(here: str, name: str) -> Iterator[str]:
    there, library = part_of(name), name.split(".")[0]
    own, other = level(here), level(there)
    if own is not None and other is not None and other > own:
        yield f"imports {name}: {there} is right of {here} on the arrow"
    if {here, there} == {"ui", "cli"}:
        yield f"imports {name}: ui and cli stand beside each other"
    if library in ONLY and here not in ONLY[library] | {"tests"}:
        yield f"imports {library}: only {', '.join(sorted(ONLY[library]))} may"
    if library in UNKNOWN_TO.get(here, ()):
        yield f"imports {library}: {here} does not know it"
    if library in PICKLE:
        yield f"imports {library}: nothing here reads or writes pickle"


def _call_offences(call: ast.Call) -> Iterator[str]:
    name = ast.unparse(call.func)
    given = {word.arg: getattr(word.value, "value", None) for word in call.keywords}
    if name == "torch.load" and given.get("weights_only") is not True:
        yield "calls torch.load without weights_only=True"
    if name.endswith((".read_pickle", ".to_pickle")) or given.get("allow_pickle") is True:
        yield f"{name} reads or writes pickle"
    legacy = re.fullmatch(r"(?:np|numpy)\.random\.(\w+)", name)
    if name in GLOBAL_SEEDS or (legacy and legacy[1] not in OWN_STREAMS):
        yield f"calls {name}: seed, device and type come by the door (core.device.generator, np.random.default_rng)"


def sources() -> list[Path]:
    return sorted([*(ROOT / "recx").rglob("*.py"), *(ROOT / "pages").rglob("*.py"), *ROOT.glob("app.py")])


def test_no_file_of_the_project_breaks_a_rule() -> None:
    found = [why for path in sources() for why in offences(str(path.relative_to(ROOT)), path.read_text("utf-8"))]
    assert found == []


def test_no_test_touches_pickle_or_a_global_seed() -> None:
    tests = [path for path in sorted((ROOT / "tests").rglob("*.py")) if path.name != Path(__file__).name]
    found = [why for path in tests for why in offences(str(path.relative_to(ROOT)), path.read_text("utf-8"))]
    assert found == []


def test_the_walk_sees_every_part_on_disk() -> None:
    """An empty walk would pass everything, and a folder that the arrow does not name would be free of it."""
    folders = {path.name for path in (ROOT / "recx").iterdir() if (path / "__init__.py").is_file()}
    assert folders <= {*ARROW, "cli", "notebook"}, "a folder of recx/ has no place on the arrow: give it one"
    seen = {part_of(".".join(path.relative_to(ROOT).with_suffix("").parts)) for path in sources()}
    assert {"core", "data", "models", "worlds", "explainers", "recipes", "engine", "ui", "pages", "app"} <= seen


@pytest.mark.parametrize(
    ("path", "source", "says"),
    [
        ("recx/figures/x.py", "import streamlit as st", "only app, pages, ui may"),
        ("recx/figures/x.py", "import torch", "figures does not know it"),
        ("recx/core/x.py", "from recx.data import interactions", "data is right of core"),
        ("recx/core/x.py", "from recx import models", "models is right of core"),
        ("recx/core/x.py", "from ..engine import store", "engine is right of core"),
        ("recx/models/__init__.py", "from ..worlds.edited import EditedWorld", "worlds is right of models"),
        ("recx/data/x.py", "def f():\n    from recx.models import ease", "recx/data/x.py:2"),
        (
            "recx/worlds/x.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from recx.engine.store import Store",
            "recx/worlds/x.py:3 imports recx.engine.store.Store",
        ),
        ("recx/studies/x.py", "import dask.array", "only engine, tests may"),
        ("recx/ui/x.py", "import recx.cli", "beside each other"),
        ("recx/ui/x.py", "def f():\n    import sklearn", "ui does not know it"),
        ("pages/x.py", "import app", "app is right of pages"),
        ("recx/engine/x.py", "import pickle", "nothing here reads or writes pickle"),
        ("recx/models/x.py", "import torch\ntorch.load('f')", "recx/models/x.py:2 calls torch.load"),
        ("recx/models/x.py", "import torch\ntorch.load('f', weights_only=False)", "without weights_only=True"),
        ("recx/data/x.py", "np.load('f', allow_pickle=True)", "pickle"),
        ("recx/data/x.py", "pd.read_pickle('f')", "pickle"),
        ("recx/models/x.py", "torch.manual_seed(0)", "come by the door"),
        ("recx/data/x.py", "np.random.shuffle(a)", "come by the door"),
    ],
)
def test_an_offence_is_named_with_its_file(path: str, source: str, says: str) -> None:
    found = offences(path, source)
    assert len(found) == 1
    assert found[0].startswith(f"{path}:")
    assert says in found[0]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        (
            "recx/models/x.py",
            "import torch\nimport recx.data.interactions\ntorch.load('f', weights_only=True)",
        ),
        ("recx/ui/x.py", "import streamlit\nfrom recx.figures import ranks\nfrom . import state"),
        ("pages/x.py", "from recx.ui import frame"),
        ("recx/engine/x.py", "from distributed import Client\nfrom recx.studies import lcer_table2"),
        ("recx/data/x.py", "import numpy as np\nnp.random.default_rng(3).normal()"),
        ("recx/core/x.py", "import torch\ntorch.Generator().manual_seed(3)"),
    ],
)
def test_what_is_allowed_passes(path: str, source: str) -> None:
    assert offences(path, source) == []
