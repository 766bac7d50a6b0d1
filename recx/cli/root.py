"""The command that all others hang on, how one is run, and what its exit code is."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback

import click

from recx.core.errors import BadInput
from recx.core.progress import Cancelled

HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


@click.group(context_settings=HELP)
@click.version_option("0.1.0", prog_name="recx")
def cli() -> None:
    """Why a recommender recommended something, and whether the reason is true."""


def main() -> None:
    """Run the command line and exit."""
    with contextlib.suppress(AttributeError, ValueError):
        sys.stdout.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
        sys.stderr.reconfigure(encoding="utf-8", errors="backslashreplace")  # type: ignore[union-attr]
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line; the exit code."""
    try:
        return cli.main(args=arguments, prog_name="recx", standalone_mode=False) or 0
    except (BadInput, click.UsageError) as error:
        text = error.format_message() if isinstance(error, click.UsageError) else str(error)
        click.echo(f"recx: {' '.join(text.split())}", err=True)
        return 2
    except (KeyboardInterrupt, click.Abort, Cancelled):
        click.echo("recx: interrupted, nothing was lost.", err=True)
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # a trace for who mends it, a sentence for who asked
        from recx.engine._task import machine_trouble, sentence

        if not machine_trouble(error):
            traceback.print_exc()
        click.echo(f"recx: {sentence(error)}", err=True)
        return 1
