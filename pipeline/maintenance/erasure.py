"""Erasure of documents: keys are destroyed, every derived table loses the rows, and a scan proves it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from lexveil.pipeline.errors import SourceError
from lexveil.pipeline.masking.decisions import forget_review
from lexveil.pipeline.models.card import read_card
from lexveil.pipeline.models.saved import models
from lexveil.pipeline.records import now
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.features import list_versions
from lexveil.pipeline.workspace.shards import read_manifest, write_manifest
from lexveil.pipeline.workspace.storage import delete_old_versions, is_remote, read_json, write_json
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.keystore import KeyStore
from lexveil.privacy.vault import content_id

ERASURES = "erasures.json"
# What must remember the ids: tombstones keep the same content out, and the log says what was erased.
_REMEMBERS = ("keys.sqlite", "keys.sqlite-wal", "log.jsonl", ERASURES)
_WINDOW = 1 << 22


@dataclass(frozen=True, slots=True)
class Scan:
    """A search of the whole workspace for ids. `left`: files in which one still stands, beside those that
    must remember it; keys that still open something count as one each."""

    files: int
    bytes: int
    left: int


@dataclass(frozen=True, slots=True)
class Erasure:
    """What an erasure removed.

    Attributes:
        doc_ids: the documents.
        rows: rows removed, over all tables.
        keys: document keys destroyed.
        models: models that may have been trained on a document, each of which now says so. Their weights
            stay: differential privacy bounds what they tell of one unit, and the ledger refunds nothing.
        scan: what a search of the workspace found afterwards.
    """

    doc_ids: tuple[str, ...]
    rows: int
    keys: int
    models: tuple[str, ...]
    scan: Scan

    def to_json(self) -> dict[str, Any]:
        """For the log and the command line."""
        return {**asdict(self), "documents": len(self.doc_ids)}


class _Removed(NamedTuple):
    rows: int
    keys: int
    models: tuple[str, ...]


def erase(workspace: Workspace, name: str | None = None, owner: str | None = None) -> Erasure:
    """Erase the document of that id, or of that id in its source; or all documents of an owner.

    The keys go first: after that the encrypted copies, and backups of them, can't be opened any more, and
    with the vault's rows the pseudonyms are forgotten. A tombstone keeps the same content from coming in
    again. A bucket's older versions of the workspace's objects are deleted. Backups of the key table itself,
    the source files and what others have copied are out of reach.
    Erasing again what is half erased finishes the work.

    Raises:
        SourceError: there is no such document or owner, or both or neither was named.
    """
    if (name is None) == (owner is None):
        raise SourceError("name a document, or an owner with --owner")
    keys = workspace.keys
    doc_ids = _of_owner(workspace, keys, owner) if name is None else [_document(workspace, keys, name or "")]
    gone = _remove(workspace, keys, doc_ids, tombstones=True, mark=True)
    _drop_from_catalogue(workspace, doc_ids)  # last: a second try finds an owner's documents there
    return Erasure(tuple(doc_ids), *gone, scan(workspace, keys, doc_ids))


def forget(workspace: Workspace, doc_ids: Sequence[str]) -> None:
    """Remove documents that no source has any more in this form, changed or gone, and log it.

    As in an erasure, their keys are destroyed and every table loses their rows; but nobody asked that their
    content be kept out, so there is no tombstone, and it comes in again where a source brings it back. Where
    it is the policy that what leaves its source leaves the workspace, the models say so. The catalogue is the
    caller's.
    """
    facts = {"documents": len(doc_ids), "digest": tables.compute_digest(sorted(doc_ids))}
    with workspace.log.record("forget", facts) as done:
        mark = workspace.settings.ingest.removed == "erase"
        keys = workspace.keys
        gone = _remove(workspace, keys, doc_ids, tombstones=False, mark=mark)
        done |= {"rows": gone.rows, "keys": gone.keys, "models": list(gone.models)}


def _remove(
    workspace: Workspace, keys: KeyStore, doc_ids: Sequence[str], tombstones: bool, mark: bool
) -> _Removed:
    trained = _trained_on(workspace, keys, doc_ids) if mark else []
    destroyed = keys.destroy_keys(doc_ids, tombstones=tombstones)
    for doc_id in doc_ids:
        forget_review(workspace, doc_id)
    rows = sum(tables.drop_documents(path, doc_ids) for path in _parts(workspace))
    _refresh_manifests(workspace)
    _mark(workspace, trained, len(doc_ids))
    delete_old_versions(workspace.root)
    return _Removed(rows, destroyed, tuple(trained))


def scan(workspace: Workspace, keys: KeyStore, doc_ids: Sequence[str]) -> Scan:
    """Search every file of the workspace for these ids: tables by their columns, other files byte by byte.

    If a database is configured, its catalogue too.
    """
    files = size = 0
    left = len(keys.existing_keys(doc_ids))
    if workspace.settings.database.url is not None:
        left += len({*doc_ids} & {*tables.to_strings(workspace.catalogue.read(), "doc_id")})
    needles = [doc_id.encode() for doc_id in doc_ids]
    for path in _everything(workspace):
        if path.name in _REMEMBERS:
            continue
        files += 1
        size += path.stat().st_size
        left += _table_names(path, doc_ids) if path.suffix == ".parquet" else _bytes_name(path, needles)
    return Scan(files, size, left)


def _everything(workspace: Workspace) -> Iterator[Path]:
    """All files: of a remote workspace, those too that this machine keeps for it."""
    yield from sorted(path for path in workspace.root.rglob("*") if is_remote(path) or path.is_file())
    if workspace.remote:
        yield from sorted(path for path in workspace.local.rglob("*") if path.is_file())


def _table_names(path: Path, doc_ids: Sequence[str]) -> bool:
    wanted = pa.array(list(doc_ids), pa.string())
    table = tables.read_part(path, [n for n in ("doc_id", "owner") if n in tables.read_column_names(path)])
    return any(pc.any(pc.is_in(column, value_set=wanted)).as_py() for column in table.columns)


def _bytes_name(path: Path, needles: Sequence[bytes]) -> bool:
    longest = max(len(needle) for needle in needles)
    before = b""
    with path.open("rb") as file:
        while window := file.read(_WINDOW):
            seen = before + window
            if any(needle in seen for needle in needles):
                return True
            before = seen[-longest:]
    return False


def _document(workspace: Workspace, keys: KeyStore, name: str) -> str:
    source_key = content_id(keys.purpose_key("source-id"), name.encode())
    catalogue = workspace.catalogue.read().to_pylist()
    found = {row["doc_id"] for row in catalogue if name == row["doc_id"] or source_key == row["source_key"]}
    found |= keys.erased_ids([name])
    if not found:
        raise SourceError("there is no such document in this workspace")
    if len(found) > 1:
        raise SourceError(f"{len(found)} documents have this id in their sources; give the doc_id of one")
    return found.pop()


def _of_owner(workspace: Workspace, keys: KeyStore, owner: str | None) -> list[str]:
    named = {owner, content_id(keys.purpose_key("owner-id"), (owner or "").encode())}
    found = [row["doc_id"] for row in workspace.catalogue.read().to_pylist() if row["owner"] in named]
    if not found:
        raise SourceError("there is no document of such an owner in this workspace")
    return found


def _trained_on(workspace: Workspace, keys: KeyStore, doc_ids: Sequence[str]) -> list[str]:
    """Models that were made after a document came in; all where that is no longer known.

    Both are moments of the key table, whose order no clock can change.
    """
    since = keys.creation_times(doc_ids)
    first = min(since.values()) if len(since) == len(doc_ids) else 0.0
    came_in = datetime.fromtimestamp(first, UTC)
    return [
        model.name
        for model in models(workspace)
        if datetime.fromisoformat(read_card(model.folder)["created"]) >= came_in
    ]


def _mark(workspace: Workspace, names: Iterable[str], documents: int) -> None:
    for model in models(workspace):
        if model.name not in names:
            continue
        known = (read_json(model.folder / ERASURES) or {"erasures": []})["erasures"]
        entry = {
            "at": now(),
            "documents": documents,
            "statement": f"Erased after training. The weights stay. {model.statement}",
        }
        write_json(model.folder / ERASURES, {"erasures": [*known, entry]})


def _folders(workspace: Workspace) -> list[tuple[Path, str]]:
    encoded = [(folder, f"encode-{folder.name}") for folder in sorted(workspace.encoded.glob("*"))]
    return [
        (workspace.raw, "ingest"),
        (workspace.found, "find"),
        (workspace.masked, "mask"),
        *((folder, "extract") for folder in list_versions(workspace)),
        *encoded,
    ]


def _parts(workspace: Workspace) -> list[Path]:
    folders = [*(folder for folder, _ in _folders(workspace)), workspace.vault, workspace.held_back]
    folders.append(workspace.features)  # of a Lexveil that knew no versions
    return [path for folder in folders for path in sorted(folder.glob("part-*.parquet"))]


def _drop_from_catalogue(workspace: Workspace, doc_ids: Sequence[str]) -> None:
    table = workspace.catalogue.read()
    gone = set(doc_ids)
    kept = [value not in gone for value in tables.to_strings(table, "doc_id")]
    workspace.catalogue.write(table.filter(kept))


def _refresh_manifests(workspace: Workspace) -> None:
    for folder, stage in _folders(workspace):
        shards = read_manifest(folder, stage).shards
        found = [tables.read_result(tables.part_path(folder, shard.index)) for shard in shards]
        if shards:
            write_manifest(folder, stage, [result for result in found if result is not None])
