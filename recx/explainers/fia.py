"""FIA: the single history item with the largest influence on a recommendation's score."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from recx.core.progress import Progress, quiet
from recx.explainers._explanation import Finding
from recx.explainers._influence import NeedsOfInfluence, influence_param, influences, per_item
from recx.worlds.edited import EditedWorld


@dataclass(frozen=True)
class Fia:
    """FIA: the one history item with the largest influence on the recommendation's score.

    Cheng et al., "Incorporating Interpretability into Latent Factor Models via Fast Influence Analysis", KDD 2019. An
    influence function is the infinitesimal jackknife: the derivative of a score in the weight of one training
    interaction; FIA takes it with the Hessian restricted to the person's and the item's own parameters. `derivative` is
    d score / d weight of the history item, all others kept. For models that solve the person's vector from the history
    (ridge or fold-in: `als`, `mf`, ...) it is exactly the influence function of the person's block; the items' vectors
    stay as they are, so the part of FIA through the item's block is left out. For encoders (`multvae`, `sasrec`, ...)
    the parameters never saw this person, and it is the influence of the input event, to first order.
    `leave-one-out` is LCER's simplification (its footnote 9): the exact score change without the item. The two agree
    for models that are additive in the history. The item named need not take the recommendation out of the list: the
    check says whether it does.
    """

    influence: str = influence_param("derivative")
    paper: ClassVar[str] = "Cheng et al., KDD 2019"
    published: ClassVar[dict[str, Any]] = {"influence": "leave-one-out"}
    needs_of_world: ClassVar[Any] = NeedsOfInfluence()

    def explain(
        self,
        world: EditedWorld,
        row: torch.Tensor,
        target: torch.Tensor,
        k: int,
        *,
        seed: int = 0,
        get: Any = None,
        progress: Progress = quiet,
    ) -> list[Finding]:
        """Findings of one item; `details["per_item"]`: (column, influence in score units), largest first."""
        start = time.perf_counter()
        before = world.calls
        values = influences(world, row, target[:, None], self.influence)[:, 0].cpu()
        calls = (world.calls - before) // max(1, len(row))
        full = (world.histories[row] >= 0).cpu()
        seconds = (time.perf_counter() - start) / max(1, len(row))
        return [self._finding(own, value, calls, seconds) for own, value in zip(full, values, strict=True)]

    def _finding(self, full: torch.Tensor, value: torch.Tensor, calls: int, seconds: float) -> Finding:
        columns = torch.nonzero(full)[:, 0].tolist()
        rows = per_item(columns, value[full].tolist())
        found = rows[:1] if rows and rows[0][1] > 0 else []
        none = "" if found else ": none raises the score"
        return Finding(
            positions=tuple(column for column, _ in found),
            weights=tuple(effect for _, effect in found),
            details={"per_item": rows, "influence": self.influence},
            predicted_effect=found[0][1] if found else None,
            calls=calls,
            seconds=seconds,
            searched=f"the influence ({self.influence}) of each of {len(rows):,} history items{none}",
        )
