"""TODO docstring."""

from __future__ import annotations

import functools
import secrets
import tempfile
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from lexveil.flows.runners.cluster import cluster_order, connected, known_server, worker_environment
from lexveil.flows.runners.order import Runner
from lexveil.flows.runners.pool import (
    ONE_THREAD,
    default_workers,
)
from lexveil.pipeline.settings import Settings

_RAY_ROOM = 20

_RAY_STARTS = 3  # it gives itself 30 s for one, too few for a busy machine

_RAY_STORE_BYTES = 80 << 20  # about the least that Ray takes; results are counts


@contextmanager
def ray_runner(settings: Settings) -> Generator[Runner, None, None]:
    own = settings.runner_address is None
    with ExitStack() as stack:
        if own:
            stack.enter_context(worker_environment({**_RAY, "RAY_AUTH_TOKEN": _token()}))
        import ray  # reads its environment at once
        from prefect_ray.context import remote_options
        from prefect_ray.task_runners import RayTaskRunner

        if own:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="lexveil-ray-", dir=_near()))
            cluster = _ray_cluster(settings.workers or default_workers(), Path(folder))
            made: Any = RayTaskRunner("local", cluster)
        else:
            made = RayTaskRunner(settings.runner_address, {"log_to_driver": False})
        stack.enter_context(known_server())
        with worker_environment(ONE_THREAD):  # for the workers, not for what is trained in this process
            tasks = connected(
                lambda: _entered(stack, made, _RAY_STARTS if own else 1, ray.shutdown), "Ray cluster"
            )
        slots = int(ray.cluster_resources().get("CPU", 1))
        # A worker that dies: Ray tries the shard on another, once.
        options = functools.partial(remote_options, num_cpus=1, max_retries=1)
        yield Runner(tasks, cluster_order(settings), slots, options, theirs=not own)


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
