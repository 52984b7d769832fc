"""`lexveil log`: who did what to the workspace."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lexveil.flows.commands import console
from lexveil.flows.commands.options import Head, OutArgument, Overwrite, WorkspaceOptions

if TYPE_CHECKING:
    from lexveil.pipeline.workspace.audit_log import AuditLog

EndpointState = Annotated[
    Path | None,
    typer.Option("--endpoint", help="State folder of an endpoint: use its log instead of a workspace's."),
]


def show(
    last: Annotated[int, typer.Option(help="Number of entries, counted from the end.", min=1)] = 50,
    endpoint: EndpointState = None,
    *,
    options: WorkspaceOptions,
) -> None:
    """List what was done, newest last, and the head to keep elsewhere."""
    log = _open_log(endpoint, options)
    verification = log.verify()
    rows = [
        {
            "seq": entry.seq,
            "at": entry.at,
            "actor": entry.actor,
            "action": entry.action,
            "outcome": entry.outcome,
            "facts": ", ".join(f"{name} {value}" for name, value in entry.facts.items()),
        }
        for entry in log.read()[-last:]
    ]
    shown = {"entries": rows, "head": verification.head, "intact": verification.intact}
    console.show(shown, options.as_json)


def verify(head: Head = None, endpoint: EndpointState = None, *, options: WorkspaceOptions) -> None:
    """Recompute the log's chain and check its signatures; exit code 1 if it was changed."""
    verification = _open_log(endpoint, options).verify(head)
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
    from lexveil.pipeline.workspace.outputs import refuse_existing, write_output

    refuse_existing(target, overwrite)
    lines = workspace.log.export()
    write_output(target, lines)
    console.show({"entries": lines.count(b"\n"), "output": str(target)}, options.as_json, target)


def _open_log(endpoint: Path | None, options: WorkspaceOptions) -> AuditLog:
    if endpoint is None:
        return options.open().log
    from lexveil.pipeline.serving.endpoint import open_log_to_read

    return open_log_to_read(endpoint, options.settings().encrypted)
