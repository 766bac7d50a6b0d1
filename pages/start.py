"""Start: what recx is, what each page answers, a first case, what the verdict words mean."""

from __future__ import annotations

import streamlit as st

from recx.ui import cards, frame, measured, models, text
from recx.ui.view import View
from recx.ui.words import TERMS

FIRST = View(dataset="planted", model="ease", k=10, user="", trait="heavy", draw=0)
VERDICTS = ("checked", "necessary", "sufficient", "minimal", "margin", "world")
QUESTIONS = {
    "pages/case.py": (
        "Case study",
        ":material/person_search:",
        "Why was this recommended to this person, and is the reason true? What would be recommended "
        "without it? Why not something else?",
    ),
    "pages/sets.py": (
        "Counterfactual sets",
        ":material/content_cut:",
        "Which few items does a recommendation hang on, is there a smaller set, and how often does each explainer find "
        "one that holds?",
    ),
    "pages/rules.py": (
        "Rules",
        ":material/rule:",
        "Do people who have this also have that, or does the recommender react to it? Which rules are only popularity?",
    ),
    "pages/models.py": (
        "Models",
        ":material/leaderboard:",
        "How accurate is each recommender, and what does it take to train one? Where do two of them differ?",
    ),
    "pages/data.py": (
        "Data",
        ":material/table_chart:",
        "Which data sets are here, what is in them, which rows were left out and why? How do I bring my own?",
    ),
    "pages/jobs.py": (
        "Jobs",
        ":material/pending_actions:",
        "What is being computed, how far is it, and can it be cancelled or tried again?",
    ),
}


def open_first() -> None:
    """The prepared case: a heavy user of the generated data."""
    st.session_state["view"] = FIRST


frame.enter()
st.title("recx", anchor=False)
st.markdown("#### See why a recommender recommended something, and check that the reason is true.")
st.markdown(
    "Every reason shown here has been checked: the recommender was asked again without the named items, "
    "and once more with only them. "
    "When a reason does not survive, the page says so."
)
if st.button("First case in ten seconds", type="primary", on_click=open_first, icon=":material/play_arrow:"):
    st.switch_page("pages/case.py")
st.caption("Opens a user of the generated data set `planted`. It needs no network and no download.")

st.subheader("What each page answers", anchor=False)
grid = st.grid(2, min_column_width=260, border=True, gap="small")
for path, (title, icon, question) in QUESTIONS.items():
    with grid.cell():
        if st.button(f"**{title}**", icon=icon, type="tertiary", key=f"open_{title}"):
            st.switch_page(path)
        st.markdown(question)

left, right = st.columns([3, 2], gap="large")
with left:
    st.subheader("What the words of a verdict mean", anchor=False)
    st.html(cards.glossary({word: TERMS[word] for word in VERDICTS}))
with right:
    st.subheader("What a check cannot say", anchor=False)
    st.markdown(
        "- It tells what *this recommender* does. It says nothing about what the person thinks or wants.\n"
        "- In the **edited-history** world the model is not trained again: the items leave this person's "
        "history, not the data.\n"
        "- *Not the reason* means that the list does not depend on the named items. The two things may "
        "still go together in the data.\n"
        "- A set that is *necessary* need not be the only one: several sets can each be needed."
    )
measured.shown()

known = frame.forms()
st.subheader("What is built in", anchor=False)
names = [text.md(models.label(known, name)) for name in models.ordered(known)]
st.markdown(f"**{len(names)} models**: {', '.join(names)}.")
names = [text.md(models.short(known.form_of("explainers", name))) for name in known.names("explainers")]
st.markdown(f"**{len(names)} explainers**: {', '.join(names)}.")
