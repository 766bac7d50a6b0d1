"""What an explainer answers: for one pair a `Finding`, and once it went through the check an `Explanation`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Explanation:
    """The items named for one recommendation, and what really happens without them (and with only them).

    `target` is None when the whole list is explained. Ids and titles are the data set's own.
    `valid`: `found` and the target leaves the top k when the items are removed (by rank, in the world asked).
    `necessary`: removing the items takes the target out of the top k. `sufficient`: keeping only them leaves it in.
    `minimal`: "proved" when every proper subset was tried and none does the same, or, for sets of more than 8 items,
    when the explainer's own search was exhaustive; "not proved"; None where the items do not do it or there are none.
    `margin_*`: target's score minus the k-th best other candidate's, in score units. `replacement`: the item that takes
    the freed place. `seconds` is this pair's share of a batch. `searched` says in words what was tried.
    """

    explainer: str
    recommender: str
    dataset: str
    user: str | None
    target: str | None
    target_title: str | None
    k: int
    items: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)
    world: str = "edited-history"
    found: bool = False
    valid: bool | None = None
    rank_before: int | None = None
    rank_after: int | None = None
    margin_before: float | None = None
    margin_after: float | None = None
    replacement: str | None = None
    replacement_title: str | None = None
    rank_only: int | None = None
    necessary: bool | None = None
    sufficient: bool | None = None
    minimal: str | None = None
    predicted_effect: float | None = None
    model_calls: int = 0
    seconds: float = 0.0
    searched: str = ""
    sentence: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Explanation:
        """The inverse of `as_dict`."""
        lists = {name: tuple(values[name]) for name in ("items", "titles", "weights")}
        return cls(**(values | lists))


@dataclass(frozen=True)
class Finding:
    """What an explainer itself returns for one pair: columns of the history row, before the check and the titles.

    `positions`: columns of `world.histories[row]`, empty when none was found; `weights` one per position.
    `details["per_item"]`: rows (column, effect, ...) about single history
    items. `goal`: "necessary" (the set must take the target out) or "both" (and alone recommend it). `proved`: True
    when the search was exhaustive over all smaller sets, so no smaller set exists. `calls`: histories scored for it.
    """

    positions: tuple[int, ...] = ()
    weights: tuple[float, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)
    goal: str = "necessary"
    predicted_effect: float | None = None
    proved: bool | None = None
    calls: int = 0
    seconds: float = 0.0
    searched: str = ""


# An explainer is a frozen dataclass with
#   paper: ClassVar[str]; needs_of_world: ClassVar[frozenset[str]] (capabilities beyond scores, rank, top_k)
#   explain(world, row: Long[P], target: Long[P], k, *, seed=0, get=None, progress=quiet) -> list[Finding], P of them
# `get`: gives what the explainer learnt beforehand (`_learnt.py`), None for one that learns nothing or is to learn now
