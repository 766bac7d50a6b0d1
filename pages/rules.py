"""Rules: what goes together, what a model of the recommender holds for a cause, and which of it survives the check."""

from __future__ import annotations

import streamlit as st

from recx.ui import frame, rule_cases, rule_scores, rules, rules_of_data, state
from recx.ui.copy import copy_link
from recx.ui.opened import choose_target, open_case, open_person

LABELS = {
    "item": ":material/person_search: One recommendation",
    "data": ":material/hub: Whole data set",
    "many": ":material/scoreboard: Over many users",
    "cases": ":material/compare_arrows: Two causes",
}


def main() -> None:
    """One of the parts, and the link to it."""
    st.title("Rules", anchor=False)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        state.control(
            st.segmented_control,
            "Part",
            tuple(LABELS),
            field="rules",
            format_func=LABELS.get,
            required=True,
            label_visibility="collapsed",
        )
        copy_link()
    match state.view().rules:
        case "data":
            rules_of_data.whole()
        case "many":
            rule_scores.many()
        case "cases":
            rule_cases.cases()
        case _:
            one()
    state.write_link(frame.forms())


def one() -> None:
    """One person and one recommendation."""
    opened = open_person()
    this = open_case(opened) if opened else None
    if this is not None:
        choose_target(this)
        rules.one(this)


frame.enter()
main()
