"""Counterfactual sets as figures: importance over the history, scores over many users, length against quality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from recx.figures import palette
from recx.figures._base import GRID, INK, empty, figure, folded, plain
from recx.figures.history import hover

PANEL, HEAD, STRIP = 64, 22, 86
"""Pixels of one explainer's bars, of the line above them, and of the history under all."""
Rows = Sequence[Mapping[str, Any]]


# -- importance over the history


def importance(history: Rows, rows: Rows, lanes: Mapping[str, str], labels: Mapping[str, str]) -> go.Figure:
    """One panel of bars per explainer over the same history, oldest left; what an explainer names is marked ◆.

    `history`: dicts of item, title, genres..., oldest first. `rows`: Explanations as dicts; a bar is the value of
    `details["per_item"]` (without one: the weight of a named item), divided by the panel's largest. `labels`: what
    the explainers are called.
    """
    if not history or not rows:
        return empty(220, "This history is empty." if not history else "No explainer has answered yet.")
    height = STRIP + len(rows) * (PANEL + HEAD)
    layout: dict[str, Any] = {}
    notes, traces = [], []
    for number, row in enumerate(rows, 2):
        top = 1 - (number - 2) * (PANEL + HEAD) / (height - 8)
        bars = _values(history, row)
        top_of_bars, bottom = top - HEAD / height, max(0.0, top - (PANEL + HEAD) / height)
        low = -1.12 if any(value < 0 for value in bars.values()) else 0.0
        layout[f"yaxis{number}"] = _axis(domain=[bottom, top_of_bars], range=[low, 1.42])
        notes.append(_note(_panel_title(row, labels, bars), top))
        traces += _bars(history, row, bars, f"y{number}")
    fig = figure(height, barmode="overlay", bargap=0.12, annotations=notes)
    strip = (STRIP - 44) / height
    fig.update_layout(yaxis=_axis(domain=[0.0, strip], range=[-1, 1], showgrid=False), **layout)
    fig.update_xaxes(
        title="place in the history (1 = oldest)",
        range=[0.4, len(history) + 0.6],
        showgrid=False,
        tickformat="d",
        nticks=min(12, len(history) + 1),
        anchor="y",
        fixedrange=True,
    )
    fig.add_traces([_history(history, lanes), *traces])
    return fig


def _axis(**more: Any) -> dict[str, Any]:
    return {
        "gridcolor": GRID,
        "zeroline": True,
        "zerolinecolor": GRID,
        "showticklabels": False,
        "tickvals": [0],
        "fixedrange": True,
        "anchor": "x",
    } | more


def _note(text: str, y: float) -> dict[str, Any]:
    at = {"xref": "paper", "yref": "paper", "x": 0, "y": y, "xanchor": "left", "yanchor": "top"}
    return at | {"text": text, "showarrow": False, "align": "left", "font": {"size": 12.5}}


def _panel_title(row: Mapping[str, Any], labels: Mapping[str, str], bars: Mapping[int, float]) -> str:
    name = f"<b>{plain(labels.get(row['explainer'], row['explainer']))}</b>"
    if not bars:
        return f"{name} <span style='color:{INK}'>gives no values to single items</span>"
    largest = max(abs(value) for value in _raw(row).values())
    said = f"{len(row['items'])} named" if row["items"] else "names no set"
    only = "" if row["details"].get("per_item") else " · values of named items only"
    return f"{name} <span style='color:{INK}'>{said} · longest bar {largest:.3g}{only}</span>"


def _raw(row: Mapping[str, Any]) -> dict[str, float]:
    """Item -> value; without values for all, the weights of the named items."""
    own = row["details"].get("per_item") or [
        {"item": item, "value": weight} for item, weight in zip(row["items"], row["weights"], strict=False)
    ]
    return {one["item"]: float(one["value"]) for one in own if one.get("value") is not None}


def _values(history: Rows, row: Mapping[str, Any]) -> dict[int, float]:
    """Place in the history -> value divided by the largest of the explainer."""
    values = _raw(row)
    largest = max((abs(value) for value in values.values()), default=0.0) or 1.0
    return {place: values[one["item"]] / largest for place, one in enumerate(history, 1) if one["item"] in values}


