"""The stored leaderboards: one data set and setting at a time, with intervals, floors, and what is below one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import streamlit as st

from recx.core.errors import BadInput, unknown
from recx.engine import shipped
from recx.figures import board as figures
from recx.studies.leaderboard import FLOORS
from recx.ui import export, frame, text
from recx.ui.case import CHART
from recx.ui.models import NAIVE, short
from recx.ui.state import change, view
from recx.ui.view import View

STUDY, METRIC = "leaderboard", "ndcg@10"
PLAIN = ("equal budget", "None", "nan", "")
"""Values of `param_value` that need no word beside the model's name."""
SETTINGS = {
    "full ranking": "The last item of each user is ranked among all items; those the user already has are out.",
    "sampled-100": "The papers' way: the item is ranked among 100 sampled ones. Kept to compare with their tables; it "
    "can order models wrongly.",
    "global-time full ranking": "Everything after one day is held out for all users at once; all items are ranked.",
}
Row = dict[str, Any]
Metrics = dict[str, Mapping[str, Any]]
"""The rows of one system by their metric."""


def leaderboard() -> None:
    """Choose a data set and a setting; see the standings."""
    st.subheader("Leaderboard", anchor="leaderboard", help="Selection on the validation part, one read of the test.")
    try:
        stored = shipped.read(STUDY)
    except BadInput as error:
        st.error(text.md(error), icon=":material/error:")
        return
    known = boards(stored, called)
    if not known:
        _absent(view().dataset)
        return
    try:
        dataset, setting = chosen(known, view())
    except BadInput as error:
        st.error(text.md(error), icon=":material/error:")
        dataset, setting = chosen(known, View())
    _choose(known, dataset, setting)
    _draw(dataset, setting, known[dataset][setting])
    _where(stored, dataset)


def called(name: str) -> str:
    """What a system is called: the short title of a model; its name where no model is called so. Not escaped."""
    known = frame.forms()
    return short(known.form_of("models", name)) if name in known.names("models") else name


def chosen(known: Mapping[str, Mapping[str, Any]], now: View) -> tuple[str, str]:
    """The data set and setting to show; those of the view, else the first ones. Raises BadInput."""
    dataset = now.board or (now.dataset if now.dataset in known else next(iter(known)))
    if dataset not in known:
        raise unknown("leaderboard of data set", dataset, known)
    setting = now.board_setting or next(iter(known[dataset]))
    if setting not in known[dataset]:
        raise unknown("setting of the leaderboard", setting, known[dataset])
    return dataset, setting


def _absent(dataset: str) -> None:
    st.info("No leaderboard is stored yet. This computes and stores one:", icon=":material/leaderboard:")
    name = dataset if dataset != "planted" else "ml-100k"
    st.code(f"python -m recx study leaderboard --dataset {name}", language=None)


def _choose(known: Mapping[str, Mapping[str, Any]], dataset: str, setting: str) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        _control("Data set", list(known), "board", dataset, lambda new: change(board=new, board_setting=""))
        _control("Setting", list(known[dataset]), "board_setting", setting, lambda new: change(board_setting=new))
    st.caption(text.md(SETTINGS.get(setting, "")))


def _control(label: str, options: Sequence[str], field: str, now: str, take: Callable[[str], None]) -> None:
    key = f"choose_{field}"
    st.session_state[key] = now
    st.segmented_control(
        label,
        options,
        format_func=frame.data_label if field == "board" else None,
        required=True,
        key=key,
        on_change=lambda: take(st.session_state[key]),
    )


# -- the rows


def boards(stored: Sequence[Mapping[str, Any]], called: Callable[[str], str] = str) -> dict[str, dict[str, list[Row]]]:
    """Data set -> setting -> one row per system, best first (`standings`); full ranking comes first."""
    found: dict[str, dict[str, list[Row]]] = {}
    for one in stored:
        for row in summary(one["rows"]):
            found.setdefault(row["dataset"], {}).setdefault(row["setting"], []).append(row)
    place = {name: number for number, name in enumerate(SETTINGS)}
    return {
        dataset: {
            setting: standings(own[setting], own.get("full ranking", ()) if setting == "sampled-100" else (), called)
            for setting in sorted(own, key=lambda name: place.get(name, len(place)))
        }
        for dataset, own in found.items()
    }


