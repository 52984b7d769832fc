"""Fonts of exported PDF files are named after nobody, and show the same letters. All names are invented."""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pypdfium2
import pytest
import reportlab
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.t2CharStringPen import T2CharStringPen
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.pdfmetrics import EmbeddedType1Face, Font
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from lexveil.pipeline.export.pdf import redact_pdf
from lexveil.pipeline.export.redaction import Redaction

TEXT = "The order stands"
NAME = re.compile(rb"Q.?u.?i.?l.?l.?f.?e.?a.?t.?h.?e.?r|Zebulon", re.DOTALL)
FONTS = Path(reportlab.__file__).parent / "fonts"


def draw(font: str) -> bytes:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=(300, 100), invariant=1)
    canvas.setFont(font, 20)
    canvas.drawString(20, 50, TEXT)
    canvas.save()
    return buffer.getvalue()


def truetype(folder: Path) -> bytes:
    old, new = "BitstreamVeraSans-Roman", "ZebulonQuillfeather-Rom"
    data = (FONTS / "Vera.ttf").read_bytes()
    for charset in ("ascii", "utf-16-be"):
        data = data.replace(old.encode(charset), new.encode(charset))
    (folder / "a.ttf").write_bytes(data)
    pdfmetrics.registerFont(TTFont("hand", folder / "a.ttf"))
    return draw("hand")


def type1(folder: Path) -> bytes:
    for suffix in (".afm", ".pfb"):
        data = (FONTS / f"DarkGardenMK{suffix}").read_bytes()
        (folder / f"a{suffix}").write_bytes(data.replace(b"DarkGardenMK", b"Quillfeather"))
    pdfmetrics.registerTypeFace(EmbeddedType1Face(folder / "a.afm", folder / "a.pfb"))
    pdfmetrics.registerFont(Font("script", "Quillfeather", "WinAnsiEncoding"))
    return draw("script")


def compact(folder: Path) -> bytes:
    del folder
    letters = sorted(set(TEXT) - {" "})
    glyphs = [".notdef", "space", *letters]
    made = FontBuilder(1000, isTTF=False)
    made.setupGlyphOrder(glyphs)
    made.setupCharacterMap({ord(letter): letter for letter in letters} | {32: "space"})
    pen = T2CharStringPen(500, None)
    for corner, point in enumerate(((50, 0), (450, 0), (450, 700), (50, 700))):
        (pen.lineTo if corner else pen.moveTo)(point)
    pen.closePath()
    shapes = dict.fromkeys(glyphs, pen.getCharString())
    facts = {"FullName": "Zebulon Quillfeather", "Notice": "By Quillfeather", "Weight": "Quillfeather"}
    made.setupCFF("ZebulonQuillfeather", facts, shapes, {})
    made.setupHorizontalMetrics(dict.fromkeys(glyphs, (500, 50)))
    made.setupHorizontalHeader()
    made.setupOS2()
    made.setupPost()
    program = zlib.compress(made.font.getTableData("CFF "))
    widths = b" ".join([b"500"] * 91)
    parts = [
        b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Count 1/Kids[3 0 R]>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 100]/Contents 5 0 R/Resources<</Font<</F1 4 0 R>>>>>>",
        b"<</Type/Font/Subtype/Type1/BaseFont/QWERTZ+ZebulonQuillfeather/FirstChar 32/LastChar 122/Widths["
        + widths + b"]/FontDescriptor 6 0 R/Encoding/WinAnsiEncoding>>",
        b"<</Length 99>>stream\nBT /F1 20 Tf 20 50 Td (The order stands) Tj ET\nendstream",
        b"<</Type/FontDescriptor/FontName/QWERTZ+ZebulonQuillfeather/FontFamily(Zebulon Quillfeather)"
        b"/Flags 32/FontBBox[0 0 500 700]/ItalicAngle 0"
        b"/Ascent 700/Descent 0/CapHeight 700/StemV 80/FontFile3 7 0 R>>",
        b"<</Subtype/Type1C/Filter/FlateDecode/Length %d>>stream\n%s\nendstream" % (len(program), program),
    ]  # fmt: skip
    objects = b"".join(b"%d 0 obj%s\nendobj\n" % numbered for numbered in enumerate(parts, 1))
    return b"%PDF-1.7\n" + objects + b"trailer<</Root 1 0 R>>\n%%EOF"


def read_everything(data: bytes) -> bytes:
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", data, re.DOTALL)
    return data + b"".join(zlib.decompressobj().decompress(one) for one in streams if one[:1] in b"xHh")


@pytest.mark.parametrize("make", [truetype, type1, compact])
def test_a_font_named_after_a_person_loses_its_name_alone(
    make: Callable[[Path], bytes], tmp_path: Path
) -> None:
    before = make(tmp_path)
    assert NAME.search(before)
    after = redact_pdf(before, Redaction(TEXT, TEXT, ()))
    assert after is not None
    assert not NAME.search(read_everything(after))
    with pypdfium2.PdfDocument(before) as old, pypdfium2.PdfDocument(after) as new:
        assert new[0].get_textpage().get_text_range().split() == TEXT.split()
        pictures = [one[0].render(scale=2).to_numpy() for one in (old, new)]
    assert np.array_equal(*pictures)
    assert int(pictures[0].min()) < 100


def test_common_fonts_keep_the_names_by_which_they_are_found() -> None:
    after = redact_pdf(draw("Helvetica-BoldOblique"), Redaction(TEXT, TEXT, ()))
    assert after is not None
    assert b"/BaseFont/Helvetica-BoldOblique" in after.replace(b" ", b"")
