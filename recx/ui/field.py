"""The wider field's measures of explanations, from the stored benchmark: fixed lengths, what is named, agreement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import streamlit as st

from recx.core.errors import BadInput, unknown
from recx.engine import shipped
from recx.figures import palette
from recx.figures import rules as line_figures
from recx.figures import sets as figures
from recx.ui import frame, scores, state, text
from recx.ui.case import CHART
from recx.ui.listed import LABELS as REPLACE_LABELS
from recx.ui.state import view
from recx.ui.view import AGREE, BENCH_STEPS, BENCH_WHO, REPLACE

STUDY = "explanation-benchmark"
WHO = {"all": "all", "hits": "hits: really chosen later", "misses": "misses"}
AGREEMENT = {"jaccard": "same items named", "spearman": "same order of items"}
FIXED = {"pos": "POS ↓", "neg": "NEG ↑", "del": "DEL ↓", "ins": "INS ↑", "cndcg": "CNDCG ↓"}
"""Measures at fixed lengths -> title; the arrow says which way is better."""
NAMED = {"stability": "Stability ↑", "gini": "Gini of what is named", "popularity": "Its popularity (percentile)"}
LISTS = "list-benchmark"
OF_LISTS = {
    "coverage": "Coverage (%) ↑",
    "length": "Items named ↓",
    "pn_s": "New, PN-S (%)",
    "pn_r": "By place, PN-R (%)",
}
Row = dict[str, Any]


def measures() -> None:
    """The stored benchmark of one data set."""
    st.subheader("More measures", anchor="measures", help="Explainers by what other papers measure.")
    try:
        rows = [row for one in shipped.read(STUDY) for row in one["rows"] if row["seed"] is None]
        if not rows:
            scores.compute(STUDY, "No benchmark of explanations is stored yet.")
            return
        known = list(dict.fromkeys(row["dataset"] for row in rows))
        dataset = view().scores or (view().dataset if view().dataset in known else known[0])
        if dataset not in known:
            raise unknown("data set", dataset, known, " among the stored benchmarks")
    except BadInput as error:
        st.error(text.md(error), icon=":material/error:")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        scores.pick("Data set", known, "scores", dataset, frame.data_label)
        for label, options, field, spoken in (
            ("Recommendations", BENCH_WHO, "bench_who", WHO.get),
            ("Items taken out", BENCH_STEPS, "bench_steps", None),
        ):
            state.control(
                st.segmented_control, label, options, field=field, required=True,
                **({"format_func": spoken} if spoken else {}),
            )  # fmt: skip
    own = [row for row in rows if row["dataset"] == dataset]
    _fixed(own)
    _named(own)
    _agreement(own)
    _budgets(own)
    _lists(dataset)


def _fixed(rows: Sequence[Row]) -> None:
    shown = lines(of_whom(rows, view().bench_who), FIXED, "removed", view().bench_steps)
    _scorecard(
        shown,
        FIXED,
        "fixed",
        "Items are taken out (POS, NEG, DEL, CNDCG) or put in (INS) in the order of each explainer's values, the same "
        "number for all. POS and DEL: how far the recommendation stays in the list or keeps its score when the first "
        "items go; NEG: when the last go.",
    )


def _named(rows: Sequence[Row]) -> None:
    st.markdown("##### What is named, and how steadily")
    shown = lines([row for row in rows if "," not in row["setting"]], NAMED)
    _scorecard(
        shown,
        NAMED,
        "named",
        "Stability: how alike the sets of different seeds are. Gini: 0 when all items are named alike, 1 when always "
        "the same. × random items, as many.",
    )


def _scorecard(shown: Sequence[Row], panels: Mapping[str, str], key: str, words: str) -> None:
    st.plotly_chart(
        figures.scorecard(shown, panels),
        key=f"field_{key}_{view().scores}_{view().bench_who}_{view().bench_steps}",
        config=CHART,
        alt=f"{', '.join(panels.values())} of {len(shown)} explainers, with 95 % intervals.",
    )
    st.caption(f"{words} 95 % intervals by bootstrap over users.")
    with st.expander("The numbers", icon=":material/table_chart:", key=f"numbers_{key}"):
        st.dataframe([scores.line(row, panels) for row in shown], hide_index=True, width="stretch")


def _agreement(rows: Sequence[Row]) -> None:
    st.markdown("##### Do the explainers agree?")
    state.control(
        st.segmented_control,
        "Agreement",
        AGREE,
        field="agree",
        format_func=AGREEMENT.get,
        required=True,
        label_visibility="collapsed",
    )
    names, cells = matrix(rows, f"agreement_{view().agree}")
    st.plotly_chart(
        figures.matrix(names, cells),
        key=f"agreement_{view().scores}_{view().agree}",
        config=CHART,
        alt=f"How far {len(names)} explainers agree, pair by pair.",
    )
    st.caption(
        "Mean overlap (Jaccard) of the sets that two explainers name for the same recommendation: 1 the same, 0 "
        "nothing in common."
        if view().agree == "jaccard"
        else "Mean rank correlation (Spearman) of the values that two explainers give the items of a history."
    )


def _budgets(rows: Sequence[Row]) -> None:
    found: dict[str, list[Row]] = {}
    colours = {named(row): palette.of_name(row["explainer"] or row["system"]) for row in rows}
    for row in rows:
        if (row["param"], row["metric"], row["convention"]) == ("budget", "f_ns", "app"):
            found.setdefault(named(row), []).append(row | {"value": f"{int(row['param_value']):,}"})
    if not found:
        return
    st.markdown("##### At equal budgets")
    ordered = {name: sorted(own, key=lambda row: int(row["param_value"])) for name, own in found.items()}
    st.plotly_chart(
        line_figures.sweep(ordered, "runs of the recommender for one explanation", colours),
        key=f"budget_{view().scores}",
        config=CHART,
        alt="F_NS of explainers that may run the recommender equally often.",
    )
    st.caption("F_NS, needed and enough alone, of searches that may run the recommender equally often.")


def _lists(dataset: str) -> None:
    """The stored benchmark of whole lists, where there is one."""
    st.markdown("##### Whole lists")
    rows = [row for one in shipped.read(LISTS) for row in one["rows"]]
    rows = [row for row in rows if row["dataset"] == dataset and row["seed"] is None]
    if not rows:
        st.caption(scores.missing(LISTS, dataset))
        return
    state.control(
        st.segmented_control,
        "How much of the list shall be others",
        REPLACE,
        field="replace",
        format_func=REPLACE_LABELS.get,
        required=True,
    )
    shown = lines(rows, OF_LISTS, "replaced", view().replace)
    _scorecard(
        sorted(shown, key=lambda row: (-row["coverage"]["measured"], row["length"]["measured"])),
        OF_LISTS,
        "lists",
        "Coverage: users for whom a set is named whose removal, run again, replaces enough of the list; over those: "
        "how many items that takes, and how much of the list is new, plain and weighted by place. × random items, as "
        "many.",
    )


# -- the rows


def of_whom(rows: Iterable[Row], who: str) -> list[Row]:
    """Rows of all recommendations, of hits or of misses."""
    return [row for row in rows if row["setting"].partition(", ")[2] == ("" if who == "all" else who)]


def lines(
    rows: Iterable[Row], panels: Mapping[str, str], parameter: str | None = None, value: str | None = None
) -> list[Row]:
    """One row per explainer: label, explainer, one dict per metric; of one value of a parameter where it is given."""
    found: dict[str, Row] = {}
    for row in rows:
        right = parameter is None or (row["param"], row["param_value"]) == (parameter, value)
        if right and row["metric"] in panels and row["param"] != "budget":
            own = found.setdefault(row["system"], {"explainer": row["explainer"], "label": named(row)})
            own[row["metric"]] = row
    return list(found.values())


def named(row: Mapping[str, Any]) -> str:
    """What a line is called. Not escaped."""
    return scores.called(row["system"], row["explainer"] or row["system"])


def matrix(rows: Iterable[Row], metric: str) -> tuple[list[str], list[list[float | None]]]:
    """Names, and the agreement of each two (None where it was not measured); the same both ways."""
    labels: dict[str, str] = {}
    values: dict[tuple[str, str], float] = {}
    for row in rows:
        if row["param"] == "K":
            labels.setdefault(row["system"], named(row))
        if row["metric"] == metric:
            values[row["system"], row["param_value"]] = values[row["param_value"], row["system"]] = row["measured"]
    used = [name for name in labels if any(name in pair for pair in values)]
    return [labels[name] for name in used], [[values.get((one, other)) for other in used] for one in used]
