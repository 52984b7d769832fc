from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from lexveil.nlp.readers import Limits, Reason, UnreadableError
from lexveil.nlp.readers.contract import BOMB_FLOOR
from lexveil.nlp.readers.records import Slice, get_field, is_record_file, plan_slices, read_slice
from lexveil.nlp.readers.records_json import ObjectScanner

Write = Callable[[str, bytes], Path]
UNICODE = st.text(st.characters(exclude_categories=["Cs"]))
LINES = b"".join(json.dumps({"text": f"clause {i * 7919 % 9973}"}).encode() + b"\n" for i in range(5000))


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def call(name: str, data: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(pack(name, data))
        return path

    return call


def pack(name: str, data: bytes) -> bytes:
    if name.endswith(".gz"):
        return gzip.compress(data)
    return zstandard.compress(data) if name.endswith(".zst") else data


def read_all(path: Path, limits: Limits | None = None, **plan: int) -> list[Mapping[str, object] | Reason]:
    """Every record by its slices, last slice first, as they may be read in any order by any process."""
    slices = list(plan_slices(path, limits, **plan))
    assert [piece.first for piece in slices] == [sum(s.count for s in slices[:i]) for i in range(len(slices))]
    read = [list(read_slice(path, piece, limits)) for piece in reversed(slices)][::-1]
    assert [len(records) for records in read] == [piece.count for piece in slices]
    return [record for records in read for record in records]


@pytest.mark.parametrize("codec", ["", ".gz", ".zst"])
def test_jsonl_keeps_good_and_names_bad_records(write: Write, codec: str) -> None:
    lines = [
        b'\xef\xbb\xbf{"a": 1}', b"", b"  \r", b"[1]", b"nonsense", b'{"a": "\xff"}', b'{"a": "x\\ud800y"}\r',
        b'{"a": ' + b"[" * 100_000, b'{"a": ' + b"9" * 5000 + b"}", '{"a": "l\u2028s\x85"}'.encode(),
        b'{"a": 2}',
    ]  # fmt: skip
    path = write("r.jsonl" + codec, b"\n".join(lines))
    wanted = [
        {"a": 1}, *[Reason.broken] * 3, {"a": "x\ufffdy"}, Reason.broken, Reason.broken,
        {"a": "l\u2028s\x85"}, {"a": 2},
    ]  # fmt: skip
    for size in (1, 2, 100):
        assert read_all(path, max_records=size) == wanted


def test_a_line_too_long_is_one_record_and_never_held(write: Write) -> None:
    path = write("r.ndjson", b'{"a":1}\n{"a":"' + b"x" * 300_000 + b'"}\n{"a":2}\n' + b"y" * 200_000)
    limits = Limits(max_text_bytes=100_000)
    assert read_all(path, limits, max_records=2) == [{"a": 1}, Reason.over_size, {"a": 2}, Reason.over_size]


@pytest.mark.parametrize("codec", [".gz", ".zst"])
@pytest.mark.parametrize("kept", [0.001, 0.6, 0.9999])
@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_what_came_before_a_break_is_kept(write: Write, suffix: str, codec: str, kept: float) -> None:
    n = 30_000
    line = '{"text": "clause %d"}\n' if suffix == ".jsonl" else "clause %d\n"
    data = "text\n" * (suffix == ".csv") + "".join(line % (i * 7919 % 99991) for i in range(n))
    path = write(f"r{suffix}{codec}", data.encode())
    whole = read_all(path, max_records=n)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    for size in (5000, n + 1):
        *before, last = read_all(path, max_records=size)
        assert last is Reason.broken
        assert before == whole[: len(before)]
        # zstd gives whole blocks of 128 KiB only.
        assert len(before) >= 0.95 * kept * n - (1 << 17) / (len(data) / n)


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_a_bomb_ends_the_file(write: Write, suffix: str) -> None:
    head = b'{"a": "1"}\n{"a": "2"}\n' if suffix == ".jsonl" else b"a\n1\n2\n"
    path = write(f"r{suffix}.zst", head + b"x" * (BOMB_FLOOR + (1 << 22)))
    assert read_all(path) == [{"a": "1"}, {"a": "2"}, Reason.decompression_bomb]


def test_slices_are_bounded_by_bytes_too(write: Write) -> None:
    path = write("r.jsonl", LINES)
    slices = list(plan_slices(path, max_bytes=1000))
    assert sum(piece.count for piece in slices) == 5000
    ends = [piece.offset for piece in slices[1:]] + [len(LINES)]
    assert all(end - piece.offset <= 1100 for piece, end in zip(slices, ends, strict=True))


@pytest.mark.parametrize(
    ("name", "data", "records"),
    [
        ("r.csv", "id,text\n1,a\n2,b\n", [{"id": "1", "text": "a"}, {"id": "2", "text": "b"}]),
        ("r.csv", "id;text\r\n1;a, b\r\n", [{"id": "1", "text": "a, b"}]),
        ("r.tsv", 'id\ttext\n1\t"a\tb"\n', [{"id": "1", "text": "a\tb"}]),
        ("r.csv", '\ufeffid,text\n1,"two\nlines, ""x"""\n', [{"id": "1", "text": 'two\nlines, "x"'}]),
        ("r.csv", "\n\nid,text\n\n1,a\n\n", [{"id": "1", "text": "a"}]),
        ("r.csv", "id,text\n1\n1,2,3\n1,a\n", [Reason.broken, Reason.broken, {"id": "1", "text": "a"}]),
        ("r.csv", "text,text\na,b\n", [{"text": "a", "text.1": "b"}]),
        ("r.csv", 'id,text\n1,"never closed\n2,b\n', [Reason.broken]),
        ("r.csv", 'id,"text\n1,never closed\n', [Reason.broken]),
        ("r.csv", "text\n" + "x" * 200_000 + "\n", [{"text": "x" * 200_000}]),
    ],
)  # fmt: skip
def test_csv(write: Write, name: str, data: str, records: list[object]) -> None:
    assert read_all(write(name, data.encode())) == records


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "gb18030"])
def test_csv_encodings(write: Write, encoding: str) -> None:
    path = write("r.csv", "姓名,文本\n张三,被告人盗窃现金\n".encode(encoding))
    assert read_all(path) == [{"姓名": "张三", "文本": "被告人盗窃现金"}]


