"""The choice of a runner for the shards of a flow: worker processes, or a Dask or Ray cluster.

Every shard is a Prefect task, whatever the runner. Its argument is an `Order`, which shows nothing of itself:
settings may contain a database's password, and Prefect, Dask and Ray show arguments in logs and dashboards.
Its results are counts and digests, and nothing stores them.

A cluster that is started here serves only this machine and this user: one process per worker, mutual TLS
(Dask) or a token (Ray) with keys made for the run, no dashboard, its folder inside a private one; it ends
with this process.
"""

from __future__ import annotations

import functools
import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from urllib.parse import urlsplit

# Before Prefect is imported. The default start-up timeout of 20 s is too short for a busy machine.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")
# Lexveil prints its own one-line errors; Prefect's record of them stays in its database.
os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")

from prefect.task_runners import ThreadPoolTaskRunner

from lexveil.flows.runners.dask import dask_runner
from lexveil.flows.runners.order import Order, Runner
from lexveil.flows.runners.pool import WorkerPool
from lexveil.flows.runners.ray import ray_runner
from lexveil.pipeline.errors import SettingsError
from lexveil.pipeline.records import ForEach, Shard, Work
from lexveil.pipeline.settings import Settings

# Tasks wait for worker processes, so a few more than workers cost nothing; many would burden the server.
MAX_TASKS = 8
_CONNECT_SECONDS = 10
_EXTRA_MODULES = {"dask": "prefect_dask", "ray": "prefect_ray"}


@contextmanager
def shard_tasks(settings: Settings) -> Generator[ForEach, None, None]:
    """Yield, inside a flow, a `ForEach` whose shards are Prefect tasks, run where `settings.runner` says.

    Raises:
        SettingsError: The runner's extra is not installed, or its cluster cannot be reached or used.
    """
    check_runner(settings)
    start_runner = {"processes": _process_runner, "dask": dask_runner, "ray": ray_runner}[settings.runner]
    with start_runner(settings) as runner:
        yield runner.each


def check_runner(settings: Settings) -> None:
    """Check, before anything is started, that the runner's extra is installed and its cluster answers.

    Raises:
        SettingsError: It is not installed, or the cluster does not answer.
    """
    if settings.runner != "processes" and find_spec(_EXTRA_MODULES[settings.runner]) is None:
        raise SettingsError(
            f"setting runner: {settings.runner} needs the extra; pip install 'lexveil[{settings.runner}]'"
        )
    if settings.runner != "processes" and (address := settings.runner_address) is not None:
        try:
            url = urlsplit(address if "://" in address else f"//{address}")
            if (
                not url.hostname or not url.port
            ):  # such as Ray's "auto", which may start a cluster open to all
                raise SettingsError("setting runner_address: HOST:PORT, or a URL with both")
            socket.create_connection((url.hostname, url.port), _CONNECT_SECONDS).close()
        except (OSError, ValueError):
            # Without the address, which may contain a password.
            raise SettingsError("setting runner_address: nobody answers there") from None


@contextmanager
def _process_runner(settings: Settings) -> Generator[Runner, None, None]:
    # The pool closes first: on an error, the tasks that wait for it end at once, before their runner closes.
    with (
        ThreadPoolTaskRunner(max_workers=MAX_TASKS) as tasks,  # pyright: ignore[reportArgumentType]
        WorkerPool(settings.workers, settings.shard_seconds) as pool,
    ):

        def make_order(stage: str, work: Work, shard: Shard) -> Order:
            return Order(functools.partial(pool.run, stage, work, shard))

        yield Runner(tasks, make_order, MAX_TASKS)
