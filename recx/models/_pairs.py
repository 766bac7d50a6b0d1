"""(user, item) pairs to learn from: their order and random negatives, keyed so that a deletion shifts nothing else.

Each random number is a hash of what it is for: the place of a pair in an epoch of (seed, epoch, user, item), its n-th
negative of the same and n, a row's initial values of (seed, row). Two fits on data that differ in one interaction draw
the same numbers for all others (common random numbers), so a difference between them is due to that interaction.
"""

from __future__ import annotations

import numba
import numpy as np
import torch

from recx.core.errors import BadInput
from recx.data.interactions import Interactions

CHUNK = 1 << 17
"""Pairs handed to a kernel at a time: some 20 ms, then progress is told and a cancel heard."""
TRIES = 256
"""Draws for a negative before one is taken that the user has: only users who have nearly all items need so many."""
BITS_PER_PAIR = 16
"""Size of the sieve that says "not among the user's items" at once, for 15 of 16 draws."""
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
LEFT, RIGHT = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
S30, S27, S31, S32, S6, SIXTY_THREE, ONE = (np.uint64(n) for n in (30, 27, 31, 32, 6, 63, 1))


def mix(x):
    """The finaliser of SplitMix64: uint64 (array or scalar) to uint64, every bit depending on every other."""
    x = (x ^ (x >> S30)) * LEFT
    x = (x ^ (x >> S27)) * RIGHT
    return x ^ (x >> S31)


_mix = numba.njit(inline="always")(mix)


def initial(seed: int, stream: int, rows: int, width: int, std: float) -> torch.Tensor:
    """Float[rows, width], normal; row r is the same however many rows follow."""
    draw = np.random.default_rng([seed, stream]).standard_normal((rows, width))
    return torch.as_tensor((draw * std).astype(np.float32))


def cells(data: Interactions) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """User int32[N], item int32[N], rating float32[N] (or None) by user, then item; of repeats the last one stands."""
    key = data.user.astype(np.int64) * data.n_items + data.item
    order = np.argsort(key, kind="stable")
    last = np.append(np.diff(key[order]) != 0, True)[: len(order)]
    rows = order[last]
    return data.user[rows], data.item[rows], None if data.rating is None else data.rating[rows]


def rated(data: Interactions, model: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The cells with a known rating: user, item, rating. Raises BadInput when there is none."""
    user, item, rating = cells(data)
    known = np.zeros(0, bool) if rating is None else np.isfinite(rating)
    if rating is None or not known.any():
        raise BadInput(f"{data.name} has no ratings for {model}: choose bpr, als --set kind=implicit or ease.")
    return user[known], item[known], rating[known]


class Pairs:
    """`user`, `item` int32[N] by user, then item, each once; `offsets` int64[n_users + 1]."""

    def __init__(self, user: np.ndarray, item: np.ndarray, n_users: int, n_items: int) -> None:
        self.user, self.item, self.n_items = user, item, n_items
        self.offsets = np.concatenate([[0], np.cumsum(np.bincount(user, minlength=n_users))])
        self.hashes = _pair_hash(user, item)
        size = 1 << max(6, int(BITS_PER_PAIR * len(user)).bit_length())
        self.sieve = np.zeros(size // 64, np.uint64)
        place = self.hashes & np.uint64(size - 1)
        np.bitwise_or.at(self.sieve, place >> S6, ONE << (place & SIXTY_THREE))

    def __len__(self) -> int:
        return len(self.user)

    def order(self, seed: int, epoch: int) -> np.ndarray:
        """int64[N]: the rows in the order of this epoch."""
        low = np.uint64((1 << (len(self) - 1).bit_length()) - 1)
        keys = mix(self.hashes ^ _key(seed, epoch, 0)) & ~low | np.arange(len(self), dtype=np.uint64)
        keys.sort()
        return (keys & low).astype(np.int64)

    def negatives(self, seed: int, epoch: int, draw: int = 0) -> np.ndarray:
        """int32[N]: for each pair an item, uniform among those that its user does not have."""
        out = np.empty(len(self), np.int32)
        key = _key(seed, epoch, draw + 1)[0]
        _draw(self.user, self.item, self.hashes, self.offsets, self.sieve, np.uint64(self.n_items), key, out)
        return out


def _key(seed: int, epoch: int, draw: int) -> np.ndarray:
    """uint64[1]: the key of one use of random numbers."""
    parts = np.array([seed % 2**64, epoch, draw], np.uint64)
    return mix(parts[:1] + GOLDEN * mix(parts[1:2] + GOLDEN * mix(parts[2:] + GOLDEN)))


def _pair_hash(user: np.ndarray, item: np.ndarray) -> np.ndarray:
    return mix(user.astype(np.uint64) * GOLDEN + mix(item.astype(np.uint64)))


@numba.njit(nogil=True, error_model="numpy")
def _draw(user, item, hashes, offsets, sieve, n_items, key, out):
    """Uniform draws by hash, drawn again while the user has the item: first by the sieve, then by binary search."""
    bits = np.uint64(len(sieve) * 64 - 1)
    for n in range(len(user)):
        u = user[n]
        h = _mix(key ^ hashes[n])
        own = np.uint64(u) * GOLDEN
        for _ in range(TRIES):
            j = ((h >> S32) * n_items) >> S32
            place = _mix(own + _mix(j)) & bits
            if not (sieve[place >> S6] >> (place & SIXTY_THREE)) & ONE:
                break
            low, high = offsets[u], offsets[u + 1]
            while low < high:
                middle = (low + high) >> 1
                if item[middle] < j:
                    low = middle + 1
                else:
                    high = middle
            if low == offsets[u + 1] or item[low] != j:
                break
            h = _mix(h + GOLDEN)
        out[n] = j
