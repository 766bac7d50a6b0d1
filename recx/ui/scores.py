"""Explainers over many users: the stored tables with intervals, length against quality, or how to compute them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import streamlit as st

from recx.core.errors import BadInput, unknown
from recx.engine import shipped
from recx.figures import sets as figures
from recx.studies._build import study_of
from recx.ui import explainers, fetch, frame, state, text
from recx.ui.case import CHART
from recx.ui.state import change, view

STUDY, SWEEP = "lcer-table2", "lcer-sweeps"
PANELS = {"pn": "Needed, PN (%)", "ps": "Enough alone, PS (%)", "f_ns": "Both, F_NS (%)", "length": "Items named"}
"""Metrics of the scorecard; the first three are shares of the recommendations that have an explanation."""
COLUMNS = (
    {"validity": "own condition", "validity_rank": "leaves the list"}
    | PANELS
    | {"distance": "items too many", "at_optimum": "smallest possible (%)", "model_calls": "runs", "milliseconds": "ms"}
)
"""Metrics of the table: those of the panels, how far from the smallest possible set, and what an explanation costs."""
PLAIN = ("K", "", None)
"""Parameters of the rows that are no sweep."""
CONVENTIONS = {"app": "as this app counts", "as-published": "as the paper counts"}
Row = dict[str, Any]
Boards = dict[str, dict[str, list[Row]]]


def many() -> None:
    """The scorecard of a stored study, and its trade-off between length and quality."""
    st.subheader("Over many users", anchor="many", help="Each explainer on the same recommendations of the same users.")
    try:
        found = boards(shipped.read(STUDY), view().convention)
        if not found:
            compute(STUDY, "No scorecard is stored yet.")
            return
        dataset, setting = chosen(found)
    except BadInput as error:
        st.error(text.md(error), icon=":material/error:")
        return
    _choose(found, dataset, setting)
    rows = found[dataset][setting]
    st.plotly_chart(
        figures.scorecard(rows, PANELS),
        key=f"scorecard_{dataset}_{setting}_{view().convention}",
        config=CHART,
        alt=f"Scores of {len(rows)} explainers on {dataset}, {setting}, with 95 % intervals.",
    )
    st.caption(_legend(rows))
    with st.expander("The numbers", icon=":material/table_chart:"):
        st.dataframe([line(row, COLUMNS) for row in rows], hide_index=True, width="stretch")
    _tradeoff(dataset, setting, rows)


def _choose(found: Boards, dataset: str, setting: str) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        pick("Data set", list(found), "scores", dataset, frame.data_label)
        pick("List", list(found[dataset]), "scores_setting", setting)
        state.control(
            st.segmented_control,
            "Counting",
            tuple(CONVENTIONS),
            field="convention",
            format_func=CONVENTIONS.get,
            required=True,
            help="As this app counts: a removed item cannot be recommended, and a tie counts against the item. The "
            "paper lets removed items come back and counts ties in favour.",
        )


def pick(label: str, options: Sequence[str], field: str, now: str, spoken: Callable[[str], str] | None = None) -> None:
    """A choice among what is stored, for a field of the view whose empty value means the first."""
    key = f"choose_{field}"
    st.session_state[key] = now
    st.segmented_control(
        label,
        options,
        format_func=lambda one: text.md(spoken(one) if spoken else one),
        required=True,
        key=key,
        on_change=lambda: change(**{field: st.session_state[key]}),
    )


def chosen(found: Boards) -> tuple[str, str]:
    """Data set and setting to show: those of the view, else the nearest. Raises BadInput for one that is not stored."""
    now = view()
    return among_stored(found, (now.scores, now.scores_setting), ("list", f"top-{now.k}"), " among the stored scores")


def among_stored(
    known: Mapping[str, Collection[str]], wanted: tuple[str, str], second: tuple[str, str], where: str
) -> tuple[str, str]:
    """A stored data set and one of what is stored for it. Raises BadInput for what is stored nowhere.

    `known`: data set -> what is stored for it. `wanted`: the two of the view; where empty, or where only another data
    set has the second, the data set on the left, and the second's likeliest value, else the first. `second`: what it
    is called, and that value.
    """
    dataset, own = wanted
    dataset = dataset or (view().dataset if view().dataset in known else next(iter(known)))
    if dataset not in known:
        raise unknown("data set", dataset, known, where)
    called, likeliest = second
    if own and not any(own in stored for stored in known.values()):
        raise unknown(called, own, known[dataset], where)
    return dataset, next((one for one in (own, likeliest) if one in known[dataset]), next(iter(known[dataset])))


def missing(study: str, dataset: str = "") -> str:
    """That something is not stored, with the command that computes and stores it; markdown."""
    on = f" --dataset {dataset}" if dataset else ""
    return f"Not stored for this choice; `python -m recx study {study}{on} --keep` computes and stores it."


# -- the rows


def boards(stored: Iterable[Mapping[str, Any]], convention: str) -> Boards:
    """Data set -> setting -> one row per explainer, the best F_NS first: label, explainer, one dict per metric."""
    found: dict[str, dict[str, dict[str, Row]]] = {}
    for table in stored:
        for row in table["rows"]:
            counted = row["convention"] in (convention, None) and row["param"] in PLAIN
            if row["seed"] is None and counted and row["metric"] in COLUMNS:
                own = found.setdefault(row["dataset"], {}).setdefault(row["setting"], {})
                name, explainer = row["system"], row["explainer"] or row["system"]
                line = own.setdefault(name, {"explainer": explainer, "label": called(name, explainer)})
                line[row["metric"]] = row
    return {
        dataset: {setting: sorted(own[setting].values(), key=_order) for setting in sorted(own, key=_numbered)}
        for dataset, own in sorted(found.items())
    }


def _order(row: Row) -> tuple[float, str]:
    value = (row.get("f_ns") or {}).get("measured")
    return (-value if value is not None else 1.0, row["label"])


def _numbered(setting: str) -> tuple[str, int]:
    head, _, number = setting.partition("-")
    return head, int(number) if number.isdigit() else 0


def called(system: str, explainer: str) -> str:
    """What a line is called: the explainer's short title and what sets the line apart. Not escaped."""
    rest = system.removeprefix(explainer).strip("-").replace("-", " ")
    return explainers.short(explainer) + (f", {rest}" if rest else "")


