"""The vault: it restores every character, and holds why a document was masked as it was."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import astuple

import pyarrow as pa
import pytest

from lexveil.nlp.masking.anonymize import CheckedText
from lexveil.nlp.masking.mask import KeptSpan, MaskedText, Replacement
from lexveil.nlp.text import Span
from lexveil.pipeline.errors import WorkspaceError
from lexveil.pipeline.maintenance.erasure import erase
from lexveil.pipeline.masking.vault import pack_entry, read_vault, restore_document, unpack_entry
from lexveil.pipeline.records import Document, Shard
from lexveil.pipeline.stages.mask import mask
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.vault import seal

Ingested = Callable[..., Workspace]
DocumentsOf = Callable[[Workspace], list[Document]]
ADA, BEN = "ada.quill@example.org", "ben.roe@example.org"
RECORDS = [
    {"id": 1, "owner": "m1", "text": f"\u3000Write to {ADA}\u00a0or {BEN}; {ADA} answers.\r\n"},
    {"id": 2, "owner": "m1", "text": f"{ADA} keeps the \U0001f512 file."},
    {"id": 3, "owner": "m2", "text": f"{ADA} is known elsewhere too."},
]


@pytest.fixture
def masked(ingested: Ingested) -> Workspace:
    workspace = ingested(RECORDS)
    mask(workspace)
    return workspace


def test_every_character_comes_back(masked: Workspace, documents_of: DocumentsOf) -> None:
    documents = documents_of(masked)
    assert len(documents) == 3
    for document in documents:
        assert restore_document(masked, document.doc_id) == document.text


def test_an_entry_says_what_was_replaced(masked: Workspace, documents_of: DocumentsOf) -> None:
    first, second, third = documents_of(masked)
    entries = {
        **read_vault(masked, 0, [first.doc_id, second.doc_id]),
        **read_vault(masked, 1, [third.doc_id]),
    }
    counts = [len(entries[document.doc_id].replacements) for document in (first, second, third)]
    assert counts == [3, 1, 1]
    replacements = entries[first.doc_id].replacements
    assert [replacement.type for replacement in replacements] == ["EMAIL"] * 3
    assert [replacement.original for replacement in replacements] == [ADA, BEN, ADA]
    assert entries[first.doc_id].verdict == "PASS"


def test_no_repr_and_no_file_shows_what_was_replaced(masked: Workspace, documents_of: DocumentsOf) -> None:
    first = documents_of(masked)[0]
    (entry,) = read_vault(masked, 0, [first.doc_id]).values()
    assert "quill" not in repr(entry)
    for path in masked.vault.iterdir():
        assert b"quill" not in path.read_bytes()


def test_an_entry_of_an_earlier_version_is_read(masked: Workspace, documents_of: DocumentsOf) -> None:
    """It had a row for each replacement, with the keyed id of its entity."""
    first = documents_of(masked)[0]
    before, path = read_vault(masked, 0, [first.doc_id]), tables.part_path(masked.vault, 0)
    (entry,) = before.values()
    old = {
        "length": len(first.text) + sum(len(r.text) - len(r.original) for r in entry.replacements),
        "replacements": [[*astuple(replacement)] for replacement in entry.replacements],
        "entity_ids": ["0" * 32] * len(entry.replacements),
        "kept": [[*astuple(kept.span), kept.role] for kept in entry.kept],
        "reasons": dict(entry.reasons),
    }
    key = masked.keys.existing_keys([first.doc_id])[first.doc_id]
    sealed = seal(key, json.dumps(old).encode(), f"vault:{first.doc_id}:0")
    result = tables.read_result(path)
    assert result is not None
    rows = [
        {**row, "payload": sealed if row["doc_id"] == first.doc_id else row["payload"]}
        for row in tables.read_part(path).to_pylist()
    ]
    table = pa.Table.from_pylist(rows, schema=tables.VAULT)
    tables.write_part(masked.vault, Shard(0, result.key), table)
    assert read_vault(masked, 0, [first.doc_id]) == before
    assert restore_document(masked, first.doc_id) == first.text


def test_places_come_back_whatever_stands_between_them() -> None:
    """Replacements that touch, that follow each other in no order, and a span without a character."""
    replacements = (
        Replacement(0, 3, "Ann", "[P]", "PERSON", 0, "token", "party", 0, 3, 0.5, "A"),
        Replacement(3, 6, "\U0001f512", "[Q]", "EMAIL", 1, "token", "", 3, 4, 1.0, "B"),
        Replacement(90, 91, "x", "yy", "EMAIL", 2, "token", "", 40, 44, 1.0, "B"),
        Replacement(50, 50, "", "", "EMAIL", 2, "token", "", 12, 12, 1.0, "B"),
    )
    kept = (KeptSpan(Span(7, 9, "DATE", 0.25, "C"), "judge"), KeptSpan(Span(2, 2, "AGE", 1.0, "D"), ""))
    for masked in (MaskedText("text", replacements, kept), MaskedText("", (), ())):
        entry = json.loads(json.dumps(pack_entry(CheckedText(masked, {"reason": 2}, ()))))
        read = unpack_entry(entry)
        assert tuple(Replacement(*row) for row in read["replacements"]) == masked.replacements
        assert tuple(KeptSpan(Span(*row[:-1]), row[-1]) for row in read["kept"]) == masked.kept
        assert (read["length"], read["reasons"]) == (len(masked.text), {"reason": 2})


@pytest.mark.parametrize("name", ["0" * 32, ""])
def test_there_is_no_such_document(masked: Workspace, name: str) -> None:
    with pytest.raises(WorkspaceError, match="no such document in this workspace, or it was erased"):
        restore_document(masked, name)


def test_an_erased_document_has_no_entry(masked: Workspace, documents_of: DocumentsOf) -> None:
    first, second, _ = documents_of(masked)
    erase(masked, first.doc_id)
    assert list(read_vault(masked, 0, [first.doc_id, second.doc_id])) == [second.doc_id]
    with pytest.raises(WorkspaceError, match="it was erased"):
        restore_document(masked, first.doc_id)
    assert restore_document(masked, second.doc_id) == second.text


def test_a_document_that_was_held_back_has_an_entry_but_no_masked_text(
    ingested: Ingested, documents_of: DocumentsOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lexveil.pipeline.stages.mask.derive_verdict", lambda reasons: "FAIL")
    workspace = ingested(RECORDS)
    assert mask(workspace).rows == 0
    first = documents_of(workspace)[0]
    assert len(read_vault(workspace, 0, [first.doc_id])[first.doc_id].replacements) == 3
    with pytest.raises(WorkspaceError, match="the second pass held this document back"):
        restore_document(workspace, first.doc_id)


def test_a_part_that_does_not_exist_is_empty(masked: Workspace, documents_of: DocumentsOf) -> None:
    first = documents_of(masked)[0]
    assert read_vault(masked, 99, [first.doc_id]) == {}
    assert read_vault(masked, 0, []) == {}
    assert "doc_id" in tables.read_column_names(tables.part_path(masked.vault, 0))
