"""What a command says: one JSON document or aligned text, progress on stderr."""

from __future__ import annotations

import contextlib
import json
import math
import re
import sys
import time
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import click


def _strict(value: Any) -> Any:
    """Plain values as strict JSON knows them: infinities and not-a-number become null."""
    if isinstance(value, dict):
        return {str(key): _strict(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(part) for part in value]
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return ", ".join(map(cell, value)) if isinstance(value, (list, tuple)) else plain(str(value))


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+")


def plain(text: str) -> str:
    """Text of a data set without what would steer a terminal: control characters, overrides of direction."""
    return _CONTROL.sub(" ", text)


def table(rows: Sequence[dict[str, Any]], columns: Sequence[str], empty: str = "nothing yet") -> str:
    """Rows as aligned text; numbers stand to the right."""
    if not rows:
        return empty
    cells = [[cell(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(name), *(len(row[i]) for row in cells)) for i, name in enumerate(columns)]
    right = [all(isinstance(row.get(c), (int, float, type(None))) for row in rows) for c in columns]
    lines = [columns, *cells]
    shape = [str.rjust if numbers else str.ljust for numbers in right]
    put = [[fill(text, width) for text, width, fill in zip(line, widths, shape, strict=True)] for line in lines]
    return "\n".join("  ".join(line).rstrip() for line in put)


class Teller:
    """A progress on stderr: one line that is written over on a terminal, now and then a line elsewhere."""

    def __init__(self) -> None:
        self.tty, self.said = sys.stderr.isatty(), False
        self.last = 0.0 if self.tty else time.monotonic()  # in a log, what is quick says nothing

    def __call__(self, fraction: float, message: str = "") -> None:
        now = time.monotonic()
        if now - self.last < (0.1 if self.tty else 5.0):
            return
        self.last, self.said = now, True
        text = f"{100 * fraction:3.0f} % {message}"
        click.echo(f"\r\033[K{text[:100]}" if self.tty else text, err=True, nl=not self.tty)

    def done(self) -> None:
        """Leave the line that was written over."""
        if self.said and self.tty:
            click.echo("\r\033[K", err=True, nl=False)


Shown = tuple[Any, Callable[[], str]]
"""What a command gives: the JSON document, and the text for a reader (made only when it is wanted)."""


EXIT = "recx.exit"
"""Where a command leaves an exit code other than 0 (`click`'s context)."""


def _json(document: Any) -> str:
    return json.dumps(_strict(document), indent=2, ensure_ascii=False, allow_nan=False)


def shown(command: Callable[..., Shown]) -> Callable[..., int]:
    """A command that returns its document and its text; adds --json and a `progress`."""

    @click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout and nothing else.")
    @wraps(command)
    def inner(as_json: bool, **options: Any) -> int:
        context, teller = click.get_current_context(), Teller()
        if context.invoked_subcommand:  # `jobs --json cancel`: the subcommand speaks for itself
            return 0
        try:
            with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
                document, text = command(progress=teller, **options)
                said = _json(document) if as_json else "\n".join(map(plain, text().split("\n")))
        finally:
            teller.done()
        click.echo(said)
        return int(context.meta.get(EXIT, 0))

    return inner
