"""Many explanations judged at once: the chunks that studies are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from recx.core.errors import BadInput
from recx.core.progress import Progress
from recx.core.recipe import Named
from recx.recipes._recipe import Get, Recipe
from recx.recipes.fit import Fit

if TYPE_CHECKING:
    import pandas as pd

CONVENTIONS = ("as-published", "app")


@dataclass(frozen=True)
class Judge:
    """One explainer on the whole top k of the test users `first` to `last`, judged under both conventions."""

    fit: Fit
    explainer: Named
    k: int
    first: int
    last: int
    seed: int = 0
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "batch"

    def needs(self) -> tuple[Recipe, ...]:
        return (self.fit.split_data, self.fit)

    def run(self, get: Get, progress: Progress) -> pd.DataFrame:
        """One row per pair: user (test row), target, place, found, validity, length, proved, calls, seconds; for each
        convention ranks with the named items removed (`out`), alone (`only`), and the same for a placebo: random
        history items, as many (`placebo_out`, `placebo_only`)."""
        import pandas as pd
        import torch

        from recx.worlds.edited import EditedWorld

        split, scorer = get(self.fit.split_data), get(self.fit)
        test = split.test
        users = torch.arange(self.first, min(self.last, len(test)))
        if not len(users):
            raise BadInput(f"the test part has {len(test):,} users: none at {self.first:,}.")
        world = EditedWorld(
            scorer, torch.as_tensor(test.histories), torch.as_tensor(test.model_users), population=split.train
        )
        top, _ = world.top_k(users.to(world.histories.device), None, self.k)
        row, target = users.to(top.device).repeat_interleave(self.k), top.flatten()
        explainer = self.explainer.build()
        missing = explainer.needs_of_world - world.capabilities
        if missing:
            raise BadInput(
                f"{self.explainer.name} cannot explain {self.fit.model.name}: it lacks {', '.join(missing)}."
            )
        findings = explainer.explain(world, row, target, self.k, seed=self.seed, get=get, progress=progress)
        table = {
            "user": row.cpu().numpy(),
            "target": target.cpu().numpy(),
            "place": (torch.arange(len(row)) % self.k + 1).numpy(),
            "found": [bool(f.positions) for f in findings],
            "validity": [bool(f.details.get("validity", bool(f.positions))) for f in findings],
            "length": [len(f.positions) for f in findings],
            "proved": [bool(f.proved) for f in findings],
            "calls": [f.calls for f in findings],
            "seconds": [f.seconds for f in findings],
        }
        return pd.DataFrame(table | _ranks(world, row, target, findings, self.seed))


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
