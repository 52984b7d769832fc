"""Ingest: source files -> encrypted documents, a catalogue of those kept, a quarantine of the others."""

from __future__ import annotations

import functools
import json
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from lexveil.pipeline.records import (
    Document,
    ForEach,
    Manifest,
    Shard,
    ShardResult,
    SourceDocument,
    count_names,
    run_one_by_one,
)
from lexveil.pipeline.sources.documents import FIELDS, Rejected, read_items
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
    rows; with `ingest.removed` = "erase" likewise what a file held that is gone from its folder.
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
    shards = [
        Shard(index, compute_digest([[item.identity for item in items], *facts.values()]))
        for index, items in enumerate(plan)
    ]
    work = functools.partial(ingest_shard, workspace)
    manifest = run_stage(workspace.raw, "ingest", shards, work, each, facts)
    catalogue = _catalogue_of(workspace, manifest)
    gone = _ids(workspace.catalogue.read()) - _ids(catalogue)
    if gone:
        from lexveil.pipeline.maintenance.erasure import forget  # stands on this stage

        forget(workspace, sorted(gone))
    workspace.catalogue.write(catalogue)  # after: it tells a second try what is to be forgotten
    return replace(manifest, more={"forgotten": len(gone)} if gone else {})


def ingest_shard(workspace: Workspace, shard: Shard) -> ShardResult:
    """Read, deduplicate and encrypt one shard's documents."""
    keys = workspace.keys
    found: list[SourceDocument] = []
    rejected: list[Rejected] = []
    for outcome in read_items(read_plan(workspace, keys, shard.index) or [], workspace.settings.ingest):
        if isinstance(outcome, Rejected):
            rejected.append(outcome)
        else:
            found.append(outcome)
    _write_quarantine(workspace, keys, shard, rejected)
    counts = {"quarantined": len(rejected)}
    counts |= {f"quarantine:{reason}": n for reason, n in count_names(r.reason for r in rejected).items()}
    return _write_raw(workspace, keys, shard, found, counts)


def _write_raw(
    workspace: Workspace, keys: KeyStore, shard: Shard, found: list[SourceDocument], counts: dict[str, int]
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
        },
        schema=tables.RAW,
    )
    counts |= {
        "documents": len(kept),
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
