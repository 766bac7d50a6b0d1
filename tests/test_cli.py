"""The command line: one JSON document on stdout, one line for a mistake, the right exit code."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from functools import partial

import pandas as pd
import psutil
import pytest

from recx import cli
from recx.core import paths, registry

FIT = ["planted", "ease"]
USER = ["--user", "u007"]


@pytest.fixture
def home(tmp_path_factory, monkeypatch):
    """One home for all tests of this file: what one has computed the next finds."""
    folder = tmp_path_factory.getbasetemp() / "cli-home"
    folder.mkdir(exist_ok=True)
    monkeypatch.setenv("RECX_HOME", str(folder))
    return folder


@pytest.fixture
def recx(home, capsys):
    """Run a command line in this process: exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = cli.run(list(arguments))
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def document(recx):
    """Run a command line with --json that must succeed: the document."""

    def run(*arguments: str):
        code, out, err = recx(*arguments, "--json")
        assert code == 0, err
        return json.loads(out)

    return run


def test_lists_say_what_is_discovered(document):
    for command, kind in (("models", "models"), ("explainers", "explainers"), ("studies", "studies")):
        rows = document(command)
        assert [row["name"] for row in rows] == registry.names(kind)
        assert all(set(row) == {"name", "title", "paper", "parameters"} for row in rows)
    data = {row["name"]: row for row in document("data")}
    assert data["planted"]["on_disk"] is True
    assert data["planted"]["users"] == 400
    assert {"name", "on_disk", "users", "items", "events", "how_to_get"} <= set(data["ml-1m"])


def test_fit_measures_beside_its_floors(document):
    found = document("fit", *FIT, "--set", "l2=100")
    assert {"key", "dataset", "model", "metrics", "floors", "seconds", "device", "converged"} <= set(found)
    assert found["metrics"]["hr@10"] > found["floors"]["toppop"]["hr@10"] > found["floors"]["chance"]["hr@10"]
    assert set(found["floors"]["chance"]) == set(found["metrics"])
    assert 10 / 300 < found["floors"]["chance"]["hr@10"] < 10 / (300 - 120)  # a history has at most 120 items
    assert document("fit", *FIT, "--set", "l2=100")["key"] == found["key"]
    assert document("fit", *FIT, "--set", "l2=100.5")["key"] != found["key"]
    assert document("fit", *FIT, "--set", "ease.l2=100")["key"] == found["key"]


def test_a_reader_is_told_what_a_fit_scored_and_whether_it_was_done(recx):
    said = recx("fit", "planted", "sasrec", "--set", "epochs=1", "--set", "dim=8", "--set", "heads=1")[1]
    lines = said.splitlines()
    assert re.match(r"sasrec on planted: .* s on cpu; not converged: it stopped at a limit", lines[0])
    assert lines[1].split()[:2] == ["hr@10", "ndcg@10"]
    assert [line.split()[0] for line in lines[2:]] == ["sasrec", "chance", "toppop"]
    assert "not converged" not in recx("fit", *FIT)[1]


def test_ratings_are_measured_beside_floors_that_predict_none(recx, document, monkeypatch):
    from recx.recipes import fit

    plain = fit.Evaluate.run
    rated = lambda self, get, progress: plain(self, get, progress) | ({"rmse": 0.9} if self.fit.seed == 7 else {})  # noqa: E731
    monkeypatch.setattr(fit.Evaluate, "run", rated)
    found = document("fit", *FIT, "--seed", "7", "--set", "l2=7")
    assert found["metrics"]["rmse"] == 0.9
    head, own, chance, _ = recx("fit", *FIT, "--seed", "7", "--set", "l2=7")[1].splitlines()[1:]
    place = head.split().index("rmse")
    assert (own.split()[place + 1], chance.split()[place + 1]) == ("0.9", "-")


