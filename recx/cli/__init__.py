"""The command line: names and settings to recipes, results to tables or one JSON document.

Exit 0: done. 1: the computation failed. 2: bad input, said in one line.
"""

from recx.cli import answers, data, machine, models, studies
from recx.cli.root import cli, main, run

__all__ = ["answers", "cli", "data", "machine", "main", "models", "run", "studies"]
