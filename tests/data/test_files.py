"""Finding, fingerprinting, adding and downloading data sets, on a tiny hand-written ml-100k."""

from __future__ import annotations

import hashlib
import http.server
import io
import os
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from recx.core import registry
from recx.core.errors import BadInput
from recx.core.recipe import Named
from recx.data import _files
from recx.data.sources.ml_100k import Ml100k

TINY = {
    "u.data": "2\t1\t5\t881250949\n1\t2\t3\t891717742\n1\t1\t1\t891717742\n",
    "u.item": "1|Matrix, The (1999)|01-Jan-1999||http://x|0|1|1\n2|Café (2001)|01-Jan-2001||http://x|1|0|0\n",
    "u.user": "1|24|M|technician|85711\n2|53|F|other|94043\n",
    "u.genre": "unknown|0\nAction|1\nSci-Fi|2\n\n",
}


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A folder with a whole, tiny ml-100k."""
    folder = tmp_path / "in" / "deep" / "ml-100k"
    folder.mkdir(parents=True)
    for name, text in TINY.items():
        (folder / name).write_bytes(text.encode("latin-1"))
    return folder


@pytest.fixture(autouse=True)
def empty(recx_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No data set is found anywhere."""
    monkeypatch.setenv("RECX_DATA", "")


def zipped(folder: Path) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as pack:
        for path in folder.iterdir():
            pack.write(path, f"ml-100k/{path.name}")
    return out.getvalue()


def test_absent_says_what_to_put_where() -> None:
    with pytest.raises(BadInput, match=r"python -m recx data add ml-100k.*put u.data, u.item, u.user and u.genre into"):
        Ml100k().load()
    assert not _files.on_disk("ml-100k")
    assert _files.on_disk("planted")
    with pytest.raises(BadInput, match=r"ratings.dat \(or else movies.dat, users.dat and interactions.csv.gz\) into"):
        registry.load("data.sources", "ml-1m")().load()


