"""The catalogue is what the modules say, read without importing them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from recx.core import registry
from recx.core.errors import BadInput
from recx.engine import catalogue
from recx.recipes._build import fit_of


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECX_HOME", str(tmp_path_factory.mktemp("catalogue-home")))
        yield catalogue.read()


def test_it_holds_every_discovered_name(found):
    assert found.broken == {}
    for kind in registry.KINDS:
        assert found.names(kind) == registry.listed(kind) == registry.built_in(kind)
        assert [form["name"] for form in found.all(kind)] == registry.listed(kind)


def test_a_form_is_that_of_the_module(found):
    for kind in ("models", "explainers", "data.splits"):
        for name in registry.listed(kind):
            direct = json.loads(json.dumps(registry.form(kind, name)))
            assert direct.items() <= found.form_of(kind, name).items()
    assert "min_user" in found.form_of("data.sources", "ml-100k")["prepare"]


def test_recipes_built_from_it_are_the_same(found):
    settings = {"l2": "12.5"}
    assert fit_of("planted", "ease", settings, form_of=found.form_of) == fit_of("planted", "ease", settings)


def test_unknown_and_broken_names_are_said(found):
    with pytest.raises(BadInput, match=r"eese.*ease"):
        found.form_of("models", "eese")
    broken = catalogue.Catalogue({"models": {}}, {"models ease": "SyntaxError: line 3"})
    with pytest.raises(BadInput, match=r"ease.*SyntaxError: line 3"):
        broken.form_of("models", "ease")


def test_reading_imports_no_model(found, tmp_path):
    code = (
        "import sys; from recx.engine import catalogue, client, jobs, store; from recx.recipes._build import fit_of\n"
        "found = catalogue.read(); client.Engine(start=False).peek(fit_of('planted', 'ease', form_of=found.form_of))\n"
        "assert found.names('models')\n"
        "assert not {'torch', 'numba', 'sklearn', 'distributed'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
