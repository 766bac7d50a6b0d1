"""A history as a timeline: one mark per item, oldest left, one lane per common genre."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import plotly.graph_objects as go

from recx.figures import palette
from recx.figures._base import INK, empty, figure, plain

HEIGHT = 236


def timeline(
    rows: Sequence[Mapping[str, Any]],
    lanes: Mapping[str, str],
    *,
    off: Collection[str] = (),
    named: Collection[str] = (),
) -> go.Figure:
    """Marks at (place in the history, genre); `off`: items switched off (hollow), `named`: by an explanation (ringed).

    `rows`: dicts of item, title, year, genres, rating, time, oldest first. A mark carries its item id as custom data.
    """
    if not rows:
        return empty(HEIGHT, "This history is empty.")
    order = [*lanes, "other"]
    fig = figure(HEIGHT)
    lane = [palette.lane_of(row["genres"], lanes) for row in rows]
    colours = [palette.colour(row["genres"], lanes) for row in rows]
    size = 11 if len(rows) <= 120 else 8 if len(rows) <= 300 else 6
    ringed = [place for place, row in enumerate(rows) if row["item"] in named]
    fig.add_scatter(
        x=[place + 1 for place in ringed],
        y=[lane[place] for place in ringed],
        mode="markers",
        hoverinfo="skip",
        marker={"size": size + 8, "symbol": "circle-open", "color": palette.ACCENT, "line": {"width": 2}},
    )
    fig.add_scatter(
        x=list(range(1, len(rows) + 1)),
        y=lane,
        mode="markers",
        customdata=[row["item"] for row in rows],
        text=[hover(row) for row in rows],
        hovertemplate="%{text}<extra></extra>",
        marker={
            "size": size,
            "color": colours,
            "line": {"width": 2 if off else 0, "color": colours},
            "symbol": ["circle-open" if row["item"] in off else "circle" for row in rows],
            "opacity": 1.0,
        },
        selected={"marker": {"opacity": 1.0}},
        unselected={"marker": {"opacity": 1.0}},
    )
    fig.update_xaxes(
        title="place in the history (1 = oldest)",
        range=[0.5 - len(rows) * 0.01, len(rows) + 0.5 + len(rows) * 0.01],
        showgrid=False,
        tickformat="d",
        nticks=min(12, len(rows) + 1),
        fixedrange=True,
    )
    fig.update_yaxes(
        categoryorder="array",
        categoryarray=order[::-1],
        range=[-0.6, len(order) - 0.4],
        fixedrange=True,
        tickvals=order,
        ticktext=[plain(name) for name in order],
    )
    return fig


def hover(row: Mapping[str, Any]) -> str:
    """Title and year, genres, rating, date, popularity: what is known of an item, on lines."""
    lines = [
        f"<b>{plain(row['title'])}</b>"
        + (f" ({row['year']})" if row.get("year") and str(row["year"]) not in str(row["title"]) else "")
    ]
    if row.get("genres"):
        lines.append(plain(", ".join(palette.genres_of(row["genres"]))))
    if row.get("rating") is not None:
        lines.append(f"rated {row['rating']:g}")
    when = date(row.get("time"))
    if when:
        lines.append(f"on {when}")
    if row.get("popularity") is not None:
        lines.append(f"{row['popularity']:,} events in the data")
    return "<br>".join([*lines, f"<span style='color:{INK}'>id {plain(row['item'])}</span>"])


def date(seconds: Any) -> str:
    """A day as 1998-03-31; empty when the time is unknown."""
    if seconds is None or seconds != seconds or seconds < 0:
        return ""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%d")
