"""Data: which data sets there are, what is in the chosen one, and which rows were left out."""

from __future__ import annotations

from typing import Any

import streamlit as st

from recx.core.errors import BadInput
from recx.data import _files
from recx.figures import data as figures
from recx.figures import palette
from recx.figures.history import date
from recx.recipes import _build
from recx.recipes.tables import Card
from recx.ui import cards, fetch, frame, state, text
from recx.ui.bring import own_data
from recx.ui.case import CHART
from recx.ui.words import tell


def listing() -> list[dict[str, str]]:
    """Every data set: title, name, whether it is here, how to get it."""
    rows = []
    for name in _files.source_names():
        named = _files.source(name)
        form = frame.forms().form_of(named.kind, named.name)
        here = _files.on_disk(name)
        rows.append(
            {
                "data set": form["title"] if named.name != "table" else name,
                "name": name,
                "here": "yes" if here else "no",
                "how to get it": "ready" if here else form["how_to_get"].replace("`", ""),
            }
        )
    return rows


def main() -> None:
    """Choose, fetch, draw."""
    st.title("Data", anchor=False)
    st.html(cards.table(listing(), "Data sets"))
    st.caption("Choose the data set on the left, or bring your own.")
    own_data()
    now = state.view()
    try:
        data = _build.data_of(now.dataset, form_of=frame.forms().form_of)
    except BadInput as error:
        st.error(text.md(error), icon=":material/error:")
        return
    fetch.panel(Card(data), card, key="card", title=f"Summary of {now.dataset}")


def card(table: dict[str, Any]) -> None:
    """The numbers and the figures of one data set."""
    st.subheader(text.md(table["name"]), anchor=False)
    numbers(table)
    charts(table)
    left, right = st.columns(2, gap="large")
    with left:
        left_out(table)
    with right:
        provenance(table)


def numbers(table: dict[str, Any]) -> None:
    """How large it is, and from when."""
    grid = st.grid(5, min_column_width=140, gap="small")
    least, _, median, _, most = table["events_per_user"]
    per_user = f"People with at least one event left. Events per user: {least:,} to {most:,}, median {median:,}."
    grid.metric("Users", f"{table['users']:,}", help=per_user, border=True)
    grid.metric("Items", f"{table['items']:,}", help="Items with at least one event left.", border=True)
    grid.metric("Events", f"{table['events']:,}", help="Rows that are used, after the thresholds.", border=True)
    grid.metric("Density", f"{table['density']:.2%}", help=tell("density"), border=True)
    first, last = date(table["first"]), date(table["last"])
    span = "no times" if not first else first[:4] if first[:4] == last[:4] else f"{first[:4]}–{last[:4]}"
    known = (
        f"First event {first or '–'}, last event {last or '–'} (UTC). {table['unknown_times']:,} events have no time."
    )
    grid.metric("Time", span, help=known, border=True)


def charts(table: dict[str, Any]) -> None:
    """Popularity, ratings, time, genres."""
    lanes = palette.genre_lanes(table["genres"])
    rows = (
        ("tail", "Popularity: the long tail", "Events of each item, most popular first; both axes are logarithmic."),
        ("ratings", "Ratings", "Events per rating value, after the thresholds."),
        ("months", "Events over time", "Events per month (UTC)."),
        ("genres", "Genres", "Items per genre; an item can have several. Colours are those of the case study."),
    )
    drawn = {
        "tail": figures.long_tail(table["popularity"]),
        "ratings": figures.counts(table["rating_counts"], "rating", nothing="This data set has no ratings."),
        "months": figures.over_time(table["months"]),
        "genres": figures.genres(table["genres"], lanes),
    }
    grid = st.grid(2, min_column_width=380, border=True)
    for name, title, about in rows:
        with grid.cell():
            st.markdown(f"**{title}**", help=about)
            st.plotly_chart(drawn[name], key=f"chart_{name}_{table['name']}", config=CHART, alt=title)


def left_out(table: dict[str, Any]) -> None:
    """Rows of the source that could not be used."""
    st.markdown("**Rows left out**", help=tell("dropped"))
    dropped = {reason: n for reason, n in table["dropped"].items() if n}
    if dropped:
        st.html(cards.table([{"reason": why, "rows": f"{n:,}"} for why, n in dropped.items()], "Rows left out"))
    else:
        st.caption("None: every row of the source could be used.")


def provenance(table: dict[str, Any]) -> None:
    """The fingerprint, and whether the order of events is known."""
    st.markdown("**Fingerprint**", help=tell("fingerprint"))
    st.code(table["fingerprint"], language=None)
    st.caption(
        "Events are in their true order."
        if table["ordered"]
        else "The source gives no order of events: histories have none either."
    )


frame.enter()
main()
