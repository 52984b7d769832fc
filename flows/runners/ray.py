"""The Ray runner: shards on a cluster that is started here, or on an existing one."""

from __future__ import annotations

import functools
import secrets
import tempfile
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from lexveil.flows.environment import set_environment
from lexveil.flows.prefect_server import use_own_server
from lexveil.flows.runners.cluster import connect_cluster, order_maker
from lexveil.flows.runners.order import Runner
from lexveil.flows.runners.pool import ONE_THREAD, default_workers
from lexveil.pipeline.settings import Settings

# Ray's sockets are in its temporary folder, and the path of a socket has at most 107 characters.
_MAX_TEMPORARY_PATH = 20
_MAX_STARTS = 3  # Ray allows 30 s for a start, which a busy machine may exceed
_STORE_BYTES = 80 << 20  # about the least that Ray accepts; results are counts


@contextmanager
def ray_runner(settings: Settings) -> Generator[Runner, None, None]:
    """Run shards on a Ray cluster: the one at `settings.runner_address`, or a new one on this machine.

    Raises:
        SettingsError: The cluster cannot be used.
    """
    own = settings.runner_address is None
    with ExitStack() as stack:
        if own:
            stack.enter_context(set_environment({**_RAY, "RAY_AUTH_TOKEN": _make_token()}))
        import ray  # reads its environment at once
        from prefect_ray.context import remote_options
        from prefect_ray.task_runners import RayTaskRunner

        if own:
            folder = stack.enter_context(
                tempfile.TemporaryDirectory(prefix="lexveil-ray-", dir=_short_folder())
            )
            cluster = _ray_cluster(settings.workers or default_workers(), Path(folder))
            template: Any = RayTaskRunner("local", cluster)
        else:
            template = RayTaskRunner(settings.runner_address, {"log_to_driver": False})
        use_own_server()  # or each worker would start one
        with set_environment(ONE_THREAD):  # for the workers, not for the training in this process
            attempts = _MAX_STARTS if own else 1
            tasks = connect_cluster(
                lambda: _enter_with_retries(stack, template, attempts, ray.shutdown), "Ray cluster"
            )
        slots = int(ray.cluster_resources().get("CPU", 1))
        # Ray retries the shard of a worker that died, once.
        options = functools.partial(remote_options, num_cpus=1, max_retries=1)
        yield Runner(tasks, order_maker(settings), slots, options, external=not own)


def _enter_with_retries(stack: ExitStack, template: Any, attempts: int, clean_up: Callable[[], None]) -> Any:
    while True:
        attempts -= 1
        try:
            return stack.enter_context(template.duplicate())
        except Exception:
            clean_up()
            if not attempts:
                raise


def _short_folder() -> str:
    usual = tempfile.gettempdir()
    return usual if len(usual) <= _MAX_TEMPORARY_PATH else "/tmp"  # noqa: S108 - ours is closed to others


@functools.cache
def _make_token() -> str:
    return secrets.token_hex(32)  # one per process, since Ray reads it once


_RAY = {
    "RAY_AUTH_MODE": "token",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # despite its name, it means on every system: this machine only
}


def _ray_cluster(workers: int, folder: Path) -> dict[str, Any]:
    temporary = folder / "r"  # Ray makes its folder readable for everybody, so it is inside a private one
    temporary.mkdir()
    return {
        "num_cpus": workers,
        "include_dashboard": False,
        "log_to_driver": False,
        "configure_logging": False,
        "object_store_memory": _STORE_BYTES,
        "_node_ip_address": "127.0.0.1",
        "_temp_dir": str(temporary),
        "_system_config": {"enable_metrics_collection": False, "worker_niceness": 0},
    }
