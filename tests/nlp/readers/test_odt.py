"""OpenDocument text: what is read of it, and what is refused."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable

import pytest

from lexveil.nlp.readers import Limits, Note, Reason
from lexveil.nlp.readers.documents import read_content_documents

NAMESPACES = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "text", "table")
)
MIMETYPE = "application/vnd.oasis.opendocument.text"


def odt(body: str, **more: str) -> bytes:
    content = (
        f"<office:document-content {NAMESPACES}><office:body><office:text>{body}</office:text></office:body>"
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("mimetype", MIMETYPE)
        archive.writestr("content.xml", f"{content}</office:document-content>")
        for name, data in more.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def p(text: str) -> str:
    return f"<text:p>{text}</text:p>"


def test_paragraphs_spaces_and_tables(read: Callable[..., str]) -> None:
    table = "".join(
        f"<table:table-row><table:table-cell>{p(a)}</table:table-cell><table:table-cell>{p(b)}</table:table-cell>"
        "</table:table-row>"
        for a, b in (("Party", "Role"), ("Ann Other", "Claimant"))
    )
    body = (
        '<text:h text:outline-level="1">Order</text:h>'
        + p('in<text:span>line</text:span> a<text:s text:c="3"/>b<text:tab/>c<text:line-break/>d')
        + f"<table:table>{table}</table:table>"
        + p("end")
    )
    assert read("a.odt", odt(body)) == "Order\n\ninline a   b\tc\nd\nParty\tRole\nAnn Other\tClaimant\nend"


def test_notes_are_text_and_comments_and_deletions_are_not(read: Callable[..., str]) -> None:
    deleted = f"<text:tracked-changes><text:deletion>{p('secret')}</text:deletion></text:tracked-changes>"
    comment = f"<office:annotation>{p('secret')}</office:annotation>"
    mark = "<text:note-citation>1</text:note-citation>"
    note = f"<text:note>{mark}<text:note-body>{p('note')}</text:note-body></text:note>"
    assert read("a.odt", odt(deleted + p(f"a{comment}b {note}"))) == "ab note"


def test_hidden_text_is_left_out_and_counted() -> None:
    hidden = '<text:hidden-text text:condition="x" text:string-value="y">secret</text:hidden-text>'
    (reading,) = read_content_documents("a.odt", odt(p(f"shown{hidden}")))
    assert (reading.text, reading.notes) == ("shown", {Note.hidden_text: 1})


def test_hidden_sheets_are_left_out_and_counted() -> None:
    sheets = "".join(
        f'<table:table table:name="{name}" table:style-name="{style}"><table:table-row><table:table-cell>'
        f"{p(name)}</table:table-cell></table:table-row></table:table>"
        for name, style in (("shown", "ta1"), ("secret", "ta2"))
    )
    content = (
        f"<office:document-content {NAMESPACES}"
        ' xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0">'
        '<office:automatic-styles><style:style style:name="ta1" style:family="table"/>'
        '<style:style style:name="ta2" style:family="table"><style:table-properties table:display="false"/>'
        "</style:style></office:automatic-styles><office:body><office:spreadsheet>"
        f"{sheets}</office:spreadsheet></office:body></office:document-content>"
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("content.xml", content)
    (reading,) = read_content_documents("a.ods", buffer.getvalue())
    assert (reading.text, reading.notes) == ("shown\nshown", {Note.hidden_text: 1})


def test_headers_and_footers_are_text(read: Callable[..., str]) -> None:
    style = "urn:oasis:names:tc:opendocument:xmlns:style:1.0"
    pages = f"<style:header>{p('Court of Roe')}</style:header><style:footer>{p('Case 7')}</style:footer>"
    first = f"<style:header-first style:display='false'>{p('unused')}</style:header-first>"
    styles = (
        f'<office:document-styles {NAMESPACES} xmlns:style="{style}"><office:master-styles>'
        f"<style:master-page>{pages}{first}</style:master-page><style:master-page>{pages}</style:master-page>"
        "</office:master-styles></office:document-styles>"
    )
    text = read("a.odt", odt(p("An order."), **{"styles.xml": styles}))
    assert text == "Court of Roe\nAn order.\nCase 7"
    assert read("a.odt", odt(p("An order."), **{"styles.xml": styles[:-40]})).count("An order.") == 1


def test_pictures_are_counted_and_embedded_documents_are_read(refusal: Callable[..., Reason]) -> None:
    draw, link = "urn:oasis:names:tc:opendocument:xmlns:drawing:1.0", "http://www.w3.org/1999/xlink"
    spaces = f'xmlns:draw="{draw}" xmlns:xlink="{link}"'

    def frame(kind: str, path: str) -> str:
        inner = f'<draw:{kind} xlink:href="{path}"/>'
        return f"<draw:frame {spaces}>{inner}<draw:image xlink:href='./ObjectReplacements/x'/></draw:frame>"

    chart = f"<office:document-content {NAMESPACES}><office:chart/></office:document-content>"
    with zipfile.ZipFile(io.BytesIO(odt(p("The embedded text")))) as archive:
        inner = archive.read("content.xml").decode()
    body = (
        p(f"Plan {frame('image', 'Pictures/a.png')}{frame('image', 'Pictures/a.png')}")
        + p(f"Costs {frame('object', './Object 1')}")
        + p(f"Chart {frame('object', './Object 2')} and {frame('object-ole', './Object 3')}")
    )
    parts = {"Object 1/content.xml": inner, "Object 2/content.xml": chart, "Object 3": "{\\rtf1 Packed}"}
    outer, embedded, packed = read_content_documents("a.odt", odt(body, **parts))
    assert outer.text == "Plan\nCosts [attachment]\nChart  and [attachment]"
    assert outer.notes == {Note.unread_picture: 2}
    assert (embedded.name, embedded.text) == ("Object 1.odt", "The embedded text")
    assert (packed.name, packed.text) == ("Object 3", "Packed")
    missing, reason = read_content_documents("a.odt", odt(p(f"See {frame('object-ole', './Object 9')}")))
    assert missing.text == "See [attachment not read: broken]"
    assert reason.reason is Reason.broken
    assert refusal("a.odt", odt(p(frame("image", "Pictures/a.png")))) is Reason.needs_ocr


@pytest.mark.slow
def test_bombs_are_refused_before_they_are_inflated(refusal: Callable[..., Reason]) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("content.xml", b" " * (32 << 20))
    assert refusal("a.odt", buffer.getvalue()) is Reason.decompression_bomb
    many = odt(p("x"), **{f"Pictures/{number}": "" for number in range(20_001)})
    assert refusal("a.odt", many) is Reason.decompression_bomb


def test_refused(refusal: Callable[..., Reason]) -> None:
    sealed = odt(p("x"), **{"META-INF/manifest.xml": "<manifest:encryption-data/>"})
    assert refusal("a.odt", sealed) is Reason.encrypted
    assert refusal("a.odt", odt(p("x" * 900)), Limits(max_text_bytes=500)) is Reason.decompression_bomb
    assert refusal("a.odt", b"plain text") is Reason.wrong_suffix
    assert refusal("a.odt", odt(p("x"))[:-60]) is Reason.broken
    assert refusal("a.odt", odt("<text:p>")) is Reason.broken
    assert refusal("a.odt", odt(p(" "))) is Reason.empty


def test_text_that_a_style_hides_is_left_out_and_counted() -> None:
    body = (
        '<style:style xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0" style:name="H">'
        '<style:text-properties text:display="none"/></style:style>'
        + p('seen <text:span text:style-name="H">secret</text:span>')
        + p('and <text:span text:style-name="S">so</text:span>')
        + '<text:p text:style-name="H">secret, too</text:p>'
    )  # fmt: skip
    (reading,) = read_content_documents("a.odt", odt(body))
    assert (reading.text, reading.notes) == ("seen\nand so", {Note.hidden_text: 2})
