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
GROUPS = {
    "Learning": "loss negatives calibration lr learning_rate batch dropout weight_decay regularisation reg l2 noise",
    "When to stop": "epochs iterations sweeps patience check_every max_seconds",
}
"""Headings of a long form -> the fields under them; all others stand first, under `Model`."""


def model_settings(form: dict[str, Any]) -> None:
    """The settings of the chosen model."""
    _form(form, view().settings, lambda pairs: change(settings=pairs))


def other_settings(form: dict[str, Any]) -> None:
    """The settings of the model that stands beside the chosen one."""
    _form(form, view().other_settings, lambda pairs: change(other_settings=pairs), "other")


def explainer_settings(form: dict[str, Any]) -> None:
    """The settings of one explainer."""
    name = form["name"]
    _form(form, view().settings_of(name), lambda pairs: change(explainer_settings=view().with_settings(name, pairs)))


def training(form: dict[str, Any], *, busy: bool) -> bool:
    """All settings of the chosen model at once, in groups, and the button that trains it: True when it was pressed."""
    now = view().settings
    owner, given = f"train_{form['name']}", dict(now)
    with st.form(f"{owner}_{now}"):
        words: dict[str, Any] = {}
        for heading, rows in grouped(form["parameters"]).items():
            if heading:
                st.markdown(f"**{heading}**")
            grid = st.grid(4, min_column_width=150)
            for row in rows:
                with grid.cell():
                    value = given.get(row["name"], row["default"])
                    words[row["name"]] = _field(row, value, owner, ranged=True)
        if not form["parameters"]:
            st.caption("This model has no settings.")
        with st.container(horizontal=True):
            train = st.form_submit_button("Train", type="primary", icon=":material/model_training:", disabled=busy)
            default = form["parameters"] and st.form_submit_button("Defaults", disabled=not now)
    try:
        if train or default:
            change(settings=() if default else clean(form["name"], form["parameters"], words))
            if default:
                st.rerun()
    except BadInput as error:
        st.error(text.md(error), icon=":material/error:")
        return False
    return train


def grouped(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The fields of a form under their headings, in the form's order; a short form has one group without a heading."""
    heading_of = {name: heading for heading, names in GROUPS.items() for name in names.split()}
    found: dict[str, list[dict[str, Any]]] = {heading: [] for heading in ("Model", *GROUPS)}
    for row in rows:
        found[heading_of.get(row["name"], "Model")].append(row)
    full = {heading: own for heading, own in found.items() if own}
    return full if len(rows) > 4 and len(full) > 1 else {"": rows} if rows else {}


def _form(form: dict[str, Any], now: Pairs, keep: Callable[[Pairs], None], part: str = "settings") -> None:
    """One field per parameter, one button that applies them and one for the defaults."""
    if not form["parameters"]:
        st.caption(f"{text.md(form['title'].split(':')[0])} has no settings.")
        return
    owner, given = f"{part}_{form['name']}", dict(now)
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


def _field(row: dict[str, Any], value: Any, owner: str, *, ranged: bool = False) -> Any:
    unit, span = f" ({row['unit']})" if row.get("unit") else "", allowed(row)
    label, key = text.md(row["name"]) + unit, f"{owner}_{row['name']}_{value}"
    default = f"  \nDefault: {text.md(row['default'])}." + (f" Allowed: {text.md(span)}." if span else "")
    help_text = text.md(row["text"]).rstrip("\\.") + "." + default
    if ranged and span:
        label += f" :gray[:small[{text.md(span)}]]"
    if row.get("choices"):
        options = list(row["choices"])
        return st.selectbox(label, options, index=options.index(value), help=help_text, key=key)
    if row["type"] == "bool":
        return st.toggle(label, value, help=help_text, key=key)
    return st.text_input(label, str(value), help=help_text, key=key)


SPOKEN = {
    "min_support": "least support",
    "min_confidence": "least confidence",
    "min_lift": "least lift",
    "m": "perturbed histories (m)",
    "gamma": "decay (gamma)",
    "rank_limit": "causes looked at (k)",
    "variance": "strength of the changes",
    "window": "latest items changed",
}


def spoken(field: str) -> str:
    """A field as a label says it. Not escaped."""
    return SPOKEN.get(field, field.replace("_", " "))


def allowed(row: dict[str, Any]) -> str:
    """The range of a field in words: `1 to 4,096`, `at least 1`; empty when any value will do. Not escaped."""
    low, high = (None if row.get(end) is None else _bound(row[end]) for end in ("low", "high"))
    if low is None or high is None:
        return f"at least {low}" if low is not None else f"at most {high}" if high is not None else ""
    return f"{low} to {high}"


def _bound(value: float) -> str:
    """An end of a range, short: 4,096, 0.5, 1e6, 1e-7."""
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return text.number(value)
    head, _, power = f"{value:.3g}".replace("e", "e ").partition(" ")
    return f"{head}{int(power)}" if power else text.number(value)


def changed_words(pairs: Pairs) -> str:
    """The settings that differ from the defaults, for a label; empty when none does. Not escaped."""
    return ", ".join(f"{name} {value}" for name, value in pairs)