def _bars(history: Rows, row: Mapping[str, Any], bars: Mapping[int, float], y: str) -> list[go.Bar | go.Scatter]:
    colour, raw = palette.of_name(row["explainer"]), _raw(row)
    ranks = {one["item"]: one.get("rank_without") for one in row["details"].get("per_item") or ()}
    named = {place for place, one in enumerate(history, 1) if one["item"] in row["items"]}

    def text(place: int) -> str:
        one = history[place - 1]
        lines = [f"<b>{plain(one['title'])}</b>", f"value {raw[one['item']]:.4g}"] if place in bars else []
        lines = lines or [f"<b>{plain(one['title'])}</b>"]
        lines += [f"rank without it alone {ranks[one['item']]:,}"] if ranks.get(one["item"]) else []
        return "<br>".join([*lines, "named" if place in named else "not named"])

    places = list(bars)
    marks = sorted(named)
    return [
        go.Bar(
            x=places,
            y=[bars[place] for place in places],
            yaxis=y,
            width=0.84,
            marker={"color": colour, "opacity": [1.0 if place in named else 0.42 for place in places]},
            text=[text(place) for place in places],
            textposition="none",
            hovertemplate="%{text}<extra></extra>",
        ),
        go.Scatter(
            x=marks,
            y=[max(bars.get(place, 0.0), 0.0) + 0.2 for place in marks],
            yaxis=y,
            mode="markers",
            marker={"symbol": "diamond", "size": 8, "color": colour},
            text=[text(place) for place in marks],
            hovertemplate="%{text}<extra></extra>",
        ),
    ]


def _history(history: Rows, lanes: Mapping[str, str]) -> go.Scatter:
    return go.Scatter(
        x=list(range(1, len(history) + 1)),
        y=[0] * len(history),
        yaxis="y",
        mode="markers",
        marker={
            "symbol": "square",
            "size": 11 if len(history) <= 70 else 7 if len(history) <= 150 else 5,
            "color": [palette.colour(one["genres"], lanes) for one in history],
        },
        text=[hover(one) for one in history],
        hovertemplate="%{text}<extra></extra>",
    )


