"""Recipe -> result, computed once: memory, then disk, then compute under a lock that all processes share."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import os
import platform
import shutil
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from recx.core import paths
from recx.core.progress import Progress, part_of, quiet, with_scratch
from recx.core.recipe import canonical, rebuild
from recx.engine._codecs import CODECS, codec_of
from recx.engine._memory import Memory
from recx.recipes import _recipe

CAP_BYTES = 10 * 2**30
"""The store's size on disk above which the entries used longest ago go."""
LIBRARIES = ("numpy", "pandas", "scipy", "torch", "safetensors", "pyarrow")


class Damaged(Exception):
    """An entry whose files are not what its manifest says."""


class Store:
    """Results by recipe, under RECX_HOME/store.

    One folder per key: the files of the result and `manifest.json`. An entry is written beside, flushed and renamed, so
    it is there whole or not at all. Its last use is the manifest's time of change.
    """

    def __init__(self, root: Path | None = None, *, cap_bytes: int = CAP_BYTES, memory: Memory | None = None) -> None:
        self.root = Path(root) if root else paths.home() / "store"
        self.cap_bytes = cap_bytes
        self.memory = memory or Memory()
        self._now = threading.local()
        for name in ("entries", "locks", "tmp"):
            (self.root / name).mkdir(parents=True, exist_ok=True)

    # -- asking

    def key(self, recipe: Any) -> str:
        """The key of a recipe: it changes with a parameter, the data, or the code the result depends on."""
        known = getattr(self._now, "keys", None)
        if known is None:
            return _recipe.key(recipe)
        if recipe not in known:
            known[recipe] = _recipe.key(recipe)
        return str(known[recipe])

    @contextlib.contextmanager
    def one_moment(self) -> Iterator[None]:
        """Inside, this thread looks at code and data once: one question, one state of both (and it is faster)."""
        if getattr(self._now, "keys", None) is not None:
            yield
            return
        self._now.keys = {}
        try:
            yield
        finally:
            self._now.keys = None

    def has(self, recipe: Any) -> bool:
        """Is there an answer without computing? (Its checksums are looked at when it is read.)"""
        key = self.key(recipe)
        return _slot(key, recipe) in self.memory or (self._folder(key) / "manifest.json").is_file()

    def peek(self, recipe: Any) -> Any | None:
        """The result if it is in memory or on disk, else None. Computes nothing."""
        return self._peek(self.key(recipe), recipe)

    def get(self, recipe: Any, progress: Progress = quiet) -> Any:
        """The result: from memory, from disk, or computed now, what it needs first. Raises what `run` raises."""
        with self.one_moment():
            return self._get(recipe, progress)

    def _get(self, recipe: Any, progress: Progress) -> Any:
        key = self.key(recipe)
        found = self._peek(key, recipe)
        if found is not None:
            return found
        own = self._compute_needs(recipe, progress)
        if recipe.keep == "memory":
            return self._compute_kept(key, recipe, own)
        with self._locked(key, progress):
            found = self._peek(key, recipe, locked=True)
            return self._compute_stored(key, recipe, own) if found is None else found

    def remember(self, recipe: Any, result: Any) -> None:
        """Keep in memory a result that another process computed."""
        self.memory.put(_slot(self.key(recipe), recipe), result)

    # -- looking after it

    def manifest(self, recipe: Any) -> dict[str, Any]:
        """What is written beside a stored result; empty when there is none."""
        try:
            return dict(json.loads((self._folder(self.key(recipe)) / "manifest.json").read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return {}

    def seconds(self, recipe: Any) -> float:
        """Seconds of computing that a stored result took, with all that it needed and that is still stored."""
        seen: dict[str, float] = {}

        def visit(one: Any) -> None:
            if (key := self.key(one)) not in seen:
                seen[key] = self.manifest(one).get("seconds", 0.0)
                for need in one.needs():
                    visit(need)

        with self.one_moment():
            visit(recipe)
        return round(sum(seen.values()), 3)

    def entries(self) -> list[dict[str, Any]]:
        """The manifests, latest used first, each with `bytes` and `used` (seconds since 1970)."""
        rows = []
        for path in (self.root / "entries").glob("*/manifest.json"):
            with contextlib.suppress(OSError, ValueError, KeyError):
                manifest = json.loads(path.read_text(encoding="utf-8"))
                size = sum(one["bytes"] for one in manifest["files"].values())
                rows.append(manifest | {"bytes": size, "used": path.stat().st_mtime})
        return sorted(rows, key=lambda row: -row["used"])

    def size(self) -> int:
        """Bytes of all entries."""
        return sum(row["bytes"] for row in self.entries())

    def remove(self, key: str) -> bool:
        """Delete one entry; False when it is not there or somebody is using it."""
        self.memory.drop(key)
        try:
            with FileLock(self._lock_path(key), timeout=0):
                return self._discard(self._folder(key))
        except Timeout:
            return False

    def clean(self, *, everything: bool = False) -> dict[str, int]:
        """Delete what is of no use: leftovers, damaged entries, entries of other code or data; or `everything`."""
        before, removed = self.size(), 0
        for row in self.entries():
            if everything or _outdated(row):
                removed += self.remove(row["key"])
        for folder in (self.root / "tmp", self.root / "quarantine", self.root / "partial"):
            for path in folder.glob("*"):
                removed += self._leftover(path)
        return {"removed": removed, "freed_bytes": before - self.size()}

    # -- computing

    def _compute_needs(self, recipe: Any, progress: Progress) -> Progress:
        """Compute the needs that are not there yet; returns the progress left for the recipe itself."""
        missing = [need for need in recipe.needs() if not self.has(need)]
        share = 1 / (len(missing) + 1)
        for place, need in enumerate(missing):
            self.get(need, part_of(progress, place * share, (place + 1) * share))
        return part_of(progress, len(missing) * share, 1.0)

    def _compute_kept(self, key: str, recipe: Any, progress: Progress) -> Any:
        """The result of a `keep = "memory"` recipe, computed by one thread of this process."""
        slot = _slot(key, recipe)
        with self.memory.computing(slot):
            result = self.memory.get(slot)
            if result is None:
                result = _run(recipe, self.get, progress)
                self.memory.put(slot, result)
            return result

    def _compute_stored(self, key: str, recipe: Any, progress: Progress) -> Any:
        start, partial = time.perf_counter(), self.root / "partial" / key
        result = _run(recipe, self.get, with_scratch(progress, partial))
        name = codec_of(result)
        self._write(key, recipe, name, result, time.perf_counter() - start)
        shutil.rmtree(partial, ignore_errors=True)
        if name != "scorer":  # so that a first answer equals a stored one to the last type
            result = CODECS[name].read(self._folder(key), "auto")
        self.memory.put(_slot(key, recipe), result)
        self._shrink(key)
        return result

    # -- disk

    def _folder(self, key: str) -> Path:
        return self.root / "entries" / key

    def _lock_path(self, key: str) -> Path:
        return self.root / "locks" / f"{key}.lock"

    @contextlib.contextmanager
    def _locked(self, key: str, progress: Progress) -> Iterator[None]:
        """Hold the lock of a key; while another process holds it, `progress` is called so that a cancel is heard."""
        lock = FileLock(self._lock_path(key))
        while True:
            try:
                lock.acquire(timeout=0.3, poll_interval=0.02)
                break
            except Timeout:
                progress(0.0, "another process is computing this")
        try:
            yield
        finally:
            lock.release()

    def _peek(self, key: str, recipe: Any, *, locked: bool = False) -> Any | None:
        slot = _slot(key, recipe)
        result = self.memory.get(slot)
        if result is None and (self._folder(key) / "manifest.json").is_file():
            result = self._read(key, getattr(recipe, "device", "auto"), locked)
            if result is not None:
                self.memory.put(slot, result)
        elif result is not None:
            self._touch(key)
        return result

    def _read(self, key: str, device: str, locked: bool) -> Any | None:
        """A stored result; None when it is damaged (set aside) or gone. Holds the lock, if free, against eviction."""
        lock = contextlib.nullcontext() if locked else FileLock(self._lock_path(key))
        folder = self._folder(key)
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(Timeout):
                if isinstance(lock, FileLock):
                    lock.acquire(timeout=0)
                    stack.callback(lock.release)
            try:
                self._touch(key)
                return CODECS[_checked(folder)["type"]].read(folder, device)
            except Damaged:
                self._set_aside(key)
        return None

    def _touch(self, key: str) -> None:
        with contextlib.suppress(OSError):
            os.utime(self._folder(key) / "manifest.json")

    def _set_aside(self, key: str) -> None:
        """Move a damaged entry to `quarantine/`; nothing happens when it was evicted meanwhile."""
        (self.root / "quarantine").mkdir(exist_ok=True)
        with contextlib.suppress(OSError):
            self._folder(key).rename(self.root / "quarantine" / f"{key}-{uuid.uuid4().hex[:8]}")

    def _write(self, key: str, recipe: Any, name: str, result: Any, seconds: float) -> None:
        tmp = self.root / "tmp" / f"{key}-{uuid.uuid4().hex[:8]}"
        tmp.mkdir()
        try:
            CODECS[name].write(result, tmp)
            manifest = _manifest(key, recipe, name, result, seconds, tmp)
            (tmp / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True), encoding="utf-8")
            for path in (*tmp.iterdir(), tmp):
                _flush(path)
            if self._folder(key).exists():  # no manifest: somebody deleted part of it
                self._set_aside(key)
            tmp.rename(self._folder(key))
            _flush(self._folder(key).parent)
        finally:
            shutil.rmtree(tmp, ignore_errors=True)

    def _shrink(self, keep: str) -> None:
        """Delete the entries used longest ago until the store fits its cap, never one that somebody is using."""
        rows = self.entries()
        too_much = sum(row["bytes"] for row in rows) - self.cap_bytes
        for row in reversed(rows):
            if too_much <= 0:
                break
            if row["key"] != keep and self._evict(row["key"]):
                too_much -= row["bytes"]

    def _evict(self, key: str) -> bool:
        try:
            with FileLock(self._lock_path(key), timeout=0):
                return self._discard(self._folder(key))
        except Timeout:
            return False

    def _discard(self, folder: Path) -> bool:
        """Rename away, then delete: nobody sees half an entry."""
        gone = self.root / "tmp" / f"{folder.name}-{uuid.uuid4().hex[:8]}"
        try:
            folder.rename(gone)
        except OSError:
            return False
        shutil.rmtree(gone, ignore_errors=True)
        return True

    def _leftover(self, path: Path) -> bool:
        """Delete a half-written or damaged entry unless its key is being computed."""
        try:
            with FileLock(self._lock_path(path.name.split("-")[0]), timeout=0):
                shutil.rmtree(path, ignore_errors=True)
                return True
        except Timeout:
            return False


def _slot(key: str, recipe: Any) -> str:
    """The place of a result in memory: a scorer on another device is another object."""
    return f"{key}@{getattr(recipe, 'device', 'auto')}"


def _run(recipe: Any, get: Any, progress: Progress) -> Any:
    result = recipe.run(get, progress)
    if result is None:
        raise TypeError(f"{type(recipe).__name__}.run returned nothing")
    return result


def _manifest(key: str, recipe: Any, name: str, result: Any, seconds: float, folder: Path) -> dict[str, Any]:
    stamp = _recipe.versions(recipe)
    report = result if isinstance(result, dict) else getattr(result, "report", {})
    return {
        "key": key,
        "type": name,
        "recipe": canonical(recipe),
        "code": stamp["code"],
        "data": stamp["data"],
        "files": {
            path.name: {"sha256": _sha256(path), "bytes": path.stat().st_size} for path in sorted(folder.iterdir())
        },
        "libraries": _libraries(),
        "device": str(report.get("device", "cpu")),
        "seconds": round(seconds, 3),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


@functools.cache
def _libraries() -> dict[str, str]:
    found = {"python": platform.python_version(), "platform": sys.platform}
    for name in LIBRARIES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _checked(folder: Path) -> dict[str, Any]:
    """The manifest of an entry, each of its files there and with the checksum it was written with. Raises Damaged."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        for name, expected in manifest["files"].items():
            if _sha256(folder / name) != expected["sha256"]:
                raise Damaged(f"{folder / name} is not what was written")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Damaged(str(error)) from error
    if manifest.get("type") not in CODECS:
        raise Damaged(f"{folder} holds an unknown type of result")
    return manifest


def _outdated(row: dict[str, Any]) -> bool:
    """Would the recipe of an entry be computed under another key today? False when that cannot be told."""
    try:
        return _recipe.key(rebuild(row["recipe"])) != row["key"]
    except Exception:  # a class or a data set that is gone: keep what cannot be judged
        return False


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