def test_too_small_a_data_set_is_one_line(recx, tmp_path):
    for name, rows in (("one-event", "u1,i1,1\n"), ("two-events", "u1,i1,1\nu1,i2,2\nu2,i1,3\nu2,i2,4\n")):
        file = tmp_path / f"{name}.csv"
        file.write_text("user,item,time\n" + rows)
        recx("data", "import", str(file), "--name", f"cli-{name}", "--columns", "user=user,item=item,time=time")
        for split in registry.names("data.splits"):
            code, out, err = recx("fit", f"cli-{name}", "ease", "--split", split)
            if code or split != "random":
                assert (code, out) == (2, ""), (split, err)
                assert re.fullmatch(rf"recx: cli-{name} .*too small.*\.\n|recx: .*cli-{name}.*\.\n", err), err


@pytest.fixture
def own(home, tmp_path, document):
    """A function of one's own, registered from the folder it lies in."""
    (tmp_path / "cliown.py").write_text("def popular(histories):\n    return [list(range(300)) for _ in histories]\n")
    found = document(
        "models", "add", "cli-own", "--python", "cliown:popular", "--path", str(tmp_path), "--title", "Ours"
    )
    yield found
    document("models", "remove", "cli-own")


def test_a_model_of_ones_own_is_used_like_the_others(own, document, recx, home):
    assert (own["name"], own["kind"], own["file"]) == ("cli-own", "python", str(home / "models.toml"))
    row = next(row for row in document("models") if row["name"] == "cli-own")
    assert (row["external"], row["parameters"]) == ("python", [])
    assert row["title"] == "Ours: a model of your own (Python function)"
    fit = document("fit", "planted", "cli-own")
    assert (fit["model"], fit["converged"], set(fit["floors"])) == ("cli-own", True, {"chance", "toppop"})
    top = document("recommend", "planted", "cli-own", *USER, "--k", "3")
    seen = {row["item"] for row in top["history"]}
    assert top["items"][0]["item"] == max(f"i{n:03d}" for n in range(1, 301) if f"i{n:03d}" not in seen)
    found = document("explain", "planted", "cli-own", *USER, "--with", "leave-one-out", "--k", "3")[0]
    assert (found["recommender"], found["found"]) == ("cli-own", False)
    assert "none lowers the score" in found["searched"]
    code, _, err = recx("explain", "planted", "cli-own", *USER, "--with", "lcer")
    assert code == 2
    assert err.startswith(
        "recx: lcer needs scores that can be differentiated in the history, which cli-own does not have"
    )


def test_a_module_in_this_folder_needs_no_path(recx, document, home, tmp_path, monkeypatch):
    """The engine stands elsewhere: the folder is written down."""
    (tmp_path / "hereabouts.py").write_text("def f(histories): return [[0.0] * 300 for _ in histories]")
    monkeypatch.chdir(tmp_path)
    try:
        assert recx("models", "add", "cli-here", "--python", "hereabouts:f")[0] == 0
        assert f'path = "{tmp_path}"' in (home / "models.toml").read_text()
        monkeypatch.chdir("/")
        assert document("fit", "planted", "cli-here")["converged"] is True
    finally:
        recx("models", "remove", "cli-here")


def test_a_wrong_entry_is_said_when_models_are_listed(recx, document, home):
    (home / "models.toml").write_text("[cli-bad]\n")
    try:
        code, out, err = recx("models", "--json")
        assert (code, "cli-bad" in out) == (0, False)
        assert re.match(r"recx: cli-bad cannot be used: .*exactly one of python", err)
        assert recx("fit", "planted", "cli-bad")[0] == 2
    finally:
        (home / "models.toml").unlink()


def test_recommend_says_history_and_list(document):
    found = document("recommend", *FIT, *USER, "--k", "3")
    assert found["user"] == "u007"
    assert [row["rank"] for row in found["items"]] == [1, 2, 3]
    assert not {row["item"] for row in found["items"]} & {row["item"] for row in found["history"]}
    assert len(found["held_out"]) == 1


