"""Histories that are like a person's own but not the same: a variational autoencoder of windows, and its control.

Both kinds have `perturb(windows Long[B, n], m, seed) -> Long[B, m, n]`. The noise is one stream per seed, the same for
every window: each window alone sees independent draws, and an answer does not depend on which others share its batch.
PAD stays PAD.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from recx.core import device as devices
from recx.core.progress import Progress, part_of, quiet
from recx.data.interactions import PAD, Interactions
from recx.models._pairs import Pairs, cells, initial
from recx.models.bpr import _batches, _steps

BLOCK_FLOATS = 2**24
"""Scores over the catalogue that are held at a time: 64 MB."""
BPR_EPOCHS, BPR_LR, BPR_L2 = 60, 0.05, 0.005
"""Training of the item vectors; long, since items whose vectors do not stand out are nobody's nearest."""
LENGTH = 4.0
"""Length of the vectors where all are made equally long: the softmax over 1,682 items can then come near 1."""
WARM = 0.1
"""Share of the steps in which the learning rate rises; it falls to zero afterwards (OneCycleLR)."""


def windows(histories: torch.Tensor, length: int) -> torch.Tensor:
    """Long[B, length]: the latest items, moved to the right; PAD where a history is shorter."""
    from recx.models._scorer import compact

    latest = compact(histories)[:, -length:]
    return F.pad(latest, (length - latest.shape[1], 0), value=PAD)


def item_vectors(
    data: Interactions, dim: int, seed: int, equal: bool = True, progress: Progress = quiet
) -> torch.Tensor:
    """Float[n_items, dim]: BPR's item vectors of the events given; an item without events keeps its initial one.

    `equal`: all stretched to the length LENGTH, so that each item is the nearest one of its own vector.
    """
    user, item, _ = cells(data)
    pairs = Pairs(user, item, data.n_users, data.n_items)
    p, q = (initial(seed, s, n, dim, 0.1).numpy() for s, n in ((0, data.n_users), (1, data.n_items)))
    bias, batches = np.zeros(data.n_items, np.float32), _batches(pairs, seed)
    for epoch in range(BPR_EPOCHS if len(pairs) else 0):
        for u, i, j in batches(epoch):
            _steps(u, i, j, p, q, bias, np.float32(BPR_LR), np.float32(BPR_L2))
        progress((epoch + 1) / BPR_EPOCHS, f"item vectors: epoch {epoch + 1} of {BPR_EPOCHS}")
    vectors = torch.as_tensor(q)
    return LENGTH * F.normalize(vectors, dim=1) if equal else vectors


@dataclass(frozen=True)
class VaeShape:
    """How the autoencoder is built and trained. `beta` weighs the divergence from the prior; 1 is the plain bound.

    `equal`: item vectors of equal length (`item_vectors`).
    """

    latent: int
    hidden: int
    beta: float
    epochs: int
    batch: int
    lr: float
    equal: bool = True


