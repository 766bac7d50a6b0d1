"""The settings file of one's own models: what it says, what is wrong with it, how it is written."""

from __future__ import annotations

import os
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from recx.core import registered, registry
from recx.core.errors import BadInput


@pytest.fixture
def file(recx_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the settings file of an empty home would be."""
    monkeypatch.delenv("RECX_MODELS", raising=False)
    recx_home.mkdir()
    return recx_home / "models.toml"


def test_without_a_file_there_is_none(file: Path) -> None:
    assert registered.names() == []
    assert registered.mark() == ""
    assert registry.listed("models") == registry.built_in("models")
    with pytest.raises(BadInput, match=r"registered as 'shop': `python -m recx models add NAME"):
        registered.find("shop")


def test_a_file_written_by_hand_is_read(file: Path) -> None:
    file.write_text(
        '# ours\n[shop]\npython = "shop.scores:best"\npath = "code"\nwatch = ["a.npy", "/b.npy"]\n'
        'title = "The shop"\n\n'
        '[live]\nhttp = "https://[::1]:9000/x?y=1"\ntimeout = 2\nversion = "3"\n\n'
        '[vec]\nembeddings = "v.npy"\nuser-ids = "u.txt"\nusers = "u.safetensors"\n\n'
        "[item]\n'item-item' = \"~/w.npz\"\n"
    )
    found, broken = registered.read()
    assert broken == {}
    assert {name: one.kind for name, one in found.items()} == {
        "shop": "python",
        "live": "http",
        "vec": "embeddings",
        "item": "item-item",
    }
    home = file.parent
    assert found["shop"].model == registered.PythonModel(
        python="shop.scores:best", path=str(home / "code"), watch=f"{home / 'a.npy'}{os.pathsep}/b.npy"
    )
    assert found["shop"].title == "The shop: a model of your own (Python function)"
    assert found["live"].model == registered.HttpModel(http="https://[::1]:9000/x?y=1", timeout=2.0)
    assert found["live"].about.version == "3"
    assert found["vec"].model.user_ids == str(home / "u.txt")
    assert found["item"].model.item_item == str(Path("~/w.npz").expanduser())
    assert registry.listed("models")[-4:] == ["item", "live", "shop", "vec"]


WRONG = {
    "no kind": ('[m]\ntitle = "x"', r"exactly one of python, http, embeddings, item-item: it says none"),
    "two kinds": ('[m]\npython = "a:b"\nhttp = "http://x"', r"it says python and http"),
    "unknown field": ('[m]\nhttp = "http://x"\ntimout = 3', r"unknown field 'timout' of m; did you mean timeout"),
    "field of another kind": ('[m]\nhttp = "http://x"\nids = "i"', r"unknown field 'ids' of m"),
    "out of range": ('[m]\nhttp = "http://x"\ntimeout = 0', r"m.timeout=0.0 is out of range: allowed is 0.001 to 3600"),
    "no number": ('[m]\nhttp = "http://x"\nbatch = "many"', r"m.batch='many' is not a whole number"),
    "a table in it": ('[m]\nhttp = "http://x"\n[m.more]\na = 1', r"m.more is not a text, a number"),
    "no table": ('m = "http://x"', r"'m' is not a table: write \[m\]"),
    "function": ('[m]\npython = "shop"', r"'shop' is not of the form package.module:function"),
    "path as function": ('[m]\npython = "../shop.py:f"', r"not of the form"),
    "address": ('[m]\nhttp = "file:///etc/passwd"', r"must begin with http:// or https://"),
    "address without host": ('[m]\nhttp = "http:///x"', r"name a host"),
    "port": ('[m]\nhttp = "http://x:99999/"', r"is not an address"),
    "spaces": ('[m]\nhttp = "http://x/ y"', r"is not an address"),
    "letters": ('[m]\nhttp = "http://x/ö"', r"is not an address"),
    "password": ('[m]\nhttp = "http://me:secret@x/"', r"holds a password: leave it out"),
    "suffix": ('[m]\nembeddings = "v.pkl"', r"v.pkl' is not a file that can be read: give .npy or .safetensors"),
    "suffix of weights": ('[m]\nitem-item = "w.csv"', r"give .npy or .safetensors or .npz"),
    "suffix of users": ('[m]\nembeddings = "v.npy"\nusers = "u.csv"', r"m.users=.*u.csv"),
    "ids of nobody": ('[m]\nembeddings = "v.npy"\nuser-ids = "u.txt"', r"m.user_ids needs users"),
    "name": ('["My Model"]\nhttp = "http://x"', r"'My Model' cannot be the name of a model: use up to 40 small"),
    "name of a model": ('[ease]\nhttp = "http://x"', r"'ease' is the name of a built-in model"),
    "name of a data set": ('[ml-100k]\nhttp = "http://x"', r"'ml-100k' is the name of a built-in data set"),
    "external": ('[external]\nhttp = "http://x"', r"'external' is the name of a built-in model"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_entry_is_one_sentence_and_hides_no_other(file: Path, name: str) -> None:
    text, said = WRONG[name]
    file.write_text(f'{text}\n[good]\nhttp = "http://x"\n')
    found, broken = registered.read()
    assert list(found) == ["good"]
    assert len(broken) == 1
    own = next(iter(broken))
    with pytest.raises(BadInput, match=said) as error:
        registered.find(own)
    assert str(error.value).startswith(f"{file}: ")
    assert "\n" not in str(error.value)
    assert registry.form("models", "ease")["name"] == "ease", "a built-in model stays what it is"


def test_a_file_that_is_not_toml_stops_only_models_of_ones_own(file: Path) -> None:
    file.write_text("[shop\n")
    assert registered.names() == []
    with pytest.raises(BadInput, match=r"models.toml cannot be read .*line 1.*mend it"):
        registered.find("shop")
    assert registry.named("models", "ease").build()


def test_add_appends_and_remove_leaves_the_rest(file: Path) -> None:
    by_hand = '# mine, keep\n[first]\nhttp = "http://one"  # the old one\n\n# about the second\n[second]\nhttp = "http://two"\n'
    file.write_text(by_hand)
    registered.add("third", {"http": "http://three", "timeout": "2.5", "title": 'Say "hi" \\ ö', "retries": 0})
    assert file.read_text().startswith(by_hand)
    assert tomllib.loads(file.read_text())["third"] == {
        "http": "http://three",
        "timeout": 2.5,
        "title": 'Say "hi" \\ ö',
        "retries": 0,
    }
    assert registered.find("third").model == registered.HttpModel(http="http://three", timeout=2.5, retries=0)
    registered.remove("first")
    assert file.read_text().startswith("# mine, keep\n\n# about the second\n[second]\n")
    registered.remove("third")
    registered.remove("second")
    assert tomllib.loads(file.read_text()) == {}
    assert file.read_text().startswith("# mine, keep\n\n# about the second\n")
    assert sorted(path.name for path in file.parent.iterdir()) == ["models.lock", "models.toml"]


def test_what_cannot_be_added_leaves_the_file_as_it_was(file: Path, tmp_path: Path) -> None:
    registered.add("first", {"http": "http://one"})
    before = file.read_text()
    for name, settings, said in (
        ("first", {"http": "http://one"}, "'first' is registered already: `python -m recx models remove first` first"),
        ("ease", {"http": "http://one"}, "built-in model"),
        ("vec", {"embeddings": str(tmp_path / "none.npy")}, "vec: .*none.npy is not there: check the path"),
        ("fun", {"python": "nowhere_at_all.x:f"}, "fun: no module 'nowhere_at_all' is installed: give --path FOLDER"),
        ("fun", {"python": "mod:f", "path": str(tmp_path)}, r"fun: there is no source of the module 'mod' in "),
        ("line", {"http": "http://one", "title": "a\nb"}, "holds characters that cannot be written"),
    ):
        with pytest.raises(BadInput, match=said):
            registered.add(name, settings)
        assert file.read_text() == before


def test_what_only_a_person_can_remove_is_left(file: Path) -> None:
    file.write_text('"first" = {http = "http://one"}\n[second]\nhttp = "http://two"\n')
    before = file.read_text()
    with pytest.raises(BadInput, match="a way that only a person can remove"):
        registered.remove("first")
    with pytest.raises(BadInput, match=r"'thrid' in .*models.toml; known are first, second"):
        registered.remove("thrid")
    assert file.read_text() == before
    file.write_text("[[")
    with pytest.raises(BadInput, match="mend it by hand"):
        registered.remove("first")


def test_files_of_recx_models_come_first_and_are_left_alone(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    team = tmp_path / "team" / "ours.toml"
    team.parent.mkdir()
    team.write_text('[shop]\nembeddings = "v.npy"\n')
    registered.add("shop", {"http": "http://mine"})
    monkeypatch.setenv("RECX_MODELS", os.pathsep.join([str(team), str(tmp_path / "none.toml")]))
    assert registered.find("shop").model.embeddings == str(team.parent / "v.npy")
    assert "none.toml, which RECX_MODELS names, is not there" in str(registered.read()[1])
    registered.remove("shop")
    with pytest.raises(BadInput, match=r"'shop' stands in .*ours.toml.*by hand"):
        registered.remove("shop")


def test_two_who_add_at_once_both_stand_in_the_file(file: Path) -> None:
    names = [f"m{number}" for number in range(12)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: registered.add(name, {"http": f"http://{name}"}), names))
    assert registered.names() == sorted(names)


@pytest.fixture
def collected(file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The catalogue of the code is there already; whoever collects it again fails."""
    from recx.engine import catalogue

    form = {"title": "Ease: x", "parameters": [{"name": "l2"}]}
    catalogue._put(catalogue._path(), {"forms": {"models": {"ease": form}}, "broken": {}})
    monkeypatch.setattr(catalogue, "_write_elsewhere", lambda: pytest.fail("the code has not changed"))
    return file


def test_menus_are_drawn_anew_when_the_file_changes(collected: Path) -> None:
    from recx.engine import catalogue

    marks, paths = [registered.mark()], [catalogue.path_now()]
    for name in ("one", "two"):
        registered.add(name, {"http": "http://x"})
        marks.append(registered.mark())
        paths.append(catalogue.path_now())
    assert len(set(marks)) == len(set(paths)) == 3
    form = catalogue.read().form_of("models", "two")
    assert (form["external"], form["parameters"]) == ("http", [])
    assert "http://x" not in str(form), "nobody who looks at the app learns where a model lies"
    assert catalogue.read().names("models") == ["ease", "one", "two"]
    registered.remove("one")
    assert catalogue.read().names("models") == ["ease", "two"]


def test_a_wrong_entry_is_said_in_the_menu_and_hides_no_built_in_model(collected: Path) -> None:
    from recx.engine import catalogue

    collected.write_text('[shop]\n[ease]\nhttp = "http://x"\n')
    found = catalogue.read()
    assert "shop" not in found.names("models")
    with pytest.raises(BadInput, match="exactly one of python"):
        found.form_of("models", "shop")
    assert found.form_of("models", "ease")["parameters"]


def test_the_stamp_follows_files_and_settings(file: Path, tmp_path: Path) -> None:
    (tmp_path / "v.npy").write_bytes(b"1")
    registered.add("vec", {"embeddings": str(tmp_path / "v.npy")})
    first = registered.stamp("vec")
    (tmp_path / "v.npy").write_bytes(b"2")
    assert registered.stamp("vec") != first
    (tmp_path / "v.npy").write_bytes(b"1")
    assert registered.stamp("vec") == first
    registered.remove("vec")
    registered.add("vec", {"embeddings": str(tmp_path / "v.npy"), "version": "2"})
    assert registered.stamp("vec") != first
    (tmp_path / "v.npy").unlink()
    with pytest.raises(BadInput, match=r"vec: .*v.npy cannot be read \(No such file"):
        registered.stamp("vec")
