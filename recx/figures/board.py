"""A leaderboard: one row per system, its accuracy as a dot with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from recx.figures import palette
from recx.figures._base import empty, figure, plain


def standings(rows: Sequence[Mapping[str, Any]], metric: str) -> go.Figure:
    """Best on top. Filled: a learnt model; hollow: a floor, whose best value is a dotted line that others should pass.

    `rows`: dicts of label, measured, ci_low, ci_high (None without an interval), n, floor (bool); best first.
    """
    shown = [row for row in rows if row["measured"] is not None]
    height = 70 + 26 * max(len(shown), 4)
    if not shown:
        return empty(height, "Nothing has been measured here yet.")
    fig = figure(height)
    for is_floor in (False, True):
        own = [(len(shown) - place, row) for place, row in enumerate(shown) if bool(row["floor"]) == is_floor]
        if own:
            _dots(fig, own, metric, is_floor)
    floors = [row["measured"] for row in shown if row["floor"]]
    if floors:
        fig.add_vline(x=max(floors), line={"width": 1, "dash": "dot", "color": palette.NEUTRAL})
    fig.update_xaxes(title=metric, rangemode="tozero", fixedrange=True)
    fig.update_yaxes(
        tickvals=list(range(len(shown), 0, -1)),
        ticktext=[plain(row["label"]) for row in shown],
        range=[0.4, len(shown) + 0.6],
        showgrid=False,
        fixedrange=True,
    )
    return fig


def _dots(fig: go.Figure, own: Sequence[tuple[int, Mapping[str, Any]]], metric: str, is_floor: bool) -> None:
    colour = palette.NEUTRAL if is_floor else palette.ACCENT
    fig.add_scatter(
        x=[row["measured"] for _, row in own],
        y=[place for place, _ in own],
        mode="markers",
        marker={
            "size": 10,
            "color": colour,
            "symbol": "circle-open" if is_floor else "circle",
            "line": {"width": 2, "color": colour},
        },
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [_length(row["ci_high"], row["measured"]) for _, row in own],
            "arrayminus": [_length(row["measured"], row["ci_low"]) for _, row in own],
            "color": colour,
            "thickness": 1.5,
            "width": 4,
        },
        text=[_hover(row, metric) for _, row in own],
        hovertemplate="%{text}<extra></extra>",
    )


def _length(high: float | None, low: float | None) -> float:
    return 0.0 if high is None or low is None else max(0.0, high - low)


def _hover(row: Mapping[str, Any], metric: str) -> str:
    interval = "" if row["ci_low"] is None else f"<br>95 % interval {row['ci_low']:.4f} to {row['ci_high']:.4f}"
    users = "" if row.get("n") is None else f"<br>{int(row['n']):,} users"
    floor = "<br>a floor: the others should be better" if row["floor"] else ""
    return f"<b>{plain(row['label'])}</b><br>{plain(metric)} {row['measured']:.4f}{interval}{users}{floor}"
