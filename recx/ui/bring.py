"""Data of one's own: a file, its first rows, which column is what, what would be left out, and the import."""

from __future__ import annotations

import contextlib
import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from recx.core import paths
from recx.data import _files
from recx.recipes.bring import Check, Import, Own, Preview
from recx.ui import cards, fetch, text
from recx.ui.state import change
from recx.ui.words import tell

UPLOAD_MB = 100
"""A browser's file goes through the memory of this process; a larger one is named by its path."""
KEPT_SECONDS = 24 * 3600
SOURCES = ("Upload", "Path on the server")
ENCODINGS = ("utf-8", "latin-1", "cp1252", "utf-16", "gb18030", "shift_jis", "cp1251", "big5")
SEPARATORS = {"": "found out", ",": "comma", "\t": "tab", ";": "semicolon", "|": "bar", "::": "double colon"}
LOOPBACK = ("127.0.0.1", "localhost", "::1", "0:0:0:0:0:0:0:1")
ROLES = {
    "user": "Who did it. Needed.",
    "item": "What it was done with. Needed.",
    "rating": "How much it was liked. Without it every row counts the same.",
    "time": "When: seconds since 1970, or a date. Without it the order of the rows counts.",
    "title": "What the item is called; else its id is shown.",
    "year": "Of the item.",
    "genres": "Of the item, with | between several.",
}


def own_data() -> None:
    """The steps from a file to a data set, folded away until somebody opens them."""
    _done()
    key = f"own_data_{st.session_state.get('own_round', 0)}"  # folded again, and empty, after an import
    fold = st.expander("Bring your own data", icon=":material/upload_file:", key=key, on_change="rerun")
    if fold.open:
        with fold:
            _steps()


def _steps() -> None:
    st.caption(
        "A table with one row per event: who, what, and if known when and how well it was liked. CSV or TSV (.gz too), "
        "lines of JSON, or Parquet."
    )
    file = _file()
    if file is None:
        return
    encoding, separator, repeats = _reading()
    outcome = fetch.get(Preview(*file, encoding, separator), f"First rows of {Path(file[0]).name}")
    found = _answer(outcome, "preview")
    if found is None:
        return
    _first_rows(found)
    own = _choices(file, found, encoding, separator, repeats)
    if own is not None:
        _check(own)


def _answer(outcome: fetch.Outcome, key: str) -> Any | None:
    """The answer; or None, with progress, or the one sentence that says why there is none."""
    if outcome.error:
        st.error(text.md(outcome.error), icon=":material/error:")
    elif outcome.result is None:
        fetch.show(outcome, key)
    return outcome.result


# -- the file


def _file() -> tuple[str, str] | None:
    """The path of the file and a stamp of its content, once there is one."""
    how = st.segmented_control("From", SOURCES, default=SOURCES[0], required=True, key="own_from")
    if how == SOURCES[0]:
        key = f"own_upload_{st.session_state.get('own_round', 0)}"
        given = st.file_uploader("File", key=key, max_upload_size=UPLOAD_MB, label_visibility="collapsed")
        return None if given is None else _stamped(_keep(given.name, given.getbuffer()))
    words = st.text_input("Path", key="own_path", placeholder="/data/events.csv", help="Of a file on the server.")
    if not words.strip():
        return None
    path = Path(words.strip()).expanduser()
    if not may_read(path, str(st.get_option("server.address") or "")):
        st.error(
            "This server answers other machines, so only files below its data folders can be named: upload the file, "
            "or ask whoever runs the server to put it there.",
            icon=":material/error:",
        )
        return None
    return _stamped(path)


def may_read(path: Path, address: str) -> bool:
    """Whether a visitor may name this file: any when only this machine is answered, else those in the data folders."""
    if address in LOOPBACK:
        return True
    real = path.resolve()
    return any(real.is_relative_to(folder.resolve()) for folder in paths.data_folders())


def _stamped(path: Path) -> tuple[str, str]:
    with contextlib.suppress(OSError):
        about = path.stat()
        return str(path), f"{about.st_size}-{about.st_mtime_ns}"
    return str(path), "0"


def _keep(name: str, body: memoryview) -> Path:
    """An uploaded file as a file that workers can read; the same content is kept once, and for a day."""
    folder = paths.home() / "uploads"
    _sweep(folder)
    home = folder / hashlib.sha256(body).hexdigest()[:16]
    home.mkdir(parents=True, exist_ok=True)
    path = home / (text.clean(Path(name.replace("\\", "/")).name)[-120:] or "file")
    if not path.is_file() or path.stat().st_size != len(body):
        tmp = path.with_name(f"{path.name}.{time.monotonic_ns()}.tmp")
        tmp.write_bytes(body)
        tmp.replace(path)
    return path


def _sweep(folder: Path) -> None:
    """Delete uploads of yesterday."""
    for path in folder.glob("*/*"):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > KEPT_SECONDS:
                path.unlink()
                path.parent.rmdir()


# -- reading it


def _reading() -> tuple[str, str, bool]:
    """Encoding, separator, whether repeats are kept."""
    left, middle, right = st.columns(3, vertical_alignment="bottom")
    encoding = left.selectbox("Encoding", ENCODINGS, key="own_encoding", help="How the text was written.")
    separator = middle.selectbox("Columns are separated by", list(SEPARATORS), key="own_separator",
                                 format_func=lambda one: SEPARATORS[one])  # fmt: skip
    repeats = right.toggle("Keep repeats", key="own_repeats", help="Of a user with an item: for listening or visits.")
    return str(encoding), str(separator or ""), repeats