def test_search_path_goes_first_and_half_a_folder_does_not_count(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = tmp_path / "half" / "ml-100k"
    half.mkdir(parents=True)
    (half / "u.data").write_text("")
    monkeypatch.setenv("RECX_DATA", f"{half.parent}{os.pathsep}{tiny.parent}")
    assert _files.where("ml-100k", TINY) == tiny


def test_reading_the_tiny_one_by_hand(tiny: Path) -> None:
    assert _files.add("ml-100k", tiny) == {
        "name": "ml-100k",
        "users": 2,
        "items": 2,
        "events": 3,
        "fingerprint": Ml100k().load().fingerprint,
        "dropped": {},
        "first": "1997-12-04",
        "last": "1998-04-04",
    }
    data = Ml100k().load()
    assert data.items.to_dict("list") == {
        "id": ["1", "2"],
        "title": ["The Matrix", "Café"],
        "year": [1999, 2001],
        "genres": ["Action|Sci-Fi", ""],
    }
    assert data.users.to_dict("list") == {
        "id": ["1", "2"],
        "age": [24, 53],
        "gender": ["M", "F"],
        "occupation": ["technician", "other"],
    }
    assert data.history(0).tolist() == [1, 0]  # the same second: the order of the file


@pytest.mark.parametrize("form", ["folder", "parent", "zip", "tar.gz"])
def test_add_from_what_somebody_has(tiny: Path, tmp_path: Path, form: str) -> None:
    path = {"folder": tiny, "parent": tmp_path / "in"}.get(form, tmp_path / f"x.{form}")
    if form == "zip":
        path.write_bytes(zipped(tiny))
    elif form == "tar.gz":
        with tarfile.open(path, "w:gz") as pack:
            pack.add(tiny, "ml-100k")
    assert _files.add("ml-100k", path)["events"] == 3
    assert sorted(p.name for p in (_files.paths.downloads() / "ml-100k").iterdir()) == sorted(TINY)


def test_add_refuses_what_is_not_it(tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "cut.zip").write_bytes(zipped(tiny)[:-30])
    for path, sentence in [
        (tmp_path / "nowhere", "there is no"),
        (tmp_path / "cut.zip", "neither a folder nor a whole zip or tar"),
    ]:
        with pytest.raises(BadInput, match=sentence):
            _files.add("ml-100k", path)
    with pytest.raises(BadInput, match=r"does not hold ratings.csv and movies.csv"):
        _files.add("ml-latest-small", tiny)
    with pytest.raises(BadInput, match="planted has no files to add"):
        _files.add("planted", tiny)
    (tiny / "u.data").write_text("only nonsense\n")
    with pytest.raises(BadInput, match=r"no usable row \(left out: 1 unparsable line"):
        _files.add("ml-100k", tiny)
    assert list(_files.paths.downloads().iterdir()) == []  # nothing half done, no temporary folder


def test_add_keeps_what_else_lies_there(tiny: Path) -> None:
    folder = _files.paths.downloads() / "ml-100k"
    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("mine")
    (folder / "u.data").write_text("old")
    _files.add("ml-100k", tiny)
    assert (folder / "notes.txt").read_text() == "mine"
    assert (folder / "u.data").read_text() == TINY["u.data"]


def test_a_damaged_table_of_films_is_one_sentence(tiny: Path) -> None:
    (tiny / "u.item").write_text(TINY["u.item"] + "3|cut of")
    with pytest.raises(BadInput, match=r"u.item has 1 lines with another number of columns"):
        _files.add("ml-100k", tiny)


def test_an_archive_cannot_write_outside(tiny: Path, tmp_path: Path) -> None:
    """The members that are wanted are copied by name into the folder; a path that climbs out is not among them."""
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as pack:
        for path in tiny.iterdir():
            pack.write(path, f"../../{path.name}")
    _files.add("ml-100k", tmp_path / "evil.zip")
    assert sorted(p.name for p in (_files.paths.downloads() / "ml-100k").iterdir()) == sorted(TINY)
    assert not (_files.paths.home() / "u.data").exists()


def test_two_processes_add_at_once(tiny: Path) -> None:
    code = f"from recx.data import _files; [_files.add('ml-100k', {str(tiny)!r}) for _ in range(5)]"
    both = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [process.communicate(timeout=60)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], errors
    assert _files.summary("ml-100k")["events"] == 3
    assert [p.name for p in _files.paths.downloads().iterdir()] == ["ml-100k"]


def test_fingerprint_follows_contents_not_dates(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECX_DATA", str(tiny.parent))
    named = _files.source("ml-100k")
    before = _files.fingerprint(named)
    os.utime(tiny / "u.data", ns=(1, 1))
    assert _files.fingerprint(named) == before
    (tiny / "u.data").write_text(TINY["u.data"].replace("\t5\t", "\t4\t"))
    assert _files.fingerprint(named) != before


def test_fingerprint_of_generated_data_follows_the_settings() -> None:
    one = _files.fingerprint(Named("data.sources", "planted"))
    assert one == _files.fingerprint(Named("data.sources", "planted", (("seed", 0),)))
    assert one != _files.fingerprint(Named("data.sources", "planted", (("seed", 1),)))


def test_fingerprint_again_is_fast_and_torch_free(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECX_DATA", str(tiny.parent))
    named = _files.source("ml-100k")
    _files.fingerprint(named)
    start = time.process_time()
    for _ in range(20):
        _files.fingerprint(named)
    assert (time.process_time() - start) / 20 < 0.005
    code = (
        "import sys; from recx.data import _files; _files.source('planted').build(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture
def server(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """A publisher on this machine; what it serves can be changed."""
    served = {"/ml-100k.zip": zipped(tiny)}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = served.get(self.path)
            self.send_response(200 if body else 404)
            self.send_header("Content-Length", str(int(served.get("length", len(body or b"")))))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *args: object) -> None:
            pass

    publisher = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=publisher.serve_forever)
    thread.start()
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr(Ml100k, "url", f"http://127.0.0.1:{publisher.server_port}/ml-100k.zip")
    monkeypatch.setattr(Ml100k, "md5", hashlib.md5(served["/ml-100k.zip"]).hexdigest())
    yield served
    publisher.shutdown()
    publisher.server_close()
    thread.join()


def test_download_checks_and_tells_progress(server: dict[str, bytes]) -> None:
    told: list[float] = []
    assert _files.add("ml-100k", progress=lambda fraction, message: told.append(fraction))["events"] == 3
    assert told[-1] == 1.0
    server.clear()  # the publisher has nothing any more, and is not asked again
    assert _files.add("ml-100k")["events"] == 3


def test_download_refuses_another_archive(server: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ml100k, "md5", "0" * 32)
    with pytest.raises(BadInput, match="is not the published archive"):
        _files.add("ml-100k")
    assert list(_files.paths.downloads().iterdir()) == []


def test_a_download_that_breaks_off_or_is_not_there_says_what_to_do(server: dict[str, bytes]) -> None:
    server["length"] = str(10**6).encode()
    with pytest.raises(BadInput, match=r"the connection ended after .*data add ml-100k --from ml-100k.zip"):
        _files.add("ml-100k")
    server.clear()
    with pytest.raises(BadInput, match=r"HTTP Error 404|Not Found"):
        _files.add("ml-100k")


def test_offline_says_what_to_put_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ml100k, "url", "http://127.0.0.1:9/ml-100k.zip")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(
        BadInput, match=r"cannot fetch .*: fetch it on another machine .* or put u.data, u.item"
    ) as caught:
        _files.add("ml-100k")
    assert "\n" not in str(caught.value)


def test_unknown_names_are_refused_with_the_nearest() -> None:
    with pytest.raises(BadInput, match=r"unknown data set 'ml-100'.*did you mean ml-100k"):
        _files.source("ml-100")
    with pytest.raises(BadInput, match="unknown data set 'table'"):
        _files.source("table")
