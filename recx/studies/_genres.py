"""Genres of named items beside those of the recommendation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from recx.metrics.explanation import by_user, share
from recx.studies._field import masks, mean
from recx.studies._sets import cell, persons

if TYPE_CHECKING:
    import pandas as pd

    from recx.data.interactions import Interactions

BETWEEN = " ; "


def jaccard_of(items: pd.DataFrame) -> np.ndarray:
    """Float[n, G + 1]: the genres of each item as 0/1, then how many it has."""
    flags = items["genres"].fillna("").str.get_dummies("|").drop(columns="", errors="ignore").to_numpy(float)
    return np.column_stack([flags, flags.sum(1)])


def overlaps(like: np.ndarray, history: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Float[P, L]: Jaccard of the genres of each history item and the target; NaN where neither has any, or none is."""
    sizes, flags = like[:, -1], like[:, :-1]
    both = np.einsum("plg,pg->pl", flags[history], flags[target])
    either = sizes[history] + sizes[target][:, None] - both
    known = (either > 0) & (history >= 0)
    return np.divide(both, either, out=np.full(both.shape, np.nan), where=known)


def with_overlap(table: pd.DataFrame, histories: np.ndarray, like: np.ndarray) -> pd.DataFrame:
    """The pairs with `overlap` (mean over the named items; NaN where none) and `overlap_random` (over all items)."""
    history = histories[table["user"]]
    value = overlaps(like, history, table["target"].to_numpy())
    named = _mean(np.where(masks(table["items"], history), value, np.nan))
    return table.assign(overlap=named, overlap_random=_mean(value))


def summary(table: pd.DataFrame, long: int) -> list[dict[str, Any]]:
    """Mean overlap, its gain over random sets of the same histories, and the shares of no set and of long sets."""
    user, every = persons(table), by_user(np.ones(len(table)), persons(table))
    own, random = table["overlap"].to_numpy(float), table["overlap_random"].to_numpy(float)
    known = np.isfinite(own)
    first = mean("genre_overlap", "share", own, user)
    first["placebo"] = float(random[known].mean()) if known.any() else None
    shares = {"none": ~table["found"].to_numpy(bool), f"more_than_{long}": table["length"].to_numpy() > long}
    rows = [first, mean("genre_overlap_gain", "share", own - random, user)]
    return rows + [cell(name, "%", share, [by_user(is_so, user), every], len(table)) for name, is_so in shares.items()]


def notes(tables: dict[str, pd.DataFrame], long: int) -> list[str]:
    """Per pair: who finds nothing, and who names more than so many items."""
    columns = {name: (table["found"].to_numpy(bool), table["length"].to_numpy()) for name, table in tables.items()}
    out = []
    for p in range(min(len(found) for found, _ in columns.values())):
        said = [f"{name} finds none" for name, (found, _) in columns.items() if not found[p]]
        said += [f"{name} names {length[p]} items" for name, (_, length) in columns.items() if length[p] > long]
        out.append(BETWEEN.join(said))
    return out


def cases(table: pd.DataFrame, data: Interactions, users: np.ndarray, k: int, notes: list[str]) -> list[dict[str, Any]]:
    """One row per pair, ready to show: ids, titles and genres of the data set."""
    about = data.item_rows
    ids = data.users["id"].to_numpy()[users[table["user"]]]
    out = []
    table = table.rename(columns={"out app": "rank_out", "only app": "rank_only"})
    for user, row, note in zip(ids, table.itertuples(), notes, strict=True):
        named, own = [about[int(code)] for code in row.items], about[int(row.target)]
        one = {"user": str(user), "target": own["item"], "target_title": own["title"], "target_genres": own["genres"]}
        one |= {name: BETWEEN.join(item[key] for item in named) for name, key in _NAMED.items()}
        one |= {"place": int(row.place), "hit": bool(row.hit), "length": int(row.length), "n": int(row.length)}
        one |= {"overlap": row.overlap, "overlap_random": row.overlap_random, "note": note}
        one |= {"necessary": bool(row.found and row.rank_out > k), "sufficient": bool(row.found and row.rank_only <= k)}
        out.append(one | {"metric": "case", "measured": row.overlap, "placebo": row.overlap_random, "seed": 0})
    return out


_NAMED = {"items": "item", "titles": "title", "genres": "genres"}


def _mean(values: np.ndarray) -> np.ndarray:
    """Float[P]: the mean of the known entries of each row, NaN where there is none."""
    known = np.isfinite(values).sum(1)
    return np.divide(np.nansum(values, 1), known, out=np.full(len(values), np.nan), where=known > 0)