def _first_rows(found: Mapping[str, Any]) -> None:
    names = distinct([column_label(column, found["header"]) for column in found["columns"]])
    rows = [dict(zip(names, [*row, *[""] * len(names)], strict=False)) for row in found["rows"]]
    st.markdown(f"**First rows** :gray[{text.size(found['bytes'])}, {text.plural(len(names), 'column')}]")
    if not found["header"]:
        st.caption("The first line holds no names, so columns go by number.")
    st.dataframe(rows, hide_index=True, width="stretch", alt="The first rows of the file")


def column_label(column: str, header: bool) -> str:
    """What a column is called on screen. Not escaped."""
    return (text.brief(column, 40) or "(no name)") if header else f"column {column}"


def distinct(names: Sequence[str]) -> list[str]:
    """The names, a number behind those that stood before."""
    return [f"{name} ({names[:at].count(name) + 1})" if name in names[:at] else name for at, name in enumerate(names)]


# -- which column is what


def _choices(
    file: tuple[str, str], found: Mapping[str, Any], encoding: str, separator: str, repeats: bool
) -> Own | None:
    """The columns and the name as chosen; None, with a sentence, while something is missing."""
    st.markdown("**Which column is what?**", help="Guessed by the names of the columns; change what is wrong.")
    columns = _columns(file[1], found)
    name = st.text_input("Name of the data set", _name(file[0]), key=f"own_name_{file[0]}", max_chars=64)
    ordered = True
    if "time" not in columns:
        ordered = st.toggle("The rows stand in the order in which things happened", True, key="own_ordered",
                            help="Without an order, sequence models have nothing to learn.")  # fmt: skip
    missing = [role for role in ("user", "item") if role not in columns]
    if missing:
        st.info(f"Choose which column holds the {' and which the '.join(missing)}.", icon=":material/help:")
        return None
    if name in _files.imported():
        st.warning(f"There is a data set {text.md(name)} already: importing replaces it.", icon=":material/warning:")
    return Own(*file, name.strip(), tuple(columns.items()), encoding, separator, repeats, ordered)


def _columns(stamp: str, found: Mapping[str, Any]) -> dict[str, str]:
    """Role -> column, for the roles that have one."""
    usable = [name for name in dict.fromkeys(found["columns"]) if name]
    grid, chosen = st.grid(4, min_column_width=150), {}
    for role, about in ROLES.items():
        guessed = found["guess"].get(role)
        options = ["", *usable]
        with grid.cell():
            chosen[role] = st.selectbox(
                role,
                options,
                index=options.index(guessed) if guessed in options else 0,
                format_func=lambda one: column_label(one, found["header"]) if one else "–",
                key=f"own_{role}_{stamp}_{found['header']}",
                help=about,
            )
    return {role: column for role, column in chosen.items() if column}


def _name(file: str) -> str:
    """A name for the data set after the name of its file."""
    stem = Path(file).name.casefold().split(".")[0]
    return re.sub(r"[^a-z0-9]+", "-", stem).strip("-")[:64] or "my-data"


# -- before and after


def _check(own: Own) -> None:
    """What would be kept and left out; the button that imports."""
    running: Import | None = st.session_state.get("importing")
    if running is not None:
        _import(running)
        return
    outcome = fetch.get(Check(own), f"Check of {Path(own.file).name}")
    found = _answer(outcome, "check")
    if found is None:
        return
    report(found)
    label = f"Import as {text.md(own.name)}"
    st.button(label, type="primary", icon=":material/download_done:", key="own_import", on_click=_start, args=(own,))


def _start(own: Own) -> None:
    st.session_state["importing"] = Import(own, f"{time.time():.3f}")


def _import(asked: Import) -> None:
    """Wait for the import; then the new data set is chosen."""
    outcome = fetch.get(asked, f"Import {asked.own.name}")
    if outcome.job is not None and outcome.job.open:
        fetch.show(outcome, "import")
        return
    st.session_state["importing"] = None
    found = _answer(outcome, "import")
    if found is None:
        return
    st.session_state["imported"] = found
    st.session_state["own_round"] = st.session_state.get("own_round", 0) + 1
    if Path(asked.own.file).is_relative_to(paths.home() / "uploads"):
        Path(asked.own.file).unlink(missing_ok=True)
    change(dataset=asked.own.name)
    st.rerun()


def _done() -> None:
    """What the last import kept and left out, until it is closed."""
    found = st.session_state.get("imported")
    if not found:
        return
    with st.container(border=True, key="imported_report"):
        st.success(
            f"**{text.md(found['name'])}** is imported and chosen: everything in the app works on it now.",
            icon=":material/check:",
        )
        report(found)
        with st.container(horizontal=True):
            if st.button("Open a case", key="open_imported", icon=":material/person_search:", type="primary"):
                st.switch_page("pages/case.py")
            st.button("Close", key="close_imported", on_click=st.session_state.pop, args=("imported", None))


def report(found: Mapping[str, Any]) -> None:
    """Counts, and the rows left out per reason."""
    dropped = {reason: n for reason, n in found["dropped"].items() if n}
    total = found["events"] + sum(dropped.values())
    st.markdown(
        f"**{found['events']:,}** of {text.plural(total, 'row')} can be used: {text.plural(found['users'], 'user')}, "
        f"{text.plural(found['items'], 'item')}."
    )
    if dropped:
        st.html(cards.table([{"left out because": why, "rows": f"{n:,}"} for why, n in dropped.items()], "Left out"))
    else:
        st.caption("No row is left out.", help=tell("dropped"))
