"""The history as a timeline, the strip that switches its items off, and the list that follows."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from recx.figures import history as figures
from recx.figures import palette
from recx.recipes.recommend import Recommend
from recx.ui import fetch, list_cards, text
from recx.ui.case import CHART, Case, edited_history, explained, person_label, person_of
from recx.ui.frame import forms
from recx.ui.state import change, view, write_link
from recx.ui.words import tell

STRIP = 24
"""History items shown as switches before somebody asks for more."""
Rows = Sequence[Mapping[str, Any]]


def history(case: Case, right: Any) -> None:
    """The timeline, and the strip that switches items off; the list that follows is drawn into `right`."""
    rows = case.base["history"]

    @st.fragment
    def strip() -> None:
        off = view().off
        named = {item for row in explained(case) for item in row["items"]}
        st.session_state["named_shown"] = named
        _timeline(rows, case.lanes, off, named)
        _switches(rows, case.lanes, named)
        with right:
            _after(case)
        write_link(forms())

    strip()


# -- the timeline


def _timeline(rows: Rows, lanes: Mapping[str, str], off: tuple[str, ...], named: set[str]) -> None:
    clicks = st.session_state.get("timeline_clicks", 0)
    key = f"timeline_{clicks}_{view().dataset}_{view().model}_{zlib.crc32(repr(view().person).encode()):08x}"
    st.plotly_chart(
        figures.timeline(rows, lanes, off=off, named=named),
        key=key,
        on_select=lambda: _clicked(key),
        selection_mode="points",
        config=CHART,
        alt=f"Timeline of {len(rows)} history items by genre, oldest left.",
    )


def _clicked(key: str) -> None:
    """A mark was clicked: switch its item. The chart of the new state is another widget, with nothing selected."""
    points = st.session_state[key]["selection"]["points"]
    picked = [_item_of(point) for point in points if point.get("customdata")]
    if picked:
        st.session_state["timeline_clicks"] = st.session_state.get("timeline_clicks", 0) + 1
        toggle(picked[0])


def _item_of(point: Mapping[str, Any]) -> str:
    own = point["customdata"]
    return str(own[0] if isinstance(own, (list, tuple)) else own)


def toggle(item: str) -> None:
    """Switch a history item off, or on again."""
    off = view().off
    switch(tuple(one for one in off if one != item) if item in off else (*off, item))


def switch(off: tuple[str, ...]) -> None:
    """Switch exactly these items off, from outside the strip.

    The strip then becomes a new widget: a late message of the browser about the old one must not undo this.
    """
    st.session_state["off_elsewhere"] = st.session_state.get("off_elsewhere", 0) + 1
    change(off=off)


# -- the strip


def _switches(rows: Rows, lanes: Mapping[str, str], named: set[str]) -> None:
    """Pills for history items: lit is in the history, unlit is switched off."""
    off = view().off
    every = st.session_state.get("strip_all", False) or len(rows) <= STRIP
    recent = {row["item"] for row in rows[-STRIP:]}
    shown = [row for row in rows if every or row["item"] in recent or row["item"] in named or row["item"] in off]
    titles = {row["item"]: row for row in shown}
    _strip_head(len(rows), len(shown), len(off))
    key = f"strip_{zlib.crc32(repr((list(titles), st.session_state.get('off_elsewhere', 0))).encode()):08x}"
    st.session_state[key] = [item for item in titles if item not in off]
    with st.container(key="strip"):
        st.pills(
            "History items (lit = kept)",
            list(titles),
            selection_mode="multi",
            key=key,
            on_change=_take_strip,
            args=(key, list(titles)),
            format_func=lambda item: _pill(titles[item], lanes),
            label_visibility="collapsed",
        )


def _strip_head(n: int, shown: int, off: int) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key="strip_head"):
        st.markdown(f"**What if?** :gray[{_strip_words(n, shown, off)}]", help=tell("what-if"))
        st.button(
            "Switch all on",
            on_click=switch,
            args=((),),
            disabled=not off,
            key="all_on",
            icon=":material/undo:",
            type="tertiary",
        )
        if n > STRIP:
            st.toggle(f"Show all {n:,}", key="strip_all")


def _strip_words(n: int, shown: int, off: int) -> str:
    state = (
        f"{text.plural(off, 'item')} switched off"
        if off
        else "Switch history items off and on; the list on the right follows"
    )
    return state + (f" · showing {shown:,} of {n:,}" if shown < n else "")


def _pill(row: Mapping[str, Any], lanes: Mapping[str, str]) -> str:
    """The label of a switch; it must not depend on what is chosen, because the browser answers with labels."""
    title = text.md(text.brief(text.named(row["title"], row["year"]), 60))
    return f":{palette.colour_name(row['genres'], lanes)}[●] {title}"


def _take_strip(key: str, shown: list[str]) -> None:
    kept = set(st.session_state[key])
    hidden = [item for item in view().off if item not in shown]
    change(off=(*hidden, *(item for item in shown if item not in kept)))


# -- the list that follows


def _after(case: Case) -> None:
    """The list without the items that are switched off, with movement marks."""
    off, items = view().off, case.base["items"]
    count = f" · {text.plural(len(off), 'item')} off" if off else ""
    st.markdown(f"##### What if{count}", help=tell("what-if"))
    if not off:
        st.caption("Nothing is switched off. ▲ ▼ will show what moves, *new* what enters, *out* what leaves the list.")
        st.html(list_cards.whatif_list(items, items, case.target))
        return
    rest = len(case.base["history"]) - len(off)
    st.caption(
        f"Asked again with {text.plural(rest, 'item')} left; ▲ ▼ places moved, *new* entered, *out* left the list."
        if rest
        else "Asked again with an empty history: what the model gives somebody it knows nothing of."
    )
    user, titles = view().person
    found = fetch.result(
        Recommend(case.fit, (person_of(user, titles, off),), view().k),
        f"What if, for {person_label(user, titles)}",
        "whatif",
    )
    if found is None:
        return
    st.html(list_cards.whatif_list(items, found[0]["items"], case.target))
    if [(row["item"], row["score"]) for row in found[0]["items"]] == [(row["item"], row["score"]) for row in items]:
        st.caption(f"Nothing moved. {text.md(edited_history(case))}")
