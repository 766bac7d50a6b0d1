"""Causal rules: which history item the recommendation follows when the history is perturbed (Xu et al., 2021)."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from recx.core.errors import BadInput
from recx.core.progress import Progress, part_of, quiet
from recx.core.recipe import param
from recx.explainers import _rules
from recx.explainers._explanation import Finding
from recx.explainers._perturb import HistoryVae, VaeShape, uniform, windows
from recx.worlds.edited import EditedWorld

if TYPE_CHECKING:
    from recx.data.interactions import Split


@dataclass(frozen=True)
class CausalRules:
    """Causal rules: the history item that the recommendation follows when the history is perturbed.

    Xu et al., "Learning Causal Explanations for Recommendation" (CEUR Vol-2911, 2021; arXiv 2006.16977). The latest
    `window` items are perturbed `m` times by a variational autoencoder (`_perturb.py`); the recommender answers each
    perturbed history; Eq. 1, P(Y|H) = sigmoid(sum_j theta(H_j, Y) gamma^(n-j)), is fitted to the answers, theta from 0;
    the items are ranked by theta, and the best one among the first `rank_limit` that is in the true history is the
    cause. None is: no explanation. Then what the paper does not do: the same counts on `m_test` fresh perturbations,
    and for each item the effect of putting it back where it was replaced.

    What the paper leaves open or what differs, with its effect (studies `causal-rules-table2`, `-sweeps`):
    * Eq. 1 is fitted to what was recommended only, so its likelihood has no maximum: theta grows for ever, roughly with
      the logarithm of the steps. It stops after `steps` steps of size `lr` on the mean log-likelihood, and that decides
      what is named. After one step theta is a count weighted by the decay, and the latest item nearly always wins; with
      more steps older items catch up. ML-100K, 60 users: the cause is the latest item for 98, 87, 67 % after
      1, 100, 1,000 steps (GRU4Rec), 97, 73, 48 % (Caser); 20 and 30 % of the causes after 1,000 steps are others than
      after 100. Coverage and Eq. 2 hardly move (97 to 100 %), so neither of the paper's numbers tells the difference.
    * A record with another output never touches theta(., Y), so each (person, Y) is a problem of its own; all are
      fitted at once. The paper's own example (A, B, C -> Y; replacing B changes the output, so "B => Y will be the
      causal explanation") therefore does not follow from Eq. 1: theta of C is larger by its place. With
      `fit = regularised` (other outputs as negatives, an intercept, penalty `l2`) it does follow.
    * Decay and the positive records alone favour the latest item whatever the recommender does.
    * `output`: the paper explains the first item of the list; for the other items of a list "recommended" means in the
      top k. With k = 1 both are the same.
    * `anchor`: the autoencoder gives some items back wrongly even when nothing is sampled; as published such a position
      is replaced every time, by the same item. Anchored, it counts as changed only where the sample differs from that.
    * `vectors`: with BPR's vectors as they are, 4 % of ML-100K's items are the nearest item of no vector at all (a dot
      product favours long vectors), so no decoder can give them back: 8 % of all positions change every time, and 88 %
      of the positions come back as they were. Stretched to equal length, all do ("we observe that VAE can reconstruct
      the original data set accurately").
    * Items older than the window stay as they are and are no candidates for the cause.
    * Candidates are the items outside the perturbed and the original history (`candidates`; the paper does not say).
    """

    m: int = param(500, "Perturbed histories", unit="histories", low=1, high=100_000)
    gamma: float = param(0.7, "Decay of an item's weight per step back in time", low=0.0, high=1.0)
    rank_limit: int = param(
        1, "The cause is looked for among so many items of the largest theta (the paper's k)", low=1, high=1_000_000
    )
    window: int = param(5, "Items that are perturbed, the latest", unit="items", low=1, high=50)
    output: str = param(
        "top-k", "When an answer counts as the recommendation: it is in the top k, or first", choices=("top-k", "top-1")
    )
    fit: str = param(
        "as-published",
        "as-published: Eq. 1 from the histories with this output; regularised: against those without, with a penalty",
        choices=("as-published", "regularised"),
    )
    perturb: str = param(
        "vae", "vae: like histories of people; uniform: each item replaced by chance", choices=("vae", "uniform")
    )
    variance: float = param(5.0, "vae: the encoder's variance times this when sampling", low=0.0, high=1e4)
    share: float = param(0.3, "uniform: the probability that a position is replaced", low=0.0, high=1.0)
    anchor: bool = param(True, "vae: a position changes only where the sample differs from the reconstruction")
    candidates: str = param(
        "both",
        "What can be recommended: items outside the true and the perturbed history, or outside the perturbed one",
        choices=("both", "replaced"),
    )
    m_test: int = param(500, "Fresh perturbed histories on which the rule is tried; 0: none", low=0, high=100_000)
    steps: int = param(100, "Steps of fitting theta", unit="steps", low=1, high=100_000)
    lr: float = param(1.0, "as-published: step size, on the mean log-likelihood", low=1e-6, high=100.0)
    l2: float = param(0.01, "regularised: penalty on theta, against the mean log-likelihood", low=1e-6, high=100.0)
    latent: int = param(64, "vae: width of the latent space", low=1, high=4096)
    hidden: int = param(1024, "vae: width of the two hidden layers", low=1, high=8192)
    beta: float = param(0.01, "vae: weight of the divergence from the prior; 1 is the plain bound", low=0.0, high=100.0)
    epochs: int = param(60, "vae: passes over the histories", low=1, high=10_000)
    batch: int = param(64, "vae: histories in a batch", unit="histories", low=1, high=100_000)
    vectors: str = param(
        "equal", "vae: item vectors stretched to equal length, or raw as BPR left them", choices=("equal", "raw")
    )
    dim: int = param(16, "vae: width of the item vectors (BPR)", low=1, high=1024)
    paper: ClassVar[str] = "Xu et al., CEUR Vol-2911 (2021)"
    needs_of_world: ClassVar[frozenset[str]] = frozenset({"replace", "population"})
    published: ClassVar[dict[str, Any]] = {"output": "top-1", "anchor": False}
    learns_with: ClassVar[tuple[str, ...]] = ("window", "latent", "hidden", "beta", "epochs", "batch", "vectors", "dim")
    learns_from: ClassVar[str] = "data"
    learns_unless: ClassVar[dict[str, str]] = {"perturb": "uniform"}

    def learn(
        self, split: Split, scorer: Any = None, *, seed: int = 0, device: str = "auto", progress: Progress = quiet
    ) -> HistoryVae:
        """The autoencoder of the latest `window` items of everybody: of the test case's history, else of all events.

        Item vectors from the training part only. The targets that are held out are never seen.
        """
        from recx.core import device as devices

        place = devices.resolve(device)
        missing = torch.ones(split.train.n_users, dtype=torch.bool)
        missing[torch.as_tensor(split.test.users)] = False
        others = split.train.histories(torch.nonzero(missing)[:, 0].numpy())
        own = [windows(torch.as_tensor(part), self.window) for part in (split.test.histories, others)]
        return self._learn(split.train, torch.cat(own).to(place), seed, progress)

    def _learn(self, train: Any, own: torch.Tensor, seed: int, progress: Progress) -> HistoryVae:
        shape = VaeShape(self.latent, self.hidden, self.beta, self.epochs, self.batch, 1e-3, self.vectors == "equal")
        return HistoryVae.learn(train, own, shape, self.dim, seed=seed, progress=progress)

    def explain(
        self,
        world: EditedWorld,
        row: torch.Tensor,
        target: torch.Tensor,
        k: int,
        *,
        seed: int = 0,
        get: Any = None,
        progress: Progress = quiet,
    ) -> list[Finding]:
        """Findings of one item whose weight is its theta.

        `details`: `per_item` (column, theta) of all history items (0 for those older than the window); `rules`, one per
        item of the window: column, theta, place (among all items), counts in_and_y, in, out_and_y, out over the m + 1
        records, difference = P(Y | in) - P(Y | out) with its interval (Eq. 2 and 3), the same as fresh_..., and
        effect = what putting the item back changes, with its interval; `leading` (item code, theta, place, in_history)
        of the largest thetas; `perturbed`: the first records (items, changed, output, recommended); `changed_positions`
        and `changed_histories`, shares; `recommended`: share of perturbed histories with the target as output.
        """
        start = time.perf_counter()
        if not len(row):
            return []
        ask, vae = self.asking(world, row, target, k), self.perturber(world, get, part_of(progress, 0.0, 0.3))
        made = self.records(ask, vae, seed, part_of(progress, 0.3, 0.7))
        theta = _rules.fit(made, ask.cases, self.gamma, self.fit, self.steps, self.lr, self.l2)
        fresh = effects = None
        if self.m_test:
            others = self._perturbed(vae, ask.cases, self.m_test, 2 * seed + 1, world)
            fresh = ask.answered(others, part_of(progress, 0.7, 0.85))
            effects = ask.put_back(fresh, part_of(progress, 0.85, 1.0))
        tables = _rules.Tables.of(ask.cases, made, theta, fresh, effects, ask.shown(made))
        seconds = (time.perf_counter() - start) / len(row)
        return [tables.finding(p, self.rank_limit, seconds) for p in range(len(row))]

    def asking(self, world: EditedWorld, row: torch.Tensor, target: torch.Tensor, k: int) -> _rules.Asking:
        """The pairs, and how the recommender is asked about them."""
        cases = _rules.Cases.of(world, row, target, self.window)
        return _rules.Asking(world, cases, k if self.output == "top-k" else 1, self.candidates)

    def records(
        self, ask: _rules.Asking, vae: HistoryVae | None, seed: int, progress: Progress = quiet
    ) -> _rules.Records:
        """The histories themselves and `m` perturbed ones, answered."""
        return ask.answered(self._perturbed(vae, ask.cases, self.m, 2 * seed, ask.world), progress, own=True)

    def perturber(self, world: EditedWorld, get: Any = None, progress: Progress = quiet) -> HistoryVae | None:
        """The autoencoder: what `get` gives, else one learnt now from the windows of this world's own people (so it
        depends on who they are); None for the uniform control."""
        if self.perturb == "uniform":
            return None
        if world.population is None:
            raise BadInput("causal rules need the training histories: give the world a population.")
        if get is not None:
            return get().to(world.histories.device)
        return self._learn(world.population, windows(world.histories, self.window), 0, progress)

    def _perturbed(
        self, vae: HistoryVae | None, cases: _rules.Cases, m: int, seed: int, world: EditedWorld
    ) -> torch.Tensor:
        """Long[R, m, n]: perturbed windows of each person."""
        if vae is None:
            return uniform(cases.window, m, seed, self.share, world.n_items)
        return vae.perturb(cases.window, m, seed, self.variance, self.anchor)