def test_explain_gives_checked_explanations(document):
    first = document("explain", *FIT, *USER, "--with", "minimal", "--with", "leave-one-out", "--k", "5")
    assert [one["explainer"] for one in first] == ["minimal", "leave-one-out"]
    top = document("recommend", *FIT, *USER, "--k", "5")["items"]
    assert {one["target"] for one in first} == {top[0]["item"]}
    assert all(one["rank_before"] == 1 for one in first)
    third = document("explain", *FIT, *USER, "--k", "5", "--item", top[2]["item"])
    assert [one["target"] for one in third] == [top[2]["item"]]
    whole = document("explain", *FIT, *USER, "--k", "5", "--each")
    assert [one["target"] for one in whole] == [row["item"] for row in top]


def test_rules_of_a_whole_data_set_are_counts_of_its_training_histories(document, recx):
    """The strongest rule counted anew by a loop over the people."""
    from recx.data.sources.planted import Planted
    from recx.data.splits.leave_one_out import LeaveOneOut

    found = document("rules", *FIT, "--most", "5", "--set", "association.min_support=0.05")
    assert len(found["rules"]) == 5 < found["passing"]
    data = Planted().load()
    train = LeaveOneOut().split(data, 0).train
    people = [set(train.history(user).tolist()) for user in range(train.n_users)]
    rule = found["rules"][0]
    item, target = data.item_code(rule["item"]), data.item_code(rule["target"])
    have = [owned for owned in people if item in owned]
    both = sum(target in owned for owned in have)
    assert rule["confidence"] == pytest.approx(both / len(have))
    assert rule["support"] == pytest.approx(both / len(people))
    assert rule["base_rate"] == pytest.approx(sum(target in owned for owned in people) / len(people))
    assert recx("rules", *FIT, "--set", "association.min_support=7")[0] == 2


def test_explain_list_explains_it_as_a_whole(document, recx):
    names = ["--with", "minimal", "--with", "leave-one-out"]
    found = document("explain", *FIT, *USER, "--k", "5", "--list", "--replace", "one", *names)
    top = [row["item"] for row in document("recommend", *FIT, *USER, "--k", "5")["items"]]
    assert [(one["explainer"], one["target"], one["valid"]) for one in found] == [
        ("minimal", None, True),
        ("leave-one-out", None, True),
    ]
    for one in found:
        more = one["details"]
        assert (more["share"], more["need"], more["size"]) == ("one", 1, 5)
        assert [top[row["place"] - 1] for row in more["left"]] == [row["item"] for row in more["left"]]
        assert len(more["left"]) == len(more["came"]) == more["replaced"] == 5 * more["pn_s"] >= 1
        assert sum(row["share"] for row in more["shares"]) == pytest.approx(1)
    half = document("explain", *FIT, *USER, "--k", "5", "--list")[0]
    assert half["details"]["need"] == 3
    assert len(half["items"]) >= len(found[0]["items"])
    text = recx("explain", *FIT, *USER, "--k", "5", "--list", *names)[1]
    assert "of your 5 recommendations would be others" in text
    assert text.count("the list without one history item") == 1


def test_a_reader_gets_a_table(recx):
    code, out, _ = recx("recommend", *FIT, *USER, "--k", "2")
    assert code == 0
    assert "user u007" in out
    assert len(out.strip().splitlines()) == 4
    code, out, _ = recx("explain", *FIT, *USER)
    assert "minimal:" in out
    assert "rank 1 ->" in out


def test_import_says_what_it_left_out(document, tmp_path):
    file = tmp_path / "mine.csv"
    file.write_text(
        "who,what,when\n" + "".join(f"u{u},i{i},{1000 + i}\n" for u in range(9) for i in range(u, u + 4)) + "u1,,5\n"
    )
    found = document("data", "import", str(file), "--name", "cli-mine", "--columns", "user=who,item=what,time=when")
    assert (found["users"], found["items"], found["events"]) == (9, 12, 36)
    assert sum(found["dropped"].values()) == 1
    assert document("fit", "cli-mine", "toppop")["dataset"] == "cli-mine"


