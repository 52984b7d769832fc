"""`lexveil deploy`, `up` and `rotate-master-key`: the work by schedule, and its keeper's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from flows import actions, console
from flows.options import (
    ConfigOption,
    JsonOption,
    SourcesArgument,
    WorkspaceOption,
    open_workspace,
    settings_of,
)

NIGHTLY, TRAIN, AUDIT = "0 2 * * *", "0 4 * * 6", "0 5 1 * *"
NightlyOption = Annotated[
    str, typer.Option(help="When new documents are worked on: cron in quotes, or seconds between runs.")
]
TrainOption = Annotated[str, typer.Option("--train", help="When a model is trained anew; the same.")]
AuditOption = Annotated[str, typer.Option("--audit", help="When the newest model is audited; the same.")]
TimezoneOption = Annotated[str, typer.Option(help="Of the schedules, such as Europe/Brussels.")]
PoolWorkspace = Annotated[Path, typer.Option("--workspace", "-w", help="Folder of the workspace.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    app.command()(deploy)
    app.command()(up)
    app.command("rotate-master-key")(rotate_master_key)


def deploy(
    sources: SourcesArgument,
    workspace: PoolWorkspace,
    nightly: NightlyOption = NIGHTLY,
    train: TrainOption = TRAIN,
    audit: AuditOption = AUDIT,
    timezone: TimezoneOption = "UTC",
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register the scheduled flows at the Prefect server of PREFECT_API_URL.

    A worker carries them out: `prefect worker start --pool lexveil`. Again with other schedules changes them.
    """
    _refuse_early(sources, config)
    import os

    from pipeline.errors import SettingsError

    if not os.environ.get("PREFECT_API_URL"):
        raise SettingsError("PREFECT_API_URL is not set; `lexveil up` starts a server of its own")
    console.show(_register(sources, workspace, config, (nightly, train, audit, timezone)), as_json)


def up(
    sources: SourcesArgument,
    workspace: PoolWorkspace,
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
    _refuse_early(sources, config)
    from flows.up import bring_up
    from pipeline.workspace import Workspace

    place = Workspace.create_or_open(workspace)
    serve = ("flows.cli", "serve", "-w", str(workspace.resolve()))
    if config is not None:
        serve = (*serve, "--config", str(config.resolve()))
    schedules = (nightly, train, audit, timezone)
    bring_up(
        place,
        port,
        lambda: console.show(_register(sources, workspace, config, schedules), False),
        serve if endpoint else None,
        lambda line: console.show({"up": line}, False),
    )


def rotate_master_key(
    workspace: WorkspaceOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Put a new master key in the place of the old one; no document is encrypted again."""
    settings, place = settings_of(config), open_workspace(workspace)
    from dataclasses import asdict

    from pipeline.rotation import rotate_master_key as rotate

    with actions.alone(place, settings, "rotate-master-key") as done:
        rotation = asdict(rotate(place, settings))
        done |= rotation
    console.show(rotation, as_json)


def _refuse_early(sources: list[Path], config: Path | None) -> None:
    """What the first night would stumble over is said now."""
    from pipeline.errors import SourceError

    settings_of(config)
    for source in sources:
        if not source.exists():
            raise SourceError(f"there is nothing at {source}")


def _register(
    sources: list[Path], workspace: Path, config: Path | None, schedules: tuple[str, str, str, str]
) -> dict[str, Any]:
    from flows.deployments import Schedules, register
    from pipeline.errors import LexveilError, SettingsError

    wanted = Schedules(*schedules)
    try:
        return {"deployed": dict(register(workspace, sources, config, wanted))}
    except ValueError as error:
        raise SettingsError(f"a schedule is neither cron nor a number of seconds: {error}") from None
    except OSError:
        raise LexveilError("the Prefect server can't be reached") from None
