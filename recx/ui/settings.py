"""Forms made of a recipe's parameters: one field each, checked together, kept in the view."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from recx.core.errors import BadInput
from recx.core.recipe import clean
from recx.ui import text
from recx.ui.state import change, view

Pairs = tuple[tuple[str, Any], ...]


def model_settings(form: dict[str, Any]) -> None:
    """The settings of the chosen model."""
    _form(form, view().settings, lambda pairs: change(settings=pairs))


def explainer_settings(form: dict[str, Any]) -> None:
    """The settings of one explainer."""
    name = form["name"]
    _form(form, view().settings_of(name), lambda pairs: change(explainer_settings=view().with_settings(name, pairs)))


def _form(form: dict[str, Any], now: Pairs, keep: Callable[[Pairs], None]) -> None:
    """One field per parameter, one button that applies them and one for the defaults."""
    if not form["parameters"]:
        st.caption(f"{text.md(form['title'].split(':')[0])} has no settings.")
        return
    owner, given = f"settings_{form['name']}", dict(now)
    with st.form(f"{owner}_{now}", border=False):
        words = {row["name"]: _field(row, given.get(row["name"], row["default"]), owner) for row in form["parameters"]}
        left, right = st.columns(2)
        apply = left.form_submit_button("Apply", type="primary", width="stretch")
        default = right.form_submit_button("Defaults", disabled=not now, width="stretch")
    if not (apply or default):
        return
    try:
        keep(() if default else clean(form["name"], form["parameters"], words))
    except BadInput as error:
        st.error(text.md(error), icon=":material/error:")
    else:
        st.rerun(scope="app")


def _field(row: dict[str, Any], value: Any, owner: str) -> Any:
    unit = f" ({row['unit']})" if row.get("unit") else ""
    label, key = text.md(row["name"]) + unit, f"{owner}_{row['name']}_{value}"
    default = f"  \nDefault: {text.md(row['default'])}."
    help_text = text.md(row["text"]).rstrip("\\.") + "." + default
    if row.get("choices"):
        options = list(row["choices"])
        return st.selectbox(label, options, index=options.index(value), help=help_text, key=key)
    if row["type"] == "bool":
        return st.toggle(label, value, help=help_text, key=key)
    return st.text_input(label, str(value), help=help_text, key=key)


def changed_words(pairs: Pairs) -> str:
    """The settings that differ from the defaults, for a label; empty when none does. Not escaped."""
    return ", ".join(f"{name} {value}" for name, value in pairs)
