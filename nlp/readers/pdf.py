"""PDF to text by PDFium: the text layer page by page, and OCR for pages that are pictures.

Columns, tables, running heads and footnotes are put in reading order (`pdf_layout`, `pdf_pages`); words
divided at the end of a line are joined (`hyphens`). Text typed into a form or over a page (annotations with
an appearance) is text; sticky notes are comments and are not. Text that a person reading the page would not
see is left out, marked and counted (`pdf_hidden`).

PDFium is not thread-safe: a lock serializes the calls of this module within a process. Use processes for
speed.
"""

from __future__ import annotations

import threading
from collections import Counter

import pypdfium2
from pypdfium2 import raw

from lexveil.nlp.readers.contract import Content, Limits, Note, Reason, UnreadableError
from lexveil.nlp.readers.hyphens import join_words
from lexveil.nlp.readers.legibility import Verdict, judge
from lexveil.nlp.readers.pdf_fonts import decode_fonts
from lexveil.nlp.readers.pdf_hidden import HIDDEN_MARK, drop_hidden, find_hidden
from lexveil.nlp.readers.pdf_layout import Row, arrange_lines
from lexveil.nlp.readers.pdf_pages import join_pages
from lexveil.nlp.readers.pdf_pictures import is_picture, recognize
from lexveil.nlp.readers.pdf_scene import look
from lexveil.nlp.readers.pdf_streams import check_streams
from lexveil.nlp.readers.pdf_words import Layer, read_words

LOCK = threading.Lock()
"""Held while PDFium is called."""
_HEADER_WITHIN = 1024
"""Number of bytes that may precede the header: PDF 1.7 (ISO 32000-1), annex H, note 13."""
_XFA = (raw.FORMTYPE_XFA_FULL,)
"""Forms whose pages only Adobe's reader computes: the PDF itself shows nothing but "please wait"."""
_PASSWORD_CODES = (raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY)
_UNREAD_MARK = "[page not read]"


def is_pdf(data: bytes) -> bool:
    """Return True if the header of a PDF file is near the beginning of the data."""
    return b"%PDF-" in data[:_HEADER_WITHIN]


def read(data: bytes, limits: Limits) -> Content:
    """Read the text of a PDF file.

    Raises:
        UnreadableError: wrong_suffix, encrypted, broken, unsupported (a form of Adobe's reader),
            decompression_bomb, empty, needs_ocr (a page is a picture) or unreadable_text (the text layer of a
            page is illegible), if the page cannot be recognized: a document is not returned without one of
            its pages unless `limits.unread_pages` permits it.
    """
    if not is_pdf(data):
        raise UnreadableError(Reason.wrong_suffix)
    has_layers = check_streams(data, limits)
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
                return _read_pages(document, has_layers, limits)
            except pypdfium2.PdfiumError:
                pass
            finally:
                document.close()
    raise UnreadableError(reason)


def _read_pages(document: pypdfium2.PdfDocument, has_layers: bool, limits: Limits) -> Content:
    pages: list[list[Row]] = []
    notes: Counter[Note] = Counter()
    size = 0
    for index in range(len(document)):
        page = document[index]
        try:
            if raw.FPDFPage_GetAnnotCount(page) > 0:
                # Completed fields become part of the page's text only when flattened, and after a reload.
                raw.FPDFPage_Flatten(page, raw.FLAT_NORMALDISPLAY)
                page.close()
                page = document[index]
            rows, found = _read_page(page, has_layers, limits)
        finally:
            page.close()
        size += sum(len(row.text) for row in rows)
        if size > limits.max_text_bytes:
            raise UnreadableError(Reason.decompression_bomb)
        pages.append(rows)
        notes.update(found)
    if not any(row.is_text for rows in pages for row in rows):
        raise UnreadableError(Reason.needs_ocr if notes[Note.unread_page] else Reason.empty)
    if judge(" ".join([row.text for rows in pages for row in rows])) is Verdict.no_text:
        raise UnreadableError(Reason.unreadable_text)  # on pages too short to be judged
    return Content(join_words(join_pages(pages)), notes=dict(notes))


def _read_page(
    page: pypdfium2.PdfPage, has_layers: bool, limits: Limits
) -> tuple[list[Row], dict[Note, int]]:
    """Return the rows of a page, and what is not in them."""
    scene = look(page, has_layers)
    layer = Layer(page)
    try:
        hidden = find_hidden(page, layer, scene)
        lines, aside = read_words(layer)
        lines, notes = drop_hidden(lines, hidden)
        aside, others = drop_hidden(aside, hidden)
        is_text = decode_fonts(layer, [*lines, *aside])
    finally:
        layer.close()
    notes = dict(Counter(notes) + Counter(others))
    rows: list[Row] = arrange_lines(lines, aside) if is_text else []
    if Note.hidden_text in notes:
        rows.append(Row(HIDDEN_MARK, is_text=False))
    if not is_text or is_picture(page, scene, [*lines, *aside], hidden.recognized):
        # A stamp is kept in addition to the recognized text, which may lack it.
        try:
            rows += [Row(line) for line in recognize(page, limits).strip().split("\n")]
        except UnreadableError as unreadable:
            if not limits.unread_pages:
                raise UnreadableError(unreadable.reason if is_text else Reason.unreadable_text) from None
            rows.append(Row(_UNREAD_MARK, is_text=False))
            notes[Note.unread_page] = 1
    return rows, notes
