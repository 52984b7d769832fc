"""Erasure of documents: their keys are destroyed, all tables lose their rows, and a scan verifies it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from lexveil.pipeline.errors import SourceError
from lexveil.pipeline.maintenance.traces import Traces, collect_traces, search_folder
from lexveil.pipeline.masking.decisions import remove_review
from lexveil.pipeline.models.card import read_card
from lexveil.pipeline.models.saved import list_models
from lexveil.pipeline.records import now
from lexveil.pipeline.sources.documents import SourceItem, is_gone, read_owners, read_source_id
from lexveil.pipeline.sources.plan import Items, list_erased_ids, read_plans, rewrite_plans
from lexveil.pipeline.sources.scheduled import drop_scheduled_sources
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.documents import (
    DocumentIds,
    Quarantined,
    read_quarantine,
    read_raw,
    split_owners,
)
from lexveil.pipeline.workspace.features import list_versions
from lexveil.pipeline.workspace.shards import read_manifest, write_manifest
from lexveil.pipeline.workspace.storage import delete_old_versions, read_json, write_json
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.keystore import KeyStore
from lexveil.privacy.vault import content_id

ERASURES = "erasures.json"
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


@dataclass(frozen=True, slots=True)
class _Target:
    """What is to be erased.

    Attributes:
        doc_ids: the documents.
        quarantined: the entries of the quarantine.
        items: source items of which nothing would be kept, by id.
    """

    doc_ids: list[str]
    quarantined: list[Quarantined]
    items: dict[str, SourceItem]


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
    target = _find_owned(workspace, keys, owner or "") if name is None else _find_named(workspace, keys, name)
    entries = {entry.item: entry.where for entry in target.quarantined}
    traces = collect_traces(workspace, target.doc_ids, target.items, entries)
    stones = [*_list_tombstones(workspace, target.doc_ids), *list_erased_ids(workspace, target.items)]
    stones += [entry.content for entry in target.quarantined if entry.content is not None]
    removed = _remove(workspace, keys, target.doc_ids, stones, mark=True, items=target.items)
    rewrite_plans(workspace, erased=target.items)
    drop_scheduled_sources(workspace, {item.path for item in target.items.values()})
    rows = removed.rows + _drop_entries(workspace, entries)
    _drop_from_catalogue(workspace, target.doc_ids)  # last: a second try finds an owner's documents in it
    return Erasure(
        tuple(target.doc_ids),
        tuple(entries),
        len(target.items),
        rows,
        removed.keys,
        removed.models,
        scan(workspace, traces, others),
    )


def forget_empty_items(workspace: Workspace) -> None:
    """Forget the source items of which an ingest has kept nothing.

    Their documents were erased before, so their files are not read again; or the files are gone, and an
    earlier version did not know that their documents were copies.
    """
    empty = _list_empty_items(workspace)
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
        done |= {"rows": removed.rows, "keys": removed.keys, "models": list(removed.models)}


def _remove(
    workspace: Workspace,
    keys: KeyStore,
    doc_ids: Sequence[str],
    tombstones: Sequence[str],
    mark: bool,
    items: Iterable[str] = (),
) -> _Removed:
    trained = _list_models_trained_on(workspace, keys, doc_ids) if mark else []
    destroyed = keys.destroy_keys([*doc_ids, *items], tombstones=tombstones)
    for doc_id in doc_ids:
        remove_review(workspace, doc_id)
    rows = sum(tables.drop_rows(path, doc_ids) for path in _list_parts(workspace))
    _refresh_manifests(workspace)
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


def _find_named(workspace: Workspace, keys: KeyStore, name: str) -> _Target:
    source_key = content_id(keys.purpose_key("source-id"), name.encode())
    catalogue = workspace.catalogue.read().to_pylist()
    ids = {row["doc_id"] for row in catalogue if name == row["doc_id"] or source_key == row["source_key"]}
    ids |= keys.erased_ids([name]) or _find_copied(workspace, name)
    entries = [entry for entry in _list_unreadable(workspace) if name in (entry.item, entry.where)]
    if not ids and not entries:
        raise SourceError("there is no such document in this workspace")
    if len(ids) > 1:
        raise SourceError(f"{len(ids)} documents have this id in their sources; give the doc_id of one")
    return _make_target(workspace, sorted(ids), [] if ids else entries)


def _find_copied(workspace: Workspace, name: str) -> set[str]:
    """Find the document of a file by the file's path, or by the id that it has in its source.

    Of several files with the same document, the tables have the id of one.
    """
    ids: set[str] = set()
    for index, planned in enumerate(read_plans(workspace)):
        named = {
            item_id
            for item_id, item in planned.items()
            if item is not None and item.piece is None and name in (item.path, read_source_id(item))
        }
        if named:
            rows = _list_rows(workspace, index, planned, guess=True)
            ids |= {doc_id for doc_id, sources in rows if doc_id and not named.isdisjoint(sources)}
    return ids


def _find_owned(workspace: Workspace, keys: KeyStore, owner: str) -> _Target:
    """Find the documents of an owner, and the unreadable files whose sidecar row names the owner."""
    digests = DocumentIds(keys)
    ids = {owner, digests.owner(owner)}
    doc_ids = [
        row["doc_id"]
        for row in workspace.catalogue.read().select(["doc_id", "owner"]).to_pylist()
        if not ids.isdisjoint([row["owner"], *split_owners(row["owner"])])
    ]
    owned: set[str] = set()
    for items in read_plans(workspace):
        for item_id, item in items.items():
            named = () if item is None else read_owners(item)
            if not ids.isdisjoint([*named, *map(digests.owner, named)]):
                owned.add(item_id)
    entries = [entry for entry in _list_unreadable(workspace) if entry.source in owned]
    if not doc_ids and not entries:
        raise SourceError("there is no document of such an owner in this workspace")
    return _make_target(workspace, doc_ids, entries)


def _list_unreadable(workspace: Workspace) -> list[Quarantined]:
    return [entry for entry in read_quarantine(workspace) if entry.content is not None]


def _make_target(workspace: Workspace, doc_ids: list[str], entries: list[Quarantined]) -> _Target:
    items = _list_empty_items(workspace, doc_ids, [entry.item for entry in entries])
    return _Target(doc_ids, entries, items)


def _list_empty_items(
    workspace: Workspace, doc_ids: Collection[str] | None = None, entries: Collection[str] = ()
) -> dict[str, SourceItem]:
    """List the source items of which nothing is kept besides what is named; those of one file together.

    A file of records keeps its path as long as one of its records is kept.

    Args:
        workspace: the workspace.
        doc_ids: documents that are to be erased. None: list the items of which nothing is kept now.
        entries: entries of the quarantine that are to be erased.
    """
    plans = read_plans(workspace)
    items = {item_id: item for planned in plans for item_id, item in planned.items() if item is not None}
    kept: set[str] = set()  # paths of what is kept
    named: set[str] = set()  # paths of what is named
    for index, planned in enumerate(plans):
        for doc_id, sources in _list_rows(workspace, index, planned, guess=doc_ids is not None):
            paths = named if doc_id in (doc_ids or ()) else kept
            paths.update(items[source].path for source in sources if source in items)
    for entry in _list_unreadable(workspace):
        (named if entry.item in entries else kept).add(_find_path(entry, items))
    if doc_ids is None:
        named = {item.path for item in items.values()}
    else:  # the same bytes are the same document: an earlier version did not record where it lies again
        digests = {item.digest for item in items.values() if item.piece is None and item.path in named}
        named |= {item.path for item in items.values() if item.piece is None and item.digest in digests}
    return {item_id: item for item_id, item in items.items() if item.path in named - kept}


def _list_rows(
    workspace: Workspace, index: int, planned: Items, guess: bool
) -> Iterator[tuple[str, Collection[str]]]:
    """Yield each kept document of a shard, with the ids of the items that have it.

    Where an earlier version did not record the items, they are guessed by the id that a file's document has
    in its source, or every item of the shard is taken to have a document that is kept.
    """
    path = tables.part_path(workspace.raw, index)
    if not path.exists():  # not ingested yet
        yield "", planned
        return
    columns = [
        name for name in ("doc_id", "source_key", "item", "copies") if name in tables.read_column_names(path)
    ]
    key = workspace.keys.purpose_key("source-id")
    files = {
        content_id(key, read_source_id(item).encode()): item_id
        for item_id, item in planned.items()
        if item is not None and item.piece is None
    }
    records = [item_id for item_id, item in planned.items() if item is not None and item.piece is not None]
    for row in tables.read_part(path, columns).to_pylist():
        if row.get("item") is not None and row.get("copies") is not None:
            yield row["doc_id"], [row["item"], *row["copies"]]
        elif not guess:
            yield "", planned
        elif row.get("item") is not None:
            yield row["doc_id"], [row["item"]]
        else:
            yield row["doc_id"], [files[row["source_key"]]] if row["source_key"] in files else records


def _find_path(entry: Quarantined, items: Mapping[str, SourceItem]) -> str:
    """Return the path of the file that contains what could not be read."""
    if entry.source is not None and entry.source in items:
        return items[entry.source].path
    is_file = any(item.path == entry.where for item in items.values())
    return entry.where if is_file else entry.where.rpartition("#")[0]


def _drop_entries(workspace: Workspace, entries: Collection[str]) -> int:
    """Drop entries of the quarantine; return their number."""
    paths = sorted(workspace.quarantine.glob("part-*.parquet")) if entries else []
    return sum(tables.drop_rows(path, entries, "item") for path in paths)


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
