"""Where the shards of a flow are carried out: in worker processes, or on a Dask or Ray cluster.

Every shard is a Prefect task, whatever the runner. What a task is given is an `Order`, of which nothing can
be seen from outside: settings may hold a database's password, and Prefect, Dask and Ray show arguments in
logs and dashboards. What it gives back are counts and digests, and nobody stores them.

A cluster that is made here serves this machine and this user only: one process a worker, mutual TLS (Dask) or
a token (Ray) with keys made for the run, no dashboard, its folder under a private one, and it ends with us.
"""

from __future__ import annotations

import functools
import itertools
import logging
import os
import queue
import secrets
import socket
import tempfile
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

# Before Prefect is imported. The default start-up time-out of 20 s is too short for a busy machine.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")
# Lexveil prints its own one-line errors; Prefect's record of them stays in its database.
os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.tasks import exponential_backoff

from flows.pool import ONE_THREAD, Stopped, WorkerPool, carry_out, default_workers, died_twice, leave_with
from pipeline.errors import (
    AuditFailed,
    BudgetRefused,
    LexveilError,
    SettingsError,
    TrainingStopped,
    UserError,
)
from pipeline.logs import sealed, set_up_logging
from pipeline.records import ForEach, Shard, ShardResult, Work
from pipeline.settings import Settings

# Tasks wait for worker processes, so more of them than workers cost nothing; and few keep the server calm.
MOST_TASKS = 8
RETRIES = 2
_BACK_OFF_SECONDS = 5
_ANSWER_SECONDS = 10
_MODULES = {"dask": "prefect_dask", "ray": "prefect_ray"}
# What trying again doesn't cure.
_FINAL = (UserError, BudgetRefused, AuditFailed, TrainingStopped, Stopped)
_RAY_ROOM = 20
_RAY_STARTS = 3  # it gives itself 30 s for one, too few for a busy machine
_RAY_STORE_BYTES = 80 << 20  # about the least that Ray takes; results are counts


class Order:
    """One shard's work on its way to a worker. Shows nothing, and is no container that Prefect looks into."""

    __slots__ = ("_run",)

    def __init__(self, run: Callable[[], ShardResult]) -> None:
        self._run = run

    def __call__(self) -> ShardResult:
        return self._run()

    def __repr__(self) -> str:
        return "Order()"


def may_pass(task: Any, task_run: Any, state: Any) -> bool:
    """Whether trying again could help: not against a setting, a key or the ledger."""
    del task, task_run
    return not isinstance(state.data, _FINAL)


@task(
    name="shard",
    cache_policy=NO_CACHE,
    persist_result=False,
    log_prints=False,
    retries=RETRIES,
    retry_delay_seconds=exponential_backoff(_BACK_OFF_SECONDS),
    retry_jitter_factor=0.5,
    retry_condition_fn=may_pass,
)
@sealed("shard")
def shard_task(order: Order) -> ShardResult:
    """The task of every shard; it takes the stage's name."""
    return order()


@dataclass(frozen=True, slots=True)
class Runner:
    """Prefect's task runner at work. `order` makes an order for it; `slots` shards are under way at once."""

    tasks: Any
    order: Callable[[str, Work, Shard], Order]
    slots: int
    options: Callable[[], Any] | None = None  # context in which tasks are submitted
    theirs: bool = False  # a cluster that goes on when we end

    def each(self, stage: str, work: Work, shards: Sequence[Shard]) -> Iterator[ShardResult]:
        """A `ForEach`: a bounded number of tasks under way, results as they come."""
        named = shard_task.with_options(name=stage)
        done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        under_way: dict[Any, tuple[Any, Shard]] = {}
        waiting = iter(shards)
        try:
            while True:
                for shard in itertools.islice(waiting, 2 * self.slots - len(under_way)):
                    future = self._submit(named, self.order(stage, work, shard))
                    under_way[future.task_run_id] = future, shard
                    future.add_done_callback(done.put)
                if not under_way:
                    return
                future, shard = under_way.pop(done.get().task_run_id)
                yield _result(future, stage, shard)
        finally:
            if self.theirs:  # or a worker would still write after another run began
                for future, _ in under_way.values():
                    future.wait()

    def _submit(self, named: Any, order: Order) -> Any:
        with ExitStack() as stack:
            if self.options is not None:
                stack.enter_context(self.options())
            return self.tasks.submit(named, {"order": order})


def _result(future: Any, stage: str, shard: Shard) -> ShardResult:
    try:
        return future.result()
    except LexveilError as error:
        raise error from None
    except Exception:  # Dask and Ray have tried twice by then
        raise died_twice(stage, shard) from None


@contextmanager
def shard_tasks(settings: Settings) -> Generator[ForEach, None, None]:
    """Inside a flow: a `ForEach` whose shards are Prefect tasks, carried out where `settings.runner` says.

    Raises:
        SettingsError: the runner's extra isn't installed, or its cluster can't be reached or used.
    """
    check_runner(settings)
    start = {"processes": _processes, "dask": _dask, "ray": _ray}[settings.runner]
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


