"""The best items of many users against a plain loop over sorted products."""

from __future__ import annotations

import pytest
import torch

from recx.metrics import topk


@pytest.fixture(params=[1, 100, 2**23])
def block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Scores held at a time: one user, three users, everyone."""
    monkeypatch.setattr(topk, "BLOCK", request.param)
    return request.param


def test_top_k_equals_a_plain_loop(block: int, device: str) -> None:
    random = torch.Generator().manual_seed(0)
    users, items = torch.randn(11, 5, generator=random), torch.randn(30, 5, generator=random)
    counts = torch.randint(0, 9, (11,), generator=random)
    counts[3] = 0
    offsets = torch.cat([torch.zeros(1, dtype=torch.long), counts.cumsum(0)])
    seen = torch.randint(0, 30, (int(offsets[-1]),), generator=random)
    found, best = (
        part.cpu()
        for part in topk.top_k(*(one.to(device) for one in (users, items)), 7, offsets.to(device), seen.to(device))
    )
    for b in range(11):
        gone = set(seen[offsets[b] : offsets[b + 1]].tolist())
        scores = {i: float((users[b] * items[i]).sum()) for i in range(30) if i not in gone}
        expected = sorted(scores, key=lambda i: -scores[i])[:7]
        assert found[b].tolist() == expected
        assert best[b].tolist() == pytest.approx([scores[i] for i in expected], abs=1e-5)


def test_candidates_that_run_out_are_named_as_absent() -> None:
    users, items = torch.ones(2, 1), torch.tensor([[3.0], [1.0], [2.0]])
    found, best = topk.top_k(users, items, 5, torch.tensor([0, 2, 2]), torch.tensor([0, 2]))
    assert found.tolist() == [[1, -1, -1], [0, 2, 1]]
    assert best.tolist() == [[1.0, float("-inf"), float("-inf")], [3.0, 2.0, 1.0]]


def test_without_seen_items_everything_is_a_candidate() -> None:
    found, _ = topk.top_k(torch.ones(1, 1), torch.tensor([[1.0], [3.0], [2.0]]), 2)
    assert found.tolist() == [[1, 2]]
