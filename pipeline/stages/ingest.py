"""Ingest: source files -> encrypted documents, a catalogue of those kept, a quarantine of the others."""

from __future__ import annotations

import functools
import json
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import tables
from pipeline.code import code_digest
from pipeline.database import tables_of
from pipeline.keys import key_store
from pipeline.plan import make_plan, read_plan
from pipeline.records import (
    Document,
    ForEach,
    Manifest,
    Shard,
    ShardResult,
    SourceDocument,
    one_by_one,
    tally,
)
from pipeline.settings import Settings
from pipeline.sources import FIELDS, Rejected, read_items
from pipeline.tables import digest_of
from pipeline.workspace import Workspace, run_stage, write_bytes
from privacy.keystore import KeyStore
from privacy.vault import content_id, seal, unseal

_CATALOGUE_GROUP = 4096  # rows


def ingest(
    workspace: Workspace, settings: Settings, sources: Sequence[Path] = (), each: ForEach = one_by_one
) -> Manifest:
    """Read the sources into the workspace; with no sources, go on with what was planned before.

    What can't be read goes to the quarantine with a reason code and a keyed hash; it never stops the batch.
    Exact duplicates (equal after Unicode composition and folding of white space) are kept once, the first
    in source order. What a changed file held before is forgotten: its key is destroyed, every table loses its
    rows; with `ingest.removed` = "erase" likewise what a file held that is gone from its folder.
    The manifest's counts: documents, duplicates, erased, forgotten, quarantined, `quarantine:<reason>`.

    Raises:
        SourceError: a source is missing.
        RemovalRefused: more would be erased with its files than may be at once.
        KeyProblem: the master key can't be used.
    """
    key_store(workspace, settings)  # makes the key and its table before any worker needs them
    plan = make_plan(workspace, settings, sources)
    bounds = settings.ingest.model_dump(mode="json", exclude={*FIELDS, "removed", "removed_share"})
    facts = {"settings": bounds, "code": code_digest(__name__)}
    shards = [
        Shard(index, digest_of([[item.identity for item in items], *facts.values()]))
        for index, items in enumerate(plan)
    ]
    work = functools.partial(ingest_shard, workspace, settings)
    manifest = run_stage(workspace.raw, "ingest", shards, work, each, facts)
    catalogue = _catalogue_of(workspace, manifest)
    gone = _ids(read_catalogue(workspace, settings)) - _ids(catalogue)
    if gone:
        from pipeline.erasure import forget  # stands on this stage

        forget(workspace, settings, sorted(gone))
    write_catalogue(workspace, settings, catalogue)  # after: it tells a second try what is to be forgotten
    return replace(manifest, more={"forgotten": len(gone)} if gone else {})


def ingest_shard(workspace: Workspace, settings: Settings, shard: Shard) -> ShardResult:
    """Read, deduplicate and encrypt one shard's documents."""
    keys = key_store(workspace, settings)
    found: list[SourceDocument] = []
    rejected: list[Rejected] = []
    for outcome in read_items(read_plan(workspace, keys, shard.index) or [], settings.ingest):
        if isinstance(outcome, Rejected):
            rejected.append(outcome)
        else:
            found.append(outcome)
    _write_quarantine(workspace, keys, shard, rejected)
    counts = {"quarantined": len(rejected)}
    counts |= {f"quarantine:{reason}": n for reason, n in tally(r.reason for r in rejected).items()}
    return _write_raw(workspace, keys, shard, found, counts)


def _write_raw(
    workspace: Workspace, keys: KeyStore, shard: Shard, found: list[SourceDocument], counts: dict[str, int]
) -> ShardResult:
    id_key, owner_key, source_key = (keys.purpose_key(name) for name in ("doc-id", "owner-id", "source-id"))
    unique: dict[str, SourceDocument] = {}
    for document in found:
        unique.setdefault(content_id(id_key, _canonical(document.text)), document)
    erased = keys.erased(list(unique))
    kept = {doc_id: document for doc_id, document in unique.items() if doc_id not in erased}
    data_keys = keys.keys_for(list(kept))
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
            **tables.document_columns(documents),
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


