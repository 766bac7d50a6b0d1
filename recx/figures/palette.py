"""Colours: one meaning each, the same on every page, readable on light and dark, told apart by colour-blind eyes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

GENRE_COLOURS = {
    "blue": "#2F86C8",
    "orange": "#DD6B20",
    "green": "#0FA37A",
    "yellow": "#C99A10",
    "violet": "#8E6BD0",
    "red": "#CF4FB0",
}
"""Name (as Streamlit's markdown and theme know it) -> colour of a figure, after Okabe and Ito."""
OTHER = ("gray", "#8A92A0")
YES, NO, NEUTRAL, ACCENT = "#0FA37A", "#D4602A", "#8A92A0", "#6473E0"

_KNOWN = {
    "toppop": "#8A92A0",
    "ease": "#2F86C8",
    "multvae": "#DD6B20",
    "sasrec": "#8E6BD0",
    "leave-one-out": "#2F86C8",
    "association": "#C99A10",
    "lcer": "#DD6B20",
    "minimal": "#0FA37A",
    "causal-rules": "#8E6BD0",
    "kaffes": "#CF4FB0",
    "accent": "#A0633B",
    "fia": "#2AA6A6",
    "prince": "#B23A48",
    "shap": "#6473E0",
    "lime": "#7A9A1F",
    "integrated-gradients": "#E07A9A",
    "attention": "#5B7FA6",
    "lxr": "#9C4F7C",
    "knn": "#4F8F6B",
    "random": "#8A92A0",
    "random-item": "#8A92A0",
    "most-recent": "#E07A9A",
    "most-popular": "#7A9A1F",
    "gradient-x-input": "#A0633B",
    "largest-difference": "#4F8F6B",
}


def of_name(name: str) -> str:
    """The colour of a model or an explainer: fixed for those we know, else chosen by the name alone."""
    if name in _KNOWN:
        return _KNOWN[name]
    spare = list(GENRE_COLOURS.values())
    return spare[int(hashlib.sha256(name.encode()).hexdigest(), 16) % len(spare)]


def genres_of(text: str | None) -> list[str]:
    """The genres of an item (`|` between)."""
    return [part for part in (text or "").split("|") if part and part != "(no genres listed)"]


def genre_lanes(counts: Mapping[str, int] | Iterable[str]) -> dict[str, str]:
    """{genre: colour name} for the six most common genres of a data set (ties by name); all others are `gray`."""
    if not isinstance(counts, Mapping):
        counts = dict.fromkeys(counts, 0)
    common = sorted(counts, key=lambda name: (-counts[name], name))[: len(GENRE_COLOURS)]
    return dict(zip(common, GENRE_COLOURS, strict=False))


def lane_of(genres: str | None, lanes: Mapping[str, str]) -> str:
    """The genre that colours an item: the rarest of its genres among the common ones, else `other`.

    Rarest, because the most common genre (Drama in MovieLens) says least about a film.
    """
    own = set(genres_of(genres))
    return next((name for name in reversed(list(lanes)) if name in own), "other")


def colour_name(genres: str | None, lanes: Mapping[str, str]) -> str:
    """The theme's name of an item's colour, for markdown such as `:blue[●]`."""
    return lanes.get(lane_of(genres, lanes), OTHER[0])


def colour(genres: str | None, lanes: Mapping[str, str]) -> str:
    """The colour of an item in a figure."""
    return GENRE_COLOURS.get(colour_name(genres, lanes), OTHER[1])
