"""Which explainers are shown side by side: a few unless others are chosen, in groups, each with a sentence."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from recx.ui import frame, state, text
from recx.ui.view import shown_explainers

GROUPS = {
    "Counterfactual sets": "minimal lcer kaffes accent fia prince",
    "What each item counts": "leave-one-out shap lime integrated-gradients lxr attention knn",
    "Rules": "causal-rules association",
    "Controls": "random",
}
"""Headings of the menu -> the explainers under them, the plainest first; all others stand last, under `More`."""


def shown() -> tuple[str, ...]:
    """The explainers of the view."""
    return shown_explainers(state.view(), frame.forms())


def short(name: str) -> str:
    """What an explainer is called; its name where none is called so. Not escaped."""
    known = frame.forms()
    return frame.short(known.form_of("explainers", name)) if name in known.names("explainers") else name


def about(name: str) -> str:
    """What an explainer does, in a sentence. Not escaped."""
    title = str(frame.forms().form_of("explainers", name)["title"])
    words = title.partition(":")[2].strip().rstrip(".") or title
    return f"{words[:1].upper()}{words[1:]}."


def grouped(names: Sequence[str]) -> dict[str, list[str]]:
    """The names under their headings, in the menu's order; headings without a name are left out."""
    order = {name: heading for heading, own in GROUPS.items() for name in own.split()}
    found: dict[str, list[str]] = {heading: [] for heading in (*GROUPS, "More")}
    for name in [*(name for name in order if name in names), *(name for name in names if name not in order)]:
        found[order.get(name, "More")].append(name)
    return {heading: own for heading, own in found.items() if own}


def choose() -> None:
    """The menu of explainers, drawn once it is opened."""
    now = shown()
    with st.popover(
        f"Explainers ({len(now)})", icon=":material/checklist:", key="explainers", on_change="rerun"
    ) as place:
        if place.open:
            _menu(now)


def _menu(now: tuple[str, ...]) -> None:
    groups = grouped(frame.forms().names("explainers"))
    chosen: list[str] = []
    for heading, names in groups.items():
        chosen += st.pills(
            heading,
            names,
            selection_mode="multi",
            default=[name for name in names if name in now],
            key=f"explainers_{heading}_{now}",
            format_func=lambda name: text.md(short(name)),
            help="  \n".join(f"**{text.md(short(name))}**: {text.md(about(name))}" for name in names),
        )
    st.caption("The chosen ones stand side by side, here and on the other pages of a case.")
    if chosen and set(chosen) != set(now):
        state.change(explainers=tuple(chosen))
        st.rerun()
