"""Commands for single documents: erase, restore, and the quarantine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lexveil.flows import actions
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
    for command in (erase, restore, quarantine):
        app.command()(command)


def erase(
    document: Annotated[
        str | None, typer.Argument(metavar="[DOC_ID]", help="doc_id, or the id in the source.")
    ] = None,
    owner: Annotated[
        str | None, typer.Option(help="All documents of this owner, as the source or the tables name it.")
    ] = None,
    location: WorkspaceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Destroy the keys of a document, or of an owner's, remove them from every table, and prove it."""
    settings = settings_of(config)
    workspace = open_workspace(location, settings)
    from lexveil.pipeline.maintenance.erasure import erase as stage

    with actions.alone(workspace, "erase") as done:
        erasure = stage(workspace, document, owner)
        done |= erasure.to_json()  # signed, and chained: the record of the erasure
    console.show(erasure.to_json(), as_json)
    if erasure.scan.left:
        raise typer.Exit(1)


def restore(
    document: Annotated[str, typer.Argument(metavar="DOC_ID")],
    target: Annotated[Path, typer.Argument(metavar="OUT")],
    location: WorkspaceOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the exact original of a masked document. Needs the master key."""
    settings = settings_of(config)
    workspace = open_workspace(location, settings)
    from lexveil.pipeline.masking.vault import restore_document

    with workspace.log.recorded("restore") as done:
        text = restore_document(workspace, document)
        target.write_text(text, encoding="utf-8", newline="")
        done["doc_id"] = document
    console.show({"doc_id": document, "characters": len(text), "output": str(target)}, as_json)


def quarantine(
    location: WorkspaceOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """List what could not be read, and why. Needs the master key."""
    settings = settings_of(config)
    workspace = open_workspace(location, settings)
    from lexveil.pipeline.workspace.documents import read_quarantine

    with workspace.log.recorded("quarantine") as done:
        rows = [{"reason": reason, "where": where} for reason, where in read_quarantine(workspace)]
        done["rows"] = len(rows)
    console.show({"quarantined": len(rows), "items": rows}, as_json)
