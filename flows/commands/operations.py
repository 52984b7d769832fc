"""Commands for operators: `deploy`, `up`, `backup`, `recover` and `rotate-master-key`."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lexveil.flows.actions import exclusive_action
from lexveil.flows.commands import console
from lexveil.flows.commands.options import (
    CommonOptions,
    ConfigOption,
    RequiredWorkspace,
    SourcesArgument,
    WorkspaceOptions,
)
from lexveil.flows.schedules import Schedules, WorkPool

if TYPE_CHECKING:
    from lexveil.pipeline.workspace.workspace import Workspace

_OUTDATED = "registered by an earlier version, whose runs fail: run `lexveil deploy` for its workspace again"


@dataclass(frozen=True)
class ScheduleOptions(Schedules):
    """The schedules as options of a command."""

    nightly: Annotated[
        str, typer.Option(help="When new documents are processed: cron in quotes, or seconds between runs.")
    ] = "0 2 * * *"
    train: Annotated[
        str, typer.Option(help="When a model is retrained: cron or seconds, as for --nightly.")
    ] = "0 4 * * 6"
    audit: Annotated[
        str, typer.Option(help="When the newest model is audited: cron or seconds, as for --nightly.")
    ] = "0 5 1 * *"
    timezone: Annotated[str, typer.Option(help="Time zone of the schedules, such as Europe/Brussels.")] = (
        "UTC"
    )


def deploy(
    sources: SourcesArgument,
    *,
    location: RequiredWorkspace,
    schedules: ScheduleOptions,
    pool: Annotated[str, typer.Option(help="Work pool; created if there is none of this name.")] = "lexveil",
    pool_type: Annotated[
        str, typer.Option(help="Type of a new work pool: process or kubernetes.")
    ] = "process",
    image: Annotated[str | None, typer.Option(help="Container image of the runs, for kubernetes.")] = None,
    job_template: Annotated[
        Path | None, typer.Option(help="Prefect's base job template in JSON: how a run's container starts.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Prefix of the deployments' names, for several workspaces on one server."),
    ] = None,
    options: CommonOptions,
) -> None:
    """Register the scheduled flows at the Prefect server of PREFECT_API_URL.

    A worker executes them: `prefect worker start --pool lexveil`. Run it again to change the schedules, and
    after every upgrade of Lexveil.
    """
    settings = options.settings()
    urls = _check_sources(sources)
    from lexveil.pipeline.errors import SettingsError
    from lexveil.pipeline.workspace.workspace import Workspace

    if not os.environ.get("PREFECT_API_URL"):
        raise SettingsError("PREFECT_API_URL is not set; `lexveil up` starts a server of its own")
    workspace = Workspace.create_or_open(location, settings)
    work_pool = WorkPool(pool, pool_type, image, job_template)
    console.show(_register(workspace, urls, options.config, schedules, work_pool, name), options.as_json)


def up(
    sources: SourcesArgument,
    *,
    location: RequiredWorkspace,
    schedules: ScheduleOptions,
    port: Annotated[int, typer.Option(help="Port of the Prefect server.")] = 4200,
    endpoint: Annotated[bool, typer.Option(help="Also serve encrypted classification.")] = True,
    config: ConfigOption = None,
) -> None:
    """Start a Prefect server, a worker and the endpoint on this machine, and stop them together.

    Ctrl-C or SIGTERM stops all of them. If PREFECT_API_URL is set, that server is used.
    """
    settings = CommonOptions(config).settings()
    urls = _check_sources(sources)
    from lexveil.flows.up import bring_up
    from lexveil.pipeline.workspace.workspace import Workspace

    workspace = Workspace.create_or_open(location, settings)
    serve = ("lexveil.flows.cli", "serve", "--wait", "-w", workspace.url)
    if config is not None:  # without --config, the endpoint finds the working folder's lexveil.toml itself
        serve = (*serve, "--config", str(config.resolve()))

    def register() -> None:
        console.show(_register(workspace, urls, config, schedules, WorkPool(), None), as_json=False)

    def announce(line: str) -> None:
        console.show({"up": line}, as_json=False)

    bring_up(workspace, port, register, serve if endpoint else None, announce)


def rotate_master_key(
    rewrap: Annotated[
        bool,
        typer.Option(
            "--rewrap", help="Only re-wrap the existing key with the newest version of the service's key."
        ),
    ] = False,
    *,
    options: WorkspaceOptions,
) -> None:
    """Replace the master key by a new one; no document is encrypted again.

    The new key is stored where the settings say, which may be elsewhere than the old one.
    """
    workspace = options.open()
    from lexveil.pipeline.maintenance import rotation

    with exclusive_action(workspace, "rotate-master-key") as outcome:
        if rewrap:
            rotation.rewrap_master_key(workspace)
            changed: dict[str, Any] = {"rewrapped": True}
        else:
            changed = {"keys": rotation.rotate_master_key(workspace)}
        outcome |= changed
    console.show(changed, options.as_json)


def backup(
    target: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder.")],
    with_master_key: Annotated[
        bool,
        typer.Option(help="Include the key file: whoever finds the backup can then open every document."),
    ] = False,
    *,
    options: WorkspaceOptions,
) -> None:
    """Copy the workspace, its databases included, while no run works on it.

    The copy does not contain the master key: keep that elsewhere, since no document can be opened without it.
    """
    workspace = options.open()
    from lexveil.pipeline.maintenance.backup import back_up

    with exclusive_action(workspace, "backup") as outcome:
        copied = asdict(back_up(workspace, target, with_master_key))
        outcome |= copied
    console.show({**copied, "output": str(target)}, options.as_json)


def recover(
    backup: Annotated[
        Path | None,
        typer.Argument(
            metavar="FOLDER",
            help="Folder that `lexveil backup` wrote. Default: none; a workspace gets back a lost ledger.",
        ),
    ] = None,
    *,
    location: RequiredWorkspace,
    log: Annotated[
        Path | None,
        typer.Option(help="A later copy of the log, whose later erasures and charges are repeated."),
    ] = None,
    options: CommonOptions,
) -> None:
    """Restore a backup as a new workspace and check it, or mend the ledger of an existing workspace.

    Documents that were erased after the backup are erased again, and charges that the ledger lacks are
    entered from the log and the models' cards. Exit code 1: the log or the ledger is broken, or a charge
    cannot be entered, because an earlier version of Lexveil logged it without its numbers.
    """
    settings = options.settings()
    from lexveil.pipeline.maintenance import backup as backups
    from lexveil.pipeline.workspace.workspace import Workspace

    if backup is None:
        workspace = Workspace.open(location, settings)
        backups.append_log(workspace, log)
    else:
        workspace = backups.recover(backup, location, settings, log)
    with exclusive_action(workspace, "recover") as outcome:
        recovery = backups.finish_recovery(workspace, backup)
        outcome |= asdict(recovery)
    console.show({**asdict(recovery), "workspace": workspace.url}, options.as_json)
    if not (recovery.log_intact and recovery.ledger_intact) or recovery.charges_missing:
        raise typer.Exit(1)


def _check_sources(sources: list[Path]) -> list[str]:
    """Return the sources as absolute URLs, which a run finds from any working folder.

    Raises:
        SourceError: A source does not exist, which would fail the first scheduled run.
    """
    from lexveil.pipeline.errors import SourceError
    from lexveil.pipeline.sources.scheduled import locate_sources
    from lexveil.pipeline.workspace.storage import to_url

    located = locate_sources(sources)
    for source in located:
        if not source.exists():
            raise SourceError(f"there is nothing at {source}")
    return [to_url(source) for source in located]


def _register(
    workspace: Workspace,
    sources: list[str],
    config: Path | None,
    schedules: Schedules,
    pool: WorkPool,
    name: str | None,
) -> dict[str, Any]:
    from lexveil.flows.prefect_home import keep_prefect_in

    keep_prefect_in(workspace)
    from lexveil.flows.deployments import register
    from lexveil.pipeline.errors import LexveilError, SettingsError

    try:
        registered = register(workspace, sources, config, schedules, pool, name)
    except ValueError as error:
        raise SettingsError(f"a schedule is neither cron nor a number of seconds: {error}") from None
    except OSError:
        raise LexveilError("the Prefect server cannot be reached") from None
    shown: dict[str, Any] = {"deployed": registered.schedules}
    if registered.outdated:
        shown["outdated"] = dict.fromkeys(registered.outdated, _OUTDATED)
    return shown