def summary(rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """The summary rows of models, without those of single seeds."""
    return [dict(row) for row in rows if row.get("seed") is None and row.get("system")]


def standings(
    rows: Sequence[Mapping[str, Any]],
    same_fits: Sequence[Mapping[str, Any]] = (),
    called: Callable[[str], str] = str,
) -> list[Row]:
    """One row per system, best NDCG@10 first: label, floor, measured, ci_low, ci_high, n, hr, seconds, parameters,
    converged, note, below (the floors that are not worse).

    `same_fits`: rows of the same fits under another setting, for their time and parameters.
    """
    systems, beside = _by_system(rows), _by_system(same_fits)
    found = [_standing(key, own, beside.get(key, {}), called) for key, own in systems.items()]
    found.sort(key=lambda row: (row["measured"] is None, -(row["measured"] or 0.0), row["label"]))
    floors = {row["system"]: row["measured"] for row in found if row["floor"] and row["measured"] is not None}
    for row in found:
        own = row["measured"]
        row["below"] = [
            name for name in FLOORS if own is not None and name != row["system"] and floors.get(name, -1.0) >= own
        ]
    return found


def _by_system(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], Metrics]:
    found: dict[tuple[str, str], Metrics] = {}
    for row in rows:
        found.setdefault(_system(row), {})[row["metric"]] = row
    return found


def _system(row: Mapping[str, Any]) -> tuple[str, str]:
    value = row.get("param_value")
    return str(row["system"]), "" if value is None or str(value) in PLAIN else str(value)


def _standing(key: tuple[str, str], own: Metrics, same_fit: Metrics, called: Callable[[str], str]) -> Row:
    name, variant = key
    main = own.get(METRIC, {})
    source = "" if main.get("published") is None else str(main.get("note") or "")
    chosen = str((same_fit | own).get("seconds", {}).get("note") or "")
    values = {field: _value(same_fit | own, field) for field in ("seconds", "parameters", "converged")}
    return {
        "system": name,
        "variant": variant,
        "label": f"{called(name)} ({variant})" if variant else called(name),
        "floor": name in FLOORS,
        "measured": main.get("measured"),
        "ci_low": main.get("ci_low"),
        "ci_high": main.get("ci_high"),
        "n": main.get("n"),
        "hr": _value(own, "hr@10"),
        "published": main.get("published"),
        "source": source,
        "settings": chosen.removeprefix("chosen settings: "),
        "note": "" if source else str(main.get("note") or ""),
        **values,
    }


def _value(metrics: Metrics, name: str) -> float | None:
    found = metrics.get(name, {}).get("measured")
    return None if found is None else float(found)


# -- what is shown


ROW = 33
"""Pixels of a row of the table."""
COLUMNS = {
    "model": st.column_config.TextColumn(
        "Model", pinned=True, width=170, help="as-published: with the paper's own loss"
    ),
    "kind": st.column_config.TextColumn("Kind", help="floor: a method with next to nothing to learn"),
    "ndcg": st.column_config.NumberColumn("NDCG@10", format="%.4f"),
    "interval": st.column_config.TextColumn("95 % interval", help="How far the number would move with other users"),
    "published": st.column_config.TextColumn("Public log", help="NDCG@10 that others report; where: see Note"),
    "hr": st.column_config.NumberColumn("HR@10", format="%.4f"),
    "seconds": st.column_config.TextColumn("Time", help="Of one training"),
    "parameters": st.column_config.NumberColumn("Parameters", format="localized", help="Trained numbers"),
    "converged": st.column_config.TextColumn("Converged", help="no: cut by its time limit, so more time may help"),
    "settings": st.column_config.TextColumn("Settings", help="Chosen on validation, or of the paper"),
    "note": st.column_config.TextColumn("Note"),
}


