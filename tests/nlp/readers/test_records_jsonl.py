"""JSON Lines: offsets of the file, hostile lines, and files that change between planning and reading."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lexveil.nlp.readers import Limits, Reason
from lexveil.nlp.readers.records import Slice, get_field, plan_slices, read_slice
from lexveil.nlp.readers.records_jsonl import iter_lines, parse_record

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@pytest.mark.parametrize(
    ("line", "record"),
    [
        (b'{"a": 1}', {"a": 1}),
        (b'  {"a": 1}\t\r', {"a": 1}),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}),
        (b"{}", {}),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        ('{"姓名": "张三"}'.encode(), {"姓名": "张三"}),
        (b'{"a": "\\u5f20\\u4e09"}', {"a": "张三"}),
        (b'{"a": "\\ud83d\\ude00"}', {"a": "\U0001f600"}),
        (b'{"a": "x\\ud83dy"}', {"a": "x\ufffdy"}),
        (b'{"\\uDC00": ["\\ude00", {"b": "\\ud800"}]}', {"\ufffd": ["\ufffd", {"b": "\ufffd"}]}),
        (b'{"a": "\\\\ud83d"}', {"a": "\\ud83d"}),
        (b'{"a": null, "b": true, "c": 1.5}', {"a": None, "b": True, "c": 1.5}),
        (b'{"a": "\\u0000"}', {"a": "\0"}),
        (b'{"a": 1}{"b": 2}', Reason.broken),
        (b'{"a": 1},', Reason.broken),
        (b"{'a': 1}", Reason.broken),
        (b'{"a": "tab\there"}', Reason.broken),
        (b'{"a": "M\xfcller"}', Reason.broken),
        (b'"text"', Reason.broken),
        (b"null", Reason.broken),
        (b"[" * 50_000, Reason.broken),
        (b'{"a":' * 50_000, Reason.broken),
        (b'{"a": ' + b"1" * 5_000 + b"}", Reason.broken),
        (b"", Reason.broken),
    ],
)  # fmt: skip
def test_one_line_is_one_object_or_broken(line: bytes, record: object) -> None:
    assert parse_record(line) == record


@settings(max_examples=60)
@given(
    st.lists(st.dictionaries(TEXT, TEXT, max_size=3), max_size=12),
    st.booleans(),
    st.sampled_from(["\n", "\n\n", "\r\n"]),
)
def test_lines_are_given_at_their_offsets(records: list[dict[str, str]], escaped: bool, end: str) -> None:
    data = "".join(json.dumps(record, ensure_ascii=escaped) + end for record in records).encode()
    lines = list(iter_lines(io.BytesIO(data), None, Limits(), 0))
    assert [parse_record(line) for _, line in lines if isinstance(line, bytes)] == records
    for offset, line in lines:
        assert isinstance(line, bytes)
        assert data[offset : offset + len(line)] == line
        assert next(iter_lines(io.BytesIO(data), None, Limits(), offset)) == (offset, line)


@pytest.mark.parametrize("size", [1, 100, 65_535, 65_536, 65_537, 200_000])
def test_lines_longer_than_a_block_are_joined(size: int) -> None:
    data = b'{"a": "' + b"x" * size + b'"}\n{"b": 1}'
    (first, long), (second, short) = iter_lines(io.BytesIO(data), None, Limits(), 0)
    assert (first, long) == (0, data.split(b"\n")[0])
    assert (second, short) == (size + 10, b'{"b": 1}')


def test_a_line_at_the_limit_is_read_and_one_byte_more_is_not() -> None:
    limits = Limits(max_text_bytes=20)
    lines = [b"x" * 20, b"y" * 21, b"z" * 19]
    given = [line for _, line in iter_lines(io.BytesIO(b"\n".join(lines)), None, limits, 0)]
    assert given == [lines[0], Reason.over_size, lines[2]]


def test_a_file_that_has_grown_keeps_its_slices(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    lines = [json.dumps({"id": number}) + "\n" for number in range(100)]
    path.write_text("".join(lines[:50]))
    before = list(plan_slices(path, max_records=10))
    path.write_text("".join(lines))
    after = list(plan_slices(path, max_records=10))
    assert after[:5] == before
    assert [piece.digest for piece in after[:5]] == [piece.digest for piece in before]
    assert len({piece.digest for piece in after}) == 10


def test_white_space_around_a_record_does_not_change_its_slice(tmp_path: Path) -> None:
    digests: set[str] = set()
    for number, text in enumerate(
        ['{"a": 1}\n{"a": 2}\n', ' {"a": 1}\r\n\n{"a": 2}  ', '{"a": 1}\n\n\n{"a": 2}\n']
    ):
        path = tmp_path / f"{number}.jsonl"
        path.write_bytes(text.encode())
        digests |= {piece.digest for piece in plan_slices(path)}
    assert len(digests) == 1


def test_slices_of_a_compressed_file_are_those_of_the_plain_one(tmp_path: Path) -> None:
    data = b"".join(
        json.dumps({"id": number, "text": "x" * (number % 97)}).encode() + b"\n" for number in range(500)
    )
    (tmp_path / "r.jsonl").write_bytes(data)
    (tmp_path / "r.jsonl.gz").write_bytes(gzip.compress(data))
    plain, packed = (list(plan_slices(tmp_path / name, max_records=64)) for name in ("r.jsonl", "r.jsonl.gz"))
    assert plain == packed
    for piece in plain:
        assert list(read_slice(tmp_path / "r.jsonl", piece)) == list(
            read_slice(tmp_path / "r.jsonl.gz", piece)
        )


def test_a_slice_that_the_file_no_longer_has_is_all_broken(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text('{"a": 1}\n')
    assert list(read_slice(path, Slice(first=5, count=3, offset=1000))) == [Reason.broken] * 3
    assert list(read_slice(path, Slice(first=0, count=0))) == []


@pytest.mark.parametrize(
    ("dotted", "value"),
    [
        ("text", "plain"),
        ("meta.court", "High Court"),
        ("meta.judge.name", "Lady Justice Other"),
        ("meta.judge", {"name": "Lady Justice Other"}),
        ("a.b", "the whole name"),
        ("a.b.c", None),
        ("list.0", None),
        ("text.length", None),
        ("missing", None),
        ("meta.", None),
        (".text", None),
        ("", None),
    ],
)
def test_fields_by_dotted_names(dotted: str, value: object) -> None:
    record: Mapping[str, object] = {
        "text": "plain",
        "meta": {"court": "High Court", "judge": {"name": "Lady Justice Other"}},
        "a": {"b": "nested"},
        "a.b": "the whole name",
        "list": ["first"],
    }
    assert get_field(record, dotted) == value
