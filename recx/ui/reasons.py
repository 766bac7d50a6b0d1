"""One card per explainer with its check, and which items the explainers agree on."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import streamlit as st

from recx.figures import explanations as figures
from recx.ui import columns, text
from recx.ui.case import CHART, Case, explain_recipe, person_label
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
    columns.columns(
        case.explainers,
        partial(explain_recipe, case),
        partial(_card, case),
        key="explain",
        title=lambda name: f"{name}: why {title} for {person_label(*view().person)}",
    )
    _agreement(case)


def _card(case: Case, found: Sequence[Any]) -> None:
    row = found[0].as_dict()
    columns.answer(case, row)
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


def _agreement(case: Case) -> None:
    """Which items the explainers name, once their answers are here."""

    @st.fragment(parallel=True)
    def body() -> None:
        rows, waiting, missing = columns.answers(case)
        _show_named(case, {item for row in rows for item in row["items"]})
        st.markdown(
            "**Do the explainers agree?** :gray[Filled: without its set the recommendation leaves the "
            "list. Hollow: it stays.]"
        )
        st.caption(
            f"{text.plural(waiting, 'explanation')} still to come."
            if waiting
            else "A column is a history item; a row is an explainer." + (" Some have no answer." if missing else "")
        )
        if waiting and not rows:
            st.skeleton(height=250)
            return
        st.plotly_chart(
            figures.agreement(rows, columns.labels(case)),
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
