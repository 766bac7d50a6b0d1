"""How the planted world is drawn: its items, its strengths, and who chooses what because of what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from recx.data import _planted_names as names
from recx.data.interactions import Interactions

RANGES = {
    "series": (0.40, 0.60),  # probability that part n makes a person watch part n + 1
    "accessory": (0.65, 0.85),  # probability that a console makes its owner buy an accessory
    "zipf": (0.65, 0.85),  # exponent of popularity over rank
    "taste": (0.8, 1.2),  # standard deviation of log-preference between genres
    "herd": (0.05, 0.15),  # share of choices made by popularity alone, whatever the taste
    "delay": (1.5, 4.0),  # mean number of choices between a cause and its effect
    "length": (30.0, 42.0),  # mean number of choices of a person
    "rating_noise": (0.5, 0.8),  # standard deviation of a rating around what taste says, in stars
}
"""From which ranges a world's strengths are drawn, uniformly, by its seed."""

SERIES, CONSOLES = 14, 8
SHARE_OF_GADGETS = 0.15
LONGEST = 120
FIRST_START, LAST_START = 1640995200, 1704067200  # 2022-01-01 and 2024-01-01, UTC
DAY = 86400


@dataclass(frozen=True, eq=False)
class World:
    """A drawn world before anybody chooses.

    `items`: DataFrame `id`, `title`, `year`, `genres`. `genre`: float64[I, G], rows sum to 1. `popularity`: float64[I],
    sums to 1. `edges`: int64[E, 2] cause and effect, `probability`: float64[E], `kind`: E names.
    """

    seed: int
    users: int
    items: pd.DataFrame
    genre: np.ndarray
    genre_names: list[str]
    popularity: np.ndarray
    edges: np.ndarray
    probability: np.ndarray
    kind: list[str]
    strengths: dict[str, float]


def draw(seed: int, users: int, items: int) -> World:
    """The world of a seed: items with titles, popularity, edges and strengths."""
    stream = np.random.default_rng([seed, 0])
    strengths = {name: float(stream.uniform(low, high)) for name, (low, high) in RANGES.items()}
    rows = _gadgets(stream, items) + _series(stream)
    rows += _films(stream, items - len(rows), {row["title"] for row in rows})
    rows = [rows[i] for i in stream.permutation(len(rows))]
    place = {row["title"]: i for i, row in enumerate(rows)}
    effects = [(place[row["parent"]], i, row["kind"]) for i, row in enumerate(rows) if row["parent"]]
    genre, genre_names = _genres(rows)
    return World(
        seed,
        users,
        _table(rows),
        genre,
        genre_names,
        _popularity(stream, rows, strengths["zipf"]),
        np.array([(cause, effect) for cause, effect, _ in effects]),
        _probabilities(stream, [kind for _, _, kind in effects], strengths),
        [kind for _, _, kind in effects],
        strengths,
    )


def _row(title: str, genres: str, year: int, role: str, parent: str = "", kind: str = "") -> dict[str, Any]:
    return {"title": title, "genres": genres, "year": year, "role": role, "parent": parent, "kind": kind}


def _gadgets(stream: np.random.Generator, items: int) -> list[dict[str, Any]]:
    """Consoles with their accessories, then gadgets that stand alone."""
    rows: list[dict[str, Any]] = []
    for brand in stream.permutation(names.BRANDS)[:CONSOLES]:
        year = int(stream.integers(2014, 2021))
        console = names.CONSOLE.format(brand)
        rows.append(_row(console, "Gaming", year, "console"))
        rows.append(_row(names.CONTROLLER.format(brand), "Gaming", year, "accessory", console, "accessory"))
        rows.append(_row(names.CABLE.format(brand), "Gaming", year, "accessory", console, "accessory"))
    alone = names.gadget_titles(stream, round(items * SHARE_OF_GADGETS))
    return rows + [_row(title, genre, int(stream.integers(2012, 2022)), "plain") for title, genre in alone]


