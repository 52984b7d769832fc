"""Ingest: source files -> encrypted documents, a catalogue of the kept ones, a quarantine of the others."""

from __future__ import annotations

import functools
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lexveil.pipeline.maintenance.erasure import UNFINISHED, forget_empty_items, remove_vanished
from lexveil.pipeline.records import (
    CountKind,
    Document,
    ForEach,
    Manifest,
    Shard,
    ShardResult,
    SourceDocument,
    count_names,
    run_one_by_one,
)
from lexveil.pipeline.sources.documents import FIELDS, Passed, Rejected, SourceItem, is_gone, read_items
from lexveil.pipeline.sources.files import count_skipped
from lexveil.pipeline.sources.owners import list_spellings, normalize_owner
from lexveil.pipeline.sources.plan import make_plan, read_plan
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.catalogue import digest_parts
from lexveil.pipeline.workspace.code import code_digest
from lexveil.pipeline.workspace.documents import DocumentIds, join_owners, split_owners
from lexveil.pipeline.workspace.places import Places, list_elsewhere
from lexveil.pipeline.workspace.shards import read_manifest, run_stage
from lexveil.pipeline.workspace.tables import compute_digest
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.keystore import KeyStore
from lexveil.privacy.vault import content_id, seal

_SHARED = "shared"  # count of the documents whose text an earlier version kept for another owner alone
_MOVED = "moved"  # count of the documents of an owner that an earlier version took for several
# What is redone, and the line about it, by count.
_LINES = {
    _SHARED: (
        "owners",
        "{} documents have a text that an earlier version kept for another owner alone; they are now their "
        "own owners', and the next training takes them too",
    ),
    _MOVED: (
        "spellings",
        "{} documents have an owner that an earlier version took for several, by its spellings; they are now "
        "one owner's",
    ),
}


def ingest(workspace: Workspace, sources: Sequence[Path] = (), each: ForEach = run_one_by_one) -> Manifest:
    """Read the sources into the workspace.

    Unreadable items go to the quarantine with a reason code and a keyed hash; they never stop the batch. Of
    an owner's exact duplicates (equal after Unicode composition and folding of white space) one is kept, a
    labeled one if there is one; which one depends on these duplicates alone. A text that several owners have
    is a document of each. The documents that a changed file contained before are removed: their keys are
    destroyed and every table loses their rows. With `ingest.removed` = "erase" the same happens to the
    documents of a file that is gone from its folder. Otherwise documents of files that are gone stay as they
    were read, even when their shard is redone.

    Args:
        workspace: the workspace.
        sources: files and folders; none: continue with what was planned before.
        each: runs the shards.

    Returns:
        The manifest, with the counts `documents`, `duplicates`, `erased`, `forgotten`, `quarantined`,
        `quarantine:<reason>`, and `note:<code>` for what kept documents do not show. If owners get documents
        that an earlier version kept for another owner alone, `redone` says in a line how many.

    Raises:
        SourceError: a source is missing.
        RemovalRefusedError: more documents would be erased with their files than the settings allow at once.
        WorkspaceKeyError: the master key cannot be used.
    """
    _ = workspace.keys  # creates the key and its table before any worker needs them
    plan = make_plan(workspace, sources)
    bounds = workspace.settings.ingest.model_dump(mode="json", exclude={*FIELDS, "removed", "removed_share"})
    facts = {"settings": bounds, "code": code_digest(__name__)}
    shards = [
        Shard(index, compute_digest([list(items), *facts.values()])) for index, items in enumerate(plan)
    ]
    before = read_manifest(workspace.raw, "ingest").shards
    done = {result.key for result in before}
    killed = workspace.keys.recall(UNFINISHED) == "yes"
    if any(shard.key not in done for shard in shards):
        workspace.keys.remember(UNFINISHED, "yes")
    work = functools.partial(ingest_shard, workspace)
    manifest = run_stage(workspace.raw, "ingest", shards, work, each, facts, (workspace.quarantine,))
    gone: set[str] = set()
    intact = not killed and workspace.catalogue.read_basis() == digest_parts(before)
    if not intact or manifest.shards != before:
        catalogue, gone, elsewhere = update_catalogue(workspace, before if intact else (), manifest.shards)
        if gone:
            remove_vanished(workspace, sorted(gone))
        places = Places(workspace.places_file)
        if places.exist() or not workspace.catalogue.exists():  # else they were never looked for
            places.add(elsewhere)
        # Last: if the removal fails, the next try finds the same documents.
        workspace.catalogue.write(catalogue, digest_parts(read_manifest(workspace.raw, "ingest").shards))
    made = [result for result in manifest.shards if result.key not in done]
    if made or manifest.done_now or killed:
        # All of them if it is not known which were made: by a run that was killed, or since a part was lost.
        looked_at = manifest.shards if killed or manifest.done_now > len(made) else made
        forget_empty_items(workspace, [result.index for result in looked_at])
        workspace.keys.remember(UNFINISHED, "no")
    new = [result.counts for result in made]
    redone = {
        name: line.format(sum(counts.get(count, 0) for counts in new))
        for count, (name, line) in _LINES.items()
        if any(count in counts for counts in new)
    }
    skipped = {CountKind.NOTE.key(note): n for note, n in count_skipped(sources).items()}
    return replace(
        manifest,
        more={**skipped, **({"forgotten": len(gone)} if gone else {})},
        redone={**manifest.redone, **redone},
    )