MISTAKES = {
    "data set": (["fit", "plantde", "ease"], "plantde.*planted"),
    "model": (["fit", "planted", "eese"], "eese.*ease"),
    "field": (["fit", *FIT, "--set", "l3=1"], r"unknown field 'l3' of .*did you mean l2 \(from 1e-06 to 1e\+09\)"),
    "field with its owner": (["fit", *FIT, "--set", "ease.l3=1"], r"'l3' of ease; did you mean l2 \(from 1e-06 to 1e"),
    "field with choices": (
        ["explain", *FIT, *USER, "--with", "lcer", "--set", "lcer.answr=x"],
        r"'answr' of lcer; did you mean answer \(best-sample, importance\)",
    ),
    "field of nobody": (["fit", *FIT, "--set", "sasrec.dim=1"], "sasrec.*ease"),
    "value": (["fit", *FIT, "--set", "l2=big"], "l2='big'.*number"),
    "range": (["fit", *FIT, "--set", "l2=-1"], r"ease.l2=-1.0 is out of range: allowed is 1e-06 to 1000000000"),
    "form": (["fit", *FIT, "--set", "l2"], "name=value"),
    "split": (["fit", *FIT, "--split", "leave-two-out"], "leave-two-out.*leave-one-out"),
    "device": (["fit", *FIT, "--set", "l2=77", "--device", "tpu"], "tpu.*cpu"),
    "threshold": (["fit", *FIT, "--rating-above", "four"], "four.*number"),
    "threshold that is no number": (["fit", *FIT, "--rating-above", "nan"], "'nan' is not a number"),
    "field of the data without its name": (["fit", *FIT, "--set", "users=30"], "users.*planted.users"),
    "fields that contradict": (["fit", "planted", "sasrec", "--set", "dim=3", "--set", "heads=2"], "2 does not divide"),
    "number of a device": (["fit", *FIT, "--set", "l2=78", "--device", "cpu:7"], "cpu:7.*1 of that kind"),
    "user": (["recommend", *FIT, "--user", "nobody"], "user 'nobody'.*planted"),
    "k of 0": (["recommend", *FIT, *USER, "--k", "0"], "k=0.*1 to"),
    "k too large": (["recommend", *FIT, *USER, "--k", "9999"], "k=9999"),
    "item": (["explain", *FIT, *USER, "--item", "nothing"], "item 'nothing'"),
    "explainer": (["explain", *FIT, *USER, "--with", "lce"], "lce.*lcer"),
    "world": (["explain", *FIT, *USER, "--world", "mars"], "mars"),
    "kind of a model": (["models", "add", "m"], "exactly one of python, http, embeddings, item-item"),
    "kinds of a model": (["models", "add", "m", "--python", "a:b", "--http", "http://x"], "it says python and http"),
    "name of a model": (["models", "add", "ease", "--http", "http://x"], "'ease' is the name of a built-in model"),
    "address": (["models", "add", "m", "--http", "ftp://x"], "'ftp://x' is not an address"),
    "setting of a model": (["models", "add", "m", "--http", "http://x", "--set", "timout=3"], "timout.*timeout"),
    "range of a model": (
        ["models", "add", "m", "--http", "http://x", "--set", "retries=99"],
        "m.retries=99 is out of range: allowed is 0 to 20",
    ),
    "setting twice": (["models", "add", "m", "--http", "http://x", "--set", "http=http://y"], "http is given twice"),
    "field of another kind": (["models", "add", "m", "--http", "http://x", "--ids", "f"], "'ids' of m"),
    "matrix": (["models", "add", "m", "--embeddings", "/no/such.npy"], "/no/such.npy is not there"),
    "suffix": (["models", "add", "m", "--item-item", "/no/such.pkl"], ".npy or .safetensors or .npz"),
    "module": (["models", "add", "m", "--python", "no_such_module:f"], "no_such_module.*--path FOLDER"),
    "no such model": (["models", "remove", "nobody"], "'nobody'"),
    "external without a name": (["fit", "planted", "external"], "models add NAME"),
    "external with another name": (["fit", "planted", "external", "--set", "name=nobody"], "nobody"),
    "both": (["explain", *FIT, *USER, "--item", "x", "--list"], "--item and --list"),
    "each and list": (["explain", *FIT, *USER, "--each", "--list"], "--each and --list"),
    "replace without a list": (["explain", *FIT, *USER, "--replace", "one"], "--replace.*give --list"),
    "k of a list": (["explain", *FIT, *USER, "--list", "--k", "9999"], "k=9999"),
    "budget of nothing": (["explain", *FIT, *USER, "--set", "max_calls=0"], "minimal.max_calls=0 is out of range"),
    "threshold of a rule": (
        ["explain", *FIT, *USER, "--with", "association", "--set", "min_support=1.5"],
        "min_support=1.5 is out of range: allowed is 0.0 to 1.0",
    ),
    "what a model cannot do": (
        ["explain", "planted", "toppop", *USER, "--with", "lcer", "--list"],
        "lcer needs scores that can be differentiated in the history, which toppop does not have",
    ),
    "share of a list": (["explain", *FIT, *USER, "--list", "--replace", "most"], "most.*one.*half.*all"),
    "study": (["study", "lcer-table9"], "lcer-table9.*lcer-table2"),
    "system": (["study", "lcer-table2", "--with", "magic"], "magic"),
    "owner of a setting": (["study", "lcer-table2", "--set", "steps=3"], "SYSTEM.steps"),
    "results": (["results", "nope"], "nope"),
    "bench": (["bench", "nope"], "nope.*start"),
    "job": (["jobs", "cancel", "zzz"], "0 jobs begin with 'zzz'"),
    "store": (["store", "remove", "zzz"], "0 results begin with 'zzz'"),
    "file": (["data", "import", "/no/such.csv", "--name", "x", "--columns", "user=a,item=b"], "/no/such.csv"),
    "columns": (["data", "import", "x.csv", "--name", "x", "--columns", "user"], "name=value"),
    "option": (["fit", *FIT, "--sed", "1"], "--sed"),
    "command": (["explian"], "explian"),
    "argument": (["fit", "planted"], "MODEL"),
    "seed": (["fit", *FIT, "--seed", "-1"], "--seed"),
}


