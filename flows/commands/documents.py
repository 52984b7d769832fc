"""`lexveil erase`, `restore`, `export` and `quarantine`: commands on documents."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lexveil.flows.actions import exclusive_action
from lexveil.flows.commands import console
from lexveil.flows.commands.options import OutArgument, Overwrite, WorkspaceOptions

if TYPE_CHECKING:
    from lexveil.pipeline.workspace.workspace import Workspace


def erase(
    document: Annotated[
        str | None,
        typer.Argument(
            metavar="[DOC_ID]",
            help="Its doc_id, or the id that it has in the source; or the item that `quarantine` prints.",
        ),
    ] = None,
    owner: Annotated[
        str | None,
        typer.Option(help="Erase all documents of this owner, as named in the source or the tables."),
    ] = None,
    backup: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of a backup, to be searched too. May be repeated.", exists=True),
    ] = None,
    *,
    options: WorkspaceOptions,
) -> None:
    """Destroy the keys of a document or of an owner's documents, remove them from every table, and verify it.

    Exit code 1: the scan of the workspace, of the scheduler's database and of the named backups still finds
    something.
    """
    workspace = options.open()
    from lexveil.pipeline.maintenance import erasure
    from lexveil.pipeline.request import drop_request

    with exclusive_action(workspace, "erase") as outcome:
        drop_request(workspace)  # what is erased may be one of its sources
        erased = erasure.erase(
            workspace, document, owner, [*(backup or ()), *_find_scheduler_database(workspace)]
        )
        outcome |= erased.to_json()  # signed and chained: the record of the erasure
    console.show(erased.to_json(), options.as_json)
    if erased.scan.left:
        raise typer.Exit(1)


def _find_scheduler_database(workspace: Workspace) -> list[Path]:
    """Find the databases of Prefect's own servers on this machine, without loading Prefect."""
    from lexveil.flows.prefect_home import locate_own_home

    homes = [os.environ.get("PREFECT_HOME") or "~/.prefect", locate_own_home(workspace)]
    files = [Path(home).expanduser() / "prefect.db" for home in homes]
    url = os.environ.get("PREFECT_API_DATABASE_CONNECTION_URL", "")
    if url.startswith("sqlite"):
        files.append(Path(url.partition(":///")[2]))
    return [file for file in dict.fromkeys(files) if file.is_file()]


def restore(
    document: Annotated[str, typer.Argument(metavar="DOC_ID", help="Its doc_id.")],
    target: OutArgument,
    overwrite: Overwrite = False,
    *,
    options: WorkspaceOptions,
) -> None:
    """Write the exact original of a masked document, readable for you alone. Needs the master key."""
    workspace = options.open()
    from lexveil.pipeline.masking.vault import restore_pieces
    from lexveil.pipeline.workspace.outputs import refuse_existing, write_output

    refuse_existing(target, overwrite)
    with workspace.log.record("restore") as outcome:
        characters, content = 0, bytearray()
        for piece in restore_pieces(workspace, document):
            characters += len(piece)
            content += piece.encode()
        write_output(target, content)
        outcome["doc_id"] = document
    console.show(
        {"doc_id": document, "characters": characters, "output": str(target)}, options.as_json, target
    )


def export(
    target: Annotated[Path, typer.Argument(metavar="OUT", help="File or folder to write.")],
    kind: Annotated[
        str,
        typer.Option(
            "--as",
            help="Files: jsonl, csv, parquet, label-studio. Folders: txt, docx, pdf, hf, docbin.",
        ),
    ] = "txt",
    columns: Annotated[
        str | None,
        typer.Option(
            help="Columns of a table, with commas: doc_id, text, label, split, owner, name, verdict, "
            "n_spans, spans. Default: doc_id,text,label,split"
        ),
    ] = None,
    originals: Annotated[
        Path | None, typer.Option(help="Folder with the original files, whose format docx and pdf keep.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")] = False,
    *,
    options: WorkspaceOptions,
) -> None:
    """Write the masked documents as files, readable for you alone. Needs the master key.

    Masking is not anonymity. A file has the name of its source, without words that were masked in its text.
    """
    workspace = options.open()
    from lexveil.pipeline.export.documents import USUAL_COLUMNS
    from lexveil.pipeline.export.export import export_documents

    names = [name.strip() for name in columns.split(",")] if columns else USUAL_COLUMNS
    with workspace.log.record("export") as outcome:
        counts = export_documents(workspace, target, kind, names, originals, overwrite)
        outcome |= {"kind": kind, **counts}
    console.show({**counts, "output": str(target)}, options.as_json, target)


def quarantine(*, options: WorkspaceOptions) -> None:
    """List what could not be read, and why. Needs the master key."""
    workspace = options.open()
    from lexveil.pipeline.workspace.documents import read_quarantine

    with workspace.log.record("quarantine") as outcome:
        rows = [
            {"reason": row.reason, "item": row.item, "where": row.where} for row in read_quarantine(workspace)
        ]
        outcome["rows"] = len(rows)
    console.show({"quarantined": len(rows), "items": rows}, options.as_json)
