"""PDF to text by PDFium: the text layer page by page, and OCR for pages that are pictures.

Columns, tables, running heads and footnotes are put in reading order (`pdf_layout`, `pdf_pages`); words
divided at the end of a line are joined (`hyphens`). Text typed into a form or over a page (annotations with
an appearance) is text; sticky notes are comments and are not. Text under a drawn rectangle (a bad redaction)
is still in the text layer: it is read, and masked like any other text.

PDFium is not thread-safe: a lock serializes the calls of this module within a process. Use processes for
speed.
"""

from __future__ import annotations

import threading

import pypdfium2
from pypdfium2 import raw

from lexveil.nlp.readers import ocr
from lexveil.nlp.readers.contract import Limits, Reason, UnreadableError
from lexveil.nlp.readers.hyphens import join_words
from lexveil.nlp.readers.pdf_layout import Row, arrange_lines
from lexveil.nlp.readers.pdf_pages import join_pages
from lexveil.nlp.readers.pdf_words import Layer, read_words

LOCK = threading.Lock()
"""Held while PDFium is called."""
_HEADER_WITHIN = 1024
"""Number of bytes that may precede the header: PDF 1.7 (ISO 32000-1), annex H, note 13."""
_FEW_LETTERS = 20
_STAMP_LETTERS = 150
"""More letters than a court's filing stamp on a scanned page ("Case 1:20-cv-... Filed ... Page 1 of 9")."""
_PICTURE_SHARE = 0.5
_LOGO_SHARE = 0.02
_RULE_SHARE = 0.002
_MANY_PATHS = 200
_SCALE = ocr.DPI / 72
_MAX_PIXELS = 40_000_000
_XFA = (raw.FORMTYPE_XFA_FULL,)
"""Forms whose pages only Adobe's reader computes: the PDF itself shows nothing but "please wait"."""
_PASSWORD_CODES = (raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY)


def is_pdf(data: bytes) -> bool:
    """Return True if the header of a PDF file is near the beginning of the data."""
    return b"%PDF-" in data[:_HEADER_WITHIN]


def read(data: bytes, limits: Limits) -> str:
    """Read the text of a PDF file.

    Raises:
        UnreadableError: wrong_suffix, encrypted, broken, unsupported (a form of Adobe's reader),
            decompression_bomb, or needs_ocr: a page is a picture and cannot be recognized, and a document is
            never returned without one of its pages.
    """
    if not is_pdf(data):
        raise UnreadableError(Reason.wrong_suffix)
    with LOCK:
        reason = Reason.broken
        try:
            document = pypdfium2.PdfDocument(data)
        except pypdfium2.PdfiumError as error:
            if error.err_code in _PASSWORD_CODES:
                reason = Reason.encrypted
        else:
            try:
                if document.get_formtype() in _XFA:
                    raise UnreadableError(Reason.unsupported)
                document.init_forms()
                return _read_pages(document, limits)
            except pypdfium2.PdfiumError:
                pass
            finally:
                document.close()
    raise UnreadableError(reason)


def _read_pages(document: pypdfium2.PdfDocument, limits: Limits) -> str:
    pages: list[list[Row]] = []
    size = 0
    for index in range(len(document)):
        page = document[index]
        try:
            if raw.FPDFPage_GetAnnotCount(page) > 0:
                # Completed fields become part of the page's text only when flattened, and after a reload.
                raw.FPDFPage_Flatten(page, raw.FLAT_NORMALDISPLAY)
                page.close()
                page = document[index]
            rows = _read_text_layer(page)
            text = "\n".join([row.text for row in rows])
            if _is_picture(page, text):
                # The stamp is kept in addition to the recognized text, which may lack it.
                rows += [Row(line) for line in _recognize(page, limits).strip().split("\n")]
        finally:
            page.close()
        size += len(text)
        if size > limits.max_text_bytes:
            raise UnreadableError(Reason.decompression_bomb)
        pages.append(rows)
    return join_words(join_pages(pages))


def _read_text_layer(page: pypdfium2.PdfPage) -> list[Row]:
    layer = Layer(page)
    try:
        return arrange_lines(*read_words(layer))
    finally:
        layer.close()


def _is_picture(page: pypdfium2.PdfPage, text: str) -> bool:
    """Return True if the page shows more than its text layer contains.

    That is the case with hardly any letters and a picture of any size (or letters drawn as many paths), and
    with no more letters than a stamp has and a picture over half of the page. An empty page is no picture.
    """
    letters = sum(map(str.isalpha, text))
    if letters >= _STAMP_LETTERS:
        return False
    share, paths = _measure_pictures(page)
    if letters < _FEW_LETTERS:
        return share > (_LOGO_SHARE if letters else _RULE_SHARE) or paths > _MANY_PATHS
    return share > _PICTURE_SHARE


def _measure_pictures(page: pypdfium2.PdfPage) -> tuple[float, int]:
    """Return the share of the page that pictures cover, and the number of paths.

    The areas of all pictures are added up, because scans often consist of strips.
    """
    left, bottom, right, top = page.get_cropbox() or (0.0, 0.0, *page.get_size())
    area, paths = 0.0, 0
    for item in page.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE, raw.FPDF_PAGEOBJ_PATH]):
        if item.type == raw.FPDF_PAGEOBJ_PATH:  # pyright: ignore[reportAttributeAccessIssue]
            paths += 1
            continue
        box = item.get_bounds()
        outer = item.container
        while outer is not None:
            box = outer.get_matrix().on_rect(*box)
            outer = outer.container
        wide, high = min(box[2], right) - max(box[0], left), min(box[3], top) - max(box[1], bottom)
        area += max(0.0, wide) * max(0.0, high)
    return area / max((right - left) * (top - bottom), 1.0), paths


def _recognize(page: pypdfium2.PdfPage, limits: Limits) -> str:
    if not (limits.ocr and ocr.is_available()):
        raise UnreadableError(Reason.needs_ocr)
    width, height = page.get_size()
    scale = min(_SCALE, (_MAX_PIXELS / max(width * height, 1.0)) ** 0.5)
    bitmap = page.render(scale=scale, grayscale=True)  # pyright: ignore[reportArgumentType]
    try:
        rows = bytes(bitmap.buffer)
        columns, stride = bitmap.width, bitmap.stride
        pixels = b"".join(rows[y * stride : y * stride + columns] for y in range(bitmap.height))
        return ocr.recognize_text(pixels, columns, bitmap.height)
    finally:
        bitmap.close()
