"""Who is shown an item: choose one of them as the case."""

from __future__ import annotations

from typing import Any

import streamlit as st

from recx.recipes.recommend import Audience
from recx.ui import fetch, text
from recx.ui.state import change, view


def audience(fit: Any) -> None:
    """Who is shown the item of the view: choose one of them as the case."""
    now = view()
    fetch.panel(Audience(fit, now.item, now.k), _draw, key="audience", title=f"Who is shown {now.item}?")


def _draw(answer: dict[str, Any]) -> None:
    now = view()
    title = text.md(text.brief(text.named(answer["title"], answer["year"])))
    st.markdown(
        f"**{title}** is in the top {answer['k']} of **{answer['shown_to']:,}** of "
        f"{text.plural(answer['n_users'], 'user')}."
    )
    users = {row["user"]: row for row in answer["users"]}
    if not users:
        st.info(
            "Nobody is shown this item. Take a longer list, or open a case and ask *Why not …?*",
            icon=":material/info:",
        )
        return
    many = answer["shown_to"] > len(users)
    chosen = st.pills(
        f"Choose one of the {len(users)} with the best place" if many else "Choose one",
        list(users),
        default=now.user if now.user in users else None,
        key=f"audience_{answer['item']}_{now.user}",
        format_func=lambda user: f"{text.md(text.brief(user, 40))} :gray[rank {users[user]['rank']}]",
        help="User id, and the item's rank for this user.",
    )
    if chosen and chosen != now.user:
        change(user=chosen, target=answer["item"])
        st.rerun()
