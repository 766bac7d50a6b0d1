"""The last six events of each user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recx.data.interactions import Interactions, Split
from recx.data.splits._cases import cases, checked, from_end

LAST = 6


@dataclass(frozen=True)
class Last6:
    """Last six events of each user.

    The protocol of the causal-rules paper: all but the last 6 events of a user are learnt from; of the 6, the first 5
    are the history of the test case and the last its target. The paper names no validation part: here the fifth is
    the validation target and the 4 before it are the history, so no test target is ever looked at. Users with fewer
    than 7 events are learnt from only.
    """

    paper: ClassVar[str] = "Xu et al. 2021, Learning causal explanations for recommendation"

    def split(self, data: Interactions, seed: int) -> Split:
        """The split; the seed changes nothing. Raises BadInput when no user has 7 events."""
        left = from_end(data)
        able = (np.diff(data.offsets) > LAST)[data.user]
        shown = able & (left <= LAST)
        return checked(
            data,
            Split(
                train=data.keep(~shown),
                valid=cases(data, shown & (left > 2), shown & (left == 2), ~shown),
                test=cases(data, shown & (left > 1), shown & (left == 1), ~shown),
            ),
            f"it needs users with at least {LAST + 1} events",
        )
