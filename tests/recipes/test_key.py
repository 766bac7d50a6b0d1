"""The key of a result: the same question has the same key, everything that could change the answer changes it."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recx.core.recipe import Named
from recx.recipes._recipe import key, nested
from recx.recipes.data import Data
from recx.recipes.fit import Evaluate, Fit

PACKAGE = Path(__file__).resolve().parents[2] / "recx"
PLANTED = Named("data.sources", "planted")
FIT = Fit(Data(PLANTED), Named("data.splits", "leave-one-out"), Named("models", "ease"), seed=3)
CHANGES: dict[str, Any] = {
    "source": dataclasses.replace(FIT, data=Data(Named("data.sources", "planted", (("seed", 8),)))),
    "rating": dataclasses.replace(FIT, data=Data(PLANTED, rating_above=3.5)),
    "min_user": dataclasses.replace(FIT, data=Data(PLANTED, min_user=5)),
    "min_item": dataclasses.replace(FIT, data=Data(PLANTED, min_item=5)),
    "split": dataclasses.replace(FIT, split=Named("data.splits", "random")),
    "model": dataclasses.replace(FIT, model=Named("models", "toppop")),
    "setting": dataclasses.replace(FIT, model=Named("models", "ease", (("l2", 10.0),))),
    "seed": dataclasses.replace(FIT, seed=4),
    "kind": Evaluate(FIT),
}


def test_the_same_recipe_has_the_same_key_however_it_was_made() -> None:
    again = Fit(Data(Named("data.sources", "planted")), FIT.split, Named("models", "ease", ()), 3)
    assert key(FIT) == key(again)
    assert len(key(FIT)) == 32


def test_the_device_does_not_change_the_key() -> None:
    assert {key(dataclasses.replace(FIT, device=device)) for device in ("auto", "cpu", "cuda")} == {key(FIT)}


def test_every_other_field_changes_it() -> None:
    fields = {field.name for field in dataclasses.fields(Fit)}
    assert fields == {"data", "split", "model", "seed", "device"}, "a new field: add it to CHANGES"
    keys = [key(FIT), *(key(recipe) for recipe in CHANGES.values())]
    assert len(set(keys)) == len(keys)


def test_nested_walks_every_recipe_inside() -> None:
    names = [type(part).__name__ for part in nested(Evaluate(FIT))]
    assert names == ["Evaluate", "Fit", "Data", "Named", "Named", "Named"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the package that a test may edit."""
    shutil.copytree(PACKAGE, tmp_path / "recx", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def keys_in(checkout: Path, *models: str) -> dict[str, str]:
    """The keys of one fit per model, as a fresh process in that checkout computes them."""
    program = (
        "import json, sys\nfrom recx.core.recipe import Named\nfrom recx.recipes._recipe import key\n"
        "from recx.recipes.data import Data\nfrom recx.recipes.fit import Fit\n"
        "data, split = Data(Named('data.sources', 'planted')), Named('data.splits', 'leave-one-out')\n"
        "print(json.dumps({m: key(Fit(data, split, Named('models', m))) for m in sys.argv[1:]}))"
    )
    env = os.environ | {"PYTHONPATH": str(checkout)}
    done = subprocess.run(
        [sys.executable, "-c", program, *models], cwd=checkout, env=env, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def test_editing_a_model_changes_its_own_keys_only(checkout: Path) -> None:
    before = keys_in(checkout, "ease", "toppop")
    assert before == keys_in(checkout, "ease", "toppop")

    model = checkout / "recx" / "models" / "ease.py"
    text = model.read_text("utf-8")
    model.write_text(f"# a comment\n{text}", "utf-8")
    assert keys_in(checkout, "ease", "toppop") == before

    model.write_text(f"{text}\nUNUSED = 1\n", "utf-8")
    after = keys_in(checkout, "ease", "toppop")
    assert after["ease"] != before["ease"]
    assert after["toppop"] == before["toppop"]


def test_editing_the_data_source_changes_every_key_on_it(checkout: Path) -> None:
    before = keys_in(checkout, "ease", "toppop")
    source = checkout / "recx" / "data" / "sources" / "planted.py"
    source.write_text(source.read_text("utf-8") + "\nUNUSED = 1\n", "utf-8")
    after = keys_in(checkout, "ease", "toppop")
    assert all(after[model] != before[model] for model in before)


def test_a_new_model_changes_no_key(checkout: Path) -> None:
    before = keys_in(checkout, "ease")
    (checkout / "recx" / "models" / "brand_new.py").write_text("from recx.models import ease\n", "utf-8")
    assert keys_in(checkout, "ease") == before


def test_other_data_under_the_same_name_have_another_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two folders that both hold `ml-100k`, one rating apart: an answer about one is no answer about the other."""
    keys = []
    for rating in ("3", "4"):
        folder = tmp_path / rating / "ml-100k"
        folder.mkdir(parents=True)
        for name in ("u.item", "u.user", "u.genre"):
            (folder / name).write_text("")
        (folder / "u.data").write_text(f"1\t1\t{rating}\t880000000\n")
        monkeypatch.setenv("RECX_DATA", str(tmp_path / rating))
        keys.append(key(Data(Named("data.sources", "ml-100k"))))
    assert keys[0] != keys[1]
