"""A training as it goes: the loss, and the quality on the validation part, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from recx.figures import palette
from recx.figures._base import INK, empty, figure

HEIGHT = 250


def curves(rows: Sequence[Mapping[str, Any]], *, nothing: str = "No epoch has ended yet.") -> go.Figure:
    """Loss left, validation right, over the same epochs; the best validation is ringed: that state is kept.

    `rows`: dicts of epoch, loss, quality (None where an epoch was not checked or the number was not finite).
    """
    if not rows:
        return empty(HEIGHT, nothing)
    fig = figure(HEIGHT)
    loss = [row for row in rows if row["loss"] is not None]
    checked = [row for row in rows if row.get("quality") is not None]
    _line(fig, loss, "loss", palette.NEUTRAL, "x", "y")
    _line(fig, checked, "quality", palette.ACCENT, "x2", "y2")
    if checked:
        best = max(checked, key=lambda row: row["quality"])
        fig.add_scatter(
            x=[best["epoch"]],
            y=[best["quality"]],
            mode="markers",
            xaxis="x2",
            yaxis="y2",
            marker={"size": 13, "symbol": "circle-open", "color": palette.ACCENT, "line": {"width": 2}},
            hovertemplate="best so far: %{y:.4f} after epoch %{x}<extra></extra>",
        )
    else:
        fig.add_annotation(
            text="not checked on a validation part", xref="paper", yref="paper", x=0.79, y=0.5, showarrow=False,
            font={"color": INK},
        )  # fmt: skip
    last = max(row["epoch"] for row in rows)
    axis = dict(fig.layout.xaxis.to_plotly_json()) | {"title": {"text": "epoch", "standoff": 6}, "fixedrange": True}
    axis |= {"range": [0.5, max(last, 4) + 0.5], "tickformat": "d", "nticks": 6, "showgrid": False}
    side = dict(fig.layout.yaxis.to_plotly_json()) | {"fixedrange": True}
    fig.update_layout(
        xaxis=axis | {"domain": [0.0, 0.44]},
        xaxis2=axis | {"domain": [0.58, 1.0], "anchor": "y2"},
        yaxis=side | {"title": {"text": "training loss", "standoff": 6}},
        yaxis2=side | {"title": {"text": "validation", "standoff": 6}, "anchor": "x2"},
    )
    return fig


def _line(fig: go.Figure, rows: Sequence[Mapping[str, Any]], field: str, colour: str, x: str, y: str) -> None:
    fig.add_scatter(
        x=[row["epoch"] for row in rows],
        y=[row[field] for row in rows],
        mode="lines+markers" if len(rows) <= 60 else "lines",
        line={"color": colour, "width": 2},
        marker={"size": 4},
        xaxis=x,
        yaxis=y,
        hovertemplate="epoch %{x}: %{y:.4f}<extra></extra>",
    )
