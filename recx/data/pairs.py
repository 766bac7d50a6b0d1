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


def pair_counts(data: Interactions) -> sparse.csr_array:
    """float32[n_items, n_items]: in how many histories both items are; the diagonal counts the item itself. X^T X."""
    matrix = incidence(data)
    return (matrix.T @ matrix).tocsr()
