"""Erasure of one document: its key is destroyed, and every derived table loses its row."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline import tables
from pipeline.errors import SourceError
from pipeline.models import models
from pipeline.review import forget_review
from pipeline.settings import Settings
from pipeline.stages.ingest import read_catalogue, write_catalogue
from pipeline.workspace import Workspace, key_store, read_manifest, write_json
from privacy.vault import content_id


@dataclass(frozen=True, slots=True)
class Erasure:
    """What an erasure removed.

    Attributes:
        rows: rows removed, over all tables.
        keys: document keys destroyed.
        models: models that may have been trained on the document. Their weights stay: differential
            privacy bounds what they tell of one unit, and the ledger refunds nothing.
    """

    doc_id: str
    rows: int
    keys: int
    models: tuple[str, ...]


def erase(workspace: Workspace, settings: Settings, name: str) -> Erasure:
    """Erase the document of that id, or of that id in its source.

    The key goes first: after that the encrypted copies, and backups of them, can't be opened any more. A
    tombstone keeps the same content from coming in again. Backups of the key table itself, the source files
    and what others have copied are out of reach. Erasing again what is half erased finishes the work.

    Raises:
        SourceError: there is no such document.
    """
    keys = key_store(workspace, settings)
    source_key = content_id(keys.purpose_key("source-id"), name.encode())
    catalogue = read_catalogue(workspace).to_pylist()
    found = {row["doc_id"] for row in catalogue if name == row["doc_id"] or source_key == row["source_key"]}
    found |= keys.erased([name])
    if not found:
        raise SourceError("there is no such document in this workspace")
    if len(found) > 1:
        raise SourceError(f"{len(found)} documents have this id in their sources; give the doc_id of one")
    doc_id = found.pop()
    destroyed = keys.destroy([doc_id])
    forget_review(workspace, doc_id)
    rows = sum(tables.drop_documents(path, [doc_id]) for path in _parts(workspace))
    _drop_from_catalogue(workspace, doc_id)
    _refresh_manifests(workspace)
    return Erasure(doc_id, rows, destroyed, tuple(model.name for model in models(workspace)))


def _folders(workspace: Workspace) -> list[tuple[Path, str]]:
    encoded = [(folder, f"encode-{folder.name}") for folder in sorted(workspace.encoded.glob("*"))]
    return [
        (workspace.raw, "ingest"),
        (workspace.found, "find"),
        (workspace.masked, "mask"),
        (workspace.features, "extract"),
        *encoded,
    ]


def _parts(workspace: Workspace) -> list[Path]:
    folders = [*(folder for folder, _ in _folders(workspace)), workspace.vault, workspace.held_back]
    return [path for folder in folders for path in sorted(folder.glob("part-*.parquet"))]


def _drop_from_catalogue(workspace: Workspace, doc_id: str) -> None:
    table = read_catalogue(workspace)
    keep = [value != doc_id for value in tables.strings(table, "doc_id")]
    write_catalogue(workspace, table.filter(keep))


def _refresh_manifests(workspace: Workspace) -> None:
    for folder, stage in _folders(workspace):
        shards = read_manifest(folder, stage).shards
        found = [tables.read_result(tables.part_path(folder, shard.index)) for shard in shards]
        if shards:
            entries = [result.to_json() for result in found if result is not None]
            write_json(folder / "manifest.json", {"stage": stage, "shards": entries})