def _draw(dataset: str, setting: str, rows: Sequence[Row]) -> None:
    st.plotly_chart(
        figures.standings(rows, "NDCG@10 (95 % interval)"),
        key=f"board_{dataset}_{setting}",
        config=CHART,
        alt=f"Models by NDCG@10 on {dataset}, {setting}, with intervals.",
    )
    st.caption("Filled: a learnt model. Hollow: a floor, with next to nothing to learn. Dotted line: the best floor.")
    st.markdown("\n".join(f"- {sentence}" for sentence in remarks(rows, called)))
    shown = [as_shown(row, called) for row in rows]
    st.dataframe(
        shown,
        column_config=COLUMNS,
        hide_index=True,
        width="stretch",
        height=ROW * (len(shown) + 1) + 2,
        row_height=ROW,
        alt="The leaderboard as a table",
    )
    name, body = f"leaderboard-{dataset}-{setting.replace(' ', '-')}.csv", export.as_csv(rows)
    st.download_button("Download (CSV)", body, name, "text/csv", icon=":material/download:", on_click="ignore")


def in_words(names: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def as_shown(row: Row, called: Callable[[str], str] = str) -> dict[str, Any]:
    """A row of `standings` as the table shows it."""
    low, high, done = row["ci_low"], row["ci_high"], row["converged"]
    below = f"below {in_words(map(called, row['below']))}" if row["below"] and not row["floor"] else ""
    return {
        "model": row["label"],
        "kind": "floor" if row["floor"] else "model",
        "ndcg": row["measured"],
        "interval": "" if low is None or high is None else f"{low:.4f} to {high:.4f}",
        "published": "" if row["published"] is None else f"{row['published']:.4f}",
        "hr": row["hr"],
        "seconds": text.seconds(row["seconds"]),
        "parameters": None if row["parameters"] is None else int(row["parameters"]),
        "converged": "–" if done is None else "yes" if done >= 1 else "no" if done <= 0 else f"{done:.0%} of seeds",
        "settings": row["settings"],
        "note": "; ".join(part for part in (below, row["note"], row["source"]) if part),
    }


def remarks(rows: Sequence[Row], called: Callable[[str], str] = str) -> list[str]:
    """Sentences of markdown: what is below a floor, what was cut short, which floor is missing."""
    said, simple = [], dict[str, list[str]]()
    for row in rows:
        if row["floor"] or not row["below"]:
            continue
        floors, label = in_words(map(called, row["below"])), f"**{text.md(row['label'])}**"
        if any(name in NAIVE for name in row["below"]):
            said.append(f"{label} is below {text.md(floors)}: no better than a list that ignores the person.")
        else:
            simple.setdefault(floors, []).append(label)
    said += [f"Below the simple method {text.md(floors)}: {', '.join(own)}." for floors, own in simple.items()]
    said += [f"**{text.md(row['label'])}**: {text.md(row['note'])}" for row in rows if row["note"]]
    cut = [text.md(row["label"]) for row in rows if row["converged"] is not None and row["converged"] < 1]
    if cut:
        said.append(f"Stopped by the time limit, not converged: {', '.join(cut)}.")
    missing = [name for name in NAIVE[:2] if name not in {row["system"] for row in rows}]
    if missing:
        said.append(f"The floor {' and '.join(missing)} is not in this table: compute it again with all floors.")
    return said


def _where(stored: Sequence[Mapping[str, Any]], dataset: str) -> None:
    """Which file the numbers come from, and how to make them again."""
    for one in stored:
        if any(row["dataset"] == dataset for row in one["rows"]):
            about = one["provenance"].get("provenance", one["provenance"])
            made, command = str(about.get("created", "on an unknown day"))[:10], about.get("command", "unknown")
            runs = len(one["provenance"].get("runs", ()))
            several = f", the last of {runs} runs whose lines are in it (all in the file beside it)" if runs > 1 else ""
            st.caption(f"Stored in `results/{one['file']}`, computed {made} by `{command}`{several}")
