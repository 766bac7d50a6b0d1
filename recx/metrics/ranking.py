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


def by_chance(
    metric: str, candidates: torch.Tensor, reachable: torch.Tensor, relevant: torch.Tensor, k: int
) -> torch.Tensor:
    """Float[B]: the mean of `hr`, `recall` or `ndcg` at k when the candidates stand in a random order, exactly.

    Long[B] each: `candidates` may be shown; `relevant` items are wanted, `reachable` of them are candidates. With
    n candidates, r of them wanted and s = min(k, n) places shown: each place holds a wanted one with probability r / n,
    and none of the s places does with C(n - r, s) / C(n, s).
    """
    n, r = candidates.double(), reachable.double()
    s = n.clamp_max(k)
    if metric == "hr":
        rest = (n - r - s).clamp_min(0)
        none = torch.lgamma(n - r + 1) + torch.lgamma(n - s + 1) - torch.lgamma(rest + 1) - torch.lgamma(n + 1)
        return 1 - torch.where(n - r >= s, none.exp(), 0.0)
    each = r / n.clamp_min(1)
    if metric == "recall":
        return s * each / relevant.clamp(1, k)
    gain = 1.0 / torch.log2(torch.arange(2, k + 2, device=n.device, dtype=torch.float64))
    total = torch.cat([gain.new_zeros(1), gain.cumsum(0)])
    return total[s.long()] * each / total[relevant.clamp(1, k)]


def by_sampling(
    rank: torch.Tensor, candidates: torch.Tensor, negatives: int, k: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """HR@k and NDCG@k Float[B] of one target among `negatives` random candidates, exactly averaged over the draws.

    Long[B]: full `rank` (1-based) among `candidates`. The number of drawn candidates that beat the target is
    hypergeometric: m of n - 1 others are drawn, r - 1 of which are better. No draw is made, so there is no noise.
    """
    others, better = candidates.double()[:, None] - 1, rank.double()[:, None] - 1
    drawn = others.clamp_max(negatives)
    ahead = torch.arange(k, device=rank.device, dtype=torch.float64)[None, :]
    ways = _log_choose(better, ahead) + _log_choose(others - better, drawn - ahead) - _log_choose(others, drawn)
    probability = ways.exp()
    return probability.sum(1), (probability / torch.log2(ahead + 2)).sum(1)


def _log_choose(n: torch.Tensor, m: torch.Tensor) -> torch.Tensor:
    """Logarithm of the number of ways to choose m of n; minus infinity where there is none."""
    n, m = torch.broadcast_tensors(n, m)
    possible = (m >= 0) & (m <= n)
    m = m.where(possible, 0.0)
    ways = torch.lgamma(n + 1) - torch.lgamma(m + 1) - torch.lgamma(n - m + 1)
    return ways.where(possible, -torch.inf)
