"""Explanations as figures: which items each explainer names, and what single items do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from recx.figures import palette
from recx.figures._base import empty, figure, folded, plain


def agreement(rows: Sequence[Mapping[str, Any]], labels: Mapping[str, str] | None = None, most: int = 12) -> go.Figure:
    """Explainers (rows) against the items they name (columns); filled where the check says that the set is needed.

    `rows`: Explanations as dicts; `labels`: what the explainers are called. Items named by most explainers come
    first.
    """
    spoken = {row["explainer"]: plain((labels or {}).get(row["explainer"], row["explainer"])) for row in rows}
    height = max(250, 110 + 30 * len(rows))
    named: dict[str, int] = {}
    titles: dict[str, str] = {}
    for row in rows:
        for item, title in zip(row["items"], row["titles"], strict=True):
            named[item] = named.get(item, 0) + 1
            titles[item] = title
    if not named:
        return empty(height, "No explainer names an item for this recommendation.")
    items = sorted(named, key=lambda item: (-named[item], titles[item]))
    shown = items[:most]
    fig = figure(height)
    for row in rows:
        own = [item for item in shown if item in row["items"]]
        colour = palette.of_name(row["explainer"])
        fig.add_scatter(
            x=[shown.index(item) for item in own] or (None,),
            y=[spoken[row["explainer"]]] * max(len(own), 1),
            mode="markers",
            name=spoken[row["explainer"]],
            marker={
                "size": 15,
                "color": colour,
                "symbol": "circle" if row["necessary"] else "circle-open",
                "line": {"width": 2, "color": colour},
            },
            text=[_named_by(titles[item], spoken[row["explainer"]], row["necessary"]) for item in own],
            hovertemplate="%{text}<extra></extra>",
        )
    fig.update_xaxes(
        tickvals=list(range(len(shown))),
        ticktext=[folded(titles[i], 18, 2) for i in shown],
        tickangle=-35 if len(shown) > 5 else 0,
        range=[-0.6, max(len(shown), 4) - 0.4],
        fixedrange=True,
    )
    names = [spoken[row["explainer"]] for row in rows]
    fig.update_yaxes(categoryorder="array", categoryarray=names[::-1], range=[-0.6, len(names) - 0.4], fixedrange=True)
    if len(items) > most:
        fig.add_annotation(
            text=f"showing the {most} items named most often of {len(items)}", xref="paper", yref="paper", x=1, y=1,
            xanchor="right", yanchor="bottom", showarrow=False, font={"size": 11, "color": palette.NEUTRAL},
        )  # fmt: skip
        fig.update_layout(margin_t=24)
    return fig


def _named_by(title: str, explainer: str, needed: bool) -> str:
    leaves = "leaves the list" if needed else "stays in the list"
    return f"<b>{plain(title)}</b><br>named by {explainer}<br>without the set it {leaves}"


def effects(rows: Sequence[Mapping[str, Any]], height: int = 320, most: int = 10) -> go.Figure:
    """What each history item does to an item's score: bars right hold it down, bars left lift it.

    `rows`: dicts of item, title, effect (score without the history item minus score with it), rank_without.
    """
    if not rows:
        return empty(height, "The history has no item to switch off.")
    strongest = sorted(rows, key=lambda row: -abs(row["effect"]))[:most]
    shown = sorted(strongest, key=lambda row: row["effect"])
    labels = [folded(row["title"], 30, 2) for row in shown]
    fig = figure(height)
    fig.add_bar(
        x=[row["effect"] for row in shown],
        y=list(range(len(shown))),
        orientation="h",
        marker={"color": [palette.NO if row["effect"] > 0 else palette.YES for row in shown]},
        text=[
            f"<b>{plain(row['title'])}</b><br>without it the score changes by {row['effect']:+.4g}<br>and "
            f"the rank becomes {row['rank_without']:,}"
            for row in shown
        ],
        textposition="none",
        hovertemplate="%{text}<extra></extra>",
    )
    fig.add_vline(x=0, line={"width": 1, "color": palette.NEUTRAL})
    fig.update_xaxes(title="change of the score when switched off (score units)", fixedrange=True)
    fig.update_yaxes(tickvals=list(range(len(shown))), ticktext=labels, showgrid=False, fixedrange=True)
    return fig
