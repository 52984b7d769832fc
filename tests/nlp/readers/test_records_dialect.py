"""Tables and JSON as court systems, spreadsheets, databases and e-discovery write them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from lexveil.nlp.readers import Reason, UnreadableError
from lexveil.nlp.readers.records import find_fields, get_field, is_record_file, plan_slices, read_slice

Records = list[Mapping[str, object] | Reason]


def read(path: Path, data: bytes, max_records: int = 256) -> Records:
    """All records by their slices, last slice first, as any process may read them."""
    path.write_bytes(data)
    pieces = list(plan_slices(path, max_records=max_records))
    slices = [list(read_slice(path, piece)) for piece in reversed(pieces)]
    return [record for records in reversed(slices) for record in records]


ONE = [{"id": "1", "text": "a"}]


@pytest.mark.parametrize(
    ("table", "records"),
    [
        ("Export of 3 May 2020\n\nid,text\n1,a\n", ONE),
        ("Export of 3 May 2020\nid,text\n1,a\n", ONE),
        ("Export of 3 May 2020,\n,\nid,text\n1,a\n", ONE),
        ("\n\nDocket\nas of today\n\nid;text\n1;a\n", ONE),
        ("Docket\n\nid;text\n1;a\n", ONE),
        ("Smith, Jones LLP\n\nid,text,court\n1,a,b\n", [{**ONE[0], "court": "b"}]),
        ('Export of 3 May\nid,text\n1,"a\nb, c"\n', [{"id": "1", "text": "a\nb, c"}]),
        ("Export of 3 May 2020\nid,text\n", None),
        # Nothing of these is a title.
        ("text\nHello,world\n", [Reason.broken]),
        ("The text\nThe court, by its judge\nrules, at last\n", [Reason.broken] * 2),
        ("id,text\n\n1,a\n", ONE),
        ("id,text\n1,The court, by its judge\n2,rules, at last\n", [Reason.broken] * 2),
        ("id,,\n1,2,3\n", [{"id": "1", "": "2", ".1": "3"}]),
    ],
)
def test_title_lines_before_the_header_are_skipped(
    tmp_path: Path, table: str, records: Records | None
) -> None:
    if records is None:
        with pytest.raises(UnreadableError, match="empty"):
            read(tmp_path / "r.csv", table.encode())
    else:
        assert read(tmp_path / "r.csv", table.encode()) == records


@pytest.mark.parametrize(
    ("table", "records"),
    [
        ("id,text\n1,a,\n2,b,,,\n", [{"id": "1", "text": "a"}, {"id": "2", "text": "b"}]),
        ("id,text,\n1,a\n2,b,\n", [{"id": "1", "text": "a", "": ""}, {"id": "2", "text": "b", "": ""}]),
        ("id,text\n1,a,b\n2\n", [Reason.broken, Reason.broken]),
        ("id,,text\n1,a\n", [Reason.broken]),
    ],
)
def test_empty_cells_at_the_end_of_a_row_do_not_matter(tmp_path: Path, table: str, records: Records) -> None:
    assert read(tmp_path / "r.csv", table.encode()) == records


def test_quotes_escaped_by_a_backslash(tmp_path: Path) -> None:
    rows = [f'{number},"He said \\"yes, on C:\\\\{number}\\",\nthen \\"no\\""\n' for number in range(40)]
    records = read(tmp_path / "r.csv", ("id,text\n" + "".join(rows)).encode(), max_records=7)
    assert records == [
        {"id": str(number), "text": f'He said "yes, on C:\\{number}",\nthen "no"'} for number in range(40)
    ]


def test_a_backslash_in_a_usual_table_stays(tmp_path: Path) -> None:
    table = '"id","text"\n"1","C:\\files\\"\n"2","\\""yes\\"""\n'
    expected = [{"id": "1", "text": "C:\\files\\"}, {"id": "2", "text": '\\"yes\\"'}]
    assert read(tmp_path / "r.csv", table.encode()) == expected


def test_a_table_as_postgresql_copies_it(tmp_path: Path) -> None:
    table = 'id\ttext\tcourt\n1\tHe said "yes\\nand\\tno\\\\\t\\N\n2\tb\tc\n'
    first, second = read(tmp_path / "r.tsv", table.encode())
    assert first == {"id": "1", "text": 'He said "yes\nand\tno\\', "court": ""}
    assert second == {"id": "2", "text": "b", "court": "c"}


@pytest.mark.parametrize("delimiter", ["\x14", "¶", ","])
@pytest.mark.parametrize("encoding", ["cp1252", "utf-8", "utf-8-sig", "utf-16", "cp1250"])
def test_load_files_of_e_discovery(tmp_path: Path, delimiter: str, encoding: str) -> None:
    name = "Jürgen Müller" if encoding == "cp1252" else "Małgorzata Wiśniewska"
    rows = [["DOCID", "text"]] + [[f"A-{n}", f"The order of {name},®in full, No. {n}."] for n in range(30)]
    table = "".join(delimiter.join(f"þ{cell}þ" for cell in row) + "\r\n" for row in rows)
    if encoding == "cp1250":
        table = table.replace("þ", "ţ")  # the marks are bytes
    data = table.encode(encoding)
    records = read(tmp_path / "load.DAT", data, max_records=8)
    assert records == [
        {"DOCID": f"A-{n}", "text": f"The order of {name},\nin full, No. {n}."} for n in range(30)
    ]


