"""Models of your own that whoever runs recx has registered: the settings file, its entries, and what they say.

`RECX_HOME/models.toml` holds one table per model; RECX_MODELS names further such files, which are searched first.
Nothing here imports a registered model or asks an endpoint: the app's process reads names from it. See
docs/external-models.md.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import tomllib
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from filelock import FileLock

from recx.core import paths, stamps
from recx.core.errors import BadInput, unknown
from recx.core.recipe import clean, describe, param, title

FILE = "models.toml"
PATH, PATHS = "path", "paths"
"""The unit of a field that names a file or folder, or several: relative ones start at the settings file."""


@dataclass(frozen=True)
class PythonModel:
    """Python function."""

    python: str = param("", "The function, as package.module:function")
    path: str = param("", "The folder that holds the module, where it is not installed", unit=PATH)
    watch: str = param("", "Files that the function reads: results of a changed one no longer count", unit=PATHS)
    timeout: float = param(60.0, "A call that takes longer is given up", unit="s", low=0.001, high=3600.0)
    batch: int = param(1024, "Histories per call", low=1, high=100_000)


@dataclass(frozen=True)
class HttpModel:
    """HTTP endpoint."""

    http: str = param("", "The address that histories are posted to")
    timeout: float = param(10.0, "A request that takes longer is given up", unit="s", low=0.001, high=3600.0)
    batch: int = param(64, "Histories per request", low=1, high=100_000)
    retries: int = param(3, "How often a request is sent again after a broken connection or a 5xx", low=0, high=20)
    backoff: float = param(0.5, "Wait before the first repetition, twice as long each time", unit="s", low=0.0, high=60)
    megabytes: float = param(64.0, "A longer answer is refused", unit="MB", low=0.001, high=4096.0)
    top: int = param(1000, "How many items a ranked list is asked for", low=1, high=1_000_000)
    token: str = param("", "The environment variable that holds the bearer token, where one is needed")


@dataclass(frozen=True)
class EmbeddingModel:
    """Embedding matrices."""

    embeddings: str = param("", "A row per item: .npy, or .safetensors (tensor `items`, or the only one)", unit=PATH)
    users: str = param("", "A row per user, in the same way (tensor `users`, or the only one)", unit=PATH)
    ids: str = param("", "The item id of each row, one per line", unit=PATH)
    user_ids: str = param("", "The user id of each row, one per line", unit=PATH)


@dataclass(frozen=True)
class ItemItemModel:
    """Item-item matrix."""

    item_item: str = param(
        "", "Row i: what item i in a history adds to each score; .npy, .safetensors, .npz", unit=PATH
    )
    ids: str = param("", "The item id of each row and column, one per line", unit=PATH)


@dataclass(frozen=True)
class About:
    """What every kind may say of itself."""

    title: str = param("", "What menus call it")
    version: str = param("", "A word of yours: change it when the model behind it changes")


Model = PythonModel | HttpModel | EmbeddingModel | ItemItemModel
KINDS: dict[str, type[Model]] = {
    "python": PythonModel,
    "http": HttpModel,
    "embeddings": EmbeddingModel,
    "item-item": ItemItemModel,
}
SUFFIXES = {"embeddings": (".npy", ".safetensors"), "item-item": (".npy", ".safetensors", ".npz")}


@dataclass(frozen=True)
class Registered:
    """One entry: its name, its kind (of KINDS), what it says, and the settings file it stands in."""

    name: str
    kind: str
    model: Model
    about: About
    file: Path

    @property
    def title(self) -> str:
        """What a menu shows."""
        return f"{self.about.title or self.name}: a model of your own ({title(type(self.model))})"


# -- reading


def files() -> list[Path]:
    """The settings files in the order they are searched: those that RECX_MODELS names, then RECX_HOME/models.toml."""
    named = os.environ.get("RECX_MODELS", "")
    return [Path(part).expanduser() for part in named.split(os.pathsep) if part] + [paths.home() / FILE]


def read() -> tuple[dict[str, Registered], dict[str, str]]:
    """The entries by name, and by name (or file) the sentence why one cannot be used."""
    found: dict[str, Registered] = {}
    broken: dict[str, str] = {}
    for file in files():
        if file.is_file():
            good, bad = _read_file(file, stamps.state(file))
            found = good | found
            broken = bad | broken
        elif file.parent != paths.home():
            broken[str(file)] = f"{file}, which RECX_MODELS names, is not there."
    return found, {name: why for name, why in broken.items() if name not in found}


@lru_cache(maxsize=16)
def _read_file(file: Path, _state: tuple[int, int]) -> tuple[dict[str, Registered], dict[str, str]]:
    good, bad = {}, {}
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return {}, {str(file): f"{file} cannot be read ({error}): mend it, docs/external-models.md shows its form."}
    for name, table in tables.items():
        try:
            good[name] = entry(name, table, file)
        except BadInput as error:
            bad[name] = f"{file}: {error}"
    return good, bad


def names() -> list[str]:
    """The names of all models that are registered and whose entry can be used, sorted."""
    return sorted(read()[0])


def find(name: str) -> Registered:
    """An entry by name. Raises BadInput: the nearest names, or what is wrong with the entry."""
    found, broken = read()
    if name in found:
        return found[name]
    unread = next((why for key, why in broken.items() if os.sep in key), "")
    if name in broken or unread:
        raise BadInput(broken.get(name, unread))
    if not found:
        raise BadInput(f"no model of your own is registered{_as(name)}: `python -m recx models add NAME ...`.")
    raise unknown("model of your own", name, found, " (`python -m recx models` lists them)")


def _as(name: str) -> str:
    return f" as {name!r}" if name else ""


def entry(name: str, table: Any, file: Path) -> Registered:
    """One table of a settings file, checked. Raises BadInput, naming the field, its range and the nearest name."""
    _check_name(name)
    if not isinstance(table, Mapping):
        raise BadInput(f"{name!r} is not a table: write [{name}] above its settings.")
    kinds = [kind for kind in KINDS if kind in table or _field(kind) in table]
    if len(kinds) != 1:
        said = " and ".join(kinds) or "none of them"
        raise BadInput(f"{name} must say exactly one of {', '.join(KINDS)}: it says {said}.")
    given = {_field(key): _plain(name, key, value) for key, value in table.items()}
    cls = KINDS[kinds[0]]
    about = {key: value for key, value in given.items() if key in ("title", "version")}
    rows = [*describe(cls), *describe(About)]
    clean(name, rows, given)  # all at once, so that the nearest name is looked for among all fields
    own = dict(clean(name, describe(cls), {key: value for key, value in given.items() if key not in about}))
    units = {row["name"]: row["unit"] for row in describe(cls)}
    own = {key: _placed(file.parent, value, units[key]) for key, value in own.items()}
    found = Registered(name, kinds[0], cls(**own), About(**dict(clean(name, describe(About), about))), file)
    _check(found)
    return found


def _field(key: str) -> str:
    return key.replace("-", "_")


def _plain(name: str, key: str, value: Any) -> Any:
    """A list of files as one text; every other value must be plain."""
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return os.pathsep.join(value)
    if isinstance(value, (str, int, float, bool)):
        return value
    raise BadInput(f"{name}.{key} is not a text, a number, true or false.")


def _placed(folder: Path, value: Any, unit: str) -> Any:
    """Paths made absolute, from the folder of the settings file."""
    if unit not in (PATH, PATHS):
        return value
    parts = value.split(os.pathsep) if unit == PATHS else [value]
    return os.pathsep.join(os.path.abspath(folder / Path(part).expanduser()) for part in parts if part)


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,39}", name):
        raise BadInput(f"{name!r} cannot be the name of a model: use up to 40 small letters, digits, - and _.")
    if owner := _owner(name):
        raise BadInput(f"{name!r} is the name of a built-in {owner}: choose another name for your model.")


def _owner(name: str) -> str:
    """The kind that already has a name: on the command line a setting is addressed by it."""
    from recx.core import registry

    return next((word for kind, word in registry.KINDS.items() if name in registry.names(kind)), "")


def _check(found: Registered) -> None:
    """What a form cannot say. Raises BadInput."""
    model, where = found.model, f"{found.name}.{found.kind}"
    main = str(getattr(model, _field(found.kind)))
    if found.kind == "python" and not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*", main):
        raise BadInput(f"{where}={main!r} is not of the form package.module:function.")
    if isinstance(model, HttpModel):
        _check_address(where, main)
    if found.kind in SUFFIXES and Path(main).suffix not in SUFFIXES[found.kind]:
        raise BadInput(f"{where}={main!r} is not a file that can be read: give {' or '.join(SUFFIXES[found.kind])}.")
    if isinstance(model, EmbeddingModel):
        if model.users and Path(model.users).suffix not in SUFFIXES["embeddings"]:
            raise BadInput(
                f"{found.name}.users={model.users!r} is not a file that can be read: give .npy, .safetensors."
            )
        if model.user_ids and not model.users:
            raise BadInput(f"{found.name}.user_ids needs users: name the file with a row per user.")


def _check_address(where: str, text: str) -> None:
    try:
        parts = urlsplit(text)
        fine = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fine = False
    if not fine or not text.isascii() or re.search(r"[\s\x00-\x1f\x7f]", text):
        raise BadInput(f"{where}={text!r} is not an address: it must begin with http:// or https:// and name a host.")
    if parts.username or parts.password:
        raise BadInput(f"{where} holds a password: leave it out and use token=VARIABLE (a bearer token).")


# -- what it hangs on


def stamp(name: str) -> str:
    """Sha256 (16 hex digits) of an entry, of the files it names and of a function's sources.

    It is part of the key of every result, so that a changed model never answers with old ones. Raises BadInput for an
    unknown name and for a file that is not there.
    """
    found = find(name)
    said = [found.kind, dataclasses.asdict(found.model), found.about.version]
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    for path in needed(found):
        try:
            digest.update(f"\n{path.name} {stamps.content(path)}".encode())
        except OSError as error:
            raise BadInput(f"{name}: {path} cannot be read ({error.strerror}): put it there, or mend {FILE}.") from None
    return digest.hexdigest()[:16]


def needed(found: Registered) -> Iterator[Path]:
    """The files an entry depends on. Raises BadInput for a function whose module is not there."""
    for row in describe(type(found.model)):
        value = getattr(found.model, row["name"])
        if row["unit"] in (PATH, PATHS) and value and row["name"] != "path":
            yield from map(Path, value.split(os.pathsep) if row["unit"] == PATHS else [value])
    if isinstance(found.model, PythonModel):
        module = found.model.python.partition(":")[0]
        yield from stamps.sources(found.name, module, found.model.path).values()


def mark() -> str:
    """A short digest of all settings files; empty when there is none: menus are drawn anew when it changes."""
    texts = [f"{file} {stamps.content(file)}" for file in files() if file.is_file()]
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:8] if texts else ""


# -- writing


def add(name: str, settings: Mapping[str, Any]) -> Registered:
    """Write an entry at the end of RECX_HOME/models.toml. Raises BadInput; then nothing is written."""
    file = paths.home() / FILE
    found = entry(name, {key: value for key, value in settings.items() if value not in (None, "", [])}, file)
    with FileLock(file.with_suffix(".lock")):
        known = read()
        if name in known[0] or name in known[1]:
            raise BadInput(f"{name!r} is registered already: `python -m recx models remove {name}` first.")
        _check_present(found)
        old = file.read_text(encoding="utf-8") if file.is_file() else ""
        lines = [f"{_key(key)} = {_toml(value)}" for key, value in _said(found).items()]
        _replace(file, "\n".join([*([old.rstrip("\n"), ""] if old.strip() else []), f"[{name}]", *lines, ""]))
    return found


def _check_present(found: Registered) -> None:
    """Raises BadInput when a file that the entry depends on is not there."""
    for path in needed(found):
        if not path.is_file():
            raise BadInput(f"{found.name}: {path} is not there: check the path.")


def _said(found: Registered) -> dict[str, Any]:
    """The settings of an entry that differ from the defaults."""
    parts = (found.model, found.about)
    return {
        field.name: getattr(part, field.name)
        for part in parts
        for field in dataclasses.fields(part)
        if getattr(part, field.name) != field.default
    }


def _key(field: str) -> str:
    return "item-item" if field == "item_item" else field


def _toml(value: Any) -> str:
    """A value as TOML writes it: a JSON text is a TOML text, except for the character 127."""
    if isinstance(value, str) and not value.isprintable():
        raise BadInput(f"{value!r} holds characters that cannot be written: leave them out.")
    return json.dumps(value, ensure_ascii=False)


def remove(name: str) -> None:
    """Take an entry out of RECX_HOME/models.toml; the rest of the file stays as it is. Raises BadInput."""
    file = paths.home() / FILE
    with FileLock(file.with_suffix(".lock")):
        text = file.read_text(encoding="utf-8") if file.is_file() else ""
        before = tables_of(text)
        if before is None:
            raise BadInput(f"{file} cannot be read: mend it by hand.")
        if name not in before:
            elsewhere = read()[0].get(name)
            if elsewhere:
                raise BadInput(
                    f"{name!r} stands in {elsewhere.file}, which RECX_MODELS names: remove it there by hand."
                )
            raise unknown("model of your own", name, before, f" in {file}")
        new = _without(text, name)
        if tables_of(new) != {key: value for key, value in before.items() if key != name}:
            raise BadInput(f"{name!r} is written in {file} in a way that only a person can remove: do it by hand.")
        _replace(file, new)


def tables_of(text: str) -> dict[str, Any] | None:
    """What a settings file says, or None when it is not TOML."""
    with contextlib.suppress(ValueError):
        return tomllib.loads(text)
    return None


def _without(text: str, name: str) -> str:
    """The text without the lines of a table; comments above the next table stay."""
    lines = text.splitlines(keepends=True)
    heads = [i for i, line in enumerate(lines) if line.lstrip().startswith("[")] + [len(lines)]
    own = re.compile(rf"\s*\[\s*{re.escape(name)}\s*\]\s*(#.*)?$")
    start = next((i for i in heads[:-1] if own.match(lines[i])), None)
    if start is None:
        return text
    end = heads[heads.index(start) + 1]
    while end < len(lines) and end - 1 > start and re.match(r"\s*(#.*)?$", lines[end - 1]):
        end -= 1
    return "".join(lines[:start] + lines[end:])


def _replace(file: Path, text: str) -> None:
    """Write a file whole or not at all."""
    beside = file.with_name(f".{file.name}.{uuid.uuid4().hex[:8]}")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)
