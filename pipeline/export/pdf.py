"""PDF with what was masked removed: its text objects are deleted, not covered, and rewritten.

Only texts, lines and boxes are copied, to new pages of the same size. So outlines, properties, attachments,
scripts, annotations, form fields, pictures, form objects, layers, thumbnails and whatever else a page or a
file may carry are left out. Text that the reader ignores, and that masking therefore never saw, is deleted;
so are curves, which may draw a signature. Fonts lose their names (`pdf_fonts`). What is left is checked
before it is written. A page that is a picture is not supported.
"""

from __future__ import annotations

import ctypes
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from lexveil.pipeline.export.pdf_fonts import clean_fonts
from lexveil.pipeline.export.redaction import Redaction

_STREAM = re.compile(rb"stream\r?\n(.*?)\r?\nendstream", re.DOTALL)
# What PDFium may write, or a font or a page may contain, besides text and lines.
_FOREIGN = re.compile(
    rb"/(?:Metadata|PieceInfo|Thumb|Annots|AcroForm|Names|Outlines|OCG|OCProperties|OCMD|XObject|Type3|Properties"
    rb"|EmbeddedFiles?|JavaScript|JS|ActualText|Alt|StructTreeRoot|Pattern|Author|Title|Subject|Keywords)\b"
)
_INVISIBLE = (3, 7)  # modes of the text that recognizers lay under pictures
_LAYER = "OC\0".encode("utf-16-le")
_LEVEL = 0.01  # points
_RECTANGLE = 4  # lines
_MAX_DEPTH = 8
_MOST_INFLATED = 64 << 20
_FONT = b"Helvetica"


@dataclass(frozen=True, slots=True)
class _Character:
    """A character of a page: which object shows it, and where."""

    text: str = field(repr=False)
    owner: int  # address of the text object; 0 for spaces that are implied
    x: float
    y: float
    right: float
    matrix: tuple[float, float, float, float]


def redact_pdf(data: bytes, redaction: Redaction) -> bytes | None:
    """Return a PDF file without what was masked; None if something would be left, or pages are pictures.

    Args:
        data: the original file.
        redaction: what was masked in it.
    """
    import pypdfium2 as pdfium

    from lexveil.nlp.readers.pdf import LOCK

    with LOCK, pdfium.PdfDocument(data) as document:
        count = len(document)
        for number in range(count):
            if not _copy_page(document, document[number], redaction):
                return None
        with pdfium.PdfDocument.new() as clean:
            clean.import_pages(document, list(range(count, 2 * count)))
            out = io.BytesIO()
            clean.save(out)
        written = clean_fonts(out.getvalue())
        if written is None:
            return None
        with pdfium.PdfDocument(written) as again:
            texts = [page.get_textpage().get_text_range() for page in again]
    if not all(map(redaction.knows, texts)) or redaction.leaks("\n".join(texts)):
        return None
    if _FOREIGN.search(_STREAM.sub(b"", written)):
        return None
    return (
        None if any(redaction.leaks(text, names_only=True) for text in _iter_contents(written)) else written
    )


def _copy_page(document: Any, page: Any, redaction: Redaction) -> bool:
    """Write the redacted page on a new one at the end; return False if it is a picture."""
    import pypdfium2.raw as raw

    hidden = _find_unseen(page)
    objects = {_address(one): one for one in _list_objects(page)}
    kinds = {address: raw.FPDFPageObj_GetType(one) for address, one in objects.items()}
    forms = [one for address, one in objects.items() if kinds[address] == raw.FPDF_PAGEOBJ_FORM]
    inner = {_address(one): one for form in forms for one in _list_form_texts(form)}
    shown = {
        address: one
        for address, one in {**objects, **inner}.items()
        if (address in inner or kinds[address] == raw.FPDF_PAGEOBJ_TEXT)
        and raw.FPDFTextObj_GetTextRenderMode(one) not in _INVISIBLE
    }
    if not shown and raw.FPDF_PAGEOBJ_IMAGE in kinds.values():
        return False
    characters = _read_characters(page, set(shown))
    masks = _find_masks(characters, redaction) + [(place, place + 1, "") for place in sorted(hidden)]
    # The content of a form is rewritten on the page.
    split = {characters[place].owner for start, end, _ in masks for place in range(start, end)} - {0}
    new = document.new_page(*page.get_size())
    new.set_mediabox(*page.get_mediabox())
    new.set_cropbox(*page.get_cropbox())
    new.set_rotation(page.get_rotation())
    for run, text in _split_runs(characters, masks, split | (set(inner) & set(shown))):
        _write(document, new, shown[run[0].owner], run, text)
    raw.FPDFPage_GenerateContent(new)  # before objects come that belong to streams of their old page
    for address, one in objects.items():
        is_text = address in shown and address not in split
        if is_text or (kinds[address] == raw.FPDF_PAGEOBJ_PATH and _is_plain(one)):
            raw.FPDFPage_RemoveObject(page, one)
            for mark in range(raw.FPDFPageObj_CountMarks(one) - 1, -1, -1):
                raw.FPDFPageObj_RemoveMark(one, raw.FPDFPageObj_GetMark(one, mark))
            raw.FPDFPage_InsertObject(new, one)
    raw.FPDFPage_GenerateContent(new)
    new.close()
    page.close()
    return True


