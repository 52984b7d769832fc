"""Batches: only what is new or changed is worked on, and what a source no longer holds is forgotten."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from fixtures.counting import Counting
from lexveil.pipeline.errors import RemovalRefusedError
from lexveil.pipeline.maintenance.erasure import erase
from lexveil.pipeline.records import Shard
from lexveil.pipeline.request import close_request, make_request, prepare_workspace, reuse_last_result
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.stages.ingest import ingest, update_catalogue
from lexveil.pipeline.stages.mask import mask
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.documents import read_raw
from lexveil.pipeline.workspace.shards import read_manifest
from lexveil.pipeline.workspace.workspace import Workspace

ROOT = Path(__file__).parents[3]


class Office:
    """A source folder of letters, and a workspace that works on it."""

    def __init__(self, folder: Path, **mask_settings: Any) -> None:
        self.source = folder / "in"
        self.source.mkdir()
        self.settings = Settings.model_validate(
            {
                "ingest": {"shard_documents": 3, "owner_field": "matter"},
                "mask": {"detector": "rules", **mask_settings},
            }
        )
        self.workspace = Workspace.create_or_open(folder / "workspace")

    def erasing(self, **more: Any) -> None:
        changed = self.settings.ingest.model_copy(update={"removed": "erase", **more})
        self.settings = self.settings.model_copy(update={"ingest": changed})

    def write(self, name: str, text: str) -> None:
        (self.source / name).write_text(text, encoding="utf-8")

    def fill(self, n: int, matters: int | None = None) -> None:
        rows: list[dict[str, str]] = []
        for number in range(n):
            self.write(
                f"{number:03d}.txt", f"Mr Walter Pemberton wrote letter {number} to a{number}@b.example."
            )
            rows.append({"file_name": f"{number:03d}.txt", "matter": f"m{number % (matters or n)}"})
        self.write("metadata.jsonl", "".join(json.dumps(row) + "\n" for row in rows))

    def work(self, *sources: Path) -> list[tuple[str, int]]:
        """Ingest and mask; which shards were done."""
        each = Counting()
        ingest(self.workspace.with_settings(self.settings), sources or (self.source,), each)
        mask(self.workspace.with_settings(self.settings), each)
        return each.done

    def texts(self) -> dict[str, str]:
        """doc_id by text of everything that is kept."""
        rows = self.workspace.with_settings(self.settings).catalogue.read().to_pylist()
        ids = [row["doc_id"] for row in rows]
        shards = sorted({row["shard"] for row in rows})
        documents = [
            d for index in shards for d in read_raw(self.workspace.with_settings(self.settings), index, ids)
        ]
        return {document.text: document.doc_id for document in documents}

    def traces(self, doc_id: str) -> list[str]:
        """Every file below the workspace in which a document stands, but the log."""
        found: list[str] = []
        for path in self.workspace.root.rglob("*"):
            name = path.relative_to(self.workspace.root).as_posix()
            if path.suffix == ".parquet" and "doc_id" in tables.read_column_names(path):
                found += [name] if doc_id in tables.to_strings(tables.read_part(path), "doc_id") else []
            elif path.is_file() and path.name != "log.jsonl" and doc_id.encode() in path.read_bytes():
                found.append(name)
        return found

    def logged(self) -> list[dict[str, Any]]:
        entries = self.workspace.with_settings(self.settings).log.read()
        return [entry.facts for entry in entries if entry.action == "forget" and entry.outcome == "done"]


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


class TestCatalogue:
    """It is that of all parts, though a night reads the changed ones alone."""

    def test_it_is_always_that_of_all_parts(self, office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
        read: list[str] = []
        whole = tables.read_part

        def watched(path: Path, columns: list[str] | None = None) -> pa.Table:
            if "variant" in (columns or ()):
                read.append(path.stem.removeprefix("part-0000"))
            return whole(path, columns)

        def night(*expected: str) -> None:
            read.clear()
            with monkeypatch.context() as patch:
                patch.setattr(tables, "read_part", watched)
                ingest(workspace, [office.source])
            assert sorted({*read}) == [*expected]
            shards = read_manifest(workspace.raw, "ingest").shards
            assert workspace.catalogue.read() == update_catalogue(workspace, (), shards)[0]

        def same_as(name: str, other: str) -> None:
            office.write(name, (office.source / other).read_text())

        workspace = office.workspace.with_settings(office.settings)
        office.fill(7, matters=1)  # 0-2, 3-5, 6
        night("0", "1", "2")
        night()
        office.fill(8, matters=1)
        night("3")
        same_as("004.txt", "000.txt")  # the first document leaves its part, or the part's own leaves
        night("0", "1")
        office.fill(9, matters=1)
        office.write("009.txt", "A letter to nobody.")
        night("0", "1", "2", "3", "4")  # 004 is as before: another part may have what this one loses
        same_as("008.txt", "006.txt")
        night("2", "4")
        erase(workspace, next(iter(office.texts().values())))
        office.write("010.txt", "A letter to everybody.")
        night("5")
        workspace.catalogue.write(workspace.catalogue.read())  # as an erasure leaves it that is killed
        night("0", "1", "2", "3", "4", "5")


class TestPlaces:
    """Who removes a document opens the parts that may have it, and no others."""

    @pytest.fixture
    def opened(self, office: Office, monkeypatch: pytest.MonkeyPatch) -> set[str]:
        """The parts that were looked through since this set was cleared."""
        found, whole = set[str](), tables.drop_rows

        def watched(path: Path, *more: Any) -> int:
            found.add(path.relative_to(office.workspace.root).as_posix())
            return whole(path, *more)

        monkeypatch.setattr(tables, "drop_rows", watched)
        return found

    def test_an_erasure_opens_the_parts_of_its_shard(self, office: Office, opened: set[str]) -> None:
        office.fill(10)
        office.work()
        doc_id = next(i for text, i in office.texts().items() if "letter 4" in text)
        erased = erase(office.workspace.with_settings(office.settings), doc_id)
        assert opened
        assert {Path(name).name for name in opened} == {"part-00001.parquet"}
        assert (erased.rows, erased.scan.left) == (4, 0)
        assert not [name for name in office.traces(doc_id) if "keys.sqlite" not in name]
        assert [index for _, index in office.work()] == [1, 1]

    def test_so_does_a_changed_document(self, office: Office, opened: set[str]) -> None:
        office.fill(10)
        office.work()
        doc_id = next(i for text, i in office.texts().items() if "letter 4" in text)
        office.write("004.txt", "Mr Walter Pemberton wrote another letter.")
        office.work()
        assert {Path(name).name for name in opened} == {"part-00001.parquet"}
        assert office.traces(doc_id) == []

    @pytest.mark.parametrize(
        "killed", ["before masking", "before the catalogue", "before masking, early version"]
    )
    def test_a_document_that_moved_is_removed_from_both_shards(
        self, office: Office, opened: set[str], monkeypatch: pytest.MonkeyPatch, killed: str
    ) -> None:
        office.fill(10, matters=1)
        office.work()
        workspace = office.workspace.with_settings(office.settings)
        text = (office.source / "000.txt").read_text()
        doc_id = office.texts()[text]
        if "early" in killed:
            workspace.places_file.unlink()
        office.write("000.txt", "A letter to nobody.")
        office.write("004.txt", text)
        if "catalogue" in killed:

            def kill(*_: Any) -> None:
                raise KeyboardInterrupt

            with monkeypatch.context() as patch:
                patch.setattr("lexveil.pipeline.stages.ingest.update_catalogue", kill)
                with pytest.raises(KeyboardInterrupt):
                    ingest(workspace, [office.source])
        else:
            ingest(workspace, [office.source])
        assert "masked/part-00000.parquet" in office.traces(doc_id)
        assert "protected/raw/part-00001.parquet" in office.traces(doc_id)
        opened.clear()
        assert erase(workspace, doc_id).scan.left == 0
        assert not [name for name in office.traces(doc_id) if "keys.sqlite" not in name]
        shards = {Path(name).name for name in opened}
        expected = {f"part-0000{n}.parquet" for n in (range(4) if "catalogue" in killed else (0, 1))}
        assert shards == expected
        office.work()
        assert text not in office.texts()

    def test_duplicates_in_several_shards_go_together(self, office: Office, opened: set[str]) -> None:
        office.fill(10, matters=1)
        text = (office.source / "000.txt").read_text()
        office.write("004.txt", text)
        office.work()
        office.write("007.txt", text)  # a night reads the changed part alone
        office.work()
        office.write("007.txt", "A letter to nobody.")
        office.work()
        doc_id = office.texts()[text]
        opened.clear()
        erase(office.workspace.with_settings(office.settings), doc_id)
        names = {Path(name).name for name in opened}
        assert names == {f"part-0000{n}.parquet" for n in range(3)}
        assert not [name for name in office.traces(doc_id) if "keys.sqlite" not in name]


class TestNewAndChanged:
    def test_a_new_document_redoes_no_finished_shard(self, office: Office) -> None:
        office.fill(10)
        first = office.work()
        assert {index for _, index in first} == {0, 1, 2, 3}
        assert office.work() == []
        office.fill(11)
        assert office.work() == [("ingest", 4), ("find", 4), ("mask", 4)]

    def test_a_changed_file_redoes_its_own_shard_alone(self, office: Office) -> None:
        office.fill(10)
        office.work()
        office.write("004.txt", "Mr Walter Pemberton wrote another letter.")
        assert office.work() == [("ingest", 1), ("find", 1), ("mask", 1)]
        assert len(office.texts()) == 10

    def test_one_that_has_grown_too_large_for_its_shard_goes_behind(self, office: Office) -> None:
        office.fill(7)
        office.settings = office.settings.model_copy(
            update={"ingest": office.settings.ingest.model_copy(update={"shard_bytes": 1000})}
        )
        office.work()
        office.write("001.txt", "Mr Walter Pemberton wrote at length. " * 60)
        assert [index for stage, index in office.work() if stage == "ingest"] == [0, 3]
        assert len(office.texts()) == 7

    def test_a_touched_file_is_looked_at_once(self, office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
        office.fill(4)
        office.work()
        os.utime(office.source / "001.txt", (1, 1))
        assert office.work() == []
        monkeypatch.setattr(
            "lexveil.pipeline.sources.files.SourceFile.digest", lambda file: pytest.fail("read again")
        )
        assert office.work() == []

    def test_a_duplicate_moves_when_the_first_changes(self, office: Office) -> None:
        office.fill(8, matters=7)
        office.write("007.txt", (office.source / "000.txt").read_text())
        office.work()
        assert len(office.texts()) == 7
        office.write("000.txt", "Something else entirely.")
        assert {index for _, index in office.work()} == {0, 2}
        assert len(office.texts()) == 8

    @pytest.mark.parametrize("name", ["all.jsonl", "all.csv"])
    def test_a_file_of_records_that_has_grown_keeps_its_slices(self, office: Office, name: str) -> None:
        def line(n: int, text: str) -> str:
            quoted = json.dumps({"id": str(n), "text": text, "matter": str(n)})
            return quoted if name.endswith("jsonl") else f"{n},{text},{n}"

        head = [] if name.endswith("jsonl") else ["id,text,matter"]
        lines = [line(n, f"The lessee of flat {n} shall pay.") for n in range(9)]
        office.write(name, "\n".join([*head, *lines]) + "\n")
        office.work()
        office.write(name, "\n".join([*head, *lines, line(9, "The lessor too.")]) + "\n")
        assert office.work() == [("ingest", 3), ("find", 3), ("mask", 3)]
        lines[4] = line(4, "The lessee of flat 4 shall pay twice.")  # later records begin elsewhere
        office.write(name, "\n".join([*head, *lines, line(9, "The lessor too.")]) + "\n")
        assert office.work() == [("ingest", 1), ("find", 1), ("mask", 1)]
        assert len(office.texts()) == 10
        assert "The lessor too." in office.texts()

    def test_a_run_that_was_killed_over_its_plan_misses_no_slice(self, office: Office) -> None:
        lines = [json.dumps({"text": f"Clause {n}.", "matter": str(n)}) for n in range(9)]
        office.write("all.jsonl", "\n".join(lines))
        office.work()
        (office.workspace.plan / "00002.sealed").unlink()
        shutil.rmtree(office.workspace.raw)
        office.work()
        assert len(office.texts()) == 9

    def test_a_matter_is_masked_anew_for_its_own_documents_alone(self, tmp_path: Path) -> None:
        office = Office(tmp_path, scope="matter")
        office.fill(12, matters=6)  # shards of the matters 0-2, 3-5, 0-2, 3-5
        office.work()
        office.write("000.txt", "Mrs Ottilie Wharfinger wrote to Mr Walter Pemberton.")
        done = office.work()
        assert [index for stage, index in done if stage == "find"] == [0]
        assert [index for stage, index in done if stage == "mask"] == [0, 2]


class TestForgotten:
    def test_nothing_of_the_former_version_is_left(self, office: Office) -> None:
        office.fill(10)
        office.work()
        before = office.texts()
        old = before[(office.source / "004.txt").read_text()]
        assert len(office.traces(old)) > 4
        office.write("004.txt", "Mr Walter Pemberton wrote another letter.")
        manifest = ingest(office.workspace.with_settings(office.settings), [office.source])
        assert manifest.counts()["forgotten"] == 1
        assert office.traces(old) == []  # before anything is masked anew
        assert office.workspace.with_settings(office.settings).keys.existing_keys([old]) == {}
        (entry,) = office.logged()
        assert (entry["keys"], entry["models"]) == (1, [])
        assert entry["rows"] >= 3

    def test_a_file_that_is_changed_back_comes_in_again(self, office: Office) -> None:
        office.fill(4)
        office.work()
        before = office.texts()
        was = (office.source / "001.txt").read_text()
        key = office.workspace.with_settings(office.settings).keys.existing_keys([before[was]])
        office.write("001.txt", "Another letter.")
        office.work()
        office.write("001.txt", was)
        office.work()
        assert office.texts() == before
        assert office.workspace.with_settings(office.settings).keys.existing_keys([before[was]]) != key

    def test_killed_before_the_catalogue_the_next_run_forgets(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Killed(BaseException):
            pass

        def kill(*arguments: Any) -> None:
            raise Killed

        office.fill(7)
        office.work()
        old = office.texts()[(office.source / "001.txt").read_text()]
        office.write("001.txt", "Another letter.")
        for workspace in (
            "lexveil.pipeline.stages.ingest.remove_vanished",
            "lexveil.pipeline.workspace.catalogue.Catalogue.write",
        ):
            with monkeypatch.context() as patched:
                patched.setattr(workspace, kill)
                with pytest.raises(Killed):
                    ingest(office.workspace.with_settings(office.settings), [office.source])
        office.work()
        assert office.traces(old) == []
        assert len(office.texts()) == 7
        assert office.workspace.with_settings(office.settings).keys.existing_keys([old]) == {}


class TestRemoved:
    def test_what_is_gone_is_kept_unless_told_otherwise(self, office: Office) -> None:
        office.fill(6)
        office.work()
        (office.source / "001.txt").unlink()
        assert office.work() == []
        assert len(office.texts()) == 6

    @pytest.mark.parametrize("redo", ["a neighbor changed", "the code changed", "a setting changed"])
    def test_what_is_gone_is_kept_when_its_shard_is_redone(
        self, office: Office, monkeypatch: pytest.MonkeyPatch, redo: str
    ) -> None:
        """An upgrade redoes every shard, and a drop folder may be empty by then."""
        office.fill(6)
        office.work()
        before = office.texts()
        (office.source / "001.txt").unlink()
        if redo == "a neighbor changed":
            was = (office.source / "000.txt").read_text()
            office.write("000.txt", "Another letter altogether.")
            office.work()
            expected = {text for text in before if text != was} | {"Another letter altogether."}
        else:
            if redo == "the code changed":
                monkeypatch.setattr("lexveil.pipeline.stages.ingest.code_digest", lambda _: "another")
            else:
                ingest_settings = office.settings.ingest.model_copy(update={"max_text_bytes": 1 << 20})
                office.settings = office.settings.model_copy(update={"ingest": ingest_settings})
            assert ("ingest", 0) in office.work()
            expected = set(before)
        assert set(office.texts()) == expected
        assert {before[text] for text in expected & set(before)} <= set(office.texts().values())
        assert office.work() == []

    @pytest.mark.parametrize("changed", [False, True])
    def test_of_an_earlier_version_rows_stay_whose_documents_are_not_read_again(
        self, office: Office, monkeypatch: pytest.MonkeyPatch, changed: bool
    ) -> None:
        office.fill(6)
        office.work()
        expected = set(office.texts())
        for path in office.workspace.raw.glob("part-*.parquet"):  # as they were before rows knew their item
            result, table = tables.read_result(path), tables.read_part(path).drop_columns(["item", "variant"])
            assert result is not None
            tables.write_part(path.parent, Shard(result.index, result.key), table, result.counts)
        (office.source / "001.txt").unlink()
        if changed:  # a neighbor in the same shard, which must be read again
            expected -= {(office.source / "000.txt").read_text()}
            office.write("000.txt", "Another letter altogether.")
            expected |= {"Another letter altogether."}
        monkeypatch.setattr("lexveil.pipeline.stages.ingest.code_digest", lambda _: "another")
        assert [shard for stage, shard in office.work() if stage == "ingest"] == [0, 1]
        assert set(office.texts()) == expected
        assert office.work() == []

    def test_erased_by_policy(self, office: Office) -> None:
        office.fill(6)
        office.work()
        was = (office.source / "001.txt").read_text()
        old = office.texts()[was]
        office.erasing()
        assert office.work() == []  # the policy alone does nothing
        (office.source / "001.txt").unlink()
        assert office.work() == [("ingest", 0), ("find", 0), ("mask", 0)]
        assert (office.traces(old), len(office.texts())) == ([], 5)
        assert office.work() == []
        office.write("001.txt", was)  # no tombstone: nobody asked that it be kept out
        office.work()
        assert office.texts()[was] == old

    def test_a_file_that_was_moved_within_its_folder_stays(self, office: Office) -> None:
        office.fill(6)
        office.erasing()
        office.work()
        before = office.texts()
        (office.source / "005.txt").rename(office.source / "moved.txt")
        rows = (office.source / "metadata.jsonl").read_text().replace("005.txt", "moved.txt")
        office.write("metadata.jsonl", rows)
        office.work()
        assert office.texts() == before
        assert office.logged() == []

    def test_a_source_that_was_not_named_is_not_gone(self, office: Office, tmp_path: Path) -> None:
        office.fill(6)
        office.erasing()
        other = tmp_path / "other"
        shutil.copytree(office.source, other)
        for path in other.glob("*.txt"):
            path.write_text(f"{path.read_text()} A copy.")
        office.work(office.source, other)
        shutil.rmtree(other)
        office.work()
        assert len(office.texts()) == 12

    @pytest.mark.parametrize("left", [0, 2])
    def test_more_than_may_go_at_once_is_refused_and_nothing_is_touched(
        self, office: Office, left: int
    ) -> None:
        office.fill(6)
        office.erasing()
        office.work()
        before = office.texts()
        for path in sorted(office.source.glob("*.txt"))[left:]:
            path.unlink()
        told = rf"of {6 - left} of a source folder's 6 documents"
        with pytest.raises(RemovalRefusedError, match=told) as refused:
            office.work()
        assert str(office.source) not in str(refused.value)
        with pytest.raises(RemovalRefusedError, match=told):  # and before a scheduler is started
            prepare_workspace(office.workspace.root, office.settings, [office.source], False)
        assert office.texts() == before
        office.erasing(removed_share=1.0)
        office.work()
        assert len(office.texts()) == left

    def test_what_cannot_be_looked_at_is_not_gone(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refused(path: Path, **_: Any) -> bool:
            raise PermissionError

        office.fill(6)
        office.erasing()
        office.work()
        (office.source / "001.txt").unlink()
        with monkeypatch.context() as patched:
            patched.setattr(
                "lexveil.pipeline.sources.documents.locate",
                lambda path: type("P", (), {"exists": refused})(),
            )
            office.work()
        assert len(office.texts()) == 6


class TestIdle:
    def finish(self, office: Office, meanwhile: Callable[[], object] = lambda: None) -> None:
        """What a run leaves, without its models."""
        office.work()
        meanwhile()
        (office.workspace.runs).mkdir(exist_ok=True)
        report = office.workspace.runs / "report.html"
        report.write_text("")
        request = make_request(office.workspace.with_settings(office.settings), [office.source])
        close_request(office.workspace, request, {"report": str(report)})

    def test_nothing_new_is_known_from_sizes_and_times(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        office.fill(4)
        office.write("all.jsonl", json.dumps({"text": "A clause.", "matter": "m"}) + "\n")
        assert reuse_last_result(office.workspace.root, office.settings, [office.source]) is None
        self.finish(office)
        monkeypatch.setattr(
            "lexveil.pipeline.sources.files.SourceFile.digest", lambda file: pytest.fail("hashed")
        )
        monkeypatch.setattr("lexveil.pipeline.sources.documents._plan_slices", lambda *_: pytest.fail("read"))
        found = reuse_last_result(office.workspace.root, office.settings, [office.source])
        assert found is not None
        assert found["changed"] is False

    def test_what_comes_while_a_run_works_is_new_to_the_next(self, office: Office) -> None:
        office.fill(4)
        self.finish(office, lambda: office.write("001.txt", "A letter that came late."))
        assert reuse_last_result(office.workspace.root, office.settings, [office.source]) is None
        self.finish(office)
        assert reuse_last_result(office.workspace.root, office.settings, [office.source]) is not None
        assert "A letter that came late." in office.texts()

    @pytest.mark.parametrize("what", ["new", "changed", "gone", "settings", "sidecar"])
    def test_anything_new_is_noticed(self, office: Office, what: str) -> None:
        office.fill(4)
        self.finish(office)
        changes: dict[str, Any] = {
            "new": lambda: office.write("new.txt", "A letter."),
            "changed": lambda: office.write("001.txt", "A letter."),
            "gone": lambda: (office.source / "001.txt").unlink(),
            "settings": lambda: office.erasing(),
            "sidecar": lambda: office.write("metadata.jsonl", '{"file_name": "000.txt", "matter": "m9"}\n'),
        }
        changes[what]()
        assert reuse_last_result(office.workspace.root, office.settings, [office.source]) is None

    def test_fields_are_looked_for_once(self, office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
        office.fill(4)
        self.finish(office)
        office.write("new.txt", "A letter of nobody.")  # without an owner: for the quarantine
        monkeypatch.setattr("lexveil.pipeline.request.check_fields", lambda *_: pytest.fail("looked again"))
        prepare_workspace(office.workspace.root, office.settings, [office.source], True)

    def test_it_loads_no_models(self) -> None:
        """Neither on the command line, before Prefect, nor in a worker that Prefect has started."""
        code = (
            "import sys\nheavy = {'torch', 'transformers', 'presidio_analyzer', 'spacy', 'matplotlib'}\n"
            "import lexveil.pipeline.request\nprint((heavy | {'prefect'}) & sys.modules.keys() or 'light')\n"
            "import lexveil.flows.deployments\nprint(heavy & sys.modules.keys() or 'light')"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == ["light", "light"]
