"""What one explanation costs as the catalogue or the number of people grows: lines on logarithmic axes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from recx.figures import palette
from recx.figures._base import INK, empty, figure, plain

AXES = {"items": "items in the catalogue", "people": "people explained together"}
MEASURES = {
    "ms_per_pair": ("processor time per explanation (ms)", "ms"),
    "ms_per_run": ("processor time per run of the recommender (ms)", "ms"),
    "work_mb": ("memory that the work took (MB)", "MB"),
}


def scale(rows: Sequence[Mapping[str, Any]], axis: str = "items", measure: str = "ms_per_pair") -> go.Figure:
    """One line per explainer over the sizes of `axis` (AXES), both axes logarithmic; dots: what grows in proportion.

    `rows`: the `cases` of `recx bench scale`, dicts of axis, size, explainer, runs and the `measure` (MEASURES), in any
    order. The dotted line starts where the highest line does; steeper than it is more than linear. A value of 0 has no
    place on a logarithmic axis and is left out.
    """
    shown = sorted((row for row in rows if row["axis"] == axis and row[measure] > 0), key=lambda row: row["size"])
    if not shown:
        return empty(320, "No cost is measured yet: run `python -m recx bench scale`.")
    title, unit = MEASURES[measure]
    fig = figure(320)
    for name in dict.fromkeys(row["explainer"] for row in shown):
        own = [row for row in shown if row["explainer"] == name]
        colour = palette.of_name(name.removesuffix("-necessary"))
        fig.add_scatter(
            x=[row["size"] for row in own],
            y=[row[measure] for row in own],
            mode="lines+markers+text",
            line={"color": colour, "width": 2},
            marker={"size": 8, "color": colour},
            text=[*[""] * (len(own) - 1), plain(name)],
            textposition="top left",
            cliponaxis=False,
            name=plain(name),
            customdata=[row["runs"] for row in own],
            hovertemplate=f"<b>{plain(name)}</b><br>{AXES[axis]}: %{{x:,}}<br>%{{y:.4g}} {unit}<br>"
            "runs of the recommender: %{customdata:.1f}<extra></extra>",
        )
    first, last = shown[0]["size"], shown[-1]["size"]
    start = max(row[measure] for row in shown if row["size"] == first)
    fig.add_scatter(
        x=[first, last],
        y=[start, start * last / first],
        mode="lines",
        line={"color": INK, "width": 1, "dash": "dot"},
        name="in proportion",
        hoverinfo="skip",
    )
    values = [row[measure] for row in shown]
    span = [math.log10(min(values)) - 0.2, math.log10(max(values)) + 0.4]
    fig.update_xaxes(type="log", title=AXES[axis], fixedrange=True)
    fig.update_yaxes(type="log", title=title, range=span, fixedrange=True)
    return fig