def _series(stream: np.random.Generator) -> list[dict[str, Any]]:
    """Series of two or three films, each part naming the one before."""
    rows: list[dict[str, Any]] = []
    genres = list(names.FILMS)
    for number in range(SERIES):
        genre = genres[number % len(genres)]
        taken = {row["title"] for row in rows}
        title = next(t for t in names.film_titles(stream, genre, 5) if t not in taken)
        second = genres[int(stream.integers(len(genres)))]
        both = genre if second == genre else f"{genre}|{second}"
        year, before = int(stream.integers(1985, 2012)), ""
        subtitles = stream.permutation(names.SUBTITLES)
        for part in range(2 + number % 2):
            full = title if part == 0 else f"{title} {'I' * (part + 1)}: {subtitles[part]}"
            rows.append(_row(full, both, year, "part1" if part == 0 else "sequel", before, "series" if before else ""))
            year, before = year + int(stream.integers(2, 5)), full
    return rows


def _films(stream: np.random.Generator, count: int, taken: set[str]) -> list[dict[str, Any]]:
    """Films that belong to no series, genres in turn, every second one with a further genre."""
    genres = list(names.FILMS)
    stock = {genre: iter(names.film_titles(stream, genre, 100)) for genre in genres}
    rows = []
    for number in range(count):
        genre = genres[number % len(genres)]
        title = next(t for t in stock[genre] if t not in taken)
        taken = taken | {title}
        second = genres[int(stream.integers(len(genres)))]
        both = genre if number % 2 or second == genre else f"{genre}|{second}"
        rows.append(_row(title, both, int(stream.integers(1958, 2022)), "plain"))
    return rows


def _genres(rows: list[dict[str, Any]]) -> tuple[np.ndarray, list[str]]:
    """float64[I, G], each row shared evenly among the item's genres, and the names of the columns."""
    found = sorted({genre for row in rows for genre in row["genres"].split("|")})
    share = np.array([[genre in row["genres"].split("|") for genre in found] for row in rows], float)
    return share / share.sum(1, keepdims=True), found


def _table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "id": pd.Series([f"i{number:03d}" for number in range(1, len(rows) + 1)], dtype="str"),
            "title": pd.Series([row["title"] for row in rows], dtype="str"),
            "year": pd.array([row["year"] for row in rows], dtype="Int64"),
            "genres": pd.Series([row["genres"] for row in rows], dtype="str"),
        }
    )


RANKS = {"part1": (0, 45), "sequel": (10, 90), "console": (60, 110), "plain": (0, 300), "accessory": (300, 400)}
"""Between which popularity ranks (of 300) each kind of item lies: few own a console, hardly any its cable alone."""


def _popularity(stream: np.random.Generator, rows: list[dict[str, Any]], exponent: float) -> np.ndarray:
    """float64[I]: Zipf's law over ranks, which come from each item's kind."""
    wish = np.array([stream.uniform(*RANKS[row["role"]]) for row in rows])
    rank = np.empty(len(rows))
    rank[np.argsort(wish)] = np.arange(1, len(rows) + 1)
    weight = rank**-exponent * np.where([row["role"] == "accessory" for row in rows], 0.3, 1.0)
    return weight / weight.sum()


def _probabilities(stream: np.random.Generator, kinds: list[str], strengths: dict[str, float]) -> np.ndarray:
    """float64[E]: each edge's own probability, within 0.05 of the strength of its kind."""
    return np.array([strengths[kind] for kind in kinds]) + stream.uniform(-0.05, 0.05, len(kinds))


def truth(world: World) -> dict[str, Any]:
    """See `Planted.truth`."""
    ids = world.items["id"].to_numpy(object)
    edges = pd.DataFrame(
        {
            "cause": ids[world.edges[:, 0]],
            "effect": ids[world.edges[:, 1]],
            "kind": world.kind,
            "probability": world.probability,
        }
    )
    accessory = edges[edges["kind"] == "accessory"]
    pairs = accessory.merge(accessory, on="cause")
    pairs = pairs[pairs["effect_x"] < pairs["effect_y"]]
    common = pd.DataFrame({"a": pairs["effect_x"], "b": pairs["effect_y"], "cause": pairs["cause"]}).reset_index(
        drop=True
    )
    return {"edges": edges, "common_causes": common, "strengths": dict(world.strengths)}