@pytest.mark.parametrize("name", MISTAKES)
@pytest.mark.parametrize("as_json", [False, True])
def test_a_mistake_is_one_line_and_exit_2(recx, name, as_json):
    arguments, said = MISTAKES[name]
    code, out, err = recx(*arguments, *(["--json"] if as_json else []))
    line = [one for one in err.strip().splitlines() if not re.match(r"\s*\d+ %", one)]
    assert (code, out, len(line)) == (2, "", 1), err
    assert line[0].startswith("recx: ")
    assert re.search(said, line[0]), line[0]


def test_a_setting_of_the_data_set_is_named_with_it(document):
    plain, other = document("fit", *FIT), document("fit", *FIT, "--set", "planted.seed=4")
    assert other["key"] != plain["key"]
    assert document("fit", *FIT, "--set", "planted.seed=0")["key"] == plain["key"]


def test_every_explainer_is_checked_before_the_first_runs(recx, monkeypatch):
    from recx.recipes.explain import Explain

    monkeypatch.setattr(Explain, "run", lambda *_: pytest.fail("nothing may run"))
    names = ["--with", "leave-one-out", "--with", "minimal", "--set", "minimal.goal=none-such"]
    code, _, err = recx("explain", *FIT, "--user", "u012", *names)
    assert code == 2, err
    assert "none-such" in err


def test_an_explainer_named_twice_answers_once(document):
    found = document("explain", *FIT, *USER, "--with", "leave-one-out", "--with", "leave-one-out")
    assert [one["explainer"] for one in found] == ["leave-one-out"]


def test_an_edit_while_a_command_runs_moves_no_key(document, monkeypatch, tmp_path):
    """The process computes with the code it has loaded: the fit and its measures are of that code."""
    from recx.recipes import _recipe
    from recx.recipes.fit import Fit

    monkeypatch.setenv("RECX_HOME", str(tmp_path))
    plain, fits = _recipe.key, []
    run = Fit.run
    monkeypatch.setattr(Fit, "run", lambda self, *rest: fits.append(self.model.name) or run(self, *rest))
    monkeypatch.setattr(_recipe, "key", lambda recipe: plain(recipe)[:-1] + str(min(len(fits), 9)))
    document("fit", "planted", "ease", "--set", "l2=3.25")
    assert fits.count("ease") == 1


