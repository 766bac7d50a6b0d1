"""Two lists of recommendations side by side, and how many such pairs agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from recx.figures import palette
from recx.figures._base import INK, empty, figure, folded, plain

HISTOGRAM = 260


def slope(
    left: Sequence[Mapping[str, Any]],
    right: Sequence[Mapping[str, Any]],
    names: tuple[str, str],
    colours: tuple[str, str] | None = None,
) -> go.Figure:
    """Rank in the left list against rank in the right one: a line joins an item that both hold.

    `left`, `right`: dicts of item, title, rank, held_out. Unmatched items are hollow.
    """
    height = 90 + 34 * max(len(left), len(right), 1)
    if not left and not right:
        return empty(height, "Both lists are empty.")
    colours = colours or (palette.ACCENT, palette.ACCENT)
    fig = figure(height)
    place = {row["item"]: row["rank"] for row in right}
    for row in left:
        if row["item"] in place:
            fig.add_scatter(
                x=[0, 1],
                y=[row["rank"], place[row["item"]]],
                mode="lines",
                line={"color": palette.NEUTRAL, "width": 1.5},
                hoverinfo="skip",
            )
    for x, rows, other, side in ((0, left, right, "middle left"), (1, right, left, "middle right")):
        both = {row["item"] for row in other}
        fig.add_scatter(
            x=[x] * len(rows),
            y=[row["rank"] for row in rows],
            mode="markers+text",
            text=[("★ " if row.get("held_out") else "") + folded(row["title"], 30, 2) for row in rows],
            textposition=side,
            hovertext=[f"<b>{plain(row['title'])}</b><br>rank {row['rank']} in {plain(names[x])}" for row in rows],
            hovertemplate="%{hovertext}<extra></extra>",
            marker={
                "size": 10,
                "color": colours[x],
                "line": {"width": 2, "color": colours[x]},
                "symbol": ["circle" if row["item"] in both else "circle-open" for row in rows],
            },
            cliponaxis=False,
        )
    fig.update_xaxes(
        range=[-1.15, 2.15],
        tickvals=[0, 1],
        ticktext=[folded(n, 34, 2) for n in names],
        side="top",
        showgrid=False,
        fixedrange=True,
    )
    last = max([row["rank"] for row in [*left, *right]])
    fig.update_yaxes(range=[last + 0.6, 0.4], visible=False, fixedrange=True)
    return fig


def in_common(histogram: Sequence[Mapping[str, int]], k: int, mean: float) -> go.Figure:
    """Users by the number of items that two lists of k share; the dotted line is the mean.

    `histogram`: dicts of common (0 to k), users.
    """
    n = sum(row["users"] for row in histogram)
    if not n:
        return empty(HISTOGRAM, "No user has been asked about.")
    fig = figure(HISTOGRAM)
    fig.add_bar(
        x=[row["common"] for row in histogram],
        y=[row["users"] for row in histogram],
        marker={"color": palette.ACCENT},
        hovertemplate=f"%{{x}} of {k} in common: %{{y:,}} of {n:,} users<extra></extra>",
    )
    fig.add_vline(
        x=mean,
        line={"width": 1.5, "dash": "dot", "color": palette.NEUTRAL},
        annotation={"text": f"mean {mean:.1f}", "yanchor": "bottom", "font": {"color": INK}},
        annotation_position="top",
    )
    fig.update_layout(margin_t=26)
    fig.update_xaxes(title=f"items in common, of {k}", range=[-0.6, k + 0.6], tickformat="d", fixedrange=True)
    fig.update_yaxes(title="users", rangemode="tozero", tickformat=",d", fixedrange=True)
    return fig