def ingest_shard(workspace: Workspace, shard: Shard) -> ShardResult:
    """Read, deduplicate and encrypt the documents of one shard."""
    keys = workspace.keys
    documents: list[SourceDocument] = []
    rejected: list[Rejected] = []
    notes: Counter[str] = Counter()
    items = read_plan(workspace, keys, shard.index)
    gone = _find_gone_items(workspace, shard.index, items)
    readable = [item for item_id, item in items.items() if item is not None and item_id not in gone]
    for outcome in read_items(readable, workspace.settings.ingest):
        if isinstance(outcome, Rejected):
            rejected.append(outcome)
        elif isinstance(outcome, Passed):
            notes.update(outcome.notes)
        else:
            documents.append(outcome)
    rejected = _write_quarantine(workspace, keys, shard, rejected)
    counts = {"quarantined": len(rejected)}
    reasons = count_names(entry.reason for entry in rejected)
    counts |= {CountKind.QUARANTINE.key(reason): n for reason, n in reasons.items()}
    files = {item_id for item_id, item in items.items() if item is not None and item.piece is None}
    return _write_raw(workspace, keys, shard, documents, counts, notes, gone, files)


def _find_gone_items(workspace: Workspace, index: int, items: Mapping[str, SourceItem | None]) -> set[str]:
    """Return the ids of the items that were read before and whose files are gone."""
    if tables.read_result(tables.part_path(workspace.raw, index)) is None:
        return set()
    return {item_id for item_id, item in items.items() if item is not None and is_gone(item)}


@dataclass(frozen=True, slots=True)
class _Entry:
    """A document of the sources with its ids.

    Attributes:
        content: digest of the content.
        owner: id of the owner or owners; None: the document is its own owner.
        item: id of the source item.
        variant: the same for documents of the same text, label and split; the least of an owner's duplicates
            is kept.
    """

    doc_id: str
    content: str
    owner: str | None
    item: str
    variant: str
    source: SourceDocument = field(repr=False)


def _write_raw(
    workspace: Workspace,
    keys: KeyStore,
    shard: Shard,
    found: Sequence[SourceDocument],
    counts: dict[str, int],
    notes: Counter[str],
    gone: set[str],
    files: set[str],
) -> ShardResult:
    """Write the part of a shard: the new documents, and those of the old part whose items are gone.

    `files` are the ids of the items that are files of documents.
    """
    ids = DocumentIds(keys)
    entries, changed = _identify(workspace, ids, found)
    unique: dict[str, _Entry] = {}
    for entry in entries:
        if entry.doc_id not in unique or entry.variant < unique[entry.doc_id].variant:
            unique[entry.doc_id] = entry
    kept_out_by = _list_tombstones(keys, ids, unique, files)
    tombstones = keys.erased_ids([name for names in kept_out_by.values() for name in names])
    kept = [entry for entry in unique.values() if tombstones.isdisjoint(kept_out_by[entry.doc_id])]
    former = _read_former_rows(workspace, shard.index) if gone else []
    held_by: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        held_by[entry.doc_id].add(entry.item)
    for row in former:
        held_by[row["doc_id"]] |= _list_items(row) & gone
    table = _encrypt(keys, kept, held_by)
    table = pa.concat_tables([table, _select_lasting(former, gone, table)])
    counts |= {
        "documents": table.num_rows,
        "duplicates": len(found) - len(unique),
        "erased": len(unique) - len(kept),
    }
    for entry in kept:
        notes.update(entry.source.notes)
    counts |= {CountKind.NOTE.key(note): n for note, n in notes.items()}
    for name, doc_ids in changed.items():
        if now := doc_ids.intersection(entry.doc_id for entry in kept):
            counts[name] = len(now)
    return tables.write_part(workspace.raw, shard, table, counts)


