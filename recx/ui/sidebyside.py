"""Two models side by side: their lists for one person with the differences marked, and their agreement over users."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from recx.core.errors import BadInput
from recx.figures import compare as figures
from recx.recipes.compare import Agreement, SideBySide
from recx.recipes.fit import Fit
from recx.recipes.tables import People, draw_user
from recx.ui import fetch, frame, list_cards, models, pickers, settings, text
from recx.ui.case import CHART, person_label, person_of
from recx.ui.state import change, view
from recx.ui.words import tell

USERS = 1000
"""Users over whom two models are compared; their intervals are then a few hundredths wide."""


def compare() -> None:
    """Choose a second model; both lists for one person, then both over many users."""
    now = view()
    st.subheader("Two models side by side", anchor="compare")
    left, right = st.columns(2, gap="medium", vertical_alignment="bottom")
    with left:
        own = settings.changed_words(now.settings)
        words = f" :gray[{text.md(text.brief(own, 60))}]" if own else ""
        st.markdown(f"**A** · {text.md(named(now.model))}{words}", help="Chosen on the left, with its settings.")
    with right:
        _other()
    try:
        a = frame.fit_of(now.model, now.settings, now.seed)
        b = frame.fit_of(view().other, view().other_settings, now.seed)
    except BadInput as error:
        st.error(text.md(error), icon=":material/error:")
        return
    with frame.chooser("person"):
        pickers.person(a.data)
    if a == b:
        st.info("A and B are the same model with the same settings: choose another one.", icon=":material/info:")
        return
    if now.has_person:
        _person(a, b)
    else:
        _suggest(a)
    _many(a, b)


def _other() -> None:
    """The menu of the second model, and its settings."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        frame.model_menu("B", "other")
        own = view().other_settings
        label = text.md(text.brief(settings.changed_words(own), 30)) if own else "Settings"
        with st.popover(label, icon=":material/tune:", key=f"other_settings_{own}", on_change="rerun") as place:
            if place.open:
                settings.other_settings(frame.forms().form_of("models", view().other))


def named(name: str) -> str:
    """A model as menus call it. Not escaped."""
    return models.label(frame.forms(), name)


def _suggest(fit: Fit) -> None:
    if view().who == "user":
        people = fetch.result(People(fit.data), f"Users of {view().dataset}", "people")
        if people is not None:
            change(user=draw_user(people, view().trait, view().draw) or "")
            st.rerun()
    else:
        st.info("Choose a user, or somebody new by some titles, on the left.", icon=":material/person_search:")


# -- one person


def _person(a: Fit, b: Fit) -> None:
    person = person_of(*view().person)
    label = person_label(*view().person)
    fetch.panel(
        SideBySide(a, b, person, view().k),
        lambda found: _lists(label, found),
        key="side_by_side",
        title=f"{a.model.name} and {b.model.name} for {label}",
    )


def _lists(label: str, found: Mapping[str, Any]) -> None:
    k = view().k
    st.markdown(f"##### {text.md(text.brief(label, 60))}")
    same = round(found["overlap"] * len(found["left"]["items"]))
    st.markdown(
        f"**{same}** of {len(found['left']['items'])} in common (overlap@{k} **{found['overlap']:.2f}**) · "
        f"rank-biased overlap **{found['rbo']:.2f}**",
        help=f"{tell('overlap')} {tell('rank-biased overlap')}",
    )
    scores = st.toggle("Show scores", key="compare_scores", help=tell("score"))
    left, right = st.columns(2, gap="medium")
    with left:
        st.html(list_cards.side_list(found["left"]["items"], "A", "B", k, scores=scores))
    with right:
        st.html(list_cards.side_list(found["right"]["items"], "B", "A", k, scores=scores))
    st.caption(
        "▲ ▼: places higher or lower than in the other list. *only*: not in the other list, with its rank there."
    )


# -- many users


def _many(a: Fit, b: Fit) -> None:
    st.markdown("##### Over many users")
    fetch.panel(
        Agreement(a, b, view().k, USERS),
        _agreement,
        key="agreement",
        title=f"Agreement of {a.model.name} and {b.model.name}",
    )


def _agreement(found: Mapping[str, Any]) -> None:
    k = found["k"]
    parts = (
        (f"Overlap@{k}", "overlap", tell("overlap")),
        ("Rank-biased overlap", "rbo", tell("rank-biased overlap")),
        ("Same first item", "same_first", "The share of users whose first recommendation is the same in both."),
    )
    grid = st.grid(3, min_column_width=180, gap="small")
    for label, name, about in parts:
        own = found[name]
        grid.metric(label, f"{own['mean']:.3f}", help=about, border=True, delta=_interval(own), delta_color="off",
                    delta_arrow="off")  # fmt: skip
    st.plotly_chart(
        figures.in_common(found["histogram"], k, found["overlap"]["mean"] * k),
        key="agreement_histogram",
        config=CHART,
        alt=f"Users by the number of items that both lists of {k} share.",
    )
    drawn = "all" if found["n"] == found["n_test"] else f"{found['n']:,} drawn of"
    st.caption(
        f"Over {drawn} {found['n_test']:,} test users; 95 % intervals by bootstrap over users. Dotted line: the mean."
    )


def _interval(own: Mapping[str, float | None]) -> str:
    low, high = own["low"], own["high"]
    return "" if low is None or high is None or low != low else f"{low:.3f} to {high:.3f}"
