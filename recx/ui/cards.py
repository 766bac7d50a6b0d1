"""Pieces of HTML: explanation cards, tables, terms with their help. All item text is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from recx.figures import palette
from recx.ui.text import attribute, html, number, plural, seconds, signed
from recx.ui.words import LABELS, tell

MARKS = {True: ("✓", "yes", "yes"), False: ("✗", "no", "no"), None: ("–", "not asked", "na")}

MEASURES = {
    "support": "support",
    "confidence": "confidence",
    "base_rate": "base rate",
    "lift": "lift",
    "leverage": "leverage",
    "conviction": "conviction",
}
"""Measures of an association rule -> label."""


def term(word: str, label: str = "", *, right: bool = False) -> str:
    """A term that explains itself on hover and on keyboard focus."""
    side, said = " right" if right else "", label or LABELS.get(word, word)
    return f'<span class="rx-term{side}" tabindex="0" data-tip="{attribute(tell(word))}">{attribute(said)}</span>'


def verdict(row: Mapping[str, Any]) -> tuple[str, str, str]:
    """What the check says of an Explanation, in one line: (mark, words, class)."""
    if not row["found"]:
        return "–", "No reason found", "na"
    if row["necessary"] and row["sufficient"]:
        return "✓", "True: needed, and enough alone", "yes"
    if row["necessary"]:
        return "✓", "True: needed, but not enough alone", "yes"
    if row["sufficient"]:
        return "✗", "Not the reason: enough alone, but not needed", "no"
    return "✗", "Not the reason: it stays without them", "no"


def unmoved(row: Mapping[str, Any]) -> bool:
    """Whether an Explanation shows no reaction of the model: nothing found, or rank and margin unchanged."""
    before, after = (row["rank_before"], row["margin_before"]), (row["rank_after"], row["margin_after"])
    return not row["found"] or before == after


def explanation(row: Mapping[str, Any], title: str, *, note: str = "", shown: int = 6) -> str:
    """One explainer's answer with its check; `note` is one more sentence."""
    more = f'<p class="note">{html(note)}</p>' if note else ""
    return card(row, title, verdict(row), more, named_items(row, shown), _facts(row))


def card(row: Mapping[str, Any], title: str, verdict: tuple[str, str, str], *middle: str) -> str:
    """An explainer's answer: name, verdict (mark, words, class), sentence, `middle` (HTML), and what it took."""
    mark, words, kind = verdict
    parts = [
        f"<h4>{_dot(row['explainer'])}{attribute(title)}</h4>",
        f'<div class="verdict {kind}">{mark} {words}</div>',
        f'<p class="sentence">{html(row["sentence"])}</p>',
        *middle,
        f'<div class="foot">{term("time", seconds(row["seconds"]))} · '
        f"{term('model calls', plural(row['model_calls'], 'model call'))}"
        f" · {term('world', row['world'])}<br>{html(row['searched'])}</div>",
    ]
    return f'<div class="rx rx-card" data-explainer="{attribute(row["explainer"])}">{"".join(parts)}</div>'


def _dot(explainer: str) -> str:
    return f'<span class="dot" style="background:{palette.of_name(explainer)}"></span>'


def no_answer(name: str, title: str, sentence: str) -> str:
    """A card for an explainer that cannot answer, with the reason."""
    return (
        f'<div class="rx rx-card"><h4>{_dot(name)}{attribute(title)}</h4><div class="verdict na">– No answer</div>'
        f'<p class="sentence">{html(sentence[:1].upper() + sentence[1:])}</p></div>'
    )


def named_items(row: Mapping[str, Any], shown: int) -> str:
    """The named items with their weights and what the explainer knows of each."""
    if not row["items"]:
        return ""
    details = _details(row)
    lines = []
    for item, title, weight in list(zip(row["items"], row["titles"], row["weights"], strict=False))[:shown]:
        more = f'<span class="detail">{details[item]}</span>' if item in details else ""
        lines.append(
            f'<li><span class="title">{html(title)}</span><span class="num dim" '
            f'title="weight">{number(weight, 3)}</span>{more}</li>'
        )
    rest = len(row["items"]) - shown
    if rest > 0:
        lines.append(f'<li class="dim">and {plural(rest, "more item")}</li>')
    count = term("explainer", plural(len(row["items"]), "item") + " named")
    head = f'<div class="dim">{count}, with {term("weight")}</div>'
    return f'{head}<ul class="items">{"".join(lines)}</ul>'


