"""Slides."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Mapping

import pytest

from lexveil.nlp.readers import Reason
from lexveil.nlp.readers.contract import Note
from lexveil.nlp.readers.documents import read_content_documents
from tests.nlp.readers.compound_file import build_compound_file
from tests.nlp.readers.test_workbooks import OFFICE, relations, zipped

Read = Callable[..., str]
Refusal = Callable[..., Reason]
SPACES = (
    'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" '
    'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
    f'xmlns:r="{OFFICE}" xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006"'
)


def shape(*paragraphs: str) -> str:
    return f"<p:sp><p:txBody>{''.join(paragraphs)}</p:txBody></p:sp>"


def paragraph(*runs: str) -> str:
    return f"<a:p>{''.join(f'<a:r><a:t>{run}</a:t></a:r>' for run in runs)}</a:p>"


def pptx(first: str, second: str, notes: str = "", more: Mapping[str, str | bytes] | None = None) -> bytes:
    return zipped(
        {
            "_rels/.rels": relations(
                ("officeDocument", "ppt/presentation.xml"), ("core-properties", "core.xml")
            ),
            "core.xml": '<c xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Opening</dc:title></c>',
            "ppt/presentation.xml": f'<p:presentation {SPACES}><p:sldIdLst><p:sldId id="256" r:id="r1"/>'
            '<p:sldId id="257" r:id="r0"/></p:sldIdLst></p:presentation>',
            "ppt/_rels/presentation.xml.rels": relations(
                ("slide", "slides/b.xml"), ("slide", "slides/a.xml")
            ),
            "ppt/slides/a.xml": f"<p:sld {SPACES}>{first}</p:sld>",
            "ppt/slides/b.xml": f"<p:sld {SPACES}>{second}</p:sld>",
            "ppt/slides/_rels/a.xml.rels": relations(
                ("notesSlide", "../notes/n.xml"),
                ("image", "../media/i.png"),
                ("package", "../embeddings/t.txt"),
            ),
            "ppt/notes/n.xml": f"<p:notes {SPACES}>{notes}</p:notes>",
            "ppt/media/i.png": b"...",
            **(more or {}),
        }
    )


def test_slides_come_in_order_with_tables_groups_and_notes(read: Read) -> None:
    table = f"<a:tbl><a:tr><a:tc>{paragraph('Costs')}</a:tc><a:tc>{paragraph('120')}</a:tc></a:tr></a:tbl>"
    number = '<a:p><a:fld type="slidenum"><a:t>1</a:t></a:fld></a:p>'
    alternatives = (
        f"<mc:AlternateContent><mc:Choice>{paragraph('once')}</mc:Choice>"
        f"<mc:Fallback>{paragraph('once')}</mc:Fallback></mc:AlternateContent>"
    )
    group = f"<p:grpSp><p:grpSp>{shape(paragraph('Judge Aber', 'nathy'))}</p:grpSp></p:grpSp>"
    first = f"{group}{table}{shape(number)}"
    data = pptx(first, shape(alternatives), notes=shape(paragraph("Ask Mr Doe")))
    assert read("a.pptx", data) == "Judge Abernathy\nCosts\t120\nAsk Mr Doe\n\nonce"
    assert read("a.ppt", data) == read("a.pptx", data)  # by its content


def test_embedded_documents_are_documents_and_pictures_are_counted(refusal: Refusal) -> None:
    data = pptx(shape(paragraph("Text")), "", more={"ppt/embeddings/t.txt": b"the embedded text"})
    slides, embedded = read_content_documents("a.pptx", data)
    assert slides.text == "Text\n\n[attachment]"
    assert slides.fields == {"title": "Opening"}
    assert slides.notes == {Note.unread_picture: 1}
    assert embedded.text == "the embedded text"
    assert refusal("a.pptx", pptx("", "")) == Reason.needs_ocr


def test_what_is_refused(refusal: Refusal) -> None:
    data = pptx(shape(paragraph("Text" * 100)), "")
    assert refusal("a.pptx", data[:-200]) == Reason.broken
    assert refusal("a.pptx", b"text") == Reason.wrong_suffix


def test_slides_of_the_old_format(read: Read, refusal: Refusal) -> None:
    def record(kind: int, body: bytes, options: int = 0) -> bytes:
        return struct.pack("<HHI", options, kind, len(body)) + body

    first = record(0x0FA0, "Opening of Małgorzata\r\nand others".encode("utf-16-le"))
    second = record(0x0FA8, "For Müller".encode("cp1252"))
    master = record(0x03F8, record(0x0FA8, b"Click to edit"), 0xF)
    stream = record(0x03E8, master + record(0x0FF0, first + second + second, 0xF), 0xF)
    data = build_compound_file({"PowerPoint Document": stream})
    assert read("a.ppt", data) == "Opening of Małgorzata\n\nand others\nFor Müller"
    assert read("a.doc", data) == read("a.ppt", data)
    hidden = build_compound_file({"PowerPoint Document": stream, "EncryptedSummary": b"x"})
    assert refusal("a.ppt", hidden) == Reason.encrypted


@pytest.mark.slow
def test_embedded_documents_and_pictures_of_the_old_format(refusal: Refusal) -> None:
    def record(kind: int, body: bytes, options: int = 0) -> bytes:
        return struct.pack("<HHI", options, kind, len(body)) + body

    inner = build_compound_file({"Package": b"{\\rtf1 The embedded text}"})
    packed = struct.pack("<I", len(inner)) + zlib.compress(inner)
    macros = build_compound_file({"VBA": {"_VBA_PROJECT": b"x"}})
    slide = record(0x03E8, record(0x0FA8, b"Opening"), 0xF)
    stream = slide + record(0x1011, packed, 0x10) + record(0x1011, inner) + record(0x1011, macros)
    pictures = record(0xF01D, b"x" * 30, 0x46A0) + record(0xF01E, b"x" * 20, 0x6E00)
    parts = {"PowerPoint Document": stream, "Pictures": pictures}
    slides, first, second = read_content_documents("a.ppt", build_compound_file(parts))
    assert slides.text == "Opening\n\n[attachment]\n\n[attachment]"
    assert slides.notes == {Note.unread_picture: 2}
    assert {first.text, second.text} == {"The embedded text"}
    alone = build_compound_file({"PowerPoint Document": record(0x03E8, b"", 0xF), "Pictures": pictures})
    assert refusal("a.ppt", alone) == Reason.needs_ocr
    bomb = struct.pack("<I", 1 << 27) + zlib.compress(bytes(1 << 27))
    found = refusal("a.ppt", build_compound_file({"PowerPoint Document": record(0x1011, bomb, 0x10)}))
    assert found == Reason.decompression_bomb


def test_a_slide_that_is_not_there_is_counted() -> None:
    more = {
        "ppt/_rels/presentation.xml.rels": relations(("slide", "slides/none.xml"), ("slide", "slides/a.xml"))
    }
    (reading,) = read_content_documents(
        "a.pptx",
        pptx(shape(paragraph("Opening")), "", more=more),
    )
    assert "Opening" in str(reading.text)
    assert reading.notes[Note.unread_page] == 1
