"""A table of one's own, imported from CSV, TSV or Parquet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from recx.core.recipe import param
from recx.data import _tables
from recx.data.interactions import Interactions


@dataclass(frozen=True)
class Table:
    """Your own table.

    Made by `python -m recx data import FILE --name NAME --columns user=..,item=..`, after which NAME is a data set like
    the built-in ones. Bad rows were counted and left out at the import.
    """

    name: str = param("", "The name given to the table when it was imported.")
    paper: ClassVar[str] = ""
    prepare: ClassVar[dict[str, Any]] = {}
    how_to_get: ClassVar[str] = (
        "`python -m recx data import FILE --name NAME --columns user=..,item=..,time=..,title=..`."
    )

    def files(self) -> list[Path]:
        """The files the import wrote. Raises BadInput when there is no such table."""
        return _tables.files(self.name)

    def load(self) -> Interactions:
        """The events as imported. Raises BadInput when the table is absent or damaged."""
        return _tables.load(self.name)
