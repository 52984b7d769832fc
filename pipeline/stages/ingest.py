"""Ingest: source files -> encrypted documents, a catalogue of the kept ones, a quarantine of the others."""

from __future__ import annotations

import functools
import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from lexveil.pipeline.maintenance.erasure import remove_vanished
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
from lexveil.pipeline.workspace.shards import read_manifest, run_stage
from lexveil.pipeline.workspace.tables import compute_digest
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.keystore import KeyStore
from lexveil.privacy.vault import content_id, seal


def ingest(workspace: Workspace, sources: Sequence[Path] = (), each: ForEach = run_one_by_one) -> Manifest:
    """Read the sources into the workspace.

    Unreadable items go to the quarantine with a reason code and a keyed hash; they never stop the batch. Of
    exact duplicates (equal after Unicode composition and folding of white space) the first in source order is
    kept. The documents that a changed file contained before are removed: their keys are destroyed and every
    table loses their rows. With `ingest.removed` = "erase" the same happens to the documents of a file that
    is gone from its folder. Otherwise documents of files that are gone stay as they were read, even when
    their shard is redone.

    Args:
        workspace: the workspace.
        sources: files and folders; none: continue with what was planned before.
        each: runs the shards.

    Returns:
        The manifest, with the counts `documents`, `duplicates`, `erased`, `forgotten`, `quarantined` and
        `quarantine:<reason>`.

    Raises:
        SourceError: a source is missing.
        RemovalRefusedError: more documents would be erased with their files than the settings allow at once.
        WorkspaceKeyError: the master key cannot be used.
    """
    _ = workspace.keys  # creates the key and its table before any worker needs them
    plan = make_plan(workspace, sources)
    bounds = workspace.settings.ingest.model_dump(mode="json", exclude={*FIELDS, "removed", "removed_share"})
    facts = {"settings": bounds, "code": code_digest(__name__)}
    planned = [
        Shard(index, compute_digest([[item.identity for item in items], *facts.values()]))
        for index, items in enumerate(plan)
    ]
    done = {result.index: result.key for result in read_manifest(workspace.raw, "ingest").shards}
    shards = [
        shard if done.get(shard.index) == shard.key else _keep_unreadable(workspace, shard, items)
        for shard, items in zip(planned, plan, strict=True)  # parts are opened only where they may be redone
    ]
    work = functools.partial(ingest_shard, workspace)
    manifest = run_stage(workspace.raw, "ingest", shards, work, each, facts)
    catalogue = _build_catalogue(workspace, manifest)
    gone = _list_ids(workspace.catalogue.read()) - _list_ids(catalogue)
    if gone:
        remove_vanished(workspace, sorted(gone))
    workspace.catalogue.write(catalogue)  # last: if the removal fails, the next try finds the same documents
    return replace(manifest, more={"forgotten": len(gone)} if gone else {})


def ingest_shard(workspace: Workspace, shard: Shard) -> ShardResult:
    """Read, deduplicate and encrypt the documents of one shard."""
    keys = workspace.keys
    documents: list[SourceDocument] = []
    rejected: list[Rejected] = []
    items = read_plan(workspace, keys, shard.index) or []
    gone = _find_gone_items(workspace, shard.index, items)
    readable = [item for item in items if item.identity not in gone]
    for outcome in read_items(readable, workspace.settings.ingest):
        if isinstance(outcome, Rejected):
            rejected.append(outcome)
        else:
            documents.append(outcome)
    _write_quarantine(workspace, keys, shard, rejected)
    counts = {"quarantined": len(rejected)}
    reasons = count_names(entry.reason for entry in rejected)
    counts |= {CountKind.QUARANTINE.key(reason): n for reason, n in reasons.items()}
    carried_over = _read_rows(workspace, keys, shard.index, gone)
    return _write_raw(workspace, keys, shard, documents, counts, carried_over)


def _keep_unreadable(workspace: Workspace, shard: Shard, items: Sequence[SourceItem]) -> Shard:
    """Keep the part of a shard as it is if redoing it would lose the documents of files that are gone.

    Parts of earlier versions do not record which document comes from which file, so single documents cannot
    be carried over.
    """
    path = tables.part_path(workspace.raw, shard.index)
    known = tables.read_result(path)
    if known is None or known.key == shard.key or "item" in tables.read_column_names(path):
        return shard
    return Shard(shard.index, known.key) if any(map(is_gone, items)) else shard


def _find_gone_items(workspace: Workspace, index: int, items: Sequence[SourceItem]) -> set[str]:
    """Return the identities of the items that were read before and whose files are gone."""
    if tables.read_result(tables.part_path(workspace.raw, index)) is None:
        return set()
    return {item.identity for item in items if is_gone(item)}


def _read_rows(workspace: Workspace, keys: KeyStore, index: int, items: set[str]) -> pa.Table:
    """Read the encrypted documents of these items from the part that will be replaced."""
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
    found: Sequence[SourceDocument],
    counts: dict[str, int],
    carried_over: pa.Table,
) -> ShardResult:
    """Write the part of a shard: the new documents, and those carried over from the old part."""
    id_key = keys.purpose_key("doc-id")
    unique: dict[str, SourceDocument] = {}
    for document in found:
        unique.setdefault(content_id(id_key, _normalize(document.text)), document)
    erased = keys.erased_ids(list(unique))
    kept = {doc_id: document for doc_id, document in unique.items() if doc_id not in erased}
    table = _encrypt(keys, kept)
    new_ids = pa.array(list(kept), pa.string())
    others = carried_over.filter(pc.invert(pc.is_in(carried_over.column("doc_id"), value_set=new_ids)))
    table = pa.concat_tables([table, others.cast(tables.RAW)])
    counts |= {
        "documents": table.num_rows,
        "duplicates": len(found) - len(unique),
        "erased": len(erased),
    }
    return tables.write_part(workspace.raw, shard, table, counts)


def _encrypt(keys: KeyStore, kept: Mapping[str, SourceDocument]) -> pa.Table:
    """Build the table of documents, each sealed with its own key, which is created if it has none."""
    owner_key, source_key = keys.purpose_key("owner-id"), keys.purpose_key("source-id")
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
    return pa.table(
        {
            **tables.build_document_columns(documents),
            "source_key": [content_id(source_key, doc.source_id.encode()) for doc in kept.values()],
            "n_chars": [len(doc.text) for doc in kept.values()],
            "payload": payloads,
            "item": [content_id(source_key, doc.item.encode()) for doc in kept.values()],
        },
        schema=tables.RAW,
    )


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


def _list_ids(catalogue: pa.Table) -> set[str]:
    return set(tables.to_strings(catalogue, "doc_id"))


def _build_catalogue(workspace: Workspace, manifest: Manifest) -> pa.Table:
    """Build the catalogue from the parts: the first row of each document."""
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


def _normalize(text: str) -> bytes:
    return " ".join(unicodedata.normalize("NFC", text).split()).encode("utf-8", "surrogatepass")
