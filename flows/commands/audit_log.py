"""`lexveil log`: who did what to the workspace."""

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


def add_to(app: typer.Typer) -> None:
    """Register the commands of this file."""
    group = typer.Typer(
        no_args_is_help=True, help="Who did what to the workspace, and whether the log is whole."
    )
    group.command("show")(show)
    group.command("verify")(verify)
    group.command("export")(export)
    app.add_typer(group, name="log")


def show(
    last: Annotated[int, typer.Option(help="How many entries, from the end.", min=1)] = 50,
    location: WorkspaceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what was done, newest last, and the head to keep elsewhere."""
    settings = settings_of(config)
    workspace = open_workspace(location, settings)

    found = workspace.log.verify()
    entries = workspace.log.read()[-last:]
    rows = [
        {
            "seq": entry.seq,
            "at": entry.at,
            "actor": entry.actor,
            "action": entry.action,
            "outcome": entry.outcome,
            "facts": ", ".join(f"{name} {value}" for name, value in entry.facts.items()),
        }
        for entry in entries
    ]
    console.show({"entries": rows, "head": found.head, "intact": found.intact}, as_json)


def verify(
    head: Annotated[str | None, typer.Option(help="A head that was kept: it must still be there.")] = None,
    location: WorkspaceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Recompute the log's chain and check its signatures; exit code 1 where it was changed."""
    settings = settings_of(config)
    workspace = open_workspace(location, settings)
    from dataclasses import asdict

    found = workspace.log.verify(head)
    console.show({"intact": found.intact, **asdict(found)}, as_json)
    if not found.intact:
        raise typer.Exit(1)


def export(
    target: Annotated[Path, typer.Argument(metavar="FILE", help="Where the lines go.")],
    location: WorkspaceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a copy to keep elsewhere: `lexveil recover --log` knows by it what was erased after a backup."""
    settings = settings_of(config)
    workspace = open_workspace(location, settings)
    from lexveil.pipeline.workspace import storage

    lines = workspace.log.export()
    storage.put(target, lines, 0o600)
    console.show({"entries": lines.count(b"\n"), "output": str(target)}, as_json)
