"""Getting the files of a built-in data set: from its publisher, or out of a folder or archive that somebody has."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from recx.core import paths
from recx.core.errors import BadInput
from recx.core.progress import Progress
from recx.data import _files

TIMEOUT = 20
PIECE = 1 << 18


def download(recipe: Any, name: str, progress: Progress) -> None:
    """Fetch a source's archive, check its MD5 and that it loads, and put its files into `downloads()/name`.

    `recipe`: a source with `url`, `md5` (empty: the publisher fixes none) and `layouts`. Raises BadInput when it has no
    publisher, when the publisher cannot be reached, and when the archive is not the published one.
    """
    if not getattr(recipe, "url", ""):
        raise BadInput(f"{name} cannot be downloaded. {recipe.how_to_get}")
    paths.downloads().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=paths.downloads()) as folder:
        archive = Path(folder) / f"{name}.zip"
        try:
            found = _fetch(recipe.url, archive, progress)
        except (OSError, urllib.error.URLError) as error:
            raise _unreachable(recipe, name, error) from None
        if recipe.md5 and found != recipe.md5:
            raise BadInput(
                f"{recipe.url} is not the published archive (MD5 {found}, expected {recipe.md5}): try again later."
            )
        unpack(recipe, name, archive)


def _fetch(url: str, target: Path, progress: Progress) -> str:
    """Write what the URL holds to a file; its MD5."""
    digest = hashlib.md5(usedforsecurity=False)
    with urllib.request.urlopen(url, timeout=TIMEOUT) as answer, target.open("wb") as file:
        size, done = int(answer.headers.get("Content-Length") or 0), 0
        while piece := answer.read(PIECE):
            file.write(piece)
            digest.update(piece)
            done += len(piece)
            progress(min(done / size, 1.0) if size else 0.0, f"{done / 1e6:.1f} MB of {target.name}")
    if done < size:
        raise OSError(f"the connection ended after {done:,} of {size:,} bytes")
    return digest.hexdigest()


def _unreachable(recipe: Any, name: str, error: Exception) -> BadInput:
    reason = getattr(error, "reason", None) or error
    return BadInput(
        f"cannot fetch {recipe.url} ({reason}): fetch it on another machine and run "
        f"`python -m recx data add {name} --from {name}.zip`, or put {_files.listed(recipe.layouts[0])} "
        f"into {paths.downloads() / name}."
    )


def unpack(recipe: Any, name: str, path: Path) -> None:
    """Copy a source's files out of a folder, zip or tar (at any depth) into `downloads()/name`, when they load.

    Raises BadInput when there is nothing to copy, when the path lacks the files, and when they are damaged.
    """
    if not getattr(recipe, "layouts", ()):
        raise BadInput(f"{name} has no files to add. {recipe.how_to_get}")
    try:
        with ExitStack() as closing:
            _copy(recipe, name, path, _members(path, closing))
    except (OSError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile, tarfile.TarError) as error:
        raise BadInput(f"cannot read {path}: {getattr(error, 'strerror', None) or error}.") from None


Open = Callable[[], Any]
"""Opens one file for reading bytes."""


def _members(path: Path, closing: ExitStack) -> dict[PurePosixPath, Open]:
    """What opens each file of a folder or archive, by its path inside; `closing` closes the archive."""
    if path.is_dir():
        files = (file for file in path.rglob("*") if file.is_file())
        return {PurePosixPath(file.relative_to(path).as_posix()): partial(file.open, "rb") for file in files}
    if not path.exists():
        raise BadInput(f"there is no {path}: --from takes a folder, a .zip or a .tar(.gz).")
    if zipfile.is_zipfile(path):
        pack = closing.enter_context(zipfile.ZipFile(path))
        return {PurePosixPath(name): partial(pack.open, name) for name in pack.namelist() if not name.endswith("/")}
    if tarfile.is_tarfile(path):
        tar = closing.enter_context(tarfile.open(path))  # noqa: SIM115
        return {PurePosixPath(one.name): partial(tar.extractfile, one) for one in tar.getmembers() if one.isfile()}
    raise BadInput(f"{path} is neither a folder nor a whole zip or tar: --from takes one of these.")


def _copy(recipe: Any, name: str, path: Path, found: dict[PurePosixPath, Open]) -> None:
    """Write the files of the first layout that one folder inside holds whole; they must load to take their place."""
    for layout in recipe.layouts:
        for folder in sorted({inside.parent for inside in found}, key=lambda p: (len(p.parts), str(p))):
            if all(folder / file in found for file in layout):
                with _files.fresh_folder(name) as target:
                    for file in layout:
                        with found[folder / file]() as source, (target / file).open("wb") as copy:
                            shutil.copyfileobj(source, copy)
                    recipe.read([target / file for file in layout])
                    _keep_others(paths.downloads() / name, target)
                return
    needed = " or else ".join(_files.listed(layout) for layout in recipe.layouts)
    raise BadInput(f"{path} does not hold {needed}: is it the {name} archive?")


def _keep_others(old: Path, new: Path) -> None:
    """Copy what else somebody put into the folder that is about to be replaced."""
    for path in old.iterdir() if old.is_dir() else ():
        if path.is_file() and not (new / path.name).exists():
            shutil.copy2(path, new / path.name)
