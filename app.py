"""recx: the menu, the shared selectors, the frame. Computes nothing. Run with `streamlit run app.py`."""

from __future__ import annotations

import streamlit as st

from recx.ui import fetch, fold, frame, lean, state

st.set_page_config(page_title="recx", page_icon="☑️", layout="wide")
frame.style()

PAGES = [
    st.Page("pages/start.py", title="Start", icon=":material/home:", default=True),
    st.Page("pages/case.py", title="Case study", icon=":material/person_search:", url_path="case"),
    st.Page("pages/sets.py", title="Counterfactual sets", icon=":material/content_cut:", url_path="sets"),
    st.Page("pages/rules.py", title="Rules", icon=":material/rule:", url_path="rules"),
    st.Page("pages/models.py", title="Models", icon=":material/leaderboard:", url_path="models"),
    st.Page("pages/data.py", title="Data", icon=":material/table_chart:", url_path="data"),
    st.Page("pages/jobs.py", title="Jobs", icon=":material/pending_actions:", url_path="jobs"),
]
page = st.navigation(PAGES, position="top" if frame.presenter() else "sidebar")

wrong = state.read_link(frame.forms())
if wrong:
    frame.broken_link(wrong)
    st.stop()

with fetch.moment():
    with frame.chooser():
        frame.selectors()
    page.run()
    frame.footer()
if not frame.presenter():
    fold.fold_sidebar()
lean.tidy()
