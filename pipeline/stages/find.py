"""Find: encrypted documents -> their spans of personal information, sealed with each document's own key.

Finding is the dear part of masking and depends on the detector and the text alone: another policy, or what a
reviewer decided, masks anew from what lies here.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from nlp.anonymise import PIECE, Piece, pieces_of
from nlp.detect import Detection, Detector
from nlp.identity import Mention
from nlp.learnt import WEIGHTS
from nlp.scope import Named
from nlp.text import Span
from pipeline import tables
from pipeline.code import code_digest
from pipeline.errors import SettingsError, WorkspaceError
from pipeline.keys import key_store
from pipeline.records import Document, ForEach, Manifest, Shard, ShardResult, one_by_one
from pipeline.settings import DETECTORS, MaskSettings, Settings
from pipeline.stages.ingest import has_catalogue, read_catalogue, read_raw
from pipeline.tables import digest_of
from pipeline.workspace import Workspace, read_manifest, run_stage
from privacy.vault import seal, unseal

T = TypeVar("T")


def find(workspace: Workspace, settings: Settings, each: ForEach = one_by_one) -> Manifest:
    """Detect in every kept document. The manifest's counts: documents, found.

    Raises:
        WorkspaceError: nothing has been ingested.
    """
    if not has_catalogue(workspace, settings):
        raise WorkspaceError("nothing has been ingested into this workspace; run `lexveil ingest` first")
    wanted = wanted_by_shard(workspace, settings)
    facts = finding_facts(settings.mask)
    shards = [
        Shard(entry.index, digest_of([entry.digest, wanted[entry.index], *facts.values()]))
        for entry in read_manifest(workspace.raw, "ingest").shards
    ]
    work = functools.partial(find_shard, workspace, settings)
    return run_stage(workspace.found, "find", shards, work, each, facts)


def finding_facts(mask: MaskSettings) -> dict[str, Any]:
    """What is found in a document depends on, beside its text."""
    return {
        "settings": [mask.detector, mask.sensitivity],
        "detector": detector_digest(mask.detector),
        "code": code_digest(__name__),
    }


def find_shard(workspace: Workspace, settings: Settings, shard: Shard) -> ShardResult:
    """Detect in one shard's documents; in a large one, piece by piece."""
    documents = read_raw(workspace, settings, shard.index, wanted_in(workspace, settings, shard.index))
    pa.default_memory_pool().release_unused()  # a large document's ciphertext would stay beside its text
    keys = key_store(workspace, settings).existing([document.doc_id for document in documents])
    owners: list[Document] = []
    columns: dict[str, list[Any]] = {
        name: [] for name in ("start", "end", "language", "served", "spans", "names")
    }
    counts = {"documents": len(documents), "found": 0}
    pieces = ((document, piece) for document in documents for piece in pieces_of(document.text, ()))
    for batch in _batches(pieces):
        for (document, piece), found in zip(
            batch, detect(settings.mask, [piece.text for _, piece in batch]), strict=True
        ):
            key, place = keys[document.doc_id], f"{document.doc_id}:{piece.start}"
            told = {
                "start": piece.start,
                "end": piece.start + len(piece.text),
                "language": found.language,
                "served": found.served,
                "spans": _sealed(key, _columns(found.spans), f"spans:{place}"),
                "names": _sealed(key, _named_to_json(Named.of(piece.text, found.spans)), f"names:{place}"),
            }
            owners.append(document)
            for name, value in told.items():
                columns[name].append(value)
            counts["found"] += len(found.spans)
    table = pa.table({**tables.document_columns(owners), **columns}, schema=tables.FOUND)
    return tables.write_part(workspace.found, shard, table, counts)


def detect(settings: MaskSettings, texts: Sequence[str]) -> list[Detection]:
    """What the configured detector finds in each text.

    Raises:
        SettingsError: the detector can't be used; the code of `nlp.learnt.quantised.TaggerRefused` says why.
    """
    from nlp.learnt.quantised import TaggerRefused

    try:
        detector = Detector.load(settings.detector, settings.sensitivity)
    except TaggerRefused as refused:
        raise SettingsError(f"setting mask.detector: it can't be used ({refused.code})") from None
    return detector.detect_many(texts)


def detect_whole(settings: MaskSettings, texts: Sequence[str]) -> list[Detection]:
    """The same for texts of any length, whose pieces are read one after the other."""
    cut = [(number, piece) for number, text in enumerate(texts) for piece in pieces_of(text, ())]
    parts: list[list[tuple[Piece, Detection]]] = [[] for _ in texts]
    for batch in _batches(cut):
        found = detect(settings, [piece.text for _, piece in batch])
        for (number, piece), detection in zip(batch, found, strict=True):
            parts[number].append((piece, detection))
    return [
        Detection(
            tuple(_moved(span, piece.start) for piece, detection in part for span in detection.spans),
            part[0][1].language,
            all(detection.served for _, detection in part),
        )
        for part in parts
    ]


