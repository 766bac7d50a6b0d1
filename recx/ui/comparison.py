"""The pinned case beside this one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from recx.core.errors import BadInput
from recx.figures import compare as figures
from recx.figures import palette
from recx.recipes.recommend import Recommend
from recx.ui import fetch, text
from recx.ui.case import CHART, Case, person_label, person_of
from recx.ui.frame import fit_of
from recx.ui.state import change, view
from recx.ui.view import Pin


def comparison(case: Case) -> None:
    """The pinned case beside this one, or how to pin one."""
    pin, here = view().pin, _here()
    st.subheader(
        "Compare",
        help="Pin this case, then choose another user or model: both lists stand side by side.",
        anchor="compare",
    )
    with st.container(horizontal=True, vertical_alignment="center", key="pins"):
        label = "Pin this case instead" if pin else "Pin this case"
        st.button(label, on_click=_pin, key="pin_case", icon=":material/keep:", disabled=pin == here)
        if pin:
            st.button("Unpin", on_click=_unpin, key="unpin", icon=":material/keep_off:", type="tertiary")
        st.caption(_pin_words(pin, here))
    if pin is None or pin == here:
        return
    try:
        fit = fit_of(pin.model, pin.settings, pin.seed)
    except BadInput as error:
        st.error(text.md(error), icon=":material/error:")
        return
    fetch.panel(
        Recommend(fit, (person_of(pin.user, pin.history),), view().k),
        lambda found: _compared(pin, here, found[0], case.base),
        key="compare",
        title="Pinned case",
    )


def _pin_words(pin: Pin | None, here: Pin) -> str:
    if pin is None:
        return "Nothing is pinned. Pin this case, then choose another user or another model to see both side by side."
    return "This very case is pinned. Choose another user or another model." if pin == here else ""


def _here() -> Pin:
    now = view()
    return Pin(now.model, now.settings, now.seed, *now.person)


def _pin() -> None:
    change(pin=_here())


def _unpin() -> None:
    change(pin=None)


def _compared(pin: Pin, here: Pin, left: Mapping[str, Any], right: Mapping[str, Any]) -> None:
    titles = [f"{person_label(one.user, one.history)} · {one.model}" for one in (pin, here)]
    both = {row["item"] for row in left["items"]} & {row["item"] for row in right["items"]}
    watched = {row["item"] for row in left["history"]} & {row["item"] for row in right["history"]}
    st.markdown(
        f"**{len(both)}** of {len(right['items'])} recommendations in common · history "
        f"{len(left['history']):,} and {len(right['history']):,} items, {len(watched):,} in common"
    )
    colours = (palette.of_name(pin.model), palette.of_name(here.model))
    st.plotly_chart(
        figures.slope(left["items"], right["items"], (f"pinned: {titles[0]}", f"now: {titles[1]}"), colours),
        key="compare_chart",
        config=CHART,
        alt="Two ranked lists side by side; lines join items that both hold.",
    )
