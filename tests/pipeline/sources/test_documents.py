"""Sources: what is walked, what fields mean, what is refused before any work."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lexveil.pipeline.errors import SourceError
from lexveil.pipeline.records import SourceDocument
from lexveil.pipeline.settings import IngestSettings
from lexveil.pipeline.sources.documents import Rejected, SourceItem, check_fields, read_item, scan_sources
from lexveil.pipeline.sources.files import count_skipped

WriteJsonl = Callable[..., Path]


def read(sources: list[Path], ingest: IngestSettings) -> tuple[list[SourceDocument], list[Rejected]]:
    outcomes = [outcome for item in scan_sources(sources, ingest) for outcome in read_item(item, ingest)]
    return (
        [outcome for outcome in outcomes if isinstance(outcome, SourceDocument)],
        [outcome for outcome in outcomes if isinstance(outcome, Rejected)],
    )


def put(path: Path, text: str = "A text.") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


class TestWalking:
    def test_a_folder_is_walked_in_a_stable_order(self, tmp_path: Path) -> None:
        for name in ("b.txt", "a/z.txt", "a/y.md", ".hidden.txt", ".git/x.txt", "a/.cache/x.txt"):
            put(tmp_path / name)
        names = [
            Path(item.path).relative_to(tmp_path).as_posix()
            for item in scan_sources([tmp_path], IngestSettings())
        ]
        assert names == ["b.txt", "a/y.md", "a/z.txt"]

    def test_a_file_named_twice_is_read_once(self, tmp_path: Path) -> None:
        path = put(tmp_path / "a.txt")
        assert len(scan_sources([path, tmp_path, path], IngestSettings())) == 1

    def test_a_workspace_below_a_source_is_no_source(self, tmp_path: Path) -> None:
        put(tmp_path / "a.txt")
        put(tmp_path / "out" / "workspace.json", "{}")
        (tmp_path / "out" / "protected").mkdir()
        put(tmp_path / "out" / "masked" / "b.txt")
        assert [Path(item.path).name for item in scan_sources([tmp_path], IngestSettings())] == ["a.txt"]

    def test_a_missing_source(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="there is no file or folder"):
            scan_sources([tmp_path / "none"], IngestSettings())

    def test_dangling_links_and_pipes_are_passed_over(self, tmp_path: Path) -> None:
        (tmp_path / "link.txt").symlink_to(tmp_path / "none.txt")
        os.mkfifo(tmp_path / "pipe.txt")
        assert scan_sources([tmp_path], IngestSettings()) == []

    def test_a_link_is_the_file_it_leads_to(self, tmp_path: Path) -> None:
        path = put(tmp_path / "elsewhere" / "a.txt")
        for name in ("one.txt", "two.txt"):
            (put(tmp_path / "in" / ".keep").parent / name).symlink_to(path)
        (item,) = scan_sources([tmp_path / "in"], IngestSettings())
        assert (item.path, item.size) == (str(path), path.stat().st_size)

    def test_a_pipe_is_no_source(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.txt")
        with pytest.raises(SourceError, match="neither a file nor a folder"):
            scan_sources([tmp_path / "pipe.txt"], IngestSettings())

    def test_known_files_are_not_hashed_again(self, tmp_path: Path) -> None:
        path = put(tmp_path / "a.txt")
        (item,) = scan_sources([path], IngestSettings())
        stat = path.stat()
        path.write_text("B text.")
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        assert scan_sources([path], IngestSettings(), {item.path: [item]})[0].digest == item.digest
        assert scan_sources([path], IngestSettings())[0].digest != item.digest

    def test_a_touch_changes_no_identity(self, tmp_path: Path) -> None:
        path = put(tmp_path / "a.txt")
        (item,) = scan_sources([path], IngestSettings())
        os.utime(path, (1, 1))
        assert scan_sources([path], IngestSettings())[0].identity == item.identity


class TestSidecars:
    ROWS = (
        {"file_name": "a.txt", "id": "one", "label": "tax", "owner": "ann", "meta": {"part": "test"}},
        {"file_name": "deep/b.txt", "id": 2, "label": "labour", "owner": "ben", "meta": {"part": "train"}},
    )

    def test_rows_belong_to_their_files(self, tmp_path: Path, write_jsonl: WriteJsonl) -> None:
        for name in ("a.txt", "deep/b.txt", "c.txt"):
            put(tmp_path / name)
        write_jsonl(self.ROWS, "metadata.jsonl")
        found, rejected = read([tmp_path], IngestSettings(split_field="meta.part"))
        about = {d.source_id: (d.owners, d.label, d.split) for d in found}
        assert about == {
            "one": ((), "tax", "test"),
            "2": ((), "labour", "train"),
            "c.txt": ((), None, None),
        }
        assert rejected == []

    def test_csv_does_as_well(self, tmp_path: Path) -> None:
        put(tmp_path / "a.txt")
        put(tmp_path / "metadata.csv", "file_name,id,owner\na.txt,one,ann\n")
        ((document,), rejected) = read([tmp_path], IngestSettings(owner_field="owner"))
        assert (document.source_id, document.owners, rejected) == ("one", ("ann",), [])

    def test_without_file_names_it_is_a_file_of_records(
        self, tmp_path: Path, write_jsonl: WriteJsonl
    ) -> None:
        write_jsonl([{"text": "A text.", "id": 1}], "metadata.jsonl")
        assert len(read([tmp_path], IngestSettings())[0]) == 1

    def test_a_changed_row_is_a_changed_item(self, tmp_path: Path, write_jsonl: WriteJsonl) -> None:
        put(tmp_path / "a.txt")
        write_jsonl(self.ROWS, "metadata.jsonl")
        (before,) = scan_sources([tmp_path], IngestSettings())
        write_jsonl([{**self.ROWS[0], "owner": "eve"}], "metadata.jsonl")
        (after,) = scan_sources([tmp_path], IngestSettings())
        assert before.identity != after.identity


class TestRecords:
    def test_slices_cover_every_record_once(self, write_jsonl: WriteJsonl) -> None:
        path = write_jsonl({"text": f"Text {n}.", "id": n} for n in range(23))
        ingest = IngestSettings(shard_documents=5)
        items = scan_sources([path], ingest)
        assert [item.weight[0] for item in items] == [5, 5, 5, 5, 3]
        assert [d.source_id for d in read([path], ingest)[0]] == [str(n) for n in range(23)]

    def test_dotted_fields_reach_inside(self, write_jsonl: WriteJsonl) -> None:
        record = {"body": {"text": "A text."}, "meta": {"who": {"id": 7}, "class": "tax"}, "uid": 3}
        ingest = IngestSettings(
            text_field="body.text", id_field="uid", owner_field="meta.who.id", label_field="meta.class"
        )
        ((found,), _) = read([write_jsonl([record])], ingest)
        assert (found.text, found.source_id, found.owners, found.label) == ("A text.", "3", ("7",), "tax")

    def test_a_name_with_a_dot_in_it_is_found_too(self, tmp_path: Path) -> None:
        put(tmp_path / "a.csv", "id,text,meta.matter\n1,A text.,m1\n")
        ((found,), _) = read([tmp_path / "a.csv"], IngestSettings(owner_field="meta.matter"))
        assert found.owners == ("m1",)

    def test_why_records_are_rejected(self, tmp_path: Path) -> None:
        lines = [
            json.dumps({"text": "good", "owner": "a"}),
            json.dumps({"text": "no owner"}),
            json.dumps({"text": "blank owner", "owner": "  "}),
            json.dumps({"text": "owner no word", "owner": {"a": 1}}),
            json.dumps({"text": None, "owner": "a"}),
            json.dumps({"text": 7, "owner": "a"}),
            json.dumps({"text": " \n", "owner": "a"}),
            json.dumps({"text": "x" * 101, "owner": "a"}),
            "{broken",
            json.dumps({"text": "also good", "owner": "b"}),
        ]
        put(tmp_path / "a.jsonl", "\n".join(lines))
        found, rejected = read([tmp_path], IngestSettings(owner_field="owner", max_text_bytes=100))
        assert [d.text for d in found] == ["good", "also good"]
        assert [str(r.reason) for r in rejected] == [
            "missing_owner", "missing_owner", "missing_owner", "missing_text", "missing_text", "empty",
            "over_size", "broken",
        ]  # fmt: skip
        assert [r.where.rpartition("#")[2] for r in rejected] == [str(n) for n in range(1, 9)]

    @pytest.mark.parametrize(
        ("name", "content", "reason"),
        [
            ("a.jsonl", b"", "empty"),
            ("a.jsonl.gz", b"no gzip", "wrong_suffix"),
            ("a.parquet", b"PAR1 and nothing", "broken"),
            ("a.xyz", b"what is this", "unsupported"),
            ("a.txt", b"", "empty"),
            ("a.pdf", b"%PDF-1.4 cut", "broken"),
        ],
    )
    def test_why_files_are_rejected(self, tmp_path: Path, name: str, content: bytes, reason: str) -> None:
        (tmp_path / name).write_bytes(content)
        found, rejected = read([tmp_path], IngestSettings())
        assert (found, [str(r.reason) for r in rejected]) == ([], [reason])

    def test_records_before_a_break_are_kept(self, tmp_path: Path) -> None:
        lines = "".join(json.dumps({"text": os.urandom(200).hex()}) + "\n" for _ in range(50))
        (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines.encode())[:-2000])
        found, rejected = read([tmp_path], IngestSettings())
        assert 0 < len(found) < 50
        assert len(rejected) == 1

    def test_items_come_back_from_json(self, tmp_path: Path, write_jsonl: WriteJsonl) -> None:
        put(tmp_path / "a.txt")
        write_jsonl([{"text": "A text."}])
        for item in scan_sources([tmp_path], IngestSettings()):
            again = SourceItem.from_json(json.loads(json.dumps(item.to_json())))
            assert (again, again.identity) == (item, item.identity)

    def test_reprs_name_nobody(self, tmp_path: Path) -> None:
        put(tmp_path / "Wharfinger v Canary.txt")
        ingest = IngestSettings()
        (item,) = scan_sources([tmp_path], ingest)
        shown = repr([item, *read_item(item, ingest), Rejected("broken", item.path, "", "")])
        assert "Wharfinger" not in shown
        assert "A text" not in shown


class TestCheckFields:
    TWO = ({"text": "a", "label": "x", "o": 1}, {"text": "b", "label": "y", "o": 2})
    ONE = ({"text": "a", "label": "x"}, {"text": "b", "label": "x"})

    def check(self, path: Path, need_labels: bool = True, **names: Any) -> None:
        ingest = IngestSettings(**names)
        check_fields(scan_sources([path], ingest), ingest, need_labels)

    def test_what_is_there_passes(self, tmp_path: Path, write_jsonl: WriteJsonl) -> None:
        path = write_jsonl(self.TWO)
        self.check(path, owner_field="o", label_field="label")
        self.check(path)
        self.check(write_jsonl([{"text": "a"}], "b.jsonl"))  # no labels at all: denoising
        self.check(write_jsonl(self.ONE, "c.jsonl"), need_labels=False)
        self.check(put(tmp_path / "single.txt"))

    @pytest.mark.parametrize("kind", ["owner_field", "label_field", "split_field"])
    def test_a_field_that_is_nowhere(self, write_jsonl: WriteJsonl, kind: str) -> None:
        names: dict[str, Any] = {kind: "meta.nowhere"}
        with pytest.raises(SourceError, match=r"meta\.nowhere"):
            self.check(write_jsonl(self.TWO), **names)

    def test_no_text_field(self, write_jsonl: WriteJsonl) -> None:
        with pytest.raises(SourceError, match="--text-field"):
            self.check(write_jsonl(self.TWO), text_field="body")

    @pytest.mark.parametrize("label_field", [None, "label"])
    def test_fewer_than_two_classes(self, write_jsonl: WriteJsonl, label_field: str | None) -> None:
        with pytest.raises(SourceError, match="has 1 class"):
            self.check(write_jsonl(self.ONE), label_field=label_field)

    def test_labels_that_are_no_words(self, write_jsonl: WriteJsonl) -> None:
        with pytest.raises(SourceError, match="has 0 class"):
            self.check(write_jsonl([{"text": "a", "label": {}}]), label_field="label")

    def test_an_owner_field_on_files_without_a_sidecar(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="owner"):
            self.check(put(tmp_path / "a.txt"), owner_field="owner")


def test_each_slice_of_a_large_file_is_a_shard(tmp_path: Path) -> None:
    """Packed together again, they would be one shard of many minutes, and one worker would have it."""
    from lexveil.pipeline.settings import load_settings
    from lexveil.pipeline.sources.plan import make_plan
    from lexveil.pipeline.workspace.workspace import Workspace

    source = tmp_path / "records.jsonl"
    lines = [json.dumps({"id": n, "text": f"{n} " + "word " * 200}) for n in range(100)]
    source.write_text("\n".join(lines) + "\n", encoding="utf-8")
    settings = load_settings(ingest={"shard_bytes": 10_000})
    shards = make_plan(Workspace.create_or_open(tmp_path / "workspace").with_settings(settings), [source])
    assert len(shards) > 5
    assert all(len(items) == 1 for items in shards)


@pytest.mark.parametrize(
    ("record", "field", "text"),
    [
        ({"text": "<p>J&uuml;rgen M&#252;ller <b>J</b>ones.</p>"}, "text", "Jürgen Müller Jones."),
        ({"text": "a < b and c > d; see <p> of the form"}, "text", "a < b and c > d; see <p> of the form"),
        ({"a": {"b": [{"text": "lead"}, {"text": "<i>dissent</i>"}]}}, "a.b.text", "lead\n\ndissent"),
    ],
)
def test_a_text_in_html_or_in_a_list(
    tmp_path: Path, write_jsonl: WriteJsonl, record: dict[str, Any], field: str, text: str
) -> None:
    documents, rejected = read([write_jsonl([record])], IngestSettings(text_field=field))
    assert [document.text for document in documents] == [text]
    assert not rejected


def test_a_hostile_record_costs_only_itself(tmp_path: Path, write_jsonl: WriteJsonl) -> None:
    texts = ["first", "<div>" * 30_000 + "x</div>", "last"]
    documents, rejected = read([write_jsonl([{"text": text} for text in texts])], IngestSettings())
    assert [document.text for document in documents] == ["first", "last"]
    assert [one.reason for one in rejected] == ["broken"]


def test_a_file_that_quotes_markup_keeps_it(tmp_path: Path) -> None:
    documents, _ = read([put(tmp_path / "a.txt", "The tag <b>bold</b> is at issue.")], IngestSettings())
    assert [document.text for document in documents] == ["The tag <b>bold</b> is at issue."]


def test_what_a_folder_hides_is_counted(tmp_path: Path) -> None:
    for name in ("a.txt", ".hidden.txt", ".git/x.txt", "b/.DS_Store", "ws/workspace.json"):
        put(tmp_path / name)
    (tmp_path / "ws" / "protected").mkdir()
    (tmp_path / "dangling.txt").symlink_to(tmp_path / "none.txt")
    (tmp_path / "sound.txt").symlink_to(tmp_path / "a.txt")
    assert count_skipped([tmp_path]) == {"hidden_file": 3, "skipped_link": 1}
    assert count_skipped([tmp_path / "a.txt"]) == {}


def test_a_maildir_is_read_with_its_folders(tmp_path: Path) -> None:
    mail = "From: a@b.org\nSubject: {}\n\nWords.\n"
    for folder in ("", ".Sent/", ".Sent/.Archive/"):
        for inner in ("cur", "new", "tmp"):
            put(tmp_path / f"{folder}{inner}" / f"1700000000.M{inner}.host:2,S", mail.format(inner))
    put(tmp_path / ".notmuch" / "x", "?")
    read_now, _ = read([tmp_path], IngestSettings())
    assert len(read_now) == 6
    assert not [one for one in read_now if "Subject: tmp" in one.text]
