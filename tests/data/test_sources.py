"""Amazon Office: what SOURCE.md says of the file, and the core by a plain loop over dictionaries."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from recx.core.errors import BadInput
from recx.data.sources.amazon_office import COLUMNS, AmazonOffice, core


def plain_core(pairs: list[tuple[str, str]], user: int, item: int) -> list[tuple[str, str]]:
    """Users and items with too few events go, one at a time, until none does."""
    while True:
        users, items = Counter(u for u, _ in pairs), Counter(i for _, i in pairs)
        few = next((u for u, n in users.items() if n < user), None)
        rare = next((i for i, n in items.items() if n < item), None)
        if few is None and rare is None:
            return pairs
        pairs = [(u, i) for u, i in pairs if (u != few if few is not None else i != rare)]


@pytest.mark.data("amazon-office")
def test_amazon_office_as_its_source_says() -> None:
    data = AmazonOffice().load()
    assert (data.n_users, data.n_items, len(data), data.dropped) == (4905, 2420, 53258, {})
    assert data.time is None
    assert (data.items["title"] == data.items["id"]).sum() == 2420 - 1780
    lengths = sorted(len(data.history(u)) for u in range(data.n_users))
    assert (lengths[0], lengths[-1]) == (5, 94)
    with gzip.open(AmazonOffice().files()[0], "rt") as file:
        first = [(row["item_id"], row["asin"]) for row in csv.DictReader(file) if row["user_id"] == "1"]
    own = data.history(data.user_code("1"))
    assert [tuple(data.items[["id", "title"]].iloc[code]) for code in own] == [(i, a or i) for i, a in first]


@pytest.mark.data("amazon-office")
def test_the_subset_of_the_paper_is_the_core_of_15_and_10() -> None:
    data = AmazonOffice(core_user=15, core_item=10).load()
    assert (data.n_users, data.n_items, len(data)) == (654, 524, 15246)
    assert data.popularity.min() == 10
    assert min(len(data.history(u)) for u in range(data.n_users)) == 15
    with pytest.raises(BadInput, match="lower core_user or core_item"):
        AmazonOffice(core_user=80, core_item=50).load()


@pytest.mark.parametrize(("user", "item"), [(1, 1), (2, 2), (3, 2), (2, 4), (9, 9)])
def test_the_core_by_hand(user: int, item: int) -> None:
    pairs = [(f"u{n % 7}", f"i{n * n % 11}") for n in range(40)]
    keep = core(pd.Series([u for u, _ in pairs]), pd.Series([i for _, i in pairs]), user, item)
    assert [pair for pair, kept in zip(pairs, keep, strict=True) if kept] == plain_core(pairs, user, item)


def test_a_file_without_positions_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "interactions_ordered.csv.gz"
    with gzip.open(path, "wt") as file:
        file.write(",".join(COLUMNS) + "\n1,2,,5,A,B\n")
    with pytest.raises(BadInput, match="without a position"):
        AmazonOffice().read([path])
    with gzip.open(path, "wt") as file:
        file.write("user_id,item_id\n1,2\n")
    with pytest.raises(BadInput, match="position"):
        AmazonOffice().read([path])
