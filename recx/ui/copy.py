"""The button that copies the address: it names every parameter of the view."""

from __future__ import annotations

import streamlit as st

HTML = """
<button type="button" class="copy" aria-live="polite"><span class="face">Copy link</span></button>
<input class="plain" readonly hidden aria-label="Link to this view">
"""
CSS = """
.copy {
  font: inherit; color: var(--st-text-color); background: var(--st-background-color); white-space: nowrap;
  border: 1px solid var(--st-border-color); border-radius: var(--st-button-radius, 6px);
  padding: 0.25rem 0.75rem; min-height: 2.5rem; cursor: pointer;
}
.copy:hover, .copy:focus-visible { border-color: var(--st-primary-color); color: var(--st-primary-color); }
.plain { font: inherit; width: 16rem; margin-left: 0.5rem; }
"""
JS = """
export default function ({ parentElement }) {
  const [button, face, plain] = ['.copy', '.face', '.plain'].map((name) => parentElement.querySelector(name))
  button.onclick = async () => {
    const link = window.location.href
    try {
      await navigator.clipboard.writeText(link)
      face.textContent = 'Link copied'
    } catch {
      plain.hidden = false
      plain.value = link
      plain.select()
      face.textContent = 'Copy this:'
    }
    setTimeout(() => { face.textContent = 'Copy link' }, 2500)
  }
}
"""


@st.cache_resource(show_spinner=False, max_entries=1)
def _component():
    return st.components.v2.component("recx_copy_link", html=HTML, css=CSS, js=JS)


def copy_link() -> None:
    """Copy the address of this view, or show it where the browser does not allow copying."""
    _component()(key="copy_link", width="content")