def read_quarantine(workspace: Workspace, settings: Settings) -> list[tuple[str, str]]:
    """(reason, where it lies) of what was not read, and (reason, doc_id) of what masking held back.

    For the holder of the master key only.
    """
    key = key_store(workspace, settings).purpose_key("quarantine")
    rows: list[tuple[str, str]] = []
    for path in sorted(workspace.quarantine.glob("part-*.parquet")):
        for row in tables.read_part(path).to_pylist():
            rows.append((row["reason"], unseal(key, row["where"], f"quarantine:{row['item']}").decode()))
    for path in sorted(workspace.held_back.glob("part-*.parquet")):
        rows += ((row["reason"], row["doc_id"]) for row in tables.read_part(path).to_pylist())
    return rows


def read_raw(workspace: Workspace, settings: Settings, index: int, doc_ids: Iterable[str]) -> list[Document]:
    """The given documents of one raw part, decrypted, in the part's order."""
    wanted = set(doc_ids)
    keys = key_store(workspace, settings).existing(sorted(wanted))
    path = tables.part_path(workspace.raw, index)
    columns = ["doc_id", "owner", "label", "split", "payload"]
    rows = tables.read_part(path, columns).to_pylist() if wanted else []
    documents: list[Document] = []
    for row in rows:
        doc_id, sealed = row["doc_id"], row.pop("payload")  # each ciphertext goes as its text comes
        if doc_id in wanted and doc_id in keys:
            opened = unseal(keys[doc_id], sealed, f"raw:{doc_id}")
            del sealed
            text = json.loads(opened)["text"]
            documents.append(Document(doc_id, row["owner"], row["label"], row["split"], text))
    return documents


def has_catalogue(workspace: Workspace, settings: Settings) -> bool:
    """Whether anything was ever ingested, be it of no documents."""
    database = tables_of(workspace, settings)
    return workspace.catalogue.exists() if database is None else database.has_catalogue()


def read_catalogue(workspace: Workspace, settings: Settings, shard: int | None = None) -> pa.Table:
    """The kept documents, or those of one shard: ids, keyed owners, labels, and the shard each lies in."""
    database = tables_of(workspace, settings)
    if database is not None:
        return database.read_catalogue(shard)
    if not workspace.catalogue.exists():
        return tables.CATALOGUE.empty_table()
    if shard is None:
        return tables.read_part(workspace.catalogue)
    return tables.read_rows(workspace.catalogue, "shard", shard)


def _ids(catalogue: pa.Table) -> set[str]:
    return set(tables.strings(catalogue, "doc_id"))


def _catalogue_of(workspace: Workspace, manifest: Manifest) -> pa.Table:
    columns = ["doc_id", "owner", "label", "split", "source_key"]
    seen: set[str] = set()
    parts: list[pa.Table] = []
    for shard in manifest.shards:
        table = tables.read_part(tables.part_path(workspace.raw, shard.index), columns)
        ids = tables.strings(table, "doc_id")
        first = [doc_id not in seen for doc_id in ids]
        seen.update(ids)
        kept = table.filter(pa.array(first, pa.bool_()))
        parts.append(kept.append_column("shard", pa.array([shard.index] * kept.num_rows, pa.int32())))
    return pa.concat_tables(
        [part.cast(tables.CATALOGUE) for part in parts] or [tables.CATALOGUE.empty_table()]
    )


def write_catalogue(workspace: Workspace, settings: Settings, table: pa.Table) -> None:
    """Put a catalogue in place of the one there is, whole or not at all."""
    database = tables_of(workspace, settings)
    if database is not None:
        database.write_catalogue(table)
        return
    sink = pa.BufferOutputStream()
    # In the order of its shards and in small groups, so that a shard's work doesn't read those of the others.
    pq.write_table(table, sink, row_group_size=_CATALOGUE_GROUP)
    write_bytes(workspace.catalogue, sink.getvalue().to_pybytes())


def _canonical(text: str) -> bytes:
    return " ".join(unicodedata.normalize("NFC", text).split()).encode("utf-8", "surrogatepass")
