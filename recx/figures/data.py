"""A data set at a glance: the long tail, the ratings, the events over time, the genres."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from recx.figures import palette
from recx.figures._base import empty, figure, plain

HEIGHT = 280


def long_tail(popularity: Sequence[int], most: int = 600) -> go.Figure:
    """Events per item against the rank of the item, both axes logarithmic; thinned to `most` points."""
    counts = np.sort(np.asarray(popularity, dtype=float))[::-1]
    counts = counts[counts > 0]
    if not len(counts):
        return empty(HEIGHT, "No item has an event.")
    ranks = np.unique(np.geomspace(1, len(counts), min(most, len(counts))).round().astype(int))
    fig = figure(HEIGHT)
    fig.add_scatter(
        x=ranks,
        y=counts[ranks - 1],
        mode="lines+markers",
        line={"color": palette.ACCENT, "width": 2},
        marker={"size": 4},
        hovertemplate="item of rank %{x:,}<br>%{y:,} events<extra></extra>",
    )
    fig.update_xaxes(type="log", title="rank of the item (1 = most popular)", fixedrange=True)
    fig.update_yaxes(type="log", title="events", fixedrange=True)
    return fig


def counts(table: Mapping[str, int], x_title: str, *, nothing: str, y_title: str = "events") -> go.Figure:
    """One bar per value of a table of counts."""
    if not table:
        return empty(HEIGHT, nothing)
    fig = figure(HEIGHT)
    fig.add_bar(
        x=[plain(name) for name in table],
        y=list(table.values()),
        marker={"color": palette.ACCENT},
        hovertemplate="%{x}: %{y:,} " + y_title + "<extra></extra>",
    )
    fig.update_xaxes(title=x_title, type="category", fixedrange=True)
    fig.update_yaxes(title=y_title, fixedrange=True, rangemode="tozero", tickformat=",d")
    return fig


def over_time(table: Mapping[str, int]) -> go.Figure:
    """Events per period ({"1998-03": n}), missing periods left as gaps."""
    if not table:
        return empty(HEIGHT, "This data set has no times.")
    fig = figure(HEIGHT)
    fig.add_bar(
        x=list(table),
        y=list(table.values()),
        marker={"color": palette.ACCENT},
        hovertemplate="%{x}: %{y:,} events<extra></extra>",
    )
    fig.update_xaxes(title="date (UTC)", type="date", fixedrange=True)
    fig.update_yaxes(title="events", fixedrange=True, rangemode="tozero", tickformat=",d")
    return fig


def genres(table: Mapping[str, int], lanes: Mapping[str, str]) -> go.Figure:
    """Items per genre, in the colours that genres have everywhere."""
    if not table:
        return empty(HEIGHT, "The items of this data set have no genres.")
    names = sorted(table, key=lambda name: (table[name], name))[-14:]
    fig = figure(HEIGHT)
    fig.add_bar(
        x=[table[name] for name in names],
        y=[plain(name) for name in names],
        orientation="h",
        marker={"color": [palette.GENRE_COLOURS.get(lanes.get(name, ""), palette.OTHER[1]) for name in names]},
        hovertemplate="%{y}: %{x:,} items<extra></extra>",
    )
    fig.update_xaxes(title="items", fixedrange=True)
    fig.update_yaxes(type="category", showgrid=False, fixedrange=True)
    return fig
