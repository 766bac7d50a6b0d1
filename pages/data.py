"""Data: which data sets there are, what is in the chosen one, and which rows were left out."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from recx.core.errors import BadInput
from recx.data import _files
from recx.figures import data as figures
from recx.figures import palette
from recx.figures.history import date
from recx.recipes import _build
from recx.recipes.tables import Card
from recx.ui import fetch, frame, state, text
from recx.ui.case import CHART
from recx.ui.words import tell


def listing() -> pd.DataFrame:
    """Every data set: title, whether it is here, how to get it, what is kept of it."""
    rows = []
    for name in _files.source_names():
        named = _files.source(name)
        form = frame.forms().form_of(named.kind, named.name)
        here = _files.on_disk(name)
        rows.append(
            {
                "name": name,
                "title": form["title"] if named.name != "table" else name,
                "here": "yes" if here else "no",
                "get": "Ready." if here else form["how_to_get"].replace("`", ""),
            }
        )
    return pd.DataFrame(rows)


def main() -> None:
    """Choose, fetch, draw."""
    st.title("Data", anchor=False)
    st.dataframe(
        listing(),
        hide_index=True,
        key="data_sets",
        column_config={
            "name": st.column_config.TextColumn("Name", help="What links and the command line call it."),
            "title": st.column_config.TextColumn("Data set"),
            "here": st.column_config.TextColumn("On this machine", help="Can it be opened without fetching anything?"),
            "get": st.column_config.TextColumn("How to get it", width="large"),
        },
    )
    now = state.view()
    st.caption(
        "Choose the data set on the left. Your own files: `python -m recx data import FILE --name NAME "
        "--columns user=..,item=..,time=..`"
    )
    try:
        data = _build.data_of(now.dataset, form_of=frame.forms().form_of)
    except BadInput as error:
        st.error(text.md(error), icon=":material/error:")
        return
    fetch.panel(Card(data), card, key="card", title=f"Summary of {now.dataset}")


def card(table: dict) -> None:
    """The numbers and the figures of one data set."""
    st.subheader(text.md(table["name"]), anchor=False)
    grid = st.grid(5, min_column_width=140, gap="small")
    per_user = table["events_per_user"]
    grid.metric(
        "Users",
        f"{table['users']:,}",
        help=f"People with at least one event left. Events per user: {per_user[0]:,} to {per_user[4]:,}, "
        f"median {per_user[2]:,}.",
        border=True,
    )
    grid.metric("Items", f"{table['items']:,}", help="Items with at least one event left.", border=True)
    grid.metric("Events", f"{table['events']:,}", help="Rows that are used, after the thresholds.", border=True)
    grid.metric("Density", f"{table['density']:.2%}", help=tell("density"), border=True)
    first, last = date(table["first"]), date(table["last"])
    span = "no times" if not first else first[:4] if first[:4] == last[:4] else f"{first[:4]}–{last[:4]}"
    grid.metric(
        "Time",
        span,
        help=f"First event {first or '–'}, last event {last or '–'} (UTC). {table['unknown_times']:,} "
        f"events have no time.",
        border=True,
    )
    charts = st.grid(2, min_column_width=380, border=True)
    lanes = palette.genre_lanes(table["genres"])
    for name, title, text_help, figure in (
        (
            "tail",
            "Popularity: the long tail",
            "Events of each item, most popular first; both axes are logarithmic.",
            figures.long_tail(table["popularity"]),
        ),
        (
            "ratings",
            "Ratings",
            "Events per rating value, after the thresholds.",
            figures.counts(table["rating_counts"], "rating", nothing="This data set has no ratings."),
        ),
        ("months", "Events over time", "Events per month (UTC).", figures.over_time(table["months"])),
        (
            "genres",
            "Genres",
            "Items per genre; an item can have several. Colours are those of the case study.",
            figures.genres(table["genres"], lanes),
        ),
    ):
        with charts.cell():
            st.markdown(f"**{title}**", help=text_help)
            st.plotly_chart(figure, key=f"chart_{name}_{table['name']}", config=CHART, alt=title)
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("**Rows left out**", help=tell("dropped"))
        dropped = {reason: n for reason, n in table["dropped"].items() if n}
        if dropped:
            st.dataframe(
                pd.DataFrame({"reason": list(dropped), "rows": list(dropped.values())}), hide_index=True, key="dropped"
            )
        else:
            st.caption("None: every row of the source could be used.")
    with right:
        st.markdown("**Fingerprint**", help=tell("fingerprint"))
        st.code(table["fingerprint"], language=None)
        order = (
            "Events are in their true order."
            if table["ordered"]
            else "The source gives no order of events: histories have none either."
        )
        st.caption(order)


frame.enter()
main()
