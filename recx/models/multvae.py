"""Mult-VAE: a variational autoencoder with multinomial likelihood (Liang et al., WWW 2018)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import nn
from torch.nn import functional as F

from recx.core import device as devices
from recx.core.progress import Progress, quiet
from recx.core.recipe import param
from recx.data.interactions import PAD, Heldout, Interactions
from recx.metrics.evaluate import per_case
from recx.models._scorer import counts
from recx.models._training import Schedule, train

SHORT = 8
"""A history is short when the catalogue has more than this many times its items."""


@dataclass(frozen=True)
class MultVae:
    """Mult-VAE: a variational autoencoder over the set of a user's items.

    Liang et al., "Variational Autoencoders for Collaborative Filtering", WWW 2018, Eq. 3 (multinomial likelihood) and
    Eq. 8 (annealed KL weight). Encoder n-hidden-2*latent, decoder latent-hidden-n, tanh, l2-normalised, dropout on the
    input. Defaults are those of the LCER reference notebook; its KL weight grows to `anneal_cap` over `anneal_steps`
    updates, which on ML-100K are never reached.
    """

    hidden: int = param(600, "Width of the hidden layers", low=1, high=8192)
    latent: int = param(200, "Width of the latent code", low=1, high=4096)
    dropout: float = param(0.5, "Share of the input dropped in training", low=0.0, high=0.95)
    lr: float = param(1e-3, "Learning rate of Adam", low=1e-7, high=1.0)
    batch: int = param(500, "Users in a batch", unit="users", low=1, high=100_000)
    epochs: int = param(200, "Most passes over the users", low=1, high=100_000)
    patience: int = param(50, "Checks without a better validation NDCG@100 before stopping", low=1, high=100_000)
    anneal_cap: float = param(0.2, "Largest weight of the KL term", low=0.0, high=10.0)
    anneal_steps: int = param(200_000, "Updates until the KL term has its full weight", low=1, high=10_000_000)
    max_seconds: float = param(1200.0, "Training stops after this long", unit="s", low=1.0, high=1e6)
    paper: ClassVar[str] = "Liang et al., WWW 2018"
    grid: ClassVar[dict[str, tuple[Any, ...]]] = {"lr": (3e-4, 1e-3, 3e-3)}

    def fit(
        self,
        data: Interactions,
        *,
        valid: Heldout | None = None,
        seed: int = 0,
        device: str = "auto",
        progress: Progress = quiet,
    ) -> Vae:
        """Train on the 0/1 histories of the users who have one; keep the state with the best validation NDCG@100."""
        place = devices.resolve(device)
        random = devices.generator(seed)
        scorer = Vae.start(data.n_items, self.hidden, self.latent, random, place)
        optimiser = torch.optim.Adam(scorer.net.parameters(), lr=self.lr)
        noise = devices.generator(seed + 1, place)

        def loss(batch: tuple[int, torch.Tensor]) -> torch.Tensor:
            step, x = batch
            return _elbo(scorer.net, x, self.dropout, min(self.anneal_cap, step / self.anneal_steps), noise)

        quality = None
        if valid is not None and len(valid):
            quality = lambda: float(per_case(scorer, valid, names=("ndcg@100",))["ndcg@100"].mean())  # noqa: E731
        schedule = Schedule(self.epochs, self.patience, self.max_seconds)
        batches = _batches(data, self.batch, seed, place)
        scorer.report = train(scorer.net, optimiser, batches, loss, quality, schedule, progress, seed, noise)
        return scorer


def _batches(data: Interactions, size: int, seed: int, place: torch.device) -> Any:
    """Shuffled batches: number of the update from 1, 0/1 histories Float[B, n_items]; order keyed by (seed, epoch)."""
    users = torch.as_tensor(data.user.astype("int64"))
    matrix = torch.zeros(data.n_users, data.n_items, dtype=torch.bool)
    matrix[users, torch.as_tensor(data.item.astype("int64"))] = True
    matrix = matrix[matrix.any(1)].to(place)

    def epoch_batches(epoch: int) -> Iterator[tuple[int, torch.Tensor]]:
        order = torch.randperm(len(matrix), generator=devices.generator(seed * 1_000_003 + epoch)).to(place)
        done = epoch * -(-len(matrix) // size)
        for place_in_epoch, start in enumerate(range(0, len(order), size), 1):
            yield done + place_in_epoch, matrix[order[start : start + size]].float()

    return epoch_batches


def _elbo(net: nn.ModuleDict, x: torch.Tensor, dropout: float, beta: float, noise: torch.Generator) -> torch.Tensor:
    """Negative ELBO (Eq. 8): multinomial log-likelihood plus beta times KL, mean over the batch."""
    kept = torch.rand(x.shape, generator=noise, device=x.device) >= dropout
    mean, log_var = _encode(net, F.normalize(x) * kept / (1 - dropout))
    z = mean + torch.exp(0.5 * log_var) * torch.randn(mean.shape, generator=noise, device=x.device)
    likelihood = (F.log_softmax(_decode(net, z), dim=1) * x).sum(1)
    kl = 0.5 * (log_var.exp() + mean**2 - 1 - log_var).sum(1)
    return (beta * kl - likelihood).mean()


def _encode(net: nn.ModuleDict, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return net["code"](torch.tanh(net["input"](x))).chunk(2, dim=1)


def _decode(net: nn.ModuleDict, z: torch.Tensor) -> torch.Tensor:
    return net["output"](torch.tanh(net["up"](z)))


class Vae:
    """A trained Mult-VAE. Scores are logits at the mean of the code; no sampling."""

    exact_scores: ClassVar[bool] = True
    edited_history: ClassVar[str] = "The history is the only input: an edited history is encoded afresh."

    def __init__(self, net: nn.ModuleDict, sizes: tuple[int, int, int], device: torch.device) -> None:
        self.net, self.sizes, self.device = net.to(device).eval(), sizes, device
        self.n_items = sizes[0]
        self._table: tuple[int, torch.Tensor] | None = None
        self.report: dict[str, Any] = {}

    @classmethod
    def start(cls, n_items: int, hidden: int, latent: int, random: torch.Generator, device: torch.device) -> Vae:
        """Untrained weights: Xavier-uniform matrices, small normal biases (as the reference code)."""
        net = nn.ModuleDict(
            {
                "input": nn.Linear(n_items, hidden),
                "code": nn.Linear(hidden, 2 * latent),
                "up": nn.Linear(latent, hidden),
                "output": nn.Linear(hidden, n_items),
            }
        )
        for layer in net.values():
            nn.init.xavier_uniform_(layer.weight, generator=random)
            nn.init.trunc_normal_(layer.bias, std=0.001, generator=random)
        return cls(net, (n_items, hidden, latent), device)

    def score(
        self, histories: torch.Tensor, users: torch.Tensor | None = None, items: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Logits Float[B, n_items or T]."""
        latent, code = self.sizes[2], self.net["code"]
        with torch.no_grad():
            hidden = torch.tanh(self._first(histories))
            mean = F.linear(hidden, code.weight[:latent], code.bias[:latent])
            scores = _decode(self.net, mean)
        return scores if items is None else scores.gather(1, items)

    def _first(self, histories: torch.Tensor) -> torch.Tensor:
        """Float[B, hidden]: the first layer; for short histories the sum of their items' columns."""
        layer = self.net["input"]
        if histories.shape[1] * SHORT > self.n_items:
            return layer(F.normalize(counts(histories, self.n_items)))
        items = histories.sort(dim=1).values
        items = items.masked_fill(F.pad(items[:, 1:] == items[:, :-1], (1, 0)), PAD)
        total = F.embedding_bag(items.remainder(self.n_items + 1), self._columns(), mode="sum")
        return total / (items != PAD).sum(1, keepdim=True).clamp_min(1).sqrt() + layer.bias

    def _columns(self) -> torch.Tensor:
        """Float[n_items + 1, hidden]: the first layer's weights by item, zeros for PAD; made anew when trained."""
        weight = self.net["input"].weight
        if self._table is None or self._table[0] != weight._version:
            self._table = (weight._version, F.pad(weight.detach().t(), (0, 0, 0, 1)).contiguous())
        return self._table[1]

    def soft(
        self, groups: list[tuple[torch.Tensor, torch.Tensor]], straight: bool = False
    ) -> Callable[[list[torch.Tensor]], list[torch.Tensor]]:
        """Score soft edits of the same histories many times: keeps Float[B, S, L] -> logits Float[B, S], per group.

        A group is (histories Long[B, L], targets Long[B, S]). Only the columns of a history enter the first layer and
        only the targets leave the last: the work per edit is L instead of n_items, twice. Both are gathered once, here;
        all groups share the layers between. A history must not repeat an item. `straight`: the input is divided by the
        length of the whole history, so it comes from the empty one without a jump.
        """
        latent, net = self.sizes[2], self.net
        with torch.no_grad():
            table = net["input"].weight.t().contiguous()
            rows = [table[histories.clamp_min(0)] * (histories != PAD)[:, :, None] for histories, _ in groups]
            here = [(histories != PAD)[:, None, :] for histories, _ in groups]
            targets = torch.cat([wanted.flatten() for _, wanted in groups])
            out, out_bias = net["output"].weight[targets], net["output"].bias[targets]
            code, code_bias = net["code"].weight[:latent].contiguous(), net["code"].bias[:latent]
            sizes = [wanted.shape for _, wanted in groups]

        def scores(keeps: list[torch.Tensor]) -> list[torch.Tensor]:
            first = torch.cat([(keep @ row).flatten(0, 1) for keep, row in zip(keeps, rows, strict=True)])
            squares = [torch.ones_like(keep) if straight else keep.square() for keep in keeps]
            square = torch.cat([(one * real).sum(2).flatten() for one, real in zip(squares, here, strict=True)])
            hidden = torch.tanh(torch.addcmul(net["input"].bias, first, square.clamp_min(1e-24).rsqrt()[:, None]))
            up = torch.tanh(net["up"](F.linear(hidden, code, code_bias)))
            flat = torch.linalg.vecdot(up, out) + out_bias
            parts = flat.split([b * n for b, n in sizes])
            return [part.view(size) for part, size in zip(parts, sizes, strict=True)]

        return scores

    def soft_score(self, histories: torch.Tensor, keep: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Logits Float[B, S] of targets Long[B, S] under soft edits keep Float[B, S, L]."""
        return self.soft([(histories, targets)])([keep])[0]

    def item_vectors(self) -> torch.Tensor:
        """Float[n_items, hidden]: the rows of the last layer."""
        last: Any = self.net["output"]
        return last.weight

    def tensors(self) -> dict[str, torch.Tensor]:
        return dict(self.net.state_dict())

    def settings(self) -> dict[str, Any]:
        return {"sizes": list(self.sizes)}

    @classmethod
    def from_tensors(cls, tensors: dict[str, torch.Tensor], settings: dict[str, Any]) -> Vae:
        place = next(iter(tensors.values())).device
        n_items, hidden, latent = settings["sizes"]
        scorer = cls.start(n_items, hidden, latent, devices.generator(0), place)
        scorer.net.load_state_dict(tensors)
        return scorer
