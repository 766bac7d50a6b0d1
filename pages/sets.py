"""Counterfactual sets: what a recommendation hangs on, how small such a set can be, and how good explainers find it."""

from __future__ import annotations

import streamlit as st

from recx.ui import explainers, field, found, frame, listed, scores, sets, state
from recx.ui.copy import copy_link
from recx.ui.opened import choose_target, open_case, open_person

LABELS = {
    "item": ":material/person_search: One recommendation",
    "list": ":material/format_list_numbered: Whole list",
    "many": ":material/scoreboard: Over many users",
    "field": ":material/straighten: More measures",
    "cases": ":material/travel_explore: Find cases",
}


def main() -> None:
    """One of the parts, and the link to it."""
    st.title("Counterfactual sets", anchor=False)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        state.control(
            st.segmented_control,
            "Part",
            tuple(LABELS),
            field="sets",
            format_func=LABELS.get,
            required=True,
            label_visibility="collapsed",
        )
        copy_link()
    match state.view().sets:
        case "many":
            scores.many()
        case "field":
            field.measures()
        case "cases":
            found.cases()
        case part:
            one_person(whole_list=part == "list")
    state.write_link(frame.forms())


def one_person(*, whole_list: bool) -> None:
    """One person: one of the recommendations, or all of them as one."""
    opened = open_person()
    this = open_case(opened) if opened else None
    if this is None:
        return
    with st.container(horizontal=True, vertical_alignment="bottom", key="actions"):
        if not whole_list:
            choose_target(this)
        explainers.choose()
    if whole_list:
        listed.whole(this)
    else:
        sets.one(this)


frame.enter()
main()
