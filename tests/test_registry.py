"""Discovery: what is found equals the files on disk, and every file found keeps the contract of a recipe."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from recx.core import recipe, registry
from recx.core.errors import BadInput

PACKAGE = Path(__file__).resolve().parents[1] / "recx"
CASES = [(kind, name) for kind in registry.KINDS for name in registry.names(kind)]


@pytest.mark.parametrize("kind", registry.KINDS)
def test_discovery_equals_the_files_on_disk_and_is_not_empty(kind: str) -> None:
    files = sorted((PACKAGE / kind.replace(".", "/")).iterdir())
    names = {f.name[:-3].replace("_", "-") for f in files if f.name.endswith(".py") and not f.name.startswith("_")}
    assert set(registry.names(kind)) == names
    assert names


def test_every_folder_of_recipes_is_discovered() -> None:
    """What the issue names is there under its command-line name."""
    assert {"toppop", "ease", "multvae", "sasrec"} <= set(registry.names("models"))
    assert {"leave-one-out", "association", "lcer", "minimal"} <= set(registry.names("explainers"))
    assert {"planted", "ml-100k", "ml-1m", "ml-latest-small"} <= set(registry.names("data.sources"))
    assert "lcer-table2" in registry.names("studies")


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_a_discovered_file_holds_one_frozen_dataclass_that_its_defaults_can_build(kind: str, name: str) -> None:
    cls = registry.load(kind, name)
    assert cls.__dataclass_params__.frozen
    assert cls.__mro__[1:] == (object,), "share by function, not by ancestor"
    assert cls() == cls()
    assert hash(cls()) == hash(cls())


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_a_menu_can_show_it(kind: str, name: str) -> None:
    form = registry.form(kind, name)
    assert form["name"] == name
    assert form["title"]
    assert form["title"] != registry.load(kind, name).__name__, "the class has no docstring"
    assert "(" not in form["title"] or not form["title"].startswith(registry.load(kind, name).__name__ + "(")
    assert json.loads(json.dumps(form, allow_nan=False)) is not None, "the catalogue is JSON"


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_every_field_has_its_text_and_a_default_within_its_range(kind: str, name: str) -> None:
    for row in registry.form(kind, name)["parameters"]:
        assert row.get("text"), f"{name}.{row['name']} has no sentence: write it with recx.core.recipe.param"
        assert row["default"] is not dataclasses.MISSING
        if row["default"] is not None:
            assert recipe.clean(name, [row], {row["name"]: row["default"]}) == ()


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_named_says_the_same_recipe_without_its_module(kind: str, name: str) -> None:
    cls = registry.load(kind, name)
    assert registry.named(kind, name) == recipe.Named(kind, name)
    assert recipe.Named(kind, name).build() == cls()
    defaults = {field.name: field.default for field in dataclasses.fields(cls)}
    assert registry.named(kind, name, defaults) == recipe.Named(kind, name), "a default said aloud is another key"


@pytest.mark.parametrize("kind", registry.KINDS)
def test_an_unknown_name_is_one_sentence_with_the_nearest(kind: str) -> None:
    right = registry.names(kind)[0]
    with pytest.raises(BadInput, match=f"did you mean.*{right}"):
        registry.module_name(kind, right + "x")
