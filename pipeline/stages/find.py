"""Find: encrypted documents -> their spans of personal information, sealed with each document's own key.

Detection is the expensive part of masking. It depends on the detector, the text, and the names that the
format states alone: another policy or a reviewer's decisions mask the document again from what is stored
here.
"""

from __future__ import annotations

import functools
from collections import Counter
from typing import Any

import pyarrow as pa

from lexveil.nlp.detection.detector import Detection
from lexveil.nlp.masking.anonymize import Piece, split_pieces
from lexveil.nlp.masking.scope import DocumentNames
from lexveil.pipeline.errors import WorkspaceError
from lexveil.pipeline.masking.detections import (
    digest_kept_documents,
    list_kept_documents,
    seal_names,
    seal_spans,
)
from lexveil.pipeline.masking.detector import batch_pieces, check_own_rules, compute_detector_digest, detect
from lexveil.pipeline.masking.stated_names import list_stated_names
from lexveil.pipeline.records import (
    CountKind,
    Document,
    ForEach,
    Manifest,
    Shard,
    ShardResult,
    run_one_by_one,
)
from lexveil.pipeline.settings import MaskSettings
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.code import code_digest
from lexveil.pipeline.workspace.documents import read_raw
from lexveil.pipeline.workspace.shards import read_manifest, run_stage
from lexveil.pipeline.workspace.tables import compute_digest
from lexveil.pipeline.workspace.workspace import Workspace

_COLUMNS = ("start", "end", "language", "served", "spans", "names")


def find(workspace: Workspace, each: ForEach = run_one_by_one) -> Manifest:
    """Detect personal information in every kept document.

    Args:
        workspace: the workspace.
        each: runs the shards.

    Returns:
        The manifest, with the counts `documents`, `found` (spans) and `language:<CODE>` (documents).

    Raises:
        WorkspaceError: nothing has been ingested.
    """
    if not workspace.catalogue.exists():
        raise WorkspaceError("nothing has been ingested into this workspace; run `lexveil ingest` first")
    check_own_rules(workspace.settings.mask)
    kept = digest_kept_documents(workspace)
    facts = describe_detection(workspace.settings.mask)
    shards = [
        Shard(entry.index, compute_digest([entry.digest, kept.get(entry.index), *facts.values()]))
        for entry in read_manifest(workspace.raw, "ingest").shards
    ]
    work = functools.partial(find_shard, workspace)
    return run_stage(workspace.found, "find", shards, work, each, facts)


def describe_detection(mask: MaskSettings) -> dict[str, Any]:
    """Return what the spans of a document depend on, apart from its text."""
    return {
        "settings": [mask.detector, mask.sensitivity, *filter(None, [mask.language])],
        "detector": compute_detector_digest(mask),
        "code": code_digest(__name__),
    }


def find_shard(workspace: Workspace, shard: Shard) -> ShardResult:
    """Detect in the documents of one shard; in a large document, piece by piece."""
    documents = read_raw(workspace, shard.index, list_kept_documents(workspace, shard.index))
    # Otherwise the ciphertext of a large document would stay in memory with its text.
    pa.default_memory_pool().release_unused()
    keys = workspace.keys.existing_keys([document.doc_id for document in documents])
    rows: list[dict[str, Any]] = []
    found = 0
    owners: list[Document] = []
    languages: Counter[str] = Counter()
    pieces = ((document, piece) for document in documents for piece in split_pieces(document.text, ()))
    for batch in batch_pieces(pieces):
        known = [list_stated_names(document.fields) for document, _ in batch]
        detections = detect(workspace.settings.mask, [piece.text for _, piece in batch], known)
        for (document, piece), detection in zip(batch, detections, strict=True):
            owners.append(document)
            rows.append(_seal_piece(keys[document.doc_id], document.doc_id, piece, detection))
            found += len(detection.spans)
            if not piece.start:
                languages[CountKind.LANGUAGE.key(detection.language)] += 1
    columns = {name: [row[name] for row in rows] for name in _COLUMNS}
    table = pa.table({**tables.build_document_columns(owners), **columns}, schema=tables.FOUND)
    counts = {"documents": len(documents), "found": found, **languages}
    return tables.write_part(workspace.found, shard, table, counts)


def _seal_piece(key: bytes, doc_id: str, piece: Piece, detection: Detection) -> dict[str, Any]:
    names = DocumentNames.read(piece.text, detection.spans)
    return {
        "start": piece.start,
        "end": piece.start + len(piece.text),
        "language": detection.language,
        "served": detection.served,
        "spans": seal_spans(key, doc_id, piece.start, detection.spans),
        "names": seal_names(key, doc_id, piece.start, names),
    }
