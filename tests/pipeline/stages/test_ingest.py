"""Ingest: what comes in, what stays out and why, and that nothing of it can be read from the disk."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from lexveil.pipeline.errors import WorkspaceKeyError
from lexveil.pipeline.maintenance.erasure import erase
from lexveil.pipeline.records import Manifest, Shard
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.stages.ingest import ingest
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.documents import read_quarantine, read_raw
from lexveil.pipeline.workspace.workspace import Workspace
from lexveil.privacy.vault import TamperedError

if TYPE_CHECKING:
    from tests.conftest import Finished

WriteJsonl = Callable[..., Path]


def settings(**fields: Any) -> Settings:
    return Settings.model_validate({"ingest": fields})


def texts(workspace: Workspace, chosen: Settings) -> list[str]:
    found: list[str] = []
    rows = workspace.with_settings(Settings()).catalogue.read().to_pylist()
    for index in sorted({row["shard"] for row in rows}):
        ids = [row["doc_id"] for row in rows if row["shard"] == index]
        found += [document.text for document in read_raw(workspace.with_settings(chosen), index, ids)]
    return found


def records(n: int, start: int = 0) -> list[dict[str, Any]]:
    return [{"text": f"Text {i} of many.", "id": i, "owner": i // 2} for i in range(start, start + n)]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.create_or_open(tmp_path / "workspace")


class TestCorpus:
    """The synthetic corpus, in all formats, is met exactly."""

    def test_counts(self, finished_once: Finished) -> None:
        first, expected = finished_once.first, finished_once.expected
        assert first["ingested"] == expected["documents"]
        assert first["duplicates"] == expected["duplicates"]
        assert first["quarantine"] == expected["quarantined"]
        assert first["quarantined"] == sum(expected["quarantined"].values())

    def test_every_text_is_the_gold_text(self, finished_once: Finished) -> None:
        found = texts(finished_once.workspace, finished_once.settings)
        assert sorted("".join(text.split()) for text in found) == sorted(finished_once.gold)
        gold = finished_once.gold.values()
        assert {row["text"] for row in gold if row["format"] in {"txt", "csv", "parquet"}} <= set(found)

    def test_deleted_text_does_not_come_back(self, finished_once: Finished) -> None:
        everything = "\n".join(texts(finished_once.workspace, finished_once.settings))
        assert [gone for gone in finished_once.expected["deleted"] if gone[:14] in everything] == []

    def test_owners_and_labels(self, finished_once: Finished) -> None:
        rows = finished_once.workspace.with_settings(Settings()).catalogue.read().to_pylist()
        gold = list(finished_once.gold.values())
        assert len({row["owner"] for row in rows}) == len({row["owner"] for row in gold})
        assert sorted(row["label"] for row in rows) == sorted(row["label"] for row in gold)
        assert not {row["owner"] for row in rows} & {row["owner"] for row in gold}

    def test_the_key_holder_sees_what_was_rejected(self, finished_once: Finished) -> None:
        rows = read_quarantine(finished_once.workspace.with_settings(finished_once.settings))
        assert len(rows) == finished_once.first["quarantined"]
        assert all(str(finished_once.sources[0]) in row.where for row in rows)


class TestAtRest:
    def test_no_word_of_the_documents_lies_open_under_the_raw_root(self, finished_once: Finished) -> None:
        workspace = finished_once.workspace
        words = {span["text"].encode() for row in finished_once.gold.values() for span in row["spans"]}
        words = {word for word in words if len(word) > 5}
        words |= {row["text"][:40].encode() for row in finished_once.gold.values()}
        words |= {row["owner"].encode() for row in finished_once.gold.values()}
        keys = workspace.protected.glob("keys.sqlite*")
        sealed = [
            *workspace.raw.rglob("*"),
            *workspace.vault.rglob("*"),
            *workspace.quarantine.rglob("*"),
            *keys,
        ]
        content = b"".join(
            path.read_bytes() for path in (*sealed, workspace.catalogue_file) if path.is_file()
        )
        assert len(content) > 10_000
        assert [len(word) for word in words if word in content] == []

    def test_nor_where_the_rejected_lie(self, finished_once: Finished) -> None:
        names = [Path(row.where.partition("#")[0]).name for row in
                 read_quarantine(finished_once.workspace.with_settings(finished_once.settings))]  # fmt: skip
        content = b"".join(path.read_bytes() for path in finished_once.workspace.quarantine.iterdir())
        assert [name for name in names if name.encode() in content] == []

    def test_only_the_owner_of_the_workspace_may_look(self, finished_once: Finished) -> None:
        protected = finished_once.workspace.protected
        assert stat.S_IMODE(protected.stat().st_mode) == 0o700
        secret = [protected / "master.key", *protected.glob("keys.sqlite*")]
        assert {stat.S_IMODE(path.stat().st_mode) for path in secret} == {0o600}

    def test_another_key_opens_nothing(self, finished: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LEXVEIL_MASTER_KEY", "ab" * 32)
        with pytest.raises(WorkspaceKeyError):
            texts(finished.workspace, finished.settings)

    def test_a_changed_ciphertext_is_refused(self, workspace: Workspace, write_jsonl: WriteJsonl) -> None:
        chosen = settings()
        ingest(workspace.with_settings(chosen), [write_jsonl(records(2))])
        path = tables.part_path(workspace.raw, 0)
        table = tables.read_part(path)
        swapped = table.column("payload").to_pylist()[::-1]
        columns = {**table.to_pydict(), "payload": swapped}
        tables.write_part(workspace.raw, Shard(0, "key"), pa.table(columns, schema=tables.RAW))
        with pytest.raises(TamperedError) as caught:
            texts(workspace, chosen)
        assert "Text" not in str(caught.value)


class TestAgain:
    def run(self, workspace: Workspace, sources: list[Path], chosen: Settings | None = None) -> Manifest:
        return ingest(workspace.with_settings(chosen or settings(shard_documents=4)), sources)

    def test_the_same_again_does_nothing(self, workspace: Workspace, write_jsonl: WriteJsonl) -> None:
        path = write_jsonl(records(10))
        first = self.run(workspace, [path])
        assert (first.done_now, first.counts()["documents"]) == (3, 10)
        os.utime(path, (1, 1))
        assert self.run(workspace, [path]).done_now == 0
        assert self.run(workspace, []).done_now == 0

    def test_new_files_are_added_behind(
        self, workspace: Workspace, tmp_path: Path, write_jsonl: WriteJsonl
    ) -> None:
        write_jsonl(records(4), "in/m.jsonl")
        self.run(workspace, [tmp_path / "in"])
        write_jsonl(records(4, 100), "in/a.jsonl")
        more = self.run(workspace, [tmp_path / "in"])
        assert (more.done_now, len(more.shards), more.counts()["documents"]) == (1, 2, 8)

    def test_a_changed_file_takes_its_own_place(
        self, workspace: Workspace, tmp_path: Path, write_jsonl: WriteJsonl
    ) -> None:
        write_jsonl(records(4), "in/a.jsonl")
        write_jsonl(records(4, 100), "in/b.jsonl")
        self.run(workspace, [tmp_path / "in"])
        write_jsonl(records(3, 200), "in/a.jsonl")
        self.run(workspace, [tmp_path / "in"])
        wanted = [record["text"] for record in records(4, 100) + records(3, 200)]
        assert sorted(texts(workspace, settings())) == sorted(wanted)

    @pytest.mark.parametrize(("name", "start"), [("owner_field", 8), ("label_field", 8)])
    def test_what_is_read_otherwise_takes_its_own_place(
        self, workspace: Workspace, write_jsonl: WriteJsonl, name: str, start: int
    ) -> None:
        # Else a document would keep another owner than the one its model's card speaks of.
        path = write_jsonl(records(start))
        self.run(workspace, [path])
        other = settings(shard_documents=4, **{name: "owner"})
        assert self.run(workspace, [path], other).counts()["documents"] == start
        rows = workspace.with_settings(Settings()).catalogue.read().to_pylist()
        assert len(rows) == start
        if name == "owner_field":
            assert len({row["owner"] for row in rows}) == start // 2
        else:
            assert {row["label"] for row in rows} == {str(n) for n in range(start // 2)}
        assert self.run(workspace, [path], other).done_now == 0

    def test_other_limits_alone_keep_the_plan(self, workspace: Workspace, write_jsonl: WriteJsonl) -> None:
        path = write_jsonl(records(10))
        self.run(workspace, [path])
        assert self.run(workspace, [path], settings(shard_documents=4, ocr=False)).counts()["documents"] == 10

    def test_the_same_file_elsewhere_adds_nothing(
        self, workspace: Workspace, tmp_path: Path, write_jsonl: WriteJsonl
    ) -> None:
        path = write_jsonl(records(4))
        self.run(workspace, [path])
        shutil.copy(path, tmp_path / "copy.jsonl")
        (tmp_path / "copy.jsonl.gz").write_bytes(gzip.compress(path.read_bytes()))
        self.run(workspace, [tmp_path / "copy.jsonl", tmp_path / "copy.jsonl.gz"])
        assert workspace.with_settings(Settings()).catalogue.read().num_rows == 4


def test_duplicates_are_equal_after_composition_and_white_space(
    workspace: Workspace, write_jsonl: WriteJsonl
) -> None:
    same = ["Café  au lait", "Cafe\u0301 au lait\n", "  Café\tau\u00a0lait"]
    rows = [{"text": text, "id": i} for i, text in enumerate([*same, "café au lait"])]
    manifest = ingest(workspace.with_settings(settings()), [write_jsonl(rows)])
    assert manifest.counts() == {"quarantined": 0, "documents": 2, "duplicates": 2, "erased": 0}
    assert texts(workspace, settings())[0] in same


def test_ids_are_keyed(workspace: Workspace, tmp_path: Path, write_jsonl: WriteJsonl) -> None:
    path = write_jsonl(records(2))
    other = Workspace.create_or_open(tmp_path / "other")
    for one in (workspace, other):
        ingest(one.with_settings(settings()), [path])
    ids = [
        set(tables.to_strings(one.with_settings(Settings()).catalogue.read(), "doc_id"))
        for one in (workspace, other)
    ]
    assert not ids[0] & ids[1]


def test_odd_texts_come_back_exactly(workspace: Workspace, write_jsonl: WriteJsonl) -> None:
    odd = ["\U0001f600 a\u200bb", "مرحبا", "王小明诉李四", "[PERSON_1] is here"]
    ingest(workspace.with_settings(settings()), [write_jsonl({"text": text} for text in odd)])
    assert texts(workspace, settings()) == odd


def test_no_document_at_all(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    assert ingest(workspace.with_settings(settings()), [tmp_path / "in"]).counts() == {}
    (tmp_path / "in" / "a.jsonl").write_text(json.dumps({"text": ""}) + "\n")
    assert ingest(workspace.with_settings(settings()), [tmp_path / "in"]).counts()["quarantine:empty"] == 1
    assert workspace.with_settings(Settings()).catalogue.read().num_rows == 0


class TestNamesThatAreNotUtf8:
    """From old Windows shares: their bytes are kept, and shown escaped."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        (tmp_path / "in" / os.fsdecode(b"b\xf6se")).mkdir(parents=True)
        for name, text in {
            b"kl\xe4ger.txt": "The claimant.",
            b"sound.txt": "Sound.",
            b"b\xf6se/x.jsonl": '{"text": "A record."}\n',
            b"kaputt\xff.pdf": "%PDF-1.4",
        }.items():
            (tmp_path / "in" / os.fsdecode(name)).write_text(text)
        return tmp_path / "in"

    def test_they_are_read_or_quarantined(self, workspace: Workspace, folder: Path) -> None:
        opened = workspace.with_settings(settings())
        assert ingest(opened, [folder]).counts()["documents"] == 3
        assert sorted(texts(workspace, settings())) == ["A record.", "Sound.", "The claimant."]
        (left,) = read_quarantine(opened)
        assert left.where == f"{folder.resolve()}/kaputt\\xff.pdf"
        assert ingest(opened, [folder]).done_now == 0

    @pytest.mark.parametrize(
        "name", [os.fsdecode(b"kl\xe4ger.txt"), r"kl\xe4ger.txt", r"{folder}/kl\xe4ger.txt"]
    )
    def test_they_are_erased_by_their_bytes_or_as_shown(
        self, workspace: Workspace, folder: Path, name: str
    ) -> None:
        opened = workspace.with_settings(settings())
        ingest(opened, [folder])
        erased = erase(opened, name.replace("{folder}", str(folder.resolve())))
        assert (len(erased.doc_ids), erased.scan.left) == (1, 0)
        assert ingest(opened, [folder]).counts()["documents"] == 2
