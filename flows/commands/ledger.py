"""`lexveil ledger`: what was spent, the limit, and what an auditor needs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lexveil.flows.commands import console
from lexveil.flows.commands.options import (
    Epsilon,
    Head,
    KindOption,
    OutArgument,
    Overwrite,
    WorkspaceOptions,
)


def show(
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also draw the spending over time, as .svg or .png."),
    ] = None,
    overwrite: Overwrite = False,
    *,
    options: WorkspaceOptions,
) -> None:
    """Show what every population has spent."""
    workspace = options.open()
    if plot is not None:
        from lexveil.pipeline.workspace.outputs import refuse_existing

        refuse_existing(plot, overwrite)
    from lexveil.pipeline.maintenance import ledger

    shown = ledger.summarize_ledger(workspace)
    if plot is not None:
        from lexveil.pipeline.reports import ledger_chart

        ledger_chart.draw_spending(workspace, plot)
        shown |= {"plot": str(plot)}
    console.show(shown, options.as_json)


def verify(
    exported: Annotated[
        Path | None,
        typer.Option("--export", metavar="FILE", help="Verify an exported ledger instead of a workspace's."),
    ] = None,
    head: Head = None,
    *,
    options: WorkspaceOptions,
) -> None:
    """Recompute the ledger's chain and totals; exit code 1 if it is broken or lacks a charge of the log."""
    from lexveil.pipeline.maintenance import ledger

    if exported is not None:
        result = ledger.verify_export(exported, head)
    else:
        result = ledger.verify_ledger(options.open(), head)
    console.show(result, options.as_json)
    if not result["intact"]:
        raise typer.Exit(1)


def limit(
    epsilon: Annotated[float, typer.Argument(help="The most epsilon that the population may ever spend.")],
    *,
    options: WorkspaceOptions,
) -> None:
    """Set the limit of the configured population; the ledger records the change."""
    workspace = options.open()
    from lexveil.pipeline.maintenance import ledger

    with workspace.log.record("ledger-limit", {"epsilon": epsilon}) as outcome:
        limits = ledger.set_limit(workspace, epsilon)
        own = workspace.settings.ledger
        outcome |= {"population": own.population, "limit": epsilon, "delta": own.limit_delta}
    console.show(limits, options.as_json)


def announce(
    name: Annotated[str, typer.Argument(help="Name of the schedule, such as 2027-weekly.")],
    runs: Annotated[int, typer.Option(help="Number of trainings.")],
    model: KindOption = None,
    epsilon: Epsilon = None,
    *,
    options: WorkspaceOptions,
) -> None:
    """Charge several trainings together before the first of them; they cost less than one after the other."""
    workspace = options.open(train={"model": model, "epsilon": epsilon})
    from lexveil.pipeline.maintenance import ledger

    with workspace.log.record("ledger-announce", {"schedule": name, "runs": runs}) as outcome:
        announced = ledger.announce_schedule(workspace, name, runs)
        outcome |= {"epsilon": announced["epsilon"], "spent": announced["spent"]}
    console.show(announced, options.as_json)


def withdraw(
    name: Annotated[str, typer.Argument(help="Name of the schedule.")],
    *,
    options: WorkspaceOptions,
) -> None:
    """Take back a schedule that no training has used."""
    workspace = options.open()
    from lexveil.pipeline.maintenance import ledger

    with workspace.log.record("ledger-withdraw", {"schedule": name}):
        withdrawn = ledger.withdraw_schedule(workspace, name)
    console.show(withdrawn, options.as_json)


def export(
    target: OutArgument,
    overwrite: Overwrite = False,
    *,
    options: WorkspaceOptions,
) -> None:
    """Write every entry and total for an auditor, who checks them with `ledger verify --export FILE`."""
    workspace = options.open()
    from lexveil.pipeline.maintenance import ledger
    from lexveil.pipeline.workspace.outputs import refuse_existing

    refuse_existing(target, overwrite)

    console.show(ledger.export_ledger(workspace, target), options.as_json, target)
