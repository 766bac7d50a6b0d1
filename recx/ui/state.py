"""The view of a browser session, the widgets that show and change it, and the link that carries it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import streamlit as st

from recx.core.errors import BadInput
from recx.data._files import source_names
from recx.ui.view import Query, View, from_query, to_query

STALE_SECONDS = 3.0
"""An address that we replaced this recently is a late message of the browser, not somebody's link."""


def view() -> View:
    """What the session shows now."""
    if "view" not in st.session_state:
        st.session_state["view"] = View()
    return st.session_state["view"]


def change(**values: Any) -> None:
    """Choose: only the fields named change, and what they make meaningless."""
    st.session_state["view"] = view().changed(**values)


def control(widget: Callable[..., Any], label: str, *args: Any, field: str, **more: Any) -> Any:
    """A widget that shows a field of the view and changes it; it keeps its value across pages."""
    key = f"choose_{field}"
    st.session_state[key] = getattr(view(), field)
    return widget(label, *args, key=key, on_change=_take, args=(field,), **more)


def _take(field: str) -> None:
    change(**{field: st.session_state[f"choose_{field}"]})


# -- the link


def read_link(catalogue: Any) -> str | None:
    """Apply the address when it is new; what is wrong with it in a sentence, else None. Wrong links change nothing."""
    query = address()
    known = st.session_state.setdefault("addresses", {})
    now = time.monotonic()
    current = st.session_state.get("address")
    if not query or query == current or now - known.get(_text(query), -STALE_SECONDS) < STALE_SECONDS:
        return st.session_state.get("link_error")
    st.session_state["address"] = query
    try:
        st.session_state["view"] = from_query(query, catalogue, source_names())
        st.session_state["link_error"] = None
    except BadInput as error:
        st.session_state["link_error"] = str(error)
    return st.session_state["link_error"]


def write_link(catalogue: Any) -> None:
    """Make the address name every parameter of the view."""
    query = to_query(view(), catalogue)
    if query == st.session_state.get("address") and query == address():
        return
    known = st.session_state.setdefault("addresses", {})
    known[_text(st.session_state.get("address") or {})] = time.monotonic()
    while len(known) > 20:
        del known[next(iter(known))]
    st.session_state["address"] = query
    st.query_params.from_dict(query)


def forget_link() -> None:
    """Leave a link that could not be opened: the view is the one from before."""
    st.session_state["link_error"] = None
    st.session_state["address"] = None
    st.query_params.clear()


def address() -> Query:
    """The parameters of the address as the browser last sent them."""
    return {name: st.query_params.get_all(name) for name in st.query_params}


def _text(query: Query) -> str:
    return repr(sorted(query.items()))
