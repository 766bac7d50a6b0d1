"""Why not item X? Its rank, and what in the history holds it down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from recx.figures import explanations as figures
from recx.recipes.recommend import WhyNot
from recx.ui import fetch, text
from recx.ui.case import CHART, Case, person_label
from recx.ui.frame import forms
from recx.ui.search import Table, find_items, title_of
from recx.ui.state import change, view, write_link


def why_not(case: Case, items: Table) -> None:
    """Where an item stands that was not recommended, and what holds it down."""

    @st.fragment
    def body() -> None:
        st.subheader("Why not …?", help="Ask about any item that is not in the history.", anchor="why-not")
        left, right = st.columns([1, 2], gap="medium")
        with left:
            _choose(case, items)
        with right:
            _answer(case, items)
        write_link(forms())

    body()


def _choose(case: Case, items: Table) -> None:
    words = st.text_input("Item", placeholder="type part of a title", key="find_whynot", live=True)
    found = find_items(items, words, most=6, without=[row["item"] for row in case.base["history"]])
    for row in found:
        st.button(
            text.md(text.brief(text.named(row["title"], row["year"]))),
            key=f"whynot_{row['item']}",
            on_click=change,
            kwargs={"whynot": row["item"]},
            type="primary" if row["item"] == view().whynot else "secondary",
            width="stretch",
            wrap=True,
        )
    if words and not found:
        st.caption("No title outside the history holds these words.")


def _answer(case: Case, items: Table) -> None:
    item = view().whynot
    if not item:
        st.caption(
            "Type part of a title and choose an item: its rank, how far it is from the list, and "
            "which history items hold it down."
        )
        return
    title = text.brief(title_of(items, item))
    answer = fetch.result(
        WhyNot(case.fit, case.person, item, view().k),
        f"Why not {title}, for {person_label(*view().person)}",
        "whynot",
    )
    if answer is not None:
        _draw(answer)


def _draw(answer: Mapping[str, Any]) -> None:
    title = text.md(text.brief(text.named(answer["title"], answer["year"])))
    rank, total, k = f"{answer['rank']:,}", f"{answer['n_candidates']:,}", answer["k"]
    if answer["rank"] <= k:
        words = f"**{title}** is in the list: rank **{rank}** of {total}."
    else:
        lack = text.number(answer["kth_score"] - answer["score"], 3)
        words = f"**{title}** has rank **{rank}** of {total}. It lacks **{lack}** in score to reach place {k}."
    st.markdown(words + (" It is the item that was really chosen next (★)." if answer.get("held_out") else ""))
    down = [row for row in answer["effects"] if row["effect"] > 0]
    enough = [row for row in down if row["rank_without"] <= k < answer["rank"]]
    st.caption(_hold_words(down, enough, k))
    st.plotly_chart(
        figures.effects(answer["effects"]),
        key=f"whynot_chart_{answer['item']}",
        config=CHART,
        alt="Change of the item's score when single history items are switched off.",
    )


def _hold_words(down: Sequence[Mapping[str, Any]], enough: Sequence[Mapping[str, Any]], k: int) -> str:
    if not down:
        return "No single history item holds it down: switching any one off lowers its score or leaves it."
    first = f"What holds it down most: {text.md(text.brief(down[0]['title']))}."
    if enough:
        return f"{first} Switching off {text.md(text.brief(enough[0]['title']))} alone would bring it into the top {k}."
    return f"{first} Switching off any single item is not enough to bring it into the top {k}."
