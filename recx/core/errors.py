"""The one error a user can cause."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class BadInput(ValueError):
    """A mistake of the user: one sentence that names the value, what was expected and the cure."""


def unknown(kind: str, value: object, known: Iterable[str], where: str = "") -> BadInput:
    """The sentence for a name that does not exist: the value, the nearest names, where to look."""
    names = [str(name) for name in known]
    near = get_close_matches(str(value), names, n=3, cutoff=0.5)
    shown = near or names[:8]
    lead = "did you mean" if near else "known are"
    more = ", ..." if not near and len(names) > len(shown) else ""
    hint = f"; {lead} {', '.join(shown)}{more}" if shown else "; there is none"
    return BadInput(f"unknown {kind} {str(value)!r}{where}{hint}.")
