"""The scheduled flows, and their registration at a Prefect server.

`lexveil deploy` registers them for a work pool whose workers import them from the installed package;
`deploy/prefect.yaml` does the same for those who keep their deployments in files.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

# Sets Prefect's environment, so it comes before Prefect.
from lexveil.flows.main import execute_request  # isort: skip

from prefect import flow
from prefect.schedules import Cron, Interval
from prefect.types.entrypoint import EntrypointType

from lexveil.flows.actions import exclusive_action, summarize_audit, summarize_model
from lexveil.flows.failures import DELAYS, RETRIES, WEBHOOK, encode_message, notify, with_backoff
from lexveil.flows.runners.tasks import shard_tasks
from lexveil.flows.schedules import Schedules, WorkPool
from lexveil.pipeline.errors import AuditFailedError, SettingsError
from lexveil.pipeline.logs import seal_errors
from lexveil.pipeline.request import (
    make_request,
    needs_labels,
    prepare_workspace,
    reuse_last_result,
    scan_request,
    submit_request,
)
from lexveil.pipeline.settings import Settings, find_settings_file, load_settings
from lexveil.pipeline.sources.scheduled import locate_sources, read_scheduled_sources, save_scheduled_sources
from lexveil.pipeline.workspace.workspace import Workspace

_HOUR = 3600
# Deployments of versions before the package was called `lexveil` name their flows by this module.
_FORMER_MODULE = "flows.deployments."
_RECEIVER = "lexveil-failures"
# Set for every run, whatever its worker's setting: Prefect's own pace of 180 seconds is longer than the
# patience of the watch below; and Prefect is imported before Lexveil, which switches its telemetry off.
_RUN_ENVIRONMENT = {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30", "DO_NOT_TRACK": "1"}
_PAGE = 200


@dataclass(frozen=True, slots=True)
class Watch:
    """A rule of the server: a run has crashed if no event of `expected` follows one of `after` in time.

    Attributes:
        name: Name of the server's automation, by which registering again finds it.
        reason: Message of the crashed state.
        after: Events that start the clock, without the prefix `prefect.flow-run.`.
        expected: Events that stop it.
        seconds: The time allowed.
    """

    name: str
    reason: str
    after: frozenset[str]
    expected: frozenset[str]
    seconds: int


_ENDED = frozenset({"Completed", "Failed", "Cancelled", "Crashed"})
_BEGUN = frozenset(
    {"Running", "Retrying", "AwaitingConcurrencySlot", "AwaitingRetry", "Scheduled", "Cancelling"}
)
WATCHES = (
    Watch(
        "lexveil: a run without heartbeat has crashed",
        "no heartbeat: the process is gone",
        frozenset({"heartbeat"}),
        frozenset({"heartbeat"}) | _ENDED,
        seconds=120,
    ),
    Watch(
        "lexveil: a run that was taken and never began has crashed",
        "taken by a worker that is gone",
        frozenset({"Pending", "Submitting", "InfrastructurePending"}),
        _BEGUN | _ENDED,
        seconds=30 * 60,  # a cluster may have to fetch an image first
    ),
)

# What Prefect does around each run. Runs are idempotent: a retry costs only what was not finished.
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
@with_backoff
@seal_errors("scheduled")
def scheduled_job(workspace: str, sources: list[str] | None = None, config: str | None = None) -> None:
    """Process what is new in the sources.

    A model of the same recipe is used again, so that a night with new documents spends no epsilon; a night
    without any does nothing.

    Args:
        workspace: Folder or URL of the workspace.
        sources: Folders, files or URLs. None: those that `lexveil deploy` stored in the workspace.
        config: The settings file.
    """
    settings = _load_settings(config)
    names = read_scheduled_sources(Workspace.open(workspace, settings)) if sources is None else sources
    paths = locate_sources(names)
    scan = scan_request(workspace, settings, paths)
    if reuse_last_result(workspace, settings, paths, scan) is not None:
        return
    opened = prepare_workspace(workspace, settings, paths, needs_labels(settings), scan)
    request = make_request(opened, paths)
    submit_request(opened, request)
    execute_request(opened, request)


@_scheduled(name="lexveil-train", timeout_seconds=24 * _HOUR)
@with_backoff
@seal_errors("train")
def scheduled_training(workspace: str, config: str | None = None) -> None:
    """Train a new model on the documents of the workspace.

    The ledger is charged first and refuses what would exceed the limit: then the run fails before it has
    used any document, and the nightly runs go on with the model there is.

    Args:
        workspace: Folder or URL of the workspace.
        config: The settings file.
    """
    opened = Workspace.open(workspace, _load_settings(config))
    from lexveil.pipeline.models.card import read_card
    from lexveil.pipeline.stages.train import train

    with exclusive_action(opened, "train") as outcome, shard_tasks(opened.settings) as each:
        trained = train(opened, each)
        outcome |= summarize_model(read_card(trained.saved.folder)) | {"new": trained.new}


@_scheduled(name="lexveil-audit", timeout_seconds=12 * _HOUR)
@with_backoff
@seal_errors("audit")
def scheduled_audit(workspace: str, config: str | None = None) -> None:
    """Attack the training code and the newest model.

    The verdict goes on the model's card, and a failed test fails the run.

    Args:
        workspace: Folder or URL of the workspace.
        config: The settings file.
    """
    opened = Workspace.open(workspace, _load_settings(config))
    from lexveil.pipeline.stages.audit import audit

    with exclusive_action(opened, "audit") as outcome:
        audited = audit(opened)
        outcome |= summarize_audit(audited)
    if failed := audited.card["failed"]:
        raise AuditFailedError(
            f"{len(failed)} tests of the audit have failed: do not rely on the model's epsilon"
        )


@_scheduled(name="lexveil-join", timeout_seconds=24 * _HOUR)
@with_backoff
@seal_errors("join")
def joint_training(workspace: str, agreement: str, config: str | None = None) -> None:
    """Take this office's part in a joint training, and watch it: each office starts such a run.

    If another office leaves, the run is tried again later: it goes on at the first step that no office has
    completed, and nothing more is charged.

    Args:
        workspace: Folder or URL of the workspace.
        agreement: File of the agreement, which this office has signed.
        config: The settings file.
    """
    opened = Workspace.open(workspace, _load_settings(config))
    from lexveil.pipeline.joint.agreement import read_agreement
    from lexveil.pipeline.joint.office import train_jointly
    from lexveil.pipeline.models.card import read_card

    agreed = read_agreement(Path(agreement))
    facts = {"agreement": agreed.digest.hex()}
    with exclusive_action(opened, "join-train", facts) as outcome, shard_tasks(opened.settings) as each:
        trained = train_jointly(opened, agreed, each)
        outcome |= summarize_model(read_card(trained.saved.folder)) | {"new": trained.new}


@dataclass(frozen=True, slots=True)
class Registration:
    """What `register` did and found.

    Attributes:
        schedules: The schedule of each registered deployment, by its name.
        outdated: Names of deployments of the same flows that an earlier version registered: no worker finds
            their code any more.
    """

    schedules: dict[str, str]
    outdated: tuple[str, ...]


def register(
    workspace: Workspace,
    sources: Sequence[str],
    config: Path | None,
    schedules: Schedules,
    pool: WorkPool,
    name: str | None = None,
) -> Registration:
    """Register work pool, deployments and watches at PREFECT_API_URL, or update those of the same names.

    Args:
        workspace: The workspace of all runs.
        sources: URLs of the sources, which are stored in the workspace: Prefect does not see them.
        config: Settings file of all runs. None: `lexveil.toml` of the working folder, if there is one.
        schedules: When the flows run.
        pool: Where they run.
        name: Prefix of the deployments' names, for several workspaces on one server.

    Raises:
        SettingsError: The work pool exists with another type, is of an unknown type, or its template is not
            a JSON object.
        ValueError: A schedule is neither cron nor a number of seconds.
        OSError: The server cannot be reached.
    """
    from prefect.utilities.asyncutils import run_coro_as_sync

    save_scheduled_sources(workspace, sources)
    file = find_settings_file(config)  # a worker has another working folder
    parameters = {"workspace": workspace.url, "config": None if file is None else str(file.resolve())}
    wanted: list[tuple[str, Any, str]] = [
        ("nightly", scheduled_job, schedules.nightly),
        ("train", scheduled_training, schedules.train),
        ("audit", scheduled_audit, schedules.audit),
    ]
    run_coro_as_sync(_create_or_update_pool(pool))
    image = {} if pool.image is None else {"image": pool.image}
    registered: dict[str, str] = {}
    for kind, function, when in wanted:
        deployment_name = kind if name is None else f"{name}-{kind}"
        deployment = function.to_deployment(
            name=deployment_name,
            schedule=parse_schedule(when, schedules.timezone),
            parameters=parameters,
            concurrency_limit=1,
            work_pool_name=pool.name,
            job_variables={"env": _RUN_ENVIRONMENT, **image},
            description=(function.__doc__ or "").split(".")[0] + ".",
            entrypoint_type=EntrypointType.MODULE_PATH,
        )
        deployment.apply()
        registered[deployment_name] = when
    flows = [function.name for _, function, _ in wanted]
    run_coro_as_sync(watch_runs(flows, os.environ.get(WEBHOOK)))
    outdated = run_coro_as_sync(_find_outdated(flows))
    return Registration(registered, tuple(outdated))


def parse_schedule(when: str, timezone: str) -> Any:
    """Return Prefect's schedule for five fields of cron or a number of seconds.

    Raises:
        ValueError: It is neither.
    """
    if when.isdigit():
        return Interval(timedelta(seconds=int(when)), timezone=timezone)
    return Cron(when, timezone=timezone)


async def watch_runs(flows: Sequence[str], webhook: str | None, watches: Iterable[Watch] = WATCHES) -> None:
    """Have the server mark runs of these flows as crashed when their machine dies, and notify the webhook.

    A run whose machine died cannot report it: the server notices the missing events. Other flows of the
    server are not watched.

    Args:
        flows: Names of flows that are registered at the server.
        webhook: URL to notify. None: nobody is notified.
        watches: The rules.
    """
    from prefect import get_client
    from prefect.events.actions import CallWebhook, ChangeFlowRunState

    async with get_client() as client:
        ids = [f"prefect.flow.{(await client.read_flow_by_name(name)).id}" for name in flows]
    notifications: list[Any] = []
    if webhook:
        payload = encode_message("{{ flow.name }}", "{{ flow_run.id }}", "Crashed").decode()
        block_id = await _save_receiver(webhook)
        notifications = [CallWebhook(block_document_id=block_id, payload=payload)]
    for watch in watches:
        crash = ChangeFlowRunState.model_validate({"state": "CRASHED", "message": watch.reason})
        await _create_or_update_automation(watch, ids, [crash, *notifications])


async def _create_or_update_automation(watch: Watch, flow_ids: list[str], actions: list[Any]) -> None:
    from prefect.automations import Automation
    from prefect.events.schemas.automations import EventTrigger, Posture
    from prefect.exceptions import ObjectNotFound

    trigger = {
        "after": {f"prefect.flow-run.{event}" for event in watch.after},
        "expect": {f"prefect.flow-run.{event}" for event in watch.expected},
        "match": {"prefect.resource.id": ["prefect.flow-run.*"]},
        "match_related": {"prefect.resource.role": "flow", "prefect.resource.id": flow_ids},
        "for_each": {"prefect.resource.id"},
        "posture": Posture.Proactive,
        "threshold": 1,
        "within": timedelta(seconds=watch.seconds),
    }
    automation = Automation(name=watch.name, trigger=EventTrigger.model_validate(trigger), actions=actions)
    with suppress(ValueError, ObjectNotFound):
        known = await Automation.aread(name=watch.name)
        automation.id = known.id
        await automation.aupdate()
        return
    await automation.acreate()


async def _save_receiver(url: str) -> Any:
    from prefect.blocks.webhook import Webhook
    from prefect.types import SecretDict
    from pydantic import SecretStr

    block = Webhook(url=SecretStr(url), headers=SecretDict({"Content-Type": "application/json"}))
    return await block.asave(_RECEIVER, overwrite=True)


async def _create_or_update_pool(pool: WorkPool) -> None:
    from prefect import get_client
    from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate
    from prefect.exceptions import ObjectNotFound
    from prefect.workers.utilities import get_default_base_job_template_for_infrastructure_type

    given = None if pool.template is None else _read_json_object(pool.template)
    async with get_client() as client:
        with suppress(ObjectNotFound):
            known = await client.read_work_pool(pool.name)
            if known.type != pool.kind:
                raise SettingsError(f"the work pool {pool.name} exists already, of type {known.type}")
            if given is not None:
                await client.update_work_pool(pool.name, WorkPoolUpdate(base_job_template=given))
            return
        template = given or await get_default_base_job_template_for_infrastructure_type(pool.kind)
        if template is None:
            raise SettingsError(f"Prefect knows no work pool of type {pool.kind}")
        await client.create_work_pool(
            WorkPoolCreate(name=pool.name, type=pool.kind, base_job_template=template)
        )


async def _find_outdated(flows: Sequence[str]) -> list[str]:
    from prefect import get_client
    from prefect.client.schemas.filters import FlowFilter, FlowFilterName

    ours = FlowFilter(name=FlowFilterName(any_=list(flows)))
    names: list[str] = []
    async with get_client() as client:
        offset = 0
        while page := await client.read_deployments(flow_filter=ours, limit=_PAGE, offset=offset):
            names += [one.name for one in page if (one.entrypoint or "").startswith(_FORMER_MODULE)]
            offset += len(page)
    return sorted(names)


def _read_json_object(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        raise SettingsError(f"{path} is not a JSON object") from None


def _load_settings(config: str | None) -> Settings:
    return load_settings(None if config is None else Path(config))
