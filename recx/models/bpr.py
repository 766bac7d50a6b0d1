"""BPR: matrix factorisation trained on pairs of items (Rendle et al., UAI 2009)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numba
import numpy as np
import torch
from torch import nn

from recx.core import device as devices
from recx.core.progress import Progress, quiet
from recx.core.recipe import param
from recx.data.interactions import Heldout, Interactions
from recx.metrics.evaluate import per_case
from recx.models._fold import LinearFold, learn_fold, once
from recx.models._pairs import CHUNK, Pairs, cells, initial
from recx.models._training import Schedule, train

TINY = np.float32(-80.0)
"""Below this, exp(-margin) does not fit a float32 and sigmoid(-margin) is 1."""
Batch = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Bpr:
    """BPR: a person's items should score above items at random (matrix factorisation).

    Rendle et al., "BPR: Bayesian Personalized Ranking from Implicit Feedback", UAI 2009, Eq. 4 and its LearnBPR: for
    each (u, i) and a uniform j that u does not have, one step of SGD on -ln sigmoid(x_ui - x_uj) plus the penalties,
    x_ui = b_i + p_u . q_i. Pair after pair, so always on the CPU whatever the device: an epoch of a million pairs takes
    about 0.2 s of one core. Order and negatives are keyed by (seed, epoch, user, item): deleting an interaction shifts
    no other random number.
    """

    factors: int = param(64, "Width of the vectors of people and items", low=1, high=4096)
    lr: float = param(0.02, "Learning rate of SGD", low=1e-7, high=1.0)
    l2: float = param(0.005, "Penalty on the vectors, per pair", low=0.0, high=10.0)
    epochs: int = param(200, "Most passes over the interactions", low=1, high=100_000)
    check_every: int = param(5, "Epochs between two checks of validation NDCG@10", low=1, high=1000)
    patience: int = param(6, "Checks without a better validation NDCG@10 before stopping", low=1, high=100_000)
    max_seconds: float = param(150.0, "Training stops after this long", unit="s", low=1.0, high=1e6)
    paper: ClassVar[str] = "Rendle et al., UAI 2009"

    def fit(
        self,
        data: Interactions,
        *,
        valid: Heldout | None = None,
        seed: int = 0,
        device: str = "auto",
        progress: Progress = quiet,
    ) -> PairScorer:
        """Train on all (user, item); keep the state with the best validation NDCG@10; learn what an edit means."""
        place = devices.resolve(device)
        user, item, _ = cells(data)
        pairs = Pairs(user, item, data.n_users, data.n_items)
        net = nn.ParameterDict(
            {
                "p": initial(seed, 0, data.n_users, self.factors, 0.1),
                "q": initial(seed, 1, data.n_items, self.factors, 0.1),
                "b": torch.zeros(data.n_items),
            }
        )

        def loss(batch: Batch) -> torch.Tensor:
            """The kernel is gradient and step in one: the optimiser finds no gradients and leaves the weights alone."""
            user, item, negative = batch
            p, q, b = (net[name].detach().numpy() for name in "pqb")
            total = _steps(user, item, negative, p, q, b, np.float32(self.lr), np.float32(self.l2))
            return torch.tensor(total / len(user), requires_grad=True)

        quality = None
        if valid is not None and len(valid):
            quality = lambda: _ndcg(PairScorer.learn(net, pairs, place), valid)  # noqa: E731
        schedule = Schedule(self.epochs, self.patience, self.max_seconds, self.check_every)
        optimiser = torch.optim.SGD(net.parameters(), lr=self.lr)
        report = train(net, optimiser, _batches(pairs, seed), loss, quality, schedule, progress, seed)
        scorer = PairScorer.learn(net, pairs, place)
        scorer.report |= report
        return scorer


def _ndcg(scorer: PairScorer, valid: Heldout) -> float:
    return float(per_case(scorer, valid, names=("ndcg@10",))["ndcg@10"].mean())


def _batches(pairs: Pairs, seed: int) -> Callable[[int], Iterator[Batch]]:
    """Users, their items and items they do not have: int32[CHUNK] each."""

    def epoch_batches(epoch: int) -> Iterator[Batch]:
        order, negative = pairs.order(seed, epoch), pairs.negatives(seed, epoch)
        for rows in np.array_split(order, -(-len(order) // CHUNK)):
            yield pairs.user[rows], pairs.item[rows], negative[rows]

    return epoch_batches


@numba.njit(nogil=True, fastmath={"reassoc", "contract", "arcp", "nsz"}, error_model="numpy")
def _steps(user, item, negative, users, items, bias, lr, l2):
    """One SGD step per triple, in place; the sum of -ln sigmoid(x_ui - x_uj), each before its step."""
    loss = 0.0
    one = np.float32(1)
    for n in range(len(user)):
        p, q, r = users[user[n]], items[item[n]], items[negative[n]]
        margin = bias[item[n]] - bias[negative[n]]
        for f in range(len(p)):
            margin += p[f] * (q[f] - r[f])
        if margin > TINY:
            wrong = np.exp(-margin)
            loss += np.log(one + wrong)
            pull = wrong / (one + wrong)
        else:
            loss -= margin
            pull = one
        for f in range(len(p)):
            a, b, c = p[f], q[f], r[f]
            p[f] = a + lr * (pull * (b - c) - l2 * a)
            q[f] = b + lr * (pull * a - l2 * b)
            r[f] = c - lr * (pull * a + l2 * c)
        bias[item[n]] += lr * pull
        bias[negative[n]] -= lr * pull
    return loss


class PairScorer:
    """b_i + p . q_i: `items` Float[n_items, k], `bias` Float[n_items], people by `fold`."""

    exact_scores: ClassVar[bool] = True

    def __init__(self, items: torch.Tensor, bias: torch.Tensor, fold: LinearFold, r2: float) -> None:
        self.items, self.bias, self.fold, self.r2 = items, bias, fold, r2
        self.n_items, self.device = len(items), items.device
        self.report: dict[str, Any] = {"fold_in_r2": r2}

    @classmethod
    def learn(cls, net: nn.ParameterDict, pairs: Pairs, place: torch.device) -> PairScorer:
        """The scorer of trained vectors, with the map from histories to people."""
        users, items, bias = (net[name].detach().clone() for name in "pqb")
        fold, r2 = learn_fold(users, items, torch.as_tensor(pairs.item), torch.as_tensor(pairs.offsets))
        return cls(items.to(place), bias.to(place), fold.to(place), r2)

    @property
    def edited_history(self) -> str:
        return (
            "The learnt vector of the person moves as a linear map of the history says, learnt after training "
            f"(it explains {self.r2:.0%} of the vectors of people left out); an unknown person's is that map's."
        )

    def score(
        self, histories: torch.Tensor, users: torch.Tensor | None = None, items: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Float[B, n_items or T]."""
        people = self.fold.people(once(histories), users)
        if items is None:
            return torch.addmm(self.bias, people, self.items.t())
        return self.bias[items] + (self.items[items] @ people[:, :, None])[:, :, 0]

    def soft_score(
        self, histories: torch.Tensor, keep: torch.Tensor, targets: torch.Tensor, users: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Float[B, S] of targets Long[B, S] under soft edits keep Float[B, S, L]. A history must not repeat an item."""
        return self.bias[targets] + (self.fold.soft(histories, keep, users) * self.items[targets]).sum(2)

    def item_vectors(self) -> torch.Tensor:
        """Float[n_items, k]."""
        return self.items

    def tensors(self) -> dict[str, torch.Tensor]:
        return {"items": self.items, "bias": self.bias} | self.fold.tensors()

    def settings(self) -> dict[str, Any]:
        return {"shrink": self.fold.shrink, "r2": self.r2}

    @classmethod
    def from_tensors(cls, tensors: dict[str, torch.Tensor], settings: dict[str, Any]) -> PairScorer:
        fold = LinearFold(tensors["prior"], tensors["rows"], tensors["base"], settings["shrink"])
        return cls(tensors["items"], tensors["bias"], fold, settings["r2"])
