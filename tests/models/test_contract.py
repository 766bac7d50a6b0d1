"""Every model keeps the scorer's contract; each test runs on all that are discovered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from recx.core.errors import BadInput
from recx.data.interactions import PAD, Split
from recx.models._scorer import Scorer, compact, load_scorer, save_scorer
from tests.models.conftest import fitted

TOLERANCE = {"atol": 2e-5, "rtol": 1e-4}
"""Single precision: sums of a few hundred terms in another order."""


def histories_of(split: Split, scorer: Any, n: int = 7) -> torch.Tensor:
    return torch.as_tensor(split.test.histories[:n]).to(scorer.device)


def users_of(split: Split, scorer: Any, n: int = 7) -> torch.Tensor:
    return torch.as_tensor(split.test.users[:n]).to(scorer.device)


def test_scores_are_finite_and_of_the_right_shape(scorer: Any, split: Split) -> None:
    histories = histories_of(split, scorer)
    before = histories.clone()
    scores = scorer.score(histories, users_of(split, scorer))
    assert isinstance(scorer, Scorer)
    assert scores.shape == (7, split.train.n_items) == (7, scorer.n_items)
    assert scores.isfinite().all()
    assert torch.equal(histories, before), "the caller's histories were changed"
    assert scorer.edited_history.endswith(".")


def test_chosen_items_score_as_in_the_whole_catalogue(scorer: Any, split: Split) -> None:
    histories, users = histories_of(split, scorer), users_of(split, scorer)
    items = torch.arange(21, device=scorer.device).reshape(7, 3) % scorer.n_items
    torch.testing.assert_close(
        scorer.score(histories, users, items), scorer.score(histories, users).gather(1, items), **TOLERANCE
    )


def test_an_empty_history_is_legal(scorer: Any) -> None:
    empty = torch.full((2, 5), PAD, device=scorer.device)
    scores = scorer.score(empty, torch.full((2,), -1, device=scorer.device))
    assert scores.isfinite().all()
    torch.testing.assert_close(scores[0], scores[1])


@pytest.mark.parametrize("size", [1, 3])
def test_one_row_alone_equals_that_row_in_a_batch(scorer: Any, split: Split, size: int) -> None:
    histories, users = histories_of(split, scorer), users_of(split, scorer)
    parts = [scorer.score(histories[i : i + size], users[i : i + size]) for i in range(0, 7, size)]
    torch.testing.assert_close(torch.cat(parts), scorer.score(histories, users), **TOLERANCE)


def test_padding_does_not_matter(scorer: Any, split: Split) -> None:
    histories, users = histories_of(split, scorer), users_of(split, scorer)
    wide = torch.nn.functional.pad(histories, (9, 0), value=PAD)
    torch.testing.assert_close(scorer.score(wide, users), scorer.score(histories, users), **TOLERANCE)


def test_same_seed_same_scores(model_name: str, split: Split) -> None:
    fitted.cache_clear()
    first = fitted(model_name).score(torch.as_tensor(split.test.histories[:3]))
    torch.rand(5)
    fitted.cache_clear()
    again = fitted(model_name).score(torch.as_tensor(split.test.histories[:3]))
    torch.testing.assert_close(first, again, atol=1e-6, rtol=1e-6)


def test_saved_and_loaded_it_scores_the_same(scorer: Any, split: Split, tmp_path: Path) -> None:
    save_scorer(scorer, tmp_path)
    loaded = load_scorer(tmp_path, str(scorer.device))
    histories = histories_of(split, scorer)
    torch.testing.assert_close(loaded.score(histories), scorer.score(histories), atol=1e-6, rtol=1e-6)
    assert loaded.report == scorer.report
    assert {path.suffix for path in tmp_path.iterdir()} == {".safetensors", ".json"}


def test_a_stored_class_outside_the_models_is_refused(split: Split, tmp_path: Path) -> None:
    save_scorer(fitted("toppop"), tmp_path)
    head = tmp_path / "scorer.json"
    head.write_text(head.read_text().replace("recx.models.toppop", "os.path"))
    with pytest.raises(ValueError, match=r"outside recx\.models"):
        load_scorer(tmp_path, "cpu")


def test_soft_scores_equal_scores_of_the_edited_history(scorer: Any, split: Split) -> None:
    if not hasattr(scorer, "soft_score"):
        pytest.skip(f"{type(scorer).__name__} is not differentiable in its history")
    histories = histories_of(split, scorer, 5)
    keep = torch.rand(5, 4, histories.shape[1], generator=torch.Generator().manual_seed(1)).to(scorer.device) > 0.4
    keep[0, 0], keep[1, 1] = False, True
    targets = torch.arange(20, device=scorer.device).reshape(5, 4) % scorer.n_items
    edited = compact(histories.repeat_interleave(4, 0), keep.flatten(0, 1))
    plain = scorer.score(edited).gather(1, targets.reshape(20, 1)).reshape(5, 4)
    torch.testing.assert_close(scorer.soft_score(histories, keep.float(), targets), plain, **TOLERANCE)


def test_soft_scores_have_the_slope_of_their_values(scorer: Any, split: Split) -> None:
    """The gradient against a central difference, at an inner point."""
    if not hasattr(scorer, "soft_score"):
        pytest.skip(f"{type(scorer).__name__} is not differentiable in its history")
    histories, target = histories_of(split, scorer, 1), torch.tensor([[3]], device=scorer.device)
    keep = torch.full((1, 1, histories.shape[1]), 0.6, device=scorer.device, requires_grad=True)
    slope = torch.autograd.grad(scorer.soft_score(histories, keep, target).sum(), keep)[0]
    assert slope.isfinite().all()
    column, step = histories.shape[1] - 2, 1e-2
    moved = [keep.detach().clone(), keep.detach().clone()]
    moved[0][..., column] += step
    moved[1][..., column] -= step
    up, down = (scorer.soft_score(histories, one, target).item() for one in moved)
    assert (up - down) / (2 * step) == pytest.approx(float(slope[0, 0, column]), abs=2e-3, rel=0.05)


def test_an_absent_device_is_an_error(model_name: str, split: Split) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has CUDA")
    with pytest.raises(BadInput, match="--device auto or cpu"):
        fitted(model_name, "cuda")


@pytest.mark.gpu
def test_cpu_and_cuda_score_alike(model_name: str, split: Split, tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA on this machine")
    save_scorer(fitted(model_name), tmp_path)
    histories = torch.as_tensor(split.test.histories[:7])
    there = load_scorer(tmp_path, "cuda").score(histories.cuda()).cpu()
    torch.testing.assert_close(there, fitted(model_name).score(histories), atol=1e-3, rtol=1e-3)
