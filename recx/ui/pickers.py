"""Choosing a person or an item among many: the search runs here on the server, the browser gets a few matches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from recx.recipes.recommend import Audience
from recx.recipes.tables import Items, People
from recx.ui import fetch, text
from recx.ui.state import change, control, view
from recx.ui.view import TRAITS, WHO
from recx.ui.words import tell

MOST = 8
"""Matches shown at a time."""
WHO_LABELS = {"user": "User", "new": "New user", "item": "By item"}


def find_users(people: pd.DataFrame, words: str, most: int = MOST) -> pd.DataFrame:
    """Users whose id begins with what was typed, the exact id first."""
    ids = people["user"]
    found = people[ids.str.casefold().str.startswith(words.strip().casefold())]
    order = found["user"].str.len().argsort(kind="stable")
    return found.iloc[order].head(most)


def with_trait(people: pd.DataFrame, trait: str) -> pd.DataFrame:
    """Users with a trait; all for `any`."""
    if trait == "any":
        return people
    return people[people["traits"].str.split(", ").map(lambda own: trait in own)]


def draw_user(people: pd.DataFrame, trait: str, seed: int) -> str | None:
    """A random user with a trait: the same seed draws the same user."""
    among = with_trait(people, trait)["user"].to_numpy()
    return str(among[np.random.default_rng(seed).integers(len(among))]) if len(among) else None


def find_items(items: pd.DataFrame, words: str, most: int = MOST, without: tuple[str, ...] = ()) -> pd.DataFrame:
    """Items whose title holds every typed word; popular ones first. An exact id counts too."""
    parts = words.casefold().split()
    if not parts:
        return items.head(0)
    titles = items["title"].str.casefold()
    hit = np.logical_and.reduce([titles.str.contains(part, regex=False) for part in parts]) | (
        items["item"] == words.strip()
    )
    found = items[hit & ~items["item"].isin(without)]
    return found.sort_values("popularity", ascending=False, kind="stable").head(most)


def describe(row: pd.Series) -> str:
    """A user in one line: events, how popular their items are, traits, attributes."""
    more = [
        f"{name} {row[name]}"
        for name in row.index
        if name not in ("user", "events", "popularity", "traits") and row[name] not in ("", "nan", "<NA>", "None")
    ]
    parts = [text.plural(int(row["events"]), "event"), f"mean popularity {row['popularity']:.2f}", row["traits"], *more]
    return " · ".join(part for part in parts if part)


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


def _panel(recipe: Any, draw: Callable[[pd.DataFrame], None], key: str) -> None:
    fetch.panel(recipe, draw, key=f"pick_{key}", title=f"List of {key}: {view().dataset}", parallel=False)


def _user(people: pd.DataFrame) -> None:
    now = view()
    words = st.text_input(
        "User id", placeholder=f"one of {len(people):,}", key="find_user", help=tell("user"), live=True
    )
    if words:
        found = find_users(people, words)
        if found.empty:
            st.caption(f"No user id begins with {text.md(words)}.")
        for _, row in found.iterrows():
            _choose(
                f"**{text.md(row['user'])}** · {row['events']:,} events", "user", row["user"], row["user"] == now.user
            )
        if len(found) == MOST:
            st.caption(f"The first {MOST}; type more of the id.")
    control(
        st.selectbox,
        "or draw one",
        TRAITS,
        field="trait",
        help="  \n".join(f"**{t}**: {tell(t)}" for t in TRAITS[1:]),
        format_func=_trait_label(people),
    )
    st.number_input(
        "Draw number",
        0,
        10**6,
        now.draw,
        key=f"draw_seed_{now.draw}",
        on_change=_draw_with,
        args=(people, f"draw_seed_{now.draw}"),
        help="The number that decides who is drawn: the same number draws the same user.",
    )
    st.button(
        "Draw the next one", on_click=_draw, args=(people,), key="draw_user", icon=":material/casino:", width="stretch"
    )
    _rerun_if_changed(now)


def _trait_label(people: pd.DataFrame) -> Callable[[str], str]:
    return lambda trait: f"{trait} ({len(with_trait(people, trait)):,})"


def _draw(people: pd.DataFrame) -> None:
    now = view()
    seed = now.draw + 1
    change(user=draw_user(people, now.trait, seed) or now.user, draw=seed)


def _draw_with(people: pd.DataFrame, key: str) -> None:
    seed = int(st.session_state[key])
    change(user=draw_user(people, view().trait, seed) or view().user, draw=seed)


def _new_person(items: pd.DataFrame) -> None:
    now = view()
    words = st.text_input(
        "Titles you know",
        placeholder="type part of a title",
        key="find_titles",
        live=True,
        help="Type a title and choose it; five are a good start. The order is the order of choosing.",
    )
    _matches(find_items(items, words, without=now.history), words, lambda item: change(history=(*view().history, item)))
    titles = items.set_index("item")
    st.caption(
        f"{text.plural(len(now.history), 'title')} chosen, oldest first"
        + ("; five are a good start." if len(now.history) < 5 else ".")
    )
    for item in now.history:
        label = text.named(titles["title"].get(item, item), None)
        st.button(
            text.md(label),
            key=f"drop_{item}",
            icon=":material/close:",
            on_click=_drop,
            args=(item,),
            type="tertiary",
            help="Take this title out again.",
            wrap=True,
        )
    _rerun_if_changed(now)


def _drop(item: str) -> None:
    change(history=tuple(one for one in view().history if one != item))


def _start_item(items: pd.DataFrame) -> None:
    now = view()
    words = st.text_input("Item", placeholder="type part of a title", key="find_item", live=True)
    _matches(find_items(items, words), words, lambda item: change(item=item, user=""))
    _rerun_if_changed(now)


def _matches(found: pd.DataFrame, words: str, choose: Callable[[str], None]) -> None:
    """Buttons for the items found."""
    if words and found.empty:
        st.caption(f"No title holds {text.md(words)}.")
    for _, row in found.iterrows():
        label = text.md(text.named(row["title"], row["year"]))
        st.button(
            f"{label} :gray[· {row['popularity']:,} events]",
            key=f"match_{row['item']}",
            on_click=choose,
            args=(row["item"],),
            width="stretch",
            wrap=True,
        )
    if len(found) == MOST:
        st.caption(f"The {MOST} most popular matches; type more to narrow.")


def _choose(label: str, field: str, value: str, chosen: bool) -> None:
    st.button(
        label,
        key=f"pick_{field}_{value}",
        on_click=change,
        kwargs={field: value},
        type="primary" if chosen else "secondary",
        width="stretch",
    )


def _rerun_if_changed(before: Any) -> None:
    """A choice in the sidebar changes the whole page."""
    if st.session_state.get("picked_for", before) != before:
        st.session_state["picked_for"] = before
        st.rerun()
    st.session_state["picked_for"] = before


def audience(fit: Any) -> None:
    """Who is shown the item: choose one of them as the case."""
    now = view()

    def draw(answer: dict[str, Any]) -> None:
        title = text.md(text.named(answer["title"], answer["year"]))
        st.markdown(
            f"**{title}** is in the top {answer['k']} of **{answer['shown_to']:,}** of {answer['n_users']:,} users."
        )
        if not answer["users"]:
            st.info(
                "Nobody is shown this item. Take a longer list, or open a case and ask *Why not …?*",
                icon=":material/info:",
            )
            return
        users = {row["user"]: row for row in answer["users"]}
        first = (
            f"Choose one of the {len(users)} with the best place" if answer["shown_to"] > len(users) else "Choose one"
        )
        chosen = st.pills(
            first,
            list(users),
            default=now.user if now.user in users else None,
            key=f"audience_{answer['item']}_{now.user}",
            format_func=lambda user: f"{text.md(user)} :gray[rank {users[user]['rank']}]",
            help="User id, and the item's rank for this user.",
        )
        if chosen and chosen != now.user:
            change(user=chosen, target=answer["item"])
            st.rerun()

    fetch.panel(Audience(fit, now.item, now.k), draw, key="audience", title=f"Who is shown {now.item}?")