def test_csv_row_of_undecodable_bytes(write: Write) -> None:
    path = write("r.csv", b"t\nabc\n" + "张三\n".encode() * 20 + b"\xff\xfe\nend\n")
    assert read_all(path)[-2:] == [Reason.broken, {"t": "end"}]


def test_binary_data_is_no_csv(write: Write) -> None:
    with pytest.raises(UnreadableError, match="wrong_suffix"):
        list(plan_slices(write("r.csv", bytes(range(256)) * 10)))


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "gb18030"])
@pytest.mark.parametrize("codec", ["", ".gz"])
def test_csv_slices_begin_where_their_rows_do(write: Write, encoding: str, codec: str) -> None:
    mark = "é—" if encoding != "gb18030" else "张三说"
    table = "\r\nid,text\r\n" + "".join(f'{i},"{mark * (i % 5)}\n""{i}"""\r\n\n' for i in range(200))
    path = write("r.csv" + codec, table.encode(encoding))
    records = read_all(path, max_records=7)
    assert records == [{"id": str(i), "text": f'{mark * (i % 5)}\n"{i}"'} for i in range(200)]


def test_a_csv_line_too_long_ends_the_file(write: Write) -> None:
    path = write("r.csv", b"t\nabc\n" + b"x" * 5000 + b"\nlost\n")
    assert read_all(path, Limits(max_text_bytes=1000)) == [{"t": "abc"}, Reason.over_size]


@pytest.mark.parametrize("group", [1, 10, 1000])
def test_parquet(tmp_path: Path, group: int) -> None:
    rows = [{"text": f"clause {i}", "meta": {"contract": f"c{i % 3}"}, "n": i} for i in range(130)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "r.parquet", row_group_size=group)
    assert read_all(tmp_path / "r.parquet", max_records=7) == rows
    assert list(read_slice(tmp_path / "r.parquet", Slice(first=128, count=5))) == [
        *rows[128:],
        *[Reason.broken] * 3,
    ]


def test_a_parquet_string_that_is_no_utf8_costs_its_row(tmp_path: Path) -> None:
    array = pa.StringArray.from_buffers(
        2, pa.py_buffer(b"\0\0\0\0\2\0\0\0\4\0\0\0"), pa.py_buffer(b"\xff\xffok")
    )
    pq.write_table(pa.table({"t": array}), tmp_path / "r.parquet")
    assert read_all(tmp_path / "r.parquet") == [Reason.broken, {"t": "ok"}]


