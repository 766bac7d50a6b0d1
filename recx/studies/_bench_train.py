"""Bench: how fast `sasrec`, `gru4rec` and `bpr` learn, against RecBole and RecTools at the same sizes on one split."""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from recx.core import device as devices
from recx.core import registry
from recx.core.errors import BadInput
from recx.core.progress import Progress, part_of, quiet
from recx.core.recipe import Named
from recx.data.interactions import Heldout, Interactions, Split
from recx.metrics.evaluate import per_case
from recx.recipes._recipe import Get, plain_get
from recx.recipes.data import SplitData
from recx.studies import _peers

SHARE = 0.95
"""The quality to reach: this share of the lower of the two sides' best."""


@dataclass(frozen=True)
class Case:
    """One of our models and a peer's at the same sizes. `wanted`: how many times faster ours should be.

    `quality`: trained to a validation NDCG@10; else `epochs` epochs are timed.
    """

    model: str
    settings: dict[str, Any]
    peer: str
    config: dict[str, Any]
    dataset: str
    wanted: float
    quality: bool = True
    epochs: int = 1000


@dataclass
class Run:
    """One training: per epoch its seconds, processor seconds and validation NDCG@10; pairs an epoch; what is known."""

    pairs: int
    facts: dict[str, Any] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    quality: list[float] = field(default_factory=list)

    @property
    def best(self) -> float:
        return max(self.quality, default=float("nan"))

    def add(self, seconds: float, cpu_s: float, quality: float | None) -> None:
        self.seconds.append(seconds)
        self.cpu_s.append(cpu_s)
        if quality is not None:
            self.quality.append(quality)

    def goes_on(self, epochs: int, patience: int, max_seconds: float) -> bool:
        """Whether a further epoch is due: neither the budget nor the patience is used up."""
        since_best = len(self.quality) - 1 - self.quality.index(self.best) if self.quality else 0
        return len(self.seconds) < epochs and sum(self.seconds) < max_seconds and since_best < patience

    def seconds_to(self, target: float) -> float:
        """Training seconds until the validation NDCG@10 first reaches the target; infinite if it never does."""
        for spent, quality in zip(np.cumsum(self.seconds), self.quality, strict=True):
            if quality >= target:
                return float(spent)
        return float("inf")

    def per_million(self, what: list[float]) -> float:
        """Of the median epoch, for a million training pairs."""
        return statistics.median(what) / self.pairs * 1e6


def cases(max_len: int = 50) -> tuple[Case, ...]:
    """The three models against RecBole, `sasrec` against RecTools too; what is not named is each side's default.

    RecBole's batch is its default of 2,048 prefixes, fewer pairs a step than the 128 histories of ours and RecTools.
    Attention weights are not dropped by ours, so RecBole is told not to either; RecTools has no such choice.
    """
    common: dict[str, Any] = {"dim": 64, "max_len": max_len, "dropout": 0.2, "batch": 128, "lr": 1e-3, "loss": "ce"}
    sasrec, gru = common | {"blocks": 2, "heads": 1}, common | {"layers": 1, "dropout_input": 0.2}
    recbole: dict[str, Any] = {"train_batch_size": 2048, "eval_batch_size": 4096, "learning_rate": 1e-3}
    sequence = recbole | {"MAX_ITEM_LIST_LENGTH": max_len, "loss_type": "CE", "train_neg_sample_args": None}
    attention: dict[str, Any] = {"n_layers": 2, "n_heads": 1, "hidden_size": 64, "inner_size": 64, "hidden_act": "relu"}
    attention |= {"hidden_dropout_prob": 0.2, "attn_dropout_prob": 0.0}
    recurrent = {"embedding_size": 64, "hidden_size": 64, "num_layers": 1, "dropout_prob": 0.2}
    rectools: dict[str, Any] = {"n_factors": 64, "n_blocks": 2, "n_heads": 1, "dropout_rate": 0.2, "loss": "softmax"}
    rectools |= {"session_max_len": max_len, "batch_size": 128, "lr": 1e-3}
    return (
        Case("sasrec", sasrec, "rectools", rectools, "ml-100k", 2.0),
        Case("sasrec", sasrec, "recbole", {"model": "SASRec"} | sequence | attention, "ml-100k", 2.0),
        Case("gru4rec", gru, "recbole", {"model": "GRU4Rec"} | sequence | recurrent, "ml-100k", 2.0),
        Case(
            "bpr",
            {"factors": 64},
            "recbole",
            {"model": "BPR", "embedding_size": 64} | recbole,
            "ml-1m",
            1.5,
            quality=False,
            epochs=6,
        ),
    )


