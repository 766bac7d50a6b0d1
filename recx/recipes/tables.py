"""Tables that pickers and the data page show: people, items, and the card of a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from recx.core.progress import Progress
from recx.recipes._recipe import Get, Recipe
from recx.recipes.data import Data

if TYPE_CHECKING:
    import pandas as pd

TRAIT_SHARE = 0.1
"""A trait names the tenth of the users at one end of a scale."""


@dataclass(frozen=True)
class People:
    """The users of a data set with traits: heavy, light (by events), niche, mainstream (by their items' popularity)."""

    data: Data
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "interactive"

    def needs(self) -> tuple[Recipe, ...]:
        return (self.data,)

    def run(self, get: Get, progress: Progress) -> dict[str, list[Any]]:
        """Columns user, events, popularity (mean popularity percentile of the items, 0..1), traits, and attributes.

        Plain lists, so that the app can show and search them without pandas.
        """
        import numpy as np
        import pandas as pd

        data = get(self.data)
        events = np.bincount(data.user, minlength=data.n_users)
        percentile = pd.Series(data.popularity).rank(pct=True).to_numpy()
        total = np.bincount(data.user, weights=percentile[data.item], minlength=data.n_users)
        popularity = total / np.maximum(events, 1)
        table = pd.DataFrame({"user": data.users["id"].astype(str), "events": events, "popularity": popularity})
        table["traits"] = _traits(events, popularity)
        for column in data.users.columns.drop("id"):
            table[column] = data.users[column].astype(str)
        return columns(table)


def _traits(events: Any, popularity: Any) -> list[str]:
    import numpy as np

    def ends(values: Any) -> tuple[Any, Any]:
        return values <= np.quantile(values, TRAIT_SHARE), values >= np.quantile(values, 1 - TRAIT_SHARE)

    (light, heavy), (niche, mainstream) = ends(events), ends(popularity)
    columns = {"heavy": heavy, "light": light, "niche": niche, "mainstream": mainstream}
    return [", ".join(name for name, flag in columns.items() if flag[u]) for u in range(len(events))]


def with_trait(people: Mapping[str, Sequence[Any]], trait: str) -> list[str]:
    """The ids of users with a trait; all for `any`."""
    pairs = zip(people["user"], people["traits"], strict=True)
    return [user for user, own in pairs if trait == "any" or trait in own.split(", ")]


def draw_user(people: Mapping[str, Sequence[Any]], trait: str, seed: int) -> str | None:
    """A random user with a trait: the same seed draws the same user."""
    import numpy as np

    among = with_trait(people, trait)
    return among[int(np.random.default_rng(seed).integers(len(among)))] if among else None


def columns(table: pd.DataFrame) -> dict[str, list[Any]]:
    """Column -> plain values, None where one is missing."""
    return {str(name): table[name].astype(object).where(table[name].notna(), None).tolist() for name in table}


@dataclass(frozen=True)
class Items:
    """The items of a data set: item, title, year, genres, popularity (events)."""

    data: Data
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "interactive"

    def needs(self) -> tuple[Recipe, ...]:
        return (self.data,)

    def run(self, get: Get, progress: Progress) -> dict[str, list[Any]]:
        import pandas as pd

        data = get(self.data)
        table = pd.DataFrame(
            {
                "item": data.items["id"].astype(str),
                "title": data.items["title"].astype(str),
                "year": data.items.get("year"),
                "genres": data.items["genres"].fillna("").astype(str) if "genres" in data.items else "",
                "popularity": data.popularity,
            }
        )
        return columns(table)


@dataclass(frozen=True)
class Card:
    """What a data set holds: counts, fingerprint, dropped rows, ratings, time, popularity, genres."""

    data: Data
    keep: ClassVar[str] = "disk"
    lane: ClassVar[str] = "interactive"

    def needs(self) -> tuple[Recipe, ...]:
        return (self.data,)

    def run(self, get: Get, progress: Progress) -> dict[str, Any]:
        """Plain values; `popularity` is the number of events of each item, falling; `months` counts events by month."""
        import numpy as np
        import pandas as pd

        data = get(self.data)
        known = data.time[data.time >= 0] if data.time is not None else np.empty(0, np.int64)
        months = pd.Series(pd.to_datetime(known, unit="s")).dt.strftime("%Y-%m").value_counts().sort_index()
        ratings = pd.Series(data.rating if data.rating is not None else []).value_counts().sort_index()
        genres = data.items["genres"].fillna("").str.split("|").explode() if "genres" in data.items else pd.Series([])
        return {
            "name": data.name,
            "users": data.n_users,
            "items": data.n_items,
            "events": len(data),
            "density": len(data) / (data.n_users * data.n_items),
            "fingerprint": data.fingerprint,
            "dropped": dict(data.dropped),
            "ordered": data.ordered,
            "first": int(known.min()) if len(known) else None,
            "last": int(known.max()) if len(known) else None,
            "unknown_times": int(len(data) - len(known)),
            "rating_counts": {f"{value:g}": int(n) for value, n in ratings.items()},
            "months": {month: int(n) for month, n in months.items()},
            "popularity": sorted((int(n) for n in data.popularity), reverse=True),
            "genres": {str(name): int(n) for name, n in genres[genres != ""].value_counts().items()},
            "events_per_user": [int(n) for n in np.quantile(np.diff(data.offsets), [0, 0.25, 0.5, 0.75, 1])],
        }
