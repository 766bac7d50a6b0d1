"""Whatever a title, an id or a sentence holds, HTML and figures show it as text: each builder, each hostile text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any

import pytest

from recx.explainers._explanation import Explanation
from recx.figures import explanations as explained_figures
from recx.figures import rules as rule_figures
from recx.figures import sets as set_figures
from recx.ui import cards, list_cards, rule_cards, rules, text

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "*_[](){}$ `x` $$a$$ :smile: [a](javascript:alert(1))",
    "\" onmouseover='alert(1)' x=\"",
    "</td></div></span><script>alert(1)</script>",
    "&lt;b&gt; &amp; %{text} %{x}<extra></extra>",
    "🎬🍿 \U0001f468\u200d\U0001f469\u200d\U0001f467",
    "Ż" * 300,
]
TAGS = set("div span p h4 b bdi br ul ol li dl dt dd table thead tbody tr th td code".split())
ATTRIBUTES = set(
    "class style title tabindex scope aria-label data-tip data-kind data-item data-list data-explainer".split()
)


class Page(HTMLParser):
    """What a browser would make of a page: tags, names of attributes, the words, the values of attributes."""

    def __init__(self, body: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.names: set[str] = set()
        self.open: list[str] = []
        self.words, self.values = "", ""
        self.feed(body)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.open += [tag] if tag != "br" else []
        self.names |= {name for name, _ in attrs}
        self.values += " ".join(value or "" for _, value in attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, "closed in order"

    def handle_data(self, data: str) -> None:
        self.words += data


def explanation(evil: str, **more: Any) -> dict[str, Any]:
    about = {
        "explainer": evil,
        "recommender": evil,
        "dataset": evil,
        "user": evil,
        "target": evil,
        "target_title": evil,
    }
    said = {"searched": evil, "sentence": evil, "world": evil, "k": 5, "rank_before": 1, "margin_before": 0.5}
    named = {"items": (evil,), "titles": (evil,), "weights": (0.5,), "found": True, "rank_after": 9, "rank_only": 2}
    checked = {"replacement": evil, "replacement_title": evil, "necessary": True, "minimal": "proved"}
    return Explanation(**about | said | named | checked | more).as_dict()


def association(evil: str) -> dict[str, Any]:
    return {"item": evil, "title": evil, "confidence": 0.6, "lift": 1.5, "base_rate": 0.4, "support": 0.1}


def causal(evil: str) -> dict[str, Any]:
    counts = {"in": 9, "in_and_y": 3, "out": 8, "out_and_y": 1}
    return {"item": evil, "title": evil, "theta": 1.0, "effect": 0.1, "effect_low": 0.05, "effect_high": 0.2} | counts


def listed(evil: str) -> dict[str, Any]:
    moves = {"left": [{"title": evil, "place": 4}], "came": [{"title": evil, "place": 8}]}
    return explanation(evil, details={"size": 10, "need": 5, "replaced": 5, "pn_r": 0.39, "stay": 7} | moves)


def pair(evil: str) -> dict[str, Any]:
    own = {f"{name}_{side}": evil for name in ("user", "cause", "history") for side in "ab"}
    own |= {f"cause_{side}_title": evil for side in "ab"} | {f"history_{side}": [evil] for side in "ab"}
    own |= {f"{name}_{side}": True for name in ("confirmed", "shared_confirmed") for side in "ab"}
    return own | {"target_title": evil, "shared_title": evil, "confidence": 0.6, "lift": 1.5}


def in_list(evil: str) -> dict[str, Any]:
    return {"item": evil, "title": evil, "year": None, "rank": 1, "score": 1.0, "held_out": True, "other": 7}


def compared(evil: str) -> list[dict[str, Any]]:
    every = {"rank_before": 2, "k": 5, "details": {"per_item": [{"item": evil, "value": 1.0, "rank_without": 9}]}}
    return rules.compared({"details": {"rules": [association(evil)]}}, None, every)


BUILDERS: dict[str, Callable[[str], str]] = {
    "explanation": lambda evil: cards.explanation(
        explanation(evil, details={"rules": [association(evil), causal(evil)], "per_item": []}), evil, note=evil
    ),
    "no answer": lambda evil: cards.no_answer(evil, evil, evil),
    "fact": lambda evil: cards.fact("certificate", evil, evil),
    "legend": lambda evil: cards.legend({evil: "blue"}),
    "footer": lambda evil: cards.footer({evil: (evil, evil)}),
    "glossary": lambda evil: cards.glossary({evil: evil}),
    "table": lambda evil: cards.table([{evil: evil}], evil),
    "whole list": lambda evil: list_cards.whole_list(listed(evil), evil),
    "line of a list": lambda evil: list_cards.list_line([evil]),
    "what if": lambda evil: list_cards.whatif_list([in_list(evil)], [in_list(evil + "!")], evil),
    "side by side": lambda evil: list_cards.side_list([in_list(evil)], "A", "B", 5, scores=True),
    "rules": lambda evil: rule_cards.rules(compared(evil), rules.KINDS),
    "causal": lambda evil: rule_cards.causal([causal(evil)]),
    "perturbed": lambda evil: rule_cards.perturbed(
        [
            {"history": [{"title": evil, "changed": True}, {"title": evil, "changed": False}], "recommended": True}
            | {"output": {"title": evil}}
        ]
    ),
    "pair": lambda evil: rule_cards.pair(pair(evil)),
    "kinds": lambda evil: rule_cards.kinds({"x": ("yes", evil, evil)}),
}


@pytest.mark.parametrize("evil", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("builder", BUILDERS)
def test_html_shows_hostile_text_as_text(builder: str, evil: str) -> None:
    page = Page(BUILDERS[builder](evil))
    assert page.tags <= TAGS
    assert page.names <= ATTRIBUTES
    assert page.open == [], "all is closed"
    words = " ".join(page.words.split())
    assert text.clean(evil).lower() in words.lower(), "the whole of it"


# -- figures: Plotly reads b, i, a, span and more in every text, and %{...} in templates


def item(evil: str) -> dict[str, Any]:
    return {"item": evil, "title": evil, "year": None, "genres": evil, "rating": None, "time": None, "popularity": 1}


def bars(evil: str) -> dict[str, Any]:
    return explanation(evil, details={"per_item": [{"item": evil, "value": 1.0, "rank_without": 9}]})


def cell(evil: str) -> dict[str, Any]:
    measured = {"measured": 50.0, "ci_low": 40.0, "ci_high": 60.0, "n": 9, "published": 40.0, "placebo": 10.0}
    return {"explainer": evil, "label": evil, "pn": measured}


def point(evil: str) -> dict[str, Any]:
    own = {"explainer": evil, "label": evil, "value": 1.0, "length": 3.0, "f_ns": 50.0}
    return own | {"f_ns_low": 40.0, "f_ns_high": 60.0}


def held(evil: str) -> dict[str, Any]:
    return {"item": evil, "title": evil, "replaced": 2} | dict.fromkeys(("pn_s", "pn_r", "share", "share_ranked"), 0.5)


SWEPT = {"measured": 50.0, "ci_low": 40.0, "ci_high": 60.0}
FIGURES: dict[str, Callable[[str], Any]] = {
    "importance": lambda evil: set_figures.importance([item(evil)], [bars(evil)], {evil: "blue"}, {evil: evil}),
    "support": lambda evil: set_figures.support([held(evil)], 5),
    "scorecard": lambda evil: set_figures.scorecard([cell(evil)], {"pn": evil}),
    "tradeoff": lambda evil: set_figures.tradeoff({evil: [point(evil)]}, [point(evil)]),
    "matrix": lambda evil: set_figures.matrix([evil, "B"], [[None, 0.5], [0.5, None]]),
    "sweep": lambda evil: rule_figures.sweep({evil: [{"value": evil} | SWEPT]}, evil),
    "agreement": lambda evil: explained_figures.agreement([bars(evil)], {evil: evil}),
    "effects": lambda evil: explained_figures.effects([{"title": evil, "effect": 0.5, "rank_without": 3}]),
}
OURS = re.compile(r"</?b>|<br>|<span style='color:rgba\([0-9,]+\)'>|</span>")
"""The markup that our own figures use."""


def texts(part: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a figure with the name it stands under; ids that are sent back, not shown, are left out."""
    if isinstance(part, dict):
        for name, own in part.items():
            yield from texts(own, name)
    elif isinstance(part, list | tuple):
        for own in part:
            yield from texts(own, key)
    elif isinstance(part, str):
        yield key, part


@pytest.mark.parametrize("evil", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("figure", FIGURES)
def test_figures_show_hostile_text_as_text(figure: str, evil: str) -> None:
    found = list(texts(FIGURES[figure](evil).to_plotly_json()["data"]))
    found += list(texts(FIGURES[figure](evil).to_plotly_json()["layout"] | {"template": None}))
    start = text.clean(evil)[:12]
    shown = [Page(own).words for key, own in found if not key.endswith("template")]
    assert any(start in words for words in shown), "it is there"
    for key, own in found:
        if key.endswith("template"):
            assert start not in own, "a template is ours alone"
        else:
            assert "<" not in OURS.sub("", own), (key, own)
            assert "&" not in re.sub(r"&(amp|lt|gt|quot|#x27);", "", own), (key, own)
