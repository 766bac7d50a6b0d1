"""Two lists of recommendations side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from recx.figures import palette
from recx.figures._base import empty, figure, folded, plain


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
