"""Two people, the same recommendation, one association rule for both, two different causes (the paper's Figure 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from recx.core.errors import BadInput
from recx.engine import shipped
from recx.recipes import _build
from recx.recipes.rule_cases import RuleCases
from recx.ui import fetch, frame, rule_cards, rule_scores, scores, state, text
from recx.ui.state import view

STUDY, CAUSAL = "causal-rules-cases", "causal-rules"
USERS = 100
"""People looked through with the model on the left; about a second each."""
BETWEEN = " ; "
Row = dict[str, Any]
COLUMNS = {
    "target_title": st.column_config.TextColumn("Recommended to both"),
    "shared_title": st.column_config.TextColumn("Association rule from"),
    "confidence": st.column_config.NumberColumn("Confidence", format="%.2f"),
    "user_a": st.column_config.TextColumn("User A", width="small"),
    "cause_a_title": st.column_config.TextColumn("Cause for A"),
    "user_b": st.column_config.TextColumn("User B", width="small"),
    "cause_b_title": st.column_config.TextColumn("Cause for B"),
    "checked": st.column_config.TextColumn("Causes checked"),
}


def cases() -> None:
    """The stored pairs, then those of the model on the left."""
    st.subheader("Two people, two causes", anchor="cases", help="The paper's Figure 5.")
    st.caption(
        "Both people have the item of the association rule and are recommended the same; their causal rules differ. "
        "The check: does the first recommendation change when the item is deleted from the history? An example shows "
        "that rules can differ, not that either is true."
    )
    try:
        stored = [row for one in shipped.read(STUDY) for row in one["rows"] if row["metric"] == "case"]
        if stored:
            _stored(stored)
    except BadInput as error:
        st.error(text.md(error), icon=":material/error:")
        return
    if not stored:
        st.caption(f"No pairs are stored; `python -m recx study {STUDY} --keep` computes and stores them.")
    _own()


def _stored(rows: Sequence[Row]) -> None:
    st.markdown("##### Stored pairs")
    known = rule_scores.recommenders(rows)
    now = rule_scores.chosen(known)
    with st.container(horizontal=True):
        scores.pick("Data set", list(known), "rule_data", now[0], frame.data_label)
        scores.pick("Recommender", known[now[0]], "rule_model", now[1], scores.short)
    _table([row for row in rows if (row["dataset"], row["recommender"]) == now], f"stored_{now}")


def _own() -> None:
    """Pairs among the people of the chosen model, looked for when somebody asks."""
    now = view()
    st.markdown(f"##### With {text.md(scores.short(now.model))} on {text.md(frame.data_label(now.dataset))}")
    try:
        fit = frame.fit_of(now.model, now.settings, now.seed)
        settings = dict(now.settings_of(CAUSAL))
        recipe = RuleCases(fit, _build.explainer_of(CAUSAL, settings, form_of=frame.forms().form_of), USERS)
    except BadInput as error:
        st.error(text.md(error), icon=":material/error:")
        return
    outcome = fetch.now(recipe)
    if outcome.result is not None:
        found = shipped.records(outcome.result)
        if found:
            _table(found, f"own_{now.dataset}_{now.model}", here=True)
        else:
            st.info(f"Among {USERS} people there is no such pair: try another model.", icon=":material/search_off:")
    elif outcome.job is not None or outcome.error:
        fetch.show(outcome, "rule_cases")
    else:
        st.caption(f"Looks through {USERS} people, about a second each; the settings are those of the first part.")
        if st.button("Look for pairs", key="find_pairs", icon=":material/search:"):
            fetch.get(recipe, f"Pairs with two causes: {now.model} on {now.dataset}", wait=0.0, again=True)
            st.rerun()


def _table(rows: Sequence[Row], key: str, *, here: bool = False) -> None:
    event = st.dataframe(
        [{name: (dict(row) | {"checked": checked(row)}).get(name) for name in COLUMNS} for row in rows],
        column_config=COLUMNS,
        hide_index=True,
        width="stretch",
        on_select="rerun",
        selection_mode="single-row",
        key=f"pairs_{key}",
    )
    picked = event.selection.rows
    row = rows[picked[0] if picked else 0]
    st.caption(f"{text.plural(len(rows), 'pair')}, those with both causes confirmed first. Click on the left edge of a "
               "row to see another pair.")  # fmt: skip
    st.html(rule_cards.pair(row | {side: titles(row[side]) for side in ("history_a", "history_b")}))
    if here:
        with st.container(horizontal=True):
            for side in ("a", "b"):
                label = f"Open the case of user {text.md(text.brief(row[f'user_{side}'], 30))}"
                st.button(label, key=f"open_{key}_{side}", on_click=open_case, args=(row, side))


def checked(row: Mapping[str, Any]) -> str:
    """How many of the two causes the check confirms, in words."""
    n = bool(row["confirmed_a"]) + bool(row["confirmed_b"])
    return ("none holds", "one holds", "both hold")[n]


def titles(history: Any) -> list[str]:
    """The titles of a history: a list, or a text with separators."""
    return history.split(BETWEEN) if isinstance(history, str) else list(history)


def open_case(row: Mapping[str, Any], side: str) -> None:
    """Show one of the two people as a case."""
    state.change(who="user", user=row[f"user_{side}"], target=row["target"], rules="item")
