"""Choosing whose case it is: a user of the data, somebody new, or one of those who are shown an item."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import streamlit as st

from recx.recipes.tables import Items, People, draw_user
from recx.ui import fetch, text
from recx.ui.search import MOST, Row, Table, find_items, find_users, title_of
from recx.ui.state import change, control, view
from recx.ui.view import TRAITS, WHO
from recx.ui.words import tell

WHO_LABELS = {"user": "User", "new": "New user", "item": "By item"}


def person(data: Any) -> None:
    """The part of the sidebar that chooses whose case this is."""
    control(
        st.segmented_control,
        "Whose case?",
        WHO,
        field="who",
        format_func=WHO_LABELS.get,
        required=True,
        width="stretch",
        help="A user of the data; somebody new who names some titles; or one of those who are shown an item.",
    )
    if view().who == "new":
        _panel(Items(data), _new_person, "items")
    elif view().who == "item":
        _panel(Items(data), _start_item, "items")
    else:
        _panel(People(data), _user, "people")


def _panel(recipe: Any, draw: Callable[[Table], None], key: str) -> None:
    fetch.panel(recipe, draw, key=f"pick_{key}", title=f"List of {key}: {view().dataset}", parallel=False)


# -- a user of the data


def _user(people: Table) -> None:
    now = view()
    _by_id(people)
    counts = Counter(trait for own in people["traits"] for trait in own.split(", "))
    counts["any"] = len(people["user"])
    control(
        st.selectbox,
        "or draw one",
        TRAITS,
        field="trait",
        help="  \n".join(f"**{t}**: {tell(t)}" for t in TRAITS[1:]),
        format_func=lambda trait: f"{trait} ({counts[trait]:,})",
    )
    key = f"draw_seed_{now.draw}"
    st.number_input(
        "Draw number",
        0,
        10**6,
        min(now.draw, 10**6),
        key=key,
        on_change=lambda: _draw(people, int(st.session_state[key])),
        help="The number that decides who is drawn: the same number draws the same user.",
    )
    st.button(
        "Draw the next one",
        on_click=lambda: _draw(people, view().draw + 1),
        key="draw_user",
        icon=":material/casino:",
        width="stretch",
    )
    _rerun_if_changed(now)


def _by_id(people: Table) -> None:
    words = st.text_input(
        "User id", placeholder=f"one of {len(people['user']):,}", key="find_user", help=tell("user"), live=True
    )
    if not words:
        return
    found = find_users(people, words)
    if not found:
        st.caption(f"No user id begins with {text.md(words)}.")
    for row in found:
        st.button(
            f"**{text.md(text.brief(row['user'], 40))}** · {text.plural(row['events'], 'event')}",
            key=f"pick_user_{row['user']}",
            on_click=change,
            kwargs={"user": row["user"]},
            type="primary" if row["user"] == view().user else "secondary",
            width="stretch",
        )
    if len(found) == MOST:
        st.caption(f"The first {MOST}; type more of the id.")


def _draw(people: Table, seed: int) -> None:
    change(user=draw_user(people, view().trait, seed) or view().user, draw=seed)


# -- somebody new


def _new_person(items: Table) -> None:
    now = view()
    words = st.text_input(
        "Titles you know",
        placeholder="type part of a title",
        key="find_titles",
        live=True,
        help="Type a title and choose it; five are a good start. The order is the order of choosing.",
    )
    _matches(find_items(items, words, without=now.history), words, _add)
    few = "; five are a good start." if len(now.history) < 5 else "."
    st.caption(f"{text.plural(len(now.history), 'title')} chosen, oldest first{few}")
    for item in dict.fromkeys(now.history):  # a link may name one twice
        st.button(
            text.md(text.brief(title_of(items, item), 60)),
            key=f"drop_{item}",
            icon=":material/close:",
            on_click=_drop,
            args=(item,),
            type="tertiary",
            help="Take this title out again.",
            wrap=True,
        )
    _rerun_if_changed(now)


def _add(item: str) -> None:
    """Choose a title; a second click on the same changes nothing."""
    history = view().history
    change(history=history if item in history else (*history, item))


def _drop(item: str) -> None:
    change(history=tuple(one for one in view().history if one != item))


# -- by item


def _start_item(items: Table) -> None:
    now = view()
    words = st.text_input("Item", placeholder="type part of a title", key="find_item", live=True)
    _matches(find_items(items, words), words, lambda item: change(item=item, user=""))
    if now.item:
        st.caption(f"Chosen: {text.md(text.brief(title_of(items, now.item), 60))}")
    _rerun_if_changed(now)


def _matches(found: list[Row], words: str, choose: Callable[[str], None]) -> None:
    """Buttons for the items found."""
    if words.strip() and not found:
        st.caption(f"No title holds {text.md(text.brief(words, 40))}.")
    for row in found:
        label = text.md(text.brief(text.named(row["title"], row["year"]), 60))
        st.button(
            f"{label} :gray[· {text.plural(row['popularity'], 'event')}]",
            key=f"match_{row['item']}",
            on_click=choose,
            args=(row["item"],),
            width="stretch",
            wrap=True,
        )
    if len(found) == MOST:
        st.caption(f"The {MOST} most popular matches; type more to narrow.")


def _rerun_if_changed(before: Any) -> None:
    """A choice in the sidebar changes the whole page."""
    if st.session_state.get("picked_for", before) != before:
        st.session_state["picked_for"] = before
        st.rerun()
    st.session_state["picked_for"] = before