def run(
    progress: Progress = quiet,
    *,
    get: Get = plain_get,
    only: tuple[Case, ...] | None = None,
    repeats: int = 3,
    cheap_s: float = 120.0,
    patience: int = 10,
    max_seconds: float = 1800.0,
    device: str = "auto",
) -> dict[str, Any]:
    """`{ours_s, baseline_s, ratio, baseline, work, max_abs_diff, cases}`; the first three are of the weakest case.

    A side is trained `repeats` times with other seeds where its first training took less than `cheap_s`; times are
    medians. A training ends when `patience` epochs brought nothing better, or after `max_seconds` of training.
    """
    every = only or cases()
    place = place_of(device)
    rows = []
    for i, case in enumerate(every):
        part = part_of(progress, i / len(every), (i + 1) / len(every))
        split = get(SplitData(_peers.whole(case.dataset), Named("data.splits", "leave-one-out")))
        rows.append(_case(case, split, place, part, repeats, cheap_s, patience, max_seconds))
    worst = min(rows, key=lambda row: row["ratio"] / row["wanted"])
    return {
        "bench": "train",
        **{name: worst[name] for name in ("ours_s", "baseline_s", "ratio", "baseline")},
        "work": (
            f"the weakest of {len(rows)} cases: {worst['work']}. Seconds are of training alone, batches and negatives "
            f"included, evaluation and set-up excluded. {place}, {torch.get_num_threads()} threads on each side"
        ),
        "max_abs_diff": None,
        "cases": rows,
    }


