"""The vault: it restores every character, and holds why a document was masked as it was."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lexveil.pipeline.errors import WorkspaceError
from lexveil.pipeline.maintenance.erasure import erase
from lexveil.pipeline.masking.vault import read_vault, restore_document
from lexveil.pipeline.records import Document
from lexveil.pipeline.stages.mask import mask
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.workspace import Workspace

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


def test_an_entry_says_what_was_replaced_and_by_whom_it_is_meant(
    masked: Workspace, documents_of: DocumentsOf
) -> None:
    first, second, third = documents_of(masked)
    entries = {
        **read_vault(masked, 0, [first.doc_id, second.doc_id]),
        **read_vault(masked, 1, [third.doc_id]),
    }
    ids = [entries[document.doc_id].entity_ids for document in (first, second, third)]
    assert [len(of_document) for of_document in ids] == [3, 1, 1]
    assert ids[0][0] == ids[0][2] == ids[1][0]  # the same person, in all documents of the owner
    assert ids[0][0] != ids[0][1]
    assert ids[2][0] != ids[0][0]  # another owner's documents cannot be linked
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
