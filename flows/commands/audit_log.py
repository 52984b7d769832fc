"""`lexveil log`: who did what to the workspace."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from lexveil.flows.commands import console
from lexveil.flows.commands.options import Head, OutArgument, Overwrite, WorkspaceOptions, refuse_existing


def show(
    last: Annotated[int, typer.Option(help="Number of entries, counted from the end.", min=1)] = 50,
    *,
    options: WorkspaceOptions,
) -> None:
    """List what was done, newest last, and the head to keep elsewhere."""
    workspace = options.open()
    verification = workspace.log.verify()
    rows = [
        {
            "seq": entry.seq,
            "at": entry.at,
            "actor": entry.actor,
            "action": entry.action,
            "outcome": entry.outcome,
            "facts": ", ".join(f"{name} {value}" for name, value in entry.facts.items()),
        }
        for entry in workspace.log.read()[-last:]
    ]
    shown = {"entries": rows, "head": verification.head, "intact": verification.intact}
    console.show(shown, options.as_json)


def verify(head: Head = None, *, options: WorkspaceOptions) -> None:
    """Recompute the log's chain and check its signatures; exit code 1 if it was changed."""
    verification = options.open().log.verify(head)
    console.show({"intact": verification.intact, **asdict(verification)}, options.as_json)
    if not verification.intact:
        raise typer.Exit(1)


def export(
    target: OutArgument,
    overwrite: Overwrite = False,
    *,
    options: WorkspaceOptions,
) -> None:
    """Write a copy to keep elsewhere: `lexveil recover --log` reads in it what was erased after a backup."""
    workspace = options.open()
    refuse_existing(target, overwrite)
    from lexveil.pipeline.workspace.storage import write_output

    lines = workspace.log.export()
    write_output(target, lines)
    console.show({"entries": lines.count(b"\n"), "output": str(target)}, options.as_json)
