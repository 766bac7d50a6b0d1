"""Recommended lists as HTML: what moves in them, two side by side, and the answer for a list as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from recx.ui import cards
from recx.ui.text import attribute, html, named, number
from recx.ui.words import tell


def whole_list(row: Mapping[str, Any], title: str, *, shown: int = 6) -> str:
    """One explainer's answer for a list as a whole, with its check: what leaves and what comes."""
    more = row["details"]
    facts = [("replaced", "replaced", f"{more['replaced']} of {more['size']} (asked for {more['need']})")]
    moves = ""
    if row["found"]:
        facts += [
            ("PN-R", "weighted by place", number(more["pn_r"], 2)),
            ("stay", "stay with only them", f"{more['stay']} of {more['size']}"),
            ("minimal", "", cards.minimal(row["minimal"])),
        ]
        moves = _moves("out", "leaves", "no", more["left"]) + _moves("new", "comes", "yes", more["came"])
    return cards.card(row, title, list_verdict(row), cards.named_items(row, shown), cards.fact_list(facts), moves)


def list_verdict(row: Mapping[str, Any]) -> tuple[str, str, str]:
    """What the check says of a set for a whole list: (mark, words, class)."""
    more = row["details"]
    if not row["found"]:
        return "–", "No set found", "na"
    if row["necessary"]:
        return "✓", f"True: {more['replaced']} of {more['size']} are others without them", "yes"
    return "✗", f"Not enough: {more['replaced']} of {more['size']} are others, {more['need']} asked for", "no"


def _moves(mark: str, words: str, kind: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """The titles that leave a list or come into it, with their places."""
    titles = ", ".join(f"{row['place']}\u202f· {html(row['title'])}" for row in rows)
    return (
        f'<div class="moves"><b class="{kind}">{mark}</b> <span class="dim">{words}</span> {titles}</div>'
        if rows
        else ""
    )


def list_line(titles: Sequence[str]) -> str:
    """A recommended list in one paragraph, numbered."""
    parts = " ".join(f"<span><b>{place}</b> {html(title)}</span>" for place, title in enumerate(titles, 1))
    return f'<div class="rx rx-line">{parts}</div>'


def moved(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, str]]:
    """(item, mark, words) for each row of `after`: how its place changed since `before`."""
    place = {row["item"]: row["rank"] for row in before}
    out = []
    for row in after:
        old = place.get(row["item"])
        if old is None:
            out.append((row["item"], "new", "was not in the list before"))
        elif old == row["rank"]:
            out.append((row["item"], "=", "same place as before"))
        else:
            up = old > row["rank"]
            out.append((row["item"], f"{'▲' if up else '▼'} {abs(old - row['rank'])}", f"was in place {old}"))
    return out


def whatif_list(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]], target: str = "") -> str:
    """The list after switching items off, with movement marks, then what left it."""
    lines = []
    for row, (item, mark, words) in zip(after, moved(before, after), strict=True):
        kind = "yes" if mark.startswith(("▲", "new")) else "no" if mark.startswith("▼") else "na"
        own = " target" if item == target else ""
        lines.append(
            f'<li class="row{own}" data-item="{attribute(item)}"><span class="rank">{row["rank"]}</span>'
            f'<span class="mark {kind}" title="{words}">{mark}</span><span '
            f'class="title">{html(named(row["title"], row["year"]))}{star(row)}</span>'
            f'<span class="score">{number(row["score"])}</span></li>'
        )
    now = {row["item"] for row in after}
    for row in before:
        if row["item"] not in now:
            lines.append(
                f'<li class="gone" data-item="{attribute(row["item"])}"><span class="rank"></span><span '
                f'class="mark no" title="was in place {row["rank"]}">out</span>'
                f'<span class="title">{html(named(row["title"], row["year"]))}</span><span '
                f'class="score">was {row["rank"]}</span></li>'
            )
    return f'<div class="rx"><ol class="rx-list" data-list="what-if">{"".join(lines)}</ol></div>'


def side_list(rows: Sequence[Mapping[str, Any]], here: str, there: str, k: int, *, scores: bool = False) -> str:
    """One of two lists side by side: each row with its place in the other (`other`), or that it is only here."""
    lines = []
    for row in rows:
        mark, kind, words = _beside(row, there, k)
        rank = f'<span class="dim num">{row["other"]:,} in {there}</span>' if row["other"] > k else ""
        score = f'<span class="num dim">{number(row["score"])}</span>' if scores else ""
        lines.append(
            f'<li class="row" data-item="{attribute(row["item"])}"><span class="rank">{row["rank"]}</span>'
            f'<span class="mark {kind}" title="{words}">{mark}</span>'
            f'<span class="title">{html(named(row["title"], row["year"]))}{star(row)}</span>'
            f'<span class="score">{rank}{" " if rank and score else ""}{score}</span></li>'
        )
    return f'<div class="rx"><ol class="rx-list" data-list="{here}">{"".join(lines)}</ol></div>'


def _beside(row: Mapping[str, Any], there: str, k: int) -> tuple[str, str, str]:
    """(mark, class, words) for a row of one list beside another."""
    up = row["other"] - row["rank"]
    if row["other"] > k:
        return "only", "na", f"not in the top {k} of {there}"
    if up == 0:
        return "=", "na", f"the same place as in {there}"
    return f"{'▲' if up > 0 else '▼'} {abs(up)}", "yes" if up > 0 else "no", f"in place {row['other']} of {there}"


def star(row: Mapping[str, Any]) -> str:
    """The mark of the held-out true next item."""
    return f' <span class="yes" title="{attribute(tell("held-out"))}">★</span>' if row.get("held_out") else ""
