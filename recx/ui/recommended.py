"""The recommended list: rows to click, the really chosen next item marked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from recx.figures import palette
from recx.ui import text
from recx.ui.case import Case
from recx.ui.state import change, view
from recx.ui.words import tell


def recommendations(case: Case) -> None:
    """The top k as rows to click; the chosen one is explained below."""
    st.markdown(f"##### Recommended · top {view().k} of {case.base['n_candidates']:,}", help=tell("candidates"))
    st.caption(_held_words(case.base))
    with st.container(key="recs"):
        for row in case.base["items"]:
            st.button(
                _label(row, case.lanes),
                key=f"rec_{row['item']}",
                on_click=change,
                kwargs={"target": row["item"]},
                type="primary" if row["item"] == case.target else "secondary",
                width="stretch",
                wrap=True,
                help=_facts(row),
            )


def _label(row: Mapping[str, Any], lanes: Mapping[str, str]) -> str:
    title = text.md(text.brief(text.named(row["title"], row["year"]))) + (" ★" if row["held_out"] else "")
    return f"`{row['rank']}` :{palette.colour_name(row['genres'], lanes)}[●] {title} `{text.number(row['score'])}`"


def _facts(row: Mapping[str, Any]) -> str:
    genres = text.md(", ".join(palette.genres_of(row["genres"])))
    parts = [genres, text.plural(row["popularity"], "event"), f"id {text.md(row['item'])}"]
    return " · ".join(part for part in [*parts, f"score {text.number(row['score'], 6)}"] if part)


def _held_words(base: Mapping[str, Any]) -> str:
    held, found = base["held_out"], [row["rank"] for row in base["items"] if row["held_out"]]
    if not held:
        return "Click one to see why. No item is held out for this person."
    title = text.md(text.brief(text.named(held[0]["title"], held[0]["year"])))
    more = f" (and {len(held) - 1} more)" if len(held) > 1 else ""
    place = f"★ in place {found[0]}." if found else "not in this list."
    return f"Click one to see why. Really chosen next: {title}{more}, {place}"
