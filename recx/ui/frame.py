"""What surrounds every page: style, shared selectors, the footer with its fingerprints."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import streamlit as st

from recx.core.errors import BadInput
from recx.data import _files
from recx.engine import catalogue
from recx.recipes import _build
from recx.recipes._recipe import versions
from recx.recipes.fit import Fit
from recx.ui import cards, models, settings, text
from recx.ui.models import short
from recx.ui.state import control, view
from recx.ui.words import tell

LOOK_SECONDS = 5.0
"""How often a changed file of the code is looked for: it takes milliseconds, and a page asks dozens of times."""
ASSETS = Path(__file__).resolve().parents[2] / "assets"


def presenter() -> bool:
    """Is this shown to an audience: no sidebar, larger type?"""
    return os.environ.get("RECX_PRESENTER", "") not in ("", "0")


def style() -> None:
    """The house style, with the two colours of verdicts for light or dark."""
    dark = getattr(st.context.theme, "type", None) == "dark"
    accent, yes, no = ("#93A0FF", "#3CC79A", "#F08A4B") if dark else ("#4353C4", "#00805A", "#BF4A14")
    on_accent = "#14171E" if dark else "#FFFFFF"
    css = (ASSETS / "recx.css").read_text(
        encoding="utf-8"
    ) + f":root{{--rx-accent:{accent};--rx-on-accent:{on_accent};--rx-yes:{yes};--rx-no:{no}}}"
    if presenter():
        css += (ASSETS / "presenter.css").read_text(encoding="utf-8")
    st.html(f"<style>{css}</style>")


@st.cache_resource(show_spinner=False, max_entries=2)
def _catalogue(path: str) -> catalogue.Catalogue:
    return catalogue.read()


@st.cache_resource(show_spinner=False, max_entries=2)
def _path(moment: int) -> str:
    return str(catalogue.path_now())


def forms() -> catalogue.Catalogue:
    """The forms of all that was discovered, for the version of the code of some seconds ago."""
    return _catalogue(_path(int(time.monotonic() / LOOK_SECONDS)))


def fit_of(model: str, settings: tuple[tuple[str, Any], ...], seed: int) -> Fit:
    """A model on the chosen data. Raises BadInput."""
    now = view()
    return _build.fit_of(now.dataset, model, dict(settings), seed=seed, split=now.split, form_of=forms().form_of)


def chooser(part: str = "model") -> Any:
    """Where choices stand: the sidebar; a fold at the top when there is none."""
    if not presenter():
        return st.sidebar
    label = {"model": "Data set and model", "person": "Person"}[part]
    return st.popover(label, icon=":material/tune:", key=f"fold_{part}")


def selectors() -> None:
    """Data set, model and its settings, length of the list: the same on every page."""
    known = forms()
    names = _files.source_names()
    control(st.selectbox, "Data set", names, field="dataset", format_func=data_label, help=tell("data set"))
    model_menu("Model", "model", help=_model_help(known.form_of("models", view().model)))
    control(st.slider, "List length k", 1, 50, field="k", help=tell("k")) if view().k <= 50 else control(
        st.number_input, "List length k", 1, 1000, field="k", help=tell("k")
    )
    more = st.expander("Model settings and seed", icon=":material/tune:", key="more_settings", on_change="rerun")
    if more.open:
        with more:
            settings.model_settings(known.form_of("models", view().model))
            control(st.number_input, "Seed", 0, 2**31 - 1, field="seed", help=tell("seed"))
            control(st.selectbox, "Split", known.names("data.splits"), field="split", help=tell("split"))


def data_label(name: str) -> str:
    """What a data set is called; a data set that is not here, by its name, is called so. Not escaped."""
    if name not in _files.source_names():
        return name
    kind = _files.source(name)
    title = forms().form_of(kind.kind, kind.name)["title"] if kind.name != "table" else name
    title = title.split(" (")[0]
    return title if _files.on_disk(name) else f"{title} (not here)"


def model_menu(name: str, field: str, *, help: str = "") -> None:
    """A menu of all models for a field of the view; typing a part of a name narrows it."""
    known = forms()
    names = models.ordered(known)
    control(st.selectbox, name, names, field=field, format_func=lambda n: models.label(known, n), help=help)


def _model_help(form: dict[str, Any]) -> str:
    about = f"**{text.md(short(form))}** `{form['name']}`: {text.md(form['title'].partition(':')[2].strip())}."
    return f"{tell('model')} Type a part of a name to search.\n\n{about}"


def footer() -> None:
    """Where every number on the page comes from."""
    now = view()
    try:
        fit = fit_of(now.model, now.settings, now.seed)
        stamp = versions(fit)
    except (BadInput, OSError) as error:
        st.html(cards.footer({"data": (now.dataset, ""), "model": (str(error), "")}))
        return
    own = settings.changed_words(now.settings) or "defaults"
    data = next(iter(stamp["data"].values()), "")
    st.html(
        cards.footer(
            {
                "data": (f"{now.dataset}, split {now.split}", data[:12]),
                "model": (f"{now.model} ({own}, seed {now.seed})", ""),
                "code": ("", stamp["code"][:12]),
            }
        )
    )


def broken_link(sentence: str) -> None:
    """A link that names something unknown: the sentence, and nothing else on the page."""
    from recx.ui.state import forget_link

    st.error(f"This link cannot be opened: {text.md(sentence)}", icon=":material/link_off:")
    st.caption(
        "Nothing was changed. The link may come from another version of recx, or from a machine with other data."
    )
    st.button("Leave the link and show my last view", on_click=forget_link, icon=":material/undo:")


def enter() -> None:
    """First line of every page: come in through app.py.

    A fresh Streamlit server sees the folder `pages/` and runs the page of a link by itself, without app.py, until
    `st.navigation` has been called once. The flag is the one that `st.navigation` clears.
    """
    from streamlit.runtime.pages_manager import PagesManager

    if PagesManager.uses_pages_directory:
        PagesManager.uses_pages_directory = False
        st.rerun()
