"""Documents inside of documents: taken in as documents of their own, with the owner of what contains them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from lexveil.nlp.readers import Reading, isolation
from lexveil.pipeline.maintenance.erasure import erase
from lexveil.pipeline.records import CountKind
from lexveil.pipeline.reports.review_page import write_reviews
from lexveil.pipeline.settings import IngestSettings, Settings
from lexveil.pipeline.stages.ingest import ingest
from lexveil.pipeline.stages.mask import mask
from lexveil.pipeline.workspace.documents import read_origins, read_quarantine, read_raw
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.vault import content_id


def mail(body: str, **attached: bytes | EmailMessage) -> EmailMessage:
    made = EmailMessage()
    made["From"], made["Subject"] = "Ann Other <ann@example.org>", "The lease"
    made.set_content(body)
    for name, data in attached.items():
        if isinstance(data, EmailMessage):
            made.add_attachment(data)
        else:
            made.add_attachment(
                data, maintype="application", subtype="octet-stream", filename=name.replace("_", ".")
            )
    return made


def rows(workspace: Workspace) -> dict[str, dict[str, Any]]:
    """The documents by the first line of their bodies."""
    catalogue = workspace.catalogue.read().to_pylist()
    found: dict[str, dict[str, Any]] = {}
    for index in {row["shard"] for row in catalogue}:
        for document in read_raw(workspace, index, [row["doc_id"] for row in catalogue]):
            (row,) = (row for row in catalogue if row["doc_id"] == document.doc_id)
            body = document.text.partition("\n\n")[2] or document.text
            found[body.partition("\n")[0]] = {**row, "text": document.text}
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    inner = mail("The inner message.", note_txt=b"An inner note.")
    outer = mail("See what is attached.", a_txt=b"A first text.", b_xyz=b"?", inner=inner)
    (tmp_path / "in" / "letter.eml").write_bytes(bytes(outer))
    (tmp_path / "in" / "other.txt").write_text("Another document.")
    return tmp_path / "in"


def open_workspace(folder: Path, **fields: Any) -> Workspace:
    workspace = Workspace.create_or_open(folder.parent / "workspace")
    return workspace.with_settings(Settings.model_validate({"ingest": fields}))


def test_each_part_is_a_document_of_its_parent(folder: Path) -> None:
    workspace = open_workspace(folder)
    counts = ingest(workspace, [folder]).counts()
    assert (counts["documents"], counts["quarantine:unsupported"]) == (5, 1)
    assert CountKind.NOTE.select(counts) == {"unread_attachment": 1}
    found = rows(workspace)
    parent = found["See what is attached."]
    assert parent["text"].endswith("[attachment]\n\n[attachment not read: unsupported]\n\n[attachment]")
    assert "first text" not in parent["text"]
    of_it = ["A first text.", "The inner message.", "An inner note."]
    # Without an owner field, a message with its attachments is one unit.
    assert {found[text]["owner"] for text in of_it} == {parent["owner"]} == {parent["doc_id"]}
    assert len({found[text]["doc_id"] for text in of_it} | {parent["doc_id"]}) == 4
    key = workspace.keys.purpose_key("source-id")
    names = {"An inner note.": "letter.eml/message.eml/note.txt", "A first text.": "letter.eml/a.txt"}
    for text, name in names.items():
        assert found[text]["source_key"] == content_id(key, name.encode())
    (left,) = read_quarantine(workspace)
    assert left.where == f"{folder.resolve()}/letter.eml/b.xyz"


def test_parts_have_the_row_of_their_file(folder: Path) -> None:
    row = {"file_name": "letter.eml", "id": "17", "label": "tenancy", "owner": "c-4", "split": "test"}
    others = {"file_name": "other.txt", "owner": "c-5"}
    (folder / "metadata.jsonl").write_text(f"{json.dumps(row)}\n{json.dumps(others)}\n")
    workspace = open_workspace(folder, owner_field="owner", split_field="split")
    ingest(workspace, [folder])
    found = rows(workspace)
    parent = found["See what is attached."]
    assert parent["owner"] != parent["doc_id"]
    for text in ("A first text.", "The inner message.", "An inner note."):
        row = found[text]
        assert (row["owner"], row["label"], row["split"]) == (parent["owner"], "tenancy", "test")
    key = workspace.keys.purpose_key("source-id")
    assert found["A first text."]["source_key"] == content_id(key, b"17/a.txt")
    assert len(erase(workspace, owner="c-4").doc_ids) == 4
    assert list(rows(workspace)) == ["Another document."]


def test_the_same_again_does_nothing_and_a_changed_file_replaces_its_parts(folder: Path) -> None:
    workspace = open_workspace(folder)
    ingest(workspace, [folder])
    assert ingest(workspace, [folder]).done_now == 0
    changed = mail("See what is attached.", a_txt=b"A second text.")
    (folder / "letter.eml").write_bytes(bytes(changed))
    counts = ingest(workspace, [folder]).counts()
    assert (counts["documents"], counts["quarantined"]) == (3, 0)
    assert sorted(rows(workspace)) == ["A second text.", "Another document.", "See what is attached."]


@pytest.mark.parametrize("named", ["letter.eml", "{folder}/letter.eml", "{owner}"])
def test_erasing_a_file_erases_what_is_inside(folder: Path, named: str) -> None:
    workspace = open_workspace(folder)
    ingest(workspace, [folder])
    owner = rows(workspace)["See what is attached."]["owner"]
    if named == "{owner}":
        erased = erase(workspace, owner=owner)
    else:
        erased = erase(workspace, named.format(folder=folder.resolve()))
        assert (len(erased.quarantined), erased.sources) == (1, 1)
    assert (len(erased.doc_ids), erased.scan.left) == (4, 0)
    assert list(rows(workspace)) == ["Another document."]
    assert ingest(workspace, [folder]).counts().get("documents") == 1
    (folder / "letter.eml").touch()
    assert ingest(workspace, [folder]).counts()["documents"] == 1


@pytest.mark.parametrize("named", ["letter.eml/a.txt", "{folder}/letter.eml/a.txt"])
def test_one_attachment_is_erased_alone(folder: Path, named: str) -> None:
    workspace = open_workspace(folder)
    ingest(workspace, [folder])
    assert len(erase(workspace, named.format(folder=folder.resolve())).doc_ids) == 1
    assert len(rows(workspace)) == 4


def test_an_erased_attachment_stays_out_when_its_message_is_read_otherwise(folder: Path) -> None:
    """As by a later version, which reads an attachment that this one does not: the message's text changes."""
    workspace = open_workspace(folder)
    ingest(workspace, [folder])
    assert len(erase(workspace, "letter.eml/a.txt").doc_ids) == 1
    letter = (folder / "letter.eml").read_bytes()
    (folder / "letter.eml").write_bytes(letter.replace(b"b.xyz", b"b.txt"))
    ingest(workspace, [folder])
    found = rows(workspace)
    assert "not read" not in found["See what is attached."]["text"]
    assert "A first text." not in found


