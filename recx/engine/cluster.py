"""The engine process: a Dask scheduler and its workers, found by RECX_HOME/engine.json, ending by itself."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from filelock import FileLock

from recx.core import paths
from recx.engine.code import package_version

if TYPE_CHECKING:
    from distributed import Nanny, Scheduler

IDLE_SECONDS = 1800.0
"""Seconds without a task after which the engine ends; RECX_IDLE_SECONDS overrides."""
PROBE_SECONDS = 1.0


# -- finding it


def card_path() -> Path:
    """The file that says where the engine is."""
    return paths.home() / "engine.json"


def card(probe: bool = True) -> dict[str, Any] | None:
    """What the running engine wrote (address, pid, start, id, code); None when there is none or it is dead.

    Without `probe` a living process is enough; with it, its address must answer too.
    """
    try:
        found = json.loads(card_path().read_text(encoding="utf-8"))
        process = psutil.Process(found["pid"])
        alive = abs(process.create_time() - found["start"]) < 2 and process.status() != psutil.STATUS_ZOMBIE
        return found if alive and (not probe or answers(found["address"])) else None
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return None


def answers(address: str) -> bool:
    """Does a Dask scheduler live at an address? Known within PROBE_SECONDS: a living one greets whoever connects.

    (Dask's own client would wait for the greeting of a stopped process without end.)
    """
    protocol, _, place = address.rpartition("://")
    host, _, port = place.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=PROBE_SECONDS / 2) as line:
            line.settimeout(PROBE_SECONDS / 2)
            return protocol == "tls" or bool(line.recv(1))
    except (OSError, ValueError):
        return False


def engine_lock() -> FileLock:
    """Held while engine.json is looked at and written."""
    return FileLock(paths.home() / "engine.lock")


# -- being it


def threads() -> int:
    """Threads that a worker computes with: all cores, or RECX_THREADS."""
    return int(os.environ.get("RECX_THREADS") or os.cpu_count() or 1)


def idle_seconds() -> float:
    """Seconds without work after which the engine ends."""
    return float(os.environ.get("RECX_IDLE_SECONDS") or IDLE_SECONDS)


def gpus() -> list[str]:
    """The numbers of the CUDA devices, asked of the driver without importing torch."""
    with contextlib.suppress(metadata.PackageNotFoundError):
        if "+cpu" in metadata.version("torch"):
            return []
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [one for one in visible.split(",") if one.strip() not in ("", "-1")]
    if not shutil.which("nvidia-smi"):
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=False).stdout
    return [str(place) for place, line in enumerate(listed.splitlines()) if line.startswith("GPU ")]


def worker_plan() -> dict[str, tuple[dict[str, float], dict[str, str]]]:
    """Name -> (resources, environment) of the workers: two for the CPU, one more for each GPU.

    The interactive worker answers two questions at a time: one slow explanation does not hold up the next click.
    With a GPU, quick questions share the first one; fits go to the GPU's own worker.
    """
    found = gpus()
    plan: dict[str, tuple[dict[str, float], dict[str, str]]] = {
        "interactive": ({"interactive": 2}, {"CUDA_VISIBLE_DEVICES": found[0]} if found else {}),
        "batch": ({"batch": 1}, {"CUDA_VISIBLE_DEVICES": ""}),
    }
    return plan | {f"gpu-{one}": ({"GPU": 1}, {"CUDA_VISIBLE_DEVICES": one}) for one in found}


def serve(host: str = "127.0.0.1", port: int = 0) -> int:
    """Run the engine until it is idle for long, told to stop, or replaced; 0 when it ended in order.

    A `host` other than this machine's own lets anybody who reaches it run code here: only for a network you trust.
    """
    with FileLock(paths.home() / "engine-boot.lock") as boot:  # of two that start at once, the later finds the earlier
        found = card()
        if found and found["code"] == package_version():
            print(f"an engine is running already: {found['address']} (process {found['pid']})", flush=True)
            return 0
        _configure()
        asyncio.run(_serve(host, port, boot.release))
    return 0


def _configure() -> None:
    """Dask's settings: no dashboard, no web routes, quick failure of what no worker can do, our threads."""
    import dask

    logging.getLogger("distributed.comm.tcp").setLevel(logging.WARNING)  # a probe is no news
    many = {name: str(threads()) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
    dask.config.set(
        {
            "logging.distributed": "warning",
            "distributed.scheduler.http.routes": [],
            "distributed.worker.http.routes": [],
            "distributed.scheduler.allowed-failures": 3,
            "distributed.scheduler.no-workers-timeout": "120s",
            "distributed.scheduler.worker-ttl": None,  # native code may hold the interpreter for minutes
            "distributed.scheduler.active-memory-manager.start": False,
            "distributed.worker.profile.enabled": False,
            "distributed.nanny.pre-spawn-environ": many | {"MALLOC_TRIM_THRESHOLD_": "65536"},
            "distributed.admin.system-monitor.gil.enabled": False,
        }
    )


async def _serve(host: str, port: int, published: Callable[[], object]) -> None:
    from distributed import Scheduler

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    idle = idle_seconds()
    async with Scheduler(
        host=host, port=port, dashboard=False, dashboard_address="127.0.0.1:0", idle_timeout=idle
    ) as scheduler:
        scheduler.add_plugin(_lost_plugin())
        mine = _publish(scheduler.address)
        published()
        print(f"engine at {scheduler.address}, process {os.getpid()}, ends after {idle:g} idle seconds", flush=True)
        try:
            workers = [_nanny(scheduler, name, *rest) for name, rest in worker_plan().items()]
            started = asyncio.gather(*workers)
            print(await _until_end(stop, scheduler, mine), flush=True)
            started.cancel()
            await asyncio.gather(*(_end(worker) for worker in workers), return_exceptions=True)
        finally:
            _withdraw(mine)


def _nanny(scheduler: Scheduler, name: str, resources: dict[str, float], env: dict[str, str]) -> Nanny:
    from distributed import Nanny

    folder = paths.home() / "workers"
    folder.mkdir(exist_ok=True)
    return Nanny(
        scheduler.address,
        nthreads=int(resources.get("interactive", 1)),
        name=name,
        resources=resources,
        env=env,
        host="127.0.0.1",
        memory_limit=0,
        local_directory=str(folder),
        preload=["recx.engine._worker"],
        dashboard=False,
        dashboard_address="127.0.0.1:0",
    )


async def _until_end(stop: asyncio.Event, scheduler: Scheduler, mine: dict[str, Any]) -> str:
    """Wait for a reason to end, and say it."""
    while True:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(stop.wait(), 0.5)
            return "told to stop"
        if scheduler.status.name in ("closing", "closed"):
            return "nobody asked anything for long"
        if not _is_published(mine):
            return "another engine took over"


async def _end(worker: Nanny) -> None:
    """Stop a worker at once: what it computes is cut off, its job is marked by the next engine or by us."""
    with contextlib.suppress(Exception):
        await worker.kill(timeout=1, reason="engine-ends")
    with contextlib.suppress(Exception):
        await worker.close(timeout=2, reason="engine-ends")


def _publish(address: str) -> dict[str, Any]:
    """Write engine.json; what a dead engine left open becomes interrupted."""
    from recx.engine.jobs import Jobs

    start = psutil.Process().create_time()
    mine = {"address": address, "pid": os.getpid(), "start": start, "id": f"local:{os.getpid()}:{start:.0f}"}
    mine |= {"code": package_version(), "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    with engine_lock():
        tmp = card_path().with_suffix(f".{os.getpid()}.tmp")
        tmp.write_text(json.dumps(mine, indent=1), encoding="utf-8")
        tmp.replace(card_path())
        jobs = Jobs()
        jobs.interrupt_others("local:", mine["id"])
        jobs.prune()
    return mine


def _is_published(mine: dict[str, Any]) -> bool:
    try:
        return bool(json.loads(card_path().read_text(encoding="utf-8"))["id"] == mine["id"])
    except (OSError, ValueError, KeyError):
        return False


def _withdraw(mine: dict[str, Any]) -> None:
    """Remove engine.json if it is still ours, and close our open jobs."""
    from recx.engine.jobs import Jobs

    with engine_lock():
        if _is_published(mine):
            card_path().unlink(missing_ok=True)
        Jobs().interrupt(mine["id"])


def _lost_plugin() -> Any:
    from distributed import SchedulerPlugin

    from recx.engine.jobs import Jobs

    class Lost(SchedulerPlugin):
        """Writes the failure of tasks that could not write it: their worker was killed again and again."""

        def __init__(self) -> None:
            self.jobs = Jobs()

        def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
            if finish == "erred":
                fail_lost(self.jobs, str(key), KILLED if start == "processing" else ALONE)

    return Lost()


def task_key(kind: str, key: str, attempt: int) -> str:
    """Dask's key of one attempt at a recipe."""
    return f"recx:{kind}:{key}:{attempt}"


KILLED = "Its worker was killed four times: it may need more memory than there is."
ALONE = "No worker took this up, or what it needs was given up: see RECX_HOME/engine.log, then ask again."


def fail_lost(jobs: Any, dask_key: str, error: str) -> None:
    """Close the job of a task that Dask gave up."""
    _, _, key, attempt = dask_key.split(":")
    jobs.finish(key, int(attempt), "failed", error)
