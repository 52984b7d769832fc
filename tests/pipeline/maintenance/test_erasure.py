"""Erasure: the key is gone, every table has lost the row, and the same content stays out."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lexveil.pipeline.errors import SourceError, WorkspaceError
from lexveil.pipeline.job import run_job
from lexveil.pipeline.maintenance.backup import back_up
from lexveil.pipeline.maintenance.erasure import ERASURES, erase, scan
from lexveil.pipeline.maintenance.targets import list_empty_items
from lexveil.pipeline.maintenance.traces import Traces
from lexveil.pipeline.masking.decisions import pages_folder
from lexveil.pipeline.masking.vault import restore_document
from lexveil.pipeline.models.saved import list_models
from lexveil.pipeline.reports.review_page import write_reviews
from lexveil.pipeline.request import find_reusable_result, make_request
from lexveil.pipeline.settings import Settings, load_settings
from lexveil.pipeline.sources.files import SourceFile
from lexveil.pipeline.sources.plan import read_plans
from lexveil.pipeline.sources.scheduled import read_scheduled_sources, save_scheduled_sources
from lexveil.pipeline.stages.ingest import ingest
from lexveil.pipeline.stages.mask import mask
from lexveil.pipeline.stages.train import train
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.documents import read_origins, read_quarantine
from lexveil.pipeline.workspace.features import find_current_features
from lexveil.pipeline.workspace.shards import read_manifest
from lexveil.pipeline.workspace.storage import read_json
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.vault import seal

if TYPE_CHECKING:
    from tests.conftest import Finished


def rows_with(workspace: Workspace, doc_id: str) -> list[str]:
    """Every table that has the document."""
    paths = [path for path in workspace.root.rglob("*.parquet") if "doc_id" in tables.read_column_names(path)]
    return [str(path) for path in paths if doc_id in tables.to_strings(tables.read_part(path), "doc_id")]


def rows_of(workspace: Workspace, doc_id: str) -> list[str]:
    """The same for a workspace with all of its tables."""
    paths = [path for path in workspace.root.rglob("*.parquet") if "doc_id" in tables.read_column_names(path)]
    assert len(paths) > 4
    return rows_with(workspace, doc_id)


@pytest.fixture
def doc_id(finished: Finished) -> str:
    return tables.to_strings(finished.workspace.with_settings(Settings()).catalogue.read(), "doc_id")[3]


def test_pages_and_gold_of_kept_documents_are_their_own(finished: Finished, doc_id: str) -> None:
    """They share words with what is erased, since the documents do."""
    workspace = finished.workspace.with_settings(finished.settings)
    write_reviews(workspace, [])
    page = pages_folder(workspace) / f"{doc_id}.html"
    content = page.read_bytes()
    gold = [
        {"id": kept.stem, "text": kept.read_text()}
        for kept in page.parent.glob("*.html")
        if kept.stem != "index"
    ]
    (page.parent / "gold.jsonl").write_text("".join(json.dumps(line) + "\n" for line in gold))
    assert erase(workspace, doc_id).scan.left == 0
    assert not page.exists()
    other = tables.to_strings(workspace.catalogue.read(), "doc_id")[0]
    traces = Traces(frozenset(), frozenset(["quillwort"]))
    (page.parent / f"{other}.html").write_text("quillwort")
    assert scan(workspace, traces).left == 0
    page.write_bytes(content + b" quillwort")
    assert scan(workspace, traces).places == ("review",)


def test_key_and_rows_are_gone(finished: Finished, doc_id: str) -> None:
    workspace, settings = finished.workspace, finished.settings
    before = {
        path.replace("/part-", " ").split()[0].rpartition("/")[2] for path in rows_of(workspace, doc_id)
    }
    version = find_current_features(workspace).name
    stages = {"raw", "found", "masked", "vault", "embedding", version, "assessed"}
    # A duplicate may be in another shard.
    assert before - {"places.parquet"} == {*stages, "catalogue.parquet"}
    gone = erase(workspace.with_settings(settings), doc_id)
    assert (gone.doc_ids, gone.keys, gone.scan.left) == ((doc_id,), 1 + gone.sources, 0)
    assert gone.rows >= len(before) - 1
    assert gone.models == (finished.first["model"],)
    assert rows_of(workspace, doc_id) == []
    assert workspace.with_settings(settings).keys.existing_keys([doc_id]) == {}
    with pytest.raises(WorkspaceError, match="erased"):
        restore_document(workspace.with_settings(settings), doc_id)


def test_the_others_stand(finished: Finished, doc_id: str) -> None:
    workspace, settings = finished.workspace, finished.settings
    others = set(tables.to_strings(workspace.with_settings(Settings()).catalogue.read(), "doc_id")) - {doc_id}
    erase(workspace.with_settings(settings), doc_id)
    assert set(tables.to_strings(workspace.with_settings(Settings()).catalogue.read(), "doc_id")) == others
    assert restore_document(workspace.with_settings(settings), min(others))
    features = find_current_features(workspace)
    for folder, stage in ((workspace.raw, "ingest"), (workspace.masked, "mask"), (features, "extract")):
        assert read_manifest(folder, stage).rows == len(others)


def test_the_same_source_does_not_bring_it_back(finished: Finished, doc_id: str) -> None:
    workspace, settings = finished.workspace, finished.settings
    erase(workspace.with_settings(settings), doc_id)
    request = make_request(workspace.with_settings(settings), finished.sources)
    assert find_reusable_result(workspace, request) is None
    result = run_job(workspace, request)
    assert result["ingested"] == result["feature_rows"] == finished.first["ingested"] - 1
    assert result["masked"] == result["ingested"]
    assert not result["trained_now"]
    assert rows_of(workspace, doc_id) == []
    assert (
        find_reusable_result(workspace, make_request(workspace.with_settings(settings), finished.sources))
        is not None
    )


def test_nor_does_a_new_file_with_the_same_content(tmp_path: Path, write_jsonl: Callable[..., Path]) -> None:
    workspace, settings = Workspace.create_or_open(tmp_path / "workspace"), load_settings()
    ingest(
        workspace.with_settings(settings),
        [write_jsonl([{"text": "One.", "id": "a"}, {"text": "Two.", "id": "b"}])],
    )
    mask(workspace.with_settings(settings))
    erase(workspace.with_settings(settings), "a")
    again = ingest(
        workspace.with_settings(settings), [write_jsonl([{"text": " One. ", "id": "c"}], "more.jsonl")]
    )
    assert (again.counts()["erased"], workspace.with_settings(Settings()).catalogue.read().num_rows) == (1, 1)
    erase(workspace.with_settings(settings), "b")
    assert mask(workspace.with_settings(settings)).rows == 0  # shards without a document are shards


def test_by_the_id_in_its_source(finished: Finished, doc_id: str) -> None:
    source_ids = {row["id"] for row in finished.gold.values()}
    gone = erase(finished.workspace.with_settings(finished.settings), min(source_ids))
    assert gone.keys == 1 + gone.sources
    assert rows_of(finished.workspace, gone.doc_ids[0]) == []


def test_what_is_not_there(finished: Finished, doc_id: str) -> None:
    before = finished.workspace.with_settings(Settings()).catalogue.read()
    with pytest.raises(SourceError, match="no such document"):
        erase(finished.workspace.with_settings(finished.settings), "John Wharfinger")
    assert finished.workspace.with_settings(Settings()).catalogue.read().equals(before)


def test_an_id_that_several_documents_share(tmp_path: Path, write_jsonl: Callable[..., Path]) -> None:
    workspace, settings = Workspace.create_or_open(tmp_path / "workspace"), load_settings()
    ingest(
        workspace.with_settings(settings),
        [write_jsonl([{"text": "One.", "id": "a"}, {"text": "Two.", "id": "a"}])],
    )
    with pytest.raises(SourceError, match="2 documents"):
        erase(workspace.with_settings(settings), "a")
    assert workspace.with_settings(Settings()).catalogue.read().num_rows == 2


def test_killed_after_the_key_it_is_finished_by_the_next(finished: Finished, doc_id: str) -> None:
    workspace, settings = finished.workspace, finished.settings
    workspace.with_settings(settings).keys.destroy_keys([doc_id])
    gone = erase(workspace.with_settings(settings), doc_id)
    assert gone.rows >= 5
    assert gone.keys == gone.sources  # the key of its file
    assert rows_of(workspace, doc_id) == []
    assert erase(workspace.with_settings(settings), doc_id).rows == 0


def test_the_quarantine_stands(finished: Finished, doc_id: str) -> None:
    erase(finished.workspace.with_settings(finished.settings), doc_id)
    assert (
        len(read_quarantine(finished.workspace.with_settings(finished.settings)))
        == finished.first["quarantined"]
    )


def test_an_owner_goes_with_all_documents(tmp_path: Path, write_jsonl: Callable[..., Path]) -> None:
    workspace, settings = Workspace.create_or_open(tmp_path / "workspace"), load_settings()
    records = [{"text": f"Clause {n}.", "id": str(n), "matter": f"m{n % 2}"} for n in range(6)]
    asked = settings.model_copy(
        update={"ingest": settings.ingest.model_copy(update={"owner_field": "matter"})}
    )
    ingest(workspace.with_settings(asked), [write_jsonl(records)])
    mask(workspace.with_settings(asked))
    gone = erase(workspace.with_settings(asked), owner="m1")
    assert (len(gone.doc_ids), gone.keys, gone.scan.left) == (3, 3, 0)
    assert gone.scan.files > 4
    assert all(rows_left == [] for rows_left in map(partial(rows_with, workspace), gone.doc_ids))
    assert workspace.with_settings(Settings()).catalogue.read().num_rows == 3
    with pytest.raises(SourceError, match="owner"):
        erase(workspace.with_settings(asked), owner="m1")


def test_models_say_that_they_saw_it(finished: Finished, doc_id: str) -> None:
    gone = erase(finished.workspace.with_settings(finished.settings), doc_id)
    said = read_json(finished.workspace.models / gone.models[0] / ERASURES)
    assert said is not None
    (entry,) = said["erasures"]
    assert entry["documents"] == 1
    assert "differential privacy" in entry["statement"]


def test_models_say_so_although_the_clock_was_set_back(
    finished: Finished, write_jsonl: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The document came in while the clock was ahead; the second model saw it, and the first did not."""
    workspace, settings = finished.workspace, finished.settings
    clock = time.time
    more = write_jsonl([{"id": "late", "text": "The lessee shall pay.", "owner": "o", "label": "contract"}])
    with monkeypatch.context() as ahead:
        ahead.setattr("lexveil.privacy.keystore.time.time", lambda: clock() + 3600)
        ingest(workspace.with_settings(settings), [*finished.sources, more])
        mask(workspace.with_settings(settings))
    first = {model.name for model in list_models(workspace)}
    train(
        workspace.with_settings(
            settings.model_copy(update={"train": settings.train.model_copy(update={"epsilon": 1.0})})
        )
    )
    gone = erase(workspace.with_settings(settings), "late")
    assert set(gone.models) == {list_models(workspace)[-1].name}
    assert first.isdisjoint(gone.models)


