"""Pieces of HTML: explanation cards, lists with movement, terms with their help. All item text is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from recx.figures import palette
from recx.ui.text import attribute, html, named, number, plural, seconds, signed
from recx.ui.words import tell

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
    side = " right" if right else ""
    return (
        f'<span class="rx-term{side}" tabindex="0" data-tip="{attribute(tell(word))}">{attribute(label or word)}</span>'
    )


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
    mark, words, kind = verdict(row)
    dot = f'<span class="dot" style="background:{palette.of_name(row["explainer"])}"></span>'
    parts = [
        f"<h4>{dot}{attribute(title)}</h4>",
        f'<div class="verdict {kind}">{mark} {words}</div>',
        f'<p class="sentence">{html(row["sentence"])}</p>',
        f'<p class="note">{html(note)}</p>' if note else "",
        _items(row, shown),
        _facts(row),
        f'<div class="foot">{term("time", seconds(row["seconds"]))} · '
        f"{term('model calls', plural(row['model_calls'], 'model call'))}"
        f" · {term('world', row['world'])}<br>{html(row['searched'])}</div>",
    ]
    return f'<div class="rx rx-card" data-explainer="{attribute(row["explainer"])}">{"".join(parts)}</div>'


def whole_list(row: Mapping[str, Any], title: str, *, shown: int = 6) -> str:
    """One explainer's answer for a list as a whole, with its check: what leaves and what comes."""
    more = row["details"]
    mark, words, kind = list_verdict(row)
    dot = f'<span class="dot" style="background:{palette.of_name(row["explainer"])}"></span>'
    lines = [("replaced", "replaced", f"{more['replaced']} of {more['size']} (asked for {more['need']})")]
    if row["found"]:
        lines += [
            ("PN-R", "weighted by place", number(more["pn_r"], 2)),
            ("stay", "stay with only them", f"{more['stay']} of {more['size']}"),
            ("minimal", "minimal", _minimal(row["minimal"])),
        ]
    parts = [
        f"<h4>{dot}{attribute(title)}</h4>",
        f'<div class="verdict {kind}">{mark} {words}</div>',
        f'<p class="sentence">{html(row["sentence"])}</p>',
        _items(row, shown),
        _fact_list(lines),
        _moves("out", "leaves", "no", more["left"]) + _moves("new", "comes", "yes", more["came"])
        if row["found"]
        else "",
        f'<div class="foot">{term("time", seconds(row["seconds"]))} · '
        f"{term('model calls', plural(row['model_calls'], 'model call'))} · {term('world', row['world'])}<br>"
        f"{html(row['searched'])}</div>",
    ]
    return f'<div class="rx rx-card" data-explainer="{attribute(row["explainer"])}">{"".join(parts)}</div>'


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


def rules(rows: Sequence[Mapping[str, Any]], kinds: Mapping[str, tuple[str, str, str]]) -> str:
    """Rules about items, one line each: what it is worth, what either kind says, what the check finds.

    `rows`: dicts of title, kind, confidence, lift, strength, effect, rank, rank_without, leaves (`ui.rules.compared`).
    `kinds`: kind -> (class, label, meaning).
    """
    if not rows:
        return '<div class="rx dim">No rule names an item for this recommendation.</div>'
    names = (("", "verdict"), ("", "item"), ("confidence", "confidence"), ("lift", "lift"), ("strength", "strength"))
    head = "".join(f'<th scope="col">{term(name, label) if name else label}</th>' for name, label in names)
    head += f'<th scope="col">{term("lifts it", "score without it")}</th>'
    head += f'<th scope="col">{term("check of a rule", "place without it", right=True)}</th>'
    return (
        f'<div class="rx"><table class="rx-table rx-rules" aria-label="Rules after the check"><thead><tr>{head}</tr>'
        f"</thead><tbody>{''.join(_rule(row, *kinds[row['kind']]) for row in rows)}</tbody></table></div>"
    )


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
    return f'<tr data-kind="{attribute(row["kind"])}">{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>'


def causal(rows: Sequence[Mapping[str, Any]]) -> str:
    """What perturbed histories say of each changed item: the paper's own test, fresh ones, and putting the item back.

    `rows`: `details["rules"]` of the explainer causal-rules; differences with 95 % intervals, in points.
    """
    names = (
        *(("", "item"), ("strength", "theta"), ("in perturbed", "same histories"), ("in fresh", "fresh histories")),
        ("put back", "put back"),
    )
    head = "".join(f'<th scope="col">{term(name, label) if name else label}</th>' for name, label in names)
    body = []
    for row in rows:
        cells = [html(row["title"]), number(row["theta"], 3)]
        cells += [_points(row, name) for name in ("difference", "fresh_difference", "effect")]
        body.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    return (
        '<div class="rx"><table class="rx-table rx-rules" aria-label="Causal rules, tested"><thead><tr>'
        f"{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


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
    body = []
    for row in rows:
        items = " · ".join(
            f"<b>{html(one['title'])}</b>" if one["changed"] else f'<span class="dim">{html(one["title"])}</span>'
            for one in row["history"]
        )
        mark, kind = ("✓", "yes") if row["recommended"] else ("✗", "no")
        cells = (items, html(row["output"]["title"]), f'<span class="{kind}">{mark}</span>')
        body.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    heads = ("changed history (changed items in bold)", "first recommendation", "still recommended")
    head = "".join(f'<th scope="col">{one}</th>' for one in heads)
    return (
        '<div class="rx"><table class="rx-table rx-perturbed" aria-label="Perturbed histories"><thead><tr>'
        f"{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


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


def no_answer(name: str, title: str, sentence: str) -> str:
    """A card for an explainer that cannot answer, with the reason."""
    dot = f'<span class="dot" style="background:{palette.of_name(name)}"></span>'
    return (
        f'<div class="rx rx-card"><h4>{dot}{attribute(title)}</h4><div class="verdict na">– No answer</div>'
        f'<p class="sentence">{html(sentence[:1].upper() + sentence[1:])}</p></div>'
    )


def _items(row: Mapping[str, Any], shown: int) -> str:
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
            ("minimal", "minimal", _minimal(row["minimal"])),
        ]
    return _fact_list(lines)


def _fact_list(lines: Sequence[tuple[str, str, str]]) -> str:
    """(term, label, HTML) as a list of facts."""
    rows = "".join(f"<dt>{term(t, label)}</dt><dd>{value}</dd>" for t, label, value in lines)
    return f'<dl class="rx-facts">{rows}</dl>'


def fact(name: str, label: str, words: str) -> str:
    """One more line of facts under a card."""
    return f'<div class="rx">{_fact_list([(name, label, attribute(words))])}</div>'


def _flag(value: bool | None) -> str:
    mark, words, kind = MARKS[value]
    return f'<span class="{kind}">{mark} {words}</span>'


def _minimal(value: str | None) -> str:
    if value is None:
        return '<span class="na">– does not apply</span>'
    kind = "yes" if value == "proved" else "na"
    return f'<span class="{kind}">{"✓" if value == "proved" else "–"} {attribute(value)}</span>'


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
        + "".join(f"<dt>{attribute(w)}</dt><dd>{attribute(t)}</dd>" for w, t in words.items())
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
    head = "".join(f'<th scope="col">{attribute(name)}</th>' for name in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{html(cell)}</td>" for cell in row.values()) + "</tr>" for row in rows)
    return (
        f'<div class="rx"><table class="rx-table" aria-label="{attribute(caption)}"><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )
