"""Accuracy of ranked lists. Formulas are in the docstrings; what each measures and its flaw is in README.md."""

from __future__ import annotations

import torch


def hits(top: torch.Tensor, relevant: torch.Tensor) -> torch.Tensor:
    """Bool[B, K]: which items of the lists Long[B, K] are among the relevant Long[B, T] (-1 fills)."""
    return ((top[:, :, None] == relevant[:, None, :]) & (relevant >= 0)[:, None, :]).any(2)


def hr_at(hit: torch.Tensor, k: int) -> torch.Tensor:
    """Float[B]: 1 if a relevant item is in the first k, else 0."""
    return hit[:, :k].any(1).float()


def recall_at(hit: torch.Tensor, n_relevant: torch.Tensor, k: int) -> torch.Tensor:
    """Float[B]: relevant items in the first k over min(k, number relevant), as Mult-VAE (Liang et al. 2018) has it."""
    return hit[:, :k].sum(1) / n_relevant.clamp(1, k)


def ndcg_at(hit: torch.Tensor, n_relevant: torch.Tensor, k: int) -> torch.Tensor:
    """Float[B]: sum over hits in the first k of 1/log2(place + 1), over the largest sum possible: 1 if perfect."""
    gain = 1.0 / torch.log2(torch.arange(2, k + 2, device=hit.device, dtype=torch.float32))
    found = (hit[:, :k] * gain[: hit.shape[1]]).sum(1)
    ideal = torch.cat([gain.new_zeros(1), gain.cumsum(0)])
    return found / ideal[n_relevant.clamp(1, k)]
