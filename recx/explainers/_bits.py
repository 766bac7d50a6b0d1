"""Who has both of two items, counted 64 people at a time."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba import types
from numba.extending import intrinsic
from scipy import sparse

CELLS = 2**26
"""Cells of a dense part of the table that are held while it is packed: 64 MB."""


def packed(people: sparse.csr_array) -> np.ndarray:
    """uint64[n_items, ceil(n / 64)]: one bit per person for each item of a 0/1 table [n, n_items]."""
    n, width = people.shape
    out = np.zeros((width, 8 * -(-n // 64)), np.uint8)
    size = max(64, CELLS // max(1, width) // 64 * 64)
    for start in range(0, n, size):
        bits = np.packbits(people[start : start + size].toarray().T != 0, axis=1)
        out[:, start // 8 : start // 8 + bits.shape[1]] = bits
    return out.view(np.uint64)


@intrinsic
def _ones(typing: Any, word: Any) -> Any:
    """How many bits of a word are 1: one instruction of the processor."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.ctpop(values[0])

    return types.uint64(types.uint64), generate


@numba.njit(nogil=True)
def counts(some, every):
    """int32[B, N]: bits that are 1 in both, for rows uint64[B, W] and uint64[N, W]."""
    out = np.empty((len(some), len(every)), np.int32)
    for i in range(len(some)):
        for j in range(len(every)):
            n = np.uint64(0)
            for w in range(some.shape[1]):
                n += _ones(some[i, w] & every[j, w])  # type: ignore[call-arg]
            out[i, j] = n
    return out
