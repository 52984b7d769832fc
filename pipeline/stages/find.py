"""Find: encrypted documents -> their spans of personal information, sealed with each document's own key.

Finding is the dear part of masking and depends on the detector and the text alone: another policy, or what a
reviewer decided, masks anew from what lies here.
"""

from __future__ import annotations

import functools
from typing import Any

import pyarrow as pa

from lexveil.nlp.masking.anonymize import split_pieces
from lexveil.nlp.masking.scope import DocumentNames
from lexveil.pipeline.errors import WorkspaceError
from lexveil.pipeline.masking.detections import (
    group_kept_documents,
    list_kept_documents,
    named_to_json,
    seal_json,
    span_columns,
)
from lexveil.pipeline.masking.detector import batch_pieces, compute_detector_digest, detect
from lexveil.pipeline.records import Document, ForEach, Manifest, Shard, ShardResult, run_one_by_one
from lexveil.pipeline.settings import MaskSettings
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.code import code_digest
from lexveil.pipeline.workspace.documents import read_raw
from lexveil.pipeline.workspace.shards import read_manifest, run_stage
from lexveil.pipeline.workspace.tables import compute_digest
from lexveil.pipeline.workspace.workspace import Workspace


def find(workspace: Workspace, each: ForEach = run_one_by_one) -> Manifest:
    """Detect in every kept document. The manifest's counts: documents, found.

    Raises:
        WorkspaceError: nothing has been ingested.
    """
    if not workspace.catalogue.exists():
        raise WorkspaceError("nothing has been ingested into this workspace; run `lexveil ingest` first")
    wanted = group_kept_documents(workspace)
    facts = describe_detection(workspace.settings.mask)
    shards = [
        Shard(entry.index, compute_digest([entry.digest, wanted[entry.index], *facts.values()]))
        for entry in read_manifest(workspace.raw, "ingest").shards
    ]
    work = functools.partial(find_shard, workspace)
    return run_stage(workspace.found, "find", shards, work, each, facts)


def describe_detection(mask: MaskSettings) -> dict[str, Any]:
    """What is found in a document depends on, beside its text."""
    return {
        "settings": [mask.detector, mask.sensitivity],
        "detector": compute_detector_digest(mask.detector),
        "code": code_digest(__name__),
    }


def find_shard(workspace: Workspace, shard: Shard) -> ShardResult:
    """Detect in one shard's documents; in a large one, piece by piece."""
    documents = read_raw(workspace, shard.index, list_kept_documents(workspace, shard.index))
    pa.default_memory_pool().release_unused()  # a large document's ciphertext would stay beside its text
    keys = workspace.keys.existing_keys([document.doc_id for document in documents])
    owners: list[Document] = []
    columns: dict[str, list[Any]] = {
        name: [] for name in ("start", "end", "language", "served", "spans", "names")
    }
    counts = {"documents": len(documents), "found": 0}
    pieces = ((document, piece) for document in documents for piece in split_pieces(document.text, ()))
    for batch in batch_pieces(pieces):
        for (document, piece), found in zip(
            batch, detect(workspace.settings.mask, [piece.text for _, piece in batch]), strict=True
        ):
            key, place = keys[document.doc_id], f"{document.doc_id}:{piece.start}"
            told = {
                "start": piece.start,
                "end": piece.start + len(piece.text),
                "language": found.language,
                "served": found.served,
                "spans": seal_json(key, span_columns(found.spans), f"spans:{place}"),
                "names": seal_json(
                    key, named_to_json(DocumentNames.read(piece.text, found.spans)), f"names:{place}"
                ),
            }
            owners.append(document)
            for name, value in told.items():
                columns[name].append(value)
            counts["found"] += len(found.spans)
    table = pa.table({**tables.build_document_columns(owners), **columns}, schema=tables.FOUND)
    return tables.write_part(workspace.found, shard, table, counts)