def test_an_erased_attachment_stays_out_when_it_is_read_otherwise(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = open_workspace(folder)
    ingest(workspace, [folder])
    assert len(erase(workspace, "letter.eml/a.txt").doc_ids) == 1
    read = isolation.read_documents

    def read_better(*arguments: Any) -> Iterator[Reading]:
        for reading in read(*arguments):
            yield replace(reading, text=reading.text and f"{reading.text} More of it.")

    monkeypatch.setattr(isolation, "read_documents", read_better)
    later = workspace.settings.model_copy(update={"ingest": IngestSettings(max_file_bytes=1 << 25)})
    ingest(workspace.with_settings(later), [folder])
    assert "See what is attached." in rows(workspace)
    assert not [text for text in rows(workspace) if text.startswith("A first text.")]


def test_the_same_attachment_of_another_message_is_not_erased_with_it(folder: Path) -> None:
    (folder / "copy.eml").write_bytes(bytes(mail("Another letter.", a_txt=b"A first text.")))
    workspace = open_workspace(folder)
    ingest(workspace, [folder])
    assert len(erase(workspace, "letter.eml/a.txt").doc_ids) == 1
    later = workspace.settings.model_copy(update={"ingest": IngestSettings(max_file_bytes=1 << 25)})
    ingest(workspace.with_settings(later), [folder])
    found = rows(workspace)
    assert found["A first text."]["owner"] == found["Another letter."]["doc_id"]


def test_facts_that_a_format_states_are_sealed_with_the_document(folder: Path) -> None:
    (folder / "case.jsonl").write_text(
        '{"text": "An order.", "court": "Court of Roe", "date_filed": "1920-05-03"}\n'
    )
    workspace = open_workspace(folder)
    ingest(workspace, [folder])
    ids = workspace.catalogue.read().to_pylist()
    origins = [
        origin
        for index in {row["shard"] for row in ids}
        for origin in read_origins(workspace, index, [row["doc_id"] for row in ids]).values()
    ]
    facts = {origin.source_id: origin.fields for origin in origins}
    assert facts["case.jsonl#0"] == {"court": "Court of Roe", "date": "1920-05-03"}
    mail_facts = facts["letter.eml"]
    assert (mail_facts["title"], mail_facts["author"]) == ("The lease", "Ann Other <ann@example.org>")
    stored = b"".join(path.read_bytes() for path in workspace.root.rglob("*") if path.is_file())
    assert b"Court of Roe" not in stored
    assert b"ann@example.org" not in stored


def test_notes_reach_the_review_page_and_its_list(folder: Path) -> None:
    (folder / ".hidden").touch()
    workspace = open_workspace(folder)
    counts = ingest(workspace, [folder]).counts()
    assert CountKind.NOTE.select(counts) == {"hidden_file": 1, "unread_attachment": 1}
    mask(workspace)
    first, *pages = write_reviews(workspace, [])
    assert "unread attachment" in first.read_text()
    told = [page.stem for page in pages if "A document inside of another one" in page.read_text()]
    assert told == [rows(workspace)["See what is attached."]["doc_id"]]
