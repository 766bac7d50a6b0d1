"""Rules over many users: the paper's tables beside ours, the controls, real interventions, and the sweeps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from recx.core.errors import BadInput
from recx.engine import shipped
from recx.figures import rules as rule_figures
from recx.figures import sets as figures
from recx.ui import frame, scores, settings, text
from recx.ui.case import CHART
from recx.ui.state import view
from recx.ui.view import RULE_WHO

Row = dict[str, Any]
SWEEPS = "causal-rules-sweeps"


@dataclass(frozen=True)
class Table:
    """A stored study as a scorecard: the question it answers, its panels, and what to think of it."""

    study: str
    question: str
    panels: Mapping[str, str]
    words: str


TABLES = (
    Table(
        "causal-rules-table2",
        "For how many recommendations is there a rule?",
        {"coverage": "Coverage (%)"},
        ":orange[**Whatever always answers covers 100 %**], a random item of the history too. The paper calls this "
        "number *fidelity*; it does not measure whether an explanation is faithful, so it has another name here.",
    ),
    Table(
        "causal-rules-table3",
        "Does the recommendation come more often with the cause than without?",
        {
            "verified_share": "Same histories (%)",
            "fresh_verified_share": "Fresh histories (%)",
            "fresh_sure_share": "Fresh, sure (%)",
            "effect": "Put back (points)",
        },
        "Share of causes with which the recommendation comes more often: in the perturbed histories that the rule was "
        "made from (the paper's test), in fresh ones, in fresh ones with an interval above zero; and how many points "
        "putting the item back adds. × a random item of the same history.",
    ),
    Table(
        "causal-rules-beyond",
        "Does the recommendation change when the named item is really taken out?",
        {
            "delete": "Deleted (%)",
            "replace_random": "Replaced at random (%)",
            "replace_matched": "Replaced, as popular (%)",
            "fresh_verified_share": "Fresh histories (%)",
        },
        "Every way of naming one of the latest items, on the same users. *Leave one out* tries all of them and is the "
        "ceiling of the first panel; *random item* is the floor.",
    ),
)
PARAMETERS = {
    "gamma": "decay (gamma)",
    "m": "perturbed histories (m)",
    "variance": "strength of the changes (variance)",
    "share": "share replaced at random",
    "steps": "steps of fitting",
    "beta": "weight of the prior (beta)",
    "fit": "form of the fit",
    "vectors": "item vectors",
}
LINES = {
    ("coverage", "k=1"): "coverage, k = 1",
    ("coverage", "k=2"): "coverage, k = 2",
    ("coverage", "k=3"): "coverage, k = 3",
    ("verified_share", "k=1"): "verified (Eq. 2)",
    ("most_recent", "k=1"): "cause is the latest item",
    ("same_cause", "k=1"): "cause as by default",
    ("changed_positions", "k=1"): "positions changed",
}
NAMES = {
    "random-item": "Random item",
    "most-recent": "Most recent item",
    "most-popular": "Most popular item",
    "gradient-x-input": "Gradient × input",
    "largest-difference": "Largest difference",
}


def many() -> None:
    """The stored tables for one data set and recommender."""
    st.subheader("Over many users", anchor="many", help="Published numbers beside ours, with controls.")
    try:
        stored = {table.study: shipped.read(table.study) for table in TABLES} | {SWEEPS: shipped.read(SWEEPS)}
        known = recommenders(row for tables in stored.values() for one in tables for row in one["rows"])
        if not known:
            scores.compute(TABLES[0].study, "No table of causal rules is stored yet.")
            return
        dataset, model = chosen(known)
    except BadInput as error:
        st.error(text.md(error), icon=":material/error:")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        scores.pick("Data set", list(known), "rule_data", dataset, frame.data_label)
        scores.pick("Recommender", known[dataset], "rule_model", model, scores.short)
    for table in TABLES:
        _table(table, stored[table.study], dataset, model)
    _sweeps(stored[SWEEPS], dataset, model)


def recommenders(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Data set -> recommenders, in the order of the rows; rows of no recommender, or of two, are left out."""
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        if row["recommender"] and " over " not in row["recommender"]:
            found.setdefault(row["dataset"], {})[row["recommender"]] = None
    return {dataset: list(own) for dataset, own in found.items()}


