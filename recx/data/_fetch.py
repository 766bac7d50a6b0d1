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
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

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
            raise BadInput(f"{recipe.url} is not the published archive (MD5 {found}, expected {recipe.md5}): try again later.")
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
        found, close = _members(path)
        try:
            _copy(recipe, name, path, found)
        finally:
            close()
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, tarfile.TarError) as error:
        raise BadInput(f"cannot read {path}: {getattr(error, 'strerror', None) or error}.") from None


Open = Callable[[], BinaryIO]


def _members(path: Path) -> tuple[dict[PurePosixPath, Open], Callable[[], None]]:
    """What opens each file of a folder or archive, by its path inside; and what closes the archive."""
    if path.is_dir():
        files = (p for p in path.rglob("*") if p.is_file())
        return {PurePosixPath(p.relative_to(path).as_posix()): lambda p=p: p.open("rb") for p in files}, lambda: None
    if not path.exists():
        raise BadInput(f"there is no {path}: --from takes a folder, a .zip or a .tar(.gz).")
    if zipfile.is_zipfile(path):
        pack = zipfile.ZipFile(path)
        inside = [info for info in pack.infolist() if not info.is_dir()]
        return {PurePosixPath(info.filename): lambda info=info: pack.open(info) for info in inside}, pack.close
    if tarfile.is_tarfile(path):
        tar = tarfile.open(path)
        members = [member for member in tar.getmembers() if member.isfile()]
        return {PurePosixPath(member.name): lambda member=member: tar.extractfile(member) for member in members}, tar.close
    raise BadInput(f"{path} is neither a folder nor a whole zip or tar: --from takes one of these.")


def _copy(recipe: Any, name: str, path: Path, found: dict[PurePosixPath, Open]) -> None:
    """Write the files of the first layout that one folder inside holds whole; load them before they take their place."""
    for layout in recipe.layouts:
        for folder in sorted({inside.parent for inside in found}, key=lambda p: (len(p.parts), str(p))):
            if all(folder / file in found for file in layout):
                with _files.fresh_folder(name) as target:
                    for file in layout:
                        with found[folder / file]() as source, (target / file).open("wb") as copy:
                            shutil.copyfileobj(source, copy)
                    recipe.read([target / file for file in layout])
                return
    needed = " or else ".join(_files.listed(layout) for layout in recipe.layouts)
    raise BadInput(f"{path} does not hold {needed}: is it the {name} archive?")
