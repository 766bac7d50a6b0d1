"""Discovery: what is found equals the files on disk, and every file found keeps the contract of a recipe."""

from __future__ import annotations

import dataclasses
import json
import types
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from recx.core import recipe, registry
from recx.core.errors import BadInput
from recx.models._sequence import SequenceRecipe

PACKAGE = Path(__file__).resolve().parents[1] / "recx"
CASES = [(kind, name) for kind in registry.KINDS for name in registry.names(kind)]
BUILT_FROM_DEFAULTS = [(kind, name) for kind, name in CASES if kind != "studies"]
"""A study is a question about data and systems that somebody names."""


@pytest.mark.parametrize("kind", registry.KINDS)
def test_discovery_equals_the_files_on_disk_and_is_not_empty(kind: str) -> None:
    files = sorted((PACKAGE / kind.replace(".", "/")).iterdir())
    names = {f.name[:-3].replace("_", "-") for f in files if f.name.endswith(".py") and not f.name.startswith("_")}
    assert set(registry.names(kind)) == names
    assert names


def test_every_folder_of_recipes_is_discovered() -> None:
    """What the issue names is there under its command-line name."""
    floors = "random toppop recentpop itemknn ease markov"
    matrix = "bpr mf als ncf multvae pagerank"
    sequence = "fpmc gru4rec caser stamp narm sasrec bert4rec fmlprec bsarec vtrnn"
    assert set(f"{floors} {matrix} {sequence} external".split()) <= set(registry.names("models"))
    assert {"leave-one-out", "association", "lcer", "minimal"} <= set(registry.names("explainers"))
    assert {"planted", "ml-100k", "ml-1m", "ml-latest-small"} <= set(registry.names("data.sources"))
    assert {"lcer-table2", "leaderboard"} <= set(registry.names("studies"))


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_a_discovered_file_holds_one_frozen_dataclass_without_ancestors(kind: str, name: str) -> None:
    """Sequence models alone share their fields and their training by an ancestor (docs/design.md says why)."""
    cls = registry.load(kind, name)
    assert cls.__dataclass_params__.frozen
    assert cls.__mro__[1:] in ((object,), (SequenceRecipe, object)), "share by function, not by ancestor"


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_a_menu_can_show_it(kind: str, name: str) -> None:
    form = registry.form(kind, name)
    assert form["name"] == name
    assert form["title"]
    assert not form["title"].startswith(f"{registry.load(kind, name).__name__}("), "the class has no docstring"
    assert json.loads(json.dumps(form, allow_nan=False))["title"] == form["title"], "the catalogue is JSON"


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_every_parameter_has_its_sentence_and_a_default_within_its_range(kind: str, name: str) -> None:
    rows = {row["name"]: row for row in registry.form(kind, name)["parameters"]}
    hints = get_type_hints(registry.load(kind, name))
    parameters = {
        f.name for f in dataclasses.fields(registry.load(kind, name)) if set(PLAIN) & set(_kinds(hints[f.name]))
    }
    assert parameters <= set(rows)
    for parameter in parameters:
        row = rows[parameter]
        assert row.get("text"), f"{name}.{parameter} has no sentence: write it with recx.core.recipe.param"
        assert row["default"] is not dataclasses.MISSING
        if row["default"] is not None:
            assert recipe.clean(name, [row], {parameter: row["default"]}) == ()


PLAIN = (int, float, bool, str)


def _kinds(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if isinstance(hint, types.UnionType) else (hint,)


@pytest.mark.parametrize(("kind", "name"), BUILT_FROM_DEFAULTS)
def test_named_says_the_same_recipe_without_its_module(kind: str, name: str) -> None:
    cls = registry.load(kind, name)
    assert hash(cls()) == hash(cls())
    assert registry.named(kind, name) == recipe.Named(kind, name)
    assert recipe.Named(kind, name).build() == cls()
    defaults = {field.name: field.default for field in dataclasses.fields(cls)}
    assert registry.named(kind, name, defaults) == recipe.Named(kind, name), "a default said aloud is another key"


@pytest.mark.parametrize("kind", registry.KINDS)
def test_an_unknown_name_is_one_sentence_with_the_nearest(kind: str) -> None:
    right = registry.names(kind)[0]
    with pytest.raises(BadInput, match=f"did you mean.*{right}"):
        registry.module_name(kind, right + "x")
