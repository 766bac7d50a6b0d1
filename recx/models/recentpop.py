"""Most popular items of late, the same for everybody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from recx.core import device as devices
from recx.core.errors import BadInput
from recx.core.progress import Progress, quiet
from recx.core.recipe import param
from recx.data.interactions import Heldout, Interactions
from recx.models.toppop import Popularity

DAY = 86_400


@dataclass(frozen=True)
class RecentPop:
    """Recently popular: the items with the most events in the last days of training, the same for everybody.

    Ji et al., "A re-visit of the popularity baseline in recommender systems", SIGIR 2020: what is popular at the time.
    The window ends with the latest event learnt from. Items with equally many events in it are ordered by their events
    of all times. Events of unknown time (-1) are not in the window; they count among those of all times.
    """

    days: float = param(7.0, "How far back from the last event the window reaches", unit="days", low=0.001, high=36_500)
    paper: ClassVar[str] = "floor; Ji et al., SIGIR 2020"

    def fit(
        self,
        data: Interactions,
        *,
        valid: Heldout | None = None,
        seed: int = 0,
        device: str = "auto",
        progress: Progress = quiet,
    ) -> Popularity:
        """Count the events of each item in the window. Raises BadInput for data without times."""
        place = devices.resolve(device)
        if data.time is None or (data.time < 0).all():
            raise BadInput(f"{data.name} has no times: choose toppop instead of recentpop.")
        recent = data.time > max(data.time.max() - self.days * DAY, -1)
        late = np.bincount(data.item[recent], minlength=data.n_items)
        # Below 1, so that it orders equals only.
        overall = data.popularity / (data.popularity.max() + 1)
        return Popularity(torch.as_tensor(late + overall, dtype=torch.float32, device=place))
