"""Association and causal rules for one recommendation: side by side, then together, item by item, after the check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import streamlit as st

from recx.recipes import _build
from recx.recipes.explain import Explain
from recx.ui import columns, explainers, fetch, frame, rule_cards, state, text
from recx.ui.case import Case, explain_recipe, person_label
from recx.ui.rule_sliders import ASSOCIATION, CAUSAL, sliders
from recx.ui.words import tell

EVERY_ITEM = "leave-one-out"
KINDS = {
    "both": ("yes", "both", "Either kind of rule names it, and the recommendation falls to a lower place without it."),
    "causal": ("accent", "causal only", "Only a causal rule names it, and the recommendation falls without it."),
    "association": ("accent", "association only", "Only association rules name it, and the recommendation falls."),
    "weak": ("na", "weak", "Without it the score falls, but the recommendation keeps its place."),
    "unchecked": ("na", "not checked", "The recommender was not asked again without this item."),
    "artefact": (
        "no",
        "popularity artefact",
        "An association rule names it, but the score does not fall without it: the two are popular together.",
    ),
    "unconfirmed": ("no", "not confirmed", "A causal rule names it, but the score does not fall without it."),
}
"""Kind of an item -> (class, label, what it means)."""
Row = dict[str, Any]


def one(case: Case) -> None:
    """Sliders, a card per kind of rule, then both kinds together."""
    chosen = case.chosen
    if chosen is None:
        st.info("Choose a recommendation above.", icon=":material/touch_app:")
        return
    title = text.brief(text.named(chosen["title"], chosen["year"]), 120)
    st.subheader(f"Which rules lead to {text.md(title)}?", help=tell("rule"), anchor="rules")
    known = frame.forms().names("explainers")
    names = [name for name in (ASSOCIATION, CAUSAL) if name in known]
    sliders(names)
    columns.columns(
        names,
        partial(explain_recipe, case),
        lambda found: columns.answer(case, found[0].as_dict()),
        key="rule",
        title=lambda name: f"{name}: why {title} for {person_label(*state.view().person)}",
    )
    if CAUSAL not in known:
        st.caption("This version has no causal rules: only association rules are shown.")
    _together(case)
    if CAUSAL in known:
        fetch.panel(
            explain_recipe(case, CAUSAL),
            _tested,
            key="causal_tests",
            title=f"{CAUSAL}: why {title}",
            failed=lambda outcome: None,
        )


# -- both kinds together


def _together(case: Case) -> None:
    """Every item that a rule names, with what each kind says of it and what the check finds."""
    known = frame.forms().names("explainers")
    asked = [name for name in (ASSOCIATION, CAUSAL) if name in known]

    @st.fragment(parallel=True)
    def body() -> None:
        outcomes = {name: fetch.get(explain_recipe(case, name), wait=2 * fetch.WAIT) for name in asked}
        every = fetch.get(every_item(case), "What each item alone does", wait=2 * fetch.WAIT)
        st.markdown("##### Do the two kinds agree, and does the check?")
        if every.result is None:
            st.caption("Waiting for the answers above." if every.job and every.job.open else text.md(every.error))
            return
        answers = {name: one.result[0].as_dict() for name, one in outcomes.items() if one.result}
        rows = compared(answers.get(ASSOCIATION), answers.get(CAUSAL), every.result[0].as_dict())
        coming = [explainers.short(name) for name, one in outcomes.items() if one.job is not None and one.job.open]
        if coming:
            st.caption(f":material/hourglass_top: Still to come: {text.md(' and '.join(coming))}.")
        st.caption(_words(case, rows))
        st.html(rule_cards.rules(rows, KINDS))
        st.markdown(chance_words(every.result[0].as_dict()))
        present = {row["kind"] for row in rows}
        if present:
            st.html(rule_cards.kinds({kind: own for kind, own in KINDS.items() if kind in present}))

    body()


def every_item(case: Case) -> Explain:
    """The recommender asked again without each single history item: the check of every rule."""
    named = _build.explainer_of(EVERY_ITEM, {}, form_of=frame.forms().form_of)
    return Explain(case.fit, (case.person,), (case.target,), named, k=state.view().k)


def compared(association: Row | None, causal: Row | None, every: Row) -> list[Row]:
    """One row per item that a rule names: title, kind, confidence, base, lift, strength, effect, rank_without, leaves.

    `association`, `causal`, `every` (leave-one-out): Explanations as dicts.
    """
    goes = {rule["item"]: rule for rule in (association or {"details": {}})["details"].get("rules", ())}
    causes = dict(zip(causal["items"], causal["weights"], strict=False)) if causal else {}
    titles = dict(zip(causal["items"], causal["titles"], strict=False)) if causal else {}
    alone = {one["item"]: one for one in every["details"].get("per_item", ())}
    rows = []
    for item in dict.fromkeys([*causes, *goes]):
        rule, own = goes.get(item, {}), alone.get(item, {})
        rank, effect = own.get("rank_without"), own.get("value")
        rows.append(
            {
                "item": item,
                "title": rule.get("title") or titles.get(item, item),
                "kind": kind_of(item in goes, item in causes, falls(own, every), effect),
                "confidence": rule.get("confidence"),
                "base": rule.get("base_rate"),
                "lift": rule.get("lift"),
                "strength": causes.get(item),
                "effect": effect,
                "rank": every["rank_before"],
                "rank_without": rank,
                "leaves": rank is not None and rank > every["k"],
            }
        )
    order = list(KINDS)
    return sorted(rows, key=lambda row: (order.index(row["kind"]), -(row["effect"] or 0.0)))


def falls(own: Mapping[str, Any], every: Row) -> bool:
    """Does the recommendation fall to a lower place without this one item?"""
    return bool(own.get("rank_without") and own["rank_without"] > every["rank_before"])


def kind_of(goes: bool, causes: bool, falls: bool, effect: float | None) -> str:
    """What a rule about an item is worth: which kinds name it, and what the check finds."""
    if falls:
        return "both" if goes and causes else "causal" if causes else "association"
    if effect is None:
        return "unchecked"
    if effect > 0:
        return "weak"
    return "artefact" if goes else "unconfirmed"


def _words(case: Case, rows: Sequence[Row]) -> str:
    base = next((row["base"] for row in rows if row["base"] is not None), None)
    title = text.md(text.brief((case.chosen or {}).get("title", "")))
    said = (
        f"{100 * base:.0f} % of all people have {title} anyway: a confidence near that says nothing. " if base else ""
    )
    return (
        f"{said}The check asks the recommender again without each item alone. An association rule says what people "
        "have together; a causal rule says what a small model of the recommender holds for the cause. Only the check "
        "says whether this recommendation depends on the item."
    )


def chance_words(every: Row) -> str:
    """What naming any item of the history would reach: the level that a rule has to beat."""
    rows = every["details"].get("per_item", ())
    if not rows:
        return ""
    moved = sum(falls(row, every) for row in rows)
    out = sum(bool(row.get("rank_without") and row["rank_without"] > every["k"]) for row in rows)
    return (
        f":orange[**Having an answer is no merit:**] a random item of the history always gives one. Here {moved:,} of "
        f"{text.plural(len(rows), 'history item')} move the recommendation to a lower place when taken out alone "
        f"({100 * moved / len(rows):.0f} %), and {out:,} take it out of the list: that is what a rule has to beat."
    )


# -- what the perturbed histories say


def _tested(found: Sequence[Any]) -> None:
    """Each changed item tested three ways, and the perturbed histories to look into."""
    details = found[0].details
    rules, rows = details.get("rules", ()), details.get("perturbed", ())
    if not rules:
        return
    st.markdown("##### What the perturbed histories say")
    st.caption(perturbed_words(details))
    st.html(rule_cards.causal(rules))
    with st.expander("Look into the perturbed histories", icon=":material/manage_search:", key="perturbed"):
        which = st.segmented_control(
            "Show",
            ("all", "still recommended", "not recommended"),
            default="all",
            required=True,
            key="perturbed_which",
            label_visibility="collapsed",
        )
        shown = [row for row in rows if which == "all" or row["recommended"] == (which == "still recommended")]
        if shown:
            st.html(rule_cards.perturbed(shown))
        st.caption(f"{len(shown):,} of the first {len(rows):,} perturbed histories.")


def perturbed_words(details: Mapping[str, Any]) -> str:
    """How far the histories were changed and how often the recommendation stayed, in sentences of markdown."""
    positions, histories, stayed = (
        details.get(key) for key in ("changed_positions", "changed_histories", "recommended")
    )
    said = ""
    if positions is not None and histories is not None:
        said = (
            f"The latest items were changed at random: {100 * histories:.0f} % of the histories and "
            f"{100 * positions:.0f} % of their items are others. "
        )
    if stayed is None:
        return said
    if stayed == 1:
        return said + "The item was recommended every time, so no item can be shown to be its cause this way."
    if stayed == 0:
        return said + "The item was never recommended again, so no item can be told from the others this way."
    return (
        f"{said}The item was still recommended in {100 * stayed:.0f} % of them. Differences in points; a difference "
        "whose interval leaves out zero is in colour."
    )
