"""Find: encrypted documents -> their spans of personal information, sealed with each document's own key.

Finding is the dear part of masking and depends on the detector and the text alone: another policy, or what a
reviewer decided, masks anew from what lies here.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from nlp.detect import Detection, Detector
from nlp.identity import Mention
from nlp.learnt import WEIGHTS
from nlp.scope import Named
from nlp.text import Span
from pipeline import tables
from pipeline.errors import WorkspaceError
from pipeline.records import Document, ForEach, Manifest, Shard, ShardResult, one_by_one
from pipeline.settings import DETECTORS, MaskSettings, Settings
from pipeline.stages.ingest import read_catalogue, read_raw
from pipeline.tables import digest_of
from pipeline.workspace import Workspace, code_digest, key_store, read_manifest, run_stage
from privacy.vault import seal, unseal

_CODE = (
    "nlp/text",
    "nlp/citations",
    "nlp/language",
    "nlp/recognizers",
    "nlp/learnt",
    "nlp/windows",
    "nlp/overlaps",
    "nlp/propagation",
    "nlp/detect",
    "nlp/identity",
    "nlp/roles",
    "nlp/scope",
    "pipeline/stages/find",
)


@dataclass(frozen=True, slots=True)
class Found:
    """What the detector found in one document, in characters of its text."""

    spans: tuple[Span, ...] = field(repr=False)
    language: str
    served: bool


def find(workspace: Workspace, settings: Settings, each: ForEach = one_by_one) -> Manifest:
    """Detect in every kept document. The manifest's counts: documents, found.

    Raises:
        WorkspaceError: nothing has been ingested.
    """
    if not workspace.catalogue.exists():
        raise WorkspaceError("nothing has been ingested into this workspace; run `lexveil ingest` first")
    wanted = wanted_by_shard(workspace)
    mask = settings.mask
    facts = [mask.detector, mask.sensitivity, detector_digest(mask.detector), code_digest(*_CODE)]
    shards = [
        Shard(entry.index, digest_of([entry.digest, wanted[entry.index], *facts]))
        for entry in read_manifest(workspace.raw, "ingest").shards
    ]
    work = functools.partial(find_shard, workspace, settings)
    return run_stage(workspace.found, "find", shards, work, each)


def find_shard(workspace: Workspace, settings: Settings, shard: Shard) -> ShardResult:
    """Detect in one shard's documents."""
    documents = read_raw(workspace, settings, shard.index, wanted_by_shard(workspace)[shard.index])
    detections = detect(settings.mask, [document.text for document in documents])
    keys = key_store(workspace, settings).existing([document.doc_id for document in documents])
    payloads: list[bytes] = []
    names: list[bytes] = []
    for document, found in zip(documents, detections, strict=True):
        doc_id, key = document.doc_id, keys[document.doc_id]
        told = {"language": found.language, "served": found.served, "spans": _columns(found.spans)}
        payloads.append(seal(key, json.dumps(told).encode(), f"found:{doc_id}"))
        who = json.dumps(_named_to_json(Named.of(document.text, found.spans), found.language))
        names.append(seal(key, who.encode(), f"names:{doc_id}"))
    table = pa.table(
        {**tables.document_columns(documents), "payload": payloads, "names": names}, schema=tables.FOUND
    )
    counts = {"documents": len(documents), "found": sum(len(found.spans) for found in detections)}
    return tables.write_part(workspace.found, shard, table, counts)


def detect(settings: MaskSettings, texts: Sequence[str]) -> list[Detection]:
    """What the configured detector finds in each text."""
    return Detector.load(settings.detector, settings.sensitivity).detect_many(texts)


def read_found(
    workspace: Workspace, settings: Settings, index: int, documents: Sequence[Document]
) -> list[Found]:
    """What was found in documents of one part, in their order."""
    ids = [document.doc_id for document in documents]
    opened = _opened(workspace, settings, index, ids, "payload", "found")
    result: list[Found] = []
    for doc_id in ids:
        told = json.loads(opened[doc_id])
        spans = tuple(Span(*row) for row in zip(*told["spans"], strict=True))
        result.append(Found(spans, told["language"], told["served"]))
    return result


def read_names(
    workspace: Workspace, settings: Settings, index: int, doc_ids: Iterable[str]
) -> dict[str, tuple[Named, str]]:
    """(who is named, language) of those of the documents that lie in one part and were not erased."""
    opened = _opened(workspace, settings, index, list(doc_ids), "names", "names")
    return {doc_id: _named_from_json(json.loads(content)) for doc_id, content in opened.items()}


def wanted_by_shard(workspace: Workspace) -> dict[int, list[str]]:
    """The kept documents of each raw part."""
    wanted: dict[int, list[str]] = defaultdict(list)
    catalogue = read_catalogue(workspace)
    for row in catalogue.select(["doc_id", "shard"]).to_pylist():
        wanted[row["shard"]].append(row["doc_id"])
    return wanted


@functools.cache
def detector_digest(detector: str) -> str:
    """Digest of a detector's weights: those that ship, or the files of the user's own folder."""
    folder = WEIGHTS if detector in DETECTORS else Path(detector)
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            digest.update(file.relative_to(folder).as_posix().encode())
            with file.open("rb") as content:
                digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()[:32]


def _opened(
    workspace: Workspace, settings: Settings, index: int, doc_ids: list[str], column: str, purpose: str
) -> dict[str, bytes]:
    keys = key_store(workspace, settings).existing(doc_ids)
    path = tables.part_path(workspace.found, index)
    rows = tables.read_part(path, ["doc_id", column]).to_pylist() if keys else []
    return {
        row["doc_id"]: unseal(keys[row["doc_id"]], row[column], f"{purpose}:{row['doc_id']}")
        for row in rows
        if row["doc_id"] in keys
    }


def _columns(spans: Sequence[Span]) -> list[list[object]]:
    return (
        [list(column) for column in zip(*map(astuple, spans), strict=True)] if spans else [[], [], [], [], []]
    )


def _named_to_json(named: Named, language: str) -> dict[str, object]:
    mentions = sorted({mention for mention, _ in named.mentions})
    place = {mention: number for number, mention in enumerate(mentions)}
    return {
        "language": language,
        "mentions": [astuple(mention) for mention in mentions],
        "roles": sorted([place[mention], role] for mention, role in named.mentions),
        "apart": sorted([place[a], place[b]] for a, b in named.apart),
        "taken": sorted(named.taken),
    }


def _named_from_json(told: dict[str, Any]) -> tuple[Named, str]:
    mentions = [
        Mention(kind, form, tuple(words), generation, gender)
        for kind, form, words, generation, gender in told["mentions"]
    ]
    named = Named(
        frozenset((mentions[place], role) for place, role in told["roles"]),
        frozenset((mentions[a], mentions[b]) for a, b in told["apart"]),
        frozenset((kind, number) for kind, number in told["taken"]),
    )
    return named, told["language"]
