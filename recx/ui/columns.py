"""Explainers side by side: a card each with its settings below, and what they all say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import streamlit as st

from recx.ui import cards, explainers, fetch, settings, text
from recx.ui.case import Case, edited_history, explain_recipe
from recx.ui.frame import forms
from recx.ui.state import view

Draw = Callable[[Sequence[Any]], None]


def columns(
    names: Sequence[str],
    recipe_of: Callable[[str], Any],
    draw: Draw,
    *,
    key: str,
    title: Callable[[str], str],
    grid: str = "cards",
) -> None:
    """A card per explainer, each fetching for itself; one without an answer says why.

    `recipe_of`, `title`: the question of an explainer, and what its job is called.
    """
    n = len(names)
    place = st.grid(n if n < 4 else 4 if n % 2 == 0 else 3, min_column_width=280, border=True, key=grid)
    for name in names:
        with place.cell():
            fetch.panel(
                recipe_of(name),
                draw,
                key=f"{key}_{name}",
                title=title(name),
                below=partial(settings_of, name),
                failed=partial(no_answer, name),
            )


def answer(case: Case, row: dict[str, Any]) -> None:
    """The card of one Explanation; where the model does not react, what an edited history means for it."""
    note = edited_history(case) if cards.unmoved(row) else ""
    st.html(cards.explanation(row, explainers.short(row["explainer"]), note=note))


def answers(case: Case) -> tuple[list[dict[str, Any]], int, int]:
    """The Explanations at hand, how many are still to come, and how many explainers have none."""
    outcomes = [fetch.get(explain_recipe(case, name), wait=2 * fetch.WAIT) for name in case.explainers]
    rows = [outcome.result[0].as_dict() for outcome in outcomes if outcome.result]
    waiting = sum(bool(outcome.job and outcome.job.open) for outcome in outcomes)
    return rows, waiting, len(outcomes) - waiting - len(rows)


def labels(case: Case) -> dict[str, str]:
    """What the explainers of a case are called. Not escaped."""
    return {name: explainers.short(name) for name in case.explainers}


def no_answer(name: str, outcome: fetch.Outcome) -> None:
    """Why an explainer says nothing. Trying again is offered unless it would only say the same."""
    st.html(cards.no_answer(name, explainers.short(name), outcome.error))
    job = outcome.job
    if job is not None and (job.state != "failed" or "Traceback" in job.log):
        st.button("Try again", key=f"retry_{name}", on_click=fetch.retry, args=(job.key,), icon=":material/replay:")


def settings_of(name: str) -> None:
    """The explainer's own form, drawn once it is opened."""
    form, own = forms().form_of("explainers", name), view().settings_of(name)
    if not form["parameters"]:
        return
    label = text.md(text.brief(settings.changed_words(own), 40)) if own else "Settings"
    with st.popover(
        label, icon=":material/tune:", type="tertiary", key=f"settings_of_{name}_{own}", on_change="rerun"
    ) as form_place:
        if form_place.open:
            settings.explainer_settings(form)
