"""Finding cases worth a look: sets with genres beside the recommendation's, searches that find none or too much."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import streamlit as st

from recx.core.errors import BadInput
from recx.core.recipe import clean
from recx.engine import shipped
from recx.ui import explainers, frame, scores, state, text
from recx.ui.state import view
from recx.ui.view import CASES, Pairs

STUDY = "lcer-cases"
LABELS = {
    "all": "all",
    "alike": "genres most alike",
    "unlike": "genres least alike",
    "long": "none found, or too many items",
    "untrue": "named, but not needed",
}
"""Which cases are shown -> label."""
BETWEEN, SHOWN = " ; ", 200
Row = dict[str, Any]
COLUMNS = {
    "user": st.column_config.TextColumn("User", width=60),
    "target_title": st.column_config.TextColumn("Recommended", width=150),
    "verdict": st.column_config.TextColumn("Checked", width=150),
    "length": st.column_config.NumberColumn("Items", width=55, help="How many items are named."),
    "overlap": st.column_config.NumberColumn("Alike", width=60, format="%.2f", help="Mean overlap (Jaccard) of the "
        "genres of each named item with those of the recommendation: 1 the same, 0 nothing in common."),
    "overlap_random": st.column_config.NumberColumn("By chance", width=75, format="%.2f", help="The same for a random "
        "set of the history."),
    "titles": st.column_config.ListColumn("Named", width=260),
    "target_genres": st.column_config.TextColumn("Genres of the recommendation", width=170),
    "genres": st.column_config.ListColumn("Genres of the named", width=260),
    "note": st.column_config.TextColumn("Elsewhere", help="What other explainers find for this recommendation."),
}  # fmt: skip


def cases() -> None:
    """A table of stored cases; a click on a row opens the case."""
    st.subheader("Find cases", anchor="cases", help="LCER's Figure 4: films beside films, with what they are like.")
    try:
        found = by_data(shipped.read(STUDY))
        if not found:
            scores.compute(STUDY, "No cases are stored yet.")
            return
        dataset, system = chosen(found)
    except BadInput as error:
        st.error(text.md(error), icon=":material/error:")
        return
    known = found[dataset]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        scores.pick("Data set", list(found), "scores", dataset, frame.data_label)
        scores.pick("Explainer", list(known), "found_by", system, lambda name: called(known[name][0]))
        state.control(st.segmented_control, "Show", CASES, field="found", format_func=LABELS.get, required=True)
    st.caption(
        "Genres say what films are like, not why they were recommended: a large overlap is no proof. Click on the left "
        "edge of a row to open the case; its model is trained first where that has not been done."
    )
    _table(select(known[system], view().found), dataset)


def by_data(stored: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, list[Row]]]:
    """Data set -> system -> its cases."""
    found: dict[str, dict[str, list[Row]]] = {}
    for table in stored:
        for row in table["rows"]:
            if row["metric"] == "case":
                found.setdefault(row["dataset"], {}).setdefault(row["system"], []).append(row)
    return found


def chosen(found: Mapping[str, Mapping[str, Any]]) -> tuple[str, str]:
    """Data set and system to show; those of the view, else the nearest. Raises BadInput for one that is not stored."""
    now = view()
    return scores.among_stored(found, (now.scores, now.found_by), ("explainer", ""), " among the stored cases")


def called(row: Mapping[str, Any]) -> str:
    """What the explainer of a case is called. Not escaped."""
    return scores.called(row["system"], row["explainer"] or row["system"])


def select(rows: Sequence[Row], which: str) -> list[Row]:
    """The cases of a kind, the plainest example of it first."""
    overlap = lambda row: row["overlap"] if row["overlap"] is not None else 0.5  # noqa: E731
    match which:
        case "alike":
            return sorted((row for row in rows if row["overlap"] is not None), key=overlap, reverse=True)
        case "unlike":
            return sorted((row for row in rows if row["overlap"] is not None), key=overlap)
        case "long":
            return [row for row in rows if row["note"]]
        case "untrue":
            return [row for row in rows if row["length"] and not row["necessary"]]
    return list(rows)


def verdict(row: Mapping[str, Any]) -> str:
    """What the check says of a case, in words."""
    if not row["length"]:
        return "none found"
    needed, enough = bool(row["necessary"]), bool(row["sufficient"])
    return ("needed" if needed else "not needed") + (", enough alone" if enough else "")


def _table(rows: Sequence[Row], dataset: str) -> None:
    if not rows:
        st.info("No stored case is of this kind: show all, or choose another explainer.", icon=":material/search_off:")
        return
    shown = rows[:SHOWN]
    event = st.dataframe(
        [as_line(row) for row in shown],
        column_config=COLUMNS,
        hide_index=True,
        width="stretch",
        on_select="rerun",
        selection_mode="single-row",
        key=f"cases_{dataset}_{rows[0]['system']}_{view().found}",
    )
    more = f" The first {SHOWN} of {len(rows):,}." if len(rows) > SHOWN else ""
    st.caption(f"{text.plural(len(rows), 'case')} of {text.md(scores.short(rows[0]['recommender']))}.{more}")
    picked = event.selection.rows
    if picked:
        open_case(shown[picked[0]])
        st.rerun()


def as_line(row: Mapping[str, Any]) -> Row:
    """A case as a line of the table; lists as lists."""
    lists = {name: (row[name] or "").split(BETWEEN) if row[name] else [] for name in ("titles", "genres")}
    spoken = {"verdict": verdict(row), "target_genres": (row["target_genres"] or "").replace("|", ", ")}
    lists["genres"] = [one.replace("|", ", ") for one in lists["genres"]]
    return {name: (dict(row) | lists | spoken).get(name) for name in COLUMNS}


def open_case(row: Mapping[str, Any]) -> None:
    """Show a case as one recommendation: the study's people were held out from training, so they are here too."""
    explainer = row["explainer"] or row["system"]
    state.change(dataset=row["dataset"], model=row["recommender"], split="held-out-users", seed=0)
    state.change(k=int(str(row["setting"]).rpartition("-")[2] or view().k), who="user")
    state.change(
        user=row["user"],
        target=row["target"],
        explainers=tuple(dict.fromkeys([explainer, *explainers.shown()])),
        explainer_settings=view().with_settings(explainer, published(explainer)),
        sets="item",
    )


def published(explainer: str) -> Pairs:
    """An explainer's published settings, as far as they differ from its defaults."""
    form = frame.forms().form_of("explainers", explainer)
    return clean(explainer, form["parameters"], {name: str(one) for name, one in form.get("published", {}).items()})
