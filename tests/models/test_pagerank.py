"""Personalised PageRank against a plain solve over all nodes, networkx, graphs built anew, and closed forms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recx.data.interactions import PAD, pad
from recx.models import pagerank
from recx.models._scorer import load_scorer, save_scorer
from recx.models.pagerank import PageRank
from tests.models.test_floors import drawn
from tests.models.test_models import events_of

N_ITEMS = 14
CLOSE = {"rtol": 2e-5, "atol": 1e-8}
"""Sums of single-precision numbers."""


@pytest.fixture(params=["closed form", "step by step"])
def road(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to sum the walks, the second and the blocks of the first cut very small."""
    monkeypatch.setattr(pagerank, "CELLS", 60)
    if request.param == "step by step":
        monkeypatch.setattr(pagerank, "DENSE_ITEMS", 0)
    return request.param


def people(repeats: bool = False) -> list[list[int]]:
    """20 histories over 12 items and one that alone has item 12; nobody has item 13."""
    rows = [*drawn(20, 12, seed=1), [12, 0, 3]]
    return [row + row[:1] * (n % 3) for n, row in enumerate(rows)] if repeats else rows


def solved(histories: list[list[int]], history: list[int], person: int | None, alpha: float) -> np.ndarray:
    """float64[N_ITEMS]: one linear system over all nodes, the person asking as a node of its own.

    Nodes: people, items, the one who asks; `person` of the graph has no edge. pi = alpha e (I - (1 - alpha) P)^-1.
    """
    n = len(histories)
    edges = np.zeros((n + N_ITEMS + 1, n + N_ITEMS + 1))
    for who, row in enumerate(histories):
        for item in row if who != person else []:
            edges[who, n + item] += 1
            edges[n + item, who] += 1
    for item in history:
        edges[-1, n + item] += 1
    walk = edges / np.maximum(edges.sum(1, keepdims=True), 1)
    return alpha * np.linalg.inv(np.eye(len(edges)) - (1 - alpha) * walk)[-1, n : n + N_ITEMS]


@pytest.mark.parametrize("alpha", [0.02, 0.15, 0.5, 0.98])
@pytest.mark.parametrize("repeats", [False, True])
def test_scores_are_the_walk_over_all_nodes(road: str, alpha: float, repeats: bool) -> None:
    """Own, edited, longer and foreign histories of people of the training and of strangers, in one batch."""
    rows = people(repeats)
    scorer = PageRank(alpha=alpha).fit(events_of(rows, N_ITEMS))
    asked = [(0, rows[0]), (20, rows[20]), (20, [0, 3]), (3, [*rows[3], 13]), (5, [11]), (5, [1, 1, 2])]
    asked += [(None, rows[7]), (None, [12, 4]), (7, rows[8]), (None, [13])]
    users = torch.tensor([-1 if who is None else who for who, _ in asked])
    scores = scorer.score(torch.as_tensor(pad([np.asarray(row) for _, row in asked])), users)
    expected = np.stack([solved(rows, row, who, alpha) for who, row in asked])
    # Condition numbers grow as 1 / alpha; what is left out of the sum is 1e-7 of the whole.
    np.testing.assert_allclose(scores, expected, rtol=2e-5 / min(alpha, 0.15) * 0.15, atol=2e-7)


def test_scores_are_those_of_networkx(road: str) -> None:
    networkx = pytest.importorskip("networkx")
    rows, history = people(), [0, 4, 7]
    graph = networkx.DiGraph()
    for who, row in enumerate(rows):
        for item in row if who != 2 else []:
            graph.add_edge(f"u{who}", item)
            graph.add_edge(item, f"u{who}")
    graph.add_edges_from(("asks", item) for item in history)
    ranks = networkx.pagerank(graph, alpha=0.7, personalization={"asks": 1.0}, tol=1e-12, max_iter=1000)
    scores = PageRank(alpha=0.3).fit(events_of(rows, N_ITEMS)).score(torch.tensor([history]), torch.tensor([2]))
    np.testing.assert_allclose(scores[0, :13], [ranks[item] for item in range(13)], **CLOSE)


def test_an_edited_history_scores_as_in_the_graph_without_the_deleted_events(road: str) -> None:
    """And the same as a stranger with that history, where the person was never part of the graph."""
    rows = people()
    for who in (0, 3, 20):
        kept = rows[who][1:]
        ask = torch.tensor([kept])
        edited = PageRank().fit(events_of(rows, N_ITEMS)).score(ask, torch.tensor([who]))
        without = [row if other != who else kept for other, row in enumerate(rows)]
        rebuilt = PageRank().fit(events_of(without, N_ITEMS)).score(ask, torch.tensor([who]))
        never = PageRank().fit(events_of(rows[:who] + rows[who + 1 :], N_ITEMS)).score(ask)
        np.testing.assert_allclose(edited, rebuilt, **CLOSE)
        np.testing.assert_allclose(edited, never, **CLOSE)


