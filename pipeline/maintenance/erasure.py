"""Erasure of documents: their keys are destroyed, all tables lose their rows, and a scan verifies it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from lexveil.pipeline.errors import SourceError
from lexveil.pipeline.masking.decisions import remove_review
from lexveil.pipeline.models.card import read_card
from lexveil.pipeline.models.saved import list_models
from lexveil.pipeline.records import now
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.documents import DocumentIds, read_raw
from lexveil.pipeline.workspace.features import list_versions
from lexveil.pipeline.workspace.shards import read_manifest, write_manifest
from lexveil.pipeline.workspace.storage import delete_old_versions, is_remote, read_json, write_json
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.keystore import KeyStore
from lexveil.privacy.vault import content_id

ERASURES = "erasures.json"
# Files that must keep the ids: tombstones keep the same content out, and the log records the erasure.
_REMEMBERS = ("keys.sqlite", "keys.sqlite-wal", "log.jsonl", ERASURES)
_WINDOW = 1 << 22


@dataclass(frozen=True, slots=True)
class ScanResult:
    """Result of a search of the whole workspace for ids.

    Attributes:
        files: number of files searched.
        bytes: their size.
        left: number of files that still contain an id, except those that must keep it, plus the number of
            keys that still exist.
    """

    files: int
    bytes: int
    left: int


@dataclass(frozen=True, slots=True)
class Erasure:
    """Result of an erasure.

    Attributes:
        doc_ids: the documents.
        rows: number of rows removed from all tables.
        keys: number of document keys destroyed.
        models: models that may have been trained on a document. Each of their folders records the erasure.
            Their weights stay: differential privacy bounds what they reveal about one unit, and the ledger
            refunds nothing.
        scan: result of a search of the workspace after the removal.
    """

    doc_ids: tuple[str, ...]
    rows: int
    keys: int
    models: tuple[str, ...]
    scan: ScanResult

    def to_json(self) -> dict[str, Any]:
        """Return the erasure as a JSON object, for the log and the command line."""
        return {**asdict(self), "documents": len(self.doc_ids)}


class _Removed(NamedTuple):
    rows: int
    keys: int
    models: tuple[str, ...]


def erase(workspace: Workspace, name: str | None = None, owner: str | None = None) -> Erasure:
    """Erase a document, or all documents of an owner.

    The keys are destroyed first: then the encrypted copies, and backups of them, cannot be opened any more,
    and with the vault's rows the pseudonyms are gone. A tombstone keeps the same content from being ingested
    again. Older versions of the workspace's objects in a bucket are deleted. Backups of the key table, the
    source files and copies that others have made are out of reach. Repeating an interrupted erasure completes
    it.

    Args:
        workspace: the workspace.
        name: id of the document, in the workspace or in its source.
        owner: id of the owner, in the workspace or in the source.

    Raises:
        SourceError: there is no such document or owner, or both or neither was named.
    """
    if (name is None) == (owner is None):
        raise SourceError("name a document, or an owner with --owner")
    keys = workspace.keys
    doc_ids = _list_owned(workspace, keys, owner) if name is None else [_find_document(workspace, keys, name)]
    removed = _remove(workspace, keys, doc_ids, _list_tombstones(workspace, doc_ids), mark=True)
    _drop_from_catalogue(workspace, doc_ids)  # last: a second try finds an owner's documents in it
    return Erasure(tuple(doc_ids), *removed, scan_for_ids(workspace, keys, doc_ids))


def remove_vanished(workspace: Workspace, doc_ids: Sequence[str]) -> None:
    """Remove documents that no source contains any more, because it changed or is gone, and log it.

    As in an erasure, their keys are destroyed and every table loses their rows. But nobody asked to keep
    their content out, so there is no tombstone: it is ingested again if a source contains it again. If
    `ingest.removed` is "erase", the folders of the models record the removal.

    Args:
        workspace: the workspace.
        doc_ids: the documents. The caller removes them from the catalogue.
    """
    facts = {"documents": len(doc_ids), "digest": tables.compute_digest(sorted(doc_ids))}
    with workspace.log.record("forget", facts) as done:
        mark = workspace.settings.ingest.removed == "erase"
        keys = workspace.keys
        removed = _remove(workspace, keys, doc_ids, (), mark=mark)
        done |= {"rows": removed.rows, "keys": removed.keys, "models": list(removed.models)}


def _remove(
    workspace: Workspace, keys: KeyStore, doc_ids: Sequence[str], tombstones: Sequence[str], mark: bool
) -> _Removed:
    trained = _list_models_trained_on(workspace, keys, doc_ids) if mark else []
    destroyed = keys.destroy_keys(doc_ids, tombstones=tombstones)
    for doc_id in doc_ids:
        remove_review(workspace, doc_id)
    rows = sum(tables.drop_documents(path, doc_ids) for path in _list_parts(workspace))
    _refresh_manifests(workspace)
    _mark_models(workspace, trained, len(doc_ids))
    delete_old_versions(workspace.root)
    return _Removed(rows, destroyed, tuple(trained))


def scan_for_ids(workspace: Workspace, keys: KeyStore, doc_ids: Sequence[str]) -> ScanResult:
    """Search every file of the workspace for ids: tables by their columns, other files byte by byte.

    If a database is configured, its catalogue is searched too.

    Args:
        workspace: the workspace.
        keys: its key table.
        doc_ids: the ids.
    """
    files = size = 0
    left = len(keys.existing_keys(doc_ids))
    if workspace.settings.database.url is not None:
        left += len({*doc_ids} & {*tables.to_strings(workspace.catalogue.read(), "doc_id")})
    needles = [doc_id.encode() for doc_id in doc_ids]
    for path in _walk_files(workspace):
        if path.name in _REMEMBERS:
            continue
        files += 1
        size += path.stat().st_size
        left += (
            _contains_in_table(path, doc_ids) if path.suffix == ".parquet" else _contains_bytes(path, needles)
        )
    return ScanResult(files, size, left)


def _walk_files(workspace: Workspace) -> Iterator[Path]:
    """Yield all files; for a remote workspace, those on this machine too."""
    yield from sorted(path for path in workspace.root.rglob("*") if is_remote(path) or path.is_file())
    if workspace.remote:
        yield from sorted(path for path in workspace.local.rglob("*") if path.is_file())


def _contains_in_table(path: Path, doc_ids: Sequence[str]) -> bool:
    wanted = pa.array(list(doc_ids), pa.string())
    table = tables.read_part(path, [n for n in ("doc_id", "owner") if n in tables.read_column_names(path)])
    return any(pc.any(pc.is_in(column, value_set=wanted)).as_py() for column in table.columns)


def _contains_bytes(path: Path, needles: Sequence[bytes]) -> bool:
    longest = max(len(needle) for needle in needles)
    tail = b""
    with path.open("rb") as file:
        while window := file.read(_WINDOW):
            content = tail + window
            if any(needle in content for needle in needles):
                return True
            tail = content[-longest:]
    return False


def _find_document(workspace: Workspace, keys: KeyStore, name: str) -> str:
    source_key = content_id(keys.purpose_key("source-id"), name.encode())
    catalogue = workspace.catalogue.read().to_pylist()
    ids = {row["doc_id"] for row in catalogue if name == row["doc_id"] or source_key == row["source_key"]}
    ids |= keys.erased_ids([name])
    if not ids:
        raise SourceError("there is no such document in this workspace")
    if len(ids) > 1:
        raise SourceError(f"{len(ids)} documents have this id in their sources; give the doc_id of one")
    return ids.pop()


def _list_owned(workspace: Workspace, keys: KeyStore, owner: str | None) -> list[str]:
    ids = {owner, DocumentIds(keys).owner(owner or "")}
    doc_ids = [row["doc_id"] for row in workspace.catalogue.read().to_pylist() if row["owner"] in ids]
    if not doc_ids:
        raise SourceError("there is no document of such an owner in this workspace")
    return doc_ids


def _list_tombstones(workspace: Workspace, doc_ids: Sequence[str]) -> list[str]:
    """List the tombstones of documents, which follow from owner and content, not from the id.

    The id of a document that an earlier version took in is that of its content, which others may have too. A
    document whose key is gone has its tombstones from an earlier try.
    """
    ids, wanted = DocumentIds(workspace.keys), set(doc_ids)
    by_shard: dict[int, list[str]] = defaultdict(list)
    for row in workspace.catalogue.read().select(["doc_id", "shard"]).to_pylist():
        if row["doc_id"] in wanted:
            by_shard[row["shard"]].append(row["doc_id"])
    return [
        tombstone
        for shard, inside in by_shard.items()
        for document in read_raw(workspace, shard, inside)
        for tombstone in ids.tombstones(document.named_owner, ids.content(document.text))
    ]


def _list_models_trained_on(workspace: Workspace, keys: KeyStore, doc_ids: Sequence[str]) -> list[str]:
    """List the models made after the first of the documents; all models if that moment is not known any more.

    Both moments come from the key table, so no wrong clock changes their order.
    """
    created = keys.creation_times(doc_ids)
    first = min(created.values()) if len(created) == len(doc_ids) else 0.0
    ingested = datetime.fromtimestamp(first, UTC)
    return [
        model.name
        for model in list_models(workspace)
        if datetime.fromisoformat(read_card(model.folder)["created"]) >= ingested
    ]


def _mark_models(workspace: Workspace, names: Iterable[str], documents: int) -> None:
    for model in list_models(workspace):
        if model.name not in names:
            continue
        earlier = (read_json(model.folder / ERASURES) or {"erasures": []})["erasures"]
        entry = {
            "at": now(),
            "documents": documents,
            "statement": f"Erased after training. The weights stay. {model.statement}",
        }
        write_json(model.folder / ERASURES, {"erasures": [*earlier, entry]})


def _list_stage_folders(workspace: Workspace) -> list[tuple[Path, str]]:
    encoded = [(folder, f"encode-{folder.name}") for folder in sorted(workspace.encoded.glob("*"))]
    return [
        (workspace.raw, "ingest"),
        (workspace.found, "find"),
        (workspace.masked, "mask"),
        *((folder, "extract") for folder in list_versions(workspace)),
        *encoded,
    ]


def _list_parts(workspace: Workspace) -> list[Path]:
    folders = [
        *(folder for folder, _ in _list_stage_folders(workspace)),
        workspace.vault,
        workspace.held_back,
    ]
    folders.append(workspace.features)  # parts of early versions of Lexveil
    return [path for folder in folders for path in sorted(folder.glob("part-*.parquet"))]


def _drop_from_catalogue(workspace: Workspace, doc_ids: Sequence[str]) -> None:
    table = workspace.catalogue.read()
    dropped = set(doc_ids)
    kept = [value not in dropped for value in tables.to_strings(table, "doc_id")]
    workspace.catalogue.write(table.filter(kept))


def _refresh_manifests(workspace: Workspace) -> None:
    for folder, stage in _list_stage_folders(workspace):
        shards = read_manifest(folder, stage).shards
        results = [tables.read_result(tables.part_path(folder, shard.index)) for shard in shards]
        if shards:
            write_manifest(folder, stage, [result for result in results if result is not None])
