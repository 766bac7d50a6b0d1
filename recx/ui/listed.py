"""The list as a whole: the items without which part of it would be others, and what each history item holds up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import streamlit as st

from recx.figures import sets as figures
from recx.recipes import _build
from recx.recipes.explain_list import ExplainList
from recx.ui import columns, explainers, fetch, frame, list_cards, state, text
from recx.ui.case import CHART, Case, person_label
from recx.ui.view import REPLACE

LABELS = {"one": "one of the list", "half": "half of the list", "all": "the whole list"}


def whole(case: Case) -> None:
    """A column per explainer for the list as one, then what single history items hold up."""
    n = len(case.base["items"])
    if not n:
        st.info("Nothing is recommended to this person: choose another one.", icon=":material/info:")
        return
    st.subheader(f"What do these {n} recommendations hang on?", anchor="list")
    st.html(list_cards.list_line([text.named(row["title"], row["year"]) for row in case.base["items"]]))
    state.control(
        st.segmented_control,
        "How much of the list shall be others",
        REPLACE,
        field="replace",
        format_func=LABELS.get,
        required=True,
    )
    columns.columns(
        case.explainers,
        partial(list_recipe, case),
        _card,
        key=f"list_{state.view().replace}",
        title=lambda name: f"{name}: the list of {person_label(*state.view().person)}",
        grid="list_cards",
    )
    st.markdown("##### What each history item holds up")
    fetch.panel(
        list_recipe(case, "leave-one-out"), partial(_held, case), key="held_up", title="What each item holds up"
    )


def list_recipe(case: Case, explainer: str) -> ExplainList:
    """The question that one card asks. Raises BadInput for settings that are none."""
    now = state.view()
    named = _build.explainer_of(explainer, dict(now.settings_of(explainer)), form_of=frame.forms().form_of)
    return ExplainList(case.fit, (case.person,), named, k=now.k, share=now.replace)


def _card(found: Sequence[Any]) -> None:
    row = found[0].as_dict()
    st.html(list_cards.whole_list(row, explainers.short(row["explainer"])))


def _held(case: Case, found: Sequence[Any]) -> None:
    rows = found[0].details["shares"]
    held = [row for row in rows if row["replaced"]]
    st.caption(held_words(rows, found[0].details["size"]))
    if held:
        st.plotly_chart(
            figures.support(held, found[0].details["size"]),
            key="support_chart",
            config=CHART,
            alt="Recommendations that leave the list without single history items.",
        )


def held_words(rows: Sequence[Mapping[str, Any]], size: int) -> str:
    """How the list depends on single items, in a sentence of markdown."""
    held = [row for row in rows if row["replaced"]]
    if not held:
        return f"Without any one of the {text.plural(len(rows), 'history item')} the list stays the same."
    first = held[0]
    return (
        f"The recommender was asked again without each item alone: without {len(held):,} of the "
        f"{text.plural(len(rows), 'history item')} something leaves the list. Most hangs on "
        f"{text.md(text.brief(first['title']))}: without it {first['replaced']} of {size} are others."
    )
