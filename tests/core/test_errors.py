"""The sentence for a name that does not exist."""

from __future__ import annotations

import pytest

from recx.core.errors import BadInput, unknown


@pytest.mark.parametrize(
    ("value", "known", "says"),
    [
        ("eaze", ["ease", "sasrec"], "unknown model 'eaze' here; did you mean ease."),
        ("zzz", ["ease", "sasrec"], "unknown model 'zzz' here; known are ease, sasrec."),
        ("zzz", [], "unknown model 'zzz' here; there is none."),
        ("zzz", [f"model-{i}" for i in range(20)], ", ...."),
        (7, [70, 71], "unknown model '7' here"),
    ],
)
def test_it_names_the_value_and_the_cure(value: object, known: list, says: str) -> None:
    error = unknown("model", value, known, " here")
    assert isinstance(error, BadInput)
    assert says in str(error)
    assert "\n" not in str(error)


def test_a_long_list_is_cut_and_says_so() -> None:
    text = str(unknown("user", "someone", (f"{i:06d}" for i in range(10_000))))
    assert len(text) < 200