def place_of(device: str) -> torch.device:
    """Where both sides run: CUDA if both have it, else the CPU. Raises BadInput for CUDA that the peers lack."""
    if device == "cpu" or (device == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    asked = [str(_peers.PYTHON), "-c", "import torch; print(torch.cuda.is_available())"]
    theirs = _peers.here() and subprocess.run(asked, capture_output=True, text=True, check=True).stdout == "True\n"
    if not theirs and device != "auto":
        raise BadInput(f"device {device!r} was asked for and the torch of .venv-bench has no CUDA: use --device cpu.")
    return devices.resolve("cuda" if theirs else "cpu")


# -- one case


def _case(
    case: Case,
    split: Split,
    place: torch.device,
    progress: Progress,
    repeats: int,
    cheap_s: float,
    patience: int,
    max_seconds: float,
) -> dict[str, Any]:
    limits = (case.epochs, patience, max_seconds)
    sides: dict[str, list[Run]] = {}
    for i, (side, train) in enumerate({"ours": _ours, "baseline": _theirs}.items()):
        runs = sides[side] = []
        while not runs or (len(runs) < repeats and sum(runs[0].seconds) < cheap_s):
            part = part_of(progress, (i + len(runs) / repeats) / 2, (i + (len(runs) + 1) / repeats) / 2)
            who = case.model if side == "ours" else f"{case.peer}'s {case.model}"
            runs.append(train(case, split, place, len(runs), limits, _named(part, f"{who}, run {len(runs) + 1}")))
    return compared(case, sides["ours"], sides["baseline"])


def compared(case: Case, ours: list[Run], theirs: list[Run]) -> dict[str, Any]:
    """A row: seconds to the common target (or of an epoch), and seconds per million pairs, of both sides."""
    pairs = [
        [statistics.median(run.per_million(getattr(run, name)) for run in side) for side in (ours, theirs)]
        for name in ("seconds", "cpu_s")
    ]
    if case.quality:
        target = SHARE * min(run.best for run in (*ours, *theirs))
        times = [statistics.median(run.seconds_to(target) for run in side) for side in (ours, theirs)]
        work = f"{case.model} on {case.dataset} until validation NDCG@10 is {target:.4f}"
    else:
        target = None
        times = [statistics.median(statistics.median(run.seconds) for run in side) for side in (ours, theirs)]
        work = f"an epoch of {case.model} on {case.dataset}"
    version = _peers.versions()[case.peer]
    return {
        "model": case.model,
        "baseline": f"{ {'recbole': 'RecBole', 'rectools': 'RecTools'}[case.peer] } {version}",
        "work": work,
        "wanted": case.wanted,
        "ours_s": round(times[0], 3),
        "baseline_s": round(times[1], 3),
        "ratio": round(times[1] / times[0], 2),
        "target": target,
        "ours_s_per_million": round(pairs[0][0], 3),
        "baseline_s_per_million": round(pairs[0][1], 3),
        "ratio_per_million": round(pairs[0][1] / pairs[0][0], 2),
        "ratio_per_million_cpu": round(pairs[1][1] / pairs[1][0], 2),
        **{
            f"{side}_{name}": value
            for side, runs in (("ours", ours), ("baseline", theirs))
            for name, value in _facts(runs).items()
        },
        "settings": case.settings,
        "baseline_settings": case.config,
    }


def _facts(runs: list[Run]) -> dict[str, Any]:
    return {
        "pairs": runs[0].pairs,
        "runs": len(runs),
        "epochs": [len(run.seconds) for run in runs],
        "best": [round(run.best, 4) for run in runs if run.quality],
        "parameters": runs[0].facts.get("parameters"),
    }


def _named(progress: Progress, who: str) -> Progress:
    def inner(fraction: float, message: str = "") -> None:
        progress(fraction, f"{who}: {message}")

    return inner


# -- ours


class Stopwatch:
    """A progress that times epochs: from the end of one, checks included, to the last batch of the next."""

    def __init__(self, inner: Progress) -> None:
        self.inner, self.epochs = inner, list[tuple[float, float]]()
        self.start = self.batch = self._now()

    def __call__(self, fraction: float, message: str = "") -> None:
        now = self._now()
        if ": batch" in message:
            self.batch = now
        elif self.batch > self.start:
            self.epochs.append((self.batch[0] - self.start[0], self.batch[1] - self.start[1]))
            self.start = self.batch = self._now()
        self.inner(fraction, message)

    @staticmethod
    def _now() -> tuple[float, float]:
        return time.perf_counter(), time.process_time()


def _ours(
    case: Case, split: Split, place: torch.device, seed: int, limits: tuple[int, int, float], progress: Progress
) -> Run:
    epochs, patience, max_seconds = limits
    budget = {"epochs": epochs, "patience": patience, "max_seconds": max_seconds}
    cls = registry.load("models", case.model)
    known = {row["name"] for row in registry.form("models", case.model)["parameters"]}
    recipe = cls(**case.settings, **{name: value for name, value in budget.items() if name in known})
    watch = Stopwatch(progress)
    valid = split.valid if case.quality else None
    scorer = recipe.fit(split.train, valid=valid, seed=seed, device=str(place), progress=watch)
    lengths = np.diff(split.train.offsets)
    run = Run(int(np.minimum(lengths, case.settings.get("max_len", lengths.max())).sum()), scorer.report)
    curve = scorer.report["curve"]
    if len(curve) != len(watch.epochs):
        raise RuntimeError(f"{case.model} reports {len(curve)} epochs and {len(watch.epochs)} were timed")
    for (seconds, cpu_s), row in zip(watch.epochs, curve, strict=True):
        run.add(seconds, cpu_s, row["quality"])
    return run


# -- theirs


def _theirs(
    case: Case, split: Split, place: torch.device, seed: int, limits: tuple[int, int, float], progress: Progress
) -> Run:
    with tempfile.TemporaryDirectory(prefix="recx-bench-") as name:
        folder = Path(name)
        with _started(case, split, place, seed, folder) as peer:
            facts = peer.hear()
            run = Run(_pairs(case, split.train, facts), facts)
            _same_split(split.valid, folder)
            while True:
                told = peer.hear()
                quality = _quality(folder, split.valid) if case.quality else None
                run.add(told["seconds"], told["cpu_s"], quality)
                shown = "" if quality is None else f", validation {quality:.4f}"
                share = max(sum(run.seconds) / limits[2], len(run.seconds) / limits[0])
                progress(min(1.0, share), f"epoch {told['epoch']}: {told['seconds']:.1f} s{shown}")
                go = run.goes_on(*limits)
                peer.say(go=go)
                if not go:
                    peer.hear()
                    return run


@contextmanager
def _started(case: Case, split: Split, place: torch.device, seed: int, folder: Path) -> Iterator[_peers.Peer]:
    train = split.train
    settings: dict[str, Any] = {"seed": seed, "device": place.type, "users": train.n_users, "items": train.n_items}
    settings |= {"scores": case.quality}
    if case.peer == "rectools":
        _peers.write_table(train, folder / "train.csv")
        settings |= {"model": case.config}
    else:
        _peers.write_recbole(split, folder, "data")
        config = dict(case.config)
        settings |= {"model": config.pop("model"), "dataset": "data", "config": config}
    with _peers.running(f"{case.peer}_train", folder, settings, threads=torch.get_num_threads()) as peer:
        yield peer


def _pairs(case: Case, train: Interactions, facts: dict[str, Any]) -> int:
    """Training pairs an epoch. RecBole says its own, which must be all prefixes of the same training part."""
    lengths = np.diff(train.offsets)
    if case.peer == "rectools":
        return int(np.minimum(np.maximum(lengths - 1, 0), case.config["session_max_len"]).sum())
    expected = len(train) if case.model == "bpr" else len(train) - int((lengths > 0).sum())
    if facts["pairs"] != expected:
        raise RuntimeError(f"RecBole learns from {facts['pairs']:,} pairs where the split holds {expected:,}")
    return expected


def _same_split(valid: Heldout, folder: Path) -> None:
    """Raises RuntimeError when the peer holds out other validation items than we do (if it says which)."""
    path = folder / "targets.npy"
    if path.exists() and not np.array_equal(np.load(path)[valid.users], valid.targets[:, 0]):
        raise RuntimeError("the peer holds out other validation items than our split")


class _Table:
    """Scores that are known already, by user code."""

    exact_scores = True

    def __init__(self, scores: np.ndarray) -> None:
        self.scores, self.n_items, self.device = torch.as_tensor(scores), scores.shape[1], torch.device("cpu")

    def score(self, histories: torch.Tensor, users: torch.Tensor, items: torch.Tensor | None = None) -> torch.Tensor:
        return self.scores[users].clone() if items is None else self.scores[users].gather(1, items)


def _quality(folder: Path, valid: Heldout) -> float:
    """Validation NDCG@10 of the scores that a peer handed out, by the same full ranking as ours."""
    scores = np.load(folder / "scores.npy")
    if np.isnan(scores[valid.users]).any():
        raise RuntimeError("the peer gave no score for some validation users")
    return float(per_case(_Table(scores), valid, names=("ndcg@10",))["ndcg@10"].mean())
