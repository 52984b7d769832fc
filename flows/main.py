"""The Prefect flow behind `lexveil run`: its tasks are shards, and nothing it records has content.

Parameters are the workspace's path and a run id. Results are never persisted, since Prefect would pickle
them into readable files; resuming rests on the workspace's manifests. Exceptions leave every task and the
flow sealed. What a run is asked to do lies in the workspace, under the protected root.
"""

from __future__ import annotations

import functools
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

# Sets Prefect's environment, so it comes before Prefect.
from lexveil.flows.runners.tasks import check_runner, shard_tasks  # isort: skip

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.settings import PREFECT_API_URL

from lexveil.flows.actions import alone
from lexveil.flows.runners.pool import Progress, with_progress
from lexveil.pipeline.logs import sealed
from lexveil.pipeline.request import Request, read_request
from lexveil.pipeline.workspace.storage import read_json
from lexveil.pipeline.workspace.workspace import Workspace

T = TypeVar("T")
_SERVER_CHECK_SECONDS = 0.05
_guards: list[subprocess.Popen[bytes]] = []

_progress: Progress | None = None


def report_progress_to(listener: Progress | None) -> None:
    """Have the progress told to `listener` while a flow runs in this process."""
    global _progress
    _progress = listener


def _tell(stage: str, done: int, total: int, documents: int = 0) -> None:
    if _progress is not None:
        _progress(stage, done, total, documents)


def as_task(stage: str, work: Callable[[], T]) -> T:
    """A `Once` that runs a whole stage as one Prefect task, in this process."""
    outcome: list[T] = []

    @task(name=stage, cache_policy=NO_CACHE, persist_result=False, log_prints=False)
    @sealed(stage)
    def carry_out() -> None:
        outcome.append(work())

    _tell(stage, 0, 1)
    carry_out()
    _tell(stage, 1, 1)
    return outcome[0]


@flow(name="lexveil", log_prints=False, persist_result=False)
@sealed("run")
def main_job(workspace: str, run_id: str) -> None:
    """The main job over a request that lies in the workspace."""
    opened = Workspace.open(workspace)
    carry_out(opened, read_request(opened, run_id))


def carry_out(workspace: Workspace, request: Request) -> None:
    """The main job inside a flow: shards as tasks, carried out where `settings.runner` says."""
    from lexveil.pipeline.job import run_job  # heavy: a night with nothing new never comes here

    with (
        alone(workspace.with_settings(request.settings), "run", {"run": request.run_id}) as done,
        shard_tasks(request.settings) as each,
    ):
        result = run_job(workspace, request, with_progress(each, _tell), as_task)
        done |= {name: result[name] for name in ("run_id", "masked", "model", "epsilon", "delta", "unit")}


@functools.cache
def _end_server_with_us() -> None:
    """See to it that the ephemeral server ends with this process: after kill -9 it would stay for ever."""
    from prefect.server.api.server import SubprocessASGIServer

    server = SubprocessASGIServer()  # the one that every client in this process uses

    def guard() -> None:
        while server.server_process is None:
            time.sleep(_SERVER_CHECK_SECONDS)
        # The shell reads until the system closes our end of the pipe, whatever this process died of.
        command = ["sh", "-c", 'read -r _; kill "$0"', str(server.server_process.pid)]
        _guards.append(
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
            )
        )

    threading.Thread(target=guard, daemon=True).start()


def run(workspace: Workspace, run_id: str, progress: Progress | None = None) -> dict[str, Any]:
    """Start the flow in this process and wait. Returns the run's JSON."""
    check_runner(read_request(workspace, run_id).settings)
    if not PREFECT_API_URL.value():
        _end_server_with_us()
    report_progress_to(progress)
    try:
        main_job(workspace.url, run_id)
    finally:
        report_progress_to(None)
    result = read_json(workspace.runs / run_id / "run.json")
    assert result is not None
    return result