class HistoryVae(nn.Module):
    """Windows of n items -> latent normal -> n vectors, each position the item nearest by dot product.

    Xu et al. 2021, Section 3.2.1: input and output are the item vectors of the window one after the other; encoder and
    decoder are MLPs of two hidden layers; the reconstruction error is a softmax over all items at each position. The
    vectors `items` Float[n_items, d] are fixed. `variance` multiplies the encoder's variance when sampling.
    """

    def __init__(self, items: torch.Tensor, window: int, latent: int, hidden: int, random: torch.Generator) -> None:
        super().__init__()
        self.window, self.latent, self.hidden = window, latent, hidden
        self.items: torch.Tensor
        self.register_buffer("items", items)
        wide = window * items.shape[1]
        self.encoder, self.decoder = _mlp(wide, hidden, 2 * latent), _mlp(latent, hidden, wide)
        for layer in (*self.encoder, *self.decoder):
            if isinstance(layer, nn.Linear):
                bound = 1 / math.sqrt(layer.in_features)
                for weight in (layer.weight, layer.bias):
                    drawn = torch.rand(weight.shape, generator=random, dtype=weight.dtype)
                    weight.data.copy_((2 * drawn - 1) * bound)
        self.report: dict[str, Any] = {}

    @classmethod
    def learn(
        cls, train: Interactions, own: torch.Tensor, shape: VaeShape, dim: int, *, seed: int, progress: Progress = quiet
    ) -> HistoryVae:
        """Trained on the windows `own` Long[B, n], which are those to be perturbed; item vectors from `train`."""
        place = own.device
        items = item_vectors(train, dim, seed, shape.equal, part_of(progress, 0.0, 0.1))
        vae = cls(items, own.shape[1], shape.latent, shape.hidden, devices.generator(seed)).to(place)
        own = torch.unique(own[(own != PAD).any(1)], dim=0)
        curve = vae._train(own, shape, devices.generator(seed + 1), progress) if len(own) else []
        vae.report = {"windows": len(own), "reconstructed": vae.accuracy(own), "curve": curve}
        return vae.eval()

    def _train(
        self, own: torch.Tensor, shape: VaeShape, noise: torch.Generator, progress: Progress
    ) -> list[dict[str, Any]]:
        weights = [*self.encoder.parameters(), *self.decoder.parameters()]
        optimiser = torch.optim.Adam(weights, lr=shape.lr)
        steps = shape.epochs * -(-len(own) // shape.batch)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, shape.lr, total_steps=steps + 1, pct_start=WARM)
        curve = []
        for epoch in range(shape.epochs):
            total = 0.0
            for index in torch.randperm(len(own), generator=noise).to(own.device).split(shape.batch):
                optimiser.zero_grad(set_to_none=True)
                for part in index.split(self._block()):
                    loss = self._loss(own[part], shape.beta, noise) / len(index)
                    loss.backward()
                    total += float(loss.detach()) * len(index)
                optimiser.step()
                schedule.step()
            curve.append({"epoch": epoch + 1, "loss": total / len(own)})
            progress(0.1 + 0.9 * (epoch + 1) / shape.epochs, f"perturbation model: epoch {epoch + 1}")
        return curve

    def _loss(self, own: torch.Tensor, beta: float, noise: torch.Generator) -> torch.Tensor:
        """The negative evidence bound summed over some windows, with the divergence weighted by beta."""
        mean, spread = self.encode(own)
        z = mean + spread * torch.randn(mean.shape, generator=noise).to(mean.device)
        here = own != PAD
        logits = self._vectors(z)[here] @ self.items.T
        wrong = F.cross_entropy(logits, own[here], reduction="sum")
        divergence = 0.5 * (mean**2 + spread**2 - 1 - 2 * spread.log()).sum()
        return wrong + beta * divergence

    def _block(self) -> int:
        """Windows whose scores over the catalogue are held at a time."""
        return max(1, BLOCK_FLOATS // (self.window * max(len(self.items), self.hidden)))

    def encode(self, own: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation Float[B, latent] of windows Long[B, n]; PAD is a zero vector."""
        x = self.items[own.clamp_min(0)] * (own != PAD)[:, :, None]
        mean, log_variance = self.encoder(x.flatten(1)).chunk(2, dim=1)
        return mean, (log_variance.clamp(-20, 10) / 2).exp()

    def _vectors(self, z: torch.Tensor) -> torch.Tensor:
        """Float[B, n, d] of latent points."""
        return self.decoder(z).view(len(z), self.window, -1)

    @torch.no_grad()
    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Long[B, n]: the nearest items, in blocks."""
        parts = [(self._vectors(part) @ self.items.T).argmax(2) for part in z.split(self._block())]
        return torch.cat(parts) if parts else torch.zeros(0, self.window, dtype=torch.long, device=z.device)

    @torch.no_grad()
    def reconstruct(self, own: torch.Tensor) -> torch.Tensor:
        """Long[B, n]: what comes back when nothing is sampled."""
        return torch.where(own == PAD, own, self.decode(self.encode(own)[0]))

    def accuracy(self, own: torch.Tensor) -> float:
        """The share of positions that come back as they were when nothing is sampled."""
        here = own != PAD
        return float((self.reconstruct(own) == own)[here].float().mean()) if here.any() else math.nan

    @torch.no_grad()
    def perturb(self, own: torch.Tensor, m: int, seed: int, variance: float, anchor: bool) -> torch.Tensor:
        """Long[B, m, n]: m samples of each window, the encoder's variance multiplied by `variance`.

        `anchor`: a position counts as changed only where the sample differs from the reconstruction; as published it
        also changes, every time and to the same item, where the reconstruction is wrong.
        """
        mean, spread = self.encode(own)
        noise = torch.randn(m, self.latent, generator=devices.generator(seed)).to(own.device)
        z = mean[:, None] + math.sqrt(variance) * spread[:, None] * noise
        made = self.decode(z.flatten(0, 1)).view(len(own), m, -1)
        kept = own[:, None] == PAD
        if anchor:
            kept = kept | (made == self.decode(mean)[:, None])
        return torch.where(kept, own[:, None], made)

    def tensors(self) -> dict[str, torch.Tensor]:
        return dict(self.state_dict())

    def settings(self) -> dict[str, Any]:
        return {"window": self.window, "latent": self.latent, "hidden": self.hidden}

    @classmethod
    def from_tensors(cls, tensors: dict[str, torch.Tensor], settings: dict[str, Any]) -> HistoryVae:
        vae = cls(tensors["items"], **settings, random=devices.generator(0))
        vae.load_state_dict(tensors)
        return vae.to(tensors["items"].device).eval()


def _mlp(inside: int, hidden: int, out: int) -> nn.Sequential:
    """Two hidden layers."""
    return nn.Sequential(
        nn.Linear(inside, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, out)
    )


def uniform(own: torch.Tensor, m: int, seed: int, share: float, n_items: int) -> torch.Tensor:
    """Long[B, m, n]: the control. Each position is replaced with probability `share` by one of the other items."""
    stream = devices.generator(seed)
    n = own.shape[1]
    hit = (torch.rand(m, n, generator=stream) < share).to(own.device)
    other = torch.randint(max(1, n_items - 1), (m, n), generator=stream).to(own.device)
    other = (other + (other >= own[:, None])).clamp_max(n_items - 1)
    return torch.where(hit & (own[:, None] != PAD), other, own[:, None])
