"""What an explainer learns beforehand: declared in its source, computed once, shared by settings that do not matter."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch

from recx.core import registry
from recx.core.errors import BadInput
from recx.core.progress import quiet
from recx.core.recipe import Named
from recx.engine._codecs import codec_of, pack, unpack
from recx.recipes import learnt as recipes
from recx.recipes._build import fit_of
from recx.recipes._recipe import key, plain_get

SOURCE = '''
from __future__ import annotations
from typing import Any, ClassVar
SIZE = 3
class _Helper:
    learns_with: ClassVar[tuple[str, ...]] = ("wrong",)
class Some:
    """Some."""
    size: int = 4
    learns_with: ClassVar[tuple[str, ...]] = ("width", "lr")
    learns_unless: ClassVar[dict[str, str]] = {"kind": "plain"}
    learns_from: ClassVar[str] = "%s"
    limit: ClassVar[int] = SIZE
'''


@pytest.fixture
def some(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Declares an explainer `some` of a given source without importing it."""

    def declare(source: str) -> dict[str, Any]:
        path = tmp_path / "some.py"
        path.write_text(SOURCE % source)
        found = registry._declared(str(path), len(source))
        monkeypatch.setattr(registry, "declared", lambda kind, name: found)
        return found

    return declare


def test_declared_values_are_read_from_the_source(some: Any) -> None:
    found = some("data")
    assert found == {
        "learns_with": ("width", "lr"),
        "learns_unless": {"kind": "plain"},
        "learns_from": "data",
    }, "only class variables of public classes that are plain values"


def test_settings_that_do_not_matter_share_what_is_learnt(some: Any) -> None:
    some("data")
    fit = fit_of("planted", "ease", seed=3)
    one = recipes.learnt_by(Named("explainers", "some", (("m", 5), ("width", 8))), fit)
    other = recipes.learnt_by(Named("explainers", "some", (("m", 9), ("width", 8))), fit)
    assert one == other
    assert one is not None
    assert one.needs() == (fit.split_data,), "from the data: every model shares it"
    assert one.seed == 3
    assert recipes.learnt_by(Named("explainers", "some", (("width", 9),)), fit) != one
    assert recipes.learnt_by(Named("explainers", "some", (("kind", "plain"),)), fit) is None


def test_what_is_learnt_from_a_model_needs_its_fit(some: Any) -> None:
    some("model")
    fit = fit_of("planted", "ease")
    found = recipes.learnt_by(Named("explainers", "some"), fit)
    assert found is not None
    assert found.needs() == (fit.split_data, fit)


def test_an_explainer_that_learns_nothing_gets_nothing() -> None:
    fit = fit_of("planted", "ease")
    assert recipes.needed_by(Named("explainers", "minimal"), fit) == ()
    assert recipes.get_for(Named("explainers", "minimal"), fit, lambda recipe: 1 / 0) is None


def test_what_is_learnt_is_stored_and_read_back_and_no_other_class_is_ever_built() -> None:
    class Thing:
        report: ClassVar[dict[str, Any]] = {"loss": 0.5}

        def tensors(self) -> dict[str, torch.Tensor]:
            return {"a": torch.arange(3.0)}

        def settings(self) -> dict[str, Any]:
            return {"width": 2}

    assert codec_of(Thing()) == "learnt"
    with pytest.raises(ValueError, match=r"outside recx\.explainers"):
        unpack(*pack(Thing()))


def test_a_device_that_is_named_is_where_it_learns_and_is_no_part_of_the_key() -> None:
    """A device that is absent is an error, not another device: causal rules took whatever there was."""
    named = Named("explainers", "causal-rules", (("epochs", 1), ("hidden", 8)))
    fits = [fit_of("planted", "ease", device=device) for device in ("cpu", "cuda:99")]
    here, absent = (recipes.learnt_by(named, fit) for fit in fits)
    assert here is not None
    assert absent is not None
    assert key(here) == key(absent)
    with pytest.raises(BadInput, match="cuda"):
        absent.run(plain_get, quiet)