def _list_tombstones(
    keys: KeyStore, ids: DocumentIds, unique: Mapping[str, _Entry], files: set[str]
) -> dict[str, list[str]]:
    """List the tombstones that keep each document out."""
    source_key = keys.purpose_key("source-id")
    parts = {doc_id for doc_id, entry in unique.items() if entry.source.belongs_to is not None}
    new = parts - set(keys.existing_keys(sorted(parts)))
    found: dict[str, list[str]] = {}
    for doc_id, entry in unique.items():
        found[doc_id] = ids.kept_out_by(entry.owner, entry.content, doc_id in new)
        if entry.item in files:
            place = content_id(source_key, entry.source.source_id.encode())
            found[doc_id].append(ids.place(entry.item, place))
    return found


def _identify(
    workspace: Workspace, ids: DocumentIds, found: Sequence[SourceDocument]
) -> tuple[list[_Entry], dict[str, set[str]]]:
    """Give each document its ids; list what changes for documents of an earlier version, by kind.

    Those that it left out for another owner's are shared. Those of an owner that it took for several move.
    Earlier versions gave an owner's document the id of its content. A document that has such an id keeps it:
    its models, reviews and features are found by it.
    """
    variant_key, item_key = (workspace.keys.purpose_key(name) for name in ("variant", "source-id"))
    owners, moved = _name_owners(workspace, ids, found)
    contents = [ids.content(document.text) for document in found]
    earlier = _find_earlier_owners(workspace, contents) if owners else {}
    entries: list[_Entry] = []
    shared: set[str] = set()
    moving: set[str] = set()
    for document, content in zip(found, contents, strict=True):
        owner = owners.get((document.owners, document.spelled))
        if owner is None and document.belongs_to is not None:
            owner = ids.content(document.belongs_to)  # the id of that document, which is its own owner
        known = earlier.get(content)
        doc_id = content if known == owner else ids.document(owner, content)
        if owner is not None and known not in (None, owner, content):
            shared.add(doc_id)
        if (document.owners, document.spelled) in moved:
            moving.add(doc_id)
        variant = _compute_variant(variant_key, document)
        item = content_id(item_key, document.item.encode())
        entries.append(_Entry(doc_id, content, owner, item, variant, document))
    return entries, {_SHARED: shared, _MOVED: moving}


_Names = tuple[tuple[str, ...], tuple[str, ...]]  # normalized, and as spelled where that differs


def _name_owners(
    workspace: Workspace, ids: DocumentIds, found: Sequence[SourceDocument]
) -> tuple[dict[_Names, str], set[_Names]]:
    """Return the id of each document's owners, and which of them an earlier version took for others.

    An owner that the workspace knows by another spelling alone keeps the id of that.
    """
    named = {(document.owners, document.spelled) for document in found if document.owners}
    candidates = {
        (name, spelled): [
            *(word for word in spelled if normalize_owner(word) == name), *list_spellings(name)
        ]
        for names, spelled in named
        for name in names
    }  # fmt: skip
    known: set[str] = set()
    if any(candidates.values()):
        joined = tables.to_strings(workspace.catalogue.read(), "owner")
        known = {owner for owners in set(joined) for owner in split_owners(owners)}

    def choose(name: str, spelled: tuple[str, ...]) -> str:
        all_ids = [ids.owner(word) for word in (name, *candidates[name, spelled])]
        return next((owner for owner in all_ids if owner in known), all_ids[0])

    chosen: dict[_Names, str] = {}
    moved: set[_Names] = set()
    for names, spelled in named:
        chosen[names, spelled] = join_owners(choose(name, spelled) for name in names)
        if not {ids.owner(word) for word in spelled} & known <= set(split_owners(chosen[names, spelled])):
            moved.add((names, spelled))
    return chosen, moved


