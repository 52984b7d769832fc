"""`lexveil erase`, `restore` and `quarantine`: commands on single documents."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lexveil.flows.actions import exclusive_action
from lexveil.flows.commands import console
from lexveil.flows.commands.options import WorkspaceOptions


def erase(
    document: Annotated[
        str | None,
        typer.Argument(metavar="[DOC_ID]", help="Its doc_id, or the id that it has in the source."),
    ] = None,
    owner: Annotated[
        str | None,
        typer.Option(help="Erase all documents of this owner, as named in the source or the tables."),
    ] = None,
    *,
    options: WorkspaceOptions,
) -> None:
    """Destroy the keys of a document or of an owner's documents, remove them from every table, and verify it.

    Exit code 1: the scan of the workspace still finds something.
    """
    workspace = options.open()
    from lexveil.pipeline.maintenance import erasure

    with exclusive_action(workspace, "erase") as outcome:
        erased = erasure.erase(workspace, document, owner)
        outcome |= erased.to_json()  # signed and chained: the record of the erasure
    console.show(erased.to_json(), options.as_json)
    if erased.scan.left:
        raise typer.Exit(1)


def restore(
    document: Annotated[str, typer.Argument(metavar="DOC_ID", help="Its doc_id.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="File to write.")],
    *,
    options: WorkspaceOptions,
) -> None:
    """Write the exact original of a masked document. Needs the master key."""
    workspace = options.open()
    from lexveil.pipeline.masking.vault import restore_document

    with workspace.log.record("restore") as outcome:
        text = restore_document(workspace, document)
        target.write_text(text, encoding="utf-8", newline="")
        outcome["doc_id"] = document
    console.show({"doc_id": document, "characters": len(text), "output": str(target)}, options.as_json)


def quarantine(*, options: WorkspaceOptions) -> None:
    """List what could not be read, and why. Needs the master key."""
    workspace = options.open()
    from lexveil.pipeline.workspace.documents import read_quarantine

    with workspace.log.record("quarantine") as outcome:
        rows = [{"reason": reason, "where": where} for reason, where in read_quarantine(workspace)]
        outcome["rows"] = len(rows)
    console.show({"quarantined": len(rows), "items": rows}, options.as_json)