def short(model: str) -> str:
    """What a model is called. Not escaped."""
    known = frame.forms()
    return frame.short(known.form_of("models", model)) if model in known.names("models") else model


def line(row: Row, columns: Mapping[str, str]) -> Row:
    """A row of a table: measured with interval, and the paper's cell where there is one."""
    out: Row = {"explainer": row["label"]}
    for metric, title in columns.items():
        cell = row.get(metric) or {}
        if cell:
            out[title] = _cell(cell)
        if cell.get("published") is not None:
            out[f"{title}, paper"] = f"{cell['published']:g}"
    return out


def _cell(cell: Mapping[str, Any]) -> str:
    value, low, high = (cell.get(name) for name in ("measured", "ci_low", "ci_high"))
    if value is None:
        return "–"
    return f"{value:.4g}" if low is None else f"{value:.4g} ({low:.4g} to {high:.4g})"


def _legend(rows: Sequence[Row]) -> str:
    n = max((int(row["validity"]["n"]) for row in rows if row.get("validity")), default=0)
    models = {row["validity"]["recommender"] for row in rows if row.get("validity")}
    on = " and ".join(sorted(text.md(short(name)) for name in models if name))
    said = f"Explainers of {on}. " if on else ""
    said += f"● measured over {text.plural(n, 'recommendation')}, with 95 % intervals by bootstrap over users"
    cells = [row[metric] for row in rows for metric in PANELS if row.get(metric)]
    if any(cell.get("published") is not None for cell in cells):
        said += " · ◇ published"
    if any(cell.get("placebo") is not None for cell in cells):
        said += " · × random items, as many: what naming anything would reach"
    return said + "."


