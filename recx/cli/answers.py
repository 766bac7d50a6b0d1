"""`recx fit`, `recommend`, `explain`: what a model gives, and why."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from recx.cli.ask import a_store, fit_and_settings, fit_options
from recx.cli.root import cli
from recx.cli.say import Shown, cell, shown, table
from recx.core import registry
from recx.core.errors import BadInput
from recx.core.progress import Progress

SHOWN = 10
"""History items that a text lists."""


@cli.command()
@click.argument("dataset")
@click.argument("model")
@fit_options
@shown
def fit(dataset: str, model: str, progress: Progress, **options: Any) -> Shown:
    """Fit a model and measure it on the held-out part, beside chance and popularity."""
    from recx.core.progress import part_of
    from recx.recipes.fit import Chance, Evaluate

    store, (recipe, _) = a_store(), fit_and_settings(dataset, model, options)
    scorer = store.get(recipe, part_of(progress, 0.0, 0.8))
    metrics = store.get(Evaluate(recipe), part_of(progress, 0.8, 0.9))
    popular = replace(recipe, model=registry.named("models", "toppop"))
    floors = {"chance": store.get(Chance(recipe.split_data))}
    floors |= {"toppop": store.get(Evaluate(popular), part_of(progress, 0.9, 1.0))}
    document = {"key": store.key(recipe), "dataset": dataset, "model": model, "metrics": metrics, "floors": floors}
    document |= {key: scorer.report.get(key) for key in ("seconds", "device", "converged")}
    rows = [{"": model} | metrics, *({"": name} | values for name, values in floors.items())]
    return document, lambda: f"{_fit_head(document)}\n{table(rows, ['', *metrics])}"


def _fit_head(document: dict[str, Any]) -> str:
    """The first line for a reader: how long it took, where, and whether it was done."""
    done = {True: "", False: "; not converged: it stopped at a limit (max_seconds, epochs)", None: ""}
    took = f"{document['seconds']} s on {document['device']}"
    return f"{document['model']} on {document['dataset']}: {took}{done[document['converged']]}"


@cli.command()
@click.argument("dataset")
@click.argument("model")
@click.option("--user", required=True, help="The data set's own id.")
@click.option("--k", default=10, show_default=True)
@fit_options
@shown
def recommend(dataset: str, model: str, user: str, k: int, progress: Progress, **options: Any) -> Shown:
    """What a user is recommended."""
    from recx.recipes.people import Person
    from recx.recipes.recommend import Recommend

    recipe = Recommend(fit_and_settings(dataset, model, options)[0], (Person(user),), k)
    found = a_store().get(recipe, progress)[0]
    return found, lambda: _recommend_text(user, found)


def _recommend_text(user: str, found: dict[str, Any]) -> str:
    held = ", ".join(row["title"] for row in found["held_out"]) or "nothing"
    head = f"user {user}: {len(found['history'])} items in the history, held out: {held}"
    return f"{head}\n{table(found['items'], ('rank', 'item', 'title', 'year', 'score', 'held_out'))}"


@cli.command()
@click.argument("dataset")
@click.argument("model")
@click.option("--most", default=100, show_default=True, type=click.IntRange(1), help="How many rules are shown.")
@fit_options
@shown
def rules(dataset: str, model: str, most: int, progress: Progress, **options: Any) -> Shown:
    """The association rules of a whole data set, beside the base rate (--set association.min_support=0.1)."""
    from recx.recipes._build import explainer_of
    from recx.recipes.global_rules import GlobalRules

    recipe, chosen = fit_and_settings(dataset, model, options, ("association",))
    found = a_store().get(GlobalRules(recipe, explainer_of("association", chosen["association"]), most), progress)
    return found, lambda: _rules_text(found)


def _rules_text(found: dict[str, Any]) -> str:
    head = f"{found['passing']:,} rules pass the thresholds over {found['histories']:,} histories"
    columns = ("title", "target_title", "support", "confidence", "base_rate", "lift", "leverage")
    return f"{head}\n{table(found['rules'], columns)}"


@cli.command()
@click.argument("dataset")
@click.argument("model")
@click.option("--user", required=True, help="The data set's own id.")
@click.option("--item", help="The recommended item to explain [the first of the list].")
@click.option("--each", is_flag=True, help="Explain every item of the list, one by one.")
@click.option("--list", "whole", is_flag=True, help="Explain the list as a whole.")
@click.option(
    "--replace",
    type=click.Choice(["one", "half", "all"]),
    help="With --list: how much of the list shall be others [half].",
)
@click.option("--k", default=10, show_default=True, help="The length of the list.")
@click.option(
    "--with", "names", multiple=True, default=("minimal",), show_default=True, help="An explainer (repeatable)."
)
@click.option("--world", default="edited-history", show_default=True)
@fit_options
@shown
def explain(
    dataset: str,
    model: str,
    user: str,
    item: str | None,
    each: bool,
    whole: bool,
    replace: str | None,
    k: int,
    names: tuple[str, ...],
    world: str,
    progress: Progress,
    **options: Any,
) -> Shown:
    """Why a user is recommended an item, checked by running the model without the reason."""
    from recx.core.progress import part_of
    from recx.recipes._build import explainer_of
    from recx.recipes.explain import Explain
    from recx.recipes.explain_list import ExplainList
    from recx.recipes.people import Person
    from recx.recipes.recommend import Recommend

    given = [name for name, value in (("--item", item), ("--each", each), ("--list", whole)) if value]
    if len(given) > 1:
        raise BadInput(f"{' and '.join(given)} exclude each other: give one.")
    if replace and not whole:
        raise BadInput("--replace says how much of the whole list shall be others: give --list too.")
    store, person = a_store(), Person(user)
    recipe, chosen = fit_and_settings(dataset, model, options, names)
    asked = [explainer_of(name, chosen[name]) for name in dict.fromkeys(names)]
    targets: tuple[str | None, ...] = (item,)
    if each:
        targets = tuple(row["item"] for row in store.get(Recommend(recipe, (person,), k), progress)[0]["items"])
    found = []
    for place, explainer in enumerate(asked):
        question: Any = Explain(recipe, (person,) * len(targets), targets, explainer, k, world, options["seed"])
        if whole:
            seed = options["seed"]
            question = ExplainList(recipe, (person,), explainer, k, replace or "half", world=world, seed=seed)
        found += store.get(question, part_of(progress, place / len(asked), (place + 1) / len(asked)))
    say = _list_texts if whole else lambda found: map(_explanation_text, found)
    return [one.as_dict() for one in found], lambda: "\n\n".join(say(found))


def _explanation_text(one: Any) -> str:
    """The sentence and the verdict of an explanation."""
    after = "-" if one.rank_after is None else one.rank_after
    verdict = f"rank {one.rank_before} -> {after}, necessary {cell(one.necessary)}, sufficient {cell(one.sufficient)}"
    more = f", minimal {one.minimal}" if one.minimal else ""
    instead = f", replaced by {one.replacement_title}" if one.replacement_title else ""
    cost = f"{one.model_calls:,} model calls, {one.seconds:.3f} s; {one.searched}"
    return f"{one.explainer}: {one.sentence}\n  {verdict}{more}{instead}\n  {cost}"


def _list_texts(found: list[Any]) -> list[str]:
    """For each explainer the sentence, the verdict, what leaves and comes; then the items that hold up most."""
    return [*map(_list_text, found), _held_text(found[0].details["shares"])]


def _list_text(one: Any) -> str:
    more, lines = one.details, [f"{one.explainer}: {one.sentence}"]
    if one.found:
        minimal = f", minimal {one.minimal}" if one.minimal else ""
        asked = f"replaced {more['replaced']} of {more['size']} (asked for {more['need']})"
        lines.append(f"  {asked}, PN-S {more['pn_s']:.3f}, PN-R {more['pn_r']:.3f}{minimal}")
        for name in ("left", "came"):
            lines.append(f"  {name}: " + ", ".join(f"{row['place']}. {row['title']}" for row in more[name]))
    return "\n".join([*lines, f"  {one.model_calls:,} model calls, {one.seconds:.3f} s; {one.searched}"])


def _held_text(shares: list[dict[str, Any]]) -> str:
    """A table of what leaves the list without single history items."""
    held = [row for row in shares if row["replaced"]]
    if not held:
        return f"without any one of the {len(shares):,} history items the list stays the same"
    columns = ("title", "replaced", "pn_s", "pn_r", "share", "share_ranked")
    more = f" (the first {SHOWN} of {len(held):,})" if len(held) > SHOWN else ""
    return f"the list without one history item{more}:\n{table(held[:SHOWN], columns)}"
