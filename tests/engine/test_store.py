"""The store keeps what it says it keeps, notices what was changed behind its back, and computes once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any, ClassVar

import pandas as pd
import pytest

from recx.core.errors import BadInput
from recx.core.progress import Cancelled
from recx.engine import _codecs
from recx.engine._memory import Memory, bytes_of
from recx.engine.probe import Probe, ProbeQuick, ProbeSum
from recx.engine.store import Store


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def fresh(store: Store) -> Store:
    """The same folder seen by another process: nothing in memory."""
    return Store(store.root, cap_bytes=store.cap_bytes)


def entry(store: Store, recipe: Any):
    return store.root / "entries" / store.key(recipe)


@dataclass(frozen=True)
class Table:
    """Gives a table with the dtypes that get lost most easily."""

    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "batch"

    def needs(self):
        return ()

    def run(self, get, progress):
        return pd.DataFrame({"id": ["a", "ב"], "year": pd.array([1999, None], dtype="Int64"), "x": [0.5, float("nan")]})


@dataclass(frozen=True)
class Returns:
    """Gives back a JSON text's value."""

    text: str
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "batch"

    def needs(self):
        return ()

    def run(self, get, progress):
        return json.loads(self.text)


def test_a_first_answer_equals_a_stored_one(store):
    for recipe in (Probe(steps=3), Table(), Returns('{"a": [1, [2.5, null]], "inf": Infinity, "text": "\\u202e<b>"}')):
        first, again = store.get(recipe), fresh(store).peek(recipe)
        if isinstance(first, pd.DataFrame):
            pd.testing.assert_frame_equal(first, again)
        else:
            assert first == again
        assert type(first) is type(again)


def test_peek_computes_nothing(store):
    assert store.peek(Probe()) is None
    assert not store.has(Probe())
    assert store.entries() == []


def test_needs_are_computed_first_and_once(store):
    recipe = ProbeSum((Probe("a", 2), Probe("b", 3)))
    seen = []
    assert store.get(recipe, lambda fraction, message="": seen.append(fraction)) == {"steps": 5}
    assert len(store.entries()) == 3
    assert seen == sorted(seen)
    assert 0 <= seen[0] <= seen[-1] <= 1


def test_kept_in_memory_is_never_written(store):
    recipe = ProbeQuick(Probe("q", 4))
    assert store.get(recipe)["twice"] == 8
    assert [row["recipe"]["recipe"] for row in store.entries()] == ["recx.engine.probe.Probe"]
    assert store.peek(recipe)["twice"] == 8
    assert fresh(store).peek(recipe) is None


def test_a_manifest_says_where_a_result_comes_from(store):
    store.get(Probe("m", 2))
    row = store.entries()[0]
    assert row["recipe"] == {"recipe": "recx.engine.probe.Probe", "name": "m", "steps": 2, "pause": 0.0, "trouble": ""}
    assert row["key"] == store.key(Probe("m", 2))
    assert row["libraries"]["python"].startswith("3.")
    assert set(row["files"]) == {"result.json"}
    assert row["device"] == "cpu"
    assert row["seconds"] >= 0


def damage_content(folder):
    path = folder / "result.json"
    path.write_bytes(path.read_bytes().replace(b"3", b"4"))


def truncate(folder):
    path = folder / "result.json"
    path.write_bytes(path.read_bytes()[:-3])


def lose_file(folder):
    (folder / "result.json").unlink()


def lose_manifest(folder):
    (folder / "manifest.json").unlink()


def spoil_manifest(folder):
    (folder / "manifest.json").write_text('{"files": ')


def unknown_type(folder):
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"type": "json"', '"type": "pickle"'))


@pytest.mark.parametrize("hurt", [damage_content, truncate, lose_file, lose_manifest, spoil_manifest, unknown_type])
def test_a_damaged_entry_is_set_aside_and_computed_again(store, hurt):
    recipe = Probe("d", 3)
    right = store.get(recipe)
    hurt(entry(store, recipe))
    other = fresh(store)
    assert other.peek(recipe) is None
    assert other.get(recipe)["steps"] == right["steps"]
    assert len(list((store.root / "quarantine").iterdir())) == 1
    assert fresh(store).peek(recipe)["steps"] == 3


def test_a_failed_write_leaves_nothing(store, monkeypatch):
    def full(value, folder):
        (folder / "result.json").write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(_codecs.CODECS, "json", _codecs.Codec(lambda value: True, full, None))
    with pytest.raises(OSError, match="No space"):
        store.get(Probe())
    assert store.entries() == []
    assert list((store.root / "tmp").iterdir()) == []


