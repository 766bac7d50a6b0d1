"""Case study: one person, the recommendations, the reasons, and whether they are true."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from recx.core.errors import BadInput
from recx.figures import palette
from recx.recipes.fit import Fit
from recx.recipes.recommend import Recommend
from recx.recipes.tables import Card, Items, People
from recx.ui import cards, case, export, fetch, frame, pickers, state, text
from recx.ui.copy import copy_link


def main() -> None:
    """Choose, fetch, draw."""
    now = state.view()
    try:
        fit = frame.fit_of(now.model, now.settings, now.seed)
    except BadInput as error:
        st.error(text.md(error), icon=":material/error:")
        return
    with frame.chooser("person"):
        pickers.person(fit.data)
    items = fetch.result(Items(fit.data), f"Items of {now.dataset}", "items")
    card = fetch.result(Card(fit.data), f"Summary of {now.dataset}", "card") if items is not None else None
    if card is None:
        return
    wrong = unknown_ids(items)
    if wrong:
        st.error(wrong, icon=":material/error:")
        return
    if now.who == "item" and now.item:
        pickers.audience(fit)
    if not now.has_person:
        suggest(fit)
        return
    study(fit, items, card)


def unknown_ids(items: pd.DataFrame) -> str:
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
            state.change(user=pickers.draw_user(people, now.trait, now.draw) or "")
            st.rerun()


def study(fit: Fit, items: pd.DataFrame, table: dict[str, Any]) -> None:
    """All parts for one person."""
    now = state.view()
    user, titles = now.person
    head(user, titles)
    found = fetch.result(
        Recommend(fit, (case.person_of(user, titles),), now.k),
        f"Recommendations of {now.model} for {case.person_label(user, titles)}",
        "recommend",
    )
    if found is None:
        return
    base = found[0]
    ids = [row["item"] for row in base["items"]]
    if now.target and now.target not in ids:
        title = items.set_index("item")["title"].get(now.target, now.target)
        st.warning(
            f"{text.md(title)} is not in the top {now.k} of this person, so it cannot be explained: choose "
            f"a row of the list, or ask *Why not …?*",
            icon=":material/info:",
        )
    target = now.target or (ids[0] if ids else "")
    explainers = now.explainers or tuple(frame.forms().names("explainers"))
    lanes = palette.genre_lanes(table["genres"])
    this = case.Case(fit, case.person_of(user, titles), base, lanes, target, explainers)
    actions(this)
    with st.container(key="history"):
        st.markdown(f"##### History · {text.plural(len(base['history']), 'item')}", help=case.tell("history"))
        st.html(cards.legend(lanes))
        strip = st.container(key="strip_box")
    left, right = st.columns(2, gap="medium")
    with left:
        case.recommendations(this)
    with strip:
        case.history(this, right)
    case.explanations(this)
    case.why_not(this, items)
    case.comparison(this)
    state.write_link(frame.forms())


def head(user: str, titles: tuple[str, ...]) -> None:
    """Whose case this is."""
    now = state.view()
    model = frame.forms().form_of("models", now.model)["title"].split(":")[0]
    st.markdown(f"### {text.md(case.person_label(user, titles))} :gray[· {text.md(model)} · {text.md(now.dataset)}]")


def actions(this: case.Case) -> None:
    """Copy link, download, which explainers."""
    with st.container(horizontal=True, key="actions", vertical_alignment="center"):
        copy_link()
        with st.popover("Download", icon=":material/download:"):
            export.buttons(this)
        names = frame.forms().names("explainers")
        with st.popover("Explainers", icon=":material/checklist:"):
            chosen = st.pills(
                "Shown side by side",
                names,
                selection_mode="multi",
                default=list(this.explainers),
                key=f"explainers_{this.explainers}",
            )
            if chosen and tuple(chosen) != this.explainers:
                state.change(explainers=tuple(name for name in names if name in chosen))
                st.rerun()


frame.enter()
main()
