"""The models as menus show them: short labels, easy to search, the floors last."""

from __future__ import annotations

import re
from typing import Any

from recx.engine.catalogue import Catalogue

NAIVE = ("random", "toppop", "recentpop")
"""Floors that do not look at the person: the last entries of a menu."""


def ordered(known: Catalogue) -> list[str]:
    """All model names: by label, the floors that do not look at the person last."""
    names = known.names("models")
    return sorted((name for name in names if name not in NAIVE), key=lambda name: label(known, name).casefold()) + [
        name for name in NAIVE if name in names
    ]


def short(form: dict[str, Any]) -> str:
    """The part of a title before the colon: it fits a menu."""
    return str(form["title"]).split(":")[0].split(" (")[0]


def label(known: Catalogue, name: str) -> str:
    """`SASRec`; with the name where it cannot be guessed: `NeuMF (ncf)`, so that a search finds both. Not escaped."""
    words = short(known.form_of("models", name))
    same = _letters(name) in _letters(words)
    return (words if same else f"{words} ({name})") + (" · floor" if name in NAIVE else "")


def _letters(text: str) -> str:
    return re.sub(r"[\W_]", "", text.casefold())
