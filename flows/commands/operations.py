"""`lexveil deploy`, `up`, `backup`, `recover`, `rotate-master-key`: work by schedule, and its keeper's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lexveil.flows import actions
from lexveil.flows.commands import console
from lexveil.flows.commands.options import (
    ConfigOption,
    JsonOption,
    SourcesArgument,
    WorkspaceOption,
    open_workspace,
    settings_of,
)

if TYPE_CHECKING:
    from lexveil.pipeline.workspace.workspace import Workspace

NIGHTLY, TRAIN, AUDIT = "0 2 * * *", "0 4 * * 6", "0 5 1 * *"
NightlyOption = Annotated[
    str, typer.Option(help="When new documents are worked on: cron in quotes, or seconds between runs.")
]
TrainOption = Annotated[str, typer.Option("--train", help="When a model is trained anew; the same.")]
AuditOption = Annotated[str, typer.Option("--audit", help="When the newest model is audited; the same.")]
TimezoneOption = Annotated[str, typer.Option(help="Of the schedules, such as Europe/Brussels.")]
PoolWorkspace = Annotated[str, typer.Option("--workspace", "-w", help="Folder or URL of the workspace.")]
NameOption = Annotated[
    str | None, typer.Option(help="What the deployments' names begin with, where workspaces share a server.")
]


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    app.command()(deploy)
    app.command()(up)
    app.command()(backup)
    app.command()(recover)
    app.command("rotate-master-key")(rotate_master_key)


def deploy(
    sources: SourcesArgument,
    location: PoolWorkspace,
    nightly: NightlyOption = NIGHTLY,
    train: TrainOption = TRAIN,
    audit: AuditOption = AUDIT,
    timezone: TimezoneOption = "UTC",
    pool: Annotated[str, typer.Option(help="Work pool; made where there is none.")] = "lexveil",
    pool_type: Annotated[str, typer.Option(help="Of a new work pool: process, kubernetes.")] = "process",
    image: Annotated[str | None, typer.Option(help="Container image of the runs, for kubernetes.")] = None,
    job_template: Annotated[
        Path | None, typer.Option(help="How a run's container is started; Prefect's JSON.")
    ] = None,
    name: NameOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register the scheduled flows at the Prefect server of PREFECT_API_URL.

    A worker carries them out: `prefect worker start --pool lexveil`. Again with other schedules changes them.
    """
    settings = settings_of(config)
    names = _refuse_early(sources)
    import os

    from lexveil.pipeline.errors import SettingsError

    if not os.environ.get("PREFECT_API_URL"):
        raise SettingsError("PREFECT_API_URL is not set; `lexveil up` starts a server of its own")
    from lexveil.pipeline.workspace.workspace import Workspace

    workspace = Workspace.create_or_open(location, settings)
    schedules = (nightly, train, audit, timezone)
    where = (pool, pool_type, image, job_template)
    console.show(_register(workspace, names, config, schedules, where, name), as_json)


def up(
    sources: SourcesArgument,
    location: PoolWorkspace,
    nightly: NightlyOption = NIGHTLY,
    train: TrainOption = TRAIN,
    audit: AuditOption = AUDIT,
    timezone: TimezoneOption = "UTC",
    port: Annotated[int, typer.Option(help="Of the Prefect server.")] = 4200,
    endpoint: Annotated[bool, typer.Option(help="Serve encrypted classification as well.")] = True,
    config: ConfigOption = None,
) -> None:
    """Start a Prefect server, a worker and the endpoint on this machine, and stop them together.

    Ctrl-C or SIGTERM ends all of them. Where PREFECT_API_URL is set, that server is used.
    """
    settings = settings_of(config)
    names = _refuse_early(sources)
    from lexveil.flows.up import bring_up
    from lexveil.pipeline.workspace.workspace import Workspace

    workspace = Workspace.create_or_open(location, settings)
    serve = ("lexveil.flows.cli", "serve", "-w", workspace.url)
    if config is not None:  # that of the working folder is the endpoint's as well
        serve = (*serve, "--config", str(config.resolve()))
    schedules = (nightly, train, audit, timezone)
    bring_up(
        workspace,
        port,
        lambda: console.show(_register(workspace, names, config, schedules), False),
        serve if endpoint else None,
        lambda line: console.show({"up": line}, False),
    )