def test_the_scan_sees_what_was_left(finished: Finished, doc_id: str) -> None:
    workspace = finished.workspace.with_settings(finished.settings)
    traces = Traces(frozenset([doc_id]))
    assert scan(workspace, traces).left > 5
    erase(workspace, doc_id)
    note = workspace.features / "notes.txt"
    note.write_bytes(b" " * (1 << 22) + doc_id.encode())
    assert (scan(workspace, traces).left, scan(workspace, traces).places) == (1, ("features",))


def test_a_document_or_an_owner(finished: Finished, doc_id: str) -> None:
    for name, owner in ((None, None), (doc_id, "m1")):
        with pytest.raises(SourceError, match="--owner"):
            erase(finished.workspace.with_settings(finished.settings), name, owner)


class TestPathsAndFields:
    """A folder with two files and their sidecar rows, a file of records, and what cannot be read."""

    @pytest.fixture
    def source(self, tmp_path: Path) -> Path:
        folder = tmp_path / "in"
        folder.mkdir()
        (folder / "Wharfinger.txt").write_text("The lessee shall pay.")
        (folder / "other.txt").write_text("The lessor shall not.")
        (folder / "Ottilie.pdf").write_text("not a PDF")
        rows = [
            {"file_name": "Wharfinger.txt", "client": "Quartermain", "judge": "Oakenshott"},
            {"file_name": "other.txt", "client": "Smith"},
            {"file_name": "Ottilie.pdf", "client": "Quartermain", "judge": "Lilliwhyte"},
        ]
        (folder / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        records = [{"id": n, "text": f"Clause {n}.", "client": f"c{n}"} for n in "12"]
        records.append({"id": "3", "text": "", "client": "c3"})
        (folder / "Blandings.jsonl").write_text("".join(json.dumps(row) + "\n" for row in records))
        return folder

    @pytest.fixture
    def workspace(self, tmp_path: Path, source: Path) -> Workspace:
        settings = load_settings(ingest={"owner_field": "client"})
        workspace = Workspace.create_or_open(tmp_path / "workspace", settings)
        ingest(workspace, [source])
        return workspace

    def known(self, workspace: Workspace) -> str:
        """All paths and fields that the workspace knows."""
        items = [item for planned in read_plans(workspace) for item in planned.values() if item is not None]
        return json.dumps([[item.path, item.meta] for item in items])

    def item(self, workspace: Workspace, name: str) -> str:
        return next(row.item for row in read_quarantine(workspace) if name in row.where)

    def test_a_file_goes_with_its_path_and_its_row(self, workspace: Workspace, source: Path) -> None:
        gone = erase(workspace, "Wharfinger.txt")
        assert (gone.sources, gone.keys, gone.scan.left) == (1, 2, 0)
        assert gone.scan.words == 2  # the client has another file
        assert all(word not in self.known(workspace) for word in ("Wharfinger", "Oakenshott"))
        assert "other.txt" in self.known(workspace)
        before = workspace.catalogue.read()
        again = ingest(workspace, [source])
        assert again.done_now == 0  # its shard stays as it is
        assert workspace.catalogue.read().equals(before)
        assert "Wharfinger" not in self.known(workspace)

    def test_a_file_of_records_keeps_its_path_until_nothing_of_it_is_kept(self, workspace: Workspace) -> None:
        assert erase(workspace, "1").sources == 0
        assert erase(workspace, self.item(workspace, "Blandings")).sources == 0
        assert "Blandings" in self.known(workspace)
        last = erase(workspace, "2")
        assert (last.sources, last.scan.left) == (1, 0)
        assert "Blandings" not in self.known(workspace)

    def test_what_could_not_be_read_is_erased_and_not_read_again(
        self, workspace: Workspace, source: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        gone = erase(workspace, self.item(workspace, "Ottilie"))
        assert (gone.sources, len(gone.quarantined), gone.scan.left) == (1, 1, 0)
        assert all(word not in self.known(workspace) for word in ("Ottilie", "Lilliwhyte"))
        assert [Path(row.where).name for row in read_quarantine(workspace)] == ["Blandings.jsonl#2"]
        monkeypatch.setattr(SourceFile, "digest", lambda file: pytest.fail("read again"))
        assert ingest(workspace, [source]).done_now == 0

    def test_a_touched_file_is_looked_at_once(
        self, workspace: Workspace, source: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        erase(workspace, "Wharfinger.txt")
        os.utime(source / "Wharfinger.txt", (1, 1))
        assert ingest(workspace, [source]).done_now == 0
        monkeypatch.setattr(SourceFile, "digest", lambda file: pytest.fail("read again"))
        assert ingest(workspace, [source]).done_now == 0

    def test_another_content_under_the_same_path_is_a_new_document(
        self, workspace: Workspace, source: Path
    ) -> None:
        erase(workspace, "Wharfinger.txt")
        (source / "Wharfinger.txt").write_text("Another letter.")
        assert ingest(workspace, [source]).counts()["documents"] == 4
        assert "Wharfinger" in self.known(workspace)

    def test_a_copy_of_an_erased_file_is_forgotten_with_its_path(
        self, workspace: Workspace, source: Path
    ) -> None:
        erase(workspace, "Wharfinger.txt")
        (source / "Jeavons.txt").write_text("The lessee  shall pay.")
        rows = (source / "metadata.jsonl").read_text()
        row = {"file_name": "Jeavons.txt", "client": "Quartermain", "judge": "Oakenshott"}
        (source / "metadata.jsonl").write_text(rows + json.dumps(row) + "\n")
        assert ingest(workspace, [source]).counts()["erased"] == 1
        assert all(word not in self.known(workspace) for word in ("Jeavons", "Oakenshott"))
        assert ingest(workspace, [source]).done_now == 0

    def test_an_ingest_that_was_killed_before_it_forgot_is_finished_by_the_next(
        self, workspace: Workspace, source: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        erase(workspace, "other.txt")
        (source / "other.txt").unlink()
        (source / "Jeavons.txt").write_text("The lessor  shall not.")
        with (source / "metadata.jsonl").open("a") as rows:
            rows.write(json.dumps({"file_name": "Jeavons.txt", "client": "Smith"}) + "\n")

        def die(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr("lexveil.pipeline.stages.ingest.forget_empty_items", die)
            with pytest.raises(KeyboardInterrupt):
                ingest(workspace, [source])
        assert "Jeavons" in self.known(workspace)
        assert ingest(workspace, [source]).done_now == 0
        assert "Jeavons" not in self.known(workspace)

    def test_a_file_with_a_record_in_another_shard_is_not_empty(self, tmp_path: Path, source: Path) -> None:
        settings = load_settings(ingest={"owner_field": "client", "shard_documents": 1})
        workspace = Workspace.create_or_open(tmp_path / "sliced", settings)
        ingest(workspace, [source])
        (shard,) = (
            row["shard"]
            for row in workspace.catalogue.read().to_pylist()
            if read_origins(workspace, row["shard"], [row["doc_id"]])[row["doc_id"]].source_id == "2"
        )
        plan = read_plans(workspace)[shard]
        assert [item.path for item in plan.values() if item] == [str(source / "Blandings.jsonl")]
        assert erase(workspace, "2").sources == 0
        assert list_empty_items(workspace, [shard]) == {}
        erase(workspace, "1")
        erase(workspace, self.item(workspace, "Blandings"))
        assert "Blandings" not in self.known(workspace)

    def test_an_owner_goes_with_files_that_could_not_be_read(self, workspace: Workspace) -> None:
        gone = erase(workspace, owner="Quartermain")
        assert (len(gone.doc_ids), len(gone.quarantined), gone.sources, gone.scan.left) == (1, 1, 2, 0)
        assert all(word not in self.known(workspace) for word in ("Ottilie", "Lilliwhyte", "Wharfinger"))

    def test_copies_go_together_whichever_is_named(self, workspace: Workspace, source: Path) -> None:
        (source / "Aldous.txt").write_text("The lessee shall\npay.")
        row = {"file_name": "Aldous.txt", "client": "Quartermain"}
        with (source / "metadata.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
        ingest(workspace, [source])
        gone = erase(workspace, str(source.resolve() / "Wharfinger.txt"))
        assert (len(gone.doc_ids), gone.sources, gone.scan.left) == (1, 2, 0)
        assert all(word not in self.known(workspace) for word in ("Aldous", "Wharfinger"))

    def test_a_source_that_is_the_file_itself_leaves_the_schedule(
        self, workspace: Workspace, source: Path
    ) -> None:
        save_scheduled_sources(workspace, [str(source.resolve() / "Wharfinger.txt"), str(source.resolve())])
        assert erase(workspace, "Wharfinger.txt").scan.left == 0
        assert read_scheduled_sources(workspace) == [str(source.resolve())]

    @pytest.mark.parametrize("left", ["a note", "a database", "a plan of an earlier version"])
    def test_the_scan_finds_words_and_fields(self, workspace: Workspace, tmp_path: Path, left: str) -> None:
        other = tmp_path / "other"
        (other / "plan").mkdir(parents=True)
        if left == "a note":
            (other / "note.json").write_text(json.dumps({"seen": "by Oakenshott"}))
        elif left == "a database":
            with sqlite3.connect(other / "prefect.db") as connection:
                connection.execute("CREATE TABLE runs (name, parameters)")
                connection.execute("INSERT INTO runs VALUES ('x', 'Wharfinger.txt')")
        else:
            items = [item for planned in read_plans(workspace) for item in planned.values() if item]
            content = json.dumps([item.to_json() for item in items if "Wharfinger" in item.path]).encode()
            sealed = seal(workspace.keys.purpose_key("plan"), content, "plan:0")
            (other / "plan" / "00000.sealed").write_bytes(sealed)
        gone = erase(workspace, "Wharfinger.txt", others=[other])
        assert (gone.scan.left, gone.scan.places) == (1, ("other",))

    def test_a_backup_that_is_shown_still_has_the_keys(self, workspace: Workspace, tmp_path: Path) -> None:
        before, after = tmp_path / "before", tmp_path / "after"
        back_up(workspace, before)
        assert erase(workspace, "Wharfinger.txt", others=[before]).scan.places == ("before",)
        back_up(workspace, after)
        assert erase(workspace, "other.txt", others=[after]).scan.left > 1
        back_up(workspace, tmp_path / "last")
        assert erase(workspace, "1", others=[tmp_path / "last"]).scan.left > 0
        traces = Traces(frozenset(erase(workspace, "2").doc_ids))
        assert scan(workspace, traces, [before]).left > 1