def support(rows: Rows, size: int, most: int = 12) -> go.Figure:
    """What single history items hold up: the number of recommendations that leave the list without each one.

    `rows`: dicts of item, title, replaced, pn_s, pn_r, share, share_ranked; the first one on top. `size` of the list.
    """
    shown = list(rows[:most])
    height = 70 + 30 * max(len(shown), 3)
    if not shown:
        return empty(height, "Without any single history item the list stays the same.")
    fig = figure(height)
    places = list(range(len(shown), 0, -1))
    fig.add_bar(
        x=[row["replaced"] for row in shown],
        y=places,
        orientation="h",
        marker={"color": palette.ACCENT},
        text=[_held_up(row, size) for row in shown],
        textposition="none",
        hovertemplate="%{text}<extra></extra>",
    )
    fig.update_xaxes(
        title=f"recommendations that leave without it (of {size})", dtick=max(1, size // 10), range=[0, size],
        fixedrange=True,
    )  # fmt: skip
    fig.update_yaxes(
        tickvals=places, ticktext=[folded(row["title"], 30, 2) for row in shown], showgrid=False, fixedrange=True
    )
    if len(rows) > most:
        fig.update_xaxes(
            title=f"recommendations that leave without it (of {size}); the first {most} of {len(rows)} items"
        )
    return fig


def _held_up(row: Mapping[str, Any], size: int) -> str:
    lines = [
        f"<b>{plain(row['title'])}</b>",
        f"without it {row['replaced']} of {size} are others (PN-S {row['pn_s']:.2f}, weighted by place PN-R "
        f"{row['pn_r']:.2f})",
        f"of all that single items hold up: {row['share']:.0%}, weighted by place {row['share_ranked']:.0%}",
    ]
    return "<br>".join(lines)


# -- scores over many users


def scorecard(rows: Rows, metrics: Mapping[str, str]) -> go.Figure:
    """One panel per metric, one line per explainer: measured with its interval, published (◇), placebo (×).

    `rows`: dicts of explainer, label and one dict per metric: measured, ci_low, ci_high, published, placebo (each may
    be None); the first row on top. `metrics`: key -> title of the panel.
    """
    height = 96 + 30 * max(len(rows), 3)
    if not rows:
        return empty(height, "Nothing is stored for this choice.")
    place = {row["label"]: len(rows) - number for number, row in enumerate(rows)}
    fig = figure(height, margin={"l": 8, "r": 12, "t": 30, "b": 8})
    gap = 0.035
    width = (1 - gap * (len(metrics) - 1)) / len(metrics)
    for number, (metric, title) in enumerate(metrics.items(), 1):
        axis = "x" if number == 1 else f"x{number}"
        left = (number - 1) * (width + gap)
        _panel(fig, rows, place, metric, axis)
        fig.update_layout(
            {
                axis.replace("x", "xaxis"): {
                    "domain": [left, left + width],
                    "anchor": "y",
                    "gridcolor": GRID,
                    "zeroline": False,
                    "fixedrange": True,
                    "rangemode": "tozero",
                    "nticks": 4,
                }
            }
        )
        fig.add_annotation(
            text=f"<b>{plain(title)}</b>", xref="paper", yref="paper", x=left, y=1.0, xanchor="left", yanchor="bottom",
            showarrow=False, font={"size": 12.5},
        )  # fmt: skip
    fig.update_yaxes(
        tickvals=list(place.values()),
        ticktext=[plain(label) for label in place],
        range=[0.4, len(rows) + 0.6],
        gridcolor=GRID,
        fixedrange=True,
    )
    return fig


def _panel(fig: go.Figure, rows: Rows, place: Mapping[str, int], metric: str, axis: str) -> None:
    for field, mark, name in (
        ("placebo", "x-thin", "random sets of the same sizes"),
        ("published", "diamond-open", ""),
    ):
        own = [row for row in rows if (row.get(metric) or {}).get(field) is not None]
        if own:
            colours = [palette.NEUTRAL if field == "placebo" else palette.of_name(row["explainer"]) for row in own]
            fig.add_scatter(
                x=[row[metric][field] for row in own],
                y=[place[row["label"]] for row in own],
                xaxis=axis,
                mode="markers",
                cliponaxis=False,
                marker={"symbol": mark, "size": 9, "color": colours, "line": {"width": 2, "color": colours}},
                text=[f"<b>{plain(row['label'])}</b><br>{name or 'published'} {row[metric][field]:.4g}" for row in own],
                hovertemplate="%{text}<extra></extra>",
            )
    for row in rows:
        cell = row.get(metric) or {}
        if cell.get("measured") is None:
            continue
        colour, value = palette.of_name(row["explainer"]), cell["measured"]
        low, high = cell.get("ci_low"), cell.get("ci_high")
        fig.add_scatter(
            x=[value],
            y=[place[row["label"]]],
            xaxis=axis,
            mode="markers",
            cliponaxis=False,
            marker={"size": 10, "color": colour},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [0 if high is None else max(0.0, high - value)],
                "arrayminus": [0 if low is None else max(0.0, value - low)],
                "color": colour,
                "thickness": 1.5,
                "width": 4,
            },
            text=[
                f"<b>{plain(row['label'])}</b><br>measured {value:.4g}"
                + ("" if low is None else f"<br>95 % interval {low:.4g} to {high:.4g}")
                + (f"<br>n = {int(cell['n']):,}" if cell.get("n") is not None else "")
            ],
            hovertemplate="%{text}<extra></extra>",
        )


# -- length against quality


def tradeoff(curves: Mapping[str, Rows], points: Rows, height: int = 360) -> go.Figure:
    """F_NS against length: lines over LCER's parameters, the explainers as points.

    `curves`: parameter -> dicts of value, length, f_ns, and f_ns_low, f_ns_high (may be None), in the order of the
    values; the first is drawn solid. `points`: dicts of explainer, label, length, f_ns, and the same bounds.
    """
    drawn = [(name, list(rows)) for name, rows in curves.items() if rows]
    if not drawn and not points:
        return empty(height, "No sweep over lambda is stored yet.")
    fig = figure(height)
    colour = palette.of_name("lcer")
    for (name, line), dash in zip(drawn, ("solid", "dot", "dash", "dashdot"), strict=False):
        fig.add_scatter(
            x=[row["length"] for row in line],
            y=[row["f_ns"] for row in line],
            mode="lines+markers+text",
            line={"color": colour, "width": 2, "dash": dash},
            marker={"size": 7, "color": colour},
            text=_last(name, line),
            textposition="top center" if dash == "solid" else "bottom center",
            textfont={"size": 11, "color": INK},
            cliponaxis=False,
            customdata=[[f"{plain(name)} {row['value']:g}", _span(row)] for row in line],
            hovertemplate="<b>LCER, %{customdata[0]}</b><br>%{x:.2f} items<br>F_NS %{y:.1f}%{customdata[1]}"
            "<extra></extra>",
        )
    widest = max(row["length"] for row in (*points, *(row for _, line in drawn for row in line)))
    for row, (said, where) in zip(points, _labels(points, widest), strict=True):
        colour = palette.of_name(row["explainer"])
        fig.add_scatter(
            x=[row["length"]],
            y=[row["f_ns"]],
            mode="markers+text",
            marker={"size": 11, "symbol": "diamond", "color": colour},
            text=[said],
            textposition=where,
            textfont={"size": 12},
            cliponaxis=False,
            customdata=[[plain(row["label"]), _span(row)]],
            hovertemplate="<b>%{customdata[0]}</b><br>%{x:.2f} items<br>F_NS %{y:.1f}%{customdata[1]}<extra></extra>",
        )
    fig.update_xaxes(title="items named, on average", range=[0, widest * 1.25], fixedrange=True)
    fig.update_yaxes(title="F_NS (%)", rangemode="tozero", fixedrange=True)
    return fig


