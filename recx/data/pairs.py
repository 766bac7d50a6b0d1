"""How often two items stand in the same history: the sparse product behind EASE and association rules."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from recx.data.interactions import Interactions


def incidence(data: Interactions) -> sparse.csr_array:
    """0/1 float32[n_users, n_items]: who has what; repeats count once."""
    ones = np.ones(len(data), np.float32)
    matrix = sparse.csr_array((ones, (data.user, data.item)), shape=(data.n_users, data.n_items))
    matrix.sum_duplicates()
    matrix.data[:] = 1.0
    return matrix


def pair_counts(data: Interactions, items: np.ndarray | None = None) -> np.ndarray:
    """float32[n_items, n_items]: in how many histories both items are, the item itself on the diagonal: X^T X.

    With `items` int64[T], only their columns: float32[n_items, T].
    """
    matrix = incidence(data)
    columns = matrix if items is None else matrix.tocsc()[:, items]
    return (matrix.T @ columns).toarray()
