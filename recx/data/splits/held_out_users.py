"""Users held out whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from recx.core.errors import BadInput
from recx.core.recipe import param
from recx.data.interactions import Heldout, Interactions, Split
from recx.data.splits._cases import checked, per_user, picked

TARGET_SHARE = 0.2
LEAST_EVENTS = 5


@dataclass(frozen=True)
class HeldOutUsers:
    """Users the model has never seen.

    The protocol of Mult-VAE (`dawenl/vae_cf`): users are permuted, some are held out for validation and some for test,
    the rest is learnt from. Of the n events of a held-out user, int(0.2 n) drawn at random are targets and the others,
    in their order, the history. Events on items that no learnt-from user has are left out of both, as there; unlike
    there at least one target is drawn, and only users with 5 or more events are held out, so no case is without target.
    """

    valid: int = param(100, "How many users are held out for validation.", unit="users", low=1)
    test: int = param(100, "How many users are held out for the test.", unit="users", low=1)
    known_items: bool = param(True, "Leave out held-out events on items that no other user has.")
    paper: ClassVar[str] = "Liang et al. 2018, Variational autoencoders for collaborative filtering"

    def split(self, data: Interactions, seed: int) -> Split:
        """The split; its cases are of people the model does not know.

        Raises BadInput when the data has too few users of 5 or more events.
        """
        stream = np.random.default_rng(seed)
        able = stream.permutation(np.flatnonzero(np.diff(data.offsets) >= LEAST_EVENTS))
        if len(able) < self.valid + self.test:
            raise BadInput(
                f"{data.name} has {len(able):,} users with at least {LEAST_EVENTS} events and the split holds out "
                f"{self.valid + self.test:,}: lower held-out-users.valid and held-out-users.test."
            )
        held = np.zeros(data.n_users, bool)
        held[able[: self.valid + self.test]] = True
        train = data.keep(~held[data.user])
        usable = held[data.user] & (train.popularity > 0)[data.item] if self.known_items else held[data.user]
        target = _targets(data, usable, stream)
        valid = _cases(data, usable, target, able[: self.valid])
        test = _cases(data, usable, target, able[self.valid : self.valid + self.test])
        return checked(data, Split(train, valid, test), "hold out fewer users")


def _targets(data: Interactions, usable: np.ndarray, stream: np.random.Generator) -> np.ndarray:
    """bool[N]: int(0.2 n), at least 1, of each user's n usable events, drawn at random."""
    draw = np.where(usable, stream.random(len(data)), 2.0)
    order = np.lexsort((draw, data.user))
    place = np.empty(len(data), np.int64)
    place[order] = np.arange(len(data)) - data.offsets[data.user]
    wanted = np.maximum((TARGET_SHARE * per_user(data, usable)).astype(np.int64), 1)
    return usable & (place < wanted[data.user])


def _cases(data: Interactions, usable: np.ndarray, target: np.ndarray, users: np.ndarray) -> Heldout:
    """The cases of some held-out users with both a history and a target, in the order of their codes."""
    history = usable & ~target
    users = np.sort(users)
    users = users[(per_user(data, history) > 0)[users] & (per_user(data, target) > 0)[users]]
    return Heldout(users.astype(np.int64), picked(data, history, users), picked(data, target, users), known=False)