def _labels(points: Rows, widest: float) -> list[tuple[str, str]]:
    """A text per point and where it stands; of points that lie nearly on each other the rightmost says all names.

    A text has its place to the right of its point, above it where another point lies there.
    """
    heads: list[int] = []
    names: dict[int, list[str]] = {}
    for place in sorted(range(len(points)), key=lambda p: -points[p]["length"]):
        row = points[place]
        near = (h for h in heads if abs(points[h]["length"] - row["length"]) < 0.04 * widest)
        head = next((h for h in near if abs(points[h]["f_ns"] - row["f_ns"]) < 4), place)
        heads += [place] if head == place else []
        names.setdefault(head, []).append(plain(row["label"]))
    said = ["<br>".join(names.get(place, ())) for place in range(len(points))]
    return [
        (text, "top center" if text and _crowded(points, p, widest) else "middle right") for p, text in enumerate(said)
    ]


def _crowded(points: Rows, place: int, widest: float) -> bool:
    """Whether another point lies where the text to the right of a point would stand."""
    own = points[place]
    beside = (row for row in points if 0 < row["length"] - own["length"] < 0.2 * widest)
    return any(abs(row["f_ns"] - own["f_ns"]) < 4 for row in beside)


def _last(name: str, line: Rows) -> list[str]:
    """A text at the last point: the parameter and its value there."""
    return [*[""] * (len(line) - 1), f"{plain(name)} {line[-1]['value']:g}"]


# -- agreement


FILLED = 0.45
"""A cell above this is dark enough for white text in light and dark alike; below, the ground shows through."""


def matrix(names: Sequence[str], cells: Sequence[Sequence[float | None]]) -> go.Figure:
    """A number per two names, darker where it is larger; the diagonal is left out."""
    height = 90 + 30 * max(len(names), 3)
    if not names:
        return empty(height, "No agreement is stored for this choice.")
    fig = figure(height)
    shown = [[None if i == j else cell for j, cell in enumerate(row)] for i, row in enumerate(cells)]
    fig.add_heatmap(
        z=shown,
        x=list(range(len(names))),
        y=list(range(len(names))),
        zmin=0,
        zmax=1,
        colorscale=[[0, "rgba(100,115,224,0.04)"], [1, palette.ACCENT]],
        showscale=False,
        xgap=2,
        ygap=2,
        hoverongaps=False,
        customdata=[[f"{plain(one)}<br>{plain(other)}" for other in names] for one in names],
        hovertemplate="%{customdata}<br><b>%{z:.3f}</b><extra></extra>",
    )
    told = [(i, j, cell) for i, row in enumerate(shown) for j, cell in enumerate(row) if cell is not None]
    fig.add_scatter(
        x=[j for _, j, _ in told],
        y=[i for i, _, _ in told],
        mode="text",
        text=[f"{cell:.2f}" for *_, cell in told],
        textfont={"size": 11, "color": ["#ffffff" if cell > FILLED else INK for *_, cell in told]},
        hoverinfo="skip",
    )
    labels = [folded(name, 16, 2) for name in names]
    ticks = {"tickvals": list(range(len(names))), "showgrid": False, "fixedrange": True}
    fig.update_xaxes(ticktext=labels, tickangle=-35 if len(names) > 6 else 0, **ticks)
    fig.update_yaxes(ticktext=[plain(name) for name in names], autorange="reversed", **ticks)
    return fig


def _span(row: Mapping[str, Any]) -> str:
    low, high = row.get("f_ns_low"), row.get("f_ns_high")
    return "" if low is None or high is None else f" ({low:.1f} to {high:.1f})"