# -- length against quality


def _tradeoff(dataset: str, setting: str, rows: Sequence[Row]) -> None:
    st.markdown("##### Length against quality")
    stored = shipped.read(SWEEP)
    curves = {name: sweep(stored, dataset, setting, view().convention, name) for name in ("lambda", "alpha")}
    points = [point for row in rows if (point := as_point(row))]
    st.plotly_chart(
        figures.tradeoff(curves, points),
        key=f"tradeoff_{dataset}_{setting}_{view().convention}",
        config=CHART,
        alt="F_NS against the number of items named.",
    )
    better = "Up and to the left is better: few items, both needed and enough."
    st.caption(
        "The lines are LCER with its penalty lambda, and its margin alpha, turned up; every other mark is one "
        f"explainer. {better}"
        if any(curves.values())
        else f"{better} The line of LCER over lambda: {missing(SWEEP, dataset)}"
    )


def as_point(row: Row) -> Row | None:
    """An explainer's place in the trade-off; None without both numbers."""
    length, quality = row.get("length") or {}, row.get("f_ns") or {}
    if length.get("measured") is None or quality.get("measured") is None:
        return None
    return {
        "explainer": row["explainer"],
        "label": row["label"],
        "length": length["measured"],
        "f_ns": quality["measured"],
        "f_ns_low": quality.get("ci_low"),
        "f_ns_high": quality.get("ci_high"),
    }


def sweep(
    stored: Iterable[Mapping[str, Any]], dataset: str, setting: str, convention: str, parameter: str
) -> list[Row]:
    """The stored curve over a parameter, in the order of its values: dicts of value, length, f_ns and its bounds."""
    found: dict[float, Row] = {}
    for table in stored:
        for row in table["rows"]:
            same = (row["dataset"], row["setting"], row["convention"]) == (dataset, setting, convention)
            if same and row["seed"] is None and row["param"] == parameter:
                point = found.setdefault(float(row["param_value"]), {"value": float(row["param_value"])})
                if row["metric"] == "length":
                    point["length"] = row["measured"]
                elif row["metric"] == "f_ns":
                    point |= {"f_ns": row["measured"], "f_ns_low": row["ci_low"], "f_ns_high": row["ci_high"]}
    whole = [point for point in found.values() if {"length", "f_ns"} <= set(point)]
    return sorted(whole, key=lambda point: float(point["value"]))


# -- when nothing is stored


def compute(study: str, nothing: str) -> None:
    """That a table is not stored, a button that computes a small version as a job, and the command for all of it."""
    st.info(text.md(nothing), icon=":material/table_chart:")
    known = frame.forms().names("studies")
    if study not in known:
        st.caption(f"The study {text.md(study)} is not part of this version.")
        return
    st.markdown("The whole table takes long; this computes and stores it:")
    st.code(f"python -m recx study {study} --keep", language=None)
    try:
        recipe = study_of(study, small=True, form_of=frame.forms().form_of)
    except BadInput as error:
        st.caption(text.md(error))
        return
    _small(recipe, study)


def _small(recipe: Any, study: str) -> None:
    title = f"Small version of {study}"
    outcome = fetch.now(recipe)
    if outcome.result is not None:
        rows = [row for row in shipped.records(outcome.result) if row.get("seed") is None]
        names = "dataset recommender system setting metric convention published measured ci_low ci_high n".split()
        st.dataframe([{name: row.get(name) for name in names} for row in rows], hide_index=True, width="stretch")
        st.caption("A small version: few users, short searches. It shows the form of the table, not the numbers.")
    elif outcome.job is not None:
        fetch.show(outcome, f"small_{study}")
    elif st.button("Compute a small version now", key=f"start_{study}", icon=":material/play_arrow:"):
        fetch.get(recipe, title, wait=0.0)
        st.rerun()
