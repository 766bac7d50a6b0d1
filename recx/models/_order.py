"""What every model of sequences asks of its data first."""

from __future__ import annotations

from recx.core.errors import BadInput
from recx.data.interactions import Interactions


def needs_order(data: Interactions, name: str) -> None:
    """Raises BadInput when the events have no order, so that the sequence model `name` has nothing to learn."""
    if not data.ordered:
        raise BadInput(
            f"{data.name} has no time or order: a sequence model has nothing to learn from it; "
            f"choose ease, itemknn or multvae instead of {name}."
        )