def test_a_job_that_is_not_there_starts_no_engine(recx, monkeypatch):
    from recx.engine.client import Engine

    monkeypatch.setattr(Engine, "connect", lambda *_: pytest.fail("no engine may start"))
    assert recx("jobs", "retry", "zzz")[0] == 2


def test_titles_cannot_steer_the_terminal(recx, document, tmp_path):
    file = tmp_path / "steer.csv"
    title = "\x1b[31mred\x07 \u202egnp.exe"
    rows = "".join(f"u{u},i{i},{title} {i}\n" for u in range(9) for i in range(u, u + 4))
    file.write_text("user,item,title\n" + rows, encoding="utf-8")
    document("data", "import", str(file), "--name", "cli-steer", "--columns", "user=user,item=item,title=title")
    for command in ("recommend", "explain"):
        code, out, _ = recx(command, "cli-steer", "ease", "--user", "u1", "--k", "2")
        assert code == 0
        assert "[31mred" in out
        assert not set(out) & {"\x1b", "\x07", "\u202e"}
    assert "\x1b[31mred" in document("recommend", "cli-steer", "ease", "--user", "u1", "--k", "2")["items"][0]["title"]


def test_a_home_that_cannot_be_written_is_one_line(recx, monkeypatch):
    from recx.engine.store import Store

    def full(*_):
        raise OSError(30, "Read-only file system", "/somewhere")

    monkeypatch.setattr(Store, "get", full)
    code, out, err = recx("recommend", *FIT, *USER)
    assert (code, out) == (1, "")
    assert (
        err.strip() == "recx: /somewhere cannot be written (Read-only file system): set RECX_HOME to a folder of yours."
    )


def test_an_item_that_the_user_has_is_a_mistake(recx, document):
    own = document("recommend", *FIT, *USER)["history"][0]["item"]
    code, _, err = recx("explain", *FIT, *USER, "--item", own)
    assert code == 2
    assert "already in the history" in err


def test_a_failed_computation_is_exit_1(recx, monkeypatch):
    from recx.recipes.recommend import Recommend

    monkeypatch.setattr(Recommend, "run", lambda self, get, progress: 1 / 0)
    code, out, err = recx("recommend", *FIT, "--user", "u009", "--json")
    assert (code, out) == (1, "")
    assert err.strip().splitlines()[-1] == "recx: The computation failed: ZeroDivisionError: division by zero"


def test_not_a_number_is_null(recx, monkeypatch):
    from recx.recipes.recommend import Recommend

    monkeypatch.setattr(
        Recommend, "run", lambda self, get, progress: [{"user": float("nan"), "items": [float("-inf")]}]
    )
    code, out, _ = recx("recommend", *FIT, "--user", "u010", "--json")
    assert code == 0
    assert json.loads(out, parse_constant=pytest.fail) == {"user": None, "items": [None]}


def test_what_a_library_prints_does_not_spoil_the_document(recx, monkeypatch):
    from recx.recipes.recommend import Recommend

    def noisy(self, get, progress):
        print("hello from a library")
        return [{"user": "x"}]

    monkeypatch.setattr(Recommend, "run", noisy)
    _, out, err = recx("recommend", *FIT, "--user", "u011", "--json")
    assert json.loads(out) == {"user": "x"}
    assert "hello" in err


def test_store_and_jobs_can_be_looked_after(recx, document, home):
    document("fit", *FIT)
    found = document("store")
    assert found["bytes"] == sum(row["bytes"] for row in found["entries"]) > 0
    card = next(row for row in found["entries"] if row["recipe"]["recipe"].endswith("Evaluate"))
    assert document("store", "remove", card["key"][:12]) == {"removed": True, "key": card["key"]}
    assert document("store", "clean")["removed"] >= 0
    assert document("jobs") == []
    assert "no jobs yet" in recx("jobs")[1]
    assert document("jobs", "clean") == {"removed": 0}
    assert document("engine", "--status")["running"] is False


def test_doctor_finds_this_installation_whole(document):
    rows = {row["check"]: row for row in document("doctor")}
    assert {"python", "libraries", "device", "home", "data", "store", "engine", "chromium"} <= set(rows)
    assert all(row["ok"] is not False for row in rows.values())