def _find_unseen(page: Any) -> frozenset[int]:
    """Return the indices of the characters that the reader of PDF leaves out."""
    from lexveil.nlp.readers.pdf_hidden import find_hidden
    from lexveil.nlp.readers.pdf_scene import look
    from lexveil.nlp.readers.pdf_words import Layer

    layer = Layer(page)
    try:
        hidden = find_hidden(page, layer, look(page, has_layers=True))
    finally:
        layer.close()
    return hidden.covered | hidden.hidden


def _is_plain(path: Any) -> bool:
    """Return True for a path of level and upright lines that is on no layer."""
    import pypdfium2.raw as raw

    if _has_layer(path):
        return False
    x, y = ctypes.c_float(), ctypes.c_float()
    before, strokes = (0.0, 0.0), 0
    for number in range(raw.FPDFPath_CountSegments(path)):
        segment = raw.FPDFPath_GetPathSegment(path, number)
        kind = raw.FPDFPathSegment_GetType(segment)
        raw.FPDFPathSegment_GetPoint(segment, x, y)
        strokes = 0 if kind == raw.FPDF_SEGMENT_MOVETO else strokes + 1
        is_level = abs(x.value - before[0]) < _LEVEL or abs(y.value - before[1]) < _LEVEL
        if kind == raw.FPDF_SEGMENT_BEZIERTO or strokes > _RECTANGLE or (strokes and not is_level):
            return False
        before = x.value, y.value
    return True


def _has_layer(one: Any) -> bool:
    """Return True if an object is within optional content."""
    import pypdfium2.raw as raw

    name, size = (raw.FPDF_WCHAR * 8)(), ctypes.c_ulong()
    return any(
        not raw.FPDFPageObjMark_GetName(raw.FPDFPageObj_GetMark(one, mark), name, ctypes.sizeof(name), size)
        or bytes(name)[: size.value] == _LAYER
        for mark in range(raw.FPDFPageObj_CountMarks(one))
    )


def _list_objects(page: Any) -> list[Any]:
    import pypdfium2.raw as raw

    return [raw.FPDFPage_GetObject(page, number) for number in range(raw.FPDFPage_CountObjects(page))]


def _list_form_texts(form: Any, depth: int = 0) -> list[Any]:
    """Return the texts in a form object, and in the forms nested in it."""
    import pypdfium2.raw as raw

    found: list[Any] = []
    for number in range(raw.FPDFFormObj_CountObjects(form) if depth < _MAX_DEPTH else 0):
        one = raw.FPDFFormObj_GetObject(form, number)
        kind = raw.FPDFPageObj_GetType(one)
        if kind == raw.FPDF_PAGEOBJ_TEXT:
            found.append(one)
        elif kind == raw.FPDF_PAGEOBJ_FORM:
            found += _list_form_texts(one, depth + 1)
    return found


def _address(handle: Any) -> int:
    return ctypes.cast(handle, ctypes.c_void_p).value or 0


