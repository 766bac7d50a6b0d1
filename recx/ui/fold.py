"""On a narrow screen the sidebar begins folded; opened, it lies over the page (recx.css) and squeezes nothing."""

from __future__ import annotations

import streamlit as st

NARROW = 1000
"""Pixels; the same number stands in recx.css."""
JS = """
export default function () {
  if (window.recxFolded) return
  window.recxFolded = true
  const fold = (tries) => {
    const button = document.querySelector('[data-testid=stSidebarCollapseButton] button[aria-expanded=true]')
    if (button) button.click()
    else if (tries) setTimeout(() => fold(tries - 1), 50)
  }
  if (window.innerWidth < NARROW) fold(20)
}
"""


@st.cache_resource(show_spinner=False, max_entries=1)
def _component():
    return st.components.v2.component("recx_fold", js=JS.replace("NARROW", str(NARROW)))


def fold_sidebar() -> None:
    """Fold the sidebar once, when the page is opened on a narrow screen."""
    _component()(key="fold_sidebar", height=1)