def chosen(known: Mapping[str, Sequence[str]]) -> tuple[str, str]:
    """Data set and recommender to show; those of the view, else the nearest. Raises BadInput for one not stored."""
    now = view()
    wanted = (now.rule_data, now.rule_model)
    return scores.among_stored(known, wanted, ("recommender", now.model), " among the stored tables of rules")


def _table(table: Table, stored: Sequence[Mapping[str, Any]], dataset: str, model: str) -> None:
    st.markdown(f"##### {table.question}")
    rows = [row for one in stored for row in one["rows"] if (row["dataset"], row["recommender"]) == (dataset, model)]
    who = ""
    if any(row["setting"] in RULE_WHO for row in rows):
        who = view().rule_who
        scores.pick("Users", RULE_WHO, "rule_who", who)
    shown = lines(rows, table.panels, who)
    if not shown:
        st.caption(scores.missing(table.study, dataset))
        return
    st.plotly_chart(
        figures.scorecard(shown, table.panels),
        key=f"{table.study}_{dataset}_{model}_{who}",
        config=CHART,
        alt=f"{table.question} {len(shown)} lines with 95 % intervals.",
    )
    st.markdown(table.words + (" ◇ published." if _published(shown, table.panels) else ""))
    with st.expander("The numbers", icon=":material/table_chart:", key=f"numbers_{table.study}"):
        st.dataframe([scores.line(row, table.panels) for row in shown], hide_index=True, width="stretch")


def lines(rows: Iterable[Mapping[str, Any]], panels: Mapping[str, str], who: str = "") -> list[Row]:
    """One row per system and setting: label, explainer, one dict per metric. With `who`, only that setting."""
    found: dict[tuple[str, str], Row] = {}
    for row in rows:
        if row["seed"] is None and row["metric"] in panels and (not who or row["setting"] == who):
            key = (row["system"], "" if who else row["setting"])
            own = found.setdefault(key, {"explainer": row["system"], "label": label(*key)})
            own[row["metric"]] = row
    return list(found.values())


def label(system: str, setting: str) -> str:
    """What a line is called: `Causal rules, k = 1`. Not escaped."""
    name = NAMES.get(system) or scores.called(system, system)
    return f"{name}, {setting.replace('=', ' = ')}" if setting else name


def _published(rows: Iterable[Row], panels: Mapping[str, str]) -> bool:
    return any((row.get(metric) or {}).get("published") is not None for row in rows for metric in panels)


# -- the sweeps


def _sweeps(stored: Sequence[Mapping[str, Any]], dataset: str, model: str) -> None:
    st.markdown("##### What the settings do")
    rows = [row for one in stored for row in one["rows"] if row["dataset"] == dataset and row["seed"] is None]
    own = [row for row in rows if row["recommender"] == model and row["param"] in PARAMETERS]
    known = [name for name in PARAMETERS if any(row["param"] == name for row in own)]
    if not known:
        st.caption(scores.missing(SWEEPS, dataset))
        return
    now = view().rule_sweep if view().rule_sweep in known else known[0]
    scores.pick("Setting", known, "rule_sweep", now, settings.spoken)
    st.plotly_chart(
        rule_figures.sweep(over(own, now), PARAMETERS[now]),
        key=f"sweep_{dataset}_{model}_{now}",
        config=CHART,
        alt=f"Coverage and verified share over {PARAMETERS[now]}.",
    )
    st.caption("95 % intervals by bootstrap over users. The paper shows these curves without numbers.")


def over(rows: Iterable[Mapping[str, Any]], parameter: str) -> dict[str, list[Row]]:
    """Label -> points over the values of a parameter, numbers in their order."""
    found: dict[str, list[Row]] = {}
    mine = [row for row in rows if row["param"] == parameter]
    for key, name in LINES.items():
        points = [dict(row) | {"value": row["param_value"]} for row in mine if (row["metric"], row["setting"]) == key]
        if points:
            found[name] = sorted(points, key=lambda row: _number(row["value"]))
    return found


def _number(value: str) -> tuple[float, str]:
    try:
        return float(value), ""
    except ValueError:
        return float("inf"), value
