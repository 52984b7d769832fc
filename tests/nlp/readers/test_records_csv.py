"""CSV and TSV as spreadsheets, databases and court systems export them."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lexveil.nlp.readers import Limits, Reason, UnreadableError
from lexveil.nlp.readers.records import plan_slices, read_slice

Records = list[Mapping[str, object] | Reason]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "r.csv"


def read(path: Path, data: bytes | str, limits: Limits | None = None) -> Records:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return [record for piece in plan_slices(path, limits) for record in read_slice(path, piece, limits)]


@pytest.mark.parametrize(
    ("data", "records"),
    [
        ("id,text\r\n1,a\r\n", [{"id": "1", "text": "a"}]),
        ("id,text\r1,a\r2,b\r", [{"id": "1", "text": "a"}, {"id": "2", "text": "b"}]),
        ("id,text\n1,a", [{"id": "1", "text": "a"}]),
        ('"id","text"\n"1",""\n', [{"id": "1", "text": ""}]),
        ('id,text\n1,"say ""yes"""\n', [{"id": "1", "text": 'say "yes"'}]),
        ('id,text\n1,"a\r\nb\rc\nd"\n', [{"id": "1", "text": "a\r\nb\rc\nd"}]),
        ("id,text\n1, padded \n", [{"id": "1", "text": " padded "}]),
        ("id\ttext\n1\ta, b; c\n", [{"id": "1", "text": "a, b; c"}]),
        ("id;text;sum\n1;a;1,50\n", [{"id": "1", "text": "a", "sum": "1,50"}]),
        ("text\nonly one column\n", [{"text": "only one column"}]),
        ("id,,\n1,a,b\n", [{"id": "1", "": "a", ".1": "b"}]),
        ("a,a,a.1,a\n1,2,3,4\n", [{"a": "1", "a.1": "2", "a.1.1": "3", "a.2": "4"}]),
        ("id,text\n1,a,x\n2,b\n", [Reason.broken, {"id": "2", "text": "b"}]),
        ("id,text\n,\n", [{"id": "", "text": ""}]),
        ('id,text\n1,it\'s "quoted" inside\n', [{"id": "1", "text": 'it\'s "quoted" inside'}]),
        ("姓名;文本\n张三;被告\n", [{"姓名": "张三", "文本": "被告"}]),
        ("id,text\n1,=HYPERLINK(A1)\n", [{"id": "1", "text": "=HYPERLINK(A1)"}]),
        ("id,text\n007,1e5\n", [{"id": "007", "text": "1e5"}]),
        ("id,text\n1,\u2028line\u2029\n", [{"id": "1", "text": "\u2028line\u2029"}]),
    ],
)
def test_tables_from_the_field(table: Path, data: str, records: Records) -> None:
    assert read(table, data) == records


def test_the_suffix_tsv_decides_the_delimiter(table: Path) -> None:
    path = table.with_suffix(".tsv")
    assert read(path, "id\ttext, more; and more\n1\ta\n") == [{"id": "1", "text, more; and more": "a"}]


def test_quotes_in_the_header_do_not_confuse_the_delimiter(table: Path) -> None:
    assert read(table, '"a;b;c;d;e",text\n1,x\n') == [{"a;b;c;d;e": "1", "text": "x"}]


def test_an_unclosed_quote_does_not_hand_rows_of_others_to_one_owner(table: Path) -> None:
    rows = "".join(f"{number},Text of owner {number}\n" for number in range(50))
    records = read(table, f'id,text\n0,sound\n1,"never closed\n{rows}')
    assert records == [{"id": "0", "text": "sound"}, Reason.broken]


def test_thousands_of_columns_without_a_name_take_no_time(table: Path) -> None:
    (record,) = read(table, ("," * 4_000) + "\n" + ",".join(map(str, range(4_001))) + "\n")
    assert isinstance(record, Mapping)
    assert len(record) == 4_001
    assert (record[""], record[".1"], record[".4000"]) == ("0", "1", "4000")


def test_a_line_is_bounded(table: Path) -> None:
    limits = Limits(max_text_bytes=1000)
    assert read(table, "t\nabc\n" + "x" * 1001 + "\n", limits) == [{"t": "abc"}, Reason.over_size]
    assert read(table, "t\n" + "x" * 999 + "\n", limits) == [{"t": "x" * 999}]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "gb18030"])
def test_the_encoding_is_found_from_the_first_special_letter_on(table: Path, encoding: str) -> None:
    special = "张三诉李四" if encoding == "gb18030" else "Müller – £5"
    text = "id,text\n" + "".join(f"{number},plain\n" for number in range(2_000)) + f"last,{special}\n"
    records = read(table, text.encode(encoding))
    assert records[-1] == {"id": "last", "text": special}
    assert records[0] == {"id": "0", "text": "plain"}
    assert len(records) == 2_001


def test_a_binary_table_is_refused_as_a_whole(table: Path) -> None:
    for data in (b"SQLite format 3\0" + bytes(500), b"PK\x03\x04" + bytes(500), bytes(range(256)) * 8):
        with pytest.raises(UnreadableError, match=r"^wrong_suffix$"):
            read(table, data)


def test_a_table_that_has_grown_keeps_its_slices(table: Path) -> None:
    rows = [f"{number},text {number}\n" for number in range(100)]
    table.write_text("id,text\n" + "".join(rows[:40]))
    before = list(plan_slices(table, max_records=10))
    table.write_text("id,text\n" + "".join(rows))
    after = list(plan_slices(table, max_records=10))
    assert [piece.digest for piece in after[:4]] == [piece.digest for piece in before]
    assert after[:4] == before
    assert len(after) == 10
    table.write_text("id,text\n" + "".join(rows).replace("text 3\n", "text X\n"))
    changed = list(plan_slices(table, max_records=10))
    assert [piece.digest == other.digest for piece, other in zip(changed, after, strict=True)] == [False] + [
        True
    ] * 9


def test_a_table_that_has_shrunk_gives_reasons_for_what_is_missing(table: Path) -> None:
    table.write_text("id,text\n" + "".join(f"{number},a\n" for number in range(20)))
    (whole,) = plan_slices(table)
    table.write_text("id,text\n0,a\n1,a\n")
    assert (
        list(read_slice(table, whole))
        == [{"id": "0", "text": "a"}, {"id": "1", "text": "a"}] + [Reason.broken] * 18
    )


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)


@settings(max_examples=40)
@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=10), st.sampled_from([",", ";", "\t"]))
def test_what_pythons_own_writer_writes_comes_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], delimiter: str
) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerows([("first", "second"), *rows])
    path = tmp_path_factory.mktemp("csv") / "r.csv"
    expected = [{"first": first, "second": second} for first, second in rows]
    assert read(path, "\ufeff" + out.getvalue()) == expected
