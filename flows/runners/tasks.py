"""Where the shards of a flow are carried out: in worker processes, or on a Dask or Ray cluster.

Every shard is a Prefect task, whatever the runner. What a task is given is an `Order`, of which nothing can
be seen from outside: settings may hold a database's password, and Prefect, Dask and Ray show arguments in
logs and dashboards. What it gives back are counts and digests, and nobody stores them.

A cluster that is made here serves this machine and this user only: one process a worker, mutual TLS (Dask) or
a token (Ray) with keys made for the run, no dashboard, its folder under a private one, and it ends with us.
"""

from __future__ import annotations

import functools
import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from urllib.parse import urlsplit

# Before Prefect is imported. The default start-up time-out of 20 s is too short for a busy machine.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")
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

# Tasks wait for worker processes, so more of them than workers cost nothing; and few keep the server calm.
MOST_TASKS = 8
_ANSWER_SECONDS = 10
_MODULES = {"dask": "prefect_dask", "ray": "prefect_ray"}


@contextmanager
def shard_tasks(settings: Settings) -> Generator[ForEach, None, None]:
    """Inside a flow: a `ForEach` whose shards are Prefect tasks, carried out where `settings.runner` says.

    Raises:
        SettingsError: the runner's extra isn't installed, or its cluster can't be reached or used.
    """
    check_runner(settings)
    start = {"processes": _processes, "dask": dask_runner, "ray": ray_runner}[settings.runner]
    with start(settings) as runner:
        yield runner.each


def check_runner(settings: Settings) -> None:
    """Refuse a runner whose extra isn't installed, or whose cluster isn't there, before anything is started.

    Raises:
        SettingsError: it isn't installed, or nobody answers.
    """
    if settings.runner != "processes" and find_spec(_MODULES[settings.runner]) is None:
        raise SettingsError(
            f"setting runner: {settings.runner} needs the extra; pip install 'lexveil[{settings.runner}]'"
        )
    if settings.runner != "processes" and (address := settings.runner_address) is not None:
        try:
            where = urlsplit(address if "://" in address else f"//{address}")
            if not where.hostname or not where.port:  # as Ray's "auto", which may mean: make one, open to all
                raise SettingsError("setting runner_address: HOST:PORT, or a URL with both")
            socket.create_connection((where.hostname, where.port), _ANSWER_SECONDS).close()
        except (OSError, ValueError):
            # Said without the address, which may hold a password.
            raise SettingsError("setting runner_address: nobody answers there") from None


@contextmanager
def _processes(settings: Settings) -> Generator[Runner, None, None]:
    # The pool is closed first: on an error, tasks that wait for it end at once, and are waited for.
    with (
        ThreadPoolTaskRunner(max_workers=MOST_TASKS) as tasks,  # pyright: ignore[reportArgumentType]
        WorkerPool(settings.workers, settings.shard_seconds) as pool,
    ):

        def order(stage: str, work: Work, shard: Shard) -> Order:
            return Order(functools.partial(pool.run, stage, work, shard))

        yield Runner(tasks, order, MOST_TASKS)
