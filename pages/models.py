"""Models: train one, see how all of them do, and where two of them differ."""

from __future__ import annotations

import streamlit as st

from recx.ui import frame, state
from recx.ui.board import leaderboard
from recx.ui.copy import copy_link
from recx.ui.sidebyside import compare
from recx.ui.training import train
from recx.ui.view import PARTS

LABELS = {
    "train": ":material/model_training: Train",
    "leaderboard": ":material/leaderboard: Leaderboard",
    "compare": ":material/compare: Two models",
}


def main() -> None:
    """One of the three parts, and the link to it."""
    st.title("Models", anchor=False)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        state.control(
            st.segmented_control,
            "Part",
            PARTS,
            field="part",
            format_func=LABELS.get,
            required=True,
            label_visibility="collapsed",
        )
        copy_link()
    match state.view().part:
        case "leaderboard":
            leaderboard()
        case "compare":
            compare()
        case _:
            train()
    state.write_link(frame.forms())


frame.enter()
main()