def rotate_master_key(
    rewrap: Annotated[
        bool, typer.Option("--rewrap", help="Only have the key service wrap the same key by its newest one.")
    ] = False,
    location: WorkspaceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Put a new master key in the place of the old one; no document is encrypted again.

    It is kept where the settings say, be that another place than the old one's.
    """
    settings = settings_of(config)
    workspace = open_workspace(location, settings)
    from lexveil.pipeline.maintenance import rotation

    with actions.alone(workspace, "rotate-master-key") as done:
        if rewrap:
            rotation.rewrap_master_key(workspace)
            done["rewrapped"] = True
        else:
            done["keys"] = rotation.rotate_master_key(workspace)
        shown = {name: done[name] for name in ("keys", "rewrapped") if name in done}
    console.show(shown, as_json)


def backup(
    target: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder.")],
    with_master_key: Annotated[
        bool, typer.Option(help="Put the key file in: whoever finds the backup can open every document.")
    ] = False,
    location: WorkspaceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Copy the workspace, its databases included, while no run works on it.

    The master key is not in it: keep that elsewhere, since without it no document can be opened again.
    """
    settings = settings_of(config)
    workspace = open_workspace(location, settings)
    from dataclasses import asdict

    from lexveil.pipeline.maintenance.backup import back_up

    with actions.alone(workspace, "backup") as done:
        made = asdict(back_up(workspace, target, with_master_key))
        done |= made
    console.show({**made, "output": str(target)}, as_json)


def recover(
    backup: Annotated[Path, typer.Argument(metavar="FOLDER", help="What `lexveil backup` has written.")],
    location: PoolWorkspace,
    log: Annotated[
        Path | None, typer.Option(help="A later copy of the log: what was erased since is erased again.")
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Lay a backup out as a new workspace, check it, and erase again what was erased since.

    Exit code 1: the log or the ledger is broken, or the ledger lacks trainings of the later log.
    """
    settings = settings_of(config)
    from dataclasses import asdict

    from lexveil.pipeline.maintenance import backup as backups

    workspace = backups.recover(backup, location, settings, log)
    with actions.alone(workspace, "recover") as done:
        found = backups.catch_up(workspace, backup)
        done |= asdict(found)
    console.show({**asdict(found), "workspace": workspace.url}, as_json)
    if not (found.log_intact and found.ledger_intact) or found.charges_missing:
        raise typer.Exit(1)


def _refuse_early(sources: list[Path]) -> list[str]:
    """The sources as a run finds them again. What the first night would stumble over is said now."""
    from lexveil.pipeline.errors import SourceError
    from lexveil.pipeline.sources.scheduled import located_sources
    from lexveil.pipeline.workspace.storage import url_of

    found = located_sources(sources)
    for source in found:
        if not source.exists():
            raise SourceError(f"there is nothing at {source}")
    return [url_of(source) for source in found]


def _register(
    workspace: Workspace,
    sources: list[str],
    config: Path | None,
    schedules: tuple[str, str, str, str],
    pool: tuple[str, str, str | None, Path | None] = ("lexveil", "process", None, None),
    name: str | None = None,
) -> dict[str, Any]:
    from lexveil.flows.deployments import Pool, Schedules, register
    from lexveil.pipeline.errors import LexveilError, SettingsError

    wanted = Schedules(*schedules)
    try:
        return {"deployed": dict(register(workspace, sources, config, wanted, Pool(*pool), name))}
    except ValueError as error:
        raise SettingsError(f"a schedule is neither cron nor a number of seconds: {error}") from None
    except OSError:
        raise LexveilError("the Prefect server can't be reached") from None
