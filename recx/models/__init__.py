"""One recommender per file: a frozen dataclass whose `fit` returns a scorer. The contract is in `_scorer.py`."""