def test_failures_come_out_as_they_are_and_are_not_stored(store):
    with pytest.raises(BadInput, match="told to fail"):
        store.get(Probe(trouble="input"))
    with pytest.raises(TypeError, match="cannot be stored"):
        store.get(Odd())
    with pytest.raises(TypeError, match="returned nothing"):
        store.get(Returns("null"))
    assert store.entries() == []


@dataclass(frozen=True)
class Odd:
    """Gives something that no codec knows."""

    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "batch"

    def needs(self):
        return ()

    def run(self, get, progress):
        return object()


def test_a_cancel_stops_the_work_and_frees_the_lock(store):
    def cancelled(fraction, message=""):
        raise Cancelled

    with pytest.raises(Cancelled):
        store.get(Probe("c", 2), cancelled)
    assert store.get(Probe("c", 2))["steps"] == 2


def test_the_one_used_longest_ago_goes_first(store):
    for place, name in enumerate("abc"):
        store.get(Probe(name))
        os.utime(entry(store, Probe(name)) / "manifest.json", (1000 + place, 1000 + place))
    size = store.entries()[0]["bytes"]
    small = Store(store.root, cap_bytes=3 * size + size // 2)
    small.peek(Probe("a"))
    small.get(Probe("d"))
    assert [small.has(Probe(name)) for name in "abcd"] == [True, False, True, True]
    assert small.size() <= small.cap_bytes


def test_an_entry_in_use_is_never_evicted(store):
    from filelock import FileLock

    store.get(Probe("used"))
    tiny = Store(store.root, cap_bytes=1)
    with FileLock(store.root / "locks" / f"{store.key(Probe('used'))}.lock"):
        tiny.get(Probe("new"))
        assert tiny.has(Probe("used"))
        assert not tiny.remove(tiny.key(Probe("used")))
    assert tiny.has(Probe("new"))
    assert tiny.remove(tiny.key(Probe("used")))
    assert not fresh(tiny).has(Probe("used"))


def test_clean_removes_what_is_of_no_use(store):
    store.get(Probe("good"))
    store.get(Probe("old"))
    path = entry(store, Probe("old"))
    manifest = json.loads((path / "manifest.json").read_text())
    path.rename(path.with_name("0" * 32))
    (path.with_name("0" * 32) / "manifest.json").write_text(json.dumps(manifest | {"key": "0" * 32}))
    (store.root / "tmp" / "f00-left").mkdir()
    assert store.clean()["removed"] == 2
    assert [row["recipe"]["name"] for row in store.entries()] == ["good"]
    assert store.clean(everything=True)["removed"] == 1
    assert store.size() == 0


def test_two_processes_compute_once(tmp_path):
    code = (
        "import sys; from recx.engine.store import Store; from recx.engine.probe import Probe\n"
        "print(Store(sys.argv[1]).get(Probe('race', 4, 0.2))['pid'])"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = {process.communicate(timeout=60)[0].strip() for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert len(said) == 1, "both computed"


def test_a_killed_process_leaves_no_lock_and_no_half_entry(tmp_path):
    code = (
        "import sys; from recx.engine.store import Store; from recx.engine.probe import Probe\n"
        "Store(sys.argv[1]).get(Probe('slow', 100, 1.0), lambda f, m='': print(m, flush=True))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline()
    process.kill()
    process.wait()
    store = Store(tmp_path)
    assert store.entries() == []
    assert store.remove("0" * 32) is False
    assert store.get(Probe("quick"))["steps"] == 1


def test_memory_holds_the_latest_used_up_to_its_bounds():
    memory = Memory(max_bytes=100, max_entries=3)
    for name in "abcd":
        memory.put(name, name * 10)
    assert [name in memory for name in "abcd"] == [False, True, True, True]
    assert memory.get("b") == "b" * 10
    memory.put("e", "e" * 90)
    assert [name in memory for name in "bcde"] == [True, False, False, True]
    memory.put("f", "f" * 500)
    assert len(memory) == 1
    assert memory.get("f")


def test_sizes_are_those_of_the_arrays():
    table = pd.DataFrame({"x": [1.0] * 1000})
    assert 8000 <= bytes_of(table) <= 9000
    assert 8000 <= bytes_of({"a": [table["x"].to_numpy()]}) <= 9000


def test_a_stored_table_needs_no_torch(store):
    store.get(Table())
    store.get(Probe())
    code = (
        "import sys; from recx.engine.store import Store; from recx.engine.probe import Probe\n"
        "assert Store(sys.argv[1]).peek(Probe())['steps'] == 1\n"
        "assert not {'torch', 'distributed', 'sklearn', 'numba'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(store.root)], check=True)