def test_doctor_says_what_is_wrong(recx, monkeypatch):
    from recx.engine import doctor

    monkeypatch.setattr(doctor, "NEEDED", ["torch", "no-such-library"])
    code, out, _ = recx("doctor")
    assert code == 1
    assert "missing: no-such-library" in out


def test_results_are_those_that_ship(document, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "shipped_results", lambda: tmp_path)
    table = pd.DataFrame(
        {"metric": ["pn", "ps"], "measured": [66.7, float("nan")], "n": pd.array([5, None], dtype="Int64")}
    )
    table.to_parquet(tmp_path / "lcer-table2.parquet")
    (tmp_path / "lcer-table2.json").write_text('{"seed": 0}')
    found = document("results", "lcer-table2")
    assert found[0]["rows"] == [
        {"metric": "pn", "measured": 66.7, "n": 5},
        {"metric": "ps", "measured": None, "n": None},
    ]
    assert found[0]["provenance"] == {"seed": 0}
    assert document("results") == found


def test_the_cases_of_a_bench_are_kept_with_where_they_come_from(document, recx, tmp_path, monkeypatch):
    from recx.engine import benches

    made = {"scale": {"slope": 0.9, "cases": [{"axis": "items", "size": 7}, {"axis": "items", "size": 9}]}}
    made["rank"] = {"ratio": 1.5}
    monkeypatch.setattr(paths, "shipped_results", lambda: tmp_path)
    monkeypatch.setattr(benches, "load", lambda name: lambda progress: made[name])
    for name in made:
        document("bench", name, "--keep")
    found = {one["file"]: one for one in document("results")}
    assert [row["size"] for row in found["bench-scale.parquet"]["rows"]] == [7, 9]
    assert found["bench-scale.parquet"]["provenance"]["slope"] == 0.9
    assert {"command", "created", "code"} <= set(found["bench-scale.parquet"]["provenance"]["provenance"])
    assert [row["ratio"] for row in found["bench-rank.parquet"]["rows"]] == [1.5]
    assert re.search(r"axis +size\nitems +7\n", recx("results")[1]), "as text with the columns that it has"


def test_help_is_help(recx):
    code, out, _ = recx("--help")
    assert code == 0
    for name in (
        "data",
        "fit",
        "recommend",
        "explain",
        "study",
        "results",
        "bench",
        "serve",
        "engine",
        "jobs",
        "store",
        "doctor",
    ):
        assert f"  {name} " in out
    assert recx("explain", "--help")[0] == 0
    code, _, err = recx()
    assert code == 2
    assert "Usage" in err


def test_ctrl_c_is_clean(home):
    """In a process of its own, stopped while it computes."""
    command = [
        sys.executable,
        "-m",
        "recx",
        "fit",
        "planted",
        "sasrec",
        "--set",
        "epochs=10000",
        "--set",
        "patience=10000",
        "--json",
    ]
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a suite started in the background ignores it
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heard)
    try:
        assert process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
    assert err.strip().splitlines()[-1] == "recx: interrupted, nothing was lost."


def test_serve_starts_engine_and_app_and_ends_both(home):
    env = os.environ | {"PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen([sys.executable, "-m", "recx", "serve"], stdout=subprocess.PIPE, text=True, env=env)
    try:
        line = process.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+", line)
        assert address, line
        with urllib.request.urlopen(address[0], timeout=10) as page:
            assert page.status == 200
        engine = json.loads((home / "engine.json").read_text())["pid"]
        assert psutil.pid_exists(engine)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 0
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline and _ours(home):
        time.sleep(0.05)
    assert _ours(home) == []


def _ours(home) -> list[str]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get("RECX_HOME") == str(home):
                found.append(" ".join(process.cmdline()))
        except (psutil.Error, OSError):
            continue
    return found


def test_a_taken_port_is_a_mistake(recx):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as other:
        code, _, err = recx("serve", "--port", str(other.getsockname()[1]))
    assert code == 2
    assert "taken" in err