def test_a_dat_that_is_no_load_file_is_unsupported(tmp_path: Path) -> None:
    for data in (b"id,text\n1,a\n", b"\x78\x9f\x3e\x22" + bytes(200)):
        with pytest.raises(UnreadableError, match=r"unsupported|wrong_suffix"):
            read(tmp_path / "r.dat", data)
    assert not is_record_file(tmp_path / "winmail.dat")


@pytest.mark.parametrize("encoding", ["cp1252", "cp1250", "cp1251", "utf-16", "utf-16-le", "utf-8-sig"])
@pytest.mark.parametrize("name", ["r.jsonl", "r.json"])
def test_json_in_other_encodings(tmp_path: Path, name: str, encoding: str) -> None:
    word = {"cp1250": "Małgorzata Wiśniewska", "cp1251": "Решение суда"}.get(
        encoding, "Der Kläger Jürgen Müller"
    )
    objects = [{"id": n, "text": f"{word} {n}"} for n in range(50)]
    lines = [json.dumps(one, ensure_ascii=False) for one in objects]
    text = "\n".join(lines) if name.endswith("l") else f"[{', '.join(lines)}]"
    assert read(tmp_path / name, text.encode(encoding), max_records=6) == objects


def test_a_letter_after_the_first_mebibyte_is_read(tmp_path: Path) -> None:
    data = b'{"text": "plain"}\n' * 70_000 + '{"text": "Jürgen Müller, Kläger"}\n'.encode("cp1252")
    assert read(tmp_path / "r.jsonl", data, max_records=70_000)[-1] == {"text": "Jürgen Müller, Kläger"}


def test_a_damaged_line_of_utf_8_costs_only_itself(tmp_path: Path) -> None:
    lines = ['{"text": "Jürgen Müller"}'.encode()] * 20
    records = read(tmp_path / "r.jsonl", b"\n".join([*lines, b'{"text": "J\xfcrgen"}', *lines]))
    assert records.count(Reason.broken) == 1
    assert len(records) == 41


@pytest.mark.parametrize(
    "head", ['{"count": 3, "next": null, "results":', '{"data" :', '{\n"took": 1.5, "items":']
)
def test_the_records_of_an_answer_stand_in_its_array(tmp_path: Path, head: str) -> None:
    records = [{"id": n, "text": "a]}", "parts": [[n], {"x": "]"}]} for n in range(9)]
    answer = f'{head} {json.dumps(records)}, "meta": {{"page": 1}}, "more": [{{"a": 1}}]}}'
    assert read(tmp_path / "r.json", answer.encode(), max_records=2) == records


def test_one_document_with_parts_is_one_record(tmp_path: Path) -> None:
    document = {"id": 1, "text": "the whole", "documents": [{"text": "a"}, {"text": "b"}]}
    assert read(tmp_path / "r.json", json.dumps(document).encode()) == [document]


@pytest.mark.parametrize("layout", [None, 2])
def test_json_lines_by_name_only(tmp_path: Path, layout: int | None) -> None:
    objects = [{"id": n, "text": "a"} for n in range(5)]
    assert read(tmp_path / "r.jsonl", json.dumps(objects, indent=layout).encode()) == objects
    spread = "\n".join(json.dumps(one, indent=2) for one in objects)
    assert read(tmp_path / "s.jsonl", spread.encode()) == objects


@pytest.mark.parametrize(
    ("record", "text"),
    [
        ({"casebody": {"data": {"opinions": [{"text": "a"}, {"text": "b"}]}}}, ["a", "b"]),
        ({"casebody": {"opinions": [{"text": "a"}]}}, ["a"]),
        ({"html_with_citations": "", "plain_text": "a", "html": "<p>a</p>"}, "a"),
        ([{"model": "cases.case", "fields": {"content": "<p>a</p>"}}], "<p>a</p>"),
        ({"content": "a", "text": "b"}, "b"),
        ({"content": "a", "text": None}, None),
        ({"content": {"x": 1}, "plain_text": "a"}, "a"),
        ({"body": "a"}, None),  # of no collection: named with --text-field
        ({"title": "a"}, None),
    ],
)
def test_the_text_is_found_where_collections_of_courts_keep_it(
    tmp_path: Path, record: object, text: object
) -> None:
    (read_record,) = read(tmp_path / "r.json", json.dumps(record).encode())
    assert isinstance(read_record, Mapping)
    assert get_field(read_record, "text") == text


def test_facts_of_records_of_the_collections_of_courts() -> None:
    case = {
        "name": "Roe v. Doe", "decision_date": "1920-05-03", "docket_number": "12",
        "court": {"id": 7, "name": "Supreme Court"}, "parties": ["Jane Roe", "John Doe"], "type": None,
    }  # fmt: skip
    assert find_fields(case) == {
        "title": "Roe v. Doe", "date": "1920-05-03", "number": "12", "court": "Supreme Court",
        "parties": "Jane Roe; John Doe",
    }  # fmt: skip
    assert find_fields({"text": "x", "court": {"id": 7}, "name": {"a": 1}}) == {}
