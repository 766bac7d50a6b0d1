"""Models of one's own: each kind keeps the scorer's contract, and what misbehaves ends in one sentence."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy import sparse

from recx.core import registered, registry
from recx.core.errors import BadInput
from recx.data.interactions import PAD
from recx.models import _external_python
from recx.models._scorer import load_scorer, save_scorer
from recx.recipes._build import explainer_of, fit_of
from recx.recipes._recipe import key
from recx.recipes.explain import Explain
from recx.recipes.people import Person
from tests.models import test_contract
from tests.models.conftest import fitted, small_split
from tests.models.endpoint import Endpoint, serving

OWN = {"own-python", "own-http", "own-ranked", "own-vectors", "own-people", "own-weights"}
globals().update({name: test for name, test in vars(test_contract).items() if name.startswith("test_")})


def world() -> tuple[list[str], np.ndarray, np.ndarray, np.ndarray]:
    """Item ids, weights between items [n, n], vectors of items [n, 6] and of people, fixed numbers."""
    data, draw = small_split().train, np.random.default_rng(7)
    n = data.n_items
    weights, vectors, people = draw.normal(size=(n, n)), draw.normal(size=(n, 6)), draw.normal(size=(data.n_users, 6))
    return data.items["id"].tolist(), *(one.astype(np.float32) for one in (weights, vectors, people))


def answer(body: dict[str, Any]) -> dict[str, Any]:
    """What the endpoint computes: the sum of the history items' rows of weights, item by item."""
    ids, weights, *_ = world()
    row, column = {name: i for i, name in enumerate(ids)}, [ids.index(name) for name in body["items"]]
    scores = [[sum(float(weights[row[h], c]) for h in own) for c in column] for own in body["histories"]]
    return {"scores": scores}


def ranked(body: dict[str, Any]) -> dict[str, Any]:
    """The same as ranked lists of ids, best first."""
    lists = [sorted(zip(row, body["items"], strict=True), reverse=True) for row in answer(body)["scores"]]
    return {"ranked": [[name for _, name in own[: body["k"]]] for own in lists]}


FUNCTION = """
import numpy as np
import torch

WEIGHTS = np.load({file!r})

def scores(histories, users=None, items=None):
    out = np.zeros((len(histories), len(WEIGHTS)))
    for row, history in enumerate(histories.tolist()):
        for item in history:
            if item >= 0:
                out[row] += WEIGHTS[item]
    return out
"""


@pytest.fixture(scope="module", autouse=True)
def own_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The six models of OWN, in a settings file that RECX_MODELS names."""
    folder = tmp_path_factory.mktemp("own")
    _, weights, vectors, people = world()
    np.save(folder / "weights.npy", weights)
    save_file({"items": torch.as_tensor(vectors), "users": torch.as_tensor(people)}, folder / "both.safetensors")
    (folder / "ownmodel.py").write_text(FUNCTION.format(file=str(folder / "weights.npy")))
    with serving(answer) as scores, serving(ranked) as ranks, pytest.MonkeyPatch.context() as patch:
        (folder / "own.toml").write_text(
            f'[own-python]\npython = "ownmodel:scores"\npath = "."\nwatch = ["weights.npy"]\n'
            f'[own-http]\nhttp = "{scores.url}"\nbatch = 5\n'
            f'[own-ranked]\nhttp = "{ranks.url}"\ntop = 50\n'
            '[own-vectors]\nembeddings = "both.safetensors"\n'
            '[own-people]\nembeddings = "both.safetensors"\nusers = "both.safetensors"\n'
            '[own-weights]\nitem-item = "weights.npy"\n'
        )
        patch.setenv("RECX_MODELS", str(folder / "own.toml"))
        assert set(registered.names()) == OWN
        yield folder
    fitted.cache_clear()


@pytest.fixture(params=sorted(OWN))
def model_name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def scorer(model_name: str, device: str) -> Any:
    return fitted(model_name, device)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with serving(answer) as server:
        yield server


@pytest.fixture
def add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Register a model in a home of this test alone: its recipe."""
    monkeypatch.setenv("RECX_HOME", str(tmp_path / "home"))

    def adding(name: str = "mine", **settings: Any) -> Any:
        registered.add(name, settings)
        return registry.named("models", name).build()

    return adding


N = 120
"""Items of the small world."""
QUICK = {"timeout": 5.0, "retries": 0, "backoff": 0.0}


def fit(recipe: Any) -> Any:
    return recipe.fit(small_split().train)


