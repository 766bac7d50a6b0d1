"""Progress: a part of the work is a part of the whole, and a cancel inside it comes through."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recx.core.progress import Cancelled, part_of, quiet


def test_a_part_fills_its_share_of_the_whole() -> None:
    seen: list[tuple[float, str]] = []
    part = part_of(lambda fraction, message="": seen.append((fraction, message)), 0.25, 0.75)
    part(0.0, "reading")
    part(0.5)
    part(1.0, "done")
    assert seen == [(0.25, "reading"), (0.5, ""), (0.75, "done")]


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_parts_of_parts_stay_inside(a: float, b: float, inner: float, fraction: float) -> None:
    start, end = sorted((a, b))
    seen: list[float] = []
    part_of(part_of(lambda f, message="": seen.append(f), start, end), 0.0, inner)(fraction, "")
    assert start - 1e-12 <= seen[0] <= end + 1e-12


def test_a_cancel_comes_through_a_part() -> None:
    def cancelled(fraction: float, message: str = "") -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        part_of(cancelled, 0.0, 0.5)(0.1, "")


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    quiet(0.5, "half")
    assert capsys.readouterr() == ("", "")
