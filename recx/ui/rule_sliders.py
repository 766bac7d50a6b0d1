"""The thresholds of rules as sliders: settings of the explainers, which a form has too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from recx.core.errors import BadInput
from recx.core.recipe import clean
from recx.ui import explainers, frame, settings, state, text

ASSOCIATION, CAUSAL = "association", "causal-rules"
STOPS: dict[str, tuple[float, ...]] = {
    "min_support": (0.0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5),
    "min_confidence": (0.0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9),
    "min_lift": (0.0, 1.0, 1.2, 1.5, 2.0, 3.0, 5.0),
    "m": (50, 100, 200, 500, 1000, 2000),
    "gamma": (0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
    "rank_limit": (1, 2, 3, 5, 10),
    "variance": (0.0, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0),
    "window": (3, 5, 10, 20),
}
"""Stops of the sliders, for the fields that an explainer has; its other fields stand under Settings."""


def sliders(owners: Sequence[str]) -> None:
    """The thresholds of kinds of rule; they are settings of the explainers, so they stand in the link."""
    known = frame.forms()
    with st.container(border=True, key="rule_sliders"):
        for name in owners:
            form = known.form_of("explainers", name)
            rows = [row for row in form["parameters"] if row["name"] in STOPS]
            if rows:
                st.markdown(f"**{text.md(explainers.short(name))}**")
                grid = st.grid(len(rows), min_column_width=150)
                for row in rows:
                    with grid.cell():
                        _slider(form, row)


def _slider(form: Mapping[str, Any], row: Mapping[str, Any]) -> None:
    owner, field = form["name"], row["name"]
    now = dict(state.view().settings_of(owner)).get(field, row["default"])
    key = f"rule_{owner}_{field}"
    st.session_state[key] = now
    st.select_slider(
        text.md(settings.spoken(field)),
        stops(row, now),
        key=key,
        help=f"{text.md(row['text'])}.",
        on_change=lambda: set_field(form, field, st.session_state[key]),
    )


def stops(row: Mapping[str, Any], now: float) -> list[float]:
    """The stops of a slider inside the field's range; the default and the value now are always among them."""
    low, high = row.get("low"), row.get("high")
    inside = [one for one in STOPS[row["name"]] if (low is None or one >= low) and (high is None or one <= high)]
    kind = int if row["type"] == "int" else float
    return sorted({kind(one) for one in (*inside, row["default"], now)})


def set_field(form: Mapping[str, Any], field: str, value: Any) -> None:
    """Change one setting of an explainer, as its form would."""
    owner = form["name"]
    given = dict(state.view().settings_of(owner)) | {field: value}
    words = {name: str(one) for name, one in given.items()}
    try:
        pairs = clean(owner, form["parameters"], words)
    except BadInput as error:
        st.toast(text.md(error), icon=":material/error:")
        return
    state.change(explainer_settings=state.view().with_settings(owner, pairs))