def test_a_damaged_parquet_page_costs_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "r.parquet"
    table = pa.table({"t": [f"clause {i * 7919}" for i in range(1000)]})
    pq.write_table(table, path, row_group_size=500, compression="zstd", use_dictionary=False)
    data = bytearray(path.read_bytes())
    data[60:90] = bytes(30)
    path.write_bytes(data)
    records = read_all(path, max_records=100)
    assert records[:500] == [Reason.broken] * 500
    assert records[500:] == table.to_pylist()[500:]


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("r.jsonl", b"", Reason.empty),
        ("r.jsonl", b"\n \n", Reason.empty),
        ("r.csv", b"only,a,header\n", Reason.empty),
        ("r.jsonl", b"%PDF-1.4", Reason.wrong_suffix),
        ("r.parquet", b"PK\x03\x04....", Reason.wrong_suffix),
        ("r.parquet", b"PAR1" + bytes(100), Reason.broken),
        ("r.parquet", b"PARE" + bytes(100), Reason.encrypted),
        ("r.xlsx", b"PK\x03\x04", Reason.unsupported),
        ("r.parquet.gz", b"...", Reason.unsupported),
    ],
)
def test_refused_as_a_whole(write: Write, name: str, data: bytes, reason: Reason) -> None:
    path = write(name, data)
    with pytest.raises(UnreadableError) as caught:
        list(plan_slices(path))
    assert caught.value.reason is reason


def test_codec_that_does_not_match(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl.gz"
    path.write_bytes(b'{"a": 1}\n')
    with pytest.raises(UnreadableError, match="wrong_suffix"):
        list(plan_slices(path))
    with pytest.raises(UnreadableError, match="inaccessible"):
        list(plan_slices(tmp_path / "absent.jsonl"))


def test_names() -> None:
    yes = ["a.jsonl", "A.JSONL.GZ", "a.ndjson.zst", "a.csv", "a.b.tsv.gz", "a.parquet", "a.csv.bz2", "b.json"]
    no = ["a.geojson", "a.txt.gz", "a.parquet.zst", "a.gz", "jsonl"]
    assert [is_record_file(Path(name)) for name in yes + no] == [True] * 8 + [False] * 5


def test_dotted_fields() -> None:
    record = {"a": {"b": {"c": 1}, "b.c": 2}, "a.x": 3, "n": None, "s": "text"}
    names = ["a.b.c", "a.x", "a.b", "n", "n.o", "s.t", "zz", "a.", ""]
    assert [get_field(record, name) for name in names] == [2, 3, {"c": 1}, None, None, None, None, None, None]


@settings(max_examples=60)
@given(
    st.lists(st.tuples(UNICODE, UNICODE), min_size=1, max_size=20),
    st.sampled_from(["r.jsonl", "r.jsonl.gz", "r.csv", "r.csv.zst", "r.tsv", "r.parquet"]),
    st.integers(1, 8),
    st.integers(1, 200),
    st.booleans(),
)
def test_any_records_come_back(
    tmp_path_factory: pytest.TempPathFactory,
    texts: list[tuple[str, str]],
    name: str,
    max_records: int,
    max_bytes: int,
    escaped: bool,
) -> None:
    """Exactly, from every format: offsets must stay those of the file."""
    path = tmp_path_factory.mktemp("any") / name
    rows = [{"id": f"x{first}", "text": second} for first, second in texts]
    if ".parquet" in name:
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=max_records)
    elif ".jsonl" in name:
        lines = [json.dumps(row, ensure_ascii=escaped) for row in rows]
        path.write_bytes(pack(name, "\n".join(lines).encode()))
    else:
        out = io.StringIO(newline="")
        writer = csv.writer(out, delimiter="\t" if ".tsv" in name else ",", quoting=csv.QUOTE_ALL)
        writer.writerows([["id", "text"], *texts_of(rows)])
        path.write_bytes(pack(name, ("\ufeff" + out.getvalue()).encode()))
    assert read_all(path, max_records=max_records, max_bytes=max_bytes) == rows


def texts_of(rows: list[dict[str, str]]) -> list[list[str]]:
    return [list(row.values()) for row in rows]


@pytest.mark.parametrize("name", ["r.jsonl", "r.ndjson", "r.csv", "r.tsv"])
@pytest.mark.parametrize(
    "head",
    [
        b"SQLite format 3\0",
        b"PK\x03\x04",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        b"%PDF-1.7",
        b"PAR1",
        b"\x1f\x8b\x08",
    ],
)
def test_a_renamed_binary_is_no_file_of_records(write: Write, name: str, head: bytes) -> None:
    with pytest.raises(UnreadableError, match=r"^wrong_suffix$"):
        list(plan_slices(write(name, head + b"\n{}\nid,text\n1,a\n" * 20)))


def test_types_of_parquet_come_back_as_pythons(tmp_path: Path) -> None:
    row = {
        "text": "张三诉李四",
        "none": None,
        "date": date(2023, 5, 1),
        "labels": ["contract", "lease"],
        "meta": {"judge": {"name": "Other"}},
        "number": 7,
        "bytes": b"\0\xff",
    }
    pq.write_table(pa.Table.from_pylist([row, {**row, "text": ""}]), tmp_path / "r.parquet")
    records = read_all(tmp_path / "r.parquet")
    assert records == [row, {**row, "text": ""}]
    assert isinstance(records[0], Mapping)
    assert get_field(records[0], "meta.judge.name") == "Other"


