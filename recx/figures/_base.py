"""What all figures share: quiet axes, escaped text, an empty state in words."""

from __future__ import annotations

import html
import textwrap
from typing import Any

import plotly.graph_objects as go

GRID = "rgba(128,136,150,0.22)"
INK = "rgba(128,136,150,1)"


def plain(text: Any) -> str:
    """Text for Plotly, which reads a little HTML: shown literally."""
    return html.escape(" ".join(str(text).split()), quote=False)


def folded(text: Any, width: int = 28, lines: int = 2) -> str:
    """A label on at most `lines` lines of `width` characters (the hover text has it whole)."""
    parts = textwrap.wrap(" ".join(str(text).split()), width) or [""]
    if len(parts) > lines:
        parts = parts[:lines]
        parts[-1] = parts[-1][: width - 1].rstrip() + "…"
    return "<br>".join(html.escape(part, quote=False) for part in parts)


def figure(height: int, **layout: Any) -> go.Figure:
    """An empty figure in the house style; Streamlit's theme adds fonts and the colours of light or dark."""
    axis = {"gridcolor": GRID, "zeroline": False, "automargin": True, "title": {"standoff": 6}}
    look = {
        "height": height,
        "margin": {"l": 8, "r": 12, "t": 8, "b": 8},
        "showlegend": False,
        "hovermode": "closest",
        "hoverlabel": {"align": "left", "namelength": -1},
        "bargap": 0.35,
        "dragmode": False,
        "xaxis": axis,
        "yaxis": axis,
    }
    return go.Figure(layout=look | layout)  # at once: updating a figure bit by bit is many times slower


def empty(height: int, sentence: str) -> go.Figure:
    """A figure of the same size that says why there is nothing to see."""
    fig = figure(height)
    fig.update_xaxes(visible=False)
    fig.update_yaxes(visible=False)
    fig.add_annotation(
        text=folded(sentence, 60, 4), showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper", font={"color": INK}
    )
    return fig
