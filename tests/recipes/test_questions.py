"""What the app asks: recommendations, reasons, why not, audience, tables; answers and refusals."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from recx.core.errors import BadInput
from recx.core.progress import quiet
from recx.recipes._build import data_of, explainer_of, fit_of
from recx.recipes.explain import Explain
from recx.recipes.people import Person
from recx.recipes.recommend import Audience, Recommend, WhyNot
from recx.recipes.tables import Card, Items, People


@cache
def store() -> dict[Any, Any]:
    return {}


def get(recipe: Any) -> Any:
    if recipe not in store():
        store()[recipe] = recipe.run(get, quiet)
    return store()[recipe]


FIT = fit_of("planted", "ease")
ANNA = Person(user="u003")


def answer(**fields: Any) -> dict[str, Any]:
    return get(Recommend(FIT, (fields.get("person", ANNA),), fields.get("k", 5)))[0]


def test_the_list_leaves_out_the_history_and_marks_what_was_held_out() -> None:
    data = get(FIT.data)
    whole = [data.items["id"].iloc[code] for code in data.history(data.user_code("u003"))]
    found = answer(k=300 - len(whole) + 1)
    history = [row["item"] for row in found["history"]]
    assert history == whole[:-1]
    assert [row["item"] for row in found["held_out"]] == whole[-1:]
    assert not {row["item"] for row in found["items"]} & set(history)
    assert [row["item"] for row in found["items"] if row["held_out"]] == whole[-1:]
    assert found["n_candidates"] == len(found["items"]) == 300 - len(history)
    scores = [row["score"] for row in found["items"]]
    assert scores == sorted(scores, reverse=True)
    assert [row["rank"] for row in found["items"]] == list(range(1, len(scores) + 1))


def test_switching_an_item_off_equals_a_new_person_without_it() -> None:
    history = [row["item"] for row in answer()["history"]]
    off = answer(person=Person(user="u003", without=(history[2],)))
    typed = answer(person=Person(history=tuple(h for h in history if h != history[2])))
    assert [row["kept"] for row in off["history"]].count(False) == 1
    assert history[2] not in [row["item"] for row in off["items"]], "a removed item is not recommendable"
    expected = [row for row in typed["items"] if row["item"] != history[2]][:4]
    assert [row["item"] for row in off["items"]][:4] == [row["item"] for row in expected]


def test_two_people_in_one_question_are_answered_as_alone() -> None:
    both = get(Recommend(FIT, (ANNA, Person(user="u010")), 5))
    for found, alone in zip(both, [answer(), answer(person=Person(user="u010"))], strict=True):
        assert [row["item"] for row in found["items"]] == [row["item"] for row in alone["items"]]
        scores = [row["score"] for row in alone["items"]]
        assert [row["score"] for row in found["items"]] == pytest.approx(scores, abs=1e-5), "sums in another order"
        assert found["history"] == alone["history"]


@pytest.mark.parametrize("name", ["leave-one-out", "association", "minimal", "lcer"])
def test_an_explanation_claims_only_what_the_check_found(name: str) -> None:
    settings = {"steps": 50} if name == "lcer" else {}
    target = answer()["items"][1]
    found = get(Explain(FIT, (ANNA,), (target["item"],), explainer_of(name, settings), 5))[0]
    assert found.target == target["item"]
    assert found.rank_before == 2
    assert found.found == bool(found.items)
    if not found.items:
        return
    off = get(Recommend(FIT, (Person(user="u003", without=found.items),), 5))[0]
    still = [row["item"] for row in off["items"]]
    assert found.necessary == (target["item"] not in still) == found.valid
    assert ("would not be recommended" in found.sentence) == found.necessary
    assert all(title in found.sentence for title in found.titles)
    if found.replacement:
        assert found.replacement in still
        assert found.replacement not in [row["item"] for row in answer()["items"]]


def test_without_a_target_the_first_of_the_list_is_explained() -> None:
    found = get(Explain(FIT, (ANNA,), (None,), explainer_of("leave-one-out"), 5))[0]
    assert found.target == answer()["items"][0]["item"]


def test_an_explanation_survives_json() -> None:
    from recx.explainers._explanation import Explanation

    found = get(Explain(FIT, (ANNA,), (None,), explainer_of("association"), 5))[0]
    assert Explanation.from_dict(found.as_dict()) == found


def test_why_not_gives_the_exact_effect_of_each_history_item() -> None:
    data, scorer = get(FIT.data), get(FIT)
    asked = answer(k=100)["items"][60]
    found = get(WhyNot(FIT, ANNA, asked["item"], 5))
    assert found["rank"] == asked["rank"] == 61
    assert found["score"] == pytest.approx(asked["score"])
    assert found["kth_score"] == pytest.approx(answer()["items"][4]["score"])
    code = data.item_code(asked["item"])
    expected = {row["item"]: -float(scorer.weights[data.item_code(row["item"]), code]) for row in answer()["history"]}
    assert {e["item"]: e["effect"] for e in found["effects"]} == pytest.approx(expected, abs=1e-5)
    effects = [e["effect"] for e in found["effects"]]
    assert effects == sorted(effects, reverse=True)


def test_the_audience_of_an_item_are_the_people_whose_list_holds_it() -> None:
    item = answer()["items"][0]["item"]
    found = get(Audience(FIT, item, 5, 1000))
    people = get(People(FIT.data))["user"]
    lists = get(Recommend(FIT, tuple(Person(user=u) for u in people), 5))
    shown = {one["user"] for one in lists if item in [row["item"] for row in one["items"]]}
    assert {one["user"] for one in found["users"]} == shown
    assert found["shown_to"] == len(shown)


def test_tables_count_what_is_there() -> None:
    data = get(FIT.data)
    people, items, card = get(People(FIT.data)), get(Items(FIT.data)), get(Card(FIT.data))
    assert sum(people["events"]) == sum(items["popularity"]) == card["events"] == len(data)
    assert all(0 <= share <= 1 for share in people["popularity"])
    heavy = [n for n, traits in zip(people["events"], people["traits"], strict=True) if "heavy" in traits]
    assert min(heavy) >= np.quantile(people["events"], 0.9)
    assert not any("heavy" in traits and "light" in traits for traits in people["traits"])
    assert sum(card["rating_counts"].values()) == sum(card["months"].values()) == len(data)
    assert card["popularity"] == sorted(card["popularity"], reverse=True)


def test_a_held_out_user_is_new_to_the_model_and_keeps_the_history_of_the_split() -> None:
    fit = fit_of("planted", "ease", split="held-out-users", split_settings={"valid": 20, "test": 20})
    data, test = get(fit.data), get(fit.split_data).test
    user = data.users["id"].iloc[int(test.users[0])]
    found = get(Recommend(fit, (Person(user=user),), 5))[0]
    assert len(found["history"]) == int((test.histories[0] >= 0).sum())
    assert {row["item"] for row in found["held_out"]} == {data.items["id"].iloc[t] for t in test.targets[0] if t >= 0}


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        (lambda: Recommend(FIT, (Person(user="u9999"),), 5), "unknown user"),
        (lambda: Recommend(FIT, (ANNA,), 0), "k=0 is out of range"),
        (lambda: Recommend(FIT, (ANNA,), 301), "allows 1 to 300"),
        (lambda: Recommend(FIT, (Person(history=("nope",)),), 5), "unknown item"),
        (lambda: Recommend(FIT, (Person(history=("i001", "i001")),), 5), "named twice"),
        (
            lambda: Recommend(FIT, (Person(user="u003", without=(answer()["items"][0]["item"],)),), 5),
            "cannot be switched off",
        ),
        (lambda: Explain(FIT, (ANNA,), ("nope",), explainer_of("minimal"), 5), "unknown item"),
        (lambda: Explain(FIT, (ANNA,), (None,), explainer_of("minimal"), 5, world="retraned"), "unknown world"),
        (
            lambda: Explain(fit_of("planted", "toppop"), (ANNA,), (None,), explainer_of("lcer"), 5),
            "choose another model",
        ),
        (lambda: WhyNot(FIT, ANNA, "nope", 5), "unknown item"),
        (lambda: Audience(FIT, "nope", 5), "unknown item"),
    ],
)
def test_bad_questions_are_one_sentence(question: Any, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        get(question())


def test_items_of_the_history_or_outside_the_list_cannot_be_explained() -> None:
    owned, far = answer()["history"][0]["item"], answer(k=100)["items"][90]["item"]
    with pytest.raises(BadInput, match="already in the history"):
        get(Explain(FIT, (ANNA,), (owned,), explainer_of("minimal"), 5))
    with pytest.raises(BadInput, match="not in the top 5"):
        get(Explain(FIT, (ANNA,), (far,), explainer_of("minimal"), 5))
    with pytest.raises(BadInput, match="already in the history"):
        get(WhyNot(FIT, ANNA, owned, 5))


def test_a_person_is_a_user_or_a_list_of_titles() -> None:
    with pytest.raises(BadInput, match="one of the two"):
        Person()
    with pytest.raises(BadInput, match="one of the two"):
        Person(user="u003", history=("i001",))


def test_a_new_person_with_no_titles_is_shown_what_the_model_gives_to_nobody() -> None:
    found = get(Recommend(FIT, (Person(history=()),), 5))[0]
    assert found["history"] == []
    assert len(found["items"]) == 5
    assert np.isfinite([row["score"] for row in found["items"]]).all()


@pytest.mark.parametrize("bad", ["easy", "sasrek"])
def test_unknown_names_get_the_nearest(bad: str) -> None:
    with pytest.raises(BadInput, match=r"did you mean (ease|sasrec)"):
        fit_of("planted", bad)
    with pytest.raises(BadInput, match="planted"):
        data_of("plnated")


@pytest.mark.data("ml-100k")
def test_an_item_without_year_or_genre_is_shown_without_them() -> None:
    """Film 267 of ML-100K is called "unknown" and has neither date nor genre."""
    data = get(data_of("ml-100k", rating_above=None, min_user=1))
    row = data.item_rows[data.item_code("267")]
    assert row["title"] == "unknown"
    assert row["year"] is None