def _details(row: Mapping[str, Any]) -> dict[str, str]:
    """Measures of association rules; ranks of single items."""
    out = {}
    for rule in row["details"].get("rules", ()):
        words = [f"{term(name, label)} {number(rule[name], 3)}" for name, label in MEASURES.items() if name in rule]
        out[rule["item"]] = " · ".join([*words, _in_and_out(rule)] if "in_and_y" in rule else words)
    for one in row["details"].get("per_item", ()):
        if "rank_without" in one:
            out.setdefault(one["item"], f"alone: score {signed(one['value'])}, rank {one['rank_without']:,}")
    return out


def _in_and_out(rule: Mapping[str, Any]) -> str:
    """How often a causal rule's item came with the recommendation in the perturbed histories."""
    return (
        f"recommended in {rule['in_and_y']:,} of {rule['in']:,} perturbed histories with it, in "
        f"{rule['out_and_y']:,} of {rule['out']:,} without"
    )


def _facts(row: Mapping[str, Any]) -> str:
    """The numbers of the check."""
    k = row["k"]
    ranks = (
        f"{number(row['rank_before'])} → <b>{number(row['rank_after'])}</b>"
        if row["found"]
        else number(row["rank_before"])
    )
    margins = number(row["margin_before"], 3) + (f" → {number(row['margin_after'], 3)}" if row["found"] else "")
    lines = [("rank", "rank", ranks), ("margin", "margin", margins)]
    if row["found"]:
        only = f' <span class="dim">(rank {number(row["rank_only"])} with only them)</span>' if row["rank_only"] else ""
        lines += [
            (
                "replacement",
                "taking its place",
                html(row["replacement_title"])
                if row["replacement_title"]
                else f'<span class="na">none: it stays in the top {k}</span>',
            ),
            ("necessary", "necessary", _flag(row["necessary"])),
            ("sufficient", "sufficient", _flag(row["sufficient"]) + only),
            ("minimal", "", minimal(row["minimal"])),
        ]
    return fact_list(lines)


def fact_list(lines: Sequence[tuple[str, str, str]]) -> str:
    """(term, label, HTML) as a list of facts."""
    rows = "".join(f"<dt>{term(t, label)}</dt><dd>{value}</dd>" for t, label, value in lines)
    return f'<dl class="rx-facts">{rows}</dl>'


def fact(name: str, label: str, words: str) -> str:
    """One more line of facts under a card."""
    return f'<div class="rx">{fact_list([(name, label, attribute(words))])}</div>'


def _flag(value: bool | None) -> str:
    mark, words, kind = MARKS[value]
    return f'<span class="{kind}">{mark} {words}</span>'


def minimal(value: str | None) -> str:
    """Whether an item of the set can be spared (`minimal` of an Explanation)."""
    if value is None:
        return '<span class="na">– does not apply</span>'
    if value == "proved":
        return '<span class="yes">✓ none, proved</span>'
    return '<span class="na">– perhaps</span>'


def legend(lanes: Mapping[str, str]) -> str:
    """The genre colours."""
    dots = [(name, palette.GENRE_COLOURS[colour]) for name, colour in lanes.items()] + [("other", palette.OTHER[1])]
    return (
        '<div class="rx rx-key">'
        + "".join(
            f'<span><span class="dot" style="background:{colour}"></span>{html(name)}</span>' for name, colour in dots
        )
        + "</div>"
    )


def glossary(words: Mapping[str, str]) -> str:
    """Terms and what they mean, as a list."""
    return (
        '<div class="rx"><dl class="rx-words">'
        + "".join(f"<dt>{attribute(LABELS.get(w, w))}</dt><dd>{attribute(t)}</dd>" for w, t in words.items())
        + "</dl></div>"
    )


def footer(parts: Mapping[str, tuple[str, str]]) -> str:
    """Provenance: {label: (name, fingerprint)}."""
    return (
        '<div class="rx-foot">'
        + "".join(
            f"<span>{term('fingerprint', label)} {html(name)}"
            + (f" <code>{attribute(mark)}</code>" if mark else "")
            + "</span>"
            for label, (name, mark) in parts.items()
        )
        + "</div>"
    )


def table(rows: Sequence[Mapping[str, str]], caption: str) -> str:
    """A small table of texts; the columns are those of the first row."""
    if not rows:
        return ""
    return table_of(map(attribute, rows[0]), [line(map(html, row.values())) for row in rows], caption)


def table_of(heads: Iterable[str], lines: Iterable[str], caption: str, kind: str = "") -> str:
    """A table: headings (HTML), lines made by `line`, what it is called, a class more."""
    head = "".join(f'<th scope="col">{one}</th>' for one in heads)
    return (
        f'<div class="rx"><table class="rx-table {kind}" aria-label="{attribute(caption)}"><thead><tr>{head}</tr>'
        f"</thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def line(cells: Iterable[str], kind: str = "") -> str:
    """A line of a table: cells (HTML), what kind of line it is."""
    told = f' data-kind="{attribute(kind)}"' if kind else ""
    return f"<tr{told}>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