class FoundPart:
    """What was found in documents of one part; opened document by document, piece by piece."""

    def __init__(
        self, workspace: Workspace, settings: Settings, index: int, doc_ids: Iterable[str], what: str
    ) -> None:
        self._keys = key_store(workspace, settings).existing(list(doc_ids))
        self._what = what
        names = ["doc_id", "start", "end", "language", "served", what]
        path = tables.part_path(workspace.found, index)
        self._rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for row in tables.read_part(path, names).to_pylist() if self._keys else []:
            if row["doc_id"] in self._keys:
                self._rows[row["doc_id"]].append(row)

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def language(self, doc_id: str) -> str:
        return self._rows[doc_id][0]["language"]

    def served(self, doc_id: str) -> bool:
        return all(row["served"] for row in self._rows[doc_id])

    def pieces(self, document: Document) -> Iterator[Piece]:
        """The pieces of a document with their spans. Needs "spans"."""
        for row in self._rows[document.doc_id]:
            spans = tuple(Span(*span) for span in zip(*self._opened(row), strict=True))
            yield Piece(row["start"], document.text[row["start"] : row["end"]], spans)

    def spans(self, document: Document) -> list[Span]:
        """All spans of a document, in its characters."""
        return [_moved(span, piece.start) for piece in self.pieces(document) for span in piece.spans]

    def named(self, doc_id: str) -> Iterator[Named]:
        """Who is named in each piece of a document. Needs "names"."""
        return (_named_from_json(self._opened(row)) for row in self._rows[doc_id])

    def _opened(self, row: dict[str, Any]) -> Any:
        place = f"{self._what}:{row['doc_id']}:{row['start']}"
        return json.loads(unseal(self._keys[row["doc_id"]], row[self._what], place))


def wanted_by_shard(workspace: Workspace, settings: Settings) -> dict[int, list[str]]:
    """The kept documents of each raw part."""
    wanted: dict[int, list[str]] = defaultdict(list)
    catalogue = read_catalogue(workspace, settings)
    for row in catalogue.select(["doc_id", "shard"]).to_pylist():
        wanted[row["shard"]].append(row["doc_id"])
    return wanted


def wanted_in(workspace: Workspace, settings: Settings, index: int) -> list[str]:
    """The kept documents of one raw part. Every shard asks, so no more than its own rows become objects."""
    return tables.strings(read_catalogue(workspace, settings, index), "doc_id")


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


def _batches(pieces: Iterable[tuple[T, Piece]]) -> Iterator[list[tuple[T, Piece]]]:
    """Pieces that are detected in at once: many short ones, or a long one alone."""
    batch: list[tuple[T, Piece]] = []
    length = 0
    for entry in pieces:
        if batch and length + len(entry[1].text) > PIECE:
            yield batch
            batch, length = [], 0
        batch.append(entry)
        length += len(entry[1].text)
    if batch:
        yield batch


def _moved(span: Span, by: int) -> Span:
    return replace(span, start=span.start + by, end=span.end + by) if by else span


def _sealed(key: bytes, value: object, context: str) -> bytes:
    return seal(key, json.dumps(value).encode(), context)


def _columns(spans: Sequence[Span]) -> list[list[object]]:
    return (
        [list(column) for column in zip(*map(astuple, spans), strict=True)] if spans else [[], [], [], [], []]
    )


def _named_to_json(named: Named) -> dict[str, object]:
    mentions = sorted({mention for mention, _ in named.mentions})
    place = {mention: number for number, mention in enumerate(mentions)}
    return {
        "mentions": [astuple(mention) for mention in mentions],
        "roles": sorted([place[mention], role] for mention, role in named.mentions),
        "apart": sorted([place[a], place[b]] for a, b in named.apart),
        "taken": sorted(named.taken),
    }


def _named_from_json(told: dict[str, Any]) -> Named:
    mentions = [
        Mention(kind, form, tuple(words), generation, gender)
        for kind, form, words, generation, gender in told["mentions"]
    ]
    return Named(
        frozenset((mentions[place], role) for place, role in told["roles"]),
        frozenset((mentions[a], mentions[b]) for a, b in told["apart"]),
        frozenset((kind, number) for kind, number in told["taken"]),
    )
