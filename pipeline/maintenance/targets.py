"""Targets of an erasure: documents, entries of the quarantine, and source files left without either."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from lexveil.nlp.readers import escape_name
from lexveil.pipeline.errors import SourceError
from lexveil.pipeline.sources.documents import SourceItem, read_owners, read_source_id
from lexveil.pipeline.sources.owners import list_spellings, normalize_owner
from lexveil.pipeline.sources.plan import Items, read_plan, read_plans
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.documents import (
    DocumentIds,
    Quarantined,
    read_quarantine,
    read_unreadable,
    split_owners,
)
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.vault import content_id


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be erased.

    Attributes:
        doc_ids: the documents.
        quarantined: the entries of the quarantine.
        items: source items of which nothing would be kept, by id.
    """

    doc_ids: list[str]
    quarantined: list[Quarantined]
    items: dict[str, SourceItem]


def find_named(workspace: Workspace, name: str) -> Target:
    """Find a document, a file, or an entry of the quarantine, and the source items left empty without it.

    A file is found with all documents inside of it, such as attachments, and with what of it is in the
    quarantine.

    Args:
        workspace: the workspace.
        name: id of the document, in the workspace or in its source; path of a file; or id or location of an
            entry of the quarantine.

    Raises:
        SourceError: there is none, or the id stands for several documents.
    """
    name = escape_name(name)
    source_key = content_id(workspace.keys.purpose_key("source-id"), name.encode())
    catalogue = workspace.catalogue.read().to_pylist()
    files: dict[str, _File] = {}
    ids = {row["doc_id"] for row in catalogue if name == row["doc_id"]} or workspace.keys.erased_ids([name])
    if not ids:
        files = _find_files(workspace, name)
        ids = {row["doc_id"] for row in catalogue if source_key == row["source_key"]}
        ids = ids.union(*(file.documents for file in files.values()))
    items = {item for file in files.values() for item in file.items}
    entries = [
        entry
        for entry in _list_unreadable(workspace)
        if name in (entry.item, entry.where) or entry.source in items
    ]
    if not ids and not entries:
        raise SourceError("there is no such document in this workspace")
    if len(ids) > 1 and ids not in [file.documents for file in files.values()]:
        raise SourceError(f"{len(ids)} documents have this id in their sources; give the doc_id of one")
    return _make_target(workspace, sorted(ids), [] if ids and not items else entries)


@dataclass(frozen=True, slots=True)
class _File:
    """A file that is one document: ids of its items, and of the documents that it contains."""

    items: set[str] = field(default_factory=set[str])
    documents: set[str] = field(default_factory=set[str])


def _find_files(workspace: Workspace, name: str) -> dict[str, _File]:
    """Find files by their path, or by the id that they have in the source; the result is by path.

    Of several files with the same document, the tables have the id of one. A path may continue with the name
    of a document inside of the file.
    """
    key = workspace.keys.purpose_key("source-id")
    files: dict[str, _File] = {}
    for index, planned in enumerate(read_plans(workspace)):
        wanted: dict[str, str | None] = {}  # by item, the key of the one document inside of it
        for item_id, item in planned.items():
            if item is None or item.piece is not None:
                continue
            path = escape_name(item.path)
            if name in (path, read_source_id(item)):
                files.setdefault(item.path, _File()).items.add(item_id)
                wanted[item_id] = None
            elif name.startswith(f"{path}/"):
                inside = f"{read_source_id(item)}{name.removeprefix(path)}"
                wanted[item_id] = content_id(key, inside.encode())
        for doc_id, source_key, sources in _list_rows(workspace, index, planned, guess=True):
            for item_id in wanted.keys() & set(sources) if doc_id else ():
                item = planned[item_id]
                if item is not None and wanted[item_id] in (None, source_key):
                    files.setdefault(item.path, _File()).documents.add(doc_id)
    return files


def find_owned(workspace: Workspace, owner: str) -> Target:
    """Find the documents of an owner, and the unreadable files whose sidecar row names the owner.

    Args:
        workspace: the workspace.
        owner: id of the owner, in the workspace or in the source.

    Raises:
        SourceError: there are none.
    """
    digests = DocumentIds(workspace.keys)
    name = normalize_owner(owner)
    ids = {owner, *map(digests.owner, (owner, name, *list_spellings(name)))}
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


