"""One explainer per file: a frozen dataclass with `explain(world, row, target, k, ...)`. The contract is in `_explanation.py`."""
