"""The Dask runner: shards on a cluster that is started here, or on an existing one."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Any

from lexveil.flows.prefect_server import use_own_server
from lexveil.flows.runners.cluster import connect_cluster, order_maker
from lexveil.flows.runners.order import Runner
from lexveil.flows.runners.pool import ONE_THREAD, default_workers
from lexveil.pipeline.errors import SettingsError
from lexveil.pipeline.settings import Settings


@contextmanager
def dask_runner(settings: Settings) -> Generator[Runner, None, None]:
    """Run shards on a Dask cluster: the one at `settings.runner_address`, or a new one on this machine.

    Raises:
        SettingsError: The cluster cannot be used, or its workers have more than one thread.
    """
    from dask.config import set as set_config
    from prefect_dask.task_runners import DaskTaskRunner

    workers = settings.workers or default_workers()
    with ExitStack() as stack:
        if settings.runner_address is None:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="lexveil-dask-"))
            stack.enter_context(set_config(_DASK))
            stack.enter_context(_quiet(logging.getLogger("distributed")))
            tasks = DaskTaskRunner(cluster_kwargs=_dask_cluster(workers, folder))
        else:
            tasks = DaskTaskRunner(address=settings.runner_address)
        use_own_server()  # or each worker would start one
        stack.enter_context(tasks)
        known = connect_cluster(
            lambda: tasks.client.scheduler_info(n_workers=-1)["workers"], "Dask scheduler"
        )
        threads = [worker["nthreads"] for worker in known.values()]
        if any(n > 1 for n in threads):
            raise SettingsError(
                "setting runner_address: its workers must have one thread each (--nthreads 1)"
            )
        external = settings.runner_address is not None
        slots = max(workers, len(threads))
        yield Runner(tasks, order_maker(settings), slots, external=external)


# Results are counts, so spilling to a disk is useless. A worker that dies is replaced; a shard that has
# failed twice is given up.
_DASK = {
    # Its log would show the arguments of failed tasks.
    "distributed.nanny.pre-spawn-environ": {
        **ONE_THREAD,
        "DASK_LOGGING__DISTRIBUTED": "critical",
        "PYTHONSAFEPATH": "1",  # no code of the working folder
    },
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    "distributed.scheduler.allowed-failures": 1,
    "distributed.worker.profile.enabled": False,
    "distributed.admin.log-length": 0,
    "distributed.scheduler.http.routes": [],  # no pages
    "distributed.worker.http.routes": [],
}


def _dask_cluster(workers: int, folder: str) -> dict[str, Any]:
    return {
        "n_workers": workers,
        "threads_per_worker": 1,
        "host": "127.0.0.1",
        "dashboard_address": None,
        "worker_dashboard_address": None,
        "security": True,  # or any user of this machine could run code on our workers
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
