"""Erasure of documents: their keys are destroyed, all tables lose their rows, and a scan verifies it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from lexveil.pipeline.errors import SourceError
from lexveil.pipeline.maintenance.targets import find_named, find_owned, list_empty_items
from lexveil.pipeline.maintenance.traces import Traces, collect_traces, search_folder
from lexveil.pipeline.masking.decisions import remove_review
from lexveil.pipeline.models.card import read_card
from lexveil.pipeline.models.saved import ERASURES, list_models
from lexveil.pipeline.records import now
from lexveil.pipeline.sources.documents import is_gone
from lexveil.pipeline.sources.plan import list_erased_ids, read_plans, rewrite_plans
from lexveil.pipeline.sources.scheduled import drop_scheduled_sources
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.catalogue import digest_parts
from lexveil.pipeline.workspace.documents import DocumentIds, read_raw
from lexveil.pipeline.workspace.features import list_versions
from lexveil.pipeline.workspace.places import Places, list_elsewhere
from lexveil.pipeline.workspace.shards import read_manifest, write_manifest
from lexveil.pipeline.workspace.storage import delete_old_versions, read_json, write_json
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.keystore import KeyStore

# Note beside the keys: "yes" while an ingest makes shards, and after a kill.
UNFINISHED = "ingest-unfinished"
# Files that must keep the ids: tombstones keep the same content out, and the log records the erasure.
_KEY_TABLE = "keys.sqlite"
_REMEMBERS = frozenset({_KEY_TABLE, "log.jsonl", ERASURES})


@dataclass(frozen=True, slots=True)
class ScanResult:
    """Result of a search for what was erased.

    Attributes:
        files: number of files searched.
        bytes: their size.
        words: number of words of the erased texts, paths and fields that were searched for; 0 if the keys
            were gone already, as in a second try: then ids alone are.
        left: number of files that still contain an id, a word, a path or a field, except those that must keep
            an id, plus the number of keys that still exist, in the workspace or in a backup.
        places: folders of these files.
    """

    files: int
    bytes: int
    words: int
    left: int
    places: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Erasure:
    """Result of an erasure.

    Attributes:
        doc_ids: the documents.
        quarantined: ids of the entries of the quarantine.
        sources: number of source files, or slices of files of records, of which nothing is kept any more:
            their paths and fields were erased too.
        rows: number of rows removed from all tables.
        keys: number of keys destroyed, of documents and of source files.
        models: models that may have been trained on a document. Each of their folders records the erasure.
            Their weights stay: differential privacy bounds what they reveal about one unit, and the ledger
            refunds nothing.
        scan: result of a search of the workspace after the removal.
    """

    doc_ids: tuple[str, ...]
    quarantined: tuple[str, ...]
    sources: int
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


def erase(
    workspace: Workspace, name: str | None = None, owner: str | None = None, others: Sequence[Path] = ()
) -> Erasure:
    """Erase a document, an entry of the quarantine, or everything that an owner has, alone or with others.

    The keys are destroyed first: then the encrypted copies, and backups of them, cannot be opened any more,
    and with the vault's rows the pseudonyms are gone. So is the key of a source file of which nothing else is
    kept, with its path and its fields. Tombstones keep the same content from being ingested again, and the
    file from being read again. Older versions of the workspace's objects in a bucket are deleted. Backups of
    the key table, the source files and copies that others have made are out of reach. Repeating an
    interrupted erasure completes it.

    Args:
        workspace: the workspace.
        name: id of the document, in the workspace or in its source; or id or location of an entry of the
            quarantine.
        owner: id of the owner, in the workspace or in the source.
        others: backups, and files of other programs, to be searched too.

    Raises:
        SourceError: there is no such document or owner, or both or neither was named.
    """
    if (name is None) == (owner is None):
        raise SourceError("name a document, or an owner with --owner")
    keys = workspace.keys
    target = find_owned(workspace, owner or "") if name is None else find_named(workspace, name)
    entries = {entry.item: entry.where for entry in target.quarantined}
    traces = collect_traces(workspace, target.doc_ids, target.items, entries)
    stones = [*_list_tombstones(workspace, target.doc_ids), *list_erased_ids(workspace, target.items)]
    stones += [entry.content for entry in target.quarantined if entry.content is not None]
    is_current = workspace.catalogue.read_basis() == _digest_raw(workspace)
    # After a kill, shards may have documents that the catalogue does not know of.
    known = is_current and keys.recall(UNFINISHED) != "yes"
    removed = _remove(
        workspace, keys, target.doc_ids, stones, mark=True, items=target.items, everywhere=not known
    )
    rewrite_plans(workspace, erased=target.items)
    drop_scheduled_sources(workspace, {item.path for item in target.items.values()})
    rows = removed.rows + _drop_entries(workspace, entries)
    basis = _digest_raw(workspace) if is_current else None
    _drop_from_catalogue(
        workspace, target.doc_ids, basis
    )  # last: a second try finds an owner's documents in it
    Places(workspace.places_file).drop(target.doc_ids)
    return Erasure(
        tuple(target.doc_ids),
        tuple(entries),
        len(target.items),
        rows,
        removed.keys,
        removed.models,
        scan(workspace, traces, others),
    )


def forget_empty_items(workspace: Workspace, shards: Collection[int]) -> None:
    """Forget the source items of which an ingest has kept nothing.

    Their documents were erased before, so their files are not read again; or the files are gone, and an
    earlier version did not know that their documents were copies.

    Args:
        workspace: the workspace.
        shards: indexes of the shards that the ingest has made.
    """
    empty = list_empty_items(workspace, shards)
    gone = {item_id: item for item_id, item in empty.items() if is_gone(item)}
    erased = {item_id: item for item_id, item in empty.items() if item_id not in gone}
    if erased:
        workspace.keys.destroy_keys(list_erased_ids(workspace, erased))
    if gone:
        workspace.keys.destroy_keys(list(gone), tombstones=())
    if empty:
        rewrite_plans(workspace, erased, gone)


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
        Places(workspace.places_file).drop(doc_ids)
        done |= {"rows": removed.rows, "keys": removed.keys, "models": list(removed.models)}


def _remove(
    workspace: Workspace,
    keys: KeyStore,
    doc_ids: Sequence[str],
    tombstones: Sequence[str],
    mark: bool,
    items: Iterable[str] = (),
    everywhere: bool = False,
) -> _Removed:
    shards = None if everywhere else _find_shards(workspace, doc_ids)
    trained = _list_models_trained_on(workspace, keys, doc_ids) if mark else []
    if workspace.catalogue.read_basis() is not None:  # after a kill, the next ingest looks at all parts
        workspace.catalogue.write(workspace.catalogue.read())
    destroyed = keys.destroy_keys([*doc_ids, *items], tombstones=tombstones)
    for doc_id in doc_ids:
        remove_review(workspace, doc_id)
    rows = sum(tables.drop_rows(path, doc_ids) for path in _list_parts(workspace, shards))
    _refresh_manifests(workspace, shards)
    _mark_models(workspace, trained, len(doc_ids))
    delete_old_versions(workspace.root)
    return _Removed(rows, destroyed, tuple(trained))


def scan(workspace: Workspace, traces: Traces, others: Sequence[Path] = ()) -> ScanResult:
    """Search the workspace for what was erased: tables, databases and files, opened with every key there is.

    If a database is configured, its catalogue and its log are searched too.

    Args:
        workspace: the workspace.
        traces: what to search for.
        others: backups, and files of other programs.
    """
    catalogue = workspace.catalogue.read()
    kept = set(tables.to_strings(catalogue, "doc_id")) - traces.ids
    found = ["keys"] * len(workspace.keys.existing_keys(sorted(traces.ids)))
    if workspace.settings.database.url is not None:
        found += ["database"] * len(traces.ids.intersection(tables.to_strings(catalogue, "doc_id")))
    files = size = 0
    # For a remote workspace, the files on this machine too. The key table of a backup may open what it has.
    own = [workspace.root, workspace.local] if workspace.remote else [workspace.root]
    for root in (*own, *others):
        passed_over = _REMEMBERS if root in own else _REMEMBERS - {_KEY_TABLE}
        for path, has_trace in search_folder(workspace, root, traces, kept, passed_over):
            files += 1
            size += path.stat().st_size
            found += [path.parent.name if root in own else root.name] if has_trace else []
    return ScanResult(files, size, len(traces.words), len(found), tuple(sorted(set(found))))


def _drop_entries(workspace: Workspace, entries: Collection[str]) -> int:
    """Drop entries of the quarantine; return their number."""
    paths = sorted(workspace.quarantine.glob("part-*.parquet")) if entries else []
    return sum(tables.drop_rows(path, entries, "item") for path in paths)


def _list_tombstones(workspace: Workspace, doc_ids: Sequence[str]) -> list[str]:
    """List the tombstones of documents, which follow from owner and content, not from the id.

    The id of a document that an earlier version took in is that of its content, which others may have too. A
    document whose key is gone has its tombstones from an earlier try. A document of a file has one for its
    place too: a later version may read another text there.
    """
    ids, wanted = DocumentIds(workspace.keys), set(doc_ids)
    by_shard: dict[int, list[str]] = defaultdict(list)
    for row in workspace.catalogue.read().select(["doc_id", "shard"]).to_pylist():
        if row["doc_id"] in wanted:
            by_shard[row["shard"]].append(row["doc_id"])
    files = {
        item_id
        for items in (read_plans(workspace) if wanted else ())
        for item_id, item in items.items()
        if item is not None and item.piece is None
    }
    places = [
        ids.place(row["item"], row["source_key"])
        for shard in by_shard
        for row in tables.add_missing_columns(
            tables.read_part(tables.part_path(workspace.raw, shard)), tables.RAW
        )
        .select(["doc_id", "item", "source_key"])
        .to_pylist()
        if row["doc_id"] in wanted and row["item"] in files
    ]
    return places + [
        tombstone
        for shard, inside in by_shard.items()
        for document in read_raw(workspace, shard, inside)
        for tombstone in ids.tombstones(document.named_owner, ids.content(document.text))
    ]


def _list_models_trained_on(workspace: Workspace, keys: KeyStore, doc_ids: Sequence[str]) -> list[str]:
    """List the models made after the first of the documents; all models if that moment is not known any more.

    Both moments come from the key table, so no wrong clock changes their order.
    """
    if not doc_ids:
        return []
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
    """List the folders of the stages whose parts are those of the shards."""
    encoded = [(folder, f"encode-{folder.name}") for folder in sorted(workspace.encoded.glob("*"))]
    return [
        (workspace.raw, "ingest"),
        (workspace.found, "find"),
        (workspace.masked, "mask"),
        *((folder, "extract") for folder in list_versions(workspace)),
        *encoded,
    ]


def _find_shards(workspace: Workspace, doc_ids: Sequence[str]) -> set[int]:
    """Return the shards whose parts may have rows of documents.

    A workspace of an earlier version does not know them: its parts are all looked through, once.
    """
    places, catalogue = Places(workspace.places_file), workspace.catalogue.read(columns=["doc_id", "shard"])
    if not places.exist():
        parts = _list_shard_parts(workspace, None)
        places.add(list_elsewhere(catalogue, (_read_places(*part) for part in parts)))
    return places.find_shards(catalogue, doc_ids)


def _read_places(shard: int, path: Path) -> pa.Table:
    ids = tables.read_part(path, ["doc_id"])
    return ids.append_column("shard", pa.array([shard] * ids.num_rows, pa.int32()))


def _list_shard_parts(workspace: Workspace, shards: Collection[int] | None) -> list[tuple[int, Path]]:
    """List the parts of some shards, or of all, with their shards."""
    folders = [folder for folder, _ in _list_stage_folders(workspace)]
    parts: list[tuple[int, Path]] = []
    for folder in (*folders, workspace.vault, workspace.held_back):
        if shards is None:
            found = ((tables.part_index(path), path) for path in sorted(folder.glob("part-*.parquet")))
        else:
            found = ((shard, tables.part_path(folder, shard)) for shard in sorted(shards))
        parts += [(shard, path) for shard, path in found if shards is None or path.exists()]
    return parts


def _list_parts(workspace: Workspace, shards: Collection[int] | None) -> list[Path]:
    """List the parts that may have rows of documents of some shards; None: of any."""
    several = (workspace.assessed, workspace.compared)  # a part is that of many shards
    early = workspace.features  # parts of early versions of Lexveil
    others = [path for folder in (*several, early) for path in sorted(folder.glob("part-*.parquet"))]
    return [path for _, path in _list_shard_parts(workspace, shards)] + others


def _digest_raw(workspace: Workspace) -> str:
    return digest_parts(read_manifest(workspace.raw, "ingest").shards)


def _drop_from_catalogue(workspace: Workspace, doc_ids: Sequence[str], basis: str | None) -> None:
    table = workspace.catalogue.read()
    dropped = pc.is_in(table.column("doc_id"), value_set=pa.array(doc_ids, pa.string()))
    workspace.catalogue.write(table.filter(pc.invert(dropped)), basis)


def _refresh_manifests(workspace: Workspace, shards: Collection[int] | None) -> None:
    """Bring the manifests up to date with the parts of some shards, or of all."""
    folders = [(folder, stage, shards) for folder, stage in _list_stage_folders(workspace)]
    for folder, stage, changed in (*folders, (workspace.assessed, "assess", None)):
        before = read_manifest(folder, stage).shards
        results = [
            tables.read_result(tables.part_path(folder, result.index))
            if changed is None or result.index in changed
            else result
            for result in before
        ]
        now = [result for result in results if result is not None]
        if now != list(before):
            write_manifest(folder, stage, now)
