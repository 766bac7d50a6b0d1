"""Results that ship with recx: a paper's numbers beside ours, shown before anything is computed."""

from __future__ import annotations

from typing import Any

import streamlit as st

from recx.engine import shipped
from recx.engine.catalogue import FIRST_EXPLAINERS
from recx.ui import explainers, state

METRICS = {
    "validity": "own condition met",
    "pn": "necessary (PN)",
    "ps": "sufficient (PS)",
    "f_ns": "both (F_NS)",
    "length": "items named",
}
COLUMNS = {
    "method": st.column_config.TextColumn("Method", help="The explainer, on Mult-VAE"),
    "measure": st.column_config.TextColumn("Measure", help="Shares in %, over all explained recommendations"),
    "published": st.column_config.NumberColumn("Published", format="%.1f", help="The cell of the paper, if it has one"),
    "measured": st.column_config.NumberColumn("Measured", format="%.1f", help="Ours, as the paper counts"),
    "interval": st.column_config.TextColumn("95 % interval", help="Bootstrap over users"),
    "placebo": st.column_config.NumberColumn(
        "Placebo", format="%.1f", help="The same measure for random history items, as many"
    ),
    "n": st.column_config.NumberColumn("n", help="Recommendations counted"),
}


def shown() -> None:
    """The stored table of LCER's counterfactual sets, with where it comes from; nothing when none is stored."""
    for stored in shipped.read("lcer-table2")[:1]:
        rows = [row for row in chosen(stored["rows"]) if row["system"] in FIRST_EXPLAINERS]
        if not rows:
            continue
        about = stored["provenance"].get("provenance", {})
        st.subheader("Measured: a paper's table beside ours", anchor=False)
        st.markdown(
            f"LCER, Table 2, top 5, data set `{rows[0]['dataset']}`. *Minimal set* is ours: the shortest set that is "
            "both necessary and sufficient, proved where in reach."
        )
        st.dataframe(
            [{name: row[name] for name in COLUMNS} | {"method": explainers.short(row["system"])} for row in rows],
            column_config=COLUMNS,
            hide_index=True,
            width="stretch",
        )
        if st.button("All explainers and data sets", icon=":material/scoreboard:", key="open_scores"):
            state.change(sets="many")
            st.switch_page("pages/sets.py")
        st.caption(f"Computed {about.get('created', 'on an unknown day')[:10]} by `{about.get('command', 'unknown')}`")


def chosen(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The summary rows of the top 5 as published, in the order of METRICS, ready to show."""
    wanted = [
        row
        for row in rows
        if row["setting"] == "top-5" and row["convention"] == "as-published" and row["seed"] is None
        if row["metric"] in METRICS
    ]
    order = list(METRICS)
    return [
        row
        | {"method": row["system"], "measure": METRICS[row["metric"]]}
        | {"interval": "" if row["ci_low"] is None else f"{row['ci_low']:.1f} to {row['ci_high']:.1f}"}
        for row in sorted(wanted, key=lambda row: (row["system"], order.index(row["metric"])))
    ]
