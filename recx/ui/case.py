"""The parts of a case study: history, lists, what-if, explanations, why not, comparison."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from recx.figures import compare as compare_figures
from recx.figures import explanations as explanation_figures
from recx.figures import history as history_figures
from recx.figures import palette
from recx.recipes import _build
from recx.recipes.explain import Explain
from recx.recipes.fit import Fit
from recx.recipes.people import Person
from recx.recipes.recommend import Recommend, WhyNot
from recx.ui import cards, fetch, text
from recx.ui.frame import fit_of, forms
from recx.ui.pickers import find_items
from recx.ui.state import change, view, write_link
from recx.ui.view import Pin
from recx.ui.words import tell

CHART = {
    "displaylogo": False,
    "modeBarButtonsToRemove": ["zoom", "pan", "select", "lasso2d", "zoomIn", "zoomOut", "autoScale", "resetScale"],
}
STRIP = 24
"""History items shown as switches before somebody asks for more."""


@dataclass(frozen=True)
class Case:
    """What every part needs: the fit, the person, the recommendations, the genre colours, the explainers asked."""

    fit: Fit
    person: Person
    base: Mapping[str, Any]
    lanes: Mapping[str, str]
    target: str
    explainers: tuple[str, ...]

    @property
    def chosen(self) -> Mapping[str, Any] | None:
        return next((row for row in self.base["items"] if row["item"] == self.target), None)


def person_of(user: str, history: tuple[str, ...], off: tuple[str, ...] = ()) -> Person:
    """The person of a view or of a pin."""
    return Person(history=history, without=off) if history else Person(user=user, without=off)


def person_label(user: str, history: tuple[str, ...]) -> str:
    """What a person is called on screen; not escaped."""
    return f"Someone new with {text.plural(len(history), 'title')}" if history else f"User {user}"


def explain_recipe(case: Case, explainer: str) -> Explain:
    """The question that one card asks."""
    named = _build.explainer_of(explainer, form_of=forms().form_of)
    return Explain(case.fit, (case.person,), (case.target,), named, k=view().k)


# -- history and what-if


def history(case: Case, right: Any) -> None:
    """The timeline, and the strip that switches items off; the list that follows is drawn into `right`."""
    rows = case.base["history"]

    @st.fragment
    def strip() -> None:
        off = view().off
        named = _named_items(case)
        st.session_state["named_shown"] = named
        _timeline(rows, case.lanes, off, named)
        _switches(rows, case.lanes, named)
        with right:
            _after(case)
        write_link(forms())

    strip()


def _timeline(
    rows: Sequence[Mapping[str, Any]], lanes: Mapping[str, str], off: tuple[str, ...], named: set[str]
) -> None:
    fig = history_figures.timeline(rows, lanes, off=off, named=named)
    event = st.plotly_chart(
        fig,
        key=f"timeline_{view().dataset}_{view().person}_{view().model}",
        on_select="rerun",
        selection_mode="points",
        config=CHART,
        alt=f"Timeline of {len(rows)} history items by genre, oldest left.",
    )
    points = event["selection"]["points"] if event else []
    picked = [_item_of(point) for point in points if point.get("customdata")]
    if picked and picked != st.session_state.get("timeline_seen"):
        toggle(picked[0])
    if picked != st.session_state.get("timeline_seen"):
        st.session_state["timeline_seen"] = picked
        if picked:
            st.rerun(scope="app")


def _item_of(point: Mapping[str, Any]) -> str:
    own = point["customdata"]
    return str(own[0] if isinstance(own, (list, tuple)) else own)


def toggle(item: str) -> None:
    """Switch a history item off, or on again."""
    off = view().off
    switch(tuple(one for one in off if one != item) if item in off else (*off, item))


def _named_items(case: Case) -> set[str]:
    """The items that explanations already at hand name."""
    stored = (fetch.peek(explain_recipe(case, name)) for name in case.explainers if case.target)
    return {item for found in stored if found for item in found[0].items}


def _switches(rows: Sequence[Mapping[str, Any]], lanes: Mapping[str, str], named: set[str]) -> None:
    """Pills for history items: lit is in the history, unlit is switched off."""
    off = view().off
    every = st.session_state.get("strip_all", False) or len(rows) <= STRIP
    recent = {row["item"] for row in rows[-STRIP:]}
    shown = [row for row in rows if every or row["item"] in recent or row["item"] in named or row["item"] in off]
    titles = {row["item"]: row for row in shown}
    with st.container(horizontal=True, vertical_alignment="center", key="strip_head"):
        st.markdown(f"**What if?** :gray[{_strip_words(len(rows), len(shown), len(off))}]", help=tell("what-if"))
        st.button(
            "Switch all on",
            on_click=switch,
            args=((),),
            disabled=not off,
            key="all_on",
            icon=":material/undo:",
            type="tertiary",
        )
        st.toggle(f"Show all {len(rows):,}", key="strip_all", disabled=len(rows) <= STRIP)
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


def _strip_words(n: int, shown: int, off: int) -> str:
    state = (
        f"{text.plural(off, 'item')} switched off"
        if off
        else "Switch history items off and on; the list on the right follows"
    )
    return state + (f" · showing {shown:,} of {n:,}" if shown < n else "")


def _pill(row: Mapping[str, Any], lanes: Mapping[str, str]) -> str:
    """The label of a switch; it must not depend on what is chosen, because the browser answers with labels."""
    return f":{palette.colour_name(row['genres'], lanes)}[●] {text.md(text.named(row['title'], row['year']))}"


def _take_strip(key: str, shown: list[str]) -> None:
    kept = set(st.session_state[key])
    hidden = [item for item in view().off if item not in shown]
    change(off=(*hidden, *(item for item in shown if item not in kept)))


def switch(off: tuple[str, ...]) -> None:
    """Switch exactly these items off, from outside the strip.

    The strip then becomes a new widget: a late message of the browser about the old one must not undo this.
    """
    st.session_state["off_elsewhere"] = st.session_state.get("off_elsewhere", 0) + 1
    change(off=off)


def _after(case: Case) -> None:
    """The list without the items that are switched off, with movement marks."""
    off = view().off
    st.markdown(
        f"##### What if · {text.plural(len(off), 'item')} off" if off else "##### What if", help=tell("what-if")
    )
    if not off:
        st.caption(
            "Nothing is switched off: this list equals the one on the left. ▲ ▼ will show what moves, "
            "*new* what enters, *out* what leaves."
        )
        st.html(cards.whatif_list(case.base["items"], case.base["items"], case.target))
        return
    user, titles = view().person
    st.caption(
        f"Asked again without {text.plural(len(off), 'item')}; ▲ ▼ places moved, *new* entered, *out* left the list."
    )
    found = fetch.result(
        Recommend(case.fit, (person_of(user, titles, off),), view().k),
        f"What if, for {person_label(user, titles)}",
        "whatif",
    )
    if found is not None:
        st.html(cards.whatif_list(case.base["items"], found[0]["items"], case.target))


# -- the list


def recommendations(case: Case) -> None:
    """The top k as rows to click; the chosen one is explained below."""
    st.markdown(f"##### Recommended · top {view().k} of {case.base['n_candidates']:,}", help=tell("candidates"))
    st.caption(_held_words(case.base))
    with st.container(key="recs"):
        for row in case.base["items"]:
            st.button(
                _row_label(row, case.lanes),
                key=f"rec_{row['item']}",
                on_click=change,
                kwargs={"target": row["item"]},
                type="primary" if row["item"] == case.target else "secondary",
                width="stretch",
                wrap=True,
                help=f"{text.md(', '.join(palette.genres_of(row['genres'])))} · {row['popularity']:,} "
                f"events · id {text.md(row['item'])} · score {text.number(row['score'], 6)}",
            )


def _row_label(row: Mapping[str, Any], lanes: Mapping[str, str]) -> str:
    title = text.md(text.named(row["title"], row["year"])) + (" ★" if row["held_out"] else "")
    return f"`{row['rank']}` :{palette.colour_name(row['genres'], lanes)}[●] {title} `{text.number(row['score'])}`"


def _held_words(base: Mapping[str, Any]) -> str:
    held, found = base["held_out"], [row["rank"] for row in base["items"] if row["held_out"]]
    if not held:
        return "Click one to see why. No item is held out for this person."
    title = text.md(text.named(held[0]["title"], held[0]["year"]))
    more = f" (and {len(held) - 1} more)" if len(held) > 1 else ""
    return f"Click one to see why. Really chosen next: {title}{more}, " + (
        f"★ in place {found[0]}." if found else "not in this list."
    )


# -- explanations


def explanations(case: Case) -> None:
    """One card per explainer, each fetching for itself, then which items they agree on."""
    row = case.chosen
    if row is None:
        st.info("Choose a recommendation above.", icon=":material/touch_app:")
        return
    st.subheader(f"Why {text.md(text.named(row['title'], row['year']))}?", help=tell("checked"), anchor="why")
    st.caption(
        f"Each explainer names history items; then the recommender was asked again without them, and with "
        f"only them. Rank {row['rank']} of {case.base['n_candidates']:,} now."
    )
    grid = st.grid(4 if len(case.explainers) % 2 == 0 else 3, min_column_width=280, border=True, key="cards")
    for name in case.explainers:
        with grid.cell():
            fetch.panel(
                explain_recipe(case, name),
                _card,
                key=f"explain_{name}",
                title=f"{name}: why {text.named(row['title'])} for {person_label(*view().person)}",
            )
    _agreement(case)


def _card(found: Sequence[Any]) -> None:
    row = found[0].as_dict()
    st.html(cards.explanation(row, forms().form_of("explainers", row["explainer"])["title"].split(":")[0]))
    if row["items"]:
        st.button(
            "Switch these off",
            key=f"try_{row['explainer']}",
            on_click=switch,
            args=(tuple(row["items"]),),
            icon=":material/science:",
            help="See for yourself: the what-if list above is asked again without exactly these items.",
            width="stretch",
        )


def _agreement(case: Case) -> None:
    """Which items the explainers name, once their answers are here."""

    @st.fragment(parallel=True)
    def body() -> None:
        outcomes = [fetch.get(explain_recipe(case, name), wait=2 * fetch.WAIT) for name in case.explainers]
        rows = [outcome.result[0].as_dict() for outcome in outcomes if outcome.result]
        _show_named(case, {item for row in rows for item in row["items"]})
        st.markdown(
            "**Do the explainers agree?** :gray[Filled: without its set the recommendation leaves the "
            "list. Hollow: it stays.]"
        )
        waiting = len(case.explainers) - len(rows)
        st.caption(
            f"{text.plural(waiting, 'explanation')} still to come."
            if waiting
            else "A column is a history item; a row is an explainer."
        )
        if waiting and not rows:
            st.skeleton(height=250)
            return
        st.plotly_chart(
            explanation_figures.agreement(rows),
            key="agreement_chart",
            config=CHART,
            alt="Which history items each explainer names.",
        )

    body()


def _show_named(case: Case, named: set[str]) -> None:
    """Once per recommendation: draw the page again when the history above does not yet mark what is named here."""
    question = (view().person, view().model, case.target, len(named))
    if named - st.session_state.get("named_shown", set()) and st.session_state.get("named_for") != question:
        st.session_state["named_for"] = question
        st.rerun()


# -- why not


def why_not(case: Case, items: pd.DataFrame) -> None:
    """Where an item stands that was not recommended, and what holds it down."""

    @st.fragment
    def body() -> None:
        st.subheader("Why not …?", help="Ask about any item that is not in the history.", anchor="why-not")
        left, right = st.columns([1, 2], gap="medium")
        with left:
            words = st.text_input("Item", placeholder="type part of a title", key="find_whynot", live=True)
            taken = tuple(row["item"] for row in case.base["history"])
            found = find_items(items, words, most=6, without=taken)
            for _, row in found.iterrows():
                st.button(
                    text.md(text.named(row["title"], row["year"])),
                    key=f"whynot_{row['item']}",
                    on_click=change,
                    kwargs={"whynot": row["item"]},
                    type="primary" if row["item"] == view().whynot else "secondary",
                    width="stretch",
                    wrap=True,
                )
            if words and found.empty:
                st.caption("No title outside the history holds these words.")
        with right:
            if not view().whynot:
                st.caption(
                    "Type part of a title and choose an item: its rank, how far it is from the list, and "
                    "which history items hold it down."
                )
            else:
                answer = fetch.result(
                    WhyNot(case.fit, case.person, view().whynot, view().k),
                    f"Why not {view().whynot}, for {person_label(*view().person)}",
                    "whynot",
                )
                if answer is not None:
                    _why_not_answer(answer)
        write_link(forms())

    body()


def _why_not_answer(answer: Mapping[str, Any]) -> None:
    title = text.md(text.named(answer["title"], answer["year"]))
    rank, total, k = f"{answer['rank']:,}", f"{answer['n_candidates']:,}", answer["k"]
    gap = answer["kth_score"] - answer["score"]
    if answer["rank"] <= k:
        words = f"**{title}** is in the list: rank **{rank}** of {total}."
    else:
        lack = text.number(gap, 3)
        words = f"**{title}** has rank **{rank}** of {total}. It lacks **{lack}** in score to reach place {k}."
    st.markdown(words + (" It is the item that was really chosen next (★)." if answer.get("held_out") else ""))
    down = [row for row in answer["effects"] if row["effect"] > 0]
    enough = [row for row in down if row["rank_without"] <= k < answer["rank"]]
    st.caption(_hold_words(down, enough, k))
    st.plotly_chart(
        explanation_figures.effects(answer["effects"]),
        key=f"whynot_chart_{answer['item']}",
        config=CHART,
        alt="Change of the item's score when single history items are switched off.",
    )


def _hold_words(down: Sequence[Mapping[str, Any]], enough: Sequence[Mapping[str, Any]], k: int) -> str:
    if not down:
        return "No single history item holds it down: switching any one off lowers its score or leaves it."
    first = f"What holds it down most: {text.md(down[0]['title'])}."
    if enough:
        return f"{first} Switching off {text.md(enough[0]['title'])} alone would bring it into the top {k}."
    return f"{first} Switching off any single item is not enough to bring it into the top {k}."


# -- comparison


def comparison(case: Case) -> None:
    """The pinned case beside this one."""
    pin, now = view().pin, view()
    st.subheader(
        "Compare",
        help="Pin this case, then choose another user or model: both lists stand side by side.",
        anchor="compare",
    )
    left, right = st.columns([1, 3], vertical_alignment="center")
    label = "Pin this case instead" if pin else "Pin this case"
    left.button(label, on_click=_pin, key="pin_case", icon=":material/keep:", width="stretch")
    if pin is None:
        right.caption(
            "Nothing is pinned. Pin this case, then choose another user or another model to see both side by side."
        )
        return
    here = Pin(now.model, now.settings, now.seed, *now.person)
    right.button(
        "Unpin", on_click=change, kwargs={"pin": None}, key="unpin", icon=":material/keep_off:", type="tertiary"
    )
    if pin == here:
        st.caption("This very case is pinned. Choose another user or another model on the left.")
        return
    other = Recommend(fit_of(pin.model, pin.settings, pin.seed), (person_of(pin.user, pin.history),), now.k)

    def draw(found: list[dict[str, Any]]) -> None:
        _compared(pin, here, found[0], case.base)

    fetch.panel(other, draw, key="compare", title="Pinned case")


def _pin() -> None:
    now = view()
    change(pin=Pin(now.model, now.settings, now.seed, *now.person))


def _compared(pin: Pin, here: Pin, left: Mapping[str, Any], right: Mapping[str, Any]) -> None:
    titles = [f"{person_label(one.user, one.history)} · {one.model}" for one in (pin, here)]
    both = {row["item"] for row in left["items"]} & {row["item"] for row in right["items"]}
    watched = {row["item"] for row in left["history"]} & {row["item"] for row in right["history"]}
    st.markdown(
        f"**{len(both)}** of {len(right['items'])} recommendations in common · history "
        f"{len(left['history']):,} and {len(right['history']):,} items, {len(watched):,} in common"
    )
    colours = (palette.of_name(pin.model), palette.of_name(here.model))
    st.plotly_chart(
        compare_figures.slope(left["items"], right["items"], (f"pinned: {titles[0]}", f"now: {titles[1]}"), colours),
        key="compare_chart",
        config=CHART,
        alt="Two ranked lists side by side; lines join items that both hold.",
    )
