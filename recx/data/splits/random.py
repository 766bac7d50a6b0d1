"""A share of the events, at random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recx.core.recipe import param
from recx.data.interactions import Interactions, Split
from recx.data.splits._cases import cases, checked


@dataclass(frozen=True)
class Random:
    """Events at random.

    Each event is drawn for test, validation or training. `per_user` rounds within each user (of n events, int(share n)
    go to each held-out part), otherwise over all events together. The history of a validation case is the user's
    training events, that of a test case training and validation events, both in their order; users without a
    training event or without a target are no case.
    """

    valid: float = param(0.1, "The share of events for validation.", low=0.01, high=0.4)
    test: float = param(0.2, "The share of events for the test.", low=0.01, high=0.5)
    per_user: bool = param(True, "Take the share from each user, not from all events together.")
    paper: ClassVar[str] = ""

    def split(self, data: Interactions, seed: int) -> Split:
        """The split. Raises BadInput when a part stays empty."""
        place, size = self._places(data, np.random.default_rng(seed))
        n_test, n_valid = np.floor(self.test * size), np.floor(self.valid * size)
        test = place < n_test
        valid = ~test & (place < n_test + n_valid)
        train = ~test & ~valid
        return checked(
            data,
            Split(data.keep(train), cases(data, train, valid, train), cases(data, ~test, test, train)),
            f"a share of {self.valid:g} needs users with at least {int(np.ceil(1 / self.valid))} events",
        )

    def _places(self, data: Interactions, stream: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """int64[N] twice: each event's place in a random order of its user's (or of all) events, and their number."""
        draw = stream.random(len(data))
        if not self.per_user:
            return draw.argsort().argsort(), np.full(len(data), len(data))
        place = np.empty(len(data), np.int64)
        place[np.lexsort((draw, data.user))] = np.arange(len(data)) - data.offsets[data.user]
        return place, np.diff(data.offsets)[data.user]
