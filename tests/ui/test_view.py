"""A link names every parameter and reopens exactly the view; an unknown value is an error, never another view."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import ClassVar

import pytest

from recx.core.errors import BadInput
from recx.ui.rule_scores import PARAMETERS
from recx.ui.view import CHOICES, FREE, SWEPT, Pin, View, from_query, shown_explainers, to_query

DATASETS = ["planted", "ml-100k"]


class Forms:
    """Two models, one with settings."""

    known: ClassVar = {
        "models": ["ease", "sasrec", "toppop"],
        "explainers": ["lcer", "minimal"],
        "data.splits": ["leave-one-out", "random"],
    }

    def names(self, kind: str) -> list[str]:
        return self.known[kind]

    def form_of(self, kind: str, name: str) -> dict:
        row = {
            "name": "l2",
            "type": "float",
            "default": 250.0,
            "text": "t",
            "unit": "",
            "low": 0.0,
            "high": None,
            "choices": None,
        }
        return {"name": name, "title": name, "parameters": [row] if name in ("ease", "minimal") else []}


VIEWS = [
    View(),
    View(
        dataset="ml-100k",
        split="random",
        model="ease",
        settings=(("l2", 3.0),),
        seed=5,
        k=7,
        user="12",
        target="a,b&c=d #é",
        explainers=("minimal",),
        explainer_settings=(("minimal", (("l2", 7.0),)),),
        off=("50", "x y"),
        whynot="9",
        pin=Pin("sasrec", (), 3, "7"),
        part="compare",
        board="ml-1m",
        board_setting="sampled-100",
        other="ease",
        other_settings=(("l2", 9.0),),
        sets="many",
        rules="cases",
        scores="ml-1m",
        scores_setting="top-5",
        convention="as-published",
        replace="all",
        found="long",
        found_by="lcer",
        bench_who="hits",
        bench_steps="1 to 5 items",
        agree="spearman",
        rule_data="ml-1m",
        rule_model="fpmc",
        rule_who="equal coverage",
        rule_sweep="m",
    ),
    View(model="sasrec", who="new", history=("1", "2", "3"), pin=Pin("ease", (("l2", 1.0),), 0, "", ("4", "5"))),
    View(who="item", item="8", user="3", trait="niche", draw=4),
]


@pytest.mark.parametrize("view", VIEWS)
def test_a_link_reopens_exactly_the_view(view: View) -> None:
    assert from_query(to_query(view, Forms()), Forms(), DATASETS) == view


def test_a_link_names_every_parameter_and_the_defaults_of_settings() -> None:
    query = to_query(View(), Forms())
    assert set(query) == {field.name for field in fields(View)}
    assert query["settings"] == ["l2=250.0"]
    assert query["explainer_settings"] == ["minimal.l2=250.0"]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("dataset", "ml-101k", "ml-100k"),
        ("model", "easy", "ease"),
        ("split", "x", "split"),
        ("explainers", "nobody", "explainer"),
        ("k", "0", "k='0'"),
        ("k", "ten", "k='ten'"),
        ("k", "100000", "k="),
        ("seed", "-1", "seed"),
        ("settings", "l3=1", "l3"),
        ("settings", "l2", "field=value"),
        ("settings", "l2=much", "l2"),
        ("explainer_settings", "minimal", "explainer.field=value"),
        ("explainer_settings", "oracle.l2=1", "explainer"),
        ("explainer_settings", "minimal.l9=1", "l9"),
        ("explainer_settings", "minimal.l2=-1", "l2"),
        ("who", "me", "who"),
        ("trait", "odd", "trait"),
        ("modle", "ease", "model"),
        ("pin", "maybe", "pin"),
        ("part", "everything", "part"),
        ("other", "easy", "ease"),
        ("sets", "everything", "part"),
        ("rules", "everything", "part"),
        ("convention", "mine", "convention"),
        ("rule_who", "friends", "users"),
        ("rule_sweep", "gama", "gamma"),
        ("bench_who", "friends", "recommendations"),
        ("bench_steps", "all", "number of items"),
        ("agree", "yes", "agreement"),
        ("found", "nice", "kind of case"),
        ("replace", "most", "share of the list"),
        ("other_settings", "l3=1", "toppop"),
    ],
)
def test_an_unknown_value_is_one_sentence(name: str, value: str, words: str) -> None:
    with pytest.raises(BadInput, match=r".") as error:
        from_query(to_query(View(), Forms()) | {name: [value]}, Forms(), DATASETS)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_every_field_of_the_view_is_read_from_a_link_in_one_way() -> None:
    known = {field.name for field in fields(View)}
    assert {*CHOICES, *FREE} < known
    assert not {*CHOICES} & {*FREE}
    assert all(getattr(View(), name) in values for name, (_, values) in CHOICES.items()), "defaults are choices"
    assert tuple(PARAMETERS) == SWEPT, "each sweep of a link has words"


def test_a_pin_needs_a_person_and_a_parameter_stands_once() -> None:
    with pytest.raises(BadInput, match="person"):
        from_query({"pin": ["yes"], "pin_model": ["ease"]}, Forms(), DATASETS)
    with pytest.raises(BadInput, match="2 times"):
        from_query({"model": ["ease", "sasrec"]}, Forms(), DATASETS)


def test_a_choice_forgets_only_what_it_makes_meaningless() -> None:
    view = VIEWS[1]
    assert view.changed(k=5) == replace(view, k=5)
    other = view.changed(model="sasrec")
    assert (other.settings, other.target, other.off, other.user) == ((), "", view.off, view.user)
    assert (view.changed(user="13").off, view.changed(user="13").target) == ((), "")
    assert view.changed(user="13", target="t").target == "t"
    assert (view.changed(other="sasrec").other_settings, view.changed(k=3).other_settings) == ((), (("l2", 9.0),))
    fresh = view.changed(dataset="planted")
    assert (fresh.user, fresh.off, fresh.pin, fresh.model) == ("", (), None, "ease")


def test_a_few_explainers_stand_side_by_side_until_others_are_chosen() -> None:
    class Many(Forms):
        known: ClassVar = Forms.known | {"explainers": [f"e{n}" for n in range(20)] + ["lcer", "minimal"]}

        def form_of(self, kind: str, name: str) -> dict:
            row = Forms().form_of("models", "ease")["parameters"]
            return {"name": name, "title": name, "parameters": row if kind == "explainers" else []}

    assert shown_explainers(View(), Many()) == ("minimal", "lcer")
    assert shown_explainers(View(explainers=("e7",)), Many()) == ("e7",)
    settings = View(explainers=("e7",), explainer_settings=(("e9", (("l2", 3.0),)),))
    words = to_query(settings, Many())["explainer_settings"]
    assert words == ["e7.l2=250.0", "e9.l2=3.0"], "only what is shown, and what was set elsewhere"
    assert from_query(to_query(settings, Many()), Many(), DATASETS) == settings
