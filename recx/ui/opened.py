"""Opening a case: whose it is, what they are recommended, and which recommendation is explained; shared by pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from recx.core.errors import BadInput
from recx.figures import palette
from recx.recipes.fit import Fit
from recx.recipes.recommend import Recommend
from recx.recipes.tables import Card, Items, People, draw_user
from recx.ui import case, explainers, fetch, frame, pickers, state, text
from recx.ui.audience import audience
from recx.ui.search import Table, describe, row_of, title_of
from recx.ui.words import tell


@dataclass(frozen=True)
class Opened:
    """The model on its data, and the tables that every page of a case needs."""

    fit: Fit
    items: Table
    card: Mapping[str, Any]


def open_person() -> Opened | None:
    """Choose whose case it is. None when there is no person yet, or something is wrong: then the page says what."""
    now = state.view()
    try:
        fit = frame.fit_of(now.model, now.settings, now.seed)
    except BadInput as error:
        st.error(text.md(error), icon=":material/error:")
        return None
    with frame.chooser("person"):
        pickers.person(fit.data)
    items = fetch.result(Items(fit.data), f"Items of {now.dataset}", "items")
    card = fetch.result(Card(fit.data), f"Summary of {now.dataset}", "card") if items is not None else None
    if items is None or card is None:
        return None
    if wrong := unknown_ids(items):
        st.error(wrong, icon=":material/error:")
        return None
    if now.who == "item" and now.item:
        audience(fit)
    if not now.has_person:
        suggest(fit)
        return None
    return Opened(fit, items, card)


def open_case(opened: Opened) -> case.Case | None:
    """The recommendations of the person, and the one of them that is explained; None while they are computed."""
    now = state.view()
    user, titles = now.person
    head(opened.fit)
    found = fetch.result(
        Recommend(opened.fit, (case.person_of(user, titles),), now.k),
        f"Recommendations of {now.model} for {case.person_label(user, titles)}",
        "recommend",
    )
    if found is None:
        return None
    base = found[0]
    not_in_list(base, opened.items)
    target = now.target or (base["items"][0]["item"] if base["items"] else "")
    lanes = palette.genre_lanes(opened.card["genres"])
    return case.Case(opened.fit, case.person_of(user, titles), base, lanes, target, explainers.shown())


def unknown_ids(items: Table) -> str:
    """The sentence for an item of the view (a link, say) that the data set does not have."""
    now = state.view()
    known = set(items["item"])
    named = {
        "target": (now.target,),
        "off": now.off,
        "whynot": (now.whynot,),
        "item": (now.item,),
        "history": now.history,
    }
    for field, values in named.items():
        for value in values:
            if value and value not in known:
                where = f"({field}) in {text.md(now.dataset)}"
                return f"Unknown item {text.md(repr(value))} {where}: choose an item of this data set."
    return ""


def suggest(fit: Fit) -> None:
    """Nobody is chosen yet: say how, and offer one."""
    now = state.view()
    if now.who == "new":
        st.info("Choose titles on the left: recommendations appear with the first one.", icon=":material/playlist_add:")
    elif now.who == "item":
        if not now.item:
            st.info("Choose an item on the left to see who is shown it.", icon=":material/search:")
    else:
        people = fetch.result(People(fit.data), f"Users of {now.dataset}", "people")
        if people is not None:
            state.change(user=draw_user(people, now.trait, now.draw) or "")
            st.rerun()


def not_in_list(base: Mapping[str, Any], items: Table) -> None:
    """The link or a choice names a recommendation that is not in the list: say so."""
    now = state.view()
    if now.target and now.target not in {row["item"] for row in base["items"]}:
        title = text.md(text.brief(title_of(items, now.target)))
        st.warning(
            f"{title} is not in the top {now.k} of this person, so it cannot be explained: choose "
            f"a row of the list, or ask *Why not …?* on the page *Case study*.",
            icon=":material/info:",
        )


def head(fit: Fit) -> None:
    """Whose case this is, and what is known of the person."""
    now = state.view()
    model = text.md(frame.short(frame.forms().form_of("models", now.model)))
    label = text.md(text.brief(case.person_label(*now.person), 60))
    st.markdown(f"### {label} :gray[· {model} · {text.md(now.dataset)}]")
    people = fetch.peek(People(fit.data)) if now.person[0] else None
    row = row_of(people, "user", now.person[0]) if people else None
    if row:
        st.caption(text.md(describe(row)), help=tell("popularity"))


def choose_target(this: case.Case) -> None:
    """A menu of the recommendations; the chosen one is explained."""
    titles = {row["item"]: text.named(row["title"], row["year"]) for row in this.base["items"]}
    ranks = {row["item"]: row["rank"] for row in this.base["items"]}
    if not titles:
        st.info("Nothing is recommended to this person: choose another one.", icon=":material/info:")
        return
    key = f"choose_target_{state.view().dataset}"
    st.session_state[key] = this.target if this.target in titles else None
    st.selectbox(
        "Recommendation that is explained",
        list(titles),
        format_func=lambda item: f"{ranks[item]} · {text.brief(titles[item], 80)}",
        placeholder="choose one of the list",
        key=key,
        on_change=lambda: state.change(target=st.session_state[key] or ""),
        help=tell("rank"),
    )
