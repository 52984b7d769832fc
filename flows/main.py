"""The Prefect flow behind `lexveil run`: its tasks are shards, and nothing it records has content.

Parameters are the workspace's path and a run id. Results are never persisted, since Prefect would pickle
them into readable files; resuming rests on the workspace's manifests. Exceptions leave every task and the
flow sealed. What a run is asked to do lies in the workspace, under the protected root.
"""

from __future__ import annotations

import functools
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

# Before Prefect is imported. The default start-up time-out of 20 s is too short for a busy machine.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")
# Lexveil prints its own one-line errors; Prefect's record of them stays in its database.
os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.futures import as_completed
from prefect.settings import PREFECT_API_URL
from prefect.task_runners import ThreadPoolTaskRunner

from flows.actions import alone
from flows.pool import Progress, WorkerPool, with_progress
from pipeline.errors import SourceError
from pipeline.job import run_job
from pipeline.logs import sealed
from pipeline.records import ForEach, Shard, ShardResult, Work
from pipeline.request import Request, read_request
from pipeline.workspace import Workspace, read_json

T = TypeVar("T")
# Tasks wait for worker processes, so more of them than workers cost nothing; and few keep the server calm.
MOST_TASKS = 8
_SERVER_CHECK_SECONDS = 0.05
_guards: list[subprocess.Popen[bytes]] = []

_progress: Progress | None = None


def report_progress_to(listener: Progress | None) -> None:
    """Have (stage, done, total) told to `listener` while a flow runs in this process."""
    global _progress
    _progress = listener


def _tell(stage: str, done: int, total: int) -> None:
    if _progress is not None:
        _progress(stage, done, total)


def as_tasks(pool: WorkerPool) -> ForEach:
    """A `ForEach` whose shards are Prefect tasks, carried out by the pool's processes."""

    def each(stage: str, work: Work, shards: Sequence[Shard]) -> Iterator[ShardResult]:
        # Work and results pass by this closure: a task's argument is only the shard's place.
        results: dict[int, ShardResult] = {}

        @task(name=stage, cache_policy=NO_CACHE, persist_result=False, log_prints=False, retries=1)
        @sealed(stage)
        def carry_out(place: int) -> int:
            results[place] = pool.run(stage, work, shards[place])
            return place

        for future in as_completed([carry_out.submit(place) for place in range(len(shards))]):
            yield results[future.result()]

    return each


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


@flow(  # pyright: ignore[reportCallIssue]
    name="lexveil",
    log_prints=False,
    persist_result=False,
    task_runner=ThreadPoolTaskRunner(max_workers=MOST_TASKS),  # pyright: ignore[reportArgumentType]
)
@sealed("run")
def main_job(workspace: str, run_id: str) -> None:
    """The main job over a request that lies in the workspace."""
    place = Workspace.open(workspace)
    carry_out(place, read_request(place, run_id))


def carry_out(workspace: Workspace, request: Request) -> None:
    """The main job inside a flow: shards as tasks, carried out by worker processes."""
    try:
        with (
            alone(workspace, request.settings, "run", {"run": request.run_id}) as done,
            WorkerPool(request.settings.workers) as pool,
        ):
            result = run_job(workspace, request, with_progress(as_tasks(pool), _tell), as_task)
            done |= {name: result[name] for name in ("run_id", "masked", "model", "epsilon", "delta", "unit")}
    except SourceError:
        # Its message names a path, which is for the terminal and not for Prefect's database.
        raise SourceError("a source has gone since the run was asked for; start it again") from None


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