@contextmanager
def _dask(settings: Settings) -> Generator[Runner, None, None]:
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
        stack.enter_context(_known_server())
        stack.enter_context(tasks)
        known = _connected(lambda: tasks.client.scheduler_info(n_workers=-1)["workers"], "Dask scheduler")
        threads = [worker["nthreads"] for worker in known.values()]
        if any(n > 1 for n in threads):
            raise SettingsError(
                "setting runner_address: its workers must have one thread each (--nthreads 1)"
            )
        theirs = settings.runner_address is not None
        slots = max(workers, len(threads))
        yield Runner(tasks, _cluster_order(settings), slots, theirs=theirs)


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
def _ray(settings: Settings) -> Generator[Runner, None, None]:
    own = settings.runner_address is None
    with ExitStack() as stack:
        if own:
            stack.enter_context(_environment({**_RAY, "RAY_AUTH_TOKEN": _token()}))
        import ray  # reads its environment at once
        from prefect_ray.context import remote_options
        from prefect_ray.task_runners import RayTaskRunner

        if own:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="lexveil-ray-", dir=_near()))
            cluster = _ray_cluster(settings.workers or default_workers(), Path(folder))
            made: Any = RayTaskRunner("local", cluster)
        else:
            made = RayTaskRunner(settings.runner_address, {"log_to_driver": False})
        stack.enter_context(_known_server())
        with _environment(ONE_THREAD):  # for the workers, not for what is trained in this process
            tasks = _connected(
                lambda: _entered(stack, made, _RAY_STARTS if own else 1, ray.shutdown), "Ray cluster"
            )
        slots = int(ray.cluster_resources().get("CPU", 1))
        # A worker that dies: Ray tries the shard on another, once.
        options = functools.partial(remote_options, num_cpus=1, max_retries=1)
        yield Runner(tasks, _cluster_order(settings), slots, options, theirs=not own)


def _entered(stack: ExitStack, made: Any, tries: int, clean: Callable[[], None]) -> Any:
    while True:
        tries -= 1
        try:
            return stack.enter_context(made.duplicate())
        except Exception:
            clean()
            if not tries:
                raise


def _near() -> str:
    """A temporary folder of a short name: Ray's sockets lie in it, and their paths have 107 characters."""
    usual = tempfile.gettempdir()
    return usual if len(usual) <= _RAY_ROOM else "/tmp"  # noqa: S108 - ours is closed to others


@functools.cache
def _token() -> str:
    return secrets.token_hex(32)  # one a process, since Ray reads it once


_RAY = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # so Ray calls it; everywhere it means: this machine only
}


def _ray_cluster(workers: int, folder: Path) -> dict[str, Any]:
    place = folder / "r"  # Ray opens its own folder to everybody, so it lies in a closed one
    place.mkdir()
    return {
        "num_cpus": workers,
        "include_dashboard": False,
        "log_to_driver": False,
        "configure_logging": False,
        "object_store_memory": _RAY_STORE_BYTES,
        "_node_ip_address": "127.0.0.1",
        "_temp_dir": str(place),
        "_system_config": {"enable_metrics_collection": False, "worker_niceness": 0},
    }


def _cluster_order(settings: Settings) -> Callable[[str, Work, Shard], Order]:
    def order(stage: str, work: Work, shard: Shard) -> Order:
        return Order(functools.partial(_carry_out_there, stage, work, shard, settings.shard_seconds))

    return order


def _carry_out_there(stage: str, work: Work, shard: Shard, seconds: int) -> ShardResult:
    _set_up_worker()
    return carry_out(stage, work, shard, seconds)


@functools.cache
def _set_up_worker() -> None:
    os.environ.update(ONE_THREAD)  # for the libraries that aren't loaded yet
    set_up_logging()
    leave_with(os.getppid())  # Ray's would finish what they are at


def _connected(connect: Callable[[], Any], what: str) -> Any:
    try:
        return connect()
    except Exception as error:
        # The address may hold a password, and libraries quote it.
        raise SettingsError(f"setting runner: no {what} to work with ({type(error).__name__})") from None


@contextmanager
def _known_server() -> Generator[None, None, None]:
    """Tell the workers of our ephemeral Prefect server: they would start one each."""
    if PREFECT_API_URL.value():
        yield
        return
    from prefect.server.api.server import SubprocessASGIServer

    server = SubprocessASGIServer()  # the one that every client in this process uses
    with temporary_settings({PREFECT_API_URL: server.api_url}):
        yield


@contextmanager
def _quiet(logger: logging.Logger) -> Generator[None, None, None]:
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Generator[None, None, None]:
    """The variables set while a cluster is started and used; its processes take them over."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
