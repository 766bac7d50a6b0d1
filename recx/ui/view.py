"""What is on screen as one value, and as a link that names every parameter and reopens exactly this view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from recx.core import recipe
from recx.core.errors import BadInput, unknown
from recx.engine.catalogue import FIRST_EXPLAINERS

WHO = ("user", "new", "item")
TRAITS = ("any", "heavy", "light", "niche", "mainstream")
PARTS = ("train", "leaderboard", "compare")
"""What the page of models shows."""
SETS_PARTS = ("item", "list", "many", "field", "cases")
"""What the page of counterfactual sets shows."""
RULES_PARTS = ("item", "data", "many", "cases")
"""What the page of rules shows."""
REPLACE = ("one", "half", "all")
"""How much of a list shall be others."""
CASES = ("all", "alike", "unlike", "long", "untrue")
"""Which of the stored cases are shown."""
BENCH_WHO, BENCH_STEPS, AGREE = ("all", "hits", "misses"), ("in tenths", "1 to 5 items"), ("jaccard", "spearman")
"""Of the stored benchmark: which recommendations, how much is taken out, agreement of what."""
RULE_WHO = ("all users", "equal coverage")
"""On whom ways of naming a cause are compared: everybody, or those whom association rules explain."""
CONVENTIONS = ("app", "as-published")
SWEPT = ("gamma", "m", "variance", "share", "steps", "beta", "fit", "vectors")
"""Settings of causal rules whose sweep may be stored."""
CHOICES = {
    "who": ("who", WHO),
    "trait": ("trait", TRAITS),
    "part": ("part", PARTS),
    "sets": ("part", SETS_PARTS),
    "rules": ("part", RULES_PARTS),
    "convention": ("convention", CONVENTIONS),
    "replace": ("share of the list", REPLACE),
    "found": ("kind of case", CASES),
    "bench_who": ("recommendations", BENCH_WHO),
    "bench_steps": ("number of items", BENCH_STEPS),
    "agree": ("agreement", AGREE),
    "rule_who": ("users", RULE_WHO),
    "rule_sweep": ("setting", SWEPT),
}
"""Fields of the view with a few possible values -> what such a value is called, the values."""
FREE = "user item target whynot board board_setting scores scores_setting found_by rule_data rule_model".split()
"""Fields of the view that are checked later, against the data and what is stored."""
Query = dict[str, list[str]]
Pairs = tuple[tuple[str, Any], ...]
"""Settings that differ from the defaults: (field, value)."""


@dataclass(frozen=True)
class Pin:
    """A case kept for comparison: a model with its settings, and a person."""

    model: str
    settings: Pairs = ()
    seed: int = 0
    user: str = ""
    history: tuple[str, ...] = ()


@dataclass(frozen=True)
class View:
    """All that the pages show. Ids are the data set's own.

    `who`: "user" (of the data), "new" (the titles in `history`), "item" (choose among those who are shown `item`).
    `target`: the recommendation that is explained, empty for the first. `off`: history items switched off.
    `part`: of the page of models; `board`, `board_setting`: data set and setting of the leaderboard, empty for the
    first; `other`: the model beside the chosen one. `sets`, `rules`: parts of the pages of counterfactual sets and of
    rules; `scores`, `scores_setting`, `convention`: which of the stored tables there, empty for the first;
    `replace`: how much of the list shall be others when it is explained as a whole. `found`,
    `found_by`: which stored cases, of which explainer. `bench_...`, `agree`: what is shown of the stored benchmark.
    `rule_...`: which of the stored tables of rules: data set and recommender (empty for the first), users, swept
    setting.
    """

    dataset: str = "planted"
    split: str = "leave-one-out"
    model: str = "ease"
    settings: Pairs = ()
    seed: int = 0
    k: int = 10
    who: str = "user"
    user: str = ""
    history: tuple[str, ...] = ()
    item: str = ""
    trait: str = "any"
    draw: int = 0
    target: str = ""
    explainers: tuple[str, ...] = ()
    explainer_settings: tuple[tuple[str, Pairs], ...] = ()
    off: tuple[str, ...] = ()
    whynot: str = ""
    pin: Pin | None = None
    part: str = "train"
    board: str = ""
    board_setting: str = ""
    other: str = "toppop"
    other_settings: Pairs = ()
    sets: str = "item"
    rules: str = "item"
    scores: str = ""
    scores_setting: str = ""
    convention: str = "app"
    replace: str = "half"
    found: str = "all"
    found_by: str = ""
    bench_who: str = "all"
    bench_steps: str = "in tenths"
    agree: str = "jaccard"
    rule_data: str = ""
    rule_model: str = ""
    rule_who: str = "all users"
    rule_sweep: str = "gamma"

    def changed(self, **values: Any) -> View:
        """The view after a choice: what no longer makes sense is forgotten."""
        new = replace(self, **values)
        if new.dataset != self.dataset:
            return replace(
                new, user="", history=(), item="", target="", off=(), whynot="", pin=None, who="user", trait="any"
            )
        if new.model != self.model:
            new = replace(new, settings=values.get("settings", ()))
        if new.other != self.other:
            new = replace(new, other_settings=values.get("other_settings", ()))
        if (new.model, new.settings, new.seed, new.split) != (self.model, self.settings, self.seed, self.split):
            new = replace(new, target=values.get("target", ""))
        if new.person != self.person:
            new = replace(new, target=values.get("target", ""), off=values.get("off", ()))
        return new

    def settings_of(self, explainer: str) -> Pairs:
        """The settings of an explainer that differ from its defaults."""
        return dict(self.explainer_settings).get(explainer, ())

    def with_settings(self, explainer: str, pairs: Pairs) -> tuple[tuple[str, Pairs], ...]:
        """`explainer_settings` with those of one explainer replaced."""
        new = dict(self.explainer_settings) | {explainer: pairs}
        return tuple(sorted((name, own) for name, own in new.items() if own))

    @property
    def person(self) -> tuple[str, tuple[str, ...]]:
        """The user id, or the typed titles: one of the two is empty."""
        return ("", self.history) if self.who == "new" else (self.user, ())

    @property
    def has_person(self) -> bool:
        return bool(self.person[0] or self.person[1])


def shown_explainers(view: View, catalogue: Any) -> tuple[str, ...]:
    """The explainers that stand side by side: those chosen, else a few to begin with; all of few."""
    known = catalogue.names("explainers")
    return view.explainers or tuple(name for name in FIRST_EXPLAINERS if name in known) or tuple(known)


def settings_of(form: Mapping[str, Any], settings: Sequence[tuple[str, Any]]) -> list[str]:
    """Every setting of a model written out (`l2=200.0`), the defaults too: a default may change, a link must not."""
    own = dict(settings)
    return [f"{row['name']}={own.get(row['name'], row['default'])}" for row in form["parameters"]]


def to_query(view: View, catalogue: Any) -> Query:
    """The parameters of the link, every one written."""
    apart = ("settings", "other_settings", "explainer_settings", "pin")
    query = {field.name: _words(getattr(view, field.name)) for field in fields(View) if field.name not in apart}
    query["explainer_settings"] = [
        f"{name}.{word}"
        for name in dict.fromkeys([*shown_explainers(view, catalogue), *dict(view.explainer_settings)])
        for word in settings_of(catalogue.form_of("explainers", name), view.settings_of(name))
    ] or [""]
    query["settings"] = settings_of(catalogue.form_of("models", view.model), view.settings) or [""]
    query["other_settings"] = settings_of(catalogue.form_of("models", view.other), view.other_settings) or [""]
    pin = view.pin
    query["pin"] = ["yes" if pin else "no"]
    if pin:
        query |= {
            "pin_model": [pin.model],
            "pin_settings": settings_of(catalogue.form_of("models", pin.model), pin.settings) or [""],
            "pin_seed": [str(pin.seed)],
            "pin_user": [pin.user],
            "pin_history": list(pin.history) or [""],
        }
    return query


def _words(value: Any) -> list[str]:
    return (list(value) or [""]) if isinstance(value, tuple) else [str(value)]


def from_query(query: Mapping[str, Sequence[str]], catalogue: Any, datasets: Sequence[str]) -> View:
    """The view that a link names. Raises BadInput for an unknown parameter or value: a link never shows another view.

    Parameters a link leaves out have their defaults; those of FREE are checked later.
    """
    names = {field.name for field in fields(View)} | {f"pin_{field.name}" for field in fields(Pin)}
    for name in query:
        if name not in names:
            raise unknown("parameter", name, sorted(names), " in the link")
    one = {
        name: _single(name, values)
        for name, values in query.items()
        if not name.endswith(("history", "settings", "explainers", "off"))
    }
    many = {name: tuple(v for v in values if v != "") for name, values in query.items() if name not in one}
    base = View()
    chosen: dict[str, Any] = {name: one[name] for name in FREE if name in one} | {
        name: _among(kind, one.get(name, getattr(base, name)), known) for name, (kind, known) in CHOICES.items()
    }
    view = View(
        dataset=_among("data set", one.get("dataset", base.dataset), datasets),
        split=_among("split", one.get("split", base.split), catalogue.names("data.splits")),
        model=_among("model", one.get("model", base.model), catalogue.names("models")),
        other=_among("model", one.get("other", base.other), catalogue.names("models")),
        seed=_whole("seed", one.get("seed", "0"), 0, 2**31 - 1),
        k=_whole("k", one.get("k", str(base.k)), 1, 1000),
        draw=_whole("draw", one.get("draw", "0"), 0, 2**31 - 1),
        history=many.get("history", ()),
        off=many.get("off", ()),
        explainers=tuple(
            _among("explainer", name, catalogue.names("explainers")) for name in many.get("explainers", ())
        ),
        **chosen,
    )
    return replace(
        view,
        settings=_settings("models", view.model, many.get("settings", ()), catalogue),
        other_settings=_settings("models", view.other, many.get("other_settings", ()), catalogue),
        explainer_settings=_explainer_settings(many.get("explainer_settings", ()), catalogue),
        pin=_pin(one, many, catalogue),
    )


def _pin(one: Mapping[str, str], many: Mapping[str, tuple[str, ...]], catalogue: Any) -> Pin | None:
    if _among("pin", one.get("pin", "no"), ("yes", "no")) == "no":
        return None
    model = _among("model", one.get("pin_model", ""), catalogue.names("models"))
    user, history = one.get("pin_user", ""), many.get("pin_history", ())
    if bool(user) == bool(history):
        raise BadInput("the link pins a case without a person: it needs pin_user or pin_history, and not both.")
    settings = _settings("models", model, many.get("pin_settings", ()), catalogue)
    return Pin(model, settings, _whole("pin_seed", one.get("pin_seed", "0"), 0, 2**31 - 1), user, history)


def _settings(kind: str, name: str, words: Sequence[str], catalogue: Any) -> Pairs:
    pairs = {}
    for word in words:
        field, sign, value = word.partition("=")
        if not sign:
            raise BadInput(f"settings={word!r} in the link is not field=value.")
        pairs[field] = value
    return recipe.clean(name, catalogue.form_of(kind, name)["parameters"], pairs)


def _explainer_settings(words: Sequence[str], catalogue: Any) -> tuple[tuple[str, Pairs], ...]:
    own: dict[str, list[str]] = {}
    for word in words:
        name, dot, rest = word.partition(".")
        if not dot:
            raise BadInput(f"explainer_settings={word!r} in the link is not explainer.field=value.")
        own.setdefault(_among("explainer", name, catalogue.names("explainers")), []).append(rest)
    cleaned = ((name, _settings("explainers", name, rest, catalogue)) for name, rest in own.items())
    return tuple(sorted((name, pairs) for name, pairs in cleaned if pairs))


def _single(name: str, values: Sequence[str]) -> str:
    if len(values) > 1:
        raise BadInput(f"the link names {name} {len(values)} times: once is enough.")
    return values[0] if values else ""


def _among(kind: str, value: str, known: Sequence[str]) -> str:
    if value not in known:
        raise unknown(kind, value, known, " in the link")
    return value


def _whole(name: str, text: str, low: int, high: int) -> int:
    if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
        raise BadInput(f"{name}={text!r} in the link is not a whole number from {low:,} to {high:,}.")
    return int(text)
