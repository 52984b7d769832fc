"""The Prefect flow behind `lexveil run`: its tasks are shards, and nothing that it records has content.

Its parameters are the workspace's path and a run id. Results are never persisted, since Prefect would pickle
them into readable files; resuming relies on the workspace's manifests. Exceptions leave every task and the
flow sealed. The request of a run is stored in the workspace, under the protected root.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, TypeVar

# Sets Prefect's environment, so it comes before Prefect.
from lexveil.flows.runners.tasks import check_runner, shard_tasks  # isort: skip

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from lexveil.flows.actions import exclusive_action
from lexveil.flows.prefect_server import use_own_server
from lexveil.flows.runners.pool import with_progress
from lexveil.pipeline.logs import seal_errors
from lexveil.pipeline.records import Progress
from lexveil.pipeline.request import Request, read_request
from lexveil.pipeline.workspace.runs import read_run
from lexveil.pipeline.workspace.workspace import Workspace

T = TypeVar("T")
# The listener of the run in this process: an argument of the flow would be recorded by Prefect.
_listener: ContextVar[Progress | None] = ContextVar("lexveil_progress", default=None)


def run(workspace: Workspace, run_id: str, progress: Progress | None = None) -> dict[str, Any]:
    """Run the flow in this process and return the run's JSON.

    Args:
        workspace: The workspace, in which a request of this id was submitted.
        run_id: The request's id.
        progress: Listener for the progress of the stages.

    Raises:
        LexveilError: The run failed.
    """
    check_runner(read_request(workspace, run_id).settings)
    use_own_server()
    token = _listener.set(progress)
    try:
        main_job(workspace.url, run_id)
    finally:
        _listener.reset(token)
    record = read_run(workspace, run_id)
    assert record is not None
    return dict(record.data)


@flow(name="lexveil", log_prints=False, persist_result=False)
@seal_errors("run")
def main_job(workspace: str, run_id: str) -> None:
    """Run the main job for a request that is stored in the workspace."""
    opened = Workspace.open(workspace)
    execute_request(opened, read_request(opened, run_id))


def execute_request(workspace: Workspace, request: Request) -> None:
    """Run the main job inside a flow: shards are tasks, executed where `settings.runner` says."""
    from lexveil.pipeline.job import run_job  # heavy: a night with nothing new never gets here

    opened = workspace.with_settings(request.settings)
    with (
        exclusive_action(opened, "run", {"run": request.run_id}) as outcome,
        shard_tasks(request.settings) as each,
    ):
        result = run_job(workspace, request, with_progress(each, _listener.get()), run_as_task)
        outcome |= {name: result[name] for name in ("run_id", "masked", "model", "epsilon", "delta", "unit")}


def run_as_task(stage: str, work: Callable[[], T]) -> T:
    """Run a whole stage as one Prefect task, in this process: a `Once`."""
    outcome: list[T] = []

    @task(name=stage, cache_policy=NO_CACHE, persist_result=False, log_prints=False)
    @seal_errors(stage)
    def run_stage() -> None:
        outcome.append(work())

    report = _listener.get() or _ignore
    report(stage, 0, 1)
    run_stage()
    report(stage, 1, 1)
    return outcome[0]


def _ignore(stage: str, done: int, total: int, documents: int = 0) -> None:
    del stage, done, total, documents
