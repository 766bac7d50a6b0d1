"""Leave one out, by order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recx.data.interactions import Interactions, Split
from recx.data.splits._cases import cases, checked, from_end


@dataclass(frozen=True)
class LeaveOneOut:
    """Last event of each user.

    The last event of a user is its test target, the one before its validation target, all earlier ones are learnt from;
    the history of a case is everything before its target. Users with fewer than 3 events are learnt from only.
    """

    paper: ClassVar[str] = "Kang & McAuley 2018, Self-attentive sequential recommendation"

    def split(self, data: Interactions, seed: int) -> Split:
        """The split; the seed changes nothing. Raises BadInput when no user has 3 events."""
        left = from_end(data)
        long = (np.diff(data.offsets) >= 3)[data.user]
        train = ~long | (left > 2)
        return checked(
            data,
            Split(
                train=data.keep(train),
                valid=cases(data, long & (left > 2), long & (left == 2), train),
                test=cases(data, long & (left > 1), long & (left == 1), train),
            ),
            "it needs users with at least 3 events",
        )
