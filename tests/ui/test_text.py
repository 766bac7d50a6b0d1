"""Titles are shown as text, whatever they hold."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as some

from recx.ui import text

NASTY = [
    "*bold* _it_",
    "$5 and $6",
    "[link](http://x)",
    "a, b: c",
    ":smile:",
    "<b>hi</b>",
    "`code`",
    "# head",
    "1. one",
    "A -> B",
    "www.x.org",
]


@pytest.mark.parametrize("title", NASTY)
def test_every_mark_of_markdown_is_escaped(title: str) -> None:
    assert not re.search(r"(?<!\\)[*_$\[\]`<>#]", text.md(title))
    assert re.sub(r"\\(.)", r"\1", text.md(title)).replace(text.WORD_JOINER, "") == title


def test_what_streamlit_replaces_after_parsing_is_broken_up() -> None:
    for code in (":smile:", ":material/home:", ":red[x]:", "a -> b", "-- x", "www.x.org", "http://x.org", "a@b.org"):
        assert text.WORD_JOINER in text.md(code) or code == ":red[x]:", code
    assert text.WORD_JOINER not in text.md("Star Wars: Episode IV - A New Hope (1977)")


@given(some.text())
def test_markdown_says_the_same_words(title: str) -> None:
    shown = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text.md(title))
    for mark in (text.WORD_JOINER, text.FIRST_STRONG, text.POP):
        shown = shown.replace(mark, "")
    assert shown == text.clean(title).replace(text.WORD_JOINER, "")


@given(some.text())
def test_html_holds_no_markup_of_the_title(title: str) -> None:
    inside = text.html(title).removeprefix("<bdi>").removesuffix("</bdi>")
    assert not set(inside) & set("<>\"'")


def test_direction_marks_are_taken_out_and_right_to_left_text_is_isolated() -> None:
    assert text.clean("a\u202eb\u2069c\x00d") == "abc d"
    assert text.md("שלום (1999)").startswith(text.FIRST_STRONG)
    assert text.html("שלום") == "<bdi>שלום</bdi>"


@pytest.mark.parametrize(
    ("title", "year", "shown"),
    [
        ("Alien", 1979, "Alien (1979)"),
        ("Alien (1979)", 1979, "Alien (1979)"),
        ("Alien", None, "Alien"),
        ("", 1979, "(no title) (1979)"),
        ("X", float("nan"), "X"),
    ],
)
def test_the_year_stands_once(title, year, shown) -> None:
    assert text.named(title, year) == shown


def test_numbers_and_times_read_well() -> None:
    assert [text.number(v) for v in (None, 12345, 0.123456, -0.5, float("nan"))] == [
        "–",
        "12,345",
        "0.1235",
        "−0.5",
        "–",
    ]
    assert [text.seconds(v) for v in (0.008, 1.24, 200, 7500)] == ["8 ms", "1.2 s", "3 min 20 s", "2 h 5 min"]
    assert [text.plural(1, "item"), text.plural(2000, "item")] == ["1 item", "2,000 items"]
    assert [text.signed(0.25), text.signed(-2.0)] == ["+0.25", "−2"]


def test_a_long_title_is_cut_for_a_label() -> None:
    assert text.brief("x" * 90) == "x" * 90
    assert text.brief("word " * 40, 12) == "word word w…"
