"""`lexveil ledger`: what was spent, the limit, and what an auditor needs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lexveil.flows.commands import console
from lexveil.flows.commands.options import (
    ConfigOption,
    JsonOption,
    WorkspaceOption,
    open_workspace,
    settings_of,
)

Head = Annotated[str | None, typer.Option(help="A head that was kept: it must still be there.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    group = typer.Typer(
        no_args_is_help=True, help="The privacy ledger: what has been spent, and whether it is intact."
    )
    for command in (show, verify, limit, export):
        group.command(command.__name__)(command)
    app.add_typer(group, name="ledger")


def show(
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also draw it over time, as .svg or .png.")
    ] = None,
    location: WorkspaceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """What every population has spent."""
    settings = settings_of(config)
    workspace = open_workspace(location, settings)
    from lexveil.pipeline.maintenance import ledger

    shown = ledger.show(workspace)
    if plot is not None:
        from lexveil.pipeline.reports import ledger_chart

        ledger_chart.draw(workspace, plot)
        shown |= {"plot": str(plot)}
    console.show(shown, as_json)


def verify(
    of: Annotated[
        Path | None,
        typer.Option("--export", metavar="FILE", help="An exported ledger, in place of a workspace's."),
    ] = None,
    head: Head = None,
    location: WorkspaceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Recompute the ledger's chain and totals; exit code 1 where it is broken."""
    from lexveil.pipeline.maintenance import ledger

    if of is not None:
        result = ledger.verify_export(of, head)
    else:
        result = ledger.verify(open_workspace(location, settings_of(config)), head)
    console.show(result, as_json)
    if not result["intact"]:
        raise typer.Exit(1)


def limit(
    epsilon: Annotated[float, typer.Argument(help="The most epsilon that the population may ever spend.")],
    location: WorkspaceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Set the limit of the configured population; the change is kept in the ledger."""
    settings = settings_of(config)
    workspace = open_workspace(location, settings)
    from lexveil.pipeline.maintenance import ledger

    with workspace.log.recorded("ledger-limit", {"epsilon": epsilon}):
        limits = ledger.limit(workspace, epsilon)
    console.show(limits, as_json)


def export(
    target: Annotated[Path, typer.Argument(metavar="FILE", help="Where the JSON document goes.")],
    location: WorkspaceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write every entry and total for an auditor, who checks them with `ledger verify --export FILE`."""
    settings = settings_of(config)
    workspace = open_workspace(location, settings)
    from lexveil.pipeline.maintenance import ledger

    console.show(ledger.export(workspace, target), as_json)