def cases(n: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    test = small_split().test
    return torch.as_tensor(test.histories[:n]), torch.as_tensor(test.users[:n])


def plain_scores(histories: torch.Tensor) -> torch.Tensor:
    """The sum of rows of weights, by a double loop."""
    _, weights, *_ = world()
    rows = [sum((weights[item] for item in own if item >= 0), np.zeros(len(weights))) for own in histories.tolist()]
    return torch.as_tensor(np.asarray(rows, np.float32))


# -- what they score


@pytest.mark.parametrize("name", ["own-python", "own-http", "own-weights"])
def test_the_same_weights_score_the_same_by_every_road(name: str) -> None:
    histories, users = cases()
    torch.testing.assert_close(fitted(name).score(histories, users), plain_scores(histories), atol=1e-4, rtol=1e-4)
    assert fitted(name).exact_scores is True


def test_a_ranked_list_scores_minus_the_rank() -> None:
    histories, users = cases(3)
    scores, order = fitted("own-ranked").score(histories, users), plain_scores(histories).argsort(1, descending=True)
    for row in range(3):
        assert scores[row, order[row, :50]].tolist() == [-float(place) for place in range(1, 51)]
        assert set(scores[row, order[row, 50:]].tolist()) == {-51.0}, "what the list leaves out stands behind its last"
    assert fitted("own-ranked").exact_scores is False


def test_vectors_score_by_the_mean_of_the_history() -> None:
    _, _, vectors, people = world()
    histories, users = cases(2)
    for row in range(2):
        own = [item for item in histories[row].tolist() if item >= 0]
        mean = sum(vectors[item] for item in own) / len(own)
        torch.testing.assert_close(fitted("own-vectors").score(histories)[row], torch.as_tensor(vectors @ mean))
        torch.testing.assert_close(fitted("own-people").score(histories)[row], torch.as_tensor(vectors @ mean))
    known = fitted("own-people").score(histories, users)
    torch.testing.assert_close(known, torch.as_tensor((vectors @ people[users.numpy()].T).T))
    assert torch.equal(fitted("own-people").score(histories[:, -1:], users), known), (
        "a vector is kept whatever is edited"
    )
    assert "no edit changes" in fitted("own-people").edited_history
    assert not hasattr(fitted("own-people"), "soft_score")


def test_a_soft_mean_has_no_jump_at_the_empty_history() -> None:
    histories, _ = cases(1)
    target, keep = torch.tensor([[3]]), torch.zeros(1, 1, histories.shape[1])
    keep[..., -1] = 1e-3
    small = fitted("own-vectors").soft_score(histories, keep, target)
    assert abs(float(small)) < 0.02


# -- a function


def function(folder: Path, source: str, name: str = "mymodel") -> dict[str, Any]:
    """The settings of a function `f` in a module of its own."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(source)
    return {"python": f"{name}:f", "path": str(folder)}


FORMS = {
    "tensor": "import torch\ndef f(histories): return torch.zeros(len(histories), 120)",
    "doubles": "import numpy as np\ndef f(histories): return np.zeros((len(histories), 120))",
    "whole numbers": "import numpy as np\ndef f(histories): return np.zeros((len(histories), 120), np.int16)",
    "lists": "def f(histories): return [[0.0] * 120 for _ in histories]",
    "a dict": "def f(histories): return {'scores': [[0] * 120 for _ in histories]}",
    "with a gradient": "import torch\nW = torch.zeros(120).requires_grad_()\ndef f(h): return W.expand(len(h), -1) * 1",
}


@pytest.mark.parametrize("form", FORMS)
def test_a_function_may_answer_in_any_form(add: Any, tmp_path: Path, form: str) -> None:
    scores = fit(add(**function(tmp_path / "code", FORMS[form]))).score(cases()[0])
    assert torch.equal(scores, torch.zeros(5, N))
    assert not scores.requires_grad


SIGNATURES = {
    "def f(histories, users, items)": "histories users items",
    "def f(h, u, i)": "histories users items",
    "def f(h)": "histories",
    "def f(h, items)": "histories items",
    "def f(users, histories)": "users histories",
    "def f(h, k=10)": "histories",
    "def f(h, *, item_ids, user_ids=None)": "histories item_ids user_ids",
    "def f(*args)": "histories",
    "def f(h, **more)": "histories users items item_ids user_ids",
}


@pytest.mark.parametrize("head", SIGNATURES)
def test_a_function_is_given_what_its_signature_asks_for(head: str) -> None:
    space: dict[str, Any] = {}
    exec(f"{head}: pass", space)
    assert " ".join(word for word, _ in _external_python.wanted("x", space["f"])) == SIGNATURES[head]


def test_ids_and_users_come_along(add: Any, tmp_path: Path) -> None:
    """Each score says which item it is for, and who asked."""
    source = (
        "def f(histories, users, item_ids, user_ids):\n"
        "    number = [int(name.strip('abcdefghijklmnopqrstuvwxyz')) for name in item_ids]\n"
        "    return [[n + 1000 * (int(user_ids[u][1:]) if u >= 0 else 500) for n in number] for u in users.tolist()]"
    )
    data = small_split().train
    scores = fit(add(**function(tmp_path / "code", source))).score(cases(2)[0], torch.tensor([4, -1]))
    item, user = int(data.items["id"].iloc[17].strip("abcdefghijklmnopqrstuvwxyz")), int(data.users["id"].iloc[4][1:])
    assert scores[:, 17].tolist() == [item + 1000 * user, item + 1000 * 500]


def test_a_function_that_changes_its_arguments_changes_nothing_of_ours(add: Any, tmp_path: Path) -> None:
    source = (
        "def f(histories, item_ids):\n"
        "    histories.fill_(0)\n"
        "    item_ids.clear()\n"
        "    return histories.new_zeros(len(histories), 120)"
    )
    found = fit(add(**function(tmp_path / "code", source)))
    histories, _ = cases()
    before = histories.clone()
    assert found.score(histories).shape == (5, N)
    assert torch.equal(histories, before)
    assert len(found.ids.items) == N


def test_a_function_may_rank_codes_or_ids(add: Any, tmp_path: Path) -> None:
    by_code = "import numpy as np\ndef f(histories): return {'ranked': np.tile([5, 3, 9], (len(histories), 1))}"
    by_id = (
        "def f(histories, item_ids): return {'ranked': [[item_ids[5], item_ids[3], item_ids[9]] for _ in histories]}"
    )
    first = fit(add("codes", **function(tmp_path / "code", by_code, "codes")))
    second = fit(add("ids", **function(tmp_path / "code", by_id, "ids")))
    scores = first.score(cases()[0])
    assert scores[0, [5, 3, 9, 0]].tolist() == [-1, -2, -3, -4]
    assert torch.equal(scores, second.score(cases()[0]))
    assert (first.exact_scores, second.exact_scores) == (False, False)


WRONG = {
    "shape": ("def f(h): return [[0.0] * 7 for _ in h]", r"shape \[1, 7\]: return \[1, 120\].*per item of planted"),
    "rows": ("def f(h): return [[0.0] * 120] * (len(h) + 1)", r"shape \[2, 120\]"),
    "ragged": ("def f(h): return [[0.0] * 120 for _ in h[:-1]] + [[1.0]]", r"shape \[1, 1\]: return"),
    "nan": ("def f(h): return [[float('nan')] * 120 for _ in h]", r"120 scores that are not finite"),
    "infinite": ("def f(h): return [[float('-inf')] * 120 for _ in h]", r"which recx leaves out by itself"),
    "words": ("def f(h): return [['good'] * 120 for _ in h]", r"not all numbers"),
    "nothing": ("def f(h): pass", r"return \[1, 120\]"),
    "a number": ("def f(h): return 3", r"shape \[\]"),
    "yes and no": (
        "import torch\ndef f(h): return torch.zeros(len(h), 120).bool()",
        r"torch.bool: return real",
    ),
    "another dict": ("def f(h): return {'score': 1}", r"a dict of score: return scores or ranked"),
    "raises": ("def f(h):\n    return h.nonsense", r"raised AttributeError: .*nonsense.*mymodel.py, line 2\): mend"),
    "exits": ("def f(h):\n    import sys\n    sys.exit(3)", r"raised SystemExit: 3"),
    "empty history": ("def f(h): return [[1 / (row >= 0).sum().item()] * 120 for row in h]", r"empty history.*ZeroDiv"),
    "asks for more": ("def f(h, u, i, mood): return 1", r"wants 'mood', which recx does not give"),
    "asks by name": ("def f(h, *, mood): return 1", r"wants 'mood', which recx does not give"),
    "takes nothing": ("def f(): return 1", r"takes no histories"),
    "another name": ("def g(h): return 1", r"no function 'f': it has g"),
    "no function": ("f = 3", r"no function 'f'"),
    "syntax": ("def f(h) return 1", r"mymodel.py, line 1 is not Python"),
    "import": (
        "import a_module_that_is_not_there\ndef f(h): return 1",
        r"that_is_not_there.*line 1\) while it was imported",
    ),
    "ranks unknown": (
        "def f(h): return {'ranked': [[0, 120] for _ in h]}",
        r"1 items that planted does not have.*120",
    ),
    "ranks twice": ("def f(h): return {'ranked': [[4, 4] for _ in h]}", r"ranked an item twice"),
    "ranks nothing": ("def f(h): return {'ranked': None}", r"no ranked list for 1 histories"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_function_that_misbehaves_is_one_sentence(add: Any, tmp_path: Path, name: str) -> None:
    source, said = WRONG[name]
    with pytest.raises(BadInput, match=said) as error:
        fit(add(**function(tmp_path / "code", source)))
    assert "mine" in str(error.value)
    assert str(error.value).endswith(".")
    assert "\n" not in str(error.value)


def test_a_function_that_takes_too_long_is_given_up(add: Any, tmp_path: Path) -> None:
    """The function waits for an event that this test sets when it has its sentence."""
    source = "import threading\ngo = threading.Event()\ndef f(h):\n    go.wait(30)"
    recipe = add(**function(tmp_path / "code", source), timeout=0.05)
    with pytest.raises(BadInput, match=r"mine \(mymodel:f\) took longer than 0.05 s: .*timeout"):
        fit(recipe)
    _external_python._loaded["mine"][1].__globals__["go"].set()


def test_a_changed_source_or_file_is_read_anew_in_the_same_process(add: Any, tmp_path: Path) -> None:
    """And its results have another key: the old ones never answer for it."""
    code = tmp_path / "code"
    settings = function(code, "import helper\ndef f(h): return [[helper.VALUE] * 120 for _ in h]")
    (code / "helper.py").write_text("VALUE = open(__file__.replace('helper.py', 'value.txt')).read().count('x')")
    (code / "value.txt").write_text("x")
    recipe = add(**settings, watch=[str(code / "value.txt")])
    seen = [(key(fit_of("planted", "mine")), float(fit(recipe).score(cases(1)[0])[0, 0]))]
    for name, text in (
        ("value.txt", "xx"),
        ("helper.py", "VALUE = 7"),
        ("mymodel.py", "def f(h): return [[9.0] * 120 for _ in h]"),
    ):
        (code / name).write_text(text)
        seen.append((key(fit_of("planted", "mine")), float(fit(recipe).score(cases(1)[0])[0, 0])))
    assert [value for _, value in seen] == [1, 2, 7, 9]
    assert len({one for one, _ in seen}) == 4
    (code / "unrelated.py").write_text("")
    assert key(fit_of("planted", "mine")) == seen[-1][0]


def test_two_modules_of_one_name_do_not_mix(add: Any, tmp_path: Path) -> None:
    for place in (1, 2):
        add(f"m{place}", **function(tmp_path / f"code{place}", f"def f(h): return [[{place}.0] * 120 for _ in h]"))
    both = [fit(registry.named("models", f"m{place}").build()) for place in (1, 2)]
    assert [float(one.score(cases(1)[0])[0, 0]) for one in both] == [1.0, 2.0]


def test_a_module_of_an_installed_package_needs_no_path(add: Any) -> None:
    with pytest.raises(BadInput, match=r"mine.*json.dumps.*raised TypeError"):
        fit(add(python="json:dumps"))  # a function that is there, and is no model
    assert "json" in __import__("sys").modules


# -- an endpoint

MISBEHAVES = {
    "slow": r"took longer than 0.2 s: .*timeout",
    "dripping": r"took longer than 0.2 s",
    "fails": r"answered 500 Internal Server Error \(asked 2 times\): look whether the server runs",
    "hangs up": r"broke the connection .*\(asked 2 times\)",
    "half an answer": r"broke the connection .*IncompleteRead.*\(asked 2 times\)",
    "huge": r"more than 0.1 MB: make its batch smaller",
    "announces too much": r"more than 0.1 MB",
    "not there": r"answered 404 Not Found \(no such page\): check the address",
    "moved": r"answered 301",
    "not json": r"'<html>hello</html>', which is not JSON",
    "deep json": r"which is not JSON",
    "a list": r"answered with a list: answer with an object",
    "both": r"answered with the fields 'scores', 'ranked': answer with an object that holds one list",
    "too few rows": r"shape \[0\]: return \[1, 120\]",
    "too few items": r"shape \[1, 119\]: return \[1, 120\], for 1 history one number per item of planted",
    "nan": r"1 scores that are not finite",
    "infinite": r"1 scores that are not finite",
    "null": r"1 scores that are not finite",
    "words": r"scores that are not all numbers",
    "ranks unknown items": r"1 items that planted does not have, among them 'nothing-of-that-name': rank only",
    "ranks twice": r"ranked an item twice",
    "ranks no list": r"gave no ranked list for 1 histories: return one list",
}
ASKED_AGAIN = {"fails", "hangs up", "half an answer"}


@pytest.mark.parametrize("mood", MISBEHAVES)
def test_an_endpoint_that_misbehaves_is_one_sentence(add: Any, endpoint: Endpoint, mood: str) -> None:
    endpoint.mood = mood
    timeout = 0.2 if mood in ("slow", "dripping") else 5.0
    recipe = add(http=endpoint.url + "?secret=7", timeout=timeout, retries=1, backoff=0.001, megabytes=0.1)
    with pytest.raises(BadInput, match=MISBEHAVES[mood]) as error:
        fit(recipe)
    assert f"mine ({endpoint.url})" in str(error.value), "it names the address, without what may be secret"
    assert str(error.value).endswith(".")
    assert len(endpoint.asked) == (2 if mood in ASKED_AGAIN else 1), "only what may pass is asked again"


def test_a_short_row_is_named(add: Any, endpoint: Endpoint) -> None:
    found = fit(add(http=endpoint.url, **QUICK))
    endpoint.mood = "one short row"
    with pytest.raises(BadInput, match=r"119 scores in row 0: return \[5, 120\]"):
        found.score(cases()[0])


@pytest.mark.parametrize("mood", ["fails once", "hangs up once"])
def test_what_fails_once_is_asked_again(add: Any, endpoint: Endpoint, mood: str) -> None:
    endpoint.mood = mood
    found = fit(add(http=endpoint.url, retries=1, backoff=0.001))
    torch.testing.assert_close(found.score(cases()[0]), plain_scores(cases()[0]), atol=1e-4, rtol=1e-4)
    assert endpoint.asked[0] == endpoint.asked[1]


def test_each_wait_is_twice_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    from recx.models import _external_http

    waits: list[float] = []
    monkeypatch.setattr(_external_http.time, "sleep", waits.append)
    model = registered.HttpModel(http="http://127.0.0.1:9/", retries=3, backoff=0.5)  # nobody listens at port 9
    with pytest.raises(BadInput, match=r"refused.*asked 4 times"):
        _external_http.Post("mine", model)(b"{}")
    assert waits == [0.0, 0.5, 1.0, 2.0]


def test_an_endpoint_that_changes_its_kind_of_answer_is_told(add: Any, endpoint: Endpoint) -> None:
    found = fit(add(http=endpoint.url, **QUICK))
    endpoint.mood = "ranks"
    with pytest.raises(BadInput, match="answered with a ranked list, and with scores when it was fitted"):
        found.score(cases()[0])


def test_the_request_is_the_documented_one(add: Any, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", "abc")
    found = fit(add(http=endpoint.url, top=7, token="MY_TOKEN", **QUICK))
    assert (endpoint.asked[-1]["histories"], endpoint.asked[-1]["users"]) == ([[]], [None]), "nobody we know"
    endpoint.asked.clear()
    data = small_split().train
    found.score(torch.tensor([[PAD, 4, PAD, 2], [PAD] * 4]), torch.tensor([3, 5]))
    items = data.items["id"].tolist()
    assert endpoint.asked == [
        {
            "form": 1,
            "dataset": "planted",
            "histories": [[items[4], items[2]], []],
            "users": [data.users["id"].iloc[3], data.users["id"].iloc[5]],
            "items": items,
            "k": 7,
        }
    ]
    assert endpoint.headers[-1]["Authorization"] == "Bearer abc"
    monkeypatch.delenv("MY_TOKEN")
    with pytest.raises(BadInput, match="set the environment variable MY_TOKEN"):
        found.score(torch.tensor([[5]]))


@pytest.mark.parametrize("size", [1, 3, 100])
def test_batches_are_as_large_as_allowed_and_agree(add: Any, endpoint: Endpoint, size: int) -> None:
    found = fit(add(http=endpoint.url, batch=size, **QUICK))
    endpoint.asked.clear()
    histories, users = cases(7)
    torch.testing.assert_close(found.score(histories, users), plain_scores(histories), atol=1e-4, rtol=1e-4)
    assert [len(body["histories"]) for body in endpoint.asked] == {1: [1] * 7, 3: [3, 3, 1], 100: [7]}[size]


def test_what_was_asked_is_not_asked_again(add: Any, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    found = fit(add(http=endpoint.url, **QUICK))
    endpoint.asked.clear()
    histories, users = cases(3)
    twice = torch.cat([histories, histories])
    first = found.score(twice, torch.cat([users, users]))
    assert [len(body["histories"]) for body in endpoint.asked] == [3], "each history once"
    wide = torch.nn.functional.pad(histories, (4, 0), value=PAD)
    chosen = found.score(wide, users, torch.tensor([[3], [4], [5]]))
    assert len(endpoint.asked) == 1
    assert chosen[:, 0].tolist() == [float(first[row, row + 3]) for row in range(3)]
    first[:] = 0  # what a caller does to its scores
    assert not torch.equal(found.score(histories, users), first[:3])
    found.score(histories, None)
    assert len(endpoint.asked) == 2, "another user is another question"

    monkeypatch.setattr(found._known, "most", 2)
    found.score(*cases(5))
    assert len(found._known) == 2
    assert torch.isfinite(found.score(*cases(5))).all()


def test_a_dead_endpoint_is_one_sentence(add: Any) -> None:
    with serving(answer) as server:
        recipe, url = add(http=server.url, retries=1, backoff=0.001), server.url
    with pytest.raises(BadInput, match=rf"mine \({url}\) cannot be reached \(Connection refused\) \(asked 2 times\)"):
        fit(recipe)


def test_the_endpoint_of_the_document_works(add: Any) -> None:
    """The 25 lines of docs/external-models.md, served and asked."""
    text = (Path(__file__).parents[2] / "docs" / "external-models.md").read_text("utf-8")
    source = next(block for block in re.findall(r"```python\n(.*?)```", text, re.S) if "class Handler" in block)
    space: dict[str, Any] = {"__name__": "endpoint_of_the_document"}
    exec(source, space)
    space["Handler"].log_message = lambda *_: None
    server = space["ThreadingHTTPServer"](("127.0.0.1", 0), space["Handler"])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        scores = fit(add(http=f"http://127.0.0.1:{server.server_port}/")).score(torch.tensor([[PAD, 10]]))
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
    assert scores[0, [10, 11, 8]].tolist() == pytest.approx([1, 1 / 2, 1 / 3])


def test_the_settings_file_of_the_document_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the values it shows are the defaults where they are meant to be."""
    text = (Path(__file__).parents[2] / "docs" / "external-models.md").read_text("utf-8")
    (tmp_path / "models.toml").write_text(next(iter(re.findall(r"```toml\n(.*?)```", text, re.S))))
    monkeypatch.setenv("RECX_MODELS", str(tmp_path / "models.toml"))
    found, broken = registered.read()
    assert broken == {}
    assert set(found) == {"shop", "live", "vec", "similar"}
    assert found["live"].model == registered.HttpModel(http="http://127.0.0.1:9000/scores", token="LIVE_TOKEN")
    assert found["shop"].model.timeout == registered.PythonModel().timeout


# -- matrices


def test_ids_bring_rows_into_the_order_of_the_data(add: Any, tmp_path: Path) -> None:
    ids, weights, vectors, people = world()
    data, order = small_split().train, np.random.default_rng(3).permutation(N)
    (tmp_path / "ids.txt").write_text("\n".join([ids[i] for i in order] + ["an-item-of-another-shop"]) + "\n")
    more = np.vstack([vectors[order], np.full((1, 6), 9.0)])
    np.save(tmp_path / "items.npy", more)
    mixed = np.zeros((N + 1, N + 1))
    mixed[:N, :N] = weights[np.ix_(order, order)]
    np.save(tmp_path / "weights.npy", mixed)
    histories, _ = cases()
    own = {"embeddings": str(tmp_path / "items.npy"), "ids": str(tmp_path / "ids.txt")}
    torch.testing.assert_close(fit(add("v", **own)).score(histories), fitted("own-vectors").score(histories))
    both = {"item_item": str(tmp_path / "weights.npy"), "ids": str(tmp_path / "ids.txt")}
    torch.testing.assert_close(fit(add("w", **both)).score(histories), plain_scores(histories), atol=1e-4, rtol=1e-4)

    np.save(tmp_path / "people.npy", people[[4, 2]])
    (tmp_path / "people.txt").write_text("\n".join(data.users["id"].iloc[[4, 2]]))
    some = {"users": str(tmp_path / "people.npy"), "user_ids": str(tmp_path / "people.txt")}
    scores = fit(add("p", **own, **some)).score(histories, torch.tensor([2, 4, 5, -1, 2]))
    torch.testing.assert_close(scores[0], torch.as_tensor(vectors @ people[2]))
    torch.testing.assert_close(scores[1], torch.as_tensor(vectors @ people[4]))
    torch.testing.assert_close(scores[2:4], fitted("own-vectors").score(histories)[2:4])


@pytest.mark.parametrize("kind", ["csr", "coo", "npy", "safetensors", "bfloat16"])
def test_weights_may_be_dense_or_sparse(add: Any, tmp_path: Path, kind: str) -> None:
    """One weight: item 5 in a history raises item 8, and not the other way round."""
    weights = np.zeros((N, N), np.float32)
    weights[5, 8] = 2.0
    file = tmp_path / ("w.npz" if kind in ("csr", "coo") else "w.npy" if kind == "npy" else "w.safetensors")
    if kind == "npy":
        np.save(file, weights)
    elif file.suffix == ".npz":
        sparse.save_npz(file, sparse.csr_array(weights) if kind == "csr" else sparse.coo_array(weights))
    else:
        save_file({"w": torch.as_tensor(weights).to(torch.bfloat16 if kind == "bfloat16" else torch.float32)}, file)
    scores = fit(add(item_item=str(file))).score(torch.tensor([[5], [8]]))
    assert scores.nonzero().tolist() == [[0, 8]]
    assert float(scores[0, 8]) == 2.0


class Evil:
    """What a pickle would run."""

    def __reduce__(self) -> Any:
        return (print, ("pickle was read",))


@pytest.fixture
def put(tmp_path: Path) -> Callable[[str, Any], str]:
    """Write an array, lines, bytes or tensors into a file: its path."""

    def putting(name: str, what: Any) -> str:
        file = tmp_path / name
        if isinstance(what, np.ndarray):
            np.save(file, what)
        elif isinstance(what, dict):
            save_file(what, file)
        else:
            file.write_bytes(what if isinstance(what, bytes) else "\n".join(what).encode())
        return str(file)

    return putting


def with_hole(vectors: np.ndarray) -> np.ndarray:
    vectors = vectors.copy()
    vectors[3, 3] = np.nan
    return vectors


ids, people, vectors = (lambda: world()[0]), (lambda: world()[3]), (lambda: world()[2])
Settings = Callable[[Callable[[str, Any], str]], dict[str, Any]]
MISFITS: dict[str, tuple[Settings, str]] = {
    "too few rows": (
        lambda put: {"embeddings": put("v.npy", vectors()[:-1])},
        r"119 rows and planted has 120 items: name the item id of each row",
    ),
    "flat": (lambda put: {"embeddings": put("v.npy", vectors()[0])}, r"float32\[6\]: it must be a table of numbers"),
    "words": (lambda put: {"embeddings": put("v.npy", np.array([["a"]]))}, r"must be a table of numbers"),
    "a hole": (lambda put: {"embeddings": put("v.npy", with_hole(vectors()))}, r"1 numbers that are not finite"),
    "pickled": (
        lambda put: {"embeddings": put("v.npy", np.array([[Evil()]], dtype=object))},
        r"v.npy cannot be read as .npy.*without pickle",
    ),
    "text": (lambda put: {"embeddings": put("v.npy", b"hello")}, r"cannot be read as .npy"),
    "text as tensors": (lambda put: {"embeddings": put("v.safetensors", b"hello")}, r"cannot be read as .safetensors"),
    "text as sparse": (lambda put: {"item_item": put("w.npz", b"hello")}, r"cannot be read as .npz"),
    "a number as sparse": (lambda put: {"item_item": put("w.npz", b"\x93NUMPY")}, r"cannot be read as .npz"),
    "two tensors": (
        lambda put: {"embeddings": put("v.safetensors", {"a": torch.zeros(2, 2), "b": torch.zeros(2, 2)})},
        r"holds a, b: call one of its tensors 'items'",
    ),
    "not square": (
        lambda put: {"item_item": put("w.npy", vectors())},
        r"shape \[120, 6\]: it must have a row and a column per item",
    ),
    "too few ids": (
        lambda put: {"embeddings": put("v.npy", vectors()), "ids": put("i.txt", ids()[1:])},
        r"119 lines and .* has 120 rows",
    ),
    "an id twice": (
        lambda put: {"embeddings": put("v.npy", vectors()), "ids": put("i.txt", [*ids()[:-1], ids()[0]])},
        r"names '.*' more than once",
    ),
    "an item lacks": (
        lambda put: {"embeddings": put("v.npy", vectors()), "ids": put("i.txt", [*ids()[:-1], "else"])},
        r"lacks 1 of 120 items of planted, among them '.*': add their rows",
    ),
    "ids that are no text": (
        lambda put: {"embeddings": put("v.npy", vectors()), "ids": put("i.txt", b"\xff\xfe\x00")},
        r"cannot be read as text",
    ),
    "another length": (
        lambda put: {"embeddings": put("v.npy", vectors()), "users": put("p.npy", people()[:, :4])},
        r"length 4, items of length 6",
    ),
    "too few users": (
        lambda put: {"embeddings": put("v.npy", vectors()), "users": put("p.npy", people()[:9])},
        r"9 rows and planted has 60 users",
    ),
    "no known user": (
        lambda put: {
            "embeddings": put("v.npy", vectors()),
            "users": put("p.npy", people()[:1]),
            "user_ids": put("p.txt", ["x"]),
        },
        r"lacks 60 of 60 users",
    ),
}


@pytest.mark.parametrize("name", MISFITS)
def test_a_matrix_that_does_not_fit_is_one_sentence(add: Any, put: Any, name: str, capsys: Any) -> None:
    settings, said = MISFITS[name]
    recipe = add(**settings(put))
    with pytest.raises(BadInput, match=said) as error:
        fit(recipe)
    assert str(error.value).startswith("mine: ")
    assert str(error.value).endswith(".")
    assert "pickle was read" not in capsys.readouterr().out


def test_a_catalogue_too_large_for_weights_is_told(add: Any, put: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from recx.models import _external_matrices

    recipe = add(item_item=put("w.npy", np.zeros((N, N), np.float32)))
    monkeypatch.setattr(_external_matrices, "MOST_ITEMS", 100)
    with pytest.raises(BadInput, match=r"120 items.*more than 100.*register embeddings or an endpoint"):
        fit(recipe)


# -- beside the built-in models


@pytest.mark.parametrize("name", sorted(OWN))
def test_every_explainer_explains_it_or_says_what_it_lacks(name: str) -> None:
    """A black box works with every explainer that needs none of what it lacks; 60 people, the first of them."""
    fit_recipe = fit_of("planted", name, split="leave-one-out")
    results: dict[Any, Any] = {fit_recipe: fitted(name), fit_recipe.split_data: small_split()}
    results[fit_recipe.data] = small_data()

    def get(recipe: Any) -> Any:
        return results[recipe] if recipe in results else recipe.run(get, lambda *_: None)

    quick = {
        "lcer": {"steps": 50},
        "lxr": {"tries": 1, "steps": 5},
        "causal-rules": {"m": 20, "m_test": 20, "epochs": 1},
    }
    soft = hasattr(fitted(name), "soft_score")
    for explainer in registry.names("explainers"):
        asked = Explain(fit_recipe, (Person("u007"),), (None,), explainer_of(explainer, quick.get(explainer, {})), 5)
        needs = set(registry.form("explainers", explainer)["needs"])
        if "soft" in needs and not soft:
            with pytest.raises(BadInput, match=rf"{explainer} needs scores that can be diff.* {name} does not"):
                asked.run(get, lambda *_: None)
        elif needs <= {"soft", "population"}:
            found = asked.run(get, lambda *_: None)[0]
            assert (found.recommender, found.explainer, found.rank_before) == (name, explainer, 1)
            assert found.valid is (found.found and found.rank_after > 5 if found.found else None)


def small_data() -> Any:
    """The data that `small_split` cuts: 60 people."""
    from recx.data.sources.planted import Planted

    return Planted(users=60, items=120).load()


def test_what_is_stored_says_nothing_of_where_it_lies(tmp_path: Path) -> None:
    for name in ("own-http", "own-python", "own-vectors"):
        folder = tmp_path / name
        folder.mkdir()
        save_scorer(fitted(name), folder)
        stored = b"".join(path.read_bytes() for path in folder.iterdir())
        assert b"127.0.0.1" not in stored
        assert b"ownmodel" not in stored


def test_a_stored_black_box_of_a_changed_model_is_refused(add: Any, tmp_path: Path) -> None:
    settings = function(tmp_path / "code", "def f(h): return [[0.0] * 120 for _ in h]")
    (tmp_path / "stored").mkdir()
    save_scorer(fit(add(**settings)), tmp_path / "stored")
    assert load_scorer(tmp_path / "stored", "cpu").n_items == N
    function(tmp_path / "code", "def f(h): return [[1.0] * 120 for _ in h]")
    with pytest.raises(BadInput, match="'mine' was changed since it was fitted: ask again"):
        load_scorer(tmp_path / "stored", "cpu")


def test_a_version_or_a_setting_changes_the_key_and_a_title_does_not(add: Any) -> None:
    url, keys = "http://127.0.0.1:9/", []
    for more in ({}, {"title": "Live"}, {"version": "2"}, {"timeout": 3}):
        add(http=url, **more)
        keys.append(key(fit_of("planted", "mine")))
        registered.remove("mine")
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


def test_external_with_a_name_is_that_model(add: Any) -> None:
    add(http="http://127.0.0.1:9/")
    assert fit_of("planted", "external", {"name": "mine"}) == fit_of("planted", "mine")
    with pytest.raises(BadInput, match=r"model of your own 'min'; did you mean mine|'min'.*mine"):
        fit_of("planted", "external", {"name": "min"})
    with pytest.raises(BadInput, match=r"unknown field 'http' of mine; there is none"):
        fit_of("planted", "mine", {"http": "http://evil/"})


def test_external_without_a_name_says_what_to_do(add: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RECX_MODELS")
    with pytest.raises(BadInput, match=r"no model of your own is registered: `python -m recx models add NAME"):
        fit(registry.named("models", "external").build())