def test_a_date_out_of_range_costs_its_row(tmp_path: Path) -> None:
    days = pa.array([0, 10**8, 1], pa.int32()).cast(pa.date32())
    pq.write_table(pa.table({"day": days}), tmp_path / "r.parquet")
    assert read_all(tmp_path / "r.parquet") == [
        {"day": date(1970, 1, 1)},
        Reason.broken,
        {"day": date(1970, 1, 2)},
    ]


@pytest.mark.parametrize(("first", "count"), [(0, 1), (9, 2), (10, 10), (25, 5), (29, 1), (0, 30), (64, 3)])
def test_a_slice_of_parquet_reads_across_row_groups(tmp_path: Path, first: int, count: int) -> None:
    rows = [{"id": number} for number in range(30)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "r.parquet", row_group_size=10)
    expected = [*rows[first : first + count], *[Reason.broken] * count][:count]
    assert list(read_slice(tmp_path / "r.parquet", Slice(first, count))) == expected


def test_a_parquet_file_without_rows_is_empty(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "r.parquet")
    with pytest.raises(UnreadableError, match=r"^empty$"):
        list(plan_slices(tmp_path / "r.parquet"))


@pytest.mark.parametrize("name", ["r.jsonl", "r.csv", "r.jsonl.zst", "r.parquet"])
def test_a_large_record_is_a_slice_by_itself(write: Write, tmp_path: Path, name: str) -> None:
    rows = [{"text": "x" * (50_000 if number == 2 else 10)} for number in range(5)]
    if name == "r.parquet":
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / name, row_group_size=1, compression="none")
    elif ".csv" in name:
        write(name, ("text\n" + "".join(row["text"] + "\n" for row in rows)).encode())
    else:
        write(name, "".join(json.dumps(row) + "\n" for row in rows).encode())
    slices = list(plan_slices(tmp_path / name, max_bytes=10_000))
    assert [piece.count for piece in slices] == [2, 1, 2]
    assert read_all(tmp_path / name, max_bytes=10_000) == rows


def test_json_is_an_array_or_objects_one_after_the_other(write: Write) -> None:
    objects = [{"id": n, "text": 'brace } and "quote" \\ é' * n, "in": {"a": [{}]}} for n in range(40)]
    array = json.dumps(objects, indent=1, ensure_ascii=False)
    spread = "\n".join(json.dumps(one) for one in objects)
    for name, content in (("a.json", array), ("b.json", spread), ("c.json.gz", array)):
        assert read_all(write(name, content.encode()), max_records=7) == objects
    cut = write("d.json", array.encode()[:-40])
    assert read_all(cut) == [*objects[:-1], Reason.broken]
    long = write("e.json", b'[{"a": "' + b"x" * 300_000 + b'"}, {"a": 1}]')
    assert read_all(long, limits=Limits(max_text_bytes=100_000)) == [Reason.over_size, {"a": 1}]


VALUES = st.recursive(st.text(), st.lists, max_leaves=3)


@pytest.mark.slow
@settings(max_examples=60)
@given(st.lists(st.dictionaries(st.text(), VALUES, max_size=3), max_size=5))
def test_json_in_blocks_of_any_size(objects: list[dict[str, object]]) -> None:
    data = json.dumps(objects).encode()
    for size in (1, 7, len(data)):
        scanner = ObjectScanner(1 << 20, 0)
        blocks = [data[start : start + size] for start in range(0, len(data), size)]
        found = [value for block in blocks for _, value in scanner.feed(block)]
        assert [json.loads(value) for value in found if isinstance(value, bytes)] == objects
        assert not scanner.is_inside


@pytest.mark.parametrize(
    "table", ['sep=;\r\nid;text\r\n1;"a; b"\r\n', '"sep=|"\nid|text\n1|a; b\n', "id|text\n1|a; b\n"]
)
def test_delimiters_of_excel_and_of_court_exports(write: Write, table: str) -> None:
    assert read_all(write("a.csv", table.encode())) == [{"id": "1", "text": "a; b"}]


def test_fields_of_each_mapping_of_a_list() -> None:
    case = {"body": {"opinions": [{"text": "lead"}, {"author": "B"}, {"text": "dissent"}, 7]}}
    assert get_field(case, "body.opinions.text") == ["lead", "dissent"]
    assert get_field(case, "body.opinions.date") is None
