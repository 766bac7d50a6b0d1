"""One card per explainer with its check, and which items the explainers agree on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import streamlit as st

from recx.figures import explanations as figures
from recx.ui import cards, fetch, settings, text
from recx.ui.case import CHART, Case, edited_history, explain_recipe, person_label
from recx.ui.frame import forms, short
from recx.ui.state import view
from recx.ui.whatif import switch
from recx.ui.words import tell


def explanations(case: Case) -> None:
    """One card per explainer, each fetching for itself, then which items they agree on."""
    row = case.chosen
    if row is None:
        st.info("Choose a recommendation above.", icon=":material/touch_app:")
        return
    title = text.brief(text.named(row["title"], row["year"]), 120)
    st.subheader(f"Why {text.md(title)}?", help=tell("checked"), anchor="why")
    st.caption(
        f"Each explainer names history items; then the recommender was asked again without them, and with "
        f"only them. Rank {row['rank']} of {case.base['n_candidates']:,} now."
    )
    n = len(case.explainers)
    grid = st.grid(n if n < 4 else 4 if n % 2 == 0 else 3, min_column_width=280, border=True, key="cards")
    for name in case.explainers:
        with grid.cell():
            fetch.panel(
                explain_recipe(case, name),
                partial(_card, case),
                key=f"explain_{name}",
                title=f"{name}: why {title} for {person_label(*view().person)}",
                below=partial(settings_of, name),
                failed=partial(no_answer, name),
            )
    _agreement(case)


def _card(case: Case, found: Sequence[Any]) -> None:
    row = found[0].as_dict()
    note = edited_history(case) if cards.unmoved(row) else ""
    st.html(cards.explanation(row, short(forms().form_of("explainers", row["explainer"])), note=note))
    if row["items"] and st.button(
        "Switch these off",
        key=f"try_{row['explainer']}",
        on_click=switch,
        args=(tuple(row["items"]),),
        icon=":material/science:",
        help="See for yourself: the what-if list above is asked again without exactly these items.",
        width="stretch",
    ):
        st.rerun(scope="app")  # the card is a fragment; the list is drawn elsewhere


def no_answer(name: str, outcome: fetch.Outcome) -> None:
    """Why an explainer says nothing. Trying again is offered unless it would only say the same."""
    st.html(cards.no_answer(name, short(forms().form_of("explainers", name)), outcome.error))
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
        waiting = sum(bool(outcome.job and outcome.job.open) for outcome in outcomes)
        missing = len(rows) < len(outcomes) - waiting
        st.caption(
            f"{text.plural(waiting, 'explanation')} still to come."
            if waiting
            else "A column is a history item; a row is an explainer." + (" Some have no answer." if missing else "")
        )
        if waiting and not rows:
            st.skeleton(height=250)
            return
        st.plotly_chart(
            figures.agreement(rows, {name: short(forms().form_of("explainers", name)) for name in case.explainers}),
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
