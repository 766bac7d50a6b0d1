"""A case as files: everything as JSON, the lists and the explanations as CSV; made when somebody clicks."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import streamlit as st

from recx.recipes._recipe import versions
from recx.recipes.explain import Explain
from recx.recipes.recommend import Recommend
from recx.ui import fetch
from recx.ui.case import Case, explain_recipe, person_of
from recx.ui.state import view
from recx.ui.view import View


def buttons(this: Case) -> None:
    """Three downloads. The files are made in a thread without a session, so the questions are put together here."""
    now = view()
    name = f"{now.dataset}-{now.model}-{now.person[0] or 'new'}"
    asked = [explain_recipe(this, one) for one in this.explainers if this.chosen]
    _button("Whole case (JSON)", lambda: as_json(this, now, asked), f"{name}.json", "application/json")
    _button("Recommendations (CSV)", lambda: as_csv(this.base["items"]), f"{name}-list.csv", "text/csv")
    _button("Explanations (CSV)", lambda: as_csv(answers(asked)), f"{name}-explanations.csv", "text/csv")


def answers(asked: Sequence[Explain]) -> list[dict[str, Any]]:
    """The explanations that are at hand."""
    return [found[0].as_dict() for found in map(fetch.peek, asked) if found]


def _button(label: str, make: Callable[[], str], name: str, kind: str) -> None:
    st.download_button(label, make, name, kind, on_click="ignore", width="stretch")


def as_json(this: Case, now: View, asked: Sequence[Explain]) -> str:
    """View, versions, history, list, what-if list, explanations."""
    what_if = fetch.get(Recommend(this.fit, (person_of(*now.person, now.off),), now.k)).result if now.off else None
    case = {
        "view": asdict(now),
        "versions": versions(this.fit),
        "case": dict(this.base),
        "what_if": what_if[0]["items"] if what_if else None,
        "explanations": answers(asked),
    }
    return json.dumps(case, indent=1, ensure_ascii=False, default=str)


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """One line per row; lists are JSON text; empty where there is no value."""
    out = io.StringIO()
    names = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_cell(row.get(name)) for name in names] for row in rows)
    return out.getvalue()


def _cell(value: Any) -> Any:
    """Text that a spreadsheet would run as a formula gets a leading apostrophe."""
    if isinstance(value, (tuple, list, dict)):
        return json.dumps(value, ensure_ascii=False)
    return f"'{value}" if isinstance(value, str) and value[:1] and value[:1] in "=+-@\t\r" else value
