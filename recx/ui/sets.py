"""Counterfactual sets for one recommendation: what each explainer names, how small it is, and what each item counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import streamlit as st

from recx.figures import sets as figures
from recx.recipes import _build
from recx.recipes.explain import Explain
from recx.ui import cards, columns, fetch, frame, state, text
from recx.ui.case import CHART, Case, explain_recipe, person_label
from recx.ui.words import tell

GOALS = {"necessary": "needed", "both": "needed and enough alone"}
"""Goal of a minimal set -> what its size is the least size for."""


def one(case: Case) -> None:
    """A column per explainer, then the importance of every history item for each of them."""
    row = case.chosen
    if row is None:
        st.info("Choose a recommendation above.", icon=":material/touch_app:")
        return
    title = text.brief(text.named(row["title"], row["year"]), 120)
    st.subheader(f"What does {text.md(title)} hang on?", help=tell("checked"), anchor="sets")
    st.caption(
        "Each explainer names a set of history items. Then the recommender was asked again without the set, and with "
        f"only the set. Rank {row['rank']} of {case.base['n_candidates']:,} now."
    )
    columns.columns(
        case.explainers,
        partial(explain_recipe, case),
        partial(_card, case),
        key="set",
        title=lambda name: f"{name}: why {title} for {person_label(*state.view().person)}",
    )
    _importance(case)


def _card(case: Case, found: Sequence[Any]) -> None:
    row = found[0].as_dict()
    columns.answer(case, row)
    certificate = row["details"].get("certificate")
    with st.container(gap=None, key=f"sizes_{row['explainer']}"):
        if certificate:
            st.html(cards.fact("certificate", "", certificate))
        if row["found"] and row["necessary"]:
            for goal in ("necessary", "both") if row["sufficient"] else ("necessary",):
                _size(case, row, goal)


def _size(case: Case, row: Mapping[str, Any], goal: str) -> None:
    """How far the set is from the smallest of its kind; nothing where that cannot be found."""

    def draw(best: Any) -> None:
        st.html(cards.fact(*size_fact(row, best[0].as_dict(), goal)))

    fetch.panel(
        smallest(case, goal),
        draw,
        key=f"smallest_{goal}_{row['explainer']}",
        title=f"Smallest set that is {GOALS[goal]}",
        failed=lambda outcome: None,
    )


def smallest(case: Case, goal: str) -> Explain:
    """The question for the smallest set of a kind, the yardstick of all others."""
    named = _build.explainer_of("minimal", {"goal": goal}, form_of=frame.forms().form_of)
    return Explain(case.fit, (case.person,), (case.target,), named, k=state.view().k)


def size_fact(row: Mapping[str, Any], best: Mapping[str, Any], goal: str) -> tuple[str, str, str]:
    """(term, label, words): how the size of a needed set compares with the smallest one of its kind."""
    label = f"fewest {GOALS[goal]}"
    if not best["found"]:
        return "smallest set", label, "none found"
    least, proved = len(best["items"]), best["details"].get("smallest") == "proved"
    more = len(row["items"]) - least
    said = f"{least}, proved" if proved else f"{least} or fewer"
    if more > 0:
        return "smallest set", label, f"{said}; {more} more here"
    return "smallest set", label, f"{said}; as few here" if more == 0 else f"{len(row['items'])} or fewer"


# -- the importance of every item


def _importance(case: Case) -> None:
    """Bars over the history, once the answers are here; the chart keeps its place while they come."""

    @st.fragment(parallel=True)
    def body() -> None:
        rows, waiting, missing = columns.answers(case)
        st.markdown(
            "**What each history item counts** :gray[Bars: the explainer's own value, longest bar of each explainer "
            "alike. ◆ named.]"
        )
        said = [f"{text.plural(waiting, 'explanation')} still to come"] if waiting else []
        said += [f"{text.plural(missing, 'explainer')} without an answer"] if missing else []
        st.caption(
            "Values of different explainers have different units: compare the order, not the numbers."
            + (f" {'; '.join(said)}." if said else "")
        )
        if waiting and not rows:
            st.skeleton(height=300)
            return
        st.plotly_chart(
            figures.importance(case.base["history"], rows, case.lanes, columns.labels(case)),
            key="importance_chart",
            config=CHART,
            alt="Bars of importance over the history, one row per explainer.",
        )

    body()
