"""Many explanations judged at once: the chunks that studies are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from recx.core.progress import Progress
from recx.core.recipe import Named
from recx.recipes._pairs import pairs
from recx.recipes._recipe import Get, Recipe
from recx.recipes.explain import check_capabilities
from recx.recipes.fit import Fit
from recx.recipes.learnt import get_for, needed_by

if TYPE_CHECKING:
    import pandas as pd

CONVENTIONS = ("as-published", "app")


@dataclass(frozen=True)
class Judge:
    """One explainer on the whole top k of the people `first` to `last`, judged under both conventions.

    `part`: the people of the split's "test" or "valid" part.
    """

    fit: Fit
    explainer: Named
    k: int
    first: int
    last: int
    seed: int = 0
    part: str = "test"
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "batch"

    def needs(self) -> tuple[Recipe, ...]:
        return (self.fit.split_data, self.fit, *needed_by(self.explainer, self.fit))

    def run(self, get: Get, progress: Progress) -> pd.DataFrame:
        """One row per pair.

        Who: `user` (row of the part), `target` (item code), `place`, `history` (its length), `hit` (is the target among
        the events held out of this person). What was answered: `found`, `validity`, `length`, `goal`, `proved`,
        `calls`, `seconds`, `items` (codes, the first named first), `ranking` and `values` (all history items by the
        explainer's value of each, the largest first; empty where it gives none). `popularity`: mean percentile of the
        named items in the training data (NaN where none), `popularity_history`: of all items of the history. For each
        convention ranks with the named items removed (`out`), alone (`only`), and the same for a placebo: random
        history items, as many (`placebo_out`, `placebo_only`).
        """
        import pandas as pd

        world, row, target, held_out = pairs(self, get)
        explainer = self.explainer.build()
        check_capabilities(self.explainer, explainer, self.fit, world)
        learnt = get_for(self.explainer, self.fit, get)
        findings = explainer.explain(world, row, target, self.k, seed=self.seed, get=learnt, progress=progress)
        history = world.histories[row].cpu().numpy()
        table = {
            "user": row.cpu().numpy(),
            "target": target.cpu().numpy(),
            "place": [p % min(self.k, world.n_items) + 1 for p in range(len(row))],
            "history": (history >= 0).sum(1),
            "hit": (held_out[row.cpu().numpy()] == target.cpu().numpy()[:, None]).any(1),
            "found": [bool(f.positions) for f in findings],
            "validity": [bool(f.details.get("validity", bool(f.positions))) for f in findings],
            "length": [len(f.positions) for f in findings],
            "goal": [f.goal for f in findings],
            "proved": [bool(f.proved) for f in findings],
            "calls": [f.calls for f in findings],
            "seconds": [f.seconds for f in findings],
        }
        table |= _named(history, findings) | _popularity(world, history, findings)
        return pd.DataFrame(table | _ranks(world, row, target, findings, self.seed))


def _named(history: Any, findings: list[Any]) -> dict[str, Any]:
    """Lists of item codes: the set named, and all items by the explainer's own value (`values`, the same order)."""
    per_item = [f.details.get("per_item", ()) for f in findings]
    every = list(zip(history, findings, per_item, strict=True))
    return {
        "items": [[int(own[c]) for c in f.positions] for own, f, _ in every],
        "ranking": [[int(own[one[0]]) for one in values] for own, _, values in every],
        "values": [[float(one[1]) for one in values] for _, _, values in every],
    }


def _popularity(world: Any, history: Any, findings: list[Any]) -> dict[str, Any]:
    """Mean percentiles of popularity Float[P], 100 for the most popular: of the named items, and of the history."""
    import numpy as np

    from recx.metrics.explanation import percentiles

    if world.population is None:
        return {}
    percentile = percentiles(world.population.popularity)
    own = np.where(history >= 0, percentile[history], np.nan)
    named = [own[p, list(f.positions)].mean() if f.positions else np.nan for p, f in enumerate(findings)]
    return {"popularity": named, "popularity_history": np.nanmean(own, axis=1)}


def _ranks(world: Any, row: Any, target: Any, findings: list[Any], seed: int) -> dict[str, Any]:
    """Ranks int64[P] for named sets and placebos, by convention."""
    from recx.explainers._check import named_mask

    full = world.histories[row] >= 0
    named = named_mask(full, findings)
    placebo = random_sets(full, named.sum(1), seed)
    columns = {}
    for convention in CONVENTIONS:
        for label, mask in (("", named), ("placebo_", placebo)):
            columns[f"{label}out {convention}"] = world.rank(row, full & ~mask, target, convention).cpu().numpy()
            columns[f"{label}only {convention}"] = world.rank(row, full & mask, target, convention).cpu().numpy()
    return columns


def random_sets(full: Any, sizes: Any, seed: int) -> Any:
    """Bool[P, L]: uniformly drawn columns of each history, `sizes` Long[P] of them."""
    import torch

    from recx.core import device as devices

    draw = torch.rand(full.shape, generator=devices.generator(seed)).to(full.device).masked_fill(~full, 2.0)
    return full & (draw.argsort(1).argsort(1) < sizes[:, None])
