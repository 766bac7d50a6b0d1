"""Full-ranking evaluation of a scorer on held-out cases: seen items removed, in blocks; and rating prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F

from recx.core.progress import Progress, quiet
from recx.metrics import ranking

if TYPE_CHECKING:
    from recx.data.interactions import Heldout

BLOCK_BYTES = 64 * 2**20
NAMES = ("hr@10", "ndcg@10", "ndcg@100", "recall@20", "recall@50")


def per_case(
    scorer: Any,
    cases: Heldout,
    *,
    names: tuple[str, ...] = ("hr@10", "ndcg@10", "ndcg@100"),
    progress: Progress = quiet,
) -> dict[str, torch.Tensor]:
    """Float[B] on the CPU for each metric name `metric@k` (hr, ndcg, recall).

    Seen items score minus infinity; ties are broken against the relevant items (they go behind their equals).
    """
    depth = min(max(int(name.split("@")[1]) for name in names), scorer.n_items)
    size = max(1, BLOCK_BYTES // (4 * 4 * scorer.n_items))
    parts: dict[str, list[torch.Tensor]] = {name: [] for name in names}
    for start in range(0, len(cases), size):
        relevant = torch.as_tensor(cases.targets[start : start + size], device=scorer.device)
        top = _top(scorer, cases, slice(start, start + size), relevant, depth)
        hit = ranking.hits(top, relevant)
        n_relevant = (relevant >= 0).sum(1)
        for name in names:
            metric, k = name.split("@")
            k = min(int(k), depth)
            value = ranking.hr_at(hit, k) if metric == "hr" else _FUNCTIONS[metric](hit, n_relevant, k)
            parts[name].append(value.cpu())
        progress(min(1.0, (start + size) / len(cases)), f"ranked {min(start + size, len(cases)):,} of {len(cases):,}")
    return {name: torch.cat(values) for name, values in parts.items()}


_FUNCTIONS = {"ndcg": ranking.ndcg_at, "recall": ranking.recall_at}


def _top(scorer: Any, cases: Heldout, part: slice, relevant: torch.Tensor, depth: int) -> torch.Tensor:
    """Long[B, depth]: the list shown, relevant items behind their equals; -2 where candidates run out."""
    scores = _scores(scorer, cases, part)
    rows, columns = torch.nonzero(relevant >= 0, as_tuple=True)
    wanted = relevant[rows, columns]
    scores[rows, wanted] = torch.nextafter(scores[rows, wanted], scores.new_tensor(float("-inf")))
    best = torch.topk(scores, depth, dim=1)
    return best.indices.masked_fill(best.values == float("-inf"), -2)


def _scores(scorer: Any, cases: Heldout, part: slice) -> torch.Tensor:
    """Float[B, n_items] of the cases of `part`, seen items at minus infinity."""
    histories = torch.as_tensor(cases.histories[part], device=scorer.device)
    users = torch.as_tensor(cases.model_users[part], device=scorer.device)
    with torch.no_grad():
        scores = scorer.score(histories, users)
    rows, columns = torch.nonzero(histories >= 0, as_tuple=True)
    scores[rows, histories[rows, columns]] = float("-inf")
    return scores


def places(scorer: Any, cases: Heldout, *, progress: Progress = quiet) -> tuple[torch.Tensor, torch.Tensor]:
    """The full rank (1-based) of the one target of each case, and the number of candidates: Long[B] each, on the CPU.

    Seen items are no candidates; ties go against the target. Raises ValueError when a case has more than one target.
    """
    if cases.targets.shape[1] != 1:
        raise ValueError(f"a rank is asked of one target per case, these have up to {cases.targets.shape[1]}")
    size = max(1, BLOCK_BYTES // (4 * 4 * scorer.n_items))
    ranks, candidates = [], []
    for start in range(0, len(cases), size):
        scores = _scores(scorer, cases, slice(start, start + size))
        target = torch.as_tensor(cases.targets[start : start + size], device=scorer.device)
        ranks.append((scores >= scores.gather(1, target)).sum(1).cpu())
        candidates.append((scores > float("-inf")).sum(1).cpu())
        progress(min(1.0, (start + size) / len(cases)), f"ranked {min(start + size, len(cases)):,} of {len(cases):,}")
    return torch.cat(ranks), torch.cat(candidates)


def evaluate(scorer: Any, cases: Heldout, *, progress: Progress = quiet) -> dict[str, Any]:
    """Means over cases: hr@10, ndcg@10, ndcg@100, recall@20, recall@50, and n; `rmse` where ratings are predicted.

    A scorer that predicts them has `rate(users Long[B], items Long[B, T]) -> Float[B, T]`.
    """
    table = per_case(scorer, cases, names=NAMES, progress=progress)
    means: dict[str, Any] = {name: float(values.mean()) for name, values in table.items()}
    if cases.ratings is not None and hasattr(scorer, "rate"):
        means["rmse"] = rmse(scorer, cases)
    return means | {"n": len(cases)}


def rmse(scorer: Any, cases: Heldout) -> float:
    """Root of the mean squared difference between predicted and given ratings, over all rated targets."""
    if cases.ratings is None:
        raise ValueError("these cases have no ratings")
    items = torch.as_tensor(cases.targets, device=scorer.device)
    given = torch.as_tensor(cases.ratings, dtype=torch.float64)
    with torch.no_grad():
        predicted = scorer.rate(torch.as_tensor(cases.model_users, device=scorer.device), items.clamp_min(0))
    rated = (items.cpu() >= 0) & given.isfinite()
    return float((predicted.cpu().double() - given)[rated].square().mean().sqrt())


def chance(cases: Heldout, n_items: int) -> dict[str, Any]:
    """What `evaluate` would give on average for scores drawn at random, exactly; the same names."""
    histories = torch.as_tensor(cases.histories).sort(1).values
    targets = torch.as_tensor(cases.targets)
    first = F.pad(histories.diff(dim=1) != 0, (1, 0), value=True) & (histories >= 0)
    seen = torch.stack([(histories == column[:, None]).any(1) for column in targets.T], dim=1)
    wanted = targets >= 0
    counts = n_items - first.sum(1), (wanted & ~seen).sum(1), wanted.sum(1)
    names = {name: name.split("@") for name in NAMES}
    means = {name: ranking.by_chance(metric, *counts, min(int(k), n_items)) for name, (metric, k) in names.items()}
    return {name: float(value.mean()) for name, value in means.items()} | {"n": len(cases)}
