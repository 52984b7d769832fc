"""Mask: personal information goes, law stays, and the key holder gets back every character."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest

from nlp.text import ENTITY_TYPES
from pipeline import tables
from pipeline.errors import KeyProblem, WorkspaceError
from pipeline.settings import MaskSettings, Settings
from pipeline.stages.ingest import read_catalogue, read_raw
from pipeline.stages.mask import mask, mask_texts, restore_document, spans_to_mask
from pipeline.workspace import Workspace

# A little below what was measured on this corpus; the benchmarks follow the figures themselves.
RECALL = {"EMAIL": 0.95, "PHONE": 0.9, "PERSON": 0.93}


@pytest.fixture(scope="module")
def masked_texts(finished_once: Any) -> dict[str, str]:
    """Masked text by original, both without white space."""
    place, settings = finished_once.workspace, finished_once.settings
    rows = [row for path in sorted(place.masked.glob("part-*")) for row in tables.read_part(path).to_pylist()]
    return {squeezed(restore_document(place, settings, row["doc_id"])): squeezed(row["text"]) for row in rows}


def squeezed(text: str) -> str:
    return "".join(text.split())


def test_every_document_is_restored_character_by_character(finished_once: Any) -> None:
    place, settings = finished_once.workspace, finished_once.settings
    for shard in sorted({row["shard"] for row in read_catalogue(place).to_pylist()}):
        ids = [row["doc_id"] for row in read_catalogue(place).to_pylist() if row["shard"] == shard]
        for document in read_raw(place, settings, shard, ids):
            assert restore_document(place, settings, document.doc_id) == document.text


def test_every_document_is_masked(finished_once: Any, masked_texts: dict[str, str]) -> None:
    assert sorted(masked_texts) == sorted(finished_once.gold)
    assert all(masked != original for original, masked in masked_texts.items())


@pytest.mark.parametrize("family", sorted(RECALL))
def test_most_names_and_contacts_are_gone(
    finished_once: Any, masked_texts: dict[str, str], family: str
) -> None:
    hidden = [
        squeezed(span["text"]) not in masked_texts[text]
        for text, row in finished_once.gold.items()
        for span in row["spans"]
        if span["type"] == family
    ]
    assert len(hidden) > 15
    assert sum(hidden) / len(hidden) >= RECALL[family]


def test_citations_stay(finished_once: Any, masked_texts: dict[str, str]) -> None:
    kept = [
        squeezed(entry["text"]) in masked_texts[text]
        for text, row in finished_once.gold.items()
        for entry in row["keep"]
    ]
    assert len(kept) > 30
    assert sum(kept) / len(kept) >= 0.95


def test_counts_are_those_of_the_tokens(finished_once: Any) -> None:
    place = finished_once.workspace
    spans = sum(sum(table.column("n_spans").to_pylist()) for table in parts(place))
    by_type = finished_once.first["spans_by_type"]
    assert sum(by_type.values()) == spans
    assert set(by_type) <= set(ENTITY_TYPES)
    assert finished_once.first["masked"] == sum(table.num_rows for table in parts(place))


def parts(place: Workspace) -> list[Any]:
    return [tables.read_part(path) for path in sorted(place.masked.glob("part-*"))]


def test_the_same_again_does_nothing(finished_once: Any) -> None:
    manifest = mask(finished_once.workspace, finished_once.settings)
    assert (manifest.done_now, manifest.rows) == (0, finished_once.first["masked"])


def test_other_types_are_masked_anew(masked: Workspace) -> None:
    only = {"direct": "keep", "quasi": "keep", "types": {"EMAIL": "token", "PHONE": "token"}}
    manifest = mask(masked, Settings.model_validate({"mask": only}))
    assert manifest.done_now == len(manifest.shards)
    named = {name for name in manifest.counts() if name.startswith("span:")}
    assert named <= {"span:EMAIL", "span:PHONE"}
    assert "[PERSON_1]" not in "".join(
        text for table in parts(masked) for text in tables.strings(table, "text")
    )


def test_only_the_key_holder_restores(finished: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    doc_id = tables.strings(parts(finished.workspace)[0], "doc_id")[0]
    with pytest.raises(WorkspaceError):
        restore_document(finished.workspace, finished.settings, "unknown")
    monkeypatch.setenv("LEXVEIL_MASTER_KEY", "ab" * 32)
    with pytest.raises(KeyProblem):
        restore_document(finished.workspace, finished.settings, doc_id)


def test_nothing_to_mask(tmp_path: Any) -> None:
    with pytest.raises(WorkspaceError, match="lexveil ingest"):
        mask(Workspace.create_or_open(tmp_path), Settings())


def test_one_person_is_one_token_in_a_document_and_texts_keep_apart() -> None:
    text = (
        "1. The applicant, Mr John Wharfinger, was born in 1960. The next day Mr Wharfinger was arrested.\n"
        "2. Mr Wharfinger wrote to john.w@example.com."
    )
    first, second, empty = mask_texts([text, text, ""], MaskSettings())
    assert first.text == second.text
    assert empty.text == ""
    assert "Wharfinger" not in first.text
    tokens: dict[str, set[str]] = defaultdict(set)
    for replacement in first.masked.replacements:
        tokens[replacement.text].add(replacement.original)
    assert any(len(originals) > 1 for originals in tokens.values())


def test_spans_are_offsets_of_the_text_as_given() -> None:
    text = "\ufeff\U0001f600 De\u0301ar\u00a0Mr\u200b John Wharfinger,\r\nwrite to john@example.com!"
    (spans,) = spans_to_mask([text], MaskSettings())
    assert "john@example.com" in {text[span.start : span.end] for span in spans}
    assert any("Wharfinger" in text[span.start : span.end] for span in spans if span.type == "PERSON")
    assert spans == sorted(spans)
