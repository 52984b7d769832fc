"""TODO docstring."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Any

from lexveil.flows.runners.cluster import cluster_order, connected, known_server
from lexveil.flows.runners.order import Runner
from lexveil.flows.runners.pool import (
    ONE_THREAD,
    default_workers,
)
from lexveil.pipeline.errors import (
    SettingsError,
)
from lexveil.pipeline.settings import Settings


@contextmanager
def dask_runner(settings: Settings) -> Generator[Runner, None, None]:
    from dask.config import set as configured
    from prefect_dask.task_runners import DaskTaskRunner

    workers = settings.workers or default_workers()
    with ExitStack() as stack:
        if settings.runner_address is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="lexveil-dask-"))
            stack.enter_context(configured(_DASK))
            stack.enter_context(_quiet(logging.getLogger("distributed")))
            tasks = DaskTaskRunner(cluster_kwargs=_dask_cluster(workers, folder))
        else:
            tasks = DaskTaskRunner(address=settings.runner_address)
        stack.enter_context(known_server())
        stack.enter_context(tasks)
        known = connected(lambda: tasks.client.scheduler_info(n_workers=-1)["workers"], "Dask scheduler")
        threads = [worker["nthreads"] for worker in known.values()]
        if any(n > 1 for n in threads):
            raise SettingsError(
                "setting runner_address: its workers must have one thread each (--nthreads 1)"
            )
        theirs = settings.runner_address is not None
        slots = max(workers, len(threads))
        yield Runner(tasks, cluster_order(settings), slots, theirs=theirs)


# Results are counts, so that nothing is ever worth spilling to a disk. A worker that dies is replaced, and a
# shard that was tried twice is given up.
_DASK = {
    # It would print the arguments of what has failed.
    "distributed.nanny.pre-spawn-environ": {**ONE_THREAD, "DASK_LOGGING__DISTRIBUTED": "critical"},
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    "distributed.scheduler.allowed-failures": 1,
    "distributed.worker.profile.enabled": False,
    "distributed.admin.log-length": 0,
    "distributed.scheduler.http.routes": [],  # its pages tell nothing
    "distributed.worker.http.routes": [],
}


def _dask_cluster(workers: int, folder: str) -> dict[str, Any]:
    return {
        "n_workers": workers,
        "threads_per_worker": 1,
        "host": "127.0.0.1",
        "dashboard_address": None,
        "worker_dashboard_address": None,
        "security": True,  # or any user of this machine could have our workers run what he likes
        "local_directory": folder,
        "memory_limit": 0,
    }


@contextmanager
def _quiet(logger: logging.Logger) -> Generator[None, None, None]:
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
