"""What is run by schedule, and how it is registered: every night, every week, every month.

`lexveil deploy` registers the flows below at a Prefect server, for a work pool whose workers import them from
the installed package; `deploy/prefect.yaml` says the same to those who keep deployments in files.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

# Sets Prefect's environment, so it comes before Prefect.
from lexveil.flows.main import carry_out  # isort: skip

from prefect import flow
from prefect.types.entrypoint import EntrypointType

from lexveil.flows.actions import alone, of_audit, of_model
from lexveil.flows.failures import DELAYS, RETRIES, WEBHOOK, again_later, message, notify
from lexveil.flows.runners.tasks import shard_tasks
from lexveil.pipeline.errors import SettingsError
from lexveil.pipeline.logs import sealed
from lexveil.pipeline.request import idle, prepare, request_run, submit
from lexveil.pipeline.settings import Settings, load_settings, settings_file
from lexveil.pipeline.sources.scheduled import keep_sources, kept_sources, located_sources
from lexveil.pipeline.workspace.workspace import Workspace

_HOUR = 3600
_BEATS = "lexveil: a run without heartbeat has crashed"
_STARTS = "lexveil: a run that was taken and never began has crashed"
_RECEIVER = "lexveil-failures"
# Given to every run, whatever its worker was told: at Prefect's own pace of 180 seconds all would seem dead.
_BEAT = {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}
_HEARTBEAT_SECONDS = 120
# A cluster may have to fetch an image first.
_START_SECONDS = 30 * 60

# What Prefect does around each run. Runs are idempotent, so trying again costs only what was not finished.
_scheduled: Any = functools.partial(
    cast(Any, flow),
    log_prints=False,
    persist_result=False,
    retries=RETRIES,
    retry_delay_seconds=DELAYS[0],
    on_failure=[notify],
    on_crashed=[notify],
)


@_scheduled(name="lexveil-scheduled", timeout_seconds=12 * _HOUR)
@again_later
@sealed("scheduled")
def scheduled_job(workspace: str, sources: list[str] | None = None, config: str | None = None) -> None:
    """Work on what is new in the sources. A model of the same recipe is used again, so that a night with
    new documents spends no epsilon; a night without any does nothing.

    sources: None: those that `lexveil deploy` has written down in the workspace.
    """
    settings = _settings(config)
    names = kept_sources(Workspace.open(workspace, settings)) if sources is None else sources
    paths = located_sources(names)
    if idle(workspace, settings, paths) is not None:
        return
    opened = prepare(workspace, settings, paths, need_labels=settings.train.objective != "denoise")
    request = request_run(opened, paths)
    submit(opened, request)
    carry_out(opened, request)


@_scheduled(name="lexveil-train", timeout_seconds=24 * _HOUR)
@again_later
@sealed("train")
def scheduled_training(workspace: str, config: str | None = None) -> None:
    """Train anew on what the workspace holds. The ledger is charged first and refuses what would pass the
    limit: then the run fails, the night goes on with the model there is, and nothing was looked at.
    """
    settings = _settings(config)
    opened = Workspace.open(workspace, settings)
    from lexveil.pipeline.models.card import read_card
    from lexveil.pipeline.stages.train import train

    with alone(opened, "train") as done, shard_tasks(settings) as each:
        trained = train(opened, each)
        done |= of_model(read_card(trained.saved.folder)) | {"new": trained.new}


@_scheduled(name="lexveil-audit", timeout_seconds=12 * _HOUR)
@again_later
@sealed("audit")
def scheduled_audit(workspace: str, config: str | None = None) -> None:
    """Attack the training code and the newest model; the verdict goes on its card, and a failed test fails
    the run.
    """
    settings = _settings(config)
    opened = Workspace.open(workspace, settings)
    from lexveil.pipeline.errors import AuditFailedError
    from lexveil.pipeline.stages.audit import audit

    with alone(opened, "audit") as done:
        found = audit(opened)
        done |= of_audit(found)
    if failed := found.card["failed"]:
        raise AuditFailedError(
            f"{len(failed)} tests of the audit have failed: do not rely on the model's epsilon"
        )


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


@dataclass(frozen=True, slots=True)
class Pool:
    """Where the runs are carried out.

    For pools that start containers, `image` names theirs, and `template` is Prefect's base job template in
    JSON, such as `deploy/kubernetes/job-template.json`; None: the one of Prefect's integration.
    """

    name: str = "lexveil"
    kind: str = "process"
    image: str | None = None
    template: Path | None = None


def register(
    opened: Workspace,
    sources: Sequence[str],
    config: Path | None,
    schedules: Schedules,
    pool: Pool,
    name: str | None = None,
) -> Mapping[str, str]:
    """Register work pool, deployments and the watches over their runs at PREFECT_API_URL; again is no change.

    config: the settings of all runs; None: `lexveil.toml` of the working folder, where there is one.
    name: what the deployments' names begin with, where several workspaces share a server.
    Returns each deployment's schedule.
    """
    from prefect.utilities.asyncutils import run_coro_as_sync

    keep_sources(opened, sources)
    file = settings_file(config)  # a worker has a working folder of its own
    where = {"workspace": opened.url, "config": None if file is None else str(file.resolve())}
    wanted: list[tuple[str, Any, str | None]] = [
        ("nightly", scheduled_job, schedules.nightly),
        ("train", scheduled_training, schedules.train),
        ("audit", scheduled_audit, schedules.audit),
    ]
    run_coro_as_sync(_make_pool(pool))
    variables: dict[str, Any] = {"env": _BEAT} | ({} if pool.image is None else {"image": pool.image})
    found: dict[str, str] = {}
    for kind, function, when in wanted:
        called = kind if name is None else f"{name}-{kind}"
        deployment = function.to_deployment(
            name=called,
            schedule=schedule_of(when, schedules.timezone),
            parameters=where,
            concurrency_limit=1,
            work_pool_name=pool.name,
            job_variables=variables,
            description=(function.__doc__ or "").split(".")[0] + ".",
            entrypoint_type=EntrypointType.MODULE_PATH,
        )
        deployment.apply()
        found[called] = when or "by hand"
    run_coro_as_sync(_watch_runs([function.name for _, function, _ in wanted], os.environ.get(WEBHOOK)))
    return found


async def _make_pool(pool: Pool) -> None:
    from prefect import get_client
    from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
    from prefect.exceptions import ObjectNotFound
    from prefect.workers.utilities import get_default_base_job_template_for_infrastructure_type

    given = None if pool.template is None else _json_object(pool.template)
    async with get_client() as client:
        with suppress(ObjectNotFound):
            known = await client.read_work_pool(pool.name)
            if known.type != pool.kind:
                raise SettingsError(f"the work pool {pool.name} is there, of type {known.type}")
            if given is not None:
                await client.update_work_pool(pool.name, WorkPoolUpdate(base_job_template=given))
            return
        template = given or await get_default_base_job_template_for_infrastructure_type(pool.kind)
        if template is None:
            raise SettingsError(f"Prefect knows no work pool of type {pool.kind}")
        await client.create_work_pool(
            WorkPoolCreate(name=pool.name, type=pool.kind, base_job_template=template)
        )


def _json_object(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        raise SettingsError(f"{path} holds no JSON object") from None


async def _watch_runs(flows: Sequence[str], webhook: str | None) -> None:
    """A run whose machine is gone can't say so: the server finds it out, calls it crashed, and tells.

    Runs of these flows only: the server may serve others.
    """
    from prefect import get_client
    from prefect.events.actions import CallWebhook, ChangeFlowRunState

    async with get_client() as client:
        known = [await client.read_flow_by_name(name) for name in flows]
    tell: list[Any] = []
    if webhook:
        payload = message("{{ flow.name }}", "{{ flow_run.id }}", "Crashed").decode()
        tell = [CallWebhook(block_document_id=await _receiver(webhook), payload=payload)]
    ended = {"Completed", "Failed", "Cancelled", "Crashed"}
    taken = {"Pending", "Submitting", "InfrastructurePending"}
    begun = {"Running", "Retrying", "AwaitingConcurrencySlot", "AwaitingRetry", "Scheduled", "Cancelling"}
    watches: list[tuple[str, str, set[str], set[str], int]] = [
        (
            _BEATS,
            "no heartbeat: the process is gone",
            {"heartbeat"},
            {"heartbeat", *ended},
            _HEARTBEAT_SECONDS,
        ),
        (_STARTS, "taken by a worker that is gone", taken, begun | ended, _START_SECONDS),
    ]
    for name, why, after, expect, seconds in watches:
        crash = ChangeFlowRunState.model_validate({"state": "CRASHED", "message": why})
        await _watch(
            name, [f"prefect.flow.{flow.id}" for flow in known], after, expect, seconds, [crash, *tell]
        )


async def _watch(
    name: str, flows: list[str], after: set[str], expect: set[str], seconds: int, actions: list[Any]
) -> None:
    """Have the server act on a run of these flows that none of `expect` follows on one of `after` in time."""
    from datetime import timedelta

    from prefect.automations import Automation
    from prefect.events.schemas.automations import EventTrigger, Posture
    from prefect.exceptions import ObjectNotFound

    watch = Automation(
        name=name,
        trigger=EventTrigger.model_validate(
            {
                "after": {f"prefect.flow-run.{event}" for event in after},
                "expect": {f"prefect.flow-run.{event}" for event in expect},
                "match": {"prefect.resource.id": ["prefect.flow-run.*"]},
                "match_related": {"prefect.resource.role": "flow", "prefect.resource.id": flows},
                "for_each": {"prefect.resource.id"},
                "posture": Posture.Proactive,
                "threshold": 1,
                "within": timedelta(seconds=seconds),
            }
        ),
        actions=actions,
    )
    with suppress(ValueError, ObjectNotFound):
        known = await Automation.aread(name=name)
        watch.id = known.id
        await watch.aupdate()
        return
    await watch.acreate()


async def _receiver(url: str) -> Any:
    from prefect.blocks.webhook import Webhook
    from prefect.types import SecretDict
    from pydantic import SecretStr

    block = Webhook(url=SecretStr(url), headers=SecretDict({"Content-Type": "application/json"}))
    return await block.asave(_RECEIVER, overwrite=True)


def _settings(config: str | None) -> Settings:
    return load_settings(None if config is None else Path(config))
