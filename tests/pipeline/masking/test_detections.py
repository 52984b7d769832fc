"""What was found comes back as it was, for key holders only, and not in another place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lexveil.nlp.masking.anonymize import split_pieces
from lexveil.nlp.masking.scope import DocumentNames
from lexveil.nlp.text import Span
from lexveil.pipeline.maintenance.erasure import erase
from lexveil.pipeline.masking.detections import (
    DetectionPart,
    digest_kept_documents,
    list_kept_documents,
    seal_names,
    seal_spans,
)
from lexveil.pipeline.masking.detector import detect
from lexveil.pipeline.records import Document
from lexveil.pipeline.stages.find import find
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.vault import TamperedError, unseal

Ingested = Callable[..., Workspace]
DocumentsOf = Callable[[Workspace], list[Document]]

KEY = bytes(32)
RECORDS = [
    {"id": 1, "owner": "m1", "text": "Mr Osgood Pell wrote to ada.quill@example.org on 3 May 2021."},
    {"id": 2, "owner": "m1", "text": "Nothing is named here."},
    {
        "id": 3,
        "owner": "m2",
        "text": "Call +49 30 901820 or write to ben.roe@example.org. [PERSON_7] is a token.",
    },
]


@pytest.fixture
def found(ingested: Ingested) -> Workspace:
    workspace = ingested(RECORDS)
    find(workspace)
    return workspace


def group_documents(workspace: Workspace) -> dict[int, list[str]]:
    """Return the kept documents of every part."""
    shards: list[Any] = workspace.catalogue.read().column("shard").to_pylist()
    indexes = sorted(set(shards))
    return {index: list_kept_documents(workspace, index) for index in indexes}


def test_spans_and_names_come_back_as_the_detector_gave_them(
    found: Workspace, documents_of: DocumentsOf
) -> None:
    documents = documents_of(found)
    detections = detect(found.settings.mask, [document.text for document in documents])
    assert sum(len(detection.spans) for detection in detections) >= 3
    for index, doc_ids in group_documents(found).items():
        spans = DetectionPart(found, index, doc_ids, "spans")
        names = DetectionPart(found, index, doc_ids, "names")
        assert list(spans) == list(names) == doc_ids
        for document, detection in zip(documents, detections, strict=True):
            if document.doc_id not in doc_ids:
                continue
            assert spans.spans(document) == list(detection.spans)
            assert spans.language(document.doc_id) == detection.language
            assert spans.served(document.doc_id) == detection.served
            assert list(names.names(document.doc_id)) == [DocumentNames.read(document.text, detection.spans)]
            (piece,) = spans.pieces(document)
            assert (piece.start, piece.text) == (0, document.text)


def test_names_are_sealed_and_tokens_of_the_text_are_taken() -> None:
    text = "The judge Ada Roe and the clerk Eve Roe met [PERSON_7]. Dr Ada Roe signed."
    spans = [
        Span(at, at + 7, "PERSON", 0.9, "X")
        for at in (text.index("Ada"), text.index("Eve"), text.rindex("Ada"))
    ]
    names = DocumentNames.read(text, spans)
    assert names.taken == {("PERSON", 7)}
    sealed = seal_names(KEY, "d", 0, names)
    assert b"Roe" not in sealed
    assert sealed != seal_names(KEY, "d", 0, names)  # a fresh nonce


@pytest.mark.parametrize("context", ["spans:other:7", "spans:d:8", "names:d:7"])
def test_what_is_moved_elsewhere_does_not_open(context: str) -> None:
    sealed = seal_spans(KEY, "d", 7, [Span(0, 3, "EMAIL", 1.0, "X")])
    assert unseal(KEY, sealed, "spans:d:7") == b'[[0], [3], ["EMAIL"], [1.0], ["X"]]'
    with pytest.raises(TamperedError):
        unseal(KEY, sealed, context)


def test_a_document_without_spans_is_no_document_without_a_row(
    found: Workspace, documents_of: DocumentsOf
) -> None:
    assert unseal(KEY, seal_spans(KEY, "d", 0, []), "spans:d:0") == b"[[], [], [], [], []]"
    (quiet,) = [document for document in documents_of(found) if "Nothing" in document.text]
    index = next(index for index, ids in group_documents(found).items() if quiet.doc_id in ids)
    part = DetectionPart(found, index, [quiet.doc_id], "spans")
    assert list(part) == [quiet.doc_id]
    assert part.spans(quiet) == []


def test_only_documents_that_were_asked_for_and_have_a_key_are_read(
    found: Workspace, documents_of: DocumentsOf
) -> None:
    first, second = group_documents(found)[0]
    assert list(DetectionPart(found, 0, [second], "spans")) == [second]
    assert list(DetectionPart(found, 0, [], "spans")) == []
    assert list(DetectionPart(found, 0, ["0" * 32], "spans")) == []
    erase(found, first)
    assert list(DetectionPart(found, 0, [first, second], "spans")) == [second]


def test_the_kept_documents_of_a_part_are_those_of_the_catalogue(found: Workspace) -> None:
    grouped = group_documents(found)
    catalogue = tables.to_strings(found.catalogue.read(), "doc_id")
    assert [doc_id for index in sorted(grouped) for doc_id in grouped[index]] == catalogue
    assert list_kept_documents(found, 99) == []


def test_a_document_changes_the_digest_of_its_own_part_alone(found: Workspace) -> None:
    before = digest_kept_documents(found)
    assert before.keys() == group_documents(found).keys()
    first, *_ = group_documents(found)[0]
    erase(found, first)
    after = digest_kept_documents(found)
    assert [index for index in before if after.get(index) != before[index]] == [0]


def test_no_column_of_the_part_shows_what_was_found(found: Workspace) -> None:
    for path in found.found.glob("part-*"):
        content = path.read_bytes()
        for secret in (b"Pell", b"example.org", b"PERSON", b"EMAIL", b"901820"):
            assert secret not in content


@pytest.mark.slow
def test_pieces_of_a_large_document_keep_their_places(
    ingested: Ingested, documents_of: DocumentsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "\n".join(f"Letter {n} 信 went to person{n}@example.org." for n in range(50))
    workspace = ingested([{"id": 1, "owner": "m", "text": text}])
    monkeypatch.setattr(
        "lexveil.pipeline.stages.find.split_pieces", lambda text, spans: split_pieces(text, spans, size=200)
    )
    find(workspace)
    (document,) = documents_of(workspace)
    part = DetectionPart(workspace, 0, [document.doc_id], "spans")
    pieces = list(part.pieces(document))
    assert len(pieces) > 5
    assert "".join(piece.text for piece in pieces) == text
    packed = part.pack(document)
    assert list(packed()) == list(packed()) == pieces
    assert [text[span.start : span.end] for span in part.spans(document)] == [
        f"person{n}@example.org" for n in range(50)
    ]
