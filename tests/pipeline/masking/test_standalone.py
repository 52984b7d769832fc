"""Detection and masking of a file without a workspace."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import zstandard

from lexveil.nlp.entity_types import ENTITY_TYPES
from lexveil.pipeline.errors import SourceError
from lexveil.pipeline.masking.standalone import FileOptions, anonymize_file, detect_file
from lexveil.pipeline.settings import load_settings

WriteJsonl = Callable[..., Path]
MAIL = "john.wharfinger@example.com"
PHONES_ALONE = {"direct": "keep", "quasi": "keep", "types": {"PHONE": "token"}}
TEXTS = [
    f"Write to {MAIL} or call (212) 555-0144.",
    f"\ufeff\U0001f600 Cafe\u0301\u00a0\u200b\r\nMr John Wharfinger, {MAIL}\r\nwas here.",
    "See Miranda v. Arizona, 384 U.S. 436 (1966).",
    "",
    "王小明诉李四",
]


RULES = load_settings(mask={"detector": "rules"})
RECORDS = [
    {"id": "a", "text": f"Write to {MAIL}.", "court": "BGH", "year": 2020, "meta": {"list": [1]}},
    {"id": "b", "text": 'Nothing, "quoted"\nhere.', "court": None, "year": 2021},
    {"id": "c", "text": 5, "court": "OLG", "year": None},
]


def content(path: Path) -> str:
    data = path.read_bytes()
    match path.suffix:
        case ".gz":
            data = gzip.decompress(data)
        case ".zst":
            data = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read()
        case ".bz2":
            data = bz2.decompress(data)
        case ".xz":
            data = lzma.decompress(data)
        case _:
            pass
    return data.decode("utf-8")


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content(path).split("\n")[:-1]]


@pytest.mark.parametrize("source", [".jsonl", ".jsonl.gz", ".jsonl.zst", ".jsonl.bz2", ".jsonl.xz"])
@pytest.mark.parametrize("target", [".jsonl", ".jsonl.gz", ".jsonl.zst", ".jsonl.bz2", ".jsonl.xz"])
def test_offsets_are_of_the_characters_in_the_file(
    tmp_path: Path, write_jsonl: WriteJsonl, source: str, target: str
) -> None:
    plain = write_jsonl({"id": f"d{n}", "text": text} for n, text in enumerate(TEXTS))
    given = tmp_path / f"in{source}"
    data = plain.read_bytes()
    compress = {"gz": gzip.compress, "zst": zstandard.compress, "bz2": bz2.compress, "xz": lzma.compress}
    if (codec := source.rpartition(".")[2]) in compress:
        data = compress[codec](data)
    given.write_bytes(data)
    out = tmp_path / f"out{target}"
    told = detect_file(given, out, load_settings())
    found = rows(out)
    assert [row["id"] for row in found] == [f"d{n}" for n in range(len(TEXTS))]
    for row, text in zip(found, TEXTS, strict=True):
        for span in row["spans"]:
            assert set(span) == {"start", "end", "type", "score", "recognizer"}
            assert 0 <= span["start"] < span["end"] <= len(text)
            assert span["type"] in ENTITY_TYPES
            assert 0 < span["score"] <= 1
    for place in (0, 1):
        texts = [TEXTS[place][span["start"] : span["end"]] for span in found[place]["spans"]]
        assert MAIL in texts
    assert found[2]["spans"] == found[3]["spans"] == []
    assert told == {
        "documents": 5, "unreadable": 0, "spans": sum(len(row["spans"]) for row in found), "output": str(out),
    }  # fmt: skip


def test_masked_text_and_no_other_field(tmp_path: Path, write_jsonl: WriteJsonl) -> None:
    path = write_jsonl({"id": n, "text": text, "note": MAIL} for n, text in enumerate(TEXTS))
    anonymize_file(path, tmp_path / "out.jsonl", load_settings())
    found = rows(tmp_path / "out.jsonl")
    assert [set(row) for row in found] == [{"id", "text"}] * len(TEXTS)
    assert "wharfinger" not in content(tmp_path / "out.jsonl").lower()
    assert [found[2]["text"], found[3]["text"]] == TEXTS[2:4]
    assert "[EMAIL_1]" in found[0]["text"]


def test_a_single_file_becomes_text_or_a_record(tmp_path: Path) -> None:
    source = tmp_path / "letter.html"
    source.write_text(f"<html><body><p>Write to <b>{MAIL}</b>.</p></body></html>")
    anonymize_file(source, tmp_path / "out.txt", load_settings())
    assert content(tmp_path / "out.txt").strip() == "Write to [EMAIL_1]."
    anonymize_file(source, tmp_path / "out.jsonl", load_settings())
    (row,) = rows(tmp_path / "out.jsonl")
    assert row["id"] == 1  # its name may say who the parties are
    detect_file(source, tmp_path / "spans.jsonl", load_settings())
    (row,) = rows(tmp_path / "spans.jsonl")
    assert row["id"] == "letter.html"
    assert [span["type"] for span in row["spans"]] == ["EMAIL"]


def test_records_that_cannot_be_read_keep_their_place(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(
        '{"id": "a", "text": "A text."}\n{broken\n{"id": "c", "text": 5}\n{"id": "d", "text": "x"}\n'
    )
    told = detect_file(path, tmp_path / "out.jsonl", load_settings())
    assert [row.get("error") for row in rows(tmp_path / "out.jsonl")] == [
        None,
        "broken",
        "missing_text",
        None,
    ]
    assert (told["documents"], told["unreadable"]) == (2, 2)


def test_named_fields_and_slices(tmp_path: Path, write_jsonl: WriteJsonl) -> None:
    path = write_jsonl({"meta": {"key": n}, "body": {"text": TEXTS[0]}} for n in range(5))
    fields = {"text_field": "body.text", "id_field": "meta.key", "shard_documents": 2}
    detect_file(path, tmp_path / "out.jsonl", load_settings(ingest=fields))
    assert [row["id"] for row in rows(tmp_path / "out.jsonl")] == list(range(5))


def test_only_the_types_that_are_asked_for(tmp_path: Path, write_jsonl: WriteJsonl) -> None:
    path = write_jsonl([{"text": TEXTS[0]}])
    detect_file(path, tmp_path / "out.jsonl", load_settings(mask=PHONES_ALONE))
    assert {span["type"] for span in rows(tmp_path / "out.jsonl")[0]["spans"]} == {"PHONE"}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("in.jsonl.gz", b"no gzip at all"),
        ("in.jsonl", b""),
        ("in.pdf", b"%PDF-1.4 cut"),
        ("in.xyz", b"what"),
        ("in.parquet", b"PAR1"),
    ],
)
def test_what_cannot_be_read_leaves_nothing(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    for convert in (detect_file, anonymize_file):
        with pytest.raises(SourceError):
            convert(tmp_path / name, tmp_path / "out.jsonl", load_settings())
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_missing_files_and_folders(tmp_path: Path, write_jsonl: WriteJsonl) -> None:
    with pytest.raises(SourceError, match="no file"):
        detect_file(tmp_path / "none.jsonl", tmp_path / "out.jsonl", load_settings())
    with pytest.raises(SourceError, match="cannot write"):
        detect_file(write_jsonl([{"text": "a"}]), tmp_path / "none" / "out.jsonl", load_settings())


def test_the_old_output_stands_until_the_new_is_whole(tmp_path: Path, write_jsonl: WriteJsonl) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("before")

    def fail(work: Any, batches: Any) -> Any:
        yield work(next(iter(batches)))
        raise SourceError("stopped")

    with pytest.raises(SourceError, match="stopped"):
        detect_file(write_jsonl([{"text": "a"}]), out, load_settings(), fail, FileOptions(overwrite=True))
    assert out.read_text() == "before"
    assert len(list(tmp_path.iterdir())) == 2


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    source, out = (tmp_path / os.fsdecode(name) for name in (b"kl\xe4ger.txt", b"out\xe4.jsonl"))
    source.write_text("See Miranda v. Arizona.")
    told = detect_file(source, out, load_settings())
    assert rows(out)[0]["id"] == r"kl\xe4ger.txt"
    assert told["output"].endswith(r"out\xe4.jsonl")


def table(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    if path.suffix == ".json":
        return json.loads(path.read_text(encoding="utf-8"))
    with path.open(encoding="utf-8", newline="") as file:
        return [*csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ",")]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet", ".json"])
def test_records_are_written_in_the_format_that_the_name_says(
    tmp_path: Path, write_jsonl: WriteJsonl, suffix: str
) -> None:
    source, out = write_jsonl(RECORDS), tmp_path / f"out{suffix}"
    anonymize_file(source, out, RULES, options=FileOptions(keep=("court", "year", "meta.list")))
    found = table(out)
    assert [row["id"] for row in found] == ["a", "b", "c"]
    assert found[0]["text"] == "Write to [EMAIL_1]."
    assert found[1]["text"] == RECORDS[1]["text"]
    assert [row.get("error") or None for row in found] == [None, None, "missing_text"]
    assert [row.get("court") or None for row in found] == ["BGH", None, "OLG"]
    assert [str(row.get("year") or "") for row in found] == ["2020", "2021", ""]
    assert found[0]["meta.list"] == ("[1]" if suffix in (".csv", ".tsv") else [1])
    detect_file(source, out, RULES, options=FileOptions(overwrite=True))
    (span,) = json.loads(spans) if isinstance(spans := table(out)[0]["spans"], str) else spans
    assert (span["start"], span["end"], span["type"]) == (9, 9 + len(MAIL), "EMAIL")


def test_a_table_is_read_again_as_it_was_written(tmp_path: Path, write_jsonl: WriteJsonl) -> None:
    anonymize_file(write_jsonl(RECORDS[:2]), tmp_path / "a.csv.gz", RULES)
    anonymize_file(tmp_path / "a.csv.gz", tmp_path / "b.parquet", RULES)
    anonymize_file(tmp_path / "b.parquet", tmp_path / "c.jsonl", RULES)
    assert rows(tmp_path / "c.jsonl") == [
        {"id": "a", "text": "Write to [EMAIL_1]."}, {"id": "b", "text": RECORDS[1]["text"]},
    ]  # fmt: skip


def test_kept_columns_of_changing_types_fit_parquet(tmp_path: Path, write_jsonl: WriteJsonl) -> None:
    values = [None] * 300 + [1] * 300 + [2.5]
    source = write_jsonl({"text": "a", "n": n, "mixed": n or "none"} for n in values)
    anonymize_file(source, tmp_path / "out.parquet", RULES, options=FileOptions(keep=("n", "mixed")))
    found = table(tmp_path / "out.parquet")
    assert [row["n"] for row in found] == values
    assert {row["mixed"] for row in found} == {"none", "1", "2.5"}


@pytest.mark.parametrize(
    ("keep", "says"),
    [
        ("text", "contains the text"), ("body", "contains the text"), ("other", "contains the text"),
        ("copies", "contains the text"), ("id", "already"), ("none", "no record has"),
    ],
)  # fmt: skip
def test_no_kept_field_brings_the_text_back(
    tmp_path: Path, write_jsonl: WriteJsonl, keep: str, says: str
) -> None:
    text = f"Write to {MAIL}, or do not write at all: nobody will read it."
    source = write_jsonl([{"body": {"text": text}, "other": text, "copies": [{"html": f"<p>{text}</p>"}]}])
    settings = load_settings(ingest={"text_field": "body.text"}, mask={"detector": "rules"})
    with pytest.raises(SourceError, match=says):
        anonymize_file(source, tmp_path / "out.jsonl", settings, options=FileOptions(keep=(keep,)))
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.parametrize(
    ("source", "target", "given", "says"),
    [
        ("in.jsonl", "out.xyz", None, "known suffix"),
        ("in.jsonl", "out", None, "known suffix"),
        ("in.jsonl", "out.txt", None, "records are not text"),
        ("in.jsonl", "out.parquet.gz", None, "known suffix"),
        ("in.jsonl", "out.csv", "parquet", "out.csv is csv"),
        ("in.jsonl", "out.csv", "docx", "unknown format"),
        ("letter.txt", "out.docx", None, "known suffix"),
        ("letter.txt", "letter.txt", None, "the same file"),
    ],
)
def test_a_format_that_nothing_tells_is_refused(
    tmp_path: Path, write_jsonl: WriteJsonl, source: str, target: str, given: str | None, says: str
) -> None:
    write_jsonl(RECORDS, "in.jsonl")
    (tmp_path / "letter.txt").write_text(f"Write to {MAIL}.")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(SourceError, match=says):
        anonymize_file(
            tmp_path / source, tmp_path / target, RULES, options=FileOptions(given, overwrite=True)
        )
    assert sorted(tmp_path.iterdir()) == before


def test_a_format_is_given_for_a_name_that_tells_none(tmp_path: Path, write_jsonl: WriteJsonl) -> None:
    source = write_jsonl(RECORDS).rename(tmp_path / "export.42")
    anonymize_file(source, tmp_path / "out.csv", RULES, options=FileOptions("jsonl"))
    assert table(tmp_path / "out.csv")[0]["text"] == "Write to [EMAIL_1]."
    anonymize_file(source, tmp_path / "out", RULES, options=FileOptions("jsonl"))
    assert rows(tmp_path / "out")[0]["text"] == "Write to [EMAIL_1]."
    with pytest.raises(SourceError, match="spans are not text"):
        detect_file(source, tmp_path / "spans.txt", RULES, options=FileOptions("jsonl"))


def test_a_language_may_be_given(tmp_path: Path) -> None:
    source = tmp_path / "a.txt"
    source.write_text("Tel.: 030 1234567")
    german = load_settings(mask={"detector": "rules", "language": "de"})
    told = anonymize_file(source, tmp_path / "out.txt", german)
    assert (told["spans"], told["to_review"]) == (1, 0)
    russian = load_settings(mask={"detector": "rules", "language": "ru"})
    told = anonymize_file(source, tmp_path / "out2.txt", russian)
    assert told["to_review"] == 1  # no detector serves it


class TestFolders:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        source = tmp_path / "Roe v Doe"
        (source / "Jane Roe").mkdir(parents=True)
        (source / "Jane Roe" / "Roe.html").write_text(f"<html><p>Write to {MAIL}.</p></html>")
        (source / "Jane Roe" / "Roe.txt").write_text(f"Call {MAIL}.")
        (source / "broken.pdf").write_bytes(b"%PDF-1.4 cut")
        (source / "log.csv").write_text(f"id,text,court\n1,Ask {MAIL}.,BGH\n")
        (source / ".hidden").write_text("x")
        return source

    @staticmethod
    def written(folder: Path) -> dict[str, str]:
        return {
            str(path.relative_to(folder)): path.read_text(encoding="utf-8")
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

    def test_a_folder_keeps_its_structure_and_no_name(self, folder: Path, tmp_path: Path) -> None:
        out, index = tmp_path / "out", tmp_path / "index.csv"
        told = anonymize_file(folder, out, RULES, options=FileOptions(keep=("court",), index=index))
        assert self.written(out) == {
            "file-2.csv": "id,text,error,court\n1,Ask [EMAIL_1].,,BGH\n",
            "folder-1/file-3.txt": "Write to [EMAIL_1].",
            "folder-1/file-4.txt": "Call [EMAIL_1].",
        }
        assert (told["files"], told["documents"], told["unreadable"], told["skipped"]) == (4, 3, 1, 1)
        with index.open(encoding="utf-8", newline="") as file:
            listed = [tuple(row.values()) for row in csv.DictReader(file)]
        assert listed == [
            ("broken.pdf", "", "broken"),
            ("log.csv", "file-2.csv", ""),
            ("Jane Roe/Roe.html", "folder-1/file-3.txt", ""),
            ("Jane Roe/Roe.txt", "folder-1/file-4.txt", ""),
        ]
        modes = {path.stat().st_mode & 0o077 for path in (out, index, *out.rglob("*"))}
        assert modes == {0}

    def test_names_stay_on_request_and_for_spans(self, folder: Path, tmp_path: Path) -> None:
        named = {"Jane Roe/Roe.html", "Jane Roe/Roe.txt", "log"}
        anonymize_file(folder, tmp_path / "a", RULES, options=FileOptions(keep_names=True))
        assert set(self.written(tmp_path / "a")) == {"Jane Roe/Roe.html.txt", "Jane Roe/Roe.txt", "log.csv"}
        detect_file(folder, tmp_path / "d", RULES, options=FileOptions("jsonl"))
        found = self.written(tmp_path / "d")
        assert {name.removesuffix(".jsonl").removesuffix(".csv") for name in found} == named
        assert json.loads(found["Jane Roe/Roe.txt.jsonl"])["id"] == "Jane Roe/Roe.txt"

    def test_a_folder_is_whole_or_not_there(self, folder: Path, tmp_path: Path) -> None:
        def fail(work: Any, batches: Any) -> Any:
            yield work(next(iter(batches)))
            raise SourceError("stopped")

        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "mine").write_text("before")
        with pytest.raises(SourceError, match="--overwrite replaces it"):
            anonymize_file(folder, tmp_path / "out", RULES)
        with pytest.raises(SourceError, match="stopped"):
            anonymize_file(folder, tmp_path / "out", RULES, fail, FileOptions(overwrite=True))
        assert sorted(path.name for path in tmp_path.iterdir()) == ["Roe v Doe", "out"]
        assert self.written(tmp_path / "out") == {"mine": "before"}
        anonymize_file(folder, tmp_path / "out", RULES, options=FileOptions(overwrite=True))
        assert "mine" not in self.written(tmp_path / "out")

    @pytest.mark.parametrize(
        ("target", "options", "says"),
        [
            ("Roe v Doe/out", FileOptions(), "overlaps"),
            (".", FileOptions(overwrite=True), "overlaps"),
            ("log.txt", FileOptions(overwrite=True), "is a folder, but"),
            ("out", FileOptions(index=Path("out/index.csv")), "passed on"),
            ("out", FileOptions("txt"), "neither records"),
            ("out", FileOptions(keep=("none",)), "no record has"),
        ],
    )
    def test_what_is_wrong_is_refused(
        self,
        folder: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        target: str,
        options: FileOptions,
        says: str,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Path("log.txt").write_text("before")
        with pytest.raises(SourceError, match=says):
            anonymize_file(folder, Path(target), RULES, options=options)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["Roe v Doe", "log.txt"]

    def test_an_empty_folder_and_a_file_for_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        with pytest.raises(SourceError, match="no document"):
            anonymize_file(tmp_path / "empty", tmp_path / "out", RULES)
        (tmp_path / "a.txt").write_text("x")
        with pytest.raises(SourceError, match="is a folder"):
            anonymize_file(tmp_path / "a.txt", tmp_path / "empty", RULES)
