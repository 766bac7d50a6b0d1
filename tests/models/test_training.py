"""The gradient loop: a training that was killed goes on with the same numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recx.core.progress import part_of, quiet, scratch, with_scratch
from recx.models import _training
from recx.models.multvae import MultVae
from recx.models.sasrec import SasRec
from tests.models.conftest import small_split

MODELS = [
    SasRec(dim=8, epochs=4, batch=16, dropout=0.5, loss="bce", max_seconds=1e5),
    MultVae(hidden=8, latent=4, epochs=4, batch=16, max_seconds=1e5),
]


class Killed(Exception):
    """Stands for the end of the process."""


def fit(model: Any, progress: Any) -> Any:
    split = small_split()
    return model.fit(split.train, valid=split.valid, seed=5, device="cpu", progress=progress)


def killed_after(epoch: int, folder: Path) -> Any:
    def tell(fraction: float, message: str = "") -> None:
        if message.startswith(f"epoch {epoch + 1}: batch"):
            raise Killed

    return with_scratch(tell, folder)


@pytest.mark.parametrize("model", MODELS, ids=["sasrec", "multvae"])
@pytest.mark.parametrize("epoch", [1, 3])
def test_resumed_equals_uninterrupted(model: Any, epoch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_training, "CHECKPOINT_SECONDS", 0.0)
    whole = fit(model, quiet)
    with pytest.raises(Killed):
        fit(model, killed_after(epoch, tmp_path))
    said: list[str] = []
    resumed = fit(model, with_scratch(lambda fraction, message="": said.append(message), tmp_path))
    assert said[0] == f"resumed after epoch {epoch}"
    assert not any(line.startswith("epoch 1:") for line in said)
    for name, value in whole.tensors().items():
        torch.testing.assert_close(resumed.tensors()[name], value, atol=1e-6, rtol=1e-5)
    curves = [[row["quality"] for row in scorer.report["curve"]] for scorer in (resumed, whole)]
    assert curves[0] == pytest.approx(curves[1])


def test_a_checkpoint_of_another_model_or_a_damaged_one_counts_as_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_training, "CHECKPOINT_SECONDS", 0.0)
    fit(MODELS[0], with_scratch(quiet, tmp_path))
    other = MultVae(hidden=8, latent=4, epochs=2, batch=16)
    expected = fit(other, quiet).tensors()
    path = tmp_path / "training.safetensors"
    for spoil in (lambda: None, lambda: path.write_bytes(b"no tensors"), lambda: path.write_bytes(b"")):
        spoil()
        found = fit(other, with_scratch(quiet, tmp_path)).tensors()
        torch.testing.assert_close(found, expected)


def test_a_part_of_the_work_has_no_scratch_folder(tmp_path: Path) -> None:
    """Two trainings of one recipe must not take up each other's state."""
    assert scratch(with_scratch(quiet, tmp_path)) == tmp_path
    assert scratch(part_of(with_scratch(quiet, tmp_path), 0.0, 0.5)) is None


def test_parameters_are_counted() -> None:
    scorer = fit(MODELS[1], quiet)
    n, hidden, latent = small_split().train.n_items, 8, 4
    by_hand = n * hidden + hidden + hidden * 2 * latent + 2 * latent + latent * hidden + hidden + hidden * n + n
    assert scorer.report["parameters"] == by_hand


def test_the_learning_rate_falls_when_nothing_gets_better(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradient descent on w with slope 1: w falls by the learning rate each epoch; the best check is the second."""
    monkeypatch.setattr(_training, "CHECKPOINT_SECONDS", 0.0)

    def steps(epochs: int, progress: Any) -> list[float]:
        module, seen = torch.nn.Linear(1, 1, bias=False), []
        torch.nn.init.zeros_(module.weight)
        optimiser = torch.optim.SGD(module.parameters(), lr=1.0)

        def quality() -> float:
            seen.append(module.weight.item())
            return 1.0 if len(seen) == 2 and not found else 0.0

        schedule = _training.Schedule(epochs, 12, 1e5, decay=0.5)
        _training.train(
            module, optimiser, lambda epoch: iter([0]), lambda batch: module.weight.sum(), quality, schedule, progress
        )
        return seen

    found: list[float] = []
    rates = -np.diff([0.0, *steps(14, quiet)])
    assert rates.tolist() == [1.0] * 7 + [0.5] * 5 + [0.25] * 2
    found = steps(9, with_scratch(quiet, tmp_path))
    rest = steps(14, with_scratch(quiet, tmp_path))
    assert (-np.diff([found[-1], *rest])).tolist() == [0.5] * 3 + [0.25] * 2, "and it stays so after a kill"
