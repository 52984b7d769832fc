"""Documents inside of office documents that cannot be read: the document around them is read all the same."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Literal

import pytest

from lexveil.nlp.readers import Limits, Reason
from lexveil.nlp.readers.documents import read_content_documents
from tests.nlp.readers.compound_file import build_compound_file
from tests.nlp.readers.conftest import OFFICE
from tests.nlp.readers.test_odt import NAMESPACES, odt
from tests.nlp.readers.test_pptx import paragraph, pptx, shape
from tests.nlp.readers.test_workbooks import relations, xls, xlsx, zipped

Failure = Literal["checksum", "password", "method", "bomb"]
REASONS: dict[Failure, Reason] = {
    "checksum": Reason.broken,
    "password": Reason.encrypted,
    "method": Reason.unsupported,
    "bomb": Reason.decompression_bomb,
}
DRAW = (
    'xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0" '
    'xmlns:xlink="http://www.w3.org/1999/xlink"'
)
WORD = (
    f'<w:p><w:r><w:t>The order</w:t></w:r></w:p><w:p><w:r><w:object><o:OLEObject xmlns:r="{OFFICE}" '
    'xmlns:o="urn:schemas-microsoft-com:office:office" Type="Embed" r:id="e"/></w:object></w:r></w:p>'
)
ROW = '<row><c t="inlineStr"><is><t>The order</t></is></c></row>'
CONTENT = f"<office:document-content {NAMESPACES}><office:body><office:text/></office:body>"


@pytest.fixture
def office(docx: Callable[..., bytes]) -> dict[str, tuple[bytes, str]]:
    """A document of each format, and the entry of the document that is embedded in it."""

    def odf(path: str) -> bytes:
        return odt(f"<text:p>The order</text:p><text:p><draw:object {DRAW} xlink:href='{path}'/></text:p>")

    relation = f'<Relationship Id="e" Type="{OFFICE}/package" Target="embeddings/t.txt"/>'
    sheet = {"xl/worksheets/_rels/sheet1.xml.rels": relations(("package", "../embeddings/t.txt"))}
    return {
        "a.docx": (docx(WORD, more_relations=relation), "word/embeddings/t.txt"),
        "a.pptx": (pptx(shape(paragraph("The order")), ""), "ppt/embeddings/t.txt"),
        "a.xlsx": (xlsx(ROW, **sheet), "xl/embeddings/t.txt"),
        "a.odt": (odf("Object 1"), "Object 1"),
        "b.odt": (odf("Object 1"), "Object 1/content.xml"),
    }


def add(data: bytes, name: str, content: bytes) -> bytes:
    buffer = io.BytesIO(data)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def spoil(data: bytes, name: str, failure: Failure) -> bytes:
    """Change what the directory of a ZIP file says about its last entry."""
    spoiled = bytearray(data)
    at = data.rindex(b"PK\1\2")
    assert data[at + 46 :].startswith(name.encode())
    if failure == "password":
        spoiled[at + 8] |= 1
    elif failure == "checksum":
        spoiled[at + 16] ^= 1
    elif failure == "method":
        spoiled[at + 10] = 97
    return bytes(spoiled)


@pytest.mark.parametrize("failure", REASONS)
@pytest.mark.parametrize("name", ["a.docx", "a.pptx", "a.xlsx", "a.odt", "b.odt"])
def test_one_that_cannot_be_read_is_named_and_the_rest_is_read(
    office: dict[str, tuple[bytes, str]], name: str, failure: Failure
) -> None:
    data, entry = office[name]
    content = bytes(17 << 20) if failure == "bomb" else CONTENT.encode()
    outer, inner = read_content_documents(name, spoil(add(data, entry, content), entry, failure))
    assert outer.text is not None
    assert "The order" in outer.text
    assert f"[attachment not read: {REASONS[failure]}]" in outer.text
    assert (inner.text, inner.reason) == (None, REASONS[failure])


def test_a_bomb_in_slides_of_the_old_format() -> None:
    def record(kind: int, body: bytes, options: int = 0) -> bytes:
        return struct.pack("<HHI", options, kind, len(body)) + body

    bomb = struct.pack("<I", 1 << 20) + zlib.compress(bytes(1 << 20))
    stream = record(0x0FA8, b"The order") + record(0x1011, bomb, 0x10)
    data = build_compound_file({"PowerPoint Document": stream})
    outer, inner = read_content_documents("a.ppt", data, Limits(max_bytes=100_000))
    assert outer.text == "The order\n\n[attachment not read: decompression_bomb]"
    assert inner.reason is Reason.decompression_bomb


def test_an_object_of_an_old_workbook_that_is_no_stream() -> None:
    data = xls({(0, 0): "The order"}, objects={"MBD0001": {"Package": {"inner": b"x"}}})
    outer, inner = read_content_documents("a.xls", data)
    assert outer.text == "Parties\nThe order\n\n[attachment not read: broken]"
    assert inner.reason is Reason.broken


@pytest.mark.parametrize("failure", ["checksum", "password", "method"])
def test_facts_about_a_document_that_cannot_be_read(failure: Failure) -> None:
    plain = odt("<text:p>The order</text:p>")
    (text,) = read_content_documents("a.odt", spoil(add(plain, "meta.xml", b"<a/>"), "meta.xml", failure))
    assert text.text == "The order"
    parts = {"_rels/.rels": relations(("officeDocument", "word/document.xml"), ("core-properties", "c.xml"))}
    space = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    body = "<w:p><w:r><w:t>The order</w:t></w:r></w:p>"
    word = f'<w:document xmlns:w="{space}"><w:body>{body}</w:body></w:document>'
    data = add(zipped({**parts, "word/document.xml": word}), "c.xml", b"<a/>")
    (text,) = read_content_documents("a.docx", spoil(data, "c.xml", failure))
    assert text.text == "The order"


@pytest.mark.parametrize("failure", ["checksum", "password"])
def test_a_chunk_that_cannot_be_read(docx: Callable[..., bytes], failure: Failure) -> None:
    relation = f'<Relationship Id="c" Type="{OFFICE}/aFChunk" Target="c.html"/>'
    body = f'<w:p><w:r><w:t>The order</w:t></w:r></w:p><w:altChunk xmlns:r="{OFFICE}" r:id="c"/>'
    data = add(docx(body, more_relations=relation), "word/c.html", b"<p>inner</p>")
    (text,) = read_content_documents("a.docx", spoil(data, "word/c.html", failure))
    assert text.text == f"The order\n[embedded document not read: {REASONS[failure]}]"
