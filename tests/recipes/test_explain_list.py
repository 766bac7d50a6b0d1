"""Lists explained as a whole: what is claimed is what asking again gives."""

from __future__ import annotations

from math import ceil
from typing import Any

import pytest

from recx.core.errors import BadInput
from recx.recipes._build import explainer_of, fit_of
from recx.recipes.explain_list import ExplainList, list_sentence
from recx.recipes.people import Person
from recx.recipes.recommend import Recommend
from tests.recipes.test_questions import FIT, get

ANNA, BEN = Person(user="u003"), Person(user="u010")
K = 6


def asked(name: str, share: str, **fields: Any) -> list[Any]:
    settings = {"steps": 50} if name == "lcer" else {}
    people = fields.pop("people", (ANNA, BEN))
    return get(ExplainList(FIT, people, explainer_of(name, settings), fields.pop("k", K), share, **fields))


@pytest.mark.parametrize("share", ["one", "half", "all"])
@pytest.mark.parametrize("name", ["minimal", "leave-one-out", "lcer", "association"])
def test_what_is_claimed_is_what_switching_off_gives(name: str, share: str) -> None:
    """The what-if of the app, asked without the named items, shows the list that the explanation describes."""
    for person, found in zip((ANNA, BEN), asked(name, share), strict=True):
        more = found.details
        before = [row["item"] for row in get(Recommend(FIT, (person,), K))[0]["items"]]
        assert found.target is None
        assert found.found == bool(found.items)
        assert more["need"] == {"one": 1, "half": ceil(K / 2), "all": K}[share]
        if not found.found:
            assert (found.valid, found.necessary, more["replaced"]) == (None, None, 0)
            assert found.searched in found.sentence
            continue
        off = Person(user=person.user, without=found.items)
        after = [row["item"] for row in get(Recommend(FIT, (off,), K))[0]["items"]]
        left = [(item, place) for place, item in enumerate(before, 1) if item not in after]
        came = [(item, place) for place, item in enumerate(after, 1) if item not in before]
        assert [(row["item"], row["place"]) for row in more["left"]] == left
        assert [(row["item"], row["place"]) for row in more["came"]] == came
        assert more["replaced"] == len(left)
        assert found.valid is found.necessary is (len(left) >= more["need"]) is True
        assert found.sentence.startswith("Had you not chosen ")
        assert all(title in found.sentence for title in found.titles)


def test_shares_name_what_each_item_alone_holds_up() -> None:
    found = asked("minimal", "one")[0]
    before = {row["item"] for row in get(Recommend(FIT, (ANNA,), K))[0]["items"]}
    rows = found.details["shares"]
    history = [row["item"] for row in get(Recommend(FIT, (ANNA,), K))[0]["history"]]
    assert sorted(row["item"] for row in rows) == sorted(history)
    total = 0
    for row in rows:
        off = Person(user="u003", without=(row["item"],))
        after = {one["item"] for one in get(Recommend(FIT, (off,), K))[0]["items"]}
        assert row["replaced"] == len(after - before)
        assert row["pn_s"] == pytest.approx(len(after - before) / K)
        total += row["replaced"]
    assert [row["share"] for row in rows] == pytest.approx([row["replaced"] / total for row in rows])


def test_the_answer_is_stored_as_plain_values() -> None:
    from recx.explainers._explanation import Explanation

    found = asked("minimal", "half")[0]
    assert Explanation.from_dict(found.as_dict()) == found


def test_alone_and_together_give_the_same() -> None:
    both, alone = asked("minimal", "half"), asked("minimal", "half", people=(BEN,))
    assert both[1].items == alone[0].items
    assert both[1].details["replaced"] == alone[0].details["replaced"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((("A",), 1, 1, 10), "Had you not watched A, 1 of your 10 recommendations would be another."),
        ((("A", "B"), 5, 5, 10), "Had you not watched A and B, 5 of your 10 recommendations would be others."),
        ((("A",), 10, 10, 10), "Had you not watched A, all 10 of your recommendations would be others."),
        ((("A",), 1, 1, 1), "Had you not watched A, your one recommendation would be another."),
        ((("A",), 2, 5, 10), "Without A, only 2 of your 10 recommendations would be others."),
        ((("A",), 0, 5, 10), "Without A, your 10 recommendations would be the same."),
        (((), 0, 5, 10), "No set of history items found that replaces 5 of the 10 recommendations: tried."),
        (((), 0, 10, 10), "No set of history items found that replaces all 10 recommendations: tried."),
    ],
)
def test_sentences(given: Any, said: str) -> None:
    assert list_sentence(*given, "tried", "watched") == said


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"share": "most"}, "'most'.*one, half, all"),
        ({"weights": "loud"}, "'loud'.*equal, rank"),
        ({"world": "mars"}, "'mars'.*edited-history"),
        ({"k": 9999}, "k=9999"),
        ({"people": (Person(user="u003", without=("i001",)),)}, "switched-off"),
    ],
)
def test_wrong_questions_are_one_sentence(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        asked("minimal", **({"share": "half"} | fields))


def test_a_missing_capability_is_one_sentence() -> None:
    asking = ExplainList(fit_of("planted", "toppop"), (ANNA,), explainer_of("lcer"), 5)
    with pytest.raises(BadInput, match="lcer needs scores that can be differentiated"):
        asking.run(get, lambda *_: None)