def _read_characters(page: Any, visible: set[int]) -> list[_Character]:
    import pypdfium2.raw as raw

    textpage = page.get_textpage()
    found: list[_Character] = []
    values = [ctypes.c_double() for _ in range(4)]
    left, right, bottom, top = values
    x, y = ctypes.c_double(), ctypes.c_double()
    matrix = raw.FS_MATRIX()
    for index in range(raw.FPDFText_CountChars(textpage)):
        is_implied = raw.FPDFText_IsGenerated(textpage, index) == 1
        owner = 0 if is_implied else _address(raw.FPDFText_GetTextObject(textpage, index))
        raw.FPDFText_GetCharOrigin(textpage, index, x, y)
        raw.FPDFText_GetCharBox(textpage, index, left, right, bottom, top)
        raw.FPDFText_GetMatrix(textpage, index, matrix)
        code = raw.FPDFText_GetUnicode(textpage, index)
        found.append(
            _Character(
                chr(code) if code else " ",
                owner if owner in visible else 0,
                x.value,
                y.value,
                right.value,
                (matrix.a, matrix.b, matrix.c, matrix.d),
            )
        )
    textpage.close()
    return found


def _find_masks(characters: Sequence[_Character], redaction: Redaction) -> list[tuple[int, int, str]]:
    """Return the ranges that were masked, and their replacements; a word may be divided at a line end."""
    text = "".join(character.text for character in characters)
    return [(edit.start, edit.end, edit.text) for edit in redaction.search(text, divided=True)]


def _split_runs(
    characters: Sequence[_Character], masks: Sequence[tuple[int, int, str]], split: set[int]
) -> Iterator[tuple[list[_Character], str]]:
    """Yield the runs of the rewritten objects: what stays, and masks with their new text."""
    new: dict[int, str] = {}
    for start, end, text in masks:
        new.update(dict.fromkeys(range(start, end), ""))
        new[next((place for place in range(start, end) if characters[place].owner), start)] = text
    run: list[_Character] = []
    for place, character in enumerate(characters):
        is_masked = place in new
        if run and (is_masked or character.owner != run[0].owner):
            yield run, "".join(one.text for one in run)
            run = []
        if is_masked and character.owner and new[place]:
            end = place
            while end + 1 in new and not new[end + 1] and characters[end + 1].owner == character.owner:
                end += 1
            yield list(characters[place : end + 1]), new[place]
        elif not is_masked and character.owner in split:
            run.append(character)
    if run:
        yield run, "".join(one.text for one in run)


def _write(document: Any, page: Any, old: Any, run: Sequence[_Character], text: str) -> None:
    """Write a run of characters where it was, in its font; a mask in Helvetica, within the same width."""
    import pypdfium2.raw as raw

    size = ctypes.c_float()
    raw.FPDFTextObj_GetFontSize(old, size)
    is_mask = text != "".join(one.text for one in run)
    if is_mask:
        new = raw.FPDFPageObj_NewTextObj(document, _FONT, size.value)
    else:
        new = raw.FPDFPageObj_CreateTextObj(document, raw.FPDFTextObj_GetFont(old), size.value)
    if not new:
        return
    encoded = ctypes.create_string_buffer(text.encode("utf-16-le", "replace") + b"\0\0")
    raw.FPDFText_SetText(new, ctypes.cast(encoded, ctypes.POINTER(ctypes.c_ushort)))
    colors = [ctypes.c_uint() for _ in range(4)]
    if raw.FPDFPageObj_GetFillColor(old, *colors):
        raw.FPDFPageObj_SetFillColor(new, *(color.value for color in colors))
    a, b, c, d = run[0].matrix
    scale = _fit(new, abs(a or 1.0), run) if is_mask else 1.0
    raw.FPDFPageObj_SetMatrix(new, raw.FS_MATRIX(a * scale, b * scale, c, d, run[0].x, run[0].y))
    raw.FPDFPage_InsertObject(page, new)


def _fit(new: Any, stretch: float, run: Sequence[_Character]) -> float:
    """Return the scale that makes a mask no wider than what it replaces."""
    import pypdfium2.raw as raw

    edges = [ctypes.c_float() for _ in range(4)]
    raw.FPDFPageObj_GetBounds(new, *edges)
    width = (edges[2].value - edges[0].value) * stretch
    room = run[-1].right - run[0].x
    return min(1.0, room / width) if width > 0 and room > 0 else 1.0


def _iter_contents(data: bytes) -> Iterator[str]:
    """Yield the content of a file besides its pages: its bytes, and its inflated streams."""
    yield data.decode("latin-1")
    for stream in _STREAM.finditer(data):
        try:
            content = zlib.decompressobj().decompress(stream[1], _MOST_INFLATED)
        except zlib.error:
            continue
        yield content.decode("latin-1")
        yield content.decode("utf-16-be", "ignore")
