"""Promise: nothing that one owner brings changes what is trained on of another, whole pipeline."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.owners import compare_neighbors, make_corpus, shared_clauses
from lexveil.pipeline.maintenance.erasure import erase
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.stages.ingest import ingest
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.documents import DocumentIds, read_raw
from lexveil.pipeline.workspace.workspace import Workspace

Write = Callable[..., Path]


@pytest.mark.parametrize(("seed", "several_labels"), [(11, False), (16, True)])
def test_one_owner_moves_a_step_of_any_head_by_at_most_the_clip(
    tmp_path: Path, seed: int, several_labels: bool
) -> None:
    found = compare_neighbors(make_corpus(seed, several_labels), tmp_path, ("linear", "lstm"))
    assert max(found.moves.values()) <= 1
    assert not found.others_changed


def test_a_text_that_forty_others_have_too_counts_once_for_each(tmp_path: Path) -> None:
    """With one text kept for one owner alone, the step moves by 30 clips here."""
    found = compare_neighbors(shared_clauses(), tmp_path, ("linear",))
    assert found.moves["linear"] <= 1
    assert not found.others_changed


class Office:
    """A workspace on a file of records, `owner_field` named or not."""

    def __init__(self, folder: Path, write: Write) -> None:
        self.root, self._write = folder / "workspace", write

    def settings(self, owner_field: str | None = "owner") -> Settings:
        return Settings.model_validate({"ingest": {"owner_field": owner_field, "shard_documents": 2}})

    def take_in(self, *records: dict[str, Any], owner_field: str | None = "owner") -> Workspace:
        workspace = Workspace.create_or_open(self.root, self.settings(owner_field))
        ingest(workspace, [self._write(records)])
        return workspace


@pytest.fixture
def office(tmp_path: Path, write_jsonl: Write) -> Office:
    return Office(tmp_path, write_jsonl)


def kept(workspace: Workspace) -> list[tuple[str, str, str | None]]:
    """Owner, text and label of all documents."""
    rows = workspace.catalogue.read().to_pylist()
    found: list[tuple[str, str, str | None]] = []
    for shard in sorted({row["shard"] for row in rows}):
        inside = {row["doc_id"]: row["label"] for row in rows if row["shard"] == shard}
        documents = read_raw(workspace, shard, inside)
        found += [(one.owner, one.text, inside[one.doc_id]) for one in documents]
    return sorted(found, key=str)


def record(owner: str, text: str, label: str | None = None) -> dict[str, Any]:
    return {"owner": owner, "text": text, "label": label, "id": f"{owner}-{text[:1]}"}


def test_each_owner_has_a_document_and_a_key_of_a_shared_text(office: Office) -> None:
    workspace = office.take_in(record("a", "One."), record("b", "One."), record("a", " One.\n"))
    ids = DocumentIds(workspace.keys)
    assert [owner for owner, _, _ in kept(workspace)] == sorted([ids.owner("a"), ids.owner("b")])
    keys = workspace.keys.existing_keys(tables.to_strings(workspace.catalogue.read(), "doc_id"))
    assert len(set(keys.values())) == 2


def test_which_duplicate_is_kept_does_not_depend_on_where_it_stands(office: Office) -> None:
    """Another owner's document, before or between them, may move them to other shards."""
    copies = [record("a", "One.", "x"), record("a", "One. ", "y"), record("a", "One.")]
    found: list[Any] = []
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        rows = [copies[index] for index in order]
        found += [kept(office.take_in(*rows)), kept(office.take_in(rows[0], record("b", "Two."), *rows[1:]))]
    ids = DocumentIds(office.take_in(*copies).keys)
    assert {json.dumps([row for row in rows if row[0] == ids.owner("a")]) for rows in found} == {
        json.dumps([found[0][0]])
    }
    assert found[0][0][2] is not None  # a labeled one


class TestErased:
    def test_of_one_owner_the_other_ones_stays_and_the_own_does_not_come_back(self, office: Office) -> None:
        both = record("a", "One."), record("b", "One.")
        workspace = office.take_in(*both)
        ids = DocumentIds(workspace.keys)
        assert erase(workspace, "a-O").scan.left == 0
        assert [owner for owner, _, _ in kept(office.take_in(*both))] == [ids.owner("b")]
        again = office.take_in(record("a", "One. "), record("c", "Two."), both[1])
        assert ids.owner("a") not in {owner for owner, _, _ in kept(again)}

    def test_it_does_not_come_back_without_its_owner(self, office: Office) -> None:
        erase(office.take_in(record("a", "One."), record("b", "Two.")), "a-O")
        workspace = office.take_in(record("a", "One."), record("b", "Two."), owner_field=None)
        assert [text for _, text, _ in kept(workspace)] == ["Two."]

    def test_without_an_owner_it_comes_back_with_none(self, office: Office) -> None:
        """So do the tombstones of earlier versions, which know no owner, keep an erased text out."""
        erase(office.take_in(record("a", "One."), record("b", "Two."), owner_field=None), "a-O")
        rows = record("a", "One."), record("b", "Two."), record("b", "One.")
        assert [text for _, text, _ in kept(office.take_in(*rows))] == ["Two."]


class TestWorkspaceOfAnEarlierVersion:
    """Documents had the digest of their content as id, and one owner's copy of a text was kept."""

    @pytest.fixture
    def earlier(self, office: Office, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, str]]:
        """Take records in as earlier versions did; the owner's id -> the document's id."""

        def take_in(*records: dict[str, Any]) -> dict[str, str]:
            with monkeypatch.context() as patched:
                patched.setattr(DocumentIds, "document", lambda _ids, _owner, content: content)
                patched.setattr("lexveil.pipeline.stages.ingest.code_digest", lambda _: "earlier")
                rows = office.take_in(*records).catalogue.read().to_pylist()
            return {row["owner"]: row["doc_id"] for row in rows}

        return take_in

    def test_ids_stay_and_what_was_left_out_is_said(
        self, office: Office, earlier: Callable[..., dict[str, str]], write_jsonl: Write
    ) -> None:
        records = [record("a", "One."), record("b", "One."), record("c", "Two.")]
        before = earlier(*records)
        assert len(before) == 2
        workspace = Workspace.open(office.root, office.settings())
        said = ingest(workspace, [write_jsonl(records)])
        after = {row["owner"]: row["doc_id"] for row in workspace.catalogue.read().to_pylist()}
        assert before.items() < after.items()
        assert len(after) == 3
        assert said.redone["owners"].startswith("1 documents have a text")
        again = ingest(workspace, [write_jsonl(records)])
        assert (again.done_now, dict(again.redone)) == (0, {})

    def test_erasing_one_owners_document_leaves_the_other_ones(
        self, office: Office, earlier: Callable[..., dict[str, str]]
    ) -> None:
        both = record("a", "One."), record("b", "One.")
        ((owner, doc_id),) = earlier(*both).items()
        workspace = office.take_in(*both)
        assert erase(workspace, doc_id).scan.left == 0
        (left,) = kept(office.take_in(*both))
        (again,) = kept(office.take_in(*both, record("a", "One. ")))
        assert left[0] == again[0] != owner