def _make_target(workspace: Workspace, doc_ids: list[str], entries: list[Quarantined]) -> Target:
    items = _list_emptied_items(workspace, doc_ids, [entry.item for entry in entries])
    return Target(doc_ids, entries, items)


def list_empty_items(workspace: Workspace, shards: Collection[int]) -> dict[str, SourceItem]:
    """List the source items of which nothing is kept; those of one file together.

    A file of records keeps its path as long as one of its records is kept.

    Args:
        workspace: the workspace.
        shards: indexes of the shards that have changed: only their files are looked at, in these shards
            first.
    """
    own = {index: read_plan(workspace, workspace.keys, index) for index in shards}
    empty = {item.path for item in _list_planned(own, own).values()} - _list_kept_paths(workspace, own, own)
    if not empty:
        return {}
    plans = dict(enumerate(read_plans(workspace)))
    others = [  # another slice of a file may be in another shard
        index
        for index in plans
        if index not in own and any(item.path in empty for item in _list_planned(plans, [index]).values())
    ]
    empty -= _list_kept_paths(workspace, plans, others)
    items = _list_planned(plans, plans)
    return {item_id: item for item_id, item in items.items() if item.path in empty}


def _list_planned(plans: Mapping[int, Items], shards: Iterable[int]) -> dict[str, SourceItem]:
    """Return the items of some shards that were not erased."""
    return {item_id: item for index in shards for item_id, item in plans[index].items() if item is not None}


def _list_kept_paths(workspace: Workspace, plans: Mapping[int, Items], shards: Collection[int]) -> set[str]:
    """List the paths of what is kept of some shards, documents and entries of the quarantine."""
    kept: set[str] = set()
    for index in shards:
        items = _list_planned(plans, [index])
        for _, _, sources in _list_rows(workspace, index, plans[index], guess=False):
            kept.update(items[source].path for source in sources if source in items)
        path = tables.part_path(workspace.quarantine, index)
        for entry in read_unreadable(workspace, path) if path.exists() else ():
            kept.add(_find_path(entry, items))
    return kept


def _list_emptied_items(
    workspace: Workspace, doc_ids: Collection[str], entries: Collection[str]
) -> dict[str, SourceItem]:
    """List the source items of which nothing is kept besides what is named; those of one file together.

    Args:
        workspace: the workspace.
        doc_ids: documents that are to be erased.
        entries: entries of the quarantine that are to be erased.
    """
    plans = dict(enumerate(read_plans(workspace)))
    items = _list_planned(plans, plans)
    kept: set[str] = set()  # paths of what is kept
    named: set[str] = set()  # paths of what is named
    for index, planned in plans.items():
        for doc_id, _, sources in _list_rows(workspace, index, planned, guess=True):
            paths = named if doc_id in doc_ids else kept
            paths.update(items[source].path for source in sources if source in items)
    for entry in _list_unreadable(workspace):
        (named if entry.item in entries else kept).add(_find_path(entry, items))
    # The same bytes are the same document: an earlier version did not record where it lies again.
    digests = {item.digest for item in items.values() if item.piece is None and item.path in named}
    named |= {item.path for item in items.values() if item.piece is None and item.digest in digests}
    return {item_id: item for item_id, item in items.items() if item.path in named - kept}


def _list_rows(
    workspace: Workspace, index: int, planned: Items, guess: bool
) -> Iterator[tuple[str, str, Collection[str]]]:
    """Yield each kept document of a shard, with its source key and the ids of the items that have it.

    Where an earlier version did not record the items, they are guessed by the id that a file's document has
    in its source, or every item of the shard is taken to have a document that is kept.
    """
    path = tables.part_path(workspace.raw, index)
    if not path.exists():  # not ingested yet
        yield "", "", planned
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
            yield row["doc_id"], row["source_key"], [row["item"], *row["copies"]]
        elif not guess:
            yield "", "", planned
        elif row.get("item") is not None:
            yield row["doc_id"], row["source_key"], [row["item"]]
        else:
            source = row["source_key"]
            yield row["doc_id"], source, [files[source]] if source in files else records


def _find_path(entry: Quarantined, items: Mapping[str, SourceItem]) -> str:
    """Return the path of the file that contains what could not be read."""
    if entry.source is not None and entry.source in items:
        return items[entry.source].path
    is_file = any(item.path == entry.where for item in items.values())
    return entry.where if is_file else entry.where.rpartition("#")[0]
