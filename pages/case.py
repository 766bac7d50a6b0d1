"""Case study: one person, the recommendations, the reasons, and whether they are true."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from recx.core.errors import BadInput
from recx.figures import palette
from recx.recipes.fit import Fit
from recx.recipes.recommend import Recommend
from recx.recipes.tables import Card, Items, People, draw_user
from recx.ui import cards, case, export, fetch, frame, pickers, state, text
from recx.ui.audience import audience
from recx.ui.comparison import comparison
from recx.ui.copy import copy_link
from recx.ui.reasons import explanations
from recx.ui.recommended import recommendations
from recx.ui.search import Table, describe, row_of, title_of
from recx.ui.whatif import history
from recx.ui.whynot import why_not
from recx.ui.words import tell


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
    if items is None or card is None:
        return
    wrong = unknown_ids(items)
    if wrong:
        st.error(wrong, icon=":material/error:")
        return
    if now.who == "item" and now.item:
        audience(fit)
    if not now.has_person:
        suggest(fit)
        return
    study(fit, items, card)


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


def study(fit: Fit, items: Table, table: dict[str, Any]) -> None:
    """All parts for one person."""
    now = state.view()
    user, titles = now.person
    head(fit)
    found = fetch.result(
        Recommend(fit, (case.person_of(user, titles),), now.k),
        f"Recommendations of {now.model} for {case.person_label(user, titles)}",
        "recommend",
    )
    if found is None:
        return
    base = found[0]
    not_in_list(base, items)
    target = now.target or (base["items"][0]["item"] if base["items"] else "")
    explainers = now.explainers or tuple(frame.forms().names("explainers"))
    lanes = palette.genre_lanes(table["genres"])
    this = case.Case(fit, case.person_of(user, titles), base, lanes, target, explainers)
    actions(this)
    with st.container(key="history"):
        st.markdown(f"##### History · {text.plural(len(base['history']), 'item')}", help=tell("history"))
        st.html(cards.legend(lanes))
        strip = st.container(key="strip_box")
    left, right = st.columns(2, gap="medium")
    with left:
        recommendations(this)
    with strip:
        history(this, right)
    explanations(this)
    why_not(this, items)
    comparison(this)
    state.write_link(frame.forms())


def not_in_list(base: Mapping[str, Any], items: Table) -> None:
    """The link or a choice names a recommendation that is not in the list: say so."""
    now = state.view()
    if now.target and now.target not in {row["item"] for row in base["items"]}:
        title = text.md(text.brief(title_of(items, now.target)))
        st.warning(
            f"{title} is not in the top {now.k} of this person, so it cannot be explained: choose "
            f"a row of the list, or ask *Why not …?*",
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
                format_func=lambda name: frame.short(frame.forms().form_of("explainers", name)),
            )
            if chosen and tuple(chosen) != this.explainers:
                state.change(explainers=tuple(name for name in names if name in chosen))
                st.rerun()


frame.enter()
main()
