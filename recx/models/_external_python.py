"""A registered Python function: found, loaded afresh when its source changes, called with a limit of time."""

from __future__ import annotations

import importlib
import inspect
import sys
import threading
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from recx.core import registered, stamps
from recx.core.errors import BadInput
from recx.models._external_blackbox import Answer, Ask, Ids, called, ranked_scores, scores_of

BY_NAME = ("histories", "users", "items", "item_ids", "user_ids")
BY_PLACE = ("histories", "users", "items")

_loading = threading.Lock()
_loaded: dict[str, tuple[str, Callable[..., Any]]] = {}
"""Name -> (stamp, function) of what this process has loaded."""


def function(entry: registered.Registered, ids: Ids) -> Ask:
    """How the function of an entry is asked. Raises BadInput when it cannot be had."""
    model = entry.model
    assert isinstance(model, registered.PythonModel)
    call, who, codes = load(entry), called(entry), ids.item_codes()
    words = wanted(who, call)

    def ask(histories: torch.Tensor, users: torch.Tensor) -> Answer:
        known: dict[str, Any] = {"histories": histories, "users": users, "items": None}
        known |= {"item_ids": list(ids.items), "user_ids": list(ids.users)}
        places = [known[word] for word, by_name in words if not by_name]
        raw = within(model.timeout, who, partial(call, *places, **{w: known[w] for w, by_name in words if by_name}))
        if isinstance(raw, dict):
            if len(raw) != 1 or not set(raw) <= {"scores", "ranked"}:
                raise BadInput(
                    f"{who} gave a dict of {', '.join(map(str, raw)) or 'nothing'}: return scores or ranked."
                )
            kind, raw = next(iter(raw.items()))
            if kind == "ranked":
                return Answer(ranked_scores(who, raw, len(histories), ids, codes), exact=False)
        return Answer(scores_of(who, raw, len(histories), ids), exact=True)

    return ask


def wanted(who: str, call: Callable[..., Any]) -> list[tuple[str, bool]]:
    """What a function is given: (one of BY_NAME, passed by name). Raises BadInput when it wants something else.

    A parameter with one of the five names gets just that; required ones with other names in front of them get
    histories, users and items in this order; optional ones with other names are left alone.
    """
    try:
        parameters = list(inspect.signature(call).parameters.values())
    except (TypeError, ValueError):  # a function without a signature, written in C
        return [("histories", False)]
    named = {p.name for p in parameters if p.name in BY_NAME and p.kind != p.POSITIONAL_ONLY}
    places = [word for word in BY_PLACE if word not in named]
    given: list[tuple[str, bool]] = []
    for p in parameters:
        if p.name in named:
            given.append((p.name, True))
        elif p.kind == p.VAR_KEYWORD:
            given += [(word, True) for word in BY_NAME if word not in {word for word, _ in given}]
        elif p.kind == p.VAR_POSITIONAL:
            given += [] if given else [("histories", False)]
        elif p.default is p.empty:
            if p.kind == p.KEYWORD_ONLY or not places or any(by_name for _, by_name in given):
                raise BadInput(f"{who} wants {p.name!r}, which recx does not give: it gives {', '.join(BY_NAME)}.")
            given.append((places.pop(0), False))
    if not given:
        raise BadInput(f"{who} takes no histories: recx gives {', '.join(BY_NAME)}.")
    return given


def within(seconds: float, who: str, call: Callable[[], Any]) -> Any:
    """The result of a call, in a thread that is left alone when it takes longer. Raises BadInput."""
    outcome: dict[str, Any] = {}

    def run() -> None:
        try:
            with torch.no_grad():
                outcome["result"] = call()
        except BaseException as error:  # whatever the function raises is told to who asked
            outcome["error"] = error

    thread = threading.Thread(target=run, daemon=True, name=who)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise BadInput(
            f"{who} took longer than {seconds:g} s: make it faster, its batch smaller, or its timeout longer."
        )
    if "error" in outcome:
        raise BadInput(f"{who} {raised(outcome['error'])}: mend the function.") from outcome["error"]
    return outcome["result"]


def raised(error: BaseException) -> str:
    """What an exception was and where."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    said = " ".join(str(error).split())[:200]
    return f"raised {type(error).__name__}{': ' + said if said else ''}{where}"


def load(entry: registered.Registered) -> Callable[..., Any]:
    """The function, imported anew when its source or its entry has changed. Raises BadInput."""
    stamp = registered.stamp(entry.name)
    with _loading:
        known = _loaded.get(entry.name)
        if known is None or known[0] != stamp:
            known = _loaded[entry.name] = (stamp, _imported(entry))
        return known[1]


def _imported(entry: registered.Registered) -> Callable[..., Any]:
    model = entry.model
    assert isinstance(model, registered.PythonModel)
    module, _, name = model.python.partition(":")
    files = stamps.sources(entry.name, module, model.path)
    if model.path or entry.name in _loaded:
        _forget(files, module)
    if model.path:
        sys.path.insert(0, model.path)
    importlib.invalidate_caches()
    try:
        found = importlib.import_module(module)
    except BaseException as error:
        raise BadInput(
            f"{entry.name}: the module {module!r} {raised(error)} while it was imported: mend it."
        ) from error
    finally:
        if model.path:  # behind everything installed: what the function imports later is still found
            sys.path.remove(model.path)
            if model.path not in sys.path:
                sys.path.append(model.path)
    where = getattr(found, "__file__", None)
    if where is None or not Path(where).samefile(files[module]):
        raise BadInput(f"{entry.name}: the module {module!r} is {where}, not {files[module]}: give yours another name.")
    call = getattr(found, name, None)
    if not callable(call):
        here = sorted(key for key, value in vars(found).items() if inspect.isfunction(value) and key[0] != "_")
        has = f"it has {', '.join(here[:5])}" if here else "it has no function"
        raise BadInput(f"{entry.name}: the module {module!r} has no function {name!r}: {has}.")
    return call


def _forget(files: dict[str, Path], module: str) -> None:
    """Drop what was loaded from these files, or from others under these names; never recx or Python's own modules."""
    for name in {*files, module.partition(".")[0]}:
        if name.partition(".")[0] not in {"recx", *sys.stdlib_module_names}:
            sys.modules.pop(name, None)
