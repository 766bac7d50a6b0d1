"""The association rules of a whole data set, beside the base rate that anybody's confidence would be without them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from recx.core.errors import BadInput
from recx.recipes import _build
from recx.recipes.global_rules import GlobalRules
from recx.ui import columns, fetch, frame, settings, text
from recx.ui.rule_sliders import ASSOCIATION, set_field, sliders
from recx.ui.state import view
from recx.ui.words import tell

MOST = 100
"""Rules shown; all that pass are counted."""
COLUMNS = {
    "title": st.column_config.TextColumn("Who has this", width="medium"),
    "target_title": st.column_config.TextColumn("also has this", width="medium"),
    "support": st.column_config.NumberColumn("Support", format="percent", help=tell("support")),
    "confidence": st.column_config.NumberColumn("Confidence", format="percent", help=tell("confidence")),
    "base_rate": st.column_config.NumberColumn("Base rate", format="percent", help=tell("base_rate")),
    "lift": st.column_config.NumberColumn("Lift", format="%.2f", help=tell("lift")),
    "leverage": st.column_config.NumberColumn("Leverage", format="%.4f", help=tell("leverage")),
}


def whole() -> None:
    """Thresholds, then the strongest rules that pass them."""
    st.subheader("Which items go together?", anchor="data", help=tell("rule"))
    known, now = frame.forms(), view()
    if ASSOCIATION not in known.names("explainers"):
        st.caption("This version has no association rules.")
        return
    sliders([ASSOCIATION])
    with st.container(horizontal=True, vertical_alignment="bottom"):
        _order(known.form_of("explainers", ASSOCIATION))
        columns.settings_of(ASSOCIATION)
    try:
        fit = frame.fit_of(now.model, now.settings, now.seed)
        own = _build.explainer_of(ASSOCIATION, dict(now.settings_of(ASSOCIATION)), form_of=known.form_of)
    except BadInput as error:
        st.error(text.md(error), icon=":material/error:")
        return
    fetch.panel(GlobalRules(fit, own, MOST), _table, key="rules_of_data", title=f"Association rules of {now.dataset}")


def _order(form: Mapping[str, Any]) -> None:
    row = next(row for row in form["parameters"] if row["name"] == "by")
    key = "rules_of_data_by"
    st.session_state[key] = dict(view().settings_of(ASSOCIATION)).get("by", row["default"])
    st.segmented_control(
        "Strongest by",
        row["choices"],
        format_func=lambda one: text.md(settings.spoken(one)),
        required=True,
        key=key,
        on_change=lambda: set_field(form, "by", st.session_state[key]),
    )


def _table(found: Mapping[str, Any]) -> None:
    rows = found["rules"]
    st.caption(words(found))
    if not rows:
        st.info("No rule passes these thresholds: lower one of them.", icon=":material/search_off:")
        return
    st.dataframe(
        [{name: row[name] for name in COLUMNS} for row in rows], column_config=COLUMNS, hide_index=True, width="stretch"
    )
    st.markdown(
        ":orange[**A confidence near the base rate says nothing:**] so many have the second item anyway. A rule says "
        "what people have together, not what the recommender reacts to, and not that one item leads to the other."
    )


def words(found: Mapping[str, Any]) -> str:
    """How many histories were counted and how many rules pass, in a sentence of markdown."""
    passing, shown = found["passing"], len(found["rules"])
    histories = text.plural(found["histories"], "history", "histories")
    said = f"{text.plural(passing, 'rule')} of one item each over {histories}"
    return f"{said} {'passes' if passing == 1 else 'pass'}" + (f"; the first {shown:,}." if shown < passing else ".")