def test_all_walks_end_somewhere(road: str) -> None:
    """On items after an odd number of steps: alpha (1 - alpha) / (1 - (1 - alpha)^2) of them, without dead ends."""
    scorer = PageRank(alpha=0.2).fit(events_of(people()[:-1], N_ITEMS))
    popular = torch.tensor([[0], [1], [2]])
    np.testing.assert_allclose(scorer.score(popular).sum(1), 0.2 * 0.8 / (1 - 0.64), rtol=1e-5)


def test_an_empty_history_is_popularity_among_the_others(road: str) -> None:
    """The walk starts from a random event, where it is at rest: the same as a history of all events of the others."""
    rows = people()
    scorer = PageRank().fit(events_of(rows, N_ITEMS))
    scores = scorer.score(torch.full((2, 3), PAD), torch.tensor([-1, 3]))
    counts = [np.bincount(np.concatenate([r for u, r in enumerate(rows) if u != who]), minlength=14) for who in (-1, 3)]
    np.testing.assert_allclose(scores / scores.sum(1, keepdim=True), [c / c.sum() for c in counts], rtol=1e-5)
    everything = [item for row in rows for item in row]
    np.testing.assert_allclose(scores[0], solved(rows, everything, None, PageRank().alpha), **CLOSE)


def test_contributions_average_to_the_score_of_any_edit(road: str) -> None:
    """Also each alone: the walk from a history of that one item."""
    rows = people()
    scorer = PageRank().fit(events_of(rows, N_ITEMS))
    histories, users = torch.tensor([[0, 3, 12, PAD], [1, PAD, 2, 5]]), torch.tensor([20, -1])
    items = torch.tensor([[1, 5, 12], [0, 0, 9]])
    parts = scorer.contributions(histories, users, items)
    assert parts.shape == (2, 3, 4)
    assert parts[0, :, 3].tolist() == [0, 0, 0]
    np.testing.assert_allclose(parts.sum(2) / 3, scorer.score(histories, users, items), **CLOSE)
    np.testing.assert_allclose(parts[0, :, 1], solved(rows, [3], 20, scorer.alpha)[items[0]], **CLOSE)
    np.testing.assert_allclose(parts[1, :, 2], solved(rows, [2], None, scorer.alpha)[items[1]], **CLOSE)


def test_many_edits_of_many_people_in_one_batch(road: str) -> None:
    """Blocks mix people and repeat them; every row is the row asked alone."""
    rows, stream = people(), torch.Generator().manual_seed(0)
    scorer = PageRank().fit(events_of(rows, N_ITEMS))
    users = torch.randint(-1, len(rows), (150,), generator=stream)
    histories = torch.randint(-1, N_ITEMS, (150, 6), generator=stream)
    alone = torch.cat([scorer.score(histories[i : i + 1], users[i : i + 1]) for i in range(150)])
    np.testing.assert_allclose(scorer.score(histories, users), alone, **CLOSE)


def test_blocks_hold_every_known_row_once_and_stay_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows times the square of the longest training history among them, unless it is one row."""
    rows, stream = people(), torch.Generator().manual_seed(1)
    scorer = PageRank().fit(events_of(rows, N_ITEMS))
    monkeypatch.setattr(pagerank, "CELLS", 200)
    users = torch.randint(-1, len(rows), (300,), generator=stream)
    blocks = list(scorer._blocks(users))
    assert torch.cat(blocks).sort().values.tolist() == torch.nonzero(users >= 0)[:, 0].tolist()
    sizes = [(len(block), max(len(rows[u]) for u in users[block].tolist())) for block in blocks]
    assert all(n == 1 or n * longest**2 <= 200 for n, longest in sizes)
    assert max(n for n, _ in sizes) > 10


def test_the_roads_agree_and_are_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = events_of(people(repeats=True), N_ITEMS)
    closed = PageRank().fit(data)
    monkeypatch.setattr(pagerank, "DENSE_ITEMS", 0)
    stepped = PageRank().fit(data)
    assert (closed.resolvent is None, stepped.resolvent is None) == (False, True)
    save_scorer(stepped, tmp_path)
    loaded: Any = load_scorer(tmp_path, "cpu")
    histories, users = torch.tensor([[0, 3, 12], [1, 2, 5]]), torch.tensor([20, 4])
    np.testing.assert_allclose(stepped.score(histories, users), closed.score(histories, users), **CLOSE)
    assert torch.equal(loaded.score(histories, users), stepped.score(histories, users))


def test_the_walk_prefers_the_same_taste() -> None:
    """Two groups with nothing in common: no walk crosses."""
    rows = [[0, 1], [1, 2], [0, 2], [5, 6], [6, 7], [5, 7]]
    scores = PageRank().fit(events_of(rows, 8)).score(torch.tensor([[0]]))[0]
    assert scores[[3, 4, 5, 6, 7]].tolist() == [0.0] * 5
    assert float(scores[1]) == pytest.approx(float(scores[2]))
    assert scores[0] > scores[1] > 0
