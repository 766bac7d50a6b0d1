"""A case as files: everything as JSON, the lists and the explanations as CSV; made when somebody clicks."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from recx.recipes._recipe import versions
from recx.recipes.recommend import Recommend
from recx.ui import fetch
from recx.ui.state import view

if TYPE_CHECKING:
    from recx.ui.case import Case


def buttons(this: Case) -> None:
    """Three downloads."""
    now = view()
    name = f"{now.dataset}-{now.model}-{now.person[0] or 'new'}"
    st.download_button(
        "Whole case (JSON)",
        lambda: as_json(this),
        f"{name}.json",
        "application/json",
        on_click="ignore",
        width="stretch",
    )
    st.download_button(
        "Recommendations (CSV)",
        lambda: lists_csv(this),
        f"{name}-list.csv",
        "text/csv",
        on_click="ignore",
        width="stretch",
    )
    st.download_button(
        "Explanations (CSV)",
        lambda: explanations_csv(this),
        f"{name}-explanations.csv",
        "text/csv",
        on_click="ignore",
        width="stretch",
    )


def explained(this: Case) -> list[dict[str, Any]]:
    """The explanations that are at hand."""
    from recx.ui.case import explain_recipe

    stored = [fetch.peek(explain_recipe(this, name)) for name in this.explainers if this.target]
    return [found[0].as_dict() for found in stored if found]


def as_json(this: Case) -> str:
    """View, versions, history, list, what-if list, explanations."""
    from recx.ui.case import person_of

    now = view()
    what_if = fetch.get(Recommend(this.fit, (person_of(*now.person, now.off),), now.k)).result if now.off else None
    case = {
        "view": asdict(now),
        "versions": versions(this.fit),
        "case": dict(this.base),
        "what_if": what_if[0]["items"] if what_if else None,
        "explanations": explained(this),
    }
    return json.dumps(case, indent=1, ensure_ascii=False, default=str)


def lists_csv(this: Case) -> str:
    """The recommendations, one row each."""
    return guarded(pd.DataFrame(this.base["items"])).to_csv(index=False)


def explanations_csv(this: Case) -> str:
    """The explanations, one row each; lists are JSON text."""
    rows = [
        {k: json.dumps(v, ensure_ascii=False) if isinstance(v, (tuple, list, dict)) else v for k, v in row.items()}
        for row in explained(this)
    ]
    return guarded(pd.DataFrame(rows)).to_csv(index=False)


def guarded(table: pd.DataFrame) -> pd.DataFrame:
    """Text that a spreadsheet would run as a formula gets a leading apostrophe."""
    return table.map(
        lambda value: f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" and value[:1] else value
    )
