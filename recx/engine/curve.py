"""The loss curve of a running job, read from what the training loop says once per epoch."""

from __future__ import annotations

import math
import re
from typing import Any

NUMBER = r"[-+]?(?:\d[\d,]*\.?\d*(?:e[-+]?\d+)?|inf|nan)"
_EPOCH = re.compile(rf"epoch (?P<epoch>\d[\d,]*): loss (?P<loss>{NUMBER})(?:, validation (?P<quality>{NUMBER}))?$")
_FIGURES = re.compile(r"\d[\d.,]*")


def point(message: str) -> dict[str, Any] | None:
    """`epoch 3: loss 0.6931, validation 0.0712` as {epoch, loss, quality}; None for any other message.

    `quality` is None where the epoch was not checked, a number that is not finite likewise.
    """
    found = _EPOCH.match(message)
    if found is None:
        return None
    return {
        "epoch": int(found["epoch"].replace(",", "")),
        "loss": _finite(found["loss"]),
        "quality": _finite(found["quality"]),
    }


def kind(message: str) -> str:
    """A message without its figures: `epoch 3: batch 17` and `epoch 4: batch 2` are of one kind."""
    return _FIGURES.sub("#", message)


def _finite(text: str | None) -> float | None:
    value = math.nan if text is None else float(text.replace(",", ""))
    return value if math.isfinite(value) else None
