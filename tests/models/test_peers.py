"""Our matrix models against independent implementations on the same split: Surprise's SVD, implicit's BPR and ALS."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recx.core import registry
from recx.data.interactions import Split
from recx.metrics.evaluate import per_case
from recx.recipes._recipe import plain_get
from recx.studies import _peers

pytestmark = [
    pytest.mark.slow,
    pytest.mark.data("ml-100k"),
    pytest.mark.skipif(not _peers.here(), reason="no peers in .venv-bench: run `make install-bench`"),
]
SEEDS = (0, 1, 2)


@cache
def leave_one_out() -> Split:
    """ML-100K, every rating an event, users and items with 5 or more."""
    split: Split = registry.load("data.splits", "leave-one-out")().split(plain_get(_peers.whole("ml-100k")), 0)
    return split


class Given:
    """Scores that are known already, by user code."""

    def __init__(self, scores: np.ndarray) -> None:
        self.scores, self.n_items, self.device = torch.as_tensor(scores), scores.shape[1], torch.device("cpu")

    def score(self, histories: torch.Tensor, users: torch.Tensor, items: Any = None) -> torch.Tensor:
        return self.scores[users].clone()


def hits(scorer: Any) -> np.ndarray:
    """Float[validation users]: HR@10 of each, full ranking; the histories are the training part: what both know."""
    return per_case(scorer, leave_one_out().valid, names=("hr@10",))["hr@10"].numpy().astype(np.float64)


def of_implicit(folder: Path, model: str, seed: int, **config: Any) -> np.ndarray:
    train = leave_one_out().train
    _peers.write_seen(train, folder)
    settings = {"model": model, "config": config, "items": train.n_items, "seed": seed}
    with _peers.running("implicit_fit", folder, settings, threads=torch.get_num_threads()) as peer:
        peer.hear()
    return hits(Given(np.load(folder / "scores.npy")))


def ours(model: str, seed: int, **fields: Any) -> np.ndarray:
    recipe = registry.load("models", model)(max_seconds=1e5, **fields)
    return hits(recipe.fit(leave_one_out().train, seed=seed, device="cpu"))


def apart(mine: list[np.ndarray], theirs: list[np.ndarray]) -> tuple[float, float]:
    """How much better ours is in HR@10, mean over seeds, and the standard error of that, paired by user."""
    assert np.mean(theirs) > 0.1  # they have learnt something: the most popular items reach .072
    difference = np.mean(mine, axis=0) - np.mean(theirs, axis=0)
    return float(difference.mean()), float(difference.std(ddof=1) / len(difference) ** 0.5)


def test_mf_is_as_good_as_surprise_svd(tmp_path: Path) -> None:
    """ML-100K, 70/30 at random, Surprise's defaults (which are ours): RMSE within .003; seeds differ by .001."""
    data = registry.load("data.sources", "ml-100k")().load()
    learnt = np.random.default_rng(0).random(len(data)) < 0.7
    train, pairs = data.keep(learnt), np.stack([data.user, data.item], axis=1)[~learnt].astype(np.int64)
    truth = data.rating[~learnt].astype(np.float64)
    np.save(tmp_path / "train.npy", np.stack([train.user, train.item, train.rating], axis=1).astype(np.float64))
    np.save(tmp_path / "pairs.npy", pairs)
    found: dict[str, list[float]] = {"ours": [], "theirs": []}
    for seed in SEEDS:
        scorer = registry.load("models", "mf")().fit(train, seed=seed, device="cpu")
        rated = scorer.rate(torch.as_tensor(pairs[:, 0].copy()), torch.as_tensor(pairs[:, 1:].copy()))[:, 0]
        with _peers.running(
            "surprise_fit", tmp_path, {"config": {}, "low": 1, "high": 5, "seed": seed}, threads=1
        ) as peer:
            peer.hear()
        for name, predicted in (("ours", rated.numpy()), ("theirs", np.load(tmp_path / "predictions.npy"))):
            found[name].append(float(np.sqrt(np.mean((predicted.clip(1, 5) - truth) ** 2))))
    assert np.mean(found["theirs"]) < 0.96  # a mean rating per item gives 1.02
    assert np.mean(found["ours"]) == pytest.approx(np.mean(found["theirs"]), abs=0.003), found


def test_bpr_is_at_least_as_good_as_implicit(tmp_path: Path) -> None:
    """Not worse than 3 standard errors, and not so much better that it must have seen the answers.

    It is no equal: implicit draws pairs with repeats and negatives by popularity, passes over a pair whose negative the
    person has, and shrinks the biases; ours is LearnBPR of the paper, with uniform negatives. Seen: .139 against .113.
    """
    same = {"factors": 32}
    mine = [ours("bpr", seed, lr=0.02, l2=0.01, epochs=100, **same) for seed in SEEDS]
    theirs = [
        of_implicit(tmp_path, "bpr", seed, learning_rate=0.02, regularization=0.01, iterations=100, **same)
        for seed in SEEDS
    ]
    better, error = apart(mine, theirs)
    assert -3 * error < better < 0.05


def test_implicit_als_is_as_good_as_implicit(tmp_path: Path) -> None:
    """Within 3 standard errors. Its confidence in what people have is alpha, ours 1 + alpha; penalties count once."""
    same = {"factors": 32}
    mine = [ours("als", seed, kind="implicit", alpha=9.0, l2=30.0, epochs=30, **same) for seed in SEEDS]
    theirs = [
        of_implicit(tmp_path, "als", seed, alpha=10.0, regularization=30.0, iterations=30, **same) for seed in SEEDS
    ]
    better, error = apart(mine, theirs)
    assert abs(better) < 3 * error
