"""One cut in time for everybody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recx.core.errors import BadInput
from recx.core.recipe import param
from recx.data.interactions import Interactions, Split
from recx.data.splits._cases import cases, checked


@dataclass(frozen=True)
class GlobalTime:
    """One date for everybody.

    Events before the first date are learnt from, those up to the second are validation targets, later ones test
    targets; the history of a case is all the user did before the date in question. Users without an event before the
    first date, or without a target, are no case. Events at the very second of a date fall after it.
    """

    valid: float = param(0.1, "The share of events between the first date and the second.", low=0.01, high=0.4)
    test: float = param(0.1, "The share of events after the second date.", low=0.01, high=0.4)
    paper: ClassVar[str] = ""

    def split(self, data: Interactions, seed: int) -> Split:
        """The split; the seed changes nothing. Raises BadInput without the time of every event."""
        time = _clock(data)
        in_order = np.sort(time)
        first = in_order[int((1 - self.valid - self.test) * len(time))]
        second = in_order[int((1 - self.test) * len(time))]
        train = time < first
        return checked(
            data,
            Split(
                train=data.keep(train),
                valid=cases(data, train, ~train & (time < second), train),
                test=cases(data, time < second, time >= second, train),
            ),
            "it needs users who were there both before and after each date; try leave-one-out",
        )


def _clock(data: Interactions) -> np.ndarray:
    """int64[N]: the time of every event. Raises BadInput when some or all are unknown."""
    if data.time is None or (data.time < 0).all():
        raise BadInput(f"{data.name} has no times: use leave-one-out or random instead of global-time.")
    unknown = int((data.time < 0).sum())
    if unknown:
        cure = "--set ml-1m.known_times=true" if data.name == "ml-1m" else "use leave-one-out"
        raise BadInput(f"{data.name} has {unknown:,} events of unknown time, which global-time cannot place: {cure}.")
    return data.time
