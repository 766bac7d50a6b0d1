"""Rules as HTML: what either kind says and the check finds, perturbed histories, two people with two causes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from recx.ui.cards import line, table_of, term
from recx.ui.text import attribute, html, number, signed


def rules(rows: Sequence[Mapping[str, Any]], kinds: Mapping[str, tuple[str, str, str]]) -> str:
    """Rules about items, one line each: what it is worth, what either kind says, what the check finds.

    `rows`: dicts of title, kind, confidence, lift, strength, effect, rank, rank_without, leaves (`ui.rules.compared`).
    `kinds`: kind -> (class, label, meaning).
    """
    if not rows:
        return '<div class="rx dim">No rule names an item for this recommendation.</div>'
    names = (("", "verdict"), ("", "item"), ("confidence", "confidence"), ("lift", "lift"), ("strength", "strength"))
    heads = [term(name, label) if name else label for name, label in names]
    heads += [term("lifts it", "score without it"), term("check of a rule", "place without it", right=True)]
    return table_of(heads, [_rule(row, *kinds[row["kind"]]) for row in rows], "Rules after the check", "rx-rules")


def _rule(row: Mapping[str, Any], kind: str, label: str, meaning: str) -> str:
    rank = row["rank_without"]
    moved = "not asked" if rank is None else f"{number(row['rank'])} → <b>{number(rank)}</b>"
    moved += ' <span class="dim">leaves the list</span>' if row["leaves"] else ""
    cells = [
        f'<span class="tag {kind}" title="{attribute(meaning)}">{attribute(label)}</span>',
        html(row["title"]),
        "–" if row["confidence"] is None else f"{100 * row['confidence']:.0f} %",
        number(row["lift"], 3),
        number(row["strength"], 3),
        signed(None if row["effect"] is None else -row["effect"], 2),
        moved,
    ]
    return line(cells, row["kind"])


def causal(rows: Sequence[Mapping[str, Any]]) -> str:
    """What perturbed histories say of each changed item: the paper's own test, fresh ones, and putting the item back.

    `rows`: `details["rules"]` of the explainer causal-rules; differences with 95 % intervals, in points.
    """
    names = (
        *(("", "item"), ("strength", "theta"), ("in perturbed", "same histories"), ("in fresh", "fresh histories")),
        ("put back", "put back"),
    )
    lines = []
    for row in rows:
        points = [_points(row, name) for name in ("difference", "fresh_difference", "effect")]
        lines.append(line([html(row["title"]), number(row["theta"], 3), *points]))
    heads = [term(name, label) if name else label for name, label in names]
    return table_of(heads, lines, "Causal rules, tested", "rx-rules")


def _points(row: Mapping[str, Any], name: str) -> str:
    """A difference of shares in points with its interval; green or red where the interval leaves out zero."""
    value, low, high = (row.get(key) for key in (name, f"{name}_low", f"{name}_high"))
    if value is None:
        return '<span class="na">–</span>'
    if low is None or high is None:
        return signed(100 * value, 2)
    kind = "yes" if low > 0 else "no" if high < 0 else "na"
    return f'<span class="{kind}"><b>{signed(100 * value, 2)}</b></span> <span class="dim">{_span(low, high)}</span>'


def _span(low: float, high: float) -> str:
    return f"({signed(100 * low, 2)} to {signed(100 * high, 2)})"


def perturbed(rows: Sequence[Mapping[str, Any]]) -> str:
    """Perturbed histories, one line each: the items, those changed in bold, and what was recommended first then.

    `rows`: `details["perturbed"]` of the explainer causal-rules.
    """
    lines = []
    for row in rows:
        items = " · ".join(
            f"<b>{html(one['title'])}</b>" if one["changed"] else f'<span class="dim">{html(one["title"])}</span>'
            for one in row["history"]
        )
        mark, kind = ("✓", "yes") if row["recommended"] else ("✗", "no")
        lines.append(line((items, html(row["output"]["title"]), f'<span class="{kind}">{mark}</span>')))
    heads = ("changed history (changed items in bold)", "first recommendation", "still recommended")
    return table_of(heads, lines, "Perturbed histories", "rx-perturbed")


def pair(row: Mapping[str, Any]) -> str:
    """Two people with the same recommendation and association rule, each with the cause of its own.

    `row`: user_a, user_b, target_title, shared_title, confidence, lift, and for each side cause_..._title,
    confirmed_..., shared_confirmed_..., history_... (titles, oldest first).
    """
    head = (
        f'<p class="sentence">Recommended to both: <b>{html(row["target_title"])}</b>. Association rule for both: '
        f"{html(row['shared_title'])} → {html(row['target_title'])} "
        f'<span class="dim">(confidence {100 * row["confidence"]:.0f} %, lift {number(row["lift"], 3)})</span></p>'
    )
    sides = "".join(_side(row, side) for side in ("a", "b"))
    return f'<div class="rx">{head}<div class="rx-pair">{sides}</div></div>'


def _side(row: Mapping[str, Any], side: str) -> str:
    cause, shared = row[f"cause_{side}_title"], row["shared_title"]
    lines = []
    for title in row[f"history_{side}"]:
        tags = '<span class="tag accent">cause</span> ' if title == cause else ""
        tags += '<span class="tag na">association rule</span>' if title == shared else ""
        lines.append(f'<li><span class="title">{html(title)}</span><span>{tags}</span></li>')
    words = (
        ("yes", "✓ Without the cause the recommendation changes.")
        if row[f"confirmed_{side}"]
        else ("no", "✗ Without the cause the recommendation stays.")
    )
    about = "changes" if row[f"shared_confirmed_{side}"] else "stays"
    kind, said = words
    return (
        f'<div class="rx-card"><h4>User {html(row[f"user_{side}"])}</h4><div class="verdict {kind}">{said}</div>'
        f'<ul class="items">{"".join(lines)}</ul>'
        f'<div class="foot">Without the item of the association rule it {about}.</div></div>'
    )


def kinds(table: Mapping[str, tuple[str, str, str]]) -> str:
    """The tags of rules and what they mean."""
    parts = "".join(
        f'<dt><span class="tag {kind}">{attribute(label)}</span></dt><dd>{attribute(meaning)}</dd>'
        for kind, label, meaning in table.values()
    )
    return f'<div class="rx"><dl class="rx-words wide">{parts}</dl></div>'
