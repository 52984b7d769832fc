"""Ingest: source files -> encrypted documents, a catalogue of those kept, a quarantine of the others."""

from __future__ import annotations

import functools
import json
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from lexveil.pipeline.maintenance.erasure import forget
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
from lexveil.pipeline.sources.documents import FIELDS, Rejected, SourceItem, is_gone, read_items
from lexveil.pipeline.sources.plan import make_plan, read_plan
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.code import code_digest
from lexveil.pipeline.workspace.shards import run_stage
from lexveil.pipeline.workspace.tables import compute_digest
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.keystore import KeyStore
from lexveil.privacy.vault import content_id, seal


def ingest(workspace: Workspace, sources: Sequence[Path] = (), each: ForEach = run_one_by_one) -> Manifest:
    """Read the sources into the workspace; with no sources, go on with what was planned before.

    What can't be read goes to the quarantine with a reason code and a keyed hash; it never stops the batch.
    Exact duplicates (equal after Unicode composition and folding of white space) are kept once, the first
    in source order. What a changed file held before is forgotten: its key is destroyed, every table loses its
    rows; with `ingest.removed` = "erase" likewise what a file held that is gone from its folder. Documents
    of other files that are gone stay as they were read, even when their shard is redone.
    The manifest's counts: documents, duplicates, erased, forgotten, quarantined, `quarantine:<reason>`.

    Raises:
        SourceError: a source is missing.
        RemovalRefusedError: more would be erased with its files than may be at once.
        WorkspaceKeyError: the master key can't be used.
    """
    _ = workspace.keys  # makes the key and its table before any worker needs them
    plan = make_plan(workspace, sources)
    bounds = workspace.settings.ingest.model_dump(mode="json", exclude={*FIELDS, "removed", "removed_share"})
    facts = {"settings": bounds, "code": code_digest(__name__)}
    planned = [
        Shard(index, compute_digest([[item.identity for item in items], *facts.values()]))
        for index, items in enumerate(plan)
    ]
    shards = [_keep_unreadable(workspace, shard, items) for shard, items in zip(planned, plan, strict=True)]
    work = functools.partial(ingest_shard, workspace)
    manifest = run_stage(workspace.raw, "ingest", shards, work, each, facts)
    catalogue = _catalogue_of(workspace, manifest)
    gone = _ids(workspace.catalogue.read()) - _ids(catalogue)
    if gone:
        forget(workspace, sorted(gone))
    workspace.catalogue.write(catalogue)  # after: it tells a second try what is to be forgotten
    return replace(manifest, more={"forgotten": len(gone)} if gone else {})


def ingest_shard(workspace: Workspace, shard: Shard) -> ShardResult:
    """Read, deduplicate and encrypt one shard's documents."""
    keys = workspace.keys
    found: list[SourceDocument] = []
    rejected: list[Rejected] = []
    items = read_plan(workspace, keys, shard.index) or []
    gone = _gone_items(workspace, shard.index, items)
    readable = [item for item in items if item.identity not in gone]
    for outcome in read_items(readable, workspace.settings.ingest):
        if isinstance(outcome, Rejected):
            rejected.append(outcome)
        else:
            found.append(outcome)
    _write_quarantine(workspace, keys, shard, rejected)
    counts = {"quarantined": len(rejected)}
    reasons = count_names(entry.reason for entry in rejected)
    counts |= {CountKind.QUARANTINE.key(reason): n for reason, n in reasons.items()}
    return _write_raw(workspace, keys, shard, found, counts, _rows_of(workspace, keys, shard.index, gone))


def _keep_unreadable(workspace: Workspace, shard: Shard, items: Sequence[SourceItem]) -> Shard:
    """Keep the part of a shard that could only be redone without the documents of files that are gone.

    Parts of earlier versions do not say which document comes from which file, so their documents cannot be
    carried over one by one.
    """
    path = tables.part_path(workspace.raw, shard.index)
    known = tables.read_result(path)
    if known is None or known.key == shard.key or "item" in tables.read_column_names(path):
        return shard
    return Shard(shard.index, known.key) if any(map(is_gone, items)) else shard


def _gone_items(workspace: Workspace, index: int, items: Sequence[SourceItem]) -> set[str]:
    """Identities of the items that were read once and whose files are gone since."""
    if tables.read_result(tables.part_path(workspace.raw, index)) is None:
        return set()
    return {item.identity for item in items if is_gone(item)}


