"""What happens as history items go, or come, in an explainer's order: the fixed-length measures of the field."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from recx.core.progress import Progress
from recx.recipes._pairs import pairs
from recx.recipes._recipe import Get, Recipe
from recx.recipes.judge import Judge

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

PROTOCOLS = ("in tenths", "1 to 5 items")
MEASURES = ("pos", "neg", "del", "ins", "cndcg")


@dataclass(frozen=True)
class Curves:
    """POS@k, NEG@k, DEL, INS and CNDCG of the orders in which an explainer ranks each history.

    Gurevitch et al., "LXR: Learning to eXplain Recommendations", WWW 2024, in tenths of the history (0, 10, ... 100 %);
    and for the first 1 to 5 items, as SPINRec (AAAI 2026). The candidates are the items outside the original history.
    Nothing is chosen by the outcome: one order per pair, the same for all measures.
    """

    judge: Judge
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "batch"

    def needs(self) -> tuple[Recipe, ...]:
        return (self.judge, self.judge.fit.split_data, self.judge.fit)

    def run(self, get: Get, progress: Progress) -> pd.DataFrame:
        """One row per pair: user, target, hit, and `MEASURE PROTOCOL` for each; NaN where items have no values.

        pos, neg: the share of edits after which the target is in the top k; del, ins: its probability (softmax over the
        candidates), mean over edits; cndcg: mean of 1 / log2(place + 1).
        """
        import numpy as np
        import pandas as pd

        from recx.metrics.attribution import first_items, in_parts

        world, row, target, _ = pairs(self.judge, get)
        table = get(self.judge)
        out: dict[str, Any] = {name: table[name].to_numpy() for name in ("user", "target", "hit")}
        ranked = table["ranking"].map(len).to_numpy() > 0
        place = places(world.histories[row].cpu().numpy(), table["ranking"])
        lengths = table["history"].to_numpy()
        for protocol, counts in zip(PROTOCOLS, (in_parts(lengths), first_items(lengths)), strict=True):
            for name, values in self._measures(world, row, target, place, lengths, counts).items():
                out[f"{name} {protocol}"] = np.where(ranked, values, np.nan)
        return pd.DataFrame(out)

    def _measures(self, world: Any, row: Any, target: Any, place: Any, lengths: Any, counts: Any) -> dict[str, Any]:
        """Per pair, Float[P]: the five measures over the edits that `counts` int64[P, S] name."""
        from recx.metrics.attribution import discounted, in_list

        first = place[:, None, :] < counts[:, :, None]
        last = (place[:, None, :] >= (lengths[:, None] - counts)[:, :, None]) & (place >= 0)[:, None, :]
        real = (place >= 0)[:, None, :]
        rank_out, prob_out = seen(world, row, target, ~first & real)
        rank_neg, _ = seen(world, row, target, ~last & real)
        _, prob_in = seen(world, row, target, first & real)
        k = self.judge.k
        return {
            "pos": in_list(rank_out, k),
            "neg": in_list(rank_neg, k),
            "del": prob_out.mean(1),
            "ins": prob_in.mean(1),
            "cndcg": discounted(rank_out),
        }


def places(history: np.ndarray, rankings: Any) -> np.ndarray:
    """int64[P, L]: the place (from 0) of each column of the histories int64[P, L] in a ranking of item codes; -1: none.

    Items that a ranking leaves out follow in the order of the history.
    """
    import numpy as np

    place = np.full(history.shape, -1)
    for p, (own, ranking) in enumerate(zip(history, rankings, strict=True)):
        columns = np.flatnonzero(own >= 0)
        waiting: dict[int, list[int]] = {}
        for column in columns[::-1]:
            waiting.setdefault(int(own[column]), []).append(int(column))
        order = [waiting[code].pop() for code in map(int, ranking)]
        taken = set(order)
        order += [int(column) for column in columns if int(column) not in taken]
        place[p, order] = np.arange(len(order))
    return place


def seen(world: Any, row: Any, target: Any, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rank int64[P, S] of each target and its probability Float[P, S] (softmax over the candidates) after edits.

    `keep` Bool[P, S, L]. Candidates: the items outside the original history; ties count against the target.
    """
    import numpy as np
    import torch

    from recx.worlds.edited import BLOCK_BYTES

    n, edits = keep.shape[:2]
    device = world.histories.device
    flat = torch.as_tensor(keep.reshape(n * edits, -1))
    owner, wanted = row.repeat_interleave(edits), target.repeat_interleave(edits)
    rank, probability = np.empty(n * edits, np.int64), np.empty(n * edits)
    size = max(1, BLOCK_BYTES // (4 * 4 * world.n_items))
    for start in range(0, n * edits, size):
        part = slice(start, start + size)
        scores = world.scores(owner[part], flat[part].to(device))
        rows, columns = torch.nonzero(world.histories[owner[part]] >= 0, as_tuple=True)
        scores[rows, world.histories[owner[part]][rows, columns]] = float("-inf")
        own = scores.gather(1, wanted[part, None])
        rank[part] = (scores >= own).sum(1).cpu().numpy()
        probability[part] = (own[:, 0] - torch.logsumexp(scores, 1)).exp().cpu().numpy()
    return rank.reshape(n, edits), probability.reshape(n, edits)