def events(world: World) -> Interactions:
    """Everybody's choices, in order, with their causes, ratings and times."""
    stream = np.random.default_rng([world.seed, 1])
    taste = stream.normal(0.0, world.strengths["taste"], (world.users, len(world.genre_names)))
    liking = taste @ world.genre.T
    length = _lengths(world, stream)
    chosen, parent = _choices(world, stream, liking, int(length.max()))
    user, step = np.nonzero(np.arange(chosen.shape[1]) < length[:, None])
    item, caused = chosen[user, step], parent[user, step]
    first = np.concatenate([[0], np.cumsum(length)])[user]
    return Interactions(
        "planted",
        user.astype(np.int32),
        item.astype(np.int32),
        _people(world, taste),
        world.items,
        rating=_ratings(world, stream, liking[user, item], caused >= 0),
        time=_times(stream, chosen.shape)[user, step],
        extra={"cause": np.where(caused >= 0, first + caused, -1).astype(np.int32)},
    )


def _lengths(world: World, stream: np.random.Generator) -> np.ndarray:
    """int64[U]: how many choices each person makes: log-normal, 8 to `LONGEST`."""
    spread = 0.45
    mean = np.log(world.strengths["length"]) - spread**2 / 2
    return np.clip(stream.lognormal(mean, spread, world.users).round(), 8, LONGEST).astype(int)


def _choices(
    world: World, stream: np.random.Generator, liking: np.ndarray, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """int64[U, steps] twice: the item of each choice, and the earlier choice (its column) that caused it, or -1.

    All people choose at once, step by step. A person first follows what an earlier choice has triggered and is due;
    else an item is drawn in proportion to popularity times exp(taste), or to popularity alone; never the same twice.
    The draw is a race of exponential waiting times, the shortest wins.
    """
    people, (users, items) = np.arange(world.users), liking.shape
    by_taste = (np.exp(-liking) / world.popularity).astype(np.float32)
    by_crowd = (1 / world.popularity).astype(np.float32)
    seen = np.zeros((users, items), bool)
    due = np.full((users, items), steps)  # the step from which a cause makes an item due
    because = np.full((users, items), -1)
    chosen, parent = np.full((2, users, steps), -1)
    for step in range(steps):
        herd = stream.random((users, 1)) < world.strengths["herd"]
        wait = stream.standard_exponential((users, items), dtype=np.float32) * np.where(herd, by_crowd, by_taste)
        first = due.argmin(1)
        triggered = due[people, first] <= step
        pick = np.where(triggered, first, np.where(seen, np.inf, wait).argmin(1))
        chosen[:, step] = pick
        parent[:, step] = np.where(triggered, because[people, pick], -1)
        seen[people, pick] = True
        _trigger(world, stream, pick, step, due, because)
        due[seen] = steps
    return chosen, parent


def _trigger(
    world: World, stream: np.random.Generator, pick: np.ndarray, step: int, due: np.ndarray, because: np.ndarray
) -> None:
    """Let this step's choices bring about later ones: writes into `due` and `because`."""
    cause, effect = world.edges.T
    works = (pick[:, None] == cause) & (stream.random((len(pick), len(cause))) < world.probability)
    delay = stream.geometric(1 / world.strengths["delay"], works.shape)
    user, edge = np.nonzero(works)
    due[user, effect[edge]] = step + delay[user, edge]
    because[user, effect[edge]] = step


def _ratings(world: World, stream: np.random.Generator, liking: np.ndarray, caused: np.ndarray) -> np.ndarray:
    """float32[N]: 1 to 5 stars, 3.4 on average plus what taste says; caused choices please a little more."""
    spread = liking.std() or 1.0
    stars = 3.4 + 0.8 * (liking - liking.mean()) / spread + 0.3 * caused
    return np.clip(np.round(stars + stream.normal(0, world.strengths["rating_noise"], len(liking))), 1, 5).astype(
        np.float32
    )


def _times(stream: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """int64[U, LONGEST]: seconds since 1970; a person starts in 2022 or 2023 and chooses every four days on average."""
    start = stream.integers(FIRST_START, LAST_START, (shape[0], 1))
    gaps = 60 + stream.exponential(4 * DAY, shape).astype(np.int64)
    return start + np.cumsum(gaps, axis=1)


def _people(world: World, taste: np.ndarray) -> pd.DataFrame:
    """Users with the two genres they like best, as `likes`."""
    best = np.argsort(-taste, axis=1)[:, :2]
    return pd.DataFrame(
        {
            "id": pd.Series([f"u{number:03d}" for number in range(1, world.users + 1)], dtype="str"),
            "likes": ["|".join(world.genre_names[g] for g in row) for row in best],
        }
    )
