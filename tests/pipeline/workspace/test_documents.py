"""Encrypted documents, and what was not kept, read by the holder of the master key."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pyarrow as pa
import pytest

from lexveil.pipeline.records import Shard
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.stages.ingest import ingest
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.documents import DocumentIds, read_quarantine, read_raw
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.vault import TamperedError, content_id, seal, unseal

TEXTS = ("Rent is due.", "Notice was given.", "租金到期。")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace with one part of three documents, and two items that could not be read."""
    source = tmp_path / "in"
    source.mkdir()
    for number, text in enumerate(TEXTS):
        (source / f"{number}.txt").write_text(text, encoding="utf-8")
    (source / "Doe v Roe.pdf").write_bytes(b"no PDF")
    (source / "x.txt").write_bytes(b"")
    workspace = Workspace.create_or_open(tmp_path / "w", Settings())
    ingest(workspace, [source])
    return workspace


def ids(workspace: Workspace) -> list[str]:
    return tables.to_strings(workspace.catalogue.read(), "doc_id")


def test_texts_come_back_in_the_order_of_the_part(workspace: Workspace) -> None:
    documents = read_raw(workspace, 0, reversed(ids(workspace)))
    assert [document.doc_id for document in documents] == ids(workspace)
    assert [document.text for document in documents] == list(TEXTS)
    assert all(document.owner == document.doc_id for document in documents)  # each its own owner


def test_only_what_was_asked_for(workspace: Workspace) -> None:
    first, second, _ = ids(workspace)
    assert [document.text for document in read_raw(workspace, 0, [second])] == [TEXTS[1]]
    assert read_raw(workspace, 0, [first, "0" * 32])[0].text == TEXTS[0]
    assert read_raw(workspace, 0, []) == []


def test_a_destroyed_key_is_the_end_of_a_document(workspace: Workspace) -> None:
    first, *others = ids(workspace)
    workspace.keys.destroy_keys([first])
    assert [document.doc_id for document in read_raw(workspace, 0, [first, *others])] == others


def test_texts_cannot_be_exchanged(workspace: Workspace) -> None:
    """Each is bound to its document's id."""
    path = tables.part_path(workspace.raw, 0)
    table = tables.read_part(path)
    payloads = table.column("payload").to_pylist()
    index = table.column_names.index("payload")
    turned = table.set_column(
        index, "payload", pa.array([payloads[1], payloads[0], payloads[2]], pa.large_binary())
    )
    tables.write_part(workspace.raw, Shard(0, "key"), turned)
    with pytest.raises(TamperedError):
        read_raw(workspace, 0, ids(workspace))


def test_texts_are_compressed_and_those_of_earlier_versions_are_read_on(tmp_path: Path) -> None:
    text = "The tenant shall pay the rent of the month to the landlord. " * 50
    (tmp_path / "a.txt").write_text(text)
    workspace = Workspace.create_or_open(tmp_path / "w", Settings())
    ingest(workspace, [tmp_path / "a.txt"])
    table, (doc_id,) = tables.read_part(tables.part_path(workspace.raw, 0)), ids(workspace)
    payload = table.column("payload").to_pylist()[0]
    assert payload is not None
    assert len(payload) < len(text) / 10
    key, context = workspace.keys.existing_keys([doc_id])[doc_id], f"raw:{doc_id}"
    former = seal(key, unseal(key, payload, context), context)
    assert len(former) > len(text)
    index = table.column_names.index("payload")
    older = table.set_column(index, "payload", pa.array([former], pa.large_binary()))
    tables.write_part(workspace.raw, Shard(0, "key"), older)
    assert [document.text for document in read_raw(workspace, 0, [doc_id])] == [text]


def test_the_quarantine_names_reasons_and_places(workspace: Workspace, tmp_path: Path) -> None:
    held_back = [{"doc_id": ids(workspace)[0], "reason": "second_pass", "reasons": json.dumps({"PERSON": 1})}]
    tables.write_part(
        workspace.held_back, Shard(0, "key"), pa.Table.from_pylist(held_back, schema=tables.HELD_BACK)
    )
    found = {row.where: row.reason for row in read_quarantine(workspace)}
    folder = (tmp_path / "in").resolve()
    assert found == {
        str(folder / "Doe v Roe.pdf"): "wrong_suffix",
        str(folder / "x.txt"): "empty",
        ids(workspace)[0]: "second_pass",
    }


def test_places_are_sealed(workspace: Workspace) -> None:
    for path in workspace.quarantine.glob("*.parquet"):
        assert b"Doe" not in path.read_bytes()
    assert read_quarantine(Workspace.create_or_open(workspace.root.parent / "other")) == []


def test_a_long_text_has_the_id_of_its_words(workspace: Workspace) -> None:
    """It is folded in pieces; earlier versions folded it as a whole."""
    keys = workspace.keys
    rng = random.Random(7)
    marks = ["word", " ", "\n\t", "\u00a0", "\x1c", "\u2028", "é", "\u3000x"]
    for size in (0, 10, 400_000):
        text = "".join(rng.choices(marks, k=size)) + "x" * size
        whole = " ".join(text.split()).encode()
        assert DocumentIds(keys).content(text) == content_id(keys.purpose_key("doc-id"), whole)
