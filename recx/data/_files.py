"""Where data sets lie, what their files hold, and how they get there: found, fingerprinted, added, downloaded."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from recx.core import paths, registry
from recx.core.errors import BadInput, unknown
from recx.core.progress import Progress, quiet
from recx.core.recipe import Named, canonical_text

KIND = "data.sources"
HEAD = "recx-table.json"
"""The file that marks a folder as an imported table."""


def source(name: str) -> Named:
    """The source of a data set by its name on the command line: a built-in one or an imported table.

    Raises BadInput for a name that neither has.
    """
    if name in built_in():
        return Named(KIND, name)
    if name in imported():
        return Named(KIND, "table", (("name", name),))
    raise unknown("data set", name, source_names(), " (`python -m recx data` lists them)")


def source_names() -> list[str]:
    """The names of all data sets: built-in ones, then imported tables."""
    return built_in() + [name for name in imported() if name not in built_in()]


def imported() -> list[str]:
    """The names of the tables that `data import` has filled, sorted."""
    found = {head.parent.name for folder in paths.data_folders() for head in folder.glob(f"*/{HEAD}")}
    return sorted(name for name in found if not name.startswith("."))


def on_disk(name: str) -> bool:
    """Whether a data set can be loaded without fetching anything. Raises BadInput for an unknown name."""
    recipe = source(name).build()
    try:
        return all(path.is_file() for path in recipe.files())
    except BadInput:
        return False


def built_in() -> list[str]:
    """The names of the data sets that recx knows how to read, sorted."""
    return [name for name in registry.names(KIND) if name != "table"]


def where(name: str, files: Iterable[str]) -> Path | None:
    """The first folder `<name>/` on the search path that holds all the files, or None."""
    folders = (folder / name for folder in paths.data_folders())
    return next((folder for folder in folders if all((folder / file).is_file() for file in files)), None)


def find(name: str, *layouts: Sequence[str]) -> list[Path]:
    """The files of a data set, of the first layout (file names that belong together) that a folder holds whole.

    Raises BadInput saying what to put where.
    """
    for files in layouts:
        folder = where(name, files)
        if folder is not None:
            return [folder / file for file in files]
    raise BadInput(
        f"data set {name!r} is not on this machine: run `python -m recx data add {name}`, or put "
        f"{' (or else '.join(map(listed, layouts))}{')' * (len(layouts) - 1)} into {paths.downloads() / name} "
        f"or into a folder {name!r} of one that RECX_DATA names."
    )


def listed(files: Sequence[str]) -> str:
    """Names as a sentence has them: a, b and c."""
    return files[0] if len(files) == 1 else f"{', '.join(files[:-1])} and {files[-1]}"


def fingerprint(named: Named) -> str:
    """Sha256 (hex) of the names and contents of a source's files and of its settings.

    A file is read again only when its size or its time of change differ, so asking again takes well under a
    millisecond per file. Raises BadInput when the files are absent.
    """
    recipe = named.build()
    digest = hashlib.sha256(canonical_text(recipe).encode())
    for path in recipe.files():
        digest.update(f"\n{path.name} {content(path)}".encode())
    return digest.hexdigest()


_contents: dict[Path, tuple[tuple[int, int], str]] = {}


def content(path: Path) -> str:
    """Sha256 (hex) of a file, remembered by this process as long as size and time of change stay."""
    state = path.stat()
    stamp = (state.st_mtime_ns, state.st_size)
    known = _contents.get(path)
    if known is None or known[0] != stamp:
        with path.open("rb") as file:
            known = _contents[path] = (stamp, hashlib.file_digest(file, "sha256").hexdigest())
    return known[1]


@contextmanager
def fresh_folder(name: str) -> Iterator[Path]:
    """A temporary folder that becomes `downloads()/name` when the block ends well, in one step.

    When two processes fill the same name at once the last to finish stays, unless both hold the same; nobody ever sees
    half a folder.
    """
    home = paths.downloads()
    home.mkdir(parents=True, exist_ok=True)
    _sweep(home)
    temporary = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=home))
    try:
        yield temporary
        os.chmod(temporary, 0o755)
        _put(temporary, home / name)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _sweep(home: Path) -> None:
    """Remove temporary folders that a killed process left a day or more ago."""
    for old in home.glob(".*-*"):
        if old.is_dir() and time.time() - old.stat().st_mtime > 86400:
            shutil.rmtree(old, ignore_errors=True)


def _put(temporary: Path, target: Path) -> None:
    """Move a folder to its place, an older one out of the way; tried again when another process does the same."""
    for _ in range(50):
        if _same(temporary, target):
            return
        with suppress(OSError):
            os.rename(temporary, target)
            return
        aside = target.parent / f".{target.name}-{uuid.uuid4().hex}"
        with suppress(OSError):
            os.rename(target, aside)
            shutil.rmtree(aside, ignore_errors=True)
    raise BadInput(f"{target} cannot be written: check that the folder belongs to you and holds nothing of your own.")


def _same(one: Path, other: Path) -> bool:
    """Whether two folders hold the same files."""
    try:
        mine, theirs = ({path.name: content(path) for path in folder.iterdir()} for folder in (one, other))
    except OSError:
        return False
    return mine == theirs


def read_head(name: str) -> tuple[Path, dict[str, Any]]:
    """The folder of an imported table and what its head says. Raises BadInput when it is absent or damaged."""
    folder = where(name, [HEAD])
    if folder is None:
        raise BadInput(
            f"no table {name!r} has been imported: "
            f"`python -m recx data import FILE --name {name or 'NAME'} --columns user=..,item=..`."
        )
    try:
        return folder, json.loads((folder / HEAD).read_text(encoding="utf-8"))
    except (ValueError, OSError):
        raise BadInput(f"{folder / HEAD} is damaged: import the table {name!r} again.") from None


def add(name: str, from_path: Path | str | None = None, progress: Progress = quiet) -> dict[str, Any]:
    """Put a built-in data set into `downloads()`: from a folder, zip or tar, or (without one) from its publisher.

    Without a path nothing is fetched when the data set is there already. Returns what `summary` says. Raises BadInput
    for a path without the files, a name that needs none, and when the publisher cannot be reached.
    """
    from recx.data import _fetch

    recipe = source(name).build()
    if from_path is not None:
        _fetch.unpack(recipe, name, Path(from_path).expanduser())
    elif not on_disk(name):
        _fetch.download(recipe, name, progress)
    return summary(name)


def download(name: str, progress: Progress = quiet) -> dict[str, Any]:
    """Fetch a data set from its publisher, there already or not, and check it. Returns what `summary` says."""
    from recx.data import _fetch

    _fetch.download(source(name).build(), name, progress)
    return summary(name)


def import_table(path: Path | str, name: str, columns: Mapping[str, str], **options: Any) -> dict[str, Any]:
    """Turn a CSV, TSV or Parquet file into the data set `name`; see `recx.data._tables.import_table`."""
    from recx.data import _tables

    _tables.import_table(Path(path).expanduser(), name, columns, **options)
    return summary(name)


def summary(name: str) -> dict[str, Any]:
    """What a data set holds: `name`, `users`, `items`, `events`, `fingerprint`, `dropped` rows per reason.

    Further `first` and `last`: days (UTC) of the events, None without times. Reads the whole data set. Raises BadInput
    when it is absent or damaged.
    """
    data = source(name).build().load()
    known = [] if data.time is None else data.time[data.time >= 0]
    return {
        "name": name,
        "users": data.n_users,
        "items": data.n_items,
        "events": len(data),
        "fingerprint": data.fingerprint,
        "dropped": data.dropped,
        "first": _day(min(known)) if len(known) else None,
        "last": _day(max(known)) if len(known) else None,
    }


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).date().isoformat()
