"""All rules of a data set, counted by a loop over its people."""

from __future__ import annotations

from functools import cache
from itertools import permutations
from typing import Any

import pytest

from recx.core.errors import BadInput
from recx.core.progress import quiet
from recx.recipes._build import explainer_of, fit_of
from recx.recipes.global_rules import GlobalRules

FIT = fit_of("planted", "ease")


@cache
def get(recipe: Any) -> Any:
    return recipe.run(get, quiet)


@pytest.mark.parametrize("transactions", ["histories", "with-recommendation"])
def test_rules_equal_counts_by_hand(transactions: str) -> None:
    settings = {"min_support": 0.06, "min_confidence": 0.3, "by": "lift", "transactions": transactions}
    answer = get(GlobalRules(FIT, explainer_of("association", settings), most=20))
    train, scorer = get(FIT.split_data).train, get(FIT)
    people = []
    for u in range(train.n_users):
        own = set(train.history(u).tolist())
        if own and transactions == "with-recommendation":
            import torch

            scores = scorer.score(torch.as_tensor(train.histories([u])))[0].tolist()
            own |= {max((i for i in range(train.n_items) if i not in own), key=scores.__getitem__)}
        people += [own] if own else []
    n = answer["histories"]
    assert n == len(people)
    counts: dict[tuple[int, int], int] = {}
    for own in people:
        for pair in permutations(own, 2):
            counts[pair] = counts.get(pair, 0) + 1
    single = [sum(i in own for own in people) for i in range(train.n_items)]
    wanted = {
        (train.items["id"][i], train.items["id"][j]): both * n / single[i] / single[j]
        for (i, j), both in counts.items()
        if both / n >= 0.06 and both / single[i] >= 0.3 and both * n > single[i] * single[j]
    }
    assert answer["passing"] == len(wanted) > 20
    assert [rule["lift"] for rule in answer["rules"]] == pytest.approx(sorted(wanted.values(), reverse=True)[:20])
    for rule in answer["rules"]:
        assert rule["lift"] == pytest.approx(wanted[rule["item"], rule["target"]])
        assert rule["title"]
        assert rule["target_title"]


def test_only_association_has_rules_of_a_whole_data_set() -> None:
    with pytest.raises(BadInput, match="use association"):
        get(GlobalRules(FIT, explainer_of("minimal")))
    with pytest.raises(BadInput, match="at least 1"):
        get(GlobalRules(FIT, explainer_of("association"), most=0))