def _find_earlier_owners(workspace: Workspace, contents: Sequence[str]) -> dict[str, str]:
    """Return the owners of the documents whose id is the digest of their content: content -> owner."""
    if not (known := workspace.keys.existing_keys(contents)):
        return {}
    table = workspace.catalogue.read().select(["doc_id", "owner"])
    rows = table.filter(pc.is_in(table.column("doc_id"), value_set=pa.array(list(known), pa.string())))
    return {row["doc_id"]: row["owner"] for row in rows.to_pylist()}


def _compute_variant(key: bytes, document: SourceDocument) -> str:
    """Order an owner's duplicates, labeled ones first, by nothing but what they are."""
    content = json.dumps([document.text, document.label, document.split])
    return f"{int(document.label is None)}{content_id(key, content.encode())}"


def _select_lasting(former: Sequence[Mapping[str, Any]], gone: set[str], new: pa.Table) -> pa.Table:
    """Select the former rows of items that are gone, without those of documents that are in the new part.

    Rows of earlier versions do not tell their item: they stay, unless a document with the same id in its
    source was read now.
    """
    read_now, sources = (set(tables.to_strings(new, name)) for name in ("doc_id", "source_key"))
    lasting: list[Mapping[str, Any]] = []
    for row in former:
        if row["doc_id"] in read_now:
            continue
        if row["item"] is None and row["source_key"] not in sources:
            lasting.append(row)
        elif items := sorted(_list_items(row) & gone):
            lasting.append({**row, "item": items[0], "copies": items[1:]})
    return pa.Table.from_pylist([dict(row) for row in lasting], schema=tables.RAW)


def _read_former_rows(workspace: Workspace, index: int) -> list[dict[str, Any]]:
    """Read the rows of the part that will be replaced."""
    table = tables.read_part(tables.part_path(workspace.raw, index))
    return tables.add_missing_columns(table, tables.RAW).to_pylist()


def _list_items(row: Mapping[str, Any]) -> set[str]:
    return {row["item"], *(row["copies"] or ())} - {None}


def _encrypt(keys: KeyStore, kept: Sequence[_Entry], held_by: Mapping[str, set[str]]) -> pa.Table:
    """Build the table of documents, each sealed with its own key, which is created if it has none."""
    source_key = keys.purpose_key("source-id")
    data_keys = keys.ensure_keys([entry.doc_id for entry in kept])
    documents = [
        Document(
            doc_id=entry.doc_id,
            owner=entry.owner or entry.doc_id,
            label=entry.source.label,
            split=entry.source.split,
            text=entry.source.text,
        )
        for entry in kept
    ]
    payloads = [
        seal(
            data_keys[entry.doc_id],
            json.dumps(_pack(entry.source)).encode(),
            f"raw:{entry.doc_id}",
            compress=True,
        )
        for entry in kept
    ]
    return pa.table(
        {
            **tables.build_document_columns(documents),
            "source_key": [content_id(source_key, entry.source.source_id.encode()) for entry in kept],
            "n_chars": [len(entry.source.text) for entry in kept],
            "payload": payloads,
            "item": [entry.item for entry in kept],
            "copies": [sorted(held_by[entry.doc_id] - {entry.item}) for entry in kept],
            "variant": [entry.variant for entry in kept],
        },
        schema=tables.RAW,
    )


def _pack(document: SourceDocument) -> dict[str, Any]:
    """Return what is sealed of a document."""
    more = {"notes": dict(document.notes), "fields": dict(document.fields)}
    return {
        "text": document.text,
        "id": document.source_id,
        **{name: value for name, value in more.items() if value},
    }


def _write_quarantine(
    workspace: Workspace, keys: KeyStore, shard: Shard, rejected: Sequence[Rejected]
) -> list[Rejected]:
    """Write what could not be read, without what was erased; return what was written."""
    key, item_key = keys.purpose_key("quarantine"), keys.purpose_key("source-id")
    contents = [content_id(key, entry.content.encode()) for entry in rejected]
    erased = keys.erased_ids(contents)
    kept = [
        (entry, content) for entry, content in zip(rejected, contents, strict=True) if content not in erased
    ]
    sources = [content_id(item_key, entry.item.encode()) for entry, _ in kept]
    source_keys = keys.existing_keys(sources)
    rows = [
        {
            "item": item,
            "content": content,
            "reason": str(entry.reason),
            "where": seal(source_keys[source], entry.where.encode(), f"quarantine:{item}"),
            "source": source,
        }
        for (entry, content), source in zip(kept, sources, strict=True)
        for item in [content_id(key, entry.where.encode())]
    ]
    tables.write_part(workspace.quarantine, shard, pa.Table.from_pylist(rows, schema=tables.QUARANTINE))
    return [entry for entry, _ in kept]


