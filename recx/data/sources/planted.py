"""The embedded default: a generated world of films and gadgets whose true causes are known."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from recx.core.recipe import param
from recx.data import _planted
from recx.data.interactions import Interactions


@dataclass(frozen=True)
class Planted:
    """Films and gadgets (generated, true causes known).

    People choose by taste for genres and by popularity (Zipf). Some events are caused by an earlier one: part 1 of a
    series makes people watch part 2, a console makes them buy its controller and its cable. Controller and cable share
    that cause and do not cause each other, though they go together more strongly than the parts of a series do.
    The strengths are drawn by seed from `recx.data._planted.RANGES`. `extra["cause"]` of the data says for each event
    the row of the earlier event of the same person that caused it, -1 for none.
    """

    seed: int = param(0, "Which world: titles, strengths and all choices follow from it.", low=0, high=2**31 - 1)
    users: int = param(400, "How many people.", unit="users", low=20, high=5000)
    items: int = param(300, "How many films and gadgets.", unit="items", low=120, high=600)
    paper: ClassVar[str] = ""
    prepare: ClassVar[dict[str, Any]] = {}
    how_to_get: ClassVar[str] = "It is generated on the spot in under a second; nothing to fetch."

    def files(self) -> list[Path]:
        """None: the data are generated."""
        return []

    def load(self) -> Interactions:
        """The events, the same for the same settings."""
        return _planted.events(self._world())

    def truth(self) -> dict[str, Any]:
        """What was planted, to score a finding against; items are named by id.

        `edges`: DataFrame `cause`, `effect` (item ids), `kind` ("series", "accessory"), `probability` that an event on
        the cause brings about one on the effect if the person has not had it. `common_causes`: DataFrame `a`, `b`,
        `cause`: pairs that one cause brings about and that have no edge between them. `strengths`: dict of the numbers
        drawn from `RANGES`.
        """
        return _planted.truth(self._world())

    def _world(self) -> _planted.World:
        return _planted.draw(self.seed, self.users, self.items)
