"""A setting of LCER found by its result: lambda such that its sets are as long as another explainer's."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from recx.core import registry
from recx.core.progress import Progress
from recx.core.recipe import Named
from recx.recipes._recipe import Get, Recipe
from recx.recipes.fit import Fit
from recx.recipes.judge import Judge

CHUNK = 50
START = (0.01, 0.03, 0.1)
"""Values of lambda that every search begins with, so that searches for several lengths share them."""
CLOSE = 0.02
MOST = 12
"""Values of lambda tried for one length."""
LEAST, GREATEST = 1e-5, 3.0
"""No lambda beyond these is tried."""


@dataclass(frozen=True)
class Matched:
    """lambda at which LCER's sets are, on *validation* people, as long on average as those of `other`.

    The mean length falls as lambda grows; it is searched by halving and interpolation in log lambda until the two
    lengths are within `CLOSE` items, or `MOST` values are tried. A length counts pairs with a set, as in the tables; a
    lambda so great that LCER finds sets for fewer than half as many pairs as the other counts as length 0: the few that
    are left say nothing, and the search goes back.
    """

    fit: Fit
    lcer: Named
    other: Named
    k: int
    users: int
    seed: int = 0
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "batch"

    def _judged(self, explainer: Named) -> tuple[Judge, ...]:
        starts = range(0, self.users, CHUNK)
        return tuple(
            Judge(self.fit, explainer, self.k, at, min(at + CHUNK, self.users), self.seed, "valid") for at in starts
        )

    def at(self, lam: float) -> Named:
        """LCER with this lambda."""
        return registry.named("explainers", self.lcer.name, dict(self.lcer.settings) | {"lam": lam})

    def needs(self) -> tuple[Recipe, ...]:
        return (self.fit, *self._judged(self.other))

    def run(self, get: Get, progress: Progress) -> dict[str, Any]:
        """`lam`, `length` of LCER's sets there and `wanted`, the other's, on validation people; `tried`: (lambda,
        length) of all."""

        def total(explainer: Named, column: str) -> int:
            return sum(int(get(part)[column].sum()) for part in self._judged(explainer))

        found = total(self.other, "found")
        wanted = total(self.other, "length") / max(1, found)

        def length(lam: float) -> float:
            own = total(self.at(lam), "found")
            return total(self.at(lam), "length") / own if 2 * own >= max(1, found) else 0.0

        tried = search(length, wanted, progress)
        best = min(tried, key=lambda lam: abs(tried[lam] - wanted))
        return {"lam": best, "length": tried[best], "wanted": wanted, "tried": sorted(tried.items())}


def search(length: Callable[[float], float], wanted: float, progress: Progress) -> dict[float, float]:
    """{lambda: length} of all values tried; `length` falls with lambda, not everywhere strictly.

    Between the nearest values on both sides of `wanted`, the next one is that of a straight line in log lambda, or,
    every third time, the middle.
    """
    tried: dict[float, float] = {}
    queue = list(START)
    while len(tried) < MOST:
        lam = queue.pop(0) if queue else _next(tried, wanted)
        if lam is None or lam in tried:
            break
        tried[lam] = length(lam)
        progress(len(tried) / MOST, f"lambda {lam:g}: {tried[lam]:.3f} items, wanted {wanted:.3f}")
        if abs(tried[lam] - wanted) <= CLOSE and not queue:
            break
    return tried


def _next(tried: dict[float, float], wanted: float) -> float | None:
    """The next lambda, to three digits; beyond the ends where all lengths lie on one side, None where they end."""
    longer = [lam for lam, n in tried.items() if n > wanted]
    shorter = [lam for lam, n in tried.items() if n <= wanted]
    if not longer:
        return _round(min(shorter) / 10) if min(shorter) > LEAST else None
    if not shorter:
        return _round(min(max(longer) * 3, GREATEST)) if max(longer) < GREATEST else None
    low, high = max(longer), min((lam for lam in shorter if lam > max(longer)), default=max(shorter))
    share = (tried[low] - wanted) / (tried[low] - tried[high])
    if len(tried) % 3 == 2:
        share = 0.5
    a, b = math.log(low), math.log(high)
    return _round(math.exp(a + min(max(share, 0.05), 0.95) * (b - a)))


def _round(lam: float) -> float:
    return float(f"{lam:.3g}")
