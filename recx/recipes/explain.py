"""Explanations, checked: one batch for many people and targets."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from recx.core import registry
from recx.core.errors import BadInput
from recx.core.progress import Progress
from recx.core.recipe import Named
from recx.recipes._recipe import Get, Recipe
from recx.recipes.fit import Fit
from recx.recipes.learnt import get_for, needed_by
from recx.recipes.people import Person, item_row, resolve, world_of
from recx.recipes.recommend import check_k

if TYPE_CHECKING:
    from recx.explainers._check import Verdict
    from recx.explainers._explanation import Explanation, Finding

WORLDS = ("edited-history",)


@dataclass(frozen=True)
class Explain:
    """Why each person is recommended their target (None: the first of their list), within the top k."""

    fit: Fit
    people: tuple[Person, ...]
    targets: tuple[str | None, ...]
    explainer: Named
    k: int = 10
    world: str = "edited-history"
    seed: int = 0
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "interactive"

    def needs(self) -> tuple[Recipe, ...]:
        return (self.fit.data, self.fit.split_data, self.fit, *needed_by(self.explainer, self.fit))

    def run(self, get: Get, progress: Progress) -> list[Explanation]:
        """One Explanation per pair. Raises BadInput for a target that is not recommended or cannot be."""
        import torch

        data = get(self.fit.data)
        check_k(self.k, data.n_items)
        check_words(self.world, self.people)
        if len(self.people) != len(self.targets):
            raise BadInput(
                f"{len(self.people)} people and {len(self.targets)} targets were given: name one target each."
            )
        case = resolve(self.fit, self.people, get)
        world = world_of(self.fit, case, get)
        explainer = self.explainer.build()
        check_capabilities(self.explainer, explainer, self.fit, world)
        row = torch.arange(len(self.people), device=world.histories.device)
        top, _ = world.top_k(row, None, self.k)
        target = torch.tensor(
            [self._target(data, case, top, b) for b in range(len(row))], dtype=torch.long, device=world.histories.device
        )
        learnt = get_for(self.explainer, self.fit, get)
        findings = explainer.explain(world, row, target, self.k, seed=self.seed, get=learnt, progress=progress)
        verdicts = _checked(world, row, target, self.k, findings)
        return [
            self._explanation(data, case, b, int(target[b]), finding, verdict)
            for b, (finding, verdict) in enumerate(zip(findings, verdicts, strict=True))
        ]

    def _target(self, data: Any, case: Any, top: Any, b: int) -> int:
        """The code of a target that is in the top k, or the sentence that says why it cannot be explained."""
        name = self.targets[b]
        code = int(top[b, 0]) if name is None else data.item_code(name)
        title = data.items["title"].iloc[code]
        if code in case.histories[b]:
            raise BadInput(
                f"{title!r} is already in the history, so it is not recommended: choose an item of the list."
            )
        if code not in top[b]:
            raise BadInput(
                f"{title!r} is not in the top {self.k}: choose an item of the list, a larger k, or ask why not."
            )
        return code

    def _explanation(
        self, data: Any, case: Any, b: int, target: int, finding: Finding, verdict: Verdict
    ) -> Explanation:
        from recx.explainers._explanation import Explanation

        codes = [int(case.histories[b, column]) for column in finding.positions]
        rows = [item_row(data, code) for code in codes]
        titles = tuple(row["title"] for row in rows)
        own = item_row(data, target)
        necessary = None if verdict.rank_after is None else verdict.rank_before <= self.k < verdict.rank_after
        replacement = None if verdict.replacement is None else item_row(data, verdict.replacement)
        return Explanation(
            explainer=self.explainer.name,
            recommender=self.fit.model.name,
            dataset=data.name,
            user=self.people[b].user,
            target=own["item"],
            target_title=own["title"],
            k=self.k,
            items=tuple(row["item"] for row in rows),
            titles=titles,
            weights=finding.weights,
            details=named_details(data, case.histories[b], finding.details),
            world=self.world,
            found=bool(codes),
            valid=necessary if codes else None,
            rank_before=verdict.rank_before,
            rank_after=verdict.rank_after,
            margin_before=finite(verdict.margin_before),
            margin_after=finite(verdict.margin_after),
            replacement=replacement["item"] if replacement else None,
            replacement_title=replacement["title"] if replacement else None,
            rank_only=verdict.rank_only,
            necessary=necessary,
            sufficient=None if verdict.rank_only is None else verdict.rank_only <= self.k,
            minimal=verdict.minimal,
            predicted_effect=finding.predicted_effect,
            model_calls=finding.calls,
            seconds=round(finding.seconds, 6),
            searched=finding.searched,
            sentence=sentence(
                titles,
                own["title"],
                self.k,
                (verdict.rank_before, verdict.rank_after),
                finding.searched,
                verb_of(self.fit),
            ),
        )


def check_words(world: str, people: tuple[Person, ...]) -> None:
    """Raises BadInput for an unknown world and for people with items switched off."""
    if world not in WORLDS:
        raise BadInput(f"unknown world {world!r}: known are {', '.join(WORLDS)}.")
    if any(person.without for person in people):
        raise BadInput("switched-off items cannot be explained: explain the whole history.")


def check_capabilities(named: Named, explainer: Any, fit: Fit, world: Any) -> None:
    """Raises BadInput when an explainer needs what the world of this model cannot do."""
    missing = explainer.needs_of_world - world.capabilities
    if missing:
        raise BadInput(
            f"{named.name} needs {_in_words(missing)}, which {fit.model.name} does not have: "
            "choose another model or explainer."
        )


def verb_of(fit: Fit) -> str:
    """What people do with the items of this data set, in the past participle."""
    source = fit.data.source
    return str(getattr(registry.load(source.kind, source.name), "verb", "chosen"))


def sentence(
    titles: tuple[str, ...],
    target: str,
    k: int,
    ranks: tuple[int, int | None],
    searched: str,
    verb: str = "chosen",
) -> str:
    """The finding in words; it claims only what the check found. `ranks`: with the named items, and without."""
    if not titles:
        return f"No reason found for {target}: {searched}."
    named = spoken(titles)
    before, after = ranks
    if before > k:
        return f"{target} ties with others at the end of the top {k}: without {named} it is in place {after}."
    if after is not None and after > k:
        return f"Had you not {verb} {named}, {target} would not be recommended."
    return f"Without {named}, {target} would still be recommended, in place {after} of the top {k}."


def spoken(titles: tuple[str, ...]) -> str:
    """Titles as a sentence names them: A, B and C."""
    return titles[0] if len(titles) == 1 else f"{', '.join(titles[:-1])} and {titles[-1]}"


def _checked(world: Any, row: Any, target: Any, k: int, findings: list[Finding]) -> list[Verdict]:
    from recx.explainers._check import check

    return check(world, row, target, k, findings)


def named_details(data: Any, history: Any, details: dict[str, Any]) -> dict[str, Any]:
    """Columns of the history row as ids and titles."""

    def coded(code: int) -> dict[str, Any]:
        found = item_row(data, code)
        return {"item": found["item"], "title": found["title"]}

    def row(column: int) -> dict[str, Any]:
        return coded(int(history[column]))

    named = dict(details)
    if "per_item" in details:
        named["per_item"] = [row(c) | {"value": finite(v)} | _rank(more) for c, v, *more in details["per_item"]]
    if "predicted_replacement" in details:
        named["predicted_replacement"] = coded(details["predicted_replacement"])
    if "rules" in details:
        named["rules"] = [
            row(rule["column"]) | {k: v for k, v in rule.items() if k != "column"} for rule in details["rules"]
        ]
    if "leading" in details:
        named["leading"] = [
            coded(one["code"]) | {k: v for k, v in one.items() if k != "code"} for one in details["leading"]
        ]
    if "perturbed" in details:
        named["perturbed"] = [_perturbed(coded, one) for one in details["perturbed"]]
    return named


def _perturbed(coded: Any, one: dict[str, Any]) -> dict[str, Any]:
    """A perturbed history: `history` (item, title, changed), `output` (item, title), `recommended`."""
    items = [coded(code) | {"changed": new} for code, new in zip(one["codes"], one["changed"], strict=True)]
    return {"history": items, "output": coded(one["output"]), "recommended": one["recommended"]}


def _rank(more: list[Any]) -> dict[str, int]:
    return {"rank_without": int(more[0])} if more else {}


def finite(value: float | None) -> float | None:
    """The number, or None where there is none or where JSON has no word for it (infinite, not a number)."""
    return None if value is None or not math.isfinite(value) else float(value)


def _in_words(capabilities: frozenset[str]) -> str:
    words = {
        "soft": "scores that can be differentiated in the history",
        "additive": "scores that add up what each history item gives",
        "population": "the training histories",
        "embeddings": "a vector for each item",
        "attention": "attention to the items of a history",
    }
    return " and ".join(words.get(name, name) for name in sorted(capabilities))
