"""Item text is shown as text: never as markdown, HTML, a formula, an emoji code, or a change of direction."""

from __future__ import annotations

import html as _html
import re
from typing import Any

WORD_JOINER = "\u2060"
FIRST_STRONG, POP = "\u2068", "\u2069"
_BIDI = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f]")
_PUNCTUATION = re.compile(r"([!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~])")
_RTL = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")


def clean(value: Any) -> str:
    """One line without control and direction characters."""
    text = _CONTROL.sub(" ", _BIDI.sub("", "" if value is None else str(value)))
    return " ".join(text.split())


def md(value: Any) -> str:
    """Text for markdown (`st.markdown`, labels, pills, buttons): every mark is literal.

    Punctuation is escaped; what Streamlit replaces after parsing (emoji codes, arrows, bare links) is broken up with an
    invisible word joiner. Right-to-left text is isolated, so that it does not turn its neighbours.
    """
    text = clean(value)
    text = re.sub(r":(?=[\w+\-/]+:)", ":" + WORD_JOINER, text)
    text = re.sub(r"(?<!\S)(<->|->|<-|--|>=|<=|~=)(?!\S)", lambda m: WORD_JOINER.join(m.group()), text)
    text = re.sub(r"(?i)\b(https?|ftp|mailto|xmpp)(?=:)", r"\1" + WORD_JOINER, text)
    text = re.sub(r"(?i)\bwww(?=\.)", "www" + WORD_JOINER, text)
    text = text.replace("@", WORD_JOINER + "@") if re.search(r"\S@\S", text) else text
    text = _PUNCTUATION.sub(r"\\\1", text)
    return f"{FIRST_STRONG}{text}{POP}" if _RTL.search(text) else text


def html(value: Any) -> str:
    """Text for HTML, attribute values included; isolated from the direction of its neighbours."""
    return f"<bdi>{attribute(value)}</bdi>"


def attribute(value: Any) -> str:
    """Text inside an HTML attribute."""
    return _html.escape(clean(value), quote=True)


def named(title: Any, year: Any = None) -> str:
    """Title and year, the year once: `Alien (1979)`. Not escaped."""
    text = clean(title) or "(no title)"
    return text if year in (None, "") or year != year or f"({year})" in text else f"{text} ({year})"


def brief(value: Any, most: int = 90) -> str:
    """Text cut to `most` characters, for a label that has the whole elsewhere. Not escaped."""
    text = clean(value)
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"


def number(value: Any, digits: int = 4) -> str:
    """A number for reading: 1,234, 0.1235, 1.2e-05; a dash where there is none."""
    if value is None or (isinstance(value, float) and value != value):
        return "–"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer() and abs(value) >= 1000):
        return f"{int(value):,}"
    return f"{value:.{digits}g}".replace("-", "−")


def signed(value: Any, digits: int = 3) -> str:
    """A number with its sign, for differences."""
    if value is None:
        return "–"
    return ("+" if value >= 0 else "−") + f"{abs(value):.{digits}g}"


def seconds(value: Any) -> str:
    """A duration: 8 ms, 1.2 s, 3 min 20 s, 2 h 5 min."""
    if value is None:
        return "–"
    if value < 1:
        return f"{value * 1000:.0f} ms"
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def size(n: int) -> str:
    """A number of bytes: 812 bytes, 4.1 KB, 2.3 MB, 1.2 GB."""
    if n < 1000:
        return plural(n, "byte")
    for unit, one in (("KB", 1e3), ("MB", 1e6), ("GB", 1e9)):
        if n < 1000 * one or unit == "GB":
            break
    return f"{n / one:.1f} {unit}"


def plural(n: int, one: str, many: str = "") -> str:
    """`1 item`, `2 items`."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"
