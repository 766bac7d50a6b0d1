"""Case study: one person, the recommendations, the reasons, and whether they are true."""

from __future__ import annotations

import streamlit as st

from recx.ui import cards, case, explainers, export, frame, state, text
from recx.ui.comparison import comparison
from recx.ui.copy import copy_link
from recx.ui.opened import Opened, open_case, open_person
from recx.ui.reasons import explanations
from recx.ui.recommended import recommendations
from recx.ui.whatif import history
from recx.ui.whynot import why_not
from recx.ui.words import tell


def main() -> None:
    """Choose, fetch, draw."""
    opened = open_person()
    this = open_case(opened) if opened else None
    if opened and this:
        study(opened, this)


def study(opened: Opened, this: case.Case) -> None:
    """All parts for one person."""
    actions(this)
    with st.container(key="history"):
        st.markdown(f"##### History · {text.plural(len(this.base['history']), 'item')}", help=tell("history"))
        st.html(cards.legend(this.lanes))
        strip = st.container(key="strip_box")
    left, right = st.columns(2, gap="medium")
    with left:
        recommendations(this)
    with strip:
        history(this, right)
    explanations(this)
    why_not(this, opened.items)
    comparison(this)
    state.write_link(frame.forms())


def actions(this: case.Case) -> None:
    """Copy link, download, which explainers."""
    with st.container(horizontal=True, key="actions", vertical_alignment="center"):
        copy_link()
        with st.popover("Download", icon=":material/download:"):
            export.buttons(this)
        explainers.choose()


frame.enter()
main()
