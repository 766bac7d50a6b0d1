"""Recipes: settings checked at the door, and one canonical form that can be read back."""

from __future__ import annotations

import dataclasses
import json
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recx.core.errors import BadInput
from recx.core.recipe import Named, canonical, canonical_text, clean, describe, param, rebuild, title
from recx.recipes.data import Data, SplitData
from recx.recipes.fit import Evaluate, Fit


@dataclasses.dataclass(frozen=True)
class Toy:
    """A toy recommender.

    It stands in for any discovered recipe.
    """

    l2: float = param(200.0, "Weight of the penalty.", low=0.0, high=1e6)
    layers: int = param(2, "Number of layers.", unit="layers", low=1, high=8)
    center: bool = param(False, "Whether rows are centred.")
    goal: str = param("both", "What is searched.", choices=("both", "necessary"))
    limit: int | None = param(None, "Largest set tried; none for no limit.", low=1)


FORM = describe(Toy)


def test_a_title_is_the_first_line_of_the_docstring() -> None:
    assert title(Toy) == "A toy recommender"


def test_describe_says_everything_about_a_field_that_a_form_needs() -> None:
    assert [row["name"] for row in FORM] == ["l2", "layers", "center", "goal", "limit"]
    assert [row["type"] for row in FORM] == ["float", "int", "bool", "str", "int | None"]
    layers = {
        "name": "layers", "type": "int", "default": 2, "text": "Number of layers.",
        "unit": "layers", "low": 1, "high": 8, "choices": None,
    }  # fmt: skip
    assert layers in FORM


@pytest.mark.parametrize(
    ("given_", "meant"),
    [
        ({}, ()),
        ({"l2": 200}, ()),
        ({"l2": "200.0"}, ()),
        ({"layers": "3", "l2": "1e2"}, (("l2", 100.0), ("layers", 3))),
        ({"center": "yes"}, (("center", True),)),
        ({"center": "off"}, ()),
        ({"limit": "none"}, ()),
        ({"limit": "4"}, (("limit", 4),)),
        ({"layers": 3.0}, (("layers", 3),)),
        ({"goal": "necessary"}, (("goal", "necessary"),)),
    ],
)
def test_clean_types_sorts_and_leaves_out_defaults(given_: dict[str, Any], meant: tuple) -> None:
    cleaned = clean("toy", FORM, given_)
    assert cleaned == meant
    assert [type(value) for _, value in cleaned] == [type(value) for _, value in meant]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"layer": 3}, "unknown field 'layer' of toy; did you mean layers"),
        ({"qqqq": 3}, "known are l2, layers, center, goal, limit"),
        ({"layers": "many"}, "toy.layers='many' is not a whole number: Number of layers."),
        ({"layers": 2.5}, "toy.layers=2.5 is not a whole number"),
        ({"layers": True}, "is not a whole number"),
        ({"layers": 0}, "toy.layers=0 is out of range: allowed is 1 to 8"),
        ({"layers": 9}, "out of range"),
        ({"limit": 0}, "allowed is 1 to"),
        ({"l2": "nan"}, "is not finite"),
        ({"l2": "inf"}, "is not finite"),
        ({"l2": None}, "needs a value"),
        ({"center": "perhaps"}, "is not true or false"),
        ({"goal": "sufficient"}, "is not one of both, necessary"),
    ],
)
def test_clean_refuses_in_one_sentence(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput) as refusal:
        clean("toy", FORM, settings)
    assert says in str(refusal.value)
    assert "\n" not in str(refusal.value)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "l2": st.floats(0, 1e6),
            "layers": st.integers(1, 8),
            "center": st.booleans(),
            "goal": st.sampled_from(["both", "necessary"]),
            "limit": st.none() | st.integers(1, 99),
        },
    )
)
def test_what_clean_lets_through_builds_the_same_recipe_from_values_and_from_text(settings: dict[str, Any]) -> None:
    from_values = clean("toy", FORM, settings)
    from_text = clean("toy", FORM, {name: str(value) for name, value in settings.items()})
    assert from_values == from_text
    assert Toy(**dict(from_values)) == Toy(**settings)


NAMES = st.text(string.ascii_lowercase + string.digits + "-", min_size=1, max_size=12)
VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
NAMED = st.builds(
    Named,
    st.sampled_from(["models", "data.sources", "data.splits", "explainers"]),
    NAMES,
    st.lists(st.tuples(NAMES, VALUES), max_size=3).map(tuple),
)
DATA = st.builds(Data, NAMED, st.none() | st.floats(0, 5), st.integers(1, 50), st.integers(1, 50))
FIT = st.builds(Fit, DATA, NAMED, NAMED, st.integers(0, 2**31))
RECIPES = NAMED | DATA | st.builds(SplitData, DATA, NAMED, st.integers(0, 99)) | FIT | st.builds(Evaluate, FIT)


@given(RECIPES)
def test_canonical_text_reads_back_as_the_same_recipe(recipe: Any) -> None:
    text = canonical_text(recipe)
    assert rebuild(json.loads(text)) == recipe
    assert canonical_text(rebuild(json.loads(text))) == text
    assert "\n" not in text


@given(RECIPES, RECIPES)
def test_two_recipes_share_a_canonical_text_only_when_they_are_equal(one: Any, other: Any) -> None:
    assert (canonical_text(one) == canonical_text(other)) == (repr(one) == repr(other))


def test_what_is_not_plain_or_not_of_recx_is_refused() -> None:
    with pytest.raises(TypeError, match="plain values only, not set"):
        canonical(Named("models", "ease", (("items", {1, 2}),)))
    with pytest.raises(ValueError, match="Out of range float"):
        canonical_text(Named("models", "ease", (("l2", float("nan")),)))
    for outside in ("os.system", "subprocess.Popen", "recxtra.core.Thing"):
        with pytest.raises(ValueError, match="not a recipe of recx"):
            rebuild({"recipe": outside})
