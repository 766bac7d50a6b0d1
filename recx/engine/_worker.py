"""What a worker does as it starts: threads, and the libraries that the first question would wait for."""

from __future__ import annotations

from typing import Any


def dask_setup(worker: Any) -> None:
    """Called by Dask in each worker process (`preload`)."""
    import torch

    from recx.engine.cluster import threads

    torch.set_num_threads(threads())  # the nanny has set OMP_NUM_THREADS to 1
    import recx.explainers._explanation  # noqa: F401
    import recx.models._scorer
    import recx.worlds.edited  # noqa: F401
    from recx.engine import _task

    _task.store()
    _task.jobs()
