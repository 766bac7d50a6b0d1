"""The rows of a study: what a paper printed beside what was measured."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pandas as pd

PUBLISHED = Path(__file__).resolve().parents[2] / "assets" / "published"

COLUMNS = [
    *["paper", "table", "dataset", "system", "recommender", "explainer", "setting", "param", "param_value", "metric"],
    *["published", "unit", "higher_is_better", "best_in_paper", "second_in_paper", "best_computed", "printed"],
    *["printed_delta", "note", "measured", "ci_low", "ci_high", "n", "seed", "convention", "placebo"],
]

DATASETS = {
    "ML 100K": "ml-100k",
    "ML 1M": "ml-1m",
    "MovieLens100k": "ml-100k",
    "Amazon Office": "amazon-office",
}


@functools.cache
def published(paper: str) -> pd.DataFrame:
    """The cells of a paper, `value` renamed `published`; data sets under our names."""
    table = pd.read_csv(PUBLISHED / f"{paper.replace('-', '_')}.csv", dtype={"param_value": str})
    table = table.rename(columns={"value": "published"})
    return table.assign(dataset=table["dataset"].replace(DATASETS))


def beside(paper: str, table: str, rows: list[dict[str, Any]], names: dict[str, str]) -> pd.DataFrame:
    """Measured rows with the paper's cell for the same dataset, system, setting and metric, where it has one.

    `names` maps the paper's system names to ours. Every row needs dataset, system, setting, metric, measured.
    """
    cells = published(paper)
    cells = cells[cells["table"] == table].assign(system=lambda t: t["system"].map(names))
    join = ["dataset", "system", "setting", "metric"]
    kept = ["published", "higher_is_better", "best_in_paper", "second_in_paper", "best_computed", "printed"]
    cells = cells.dropna(subset=["system"])[[*join, *kept, "printed_delta", "note"]]
    merged = pd.DataFrame(rows).merge(cells, on=join, how="left").assign(paper=paper, table=table)
    return merged.reindex(columns=COLUMNS)


def beside_logs(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Measured rows of a leaderboard with the number of a public log for the same line, where there is one."""
    join = ["dataset", "system", "setting", "param_value", "metric"]
    cells = published("leaderboard")[[*join, "published", "printed", "note"]].rename(columns={"note": "source"})
    merged = pd.DataFrame(rows).merge(cells, on=join, how="left").assign(paper="leaderboard", table="leaderboard")
    merged["note"] = merged["note"].where(merged["source"].isna(), merged["source"])
    single = merged["seed"].notna()
    merged.loc[single, ["published", "printed"]] = None
    return merged.reindex(columns=COLUMNS)


def plain(paper: str, rows: list[dict[str, Any]], more: tuple[str, ...] = ()) -> pd.DataFrame:
    """Measured rows that no paper has cells for, with the columns of COLUMNS (and `more` columns of a study's own)."""
    return pd.DataFrame(rows).assign(paper=paper, table=paper).reindex(columns=[*COLUMNS, *more])
