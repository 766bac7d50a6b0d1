"""The list as a whole, explained and checked: what it hangs on, and what each history item holds up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from recx.core.progress import Progress
from recx.core.recipe import Named
from recx.recipes._recipe import Get, Recipe
from recx.recipes.explain import check_capabilities, check_words, named_details, spoken, verb_of
from recx.recipes.fit import Fit
from recx.recipes.learnt import get_for, needed_by
from recx.recipes.people import Person, item_row, resolve, world_of
from recx.recipes.recommend import check_k

if TYPE_CHECKING:
    from recx.explainers._check import ListVerdict
    from recx.explainers._explanation import Explanation, Finding
    from recx.explainers._lists import Support

ONLY = "your one recommendation would be another"


@dataclass(frozen=True)
class ExplainList:
    """The items without which `share` (one, half, all) of each person's top k would be others.

    `weights`: how the values that an explainer gives for the single items of the list are added up, `equal` or `rank`
    (1 / log2(1 + place)); an explainer with a search of its own for lists does not use them.
    """

    fit: Fit
    people: tuple[Person, ...]
    explainer: Named
    k: int = 10
    share: str = "half"
    weights: str = "equal"
    world: str = "edited-history"
    seed: int = 0
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "interactive"

    def needs(self) -> tuple[Recipe, ...]:
        return (self.fit.data, self.fit.split_data, self.fit, *needed_by(self.explainer, self.fit))

    def run(self, get: Get, progress: Progress) -> list[Explanation]:
        """One Explanation per person with target None. `valid`, `necessary`: enough of the list is replaced.

        `details`: share, need, size (of the list), replaced, pn_s, pn_r (2604.19663), stay (how many remain with only
        the named items), left (item, title, place before), came (place now), shares (one row per history item: what
        leaves without it alone, and its part of the sum), per_item. Raises BadInput.
        """
        import torch

        from recx.explainers._check import check_list
        from recx.explainers._lists import explain_list, support

        data = get(self.fit.data)
        check_k(self.k, data.n_items)
        check_words(self.world, self.people)
        case = resolve(self.fit, self.people, get)
        world, explainer = world_of(self.fit, case, get), self.explainer.build()
        check_capabilities(self.explainer, explainer, self.fit, world)
        row = torch.arange(len(self.people), device=world.histories.device)
        k, share, seed, learnt = self.k, self.share, self.seed, get_for(self.explainer, self.fit, get)
        findings = explain_list(
            explainer, world, row, k, share, weights=self.weights, seed=seed, get=learnt, progress=progress
        )
        verdicts = check_list(world, row, k, share, findings)
        held = support(world, row, k)
        return [
            self._explanation(data, case, b, *one) for b, one in enumerate(zip(findings, verdicts, held, strict=True))
        ]

    def _explanation(
        self, data: Any, case: Any, b: int, finding: Finding, verdict: ListVerdict, held: list[Support]
    ) -> Explanation:
        from recx.explainers._explanation import Explanation

        rows = [item_row(data, int(case.histories[b, column])) for column in finding.positions]
        titles = tuple(row["title"] for row in rows)
        reached = verdict.replaced >= verdict.need if rows else None
        history = case.histories[b]
        return Explanation(
            explainer=self.explainer.name,
            recommender=self.fit.model.name,
            dataset=data.name,
            user=self.people[b].user,
            target=None,
            target_title=None,
            k=self.k,
            items=tuple(row["item"] for row in rows),
            titles=titles,
            weights=finding.weights,
            details=named_details(data, history, finding.details)
            | _counts(data, verdict)
            | {"shares": [_support_row(data, history, one) for one in held]},
            world=self.world,
            found=bool(rows),
            valid=reached,
            necessary=reached,
            minimal=verdict.minimal,
            model_calls=finding.calls,
            seconds=round(finding.seconds, 6),
            searched=finding.searched,
            sentence=list_sentence(
                titles, verdict.replaced, verdict.need, verdict.size, finding.searched, verb_of(self.fit)
            ),
        )


def _counts(data: Any, verdict: ListVerdict) -> dict[str, Any]:
    """The verdict on a list as plain values with titles."""

    def rows(items: tuple[tuple[int, int], ...]) -> list[dict[str, Any]]:
        return [_named(data, item) | {"place": place} for item, place in items]

    plain = ("size", "need", "replaced", "pn_s", "pn_r", "stay")
    return {name: getattr(verdict, name) for name in plain} | {"left": rows(verdict.left), "came": rows(verdict.came)}


def _named(data: Any, code: int) -> dict[str, Any]:
    found = item_row(data, code)
    return {"item": found["item"], "title": found["title"]}


def _support_row(data: Any, history: Any, one: Support) -> dict[str, Any]:
    values = {name: value for name, value in vars(one).items() if name != "column"}
    return _named(data, int(history[one.column])) | values


def list_sentence(
    titles: tuple[str, ...], replaced: int, need: int, size: int, searched: str, verb: str = "chosen"
) -> str:
    """The finding on a list in words; it claims only what the check found."""
    if not titles:
        part = f"all {size}" if need >= size else f"{need} of the {size}"
        return f"No set of history items found that replaces {part} recommendations: {searched}."
    named = spoken(titles)
    if not replaced:
        return f"Without {named}, your {size} recommendations would be the same."
    part = f"{replaced} of your {size} recommendations would be {'another' if replaced == 1 else 'others'}"
    if replaced < need:
        return f"Without {named}, only {part}."
    if replaced == size:
        part = f"all {size} of your recommendations would be others" if size > 1 else ONLY
    return f"Had you not {verb} {named}, {part}."
