"""Hostile PDF files end within small memory and time, with a reason."""

from __future__ import annotations

import resource
import zlib
from collections.abc import Callable

import pytest
from reportlab.lib.utils import ImageReader

from lexveil.nlp.readers import Reason

HEAD = b"%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
TAIL = b"trailer<</Root 1 0 R>>\n%%EOF"


def one_page(stream: bytes, resources: bytes = b"") -> bytes:
    return (
        HEAD
        + b"2 0 obj<</Type/Pages/Count 1/Kids[3 0 R]>>endobj\n"
        + b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<<%s>>>>endobj\n"
        % resources
        + b"4 0 obj"
        + stream
        + b" endobj\n"
        + TAIL
    )


def compressed(data: bytes, filters: bytes, more: bytes = b"") -> bytes:
    return b"<</Length %d/Filter%s%s>>stream\n%s\nendstream" % (len(data), filters, more, data)


def zeros(size: int) -> bytes:
    packer = zlib.compressobj(9)
    piece = b" " * (1 << 20)
    return b"".join(packer.compress(piece) for _ in range(size >> 20)) + packer.flush()


@pytest.mark.slow
@pytest.mark.parametrize("filters", [b"/FlateDecode", b"[/FlateDecode/FlateDecode]", b"[/Fl /Fl]"])
def test_a_bomb_ends_small(refusal: Callable[..., Reason], filters: bytes) -> None:
    bomb = zeros(96 << 20)
    if filters.startswith(b"["):
        bomb = zlib.compress(bomb, 9)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert refusal("a.pdf", one_page(compressed(bomb, filters))) is Reason.decompression_bomb
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10  # KiB


@pytest.mark.slow
def test_many_paths_are_a_picture(refusal: Callable[..., Reason], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    paths = compressed(zlib.compress(b"0 0 m 9 9 l S\n" * 200_000), b"/FlateDecode")
    assert refusal("a.pdf", one_page(paths)) is Reason.needs_ocr


@pytest.mark.slow
def test_text_among_more_objects_than_are_looked_at_is_read(read: Callable[..., str]) -> None:
    content = b"0 0 m 9 9 l S\n" * 101_000 + b"BT /F1 12 Tf 72 700 Td (The map shows the boundary.) Tj ET"
    font = b"/Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>"
    text = read("a.pdf", one_page(compressed(zlib.compress(content), b"/FlateDecode"), font))
    assert text == "The map shows the boundary."


def test_a_picture_of_absurd_size(refusal: Callable[..., Reason]) -> None:
    picture = compressed(
        zlib.compress(b"\0" * 999),
        b"/FlateDecode",
        b"/Subtype/Image/Width 99999/Height 99999/ColorSpace/DeviceRGB/BitsPerComponent 8",
    )
    page = one_page(b"<</Length 4>>stream\nq Q\nendstream")
    assert refusal("a.pdf", page.replace(TAIL, b"5 0 obj%s endobj\n%s" % (picture, TAIL))) is (
        Reason.decompression_bomb
    )


def test_a_deep_tree_of_pages(refusal: Callable[..., Reason]) -> None:
    depth = 20_000
    nodes = b"".join(
        b"%d 0 obj<</Type/Pages/Count 1/Kids[%d 0 R]>>endobj\n" % (number, number + 1)
        for number in range(2, depth)
    )
    leaf = b"%d 0 obj<</Type/Page/MediaBox[0 0 9 9]>>endobj\n" % depth
    assert refusal("a.pdf", HEAD + nodes + leaf + TAIL) in (Reason.broken, Reason.empty)


def test_a_tree_of_pages_in_a_circle(refusal: Callable[..., Reason]) -> None:
    node = b"2 0 obj<</Type/Pages/Count 99999999/Kids[2 0 R 2 0 R]>>endobj\n"
    assert refusal("a.pdf", HEAD + node + TAIL) in (Reason.broken, Reason.empty)


def test_forms_in_a_circle(refusal: Callable[..., Reason]) -> None:
    form = b"<</Length 5/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</A 5 0 R>>>>>>"
    page = one_page(b"<</Length 5>>stream\n/A Do\nendstream", b"/XObject<</A 5 0 R>>")
    data = page.replace(TAIL, b"5 0 obj%sstream\n/A Do\nendstream endobj\n%s" % (form, TAIL))
    assert refusal("a.pdf", data) is Reason.empty


def test_a_large_white_scan_is_no_bomb(
    refusal: Callable[..., Reason], monkeypatch: pytest.MonkeyPatch, pdf: Callable[..., bytes]
) -> None:
    from io import BytesIO

    from PIL import Image
    from reportlab.pdfgen.canvas import Canvas

    monkeypatch.setenv("PATH", "/nowhere")
    buffer = BytesIO()
    canvas = Canvas(buffer, pagesize=(595, 842), invariant=1)
    canvas.drawImage(ImageReader(Image.new("L", (5000, 7000), 255)), 0, 0, 595, 842)
    canvas.save()
    assert refusal("a.pdf", buffer.getvalue()) is Reason.needs_ocr