def _rows_of(workspace: Workspace, keys: KeyStore, index: int, items: set[str]) -> pa.Table:
    """The documents of these items in the part that is about to be replaced, encrypted as they are."""
    if not items:
        return tables.RAW.empty_table()
    key = keys.purpose_key("source-id")
    wanted = pa.array([content_id(key, item.encode()) for item in sorted(items)], pa.string())
    table = tables.read_part(tables.part_path(workspace.raw, index))
    return table.filter(pc.is_in(table.column("item"), value_set=wanted)).select(tables.RAW.names)


def _write_raw(
    workspace: Workspace,
    keys: KeyStore,
    shard: Shard,
    found: list[SourceDocument],
    counts: dict[str, int],
    carried_over: pa.Table,
) -> ShardResult:
    id_key, owner_key, source_key = (keys.purpose_key(name) for name in ("doc-id", "owner-id", "source-id"))
    unique: dict[str, SourceDocument] = {}
    for document in found:
        unique.setdefault(content_id(id_key, _canonical(document.text)), document)
    erased = keys.erased_ids(list(unique))
    kept = {doc_id: document for doc_id, document in unique.items() if doc_id not in erased}
    data_keys = keys.ensure_keys(list(kept))
    documents = [
        Document(
            doc_id=doc_id,
            owner=content_id(owner_key, document.owner.encode()) if document.owner is not None else doc_id,
            label=document.label,
            split=document.split,
            text=document.text,
        )
        for doc_id, document in kept.items()
    ]
    payloads = [
        seal(data_keys[doc_id], json.dumps({"text": doc.text, "id": doc.source_id}).encode(), f"raw:{doc_id}")
        for doc_id, doc in kept.items()
    ]
    table = pa.table(
        {
            **tables.build_document_columns(documents),
            "source_key": [content_id(source_key, doc.source_id.encode()) for doc in kept.values()],
            "n_chars": [len(doc.text) for doc in kept.values()],
            "payload": payloads,
            "item": [content_id(source_key, doc.item.encode()) for doc in kept.values()],
        },
        schema=tables.RAW,
    )
    there = pa.array(list(kept), pa.string())
    others = carried_over.filter(pc.invert(pc.is_in(carried_over.column("doc_id"), value_set=there)))
    table = pa.concat_tables([table, others.cast(tables.RAW)])
    counts |= {
        "documents": table.num_rows,
        "duplicates": len(found) - len(unique),
        "erased": len(erased),
    }
    return tables.write_part(workspace.raw, shard, table, counts)


def _write_quarantine(workspace: Workspace, keys: KeyStore, shard: Shard, rejected: list[Rejected]) -> None:
    key = keys.purpose_key("quarantine")
    items = [content_id(key, entry.where.encode()) for entry in rejected]
    table = pa.table(
        {
            "item": items,
            "content": [content_id(key, entry.content.encode()) for entry in rejected],
            "reason": [str(entry.reason) for entry in rejected],
            "where": [
                seal(key, entry.where.encode(), f"quarantine:{item}")
                for item, entry in zip(items, rejected, strict=True)
            ],
        },
        schema=tables.QUARANTINE,
    )
    tables.write_part(workspace.quarantine, shard, table)


def _ids(catalogue: pa.Table) -> set[str]:
    return set(tables.to_strings(catalogue, "doc_id"))


def _catalogue_of(workspace: Workspace, manifest: Manifest) -> pa.Table:
    columns = ["doc_id", "owner", "label", "split", "source_key"]
    seen: set[str] = set()
    parts: list[pa.Table] = []
    for shard in manifest.shards:
        table = tables.read_part(tables.part_path(workspace.raw, shard.index), columns)
        ids = tables.to_strings(table, "doc_id")
        first = [doc_id not in seen for doc_id in ids]
        seen.update(ids)
        kept = table.filter(pa.array(first, pa.bool_()))
        parts.append(kept.append_column("shard", pa.array([shard.index] * kept.num_rows, pa.int32())))
    return pa.concat_tables(
        [part.cast(tables.CATALOGUE) for part in parts] or [tables.CATALOGUE.empty_table()]
    )


def _canonical(text: str) -> bytes:
    return " ".join(unicodedata.normalize("NFC", text).split()).encode("utf-8", "surrogatepass")
