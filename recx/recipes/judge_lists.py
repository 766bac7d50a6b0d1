"""Many whole lists explained and judged at once: the chunks that the study of lists is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from recx.core.progress import Progress
from recx.core.recipe import Named
from recx.recipes._pairs import pairs
from recx.recipes._recipe import Get, Recipe
from recx.recipes.explain import check_capabilities
from recx.recipes.fit import Fit
from recx.recipes.judge import random_sets
from recx.recipes.learnt import get_for, needed_by

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class JudgeLists:
    """One explainer on the whole lists of the people `first` to `last` of a part, `share` of each to be replaced."""

    fit: Fit
    explainer: Named
    k: int
    share: str
    first: int
    last: int
    seed: int = 0
    part: str = "test"
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "batch"

    def needs(self) -> tuple[Recipe, ...]:
        return (self.fit.split_data, self.fit, *needed_by(self.explainer, self.fit))

    def run(self, get: Get, progress: Progress) -> pd.DataFrame:
        """One row per person.

        `user` (row of the part), `history` (its length), `size`, `need`, `found`, `length`, `replaced`, `enough`
        (found, and at least `need` are replaced), `pn_s`, `pn_r`, `proved` (no smaller set exists), `irreducible` (no
        part of the set is enough, all tried), `calls`, `seconds`, `items` (codes); `placebo_pn_s`, `placebo_pn_r`,
        `placebo_enough`: the same for random history items, as many.
        """
        import pandas as pd

        from recx.explainers._check import check_list
        from recx.explainers._lists import explain_list

        world, row, _, _ = pairs(self, get)
        row = row.unique_consecutive()
        explainer = self.explainer.build()
        check_capabilities(self.explainer, explainer, self.fit, world)
        learnt = get_for(self.explainer, self.fit, get)
        asked = {"seed": self.seed, "get": learnt, "progress": progress}
        findings = explain_list(explainer, world, row, self.k, self.share, **asked)  # type: ignore[arg-type]
        verdicts = check_list(world, row, self.k, self.share, findings)
        history = world.histories[row].cpu().numpy()
        found = [bool(f.positions) for f in findings]
        table = {
            "user": row.cpu().numpy(),
            "history": (history >= 0).sum(1),
            "size": [v.size for v in verdicts],
            "need": [v.need for v in verdicts],
            "found": found,
            "length": [len(f.positions) for f in findings],
            "replaced": [v.replaced for v in verdicts],
            "enough": [named and v.replaced >= v.need for named, v in zip(found, verdicts, strict=True)],
            "pn_s": [v.pn_s for v in verdicts],
            "pn_r": [v.pn_r for v in verdicts],
            "proved": [bool(f.proved) for f in findings],
            "irreducible": [v.minimal == "proved" for v in verdicts],
            "calls": [f.calls for f in findings],
            "seconds": [f.seconds for f in findings],
            "items": [[int(own[c]) for c in f.positions] for own, f in zip(history, findings, strict=True)],
        }
        return pd.DataFrame(table | self._placebo(world, row, findings))

    def _placebo(self, world: Any, row: Any, findings: list[Any]) -> dict[str, Any]:
        from recx.explainers._check import check_list, named_mask
        from recx.explainers._explanation import Finding

        full = world.histories[row] >= 0
        chance = random_sets(full, named_mask(full, findings).sum(1), self.seed)
        sets = [Finding(positions=tuple(own.nonzero()[:, 0].tolist()), goal="list") for own in chance.cpu()]
        verdicts = check_list(world, row, self.k, self.share, sets, minimal=False)
        return {
            "placebo_pn_s": [v.pn_s for v in verdicts],
            "placebo_pn_r": [v.pn_r for v in verdicts],
            "placebo_enough": [bool(s.positions) and v.replaced >= v.need for s, v in zip(sets, verdicts, strict=True)],
        }
