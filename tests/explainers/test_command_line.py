"""Every explainer on the command line, about people and models that give it little: words, never a traceback."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recx import cli
from recx.core import registry

NAMES = registry.names("explainers")
QUICK = {"steps": 20, "m": 20, "m_test": 10, "epochs": 2, "hidden": 16}
TITLES = [
    "Amélie «1»",
    "千と千尋の神隠し",
    '🎬 "quoted", comma',
    "left\u202eright",
    "two\nlines",
    "<b>bold</b>",
    "Zażółć",
    "a" * 300,
]
FUNCTIONS = """
import math

def constant(histories):
    return [[0.0] * 10 for _ in histories]

def broken(histories):
    empty = all(item < 0 for history in histories for item in history)
    number = 0.0 if empty or len(histories) == 1 else math.nan
    return [[number + i for i in range(10)] for _ in histories]
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A home with a small data set of odd titles, and two models of one's own: one says nothing, one breaks."""
    folder = tmp_path_factory.mktemp("odd")
    rows = [(f"u{u}", f"i{(u * 3 + e * (1 + u % 3)) % 10}", e) for u in range(8) for e in range(1 if u == 0 else 6)]
    (folder / "events.csv").write_text(
        "user,item,time\n" + "".join(f"{u},{i},{t}\n" for u, i, t in dict.fromkeys(rows))
    )
    quoted = "".join(f'i{i},"{(TITLES[i % len(TITLES)]).replace(chr(34), chr(34) * 2)}"\n' for i in range(10))
    (folder / "items.csv").write_text("item,title\n" + quoted)
    (folder / "oddmodels.py").write_text(FUNCTIONS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RECX_HOME", str(folder / "home"))
        files = [str(folder / "events.csv"), "--items", str(folder / "items.csv")]
        assert cli.run(["data", "import", *files, "--name", "odd", "--columns", "user=user,item=item,time=time"]) == 0
        for name in ("constant", "broken"):
            assert (
                cli.run(["models", "add", f"odd-{name}", "--python", f"oddmodels:{name}", "--path", str(folder)]) == 0
            )
        yield folder


@pytest.fixture
def asked(home: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """`explain` for the odd data set: the documents, or the one sentence of a refusal."""
    capsys.readouterr()

    def run(model: str, name: str, *more: str) -> list[dict[str, Any]] | str:
        form = {row["name"] for row in registry.form("explainers", name)["parameters"]}
        settings = [word for key in QUICK.keys() & form for word in ("--set", f"{name}.{key}={QUICK[key]}")]
        code = cli.run(["explain", "odd", model, "--with", name, *settings, *more, "--json"])
        said = capsys.readouterr()
        assert code in (0, 2), said.err
        if code == 0:
            return json.loads(said.out)
        lines = [line for line in said.err.strip().splitlines() if not re.match(r"\s*\d+ %", line)]
        assert (said.out, len(lines)) == ("", 1), said.err
        assert lines[0].startswith("recx: ")
        return lines[0]

    return run


@pytest.mark.parametrize("name", NAMES)
def test_odd_titles_and_a_history_of_one(asked: Callable[..., Any], name: str) -> None:
    """User u0 has one event, which stays in the history."""
    for more in (["--user", "u0"], ["--user", "u3"], ["--user", "u0", "--list"]):
        found = asked("ease", name, *more, "--k", "3")
        if isinstance(found, str):
            assert f"{name} needs" in found
            continue
        assert found[0]["sentence"]
        assert all(title in found[0]["sentence"] for title in found[0]["titles"])
        assert len(found[0]["items"]) <= (1 if "u0" in more else 5)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_that_scores_everything_alike(asked: Callable[..., Any], name: str) -> None:
    for more in ([], ["--list"]):
        found = asked("odd-constant", name, "--user", "u3", "--k", "3", *more)
        if isinstance(found, str):
            assert f"{name} needs" in found
        else:
            assert not found[0]["valid"]
            assert not found[0]["necessary"]


@pytest.mark.parametrize("name", NAMES)
def test_a_model_that_breaks_while_it_is_asked(asked: Callable[..., Any], name: str) -> None:
    """It answers one history at a time and gives NaN for several."""
    found = asked("odd-broken", name, "--user", "u3", "--k", "3")
    assert isinstance(found, str)
    assert f"{name} needs" in found or re.search(r"odd-broken .* not finite.*return a number", found)


@pytest.mark.parametrize("name", NAMES)
def test_a_list_of_all_that_is_left(asked: Callable[..., Any], name: str) -> None:
    """Ten items, five in the history: the list holds all others, nothing can leave it."""
    found = asked("ease", name, "--user", "u3", "--k", "10")
    assert (f"{name} needs" in found) if isinstance(found, str) else not found[0]["valid"]


def test_a_list_longer_than_the_catalogue(asked: Callable[..., Any]) -> None:
    for more in ([], ["--list"]):
        said = asked("ease", "minimal", "--user", "u3", "--k", "11", *more)
        assert "k=11 is out of range: the catalogue allows 1 to 10" in said
