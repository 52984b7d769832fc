"""Workbooks: XLSX, XLS, ODS, and what is no workbook but has its name."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable, Mapping

import pytest

from lexveil.nlp.readers import Limits, Reason
from lexveil.nlp.readers.contract import Note
from lexveil.nlp.readers.documents import read_content_documents
from tests.nlp.readers.compound_file import Tree, build_compound_file

Read = Callable[..., str]
Refusal = Callable[..., Reason]
SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"


def zipped(parts: Mapping[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def relations(*targets: tuple[str, str]) -> str:
    rows = "".join(
        f'<Relationship Id="r{number}" Type="{OFFICE}/{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(targets)
    )
    return f'<Relationships xmlns="{PACKAGE}">{rows}</Relationships>'


def xlsx(*rows: str, strings: str = "", styles: str = "", state: str = "visible", **more: str) -> bytes:
    return zipped(
        {
            "_rels/.rels": relations(("officeDocument", "xl/workbook.xml")),
            "xl/workbook.xml": f'<workbook xmlns="{SHEET}" xmlns:r="{OFFICE}"><sheets>'
            f'<sheet name="Parties" r:id="r0" state="{state}"/><sheet name="Blank" r:id="r1"/></sheets>'
            "</workbook>",
            "xl/_rels/workbook.xml.rels": relations(
                ("worksheet", "worksheets/sheet1.xml"), ("worksheet", "worksheets/sheet2.xml"),
                ("sharedStrings", "sharedStrings.xml"), ("styles", "styles.xml"),
            ),
            "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{SHEET}"><sheetData>{"".join(rows)}'
            "</sheetData></worksheet>",
            "xl/worksheets/sheet2.xml": f'<worksheet xmlns="{SHEET}"><sheetData/></worksheet>',
            "xl/sharedStrings.xml": f'<sst xmlns="{SHEET}">{strings}</sst>',
            "xl/styles.xml": f'<styleSheet xmlns="{SHEET}">{styles}</styleSheet>',
            **more,
        }
    )  # fmt: skip


def test_cells_of_all_kinds(read: Read) -> None:
    runs = "<r><t>Aber</t></r><r><t>nathy</t></r>"
    strings = f"<si><t>Judge </t><phoneticPr/><rPh><t>no</t></rPh></si><si>{runs}</si>"
    styles = (
        '<numFmts><numFmt numFmtId="164" formatCode="[$-407]d\\. mmm yy"/>'
        '<numFmt numFmtId="165" formatCode="0 &quot;days&quot;"/></numFmts>'
        '<cellStyleXfs><xf numFmtId="14"/></cellStyleXfs>'
        '<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="164"/><xf numFmtId="165"/></cellXfs>'
    )
    rows = (
        '<row><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c><c r="D1" t="s"><v>7</v></c></row>',
        '<row r="9"><c r="A9" t="inlineStr"><is><t>typed\nin</t></is></c>'
        '<c r="D9" t="str"><f>A1</f><v>result</v></c></row>',
        '<row><c s="1"><v>43954</v></c><c s="2"><v>43954.75</v></c><c s="3"><v>43954</v></c>'
        '<c t="b"><v>1</v></c></row>',
        "<row><c><v>0.1</v></c><c><v>12.300000000000001</v></c><c><v>1.23456789012345E+15</v></c>"
        '<c t="e"><v>#N/A</v></c></row>',
    )
    assert read("a.xlsx", xlsx(*rows, strings=strings, styles=styles)).split("\n") == [
        "Parties",
        "Judge\tAbernathy",
        "typed in\t\t\tresult",
        "2020-05-03\t2020-05-03 18:00:00\t43954\tTRUE",
        "0.1\t12.3\t1234567890123450",
    ]


def test_hidden_sheets_are_counted_and_text_boxes_are_text(read: Read, refusal: Refusal) -> None:
    row = '<row><c t="inlineStr"><is><t>hidden name</t></is></c></row>'
    space = "http://schemas.openxmlformats.org/drawingml/2006/main"
    drawing = f'<a:x xmlns:a="{space}"><a:p><a:r><a:t>In a box</a:t></a:r></a:p></a:x>'
    more = {
        "xl/worksheets/_rels/sheet2.xml.rels": relations(("drawing", "../drawings/d.xml")),
        "xl/drawings/d.xml": drawing,
    }
    (reading,) = read_content_documents("a.xlsx", xlsx(row, state="hidden", **more))
    assert reading.text == "Blank\nIn a box"
    assert reading.notes == {Note.hidden_text: 1}
    assert refusal("a.xlsx", xlsx()) == Reason.empty


def test_a_sheet_that_is_not_there_is_counted() -> None:
    more = {"xl/_rels/workbook.xml.rels": relations(("worksheet", "worksheets/sheet1.xml"))}
    (reading,) = read_content_documents("a.xlsx", xlsx('<row><c t="str"><v>Judge</v></c></row>', **more))
    assert (reading.text, reading.notes) == ("Parties\nJudge", {Note.unread_page: 1})


def test_a_few_cells_do_not_fill_the_memory(read: Read, refusal: Refusal) -> None:
    far = '<row><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>2</v></c></row>'
    assert read("a.xlsx", xlsx(far)).split() == ["Parties", "1", "2"]
    shared = f"<si><t>{'x' * 30_000}</t></si>"
    rows = '<row><c t="s"><v>0</v></c></row>' * 20_000
    assert (
        refusal("a.xlsx", xlsx(rows, strings=shared), Limits(max_text_bytes=50 << 20))
        == Reason.decompression_bomb
    )


def record(kind: int, body: bytes) -> bytes:
    return struct.pack("<HH", kind, len(body)) + body


def test_pictures_and_embedded_files_of_a_workbook_are_counted_and_read() -> None:
    row = '<row><c t="inlineStr"><is><t>Plan</t></is></c></row>'
    more = {
        "xl/worksheets/_rels/sheet1.xml.rels": relations(
            ("drawing", "../drawings/d.xml"), ("package", "../embeddings/t.txt"), ("image", "../media/b.png")
        ),
        "xl/drawings/d.xml": '<a:x xmlns:a="a"/>',
        "xl/drawings/_rels/d.xml.rels": relations(("image", "../media/a.png"), ("image", "../media/a.png")),
        "xl/media/a.png": "x", "xl/media/b.png": "x", "xl/embeddings/t.txt": "the embedded text",
    }  # fmt: skip
    sheet, embedded = read_content_documents("a.xlsx", xlsx(row, **more))
    assert sheet.text == "Parties\nPlan\n\n[attachment]"
    assert sheet.notes == {Note.unread_picture: 2}
    assert embedded.text == "the embedded text"


def art(kind: int, body: bytes, options: int) -> bytes:
    return struct.pack("<HHI", options, kind, len(body)) + body


def test_pictures_and_embedded_files_of_an_old_workbook_are_counted_and_read() -> None:
    drawings = art(0xF000, art(0xF006, bytes(16), 0) + art(0xF001, bytes(40), 3 << 4 | 0xF), 0xF)
    # Longer than a record may be.
    more = record(0xEB, drawings[:20]) + record(0x3C, drawings[20:])
    objects: Tree = {
        "MBD0001": {"Package": b"{\\rtf1 The embedded text}"},
        "MBD0002": {"WordDocument": b"x"},
        "_VBA_PROJECT_CUR": {"PROJECT": b"x"},
    }
    sheet, embedded = read_content_documents(
        "a.xls", xls({(0, 0): "Plan"}, more=(more, b""), objects=objects)
    )
    assert sheet.text == "Parties\nPlan\n\n[attachment]"
    assert sheet.notes == {Note.unread_picture: 3, Note.unread_attachment: 1}
    assert embedded.text == "The embedded text"


def xls(
    cells: Mapping[tuple[int, int], str | float],
    box: str = "",
    encrypted: bool = False,
    more: tuple[bytes, bytes] = (b"", b""),
    objects: Tree | None = None,
) -> bytes:
    """A workbook of one sheet, in BIFF8; `more` are records of the workbook, and of the sheet."""
    begin = struct.pack("<HHHHII", 0x0600, 5, 0, 0, 0, 6)
    sheet = record(0x809, struct.pack("<HHHHII", 0x0600, 0x10, 0, 0, 0, 6))
    for (row, column), value in cells.items():
        if isinstance(value, str):
            body = struct.pack("<HHHHB", row, column, 0, len(value), 1) + value.encode("utf-16-le")
            sheet += record(0x204, body)
        else:
            sheet += record(0x203, struct.pack("<HHHd", row, column, 0, value))
    if box:
        sheet += record(0x1B6, struct.pack("<HH6xHH4x", 0, 0, len(box), 16))
        sheet += record(0x3C, b"\x01" + box.encode("utf-16-le"))
    sheet += more[1] + record(0x0A, b"")
    name = b"Parties"
    file_pass = record(0x2F, struct.pack("<HHH", 1, 1, 1) + bytes(48)) if encrypted else b""
    head = record(0x809, begin) + file_pass + record(0xE0, bytes(20)) + more[0]
    length = len(head) + 4 + 8 + len(name) + 4
    bound = record(0x85, struct.pack("<IBBBB", length, 0, 0, len(name), 0) + name)
    stream = (head + bound + record(0x0A, b"") + sheet).ljust(4096, b"\0")
    return build_compound_file({"Workbook": stream, **(objects or {})})


def test_an_old_workbook(read: Read, refusal: Refusal) -> None:
    data = xls({(0, 0): "Jürgen Müller", (0, 2): 7.0, (2, 1): 1234567890123450.0}, box="In a box")
    assert read("a.xls", data) == "Parties\nJürgen Müller\t\t7\n\t1234567890123450\n\nIn a box"
    assert read("a.xlsx", data) == read("a.xls", data)
    assert refusal("a.xls", xls({(0, 0): "x"}, encrypted=True)) == Reason.encrypted
    assert refusal("a.xls", data[:700]) in (Reason.broken, Reason.wrong_suffix)


def test_cells_of_an_old_workbook_of_all_kinds(read: Read) -> None:
    # Two shared strings, the second of which goes on in the next record, in another width, after a run.
    first = struct.pack("<HB", 5, 0) + b"Judge"
    second = struct.pack("<HBH", 9, 8 | 1, 1) + "Małg".encode("utf-16-le")
    rest = b"\x00orzat" + b"\0" * 4
    strings = record(0xFC, struct.pack("<II", 2, 2) + first + second) + record(0x3C, rest)
    dates = record(0x41E, struct.pack("<HHB", 164, 8, 0) + b"d. mmm y") + record(
        0xE0, struct.pack("<HH", 0, 164)
    )
    epoch = record(0x22, b"\0\0") + record(0x42, struct.pack("<H", 1200))

    def packed(value: int, is_whole: bool = True, is_cents: bool = False) -> int:
        return (value << 2 & 0xFFFFFFFF) | 2 * is_whole | is_cents

    shared = record(0xFD, struct.pack("<HHHI", 0, 0, 0, 0)) + record(0xFD, struct.pack("<HHHI", 0, 1, 0, 1))
    shared += record(0xFD, struct.pack("<HHHI", 0, 2, 0, 99))
    number = record(0x27E, struct.pack("<HHHI", 1, 0, 0, packed(-5))) + record(
        0x27E, struct.pack("<HHHI", 1, 1, 0, packed(12345, is_cents=True))
    )
    many = record(0xBD, struct.pack("<HHHIHIH", 2, 0, 1, packed(43954), 0, packed(7), 1))
    result = record(0x06, struct.pack("<HHH", 3, 0, 0) + b"\0" * 6 + b"\xff\xff") + record(
        0x207, struct.pack("<HB", 6, 0) + b"result"
    )
    truth = record(0x06, struct.pack("<HHH", 3, 1, 0) + b"\1\0\1\0\0\0\xff\xff")
    error = record(0x205, struct.pack("<HHHBB", 3, 2, 0, 42, 1)) + record(
        0x205, struct.pack("<HHHBB", 3, 3, 0, 0, 0)
    )
    data = xls({}, more=(epoch + dates + strings, shared + number + many + result + truth + error))
    assert read("a.xls", data).split("\n") == [
        "Parties", "Judge\tMałgorzat", "-5\t123.45", "2020-05-03\t7", "result\tTRUE\t\tFALSE",
    ]  # fmt: skip


def test_far_cells_and_long_strings_of_an_old_workbook_are_bounded(read: Read, refusal: Refusal) -> None:
    assert read("a.xls", xls({(0, 0): "a", (65_535, 255): "b"})).split() == ["Parties", "a", "b"]
    text = record(0xFC, struct.pack("<II", 1, 1) + struct.pack("<HB", 8000, 0) + b"x" * 8000)
    cells = b"".join(record(0xFD, struct.pack("<HHHI", row, 0, 0, 0)) for row in range(3000))
    data = xls({}, more=(text, cells))
    assert refusal("a.xls", data, Limits(max_text_bytes=10 << 20)) == Reason.decompression_bomb


ODF = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "table", "text")
)


def test_a_workbook_of_opendocument(read: Read) -> None:
    cells = "<table:table-cell><text:p>{}</text:p></table:table-cell>"
    table = (
        f'<table:table table:name="Parties"><table:table-row>{cells.format("Judge")}<table:table-cell/>'
        f"{cells.format('Abernathy')}</table:table-row></table:table><table:table table:name='Blank'/>"
    )
    body = f"<office:body><office:spreadsheet>{table}</office:spreadsheet></office:body>"
    content = f"<office:document-content {ODF}>{body}</office:document-content>"
    meta = (
        f'<office:document-meta {ODF} xmlns:dc="http://purl.org/dc/elements/1.1/"><office:meta>'
        "<dc:title>Costs</dc:title><dc:creator>A. Clerk</dc:creator></office:meta></office:document-meta>"
    )
    data = zipped(
        {
            "mimetype": "application/vnd.oasis.opendocument.spreadsheet",
            "content.xml": content,
            "meta.xml": meta,
        }
    )
    assert read("a.ods", data) == "Parties\nJudge\t\tAbernathy"
    (reading,) = read_content_documents("a.xls", data)
    assert reading.fields == {"title": "Costs", "author": "A. Clerk"}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"<html><table><tr><td>Judge</td><td>Abernathy</td></tr></table></html>", "Judge\tAbernathy"),
        (
            b"MIME-Version: 1.0\r\nContent-Type: multipart/related;\r\n boundary=A\r\n\r\n--A\r\n"
            b"Content-Type: text/html\r\n\r\n<html><p>Judge Abernathy</p></html>\r\n--A--\r\n",
            "Judge Abernathy",
        ),
        (b"Judge\tAbernathy\r\n1\t2", "Judge\tAbernathy\n1\t2"),
        (
            b'<?xml version="1.0"?><Workbook><Row><Cell>Judge</Cell><Cell>Abernathy</Cell></Row></Workbook>',
            "Judge\tAbernathy",
        ),
        (xlsx('<row><c t="inlineStr"><is><t>Judge</t></is></c></row>'), "Parties\nJudge"),
    ],
)
def test_what_has_the_name_of_a_workbook_is_read_as_what_it_is(read: Read, content: bytes, text: str) -> None:
    assert read("a.xls", content) == text


def binary_record(kind: int, body: bytes = b"") -> bytes:
    head = bytes([kind]) if kind < 0x80 else bytes([kind & 0x7F | 0x80, kind >> 7])
    size = bytes([len(body) & 0x7F | 0x80, len(body) >> 7]) if len(body) > 0x7F else bytes([len(body)])
    return head + size + body


def binary_text(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode("utf-16-le")


def xlsb(*cells: tuple[int, bytes], state: int = 0, strings: str = "SharedStrings") -> bytes:
    rows = b"".join(binary_record(kind, body) for kind, body in cells)
    sheets = b"".join(
        binary_record(156, struct.pack("<II", hidden, number) + binary_text(f"r{number}") + binary_text(name))
        for number, (name, hidden) in enumerate((("Parties", state), ("Secret", 1)))
    )
    styles = [
        binary_record(44, struct.pack("<H", 170) + binary_text("dd/mm/yyyy")),
        binary_record(47, bytes(16)), binary_record(617), binary_record(47, bytes(16)),
        binary_record(47, struct.pack("<HH", 0, 170) + bytes(12)), binary_record(618),
    ]  # fmt: skip
    return zipped(
        {
            "_rels/.rels": relations(("officeDocument", "xl/workbook.bin")),
            "xl/workbook.bin": binary_record(131) + sheets,
            "xl/_rels/workbook.bin.rels": relations(
                ("worksheet", "worksheets/sheet1.bin"), ("worksheet", "worksheets/sheet2.bin"),
                ("sharedStrings", "sharedStrings.bin"), ("styles", "styles.bin"),
            ),
            "xl/worksheets/sheet1.bin": rows,
            "xl/worksheets/sheet2.bin": rows,
            f"xl/{strings}.bin": binary_record(19, b"\0" + binary_text("Jane Roe" + " x" * 80)),
            "xl/styles.bin": b"".join(styles),
        }
    )  # fmt: skip


def test_cells_of_a_binary_workbook_of_all_kinds() -> None:
    """The reference to the shared strings has other letters than their part."""
    cells = [
        (0, struct.pack("<I", 4)),
        (7, struct.pack("<III", 0, 0, 0)),
        (2, struct.pack("<III", 2, 1, 43_831 << 2 | 2)),
        (5, struct.pack("<IId", 3, 0, 1.5)),
        (17, struct.pack("<I", 0) + binary_text("Doe")),
        (0, struct.pack("<I", 2)),
        (6, struct.pack("<II", 1, 0) + binary_text("Ann\nOther")),
        (62, struct.pack("<II", 2, 0) + b"\0" + binary_text("rich")),
        (4, struct.pack("<IIB", 3, 0, 1)),
        (3, struct.pack("<IIB", 4, 0, 7)),
        (8, struct.pack("<II", 5, 0) + binary_text("sum")),
        (9, struct.pack("<IId", 6, 0, 3)),
        (10, struct.pack("<IIB", 7, 0, 0)),
    ]
    (reading,) = read_content_documents("a.xlsb", xlsb(*cells))
    assert reading.text == (
        "Parties\n\tAnn Other\trich\tTRUE\t\tsum\t3\tFALSE\nJane Roe" + " x" * 80 + "\t\t2020-01-01\t1.5\tDoe"
    )
    assert reading.notes == {Note.hidden_text: 1}


def test_a_binary_workbook_that_is_none_or_grows(read: Read, refusal: Refusal) -> None:
    row = (0, struct.pack("<I", 0xFFFFFFFF))
    far = (6, struct.pack("<II", 16_000, 0) + binary_text("far"))
    assert read("a.xlsb", xlsb(row, far)).endswith("far")
    many = [(7, struct.pack("<III", number, 0, 0)) for number in range(999)]
    assert refusal("a.xlsb", xlsb(row, *many), Limits(max_text_bytes=9_000)) is Reason.decompression_bomb
    assert refusal("a.xlsb", xlsb(row, (7, b""), (5, b"\0"))) is Reason.broken
    assert refusal("a.xlsb", xlsb(row, far, state=2)) is Reason.empty
    assert "a\tb" in read("a.xlsb", b"a\tb\n")