def update_catalogue(
    workspace: Workspace, before: Sequence[ShardResult], now: Sequence[ShardResult]
) -> tuple[pa.Table, set[str], pa.Table]:
    """Return the catalogue of the parts as they are now, the ids of the documents that it lost, and places.

    Args:
        workspace: the workspace.
        before: results of the parts from which the present catalogue was made; none if that is not known.
        now: results of the present parts.

    Returns:
        The catalogue, the ids, and the places of kept documents that it does not name (`places`).
    """
    former = workspace.catalogue.read()
    known = {result.index: result for result in before}
    changed = {result.index for result in now if known.pop(result.index, None) != result} | set(known)
    of_changed = pc.is_in(former.column("shard"), value_set=pa.array(sorted(changed), pa.int32()))
    left, kept = former.filter(of_changed), former.filter(pc.invert(of_changed))
    if not before:
        left, kept = former, former.slice(0, 0)
    elif left.num_rows and sum(result.rows for result in before) > former.num_rows:
        return update_catalogue(workspace, (), now)  # another part may have a duplicate of what has left
    indexes = [result.index for result in now if result.index in changed]
    parts = {index: _read_catalogued(workspace, index) for index in indexes}
    new = pa.array(
        [doc_id for part in parts.values() for doc_id in tables.to_strings(part, "doc_id")], pa.string()
    )
    again: Any = kept.filter(pc.is_in(kept.column("doc_id"), value_set=new)).column("shard").to_numpy()
    for index in np.unique(again).tolist():
        rows = (
            kept.filter(pc.equal(kept.column("shard"), pa.scalar(index, pa.int32())))
            .column("doc_id")
            .combine_chunks()
        )
        part = _read_catalogued(workspace, index)
        parts[index] = part.filter(pc.is_in(part.column("doc_id"), value_set=rows))
    others = kept.filter(pc.invert(pc.is_in(kept.column("shard"), value_set=pa.array([*parts], pa.int32()))))
    catalogue = pa.concat_tables([others, *_select_least(parts)])
    shards: Any = catalogue.column("shard").to_numpy()
    if (shards[1:] < shards[:-1]).any():
        catalogue = catalogue.take(np.argsort(shards, kind="stable"))
    elsewhere = list_elsewhere(catalogue, [left, *parts.values()])
    return catalogue, _list_ids(left).difference(new.to_pylist()), elsewhere


def _list_ids(table: pa.Table) -> set[str]:
    return set(tables.to_strings(table, "doc_id"))


def _read_catalogued(workspace: Workspace, index: int) -> pa.Table:
    """Read what the catalogue has of a part, and the variants."""
    columns = ["doc_id", "owner", "label", "split", "source_key", "variant"]
    part = tables.read_part(tables.part_path(workspace.raw, index), columns)
    shard = pa.array([index] * part.num_rows, pa.int32())
    return part.append_column(tables.CATALOGUE.field("shard"), shard)


def _select_least(parts: Mapping[int, pa.Table]) -> list[pa.Table]:
    """Select of each document the row of its least variant."""
    least: dict[str, tuple[str, int]] = {}
    for index, part in parts.items():
        for doc_id, variant in zip(
            *(part.column(name).to_pylist() for name in ("doc_id", "variant")), strict=True
        ):
            place = (variant or "", index)  # a row of an earlier version stays the one that is kept
            least[doc_id] = min(least.get(doc_id, place), place)
    kept: list[pa.Table] = []
    for index, part in parts.items():
        is_kept = [least[doc_id][1] == index for doc_id in tables.to_strings(part, "doc_id")]
        kept.append(
            part.filter(pa.array(is_kept, pa.bool_())).select(tables.CATALOGUE.names).cast(tables.CATALOGUE)
        )
    return kept
