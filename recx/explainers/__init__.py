"""One explainer per file: a frozen dataclass with `explain(...)`. Contract: `_explanation.py`."""
