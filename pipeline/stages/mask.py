"""Mask: encrypted documents -> masked text, and a vault that the key holder can restore the text from."""

from __future__ import annotations

import functools
import json
from collections import defaultdict
from dataclasses import astuple
from typing import Any

import pyarrow as pa

from nlp.detect import Detector
from nlp.mask import Masked, Replacement, restore
from nlp.mask import mask as mask_spans
from nlp.text import Span
from pipeline import tables
from pipeline.errors import WorkspaceError
from pipeline.records import Document, ForEach, Manifest, Shard, ShardResult, one_by_one
from pipeline.settings import MaskSettings, Settings
from pipeline.stages.ingest import read_catalogue, read_raw
from pipeline.tables import digest_of
from pipeline.workspace import Workspace, code_digest, key_store, read_manifest, run_stage
from privacy.pseudonyms import entity_id
from privacy.vault import seal, unseal

_CODE = (
    "nlp/text",
    "nlp/citations",
    "nlp/recognizers",
    "nlp/detect",
    "nlp/identity",
    "nlp/mask",
    "pipeline/stages/mask",
)


def mask(workspace: Workspace, settings: Settings, each: ForEach = one_by_one) -> Manifest:
    """Mask every kept document. The manifest's counts: documents, spans, `span:<TYPE>`.

    Masking is not anonymity: what no recognizer finds stays, and a reader who knows the case may know the
    people in it.

    Raises:
        WorkspaceError: nothing has been ingested.
    """
    if not workspace.catalogue.exists():
        raise WorkspaceError("nothing has been ingested into this workspace; run `lexveil ingest` first")
    wanted = _wanted(workspace)
    facts = [settings.mask.model_dump(mode="json"), code_digest(*_CODE)]
    shards = [
        Shard(entry.index, digest_of([entry.digest, wanted[entry.index], *facts]))
        for entry in read_manifest(workspace.raw, "ingest").shards
    ]
    work = functools.partial(mask_shard, workspace, settings)
    return run_stage(workspace.masked, "mask", shards, work, each)


def mask_shard(workspace: Workspace, settings: Settings, shard: Shard) -> ShardResult:
    """Find and mask the personal information of one shard's documents."""
    documents = read_raw(workspace, settings, shard.index, _wanted(workspace)[shard.index])
    masked = mask_texts([document.text for document in documents], settings.mask)
    _write_vault(workspace, settings, shard, documents, masked)
    counts: dict[str, int] = defaultdict(int)
    for outcome in masked:
        for replacement in outcome.replacements:
            counts[f"span:{replacement.type}"] += 1
    counts["documents"] = len(documents)
    counts["spans"] = sum(len(outcome.replacements) for outcome in masked)
    table = pa.table(
        {
            **tables.document_columns(documents),
            "text": [outcome.text for outcome in masked],
            "n_spans": [len(outcome.replacements) for outcome in masked],
        },
        schema=tables.MASKED,
    )
    return tables.write_part(workspace.masked, shard, table, counts)


def detect_texts(texts: list[str], settings: MaskSettings) -> list[list[Span]]:
    """The spans to mask in each text, sorted, none overlapping."""
    found = Detector.load().detect_many(texts)
    if not settings.types:
        return found
    return [[span for span in spans if span.type in settings.types] for spans in found]


def mask_texts(texts: list[str], settings: MaskSettings) -> list[Masked]:
    """Each text with its personal information replaced by tokens."""
    return [mask_spans(text, spans) for text, spans in zip(texts, detect_texts(texts, settings), strict=True)]


def restore_document(workspace: Workspace, settings: Settings, doc_id: str) -> str:
    """The exact original of a masked document, from the masked text and the vault. Key holders only.

    Raises:
        WorkspaceError: no such document, or it was erased.
    """
    key = key_store(workspace, settings).existing([doc_id]).get(doc_id)
    places = {row["doc_id"]: row["shard"] for row in read_catalogue(workspace).to_pylist()}
    shard = places.get(doc_id)
    if key is None or shard is None:
        raise WorkspaceError("there is no such document in this workspace, or it was erased")
    masked = _row(tables.read_part(tables.part_path(workspace.masked, shard)), doc_id)
    sealed = _row(tables.read_part(tables.part_path(workspace.vault, shard)), doc_id)
    entries = json.loads(unseal(key, sealed["payload"], f"vault:{doc_id}"))
    return restore(masked["text"], [Replacement(*entry[:12]) for entry in entries])


def _row(table: pa.Table, doc_id: str) -> dict[str, Any]:
    return next(row for row in table.to_pylist() if row["doc_id"] == doc_id)


def _write_vault(
    workspace: Workspace, settings: Settings, shard: Shard, documents: list[Document], masked: list[Masked]
) -> None:
    keys = key_store(workspace, settings)
    data_keys = keys.existing([document.doc_id for document in documents])
    pseudonym_key = keys.purpose_key("pseudonyms")
    payloads: list[bytes] = []
    for document, outcome in zip(documents, masked, strict=True):
        entries = [
            # The same person in all documents of one owner has one id that only the key holder can link.
            [*astuple(r), entity_id(pseudonym_key, document.owner, r.type, r.original)]
            for r in outcome.replacements
        ]
        context = f"vault:{document.doc_id}"
        payloads.append(seal(data_keys[document.doc_id], json.dumps(entries).encode(), context))
    ids = [document.doc_id for document in documents]
    tables.write_part(
        workspace.vault, shard, pa.table({"doc_id": ids, "payload": payloads}, schema=tables.VAULT)
    )


def _wanted(workspace: Workspace) -> dict[int, list[str]]:
    """The kept documents of each raw part."""
    wanted: dict[int, list[str]] = defaultdict(list)
    catalogue = read_catalogue(workspace)
    for row in catalogue.select(["doc_id", "shard"]).to_pylist():
        wanted[row["shard"]].append(row["doc_id"])
    return wanted
