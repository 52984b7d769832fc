"""What is run by schedule, and how it is registered: every night, every week, every month.

`lexveil deploy` registers the flows below at a Prefect server, for a process work pool whose workers import
them from the installed package; `deploy/prefect.yaml` says the same to those who keep deployments in files.
"""

from __future__ import annotations

import functools
import json
import os
import urllib.request
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

# Sets Prefect's environment, so it comes before Prefect.
from flows.main import MOST_TASKS, carry_out  # isort: skip

from prefect import flow
from prefect.task_runners import ThreadPoolTaskRunner
from prefect.types.entrypoint import EntrypointType

from flows.actions import alone, of_audit, of_model
from flows.pool import WorkerPool
from pipeline.logs import sealed
from pipeline.request import prepare, request_run, submit, unchanged
from pipeline.settings import load_settings
from pipeline.workspace import Workspace

POOL = "lexveil"
WEBHOOK = "LEXVEIL_WEBHOOK"
_HOUR = 3600
_WEBHOOK_SECONDS = 10


def notify(flow: Any, flow_run: Any, state: Any) -> None:
    """Tell the address in LEXVEIL_WEBHOOK that a run failed: names, ids and states only."""
    if not (url := os.environ.get(WEBHOOK)):
        return
    body = {"flow": flow.name, "run": str(flow_run.id), "state": state.name}
    request = urllib.request.Request(  # noqa: S310 - the operator's own address
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=_WEBHOOK_SECONDS):  # noqa: S310
        pass


# What Prefect does around each run. Runs are idempotent, so trying again costs only what was not finished.
_scheduled: Any = functools.partial(
    cast(Any, flow),
    log_prints=False,
    persist_result=False,
    retries=2,
    retry_delay_seconds=60,
    on_failure=[notify],
    on_crashed=[notify],
    task_runner=ThreadPoolTaskRunner(max_workers=MOST_TASKS),  # pyright: ignore[reportArgumentType]
)


@_scheduled(name="lexveil-scheduled", timeout_seconds=12 * _HOUR)
@sealed("scheduled")
def scheduled_job(workspace: str, sources: list[str], config: str | None = None) -> None:
    """Work on what is new in the sources. A model of the same recipe is used again, so that a night with
    new documents spends no epsilon; a night without any does nothing.
    """
    settings = load_settings(None if config is None else Path(config))
    paths = [Path(source) for source in sources]
    place = prepare(Path(workspace), settings, paths, need_labels=settings.train.objective != "denoise")
    request = request_run(place, settings, paths)
    if unchanged(place, request) is None:
        submit(place, request)
        carry_out(place, request)


@_scheduled(name="lexveil-train", timeout_seconds=24 * _HOUR)
@sealed("train")
def scheduled_training(workspace: str, config: str | None = None) -> None:
    """Train anew on what the workspace holds. The ledger is charged first and refuses what would pass the
    limit: then the run fails, the night goes on with the model there is, and nothing was looked at.
    """
    settings, place = load_settings(None if config is None else Path(config)), Workspace.open(Path(workspace))
    from pipeline.models import read_card
    from pipeline.stages.train import train

    with alone(place, settings, "train") as done, WorkerPool(settings.workers) as pool:
        trained = train(place, settings, pool.each)
        done |= of_model(read_card(trained.saved.folder)) | {"new": trained.new}


@_scheduled(name="lexveil-audit", timeout_seconds=12 * _HOUR)
@sealed("audit")
def scheduled_audit(workspace: str, config: str | None = None) -> None:
    """Attack the training code and the newest model; the verdict goes on its card, and a failed test fails
    the run.
    """
    settings, place = load_settings(None if config is None else Path(config)), Workspace.open(Path(workspace))
    from pipeline.errors import AuditFailed
    from pipeline.stages.audit import audit

    with alone(place, settings, "audit") as done:
        found = audit(place, settings)
        done |= of_audit(found)
    if failed := found.card["failed"]:
        raise AuditFailed(f"{len(failed)} tests of the audit have failed: do not rely on the model's epsilon")


@dataclass(frozen=True, slots=True)
class Schedules:
    """When what is run: five fields of cron, or a number of seconds between runs; None: only by hand."""

    nightly: str | None
    train: str | None
    audit: str | None
    timezone: str


def schedule_of(when: str | None, timezone: str) -> Any:
    """Prefect's schedule. Raises ValueError for what is neither cron nor a number of seconds."""
    from datetime import timedelta

    from prefect.schedules import Cron, Interval

    if when is None:
        return None
    if when.isdigit():
        return Interval(timedelta(seconds=int(when)), timezone=timezone)
    return Cron(when, timezone=timezone)


def register(
    workspace: Path, sources: list[Path], config: Path | None, schedules: Schedules
) -> Mapping[str, str]:
    """Register work pool, deployments and the watch over heartbeats at PREFECT_API_URL; again is no change.

    Returns each deployment's schedule.
    """
    from prefect.utilities.asyncutils import run_coro_as_sync

    place = {
        "workspace": str(workspace.resolve()),
        "config": None if config is None else str(config.resolve()),
    }
    everything = [str(source.resolve()) for source in sources]
    wanted: list[tuple[str, Any, str | None, dict[str, Any]]] = [
        ("nightly", scheduled_job, schedules.nightly, {**place, "sources": everything}),
        ("train", scheduled_training, schedules.train, place),
        ("audit", scheduled_audit, schedules.audit, place),
    ]
    run_coro_as_sync(_pool_and_watch())
    for name, function, when, parameters in wanted:
        deployment = function.to_deployment(
            name=name,
            schedule=schedule_of(when, schedules.timezone),
            parameters=parameters,
            concurrency_limit=1,
            work_pool_name=POOL,
            description=(function.__doc__ or "").split(".")[0] + ".",
            entrypoint_type=EntrypointType.MODULE_PATH,
        )
        deployment.apply()
    return {name: when or "by hand" for name, _, when, _ in wanted}


def _pool_and_watch() -> Coroutine[Any, Any, None]:
    async def make() -> None:
        from datetime import timedelta

        from prefect import get_client
        from prefect.automations import Automation
        from prefect.client.schemas.actions import WorkPoolCreate
        from prefect.events.actions import ChangeFlowRunState
        from prefect.events.schemas.automations import EventTrigger, Posture
        from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound

        async with get_client() as client:
            with suppress(ObjectAlreadyExists):
                await client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
            watch = Automation(
                name="lexveil: a run without heartbeat has crashed",
                trigger=EventTrigger(
                    after={"prefect.flow-run.heartbeat"},
                    expect={
                        "prefect.flow-run.heartbeat",
                        "prefect.flow-run.Completed",
                        "prefect.flow-run.Failed",
                        "prefect.flow-run.Cancelled",
                        "prefect.flow-run.Crashed",
                    },
                    match={"prefect.resource.id": ["prefect.flow-run.*"]},
                    for_each={"prefect.resource.id"},
                    posture=Posture.Proactive,
                    threshold=1,
                    within=timedelta(seconds=120),
                ),
                actions=[
                    ChangeFlowRunState.model_validate(
                        {"state": "CRASHED", "message": "no heartbeat: the process is gone"}
                    )
                ],
            )
            try:
                await Automation.aread(name=watch.name)
            except (ValueError, ObjectNotFound):
                await watch.acreate()

    return make()
