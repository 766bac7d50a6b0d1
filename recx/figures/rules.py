"""Rules as figures: what a setting of causal rules does to how many there are and how many hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from recx.figures._base import empty, figure, plain

HEIGHT = 320
COLOURS = ("#8E6BD0", "#2F86C8", "#0FA37A", "#DD6B20", "#C99A10", "#CF4FB0", "#8A92A0")


def sweep(
    lines: Mapping[str, Sequence[Mapping[str, Any]]], parameter: str, colours: Mapping[str, str] | None = None
) -> go.Figure:
    """Lines over the values of a parameter, each point with its interval.

    `lines`: label -> dicts of value (text), measured, ci_low, ci_high in %, in the order of the values. Values stand
    evenly: what matters is the order. `colours`: label -> colour; a second line of a colour is dotted.
    """
    if not any(lines.values()):
        return empty(HEIGHT, "No sweep is stored for this choice.")
    fig = figure(HEIGHT, showlegend=True, legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0})
    values = list(dict.fromkeys(row["value"] for rows in lines.values() for row in rows))
    used: set[str] = set()
    for (label, rows), spare in zip(lines.items(), COLOURS * 3, strict=False):
        colour = (colours or {}).get(label, spare)
        dash = "dot" if colour in used else "solid"
        used.add(colour)
        shown = [row for row in rows if row["measured"] is not None]
        fig.add_scatter(
            x=[values.index(row["value"]) for row in shown],
            y=[row["measured"] for row in shown],
            mode="lines+markers",
            name=plain(label),
            line={"color": colour, "width": 2, "dash": dash},
            marker={"size": 7, "color": colour},
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [_length(row.get("ci_high"), row["measured"]) for row in shown],
                "arrayminus": [_length(row["measured"], row.get("ci_low")) for row in shown],
                "color": colour,
                "thickness": 1,
                "width": 3,
            },
            text=[f"<b>{plain(label)}</b><br>{plain(parameter)} {plain(row['value'])}" for row in shown],
            hovertemplate="%{text}<br>%{y:.1f} %<extra></extra>",
        )
    fig.update_xaxes(
        title=plain(parameter),
        tickvals=list(range(len(values))),
        ticktext=[plain(value) for value in values],
        range=[-0.4, len(values) - 0.6],
        showgrid=False,
        fixedrange=True,
    )
    fig.update_yaxes(title="%", range=[0, 104], fixedrange=True)
    return fig


def _length(high: float | None, low: float | None) -> float:
    return 0.0 if high is None or low is None else max(0.0, high - low)
