"""What a worker does as it starts: the one for quick questions loads what the first of them would wait for."""

from __future__ import annotations

from typing import Any


def dask_setup(worker: Any) -> None:
    """Called by Dask in each worker process (`preload`). The others load torch with their first task."""
    from recx.engine import _task

    _task.store()
    _task.jobs()
    if worker.name == "interactive":
        _task.auto_device()
        import recx.explainers._check
        import recx.models._scorer
        import recx.worlds.edited  # noqa: F401
