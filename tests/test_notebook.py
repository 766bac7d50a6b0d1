"""The three functions of a notebook give what the recipes give."""

from __future__ import annotations

from pathlib import Path

import pytest

from recx.core.errors import BadInput
from recx.notebook import evaluate, explain, explain_list, recommend


def test_they_answer_as_the_app_does(recx_home: Path) -> None:
    listed = recommend("planted", "ease", user="u007", k=5)
    found = explain("planted", "ease", user="u007", item=listed["items"][2]["item"], k=5)
    assert found.target_title == listed["items"][2]["title"]
    assert found.rank_before == 3
    assert found.sentence.startswith("Had you not chosen" if found.necessary else ("Without", "No reason"))
    assert evaluate("planted", "ease")["n"] > 0
    typed = recommend("planted", "ease", history=[row["item"] for row in listed["history"]], k=5)
    assert [row["item"] for row in typed["items"]] == [row["item"] for row in listed["items"]]


def test_a_list_is_explained_as_a_whole(recx_home: Path) -> None:
    found = explain_list("planted", "ease", user="u007", k=5, replace="one")
    assert (found.target, found.valid, found.details["need"], found.details["size"]) == (None, True, 1, 5)
    with pytest.raises(BadInput, match="'most'"):
        explain_list("planted", "ease", user="u007", k=5, replace="most")


def test_bad_words_are_sentences(recx_home: Path) -> None:
    with pytest.raises(BadInput, match="one of the two"):
        explain("planted", "ease")
    with pytest.raises(BadInput, match="unknown explainer"):
        explain("planted", "ease", user="u007", explainer="no-such")
