"""Detection and masking of a file without a workspace."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from lexveil.nlp.entity_types import ENTITY_TYPES
from lexveil.pipeline.errors import SourceError
from lexveil.pipeline.masking.standalone import anonymize_file, detect_file
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
    assert row["id"] == "letter.html"
    detect_file(source, tmp_path / "spans.jsonl", load_settings())
    assert [span["type"] for span in rows(tmp_path / "spans.jsonl")[0]["spans"]] == ["EMAIL"]


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
        detect_file(write_jsonl([{"text": "a"}]), out, load_settings(), fail)
    assert out.read_text() == "before"
    assert len(list(tmp_path.iterdir())) == 2


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    source, out = (tmp_path / os.fsdecode(name) for name in (b"kl\xe4ger.txt", b"out\xe4.jsonl"))
    source.write_text("See Miranda v. Arizona.")
    told = detect_file(source, out, load_settings())
    assert rows(out)[0]["id"] == r"kl\xe4ger.txt"
    assert told["output"].endswith(r"out\xe4.jsonl")
