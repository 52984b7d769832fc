"""Files inside a PDF: attachments, the files of a portfolio, and those pinned to a page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import islice

import pypdfium2
from pypdfium2 import raw

from lexveil.nlp.readers.contract import Part, Reason
from lexveil.nlp.readers.pdf import LOCK

_PINNED = b"/FileAttachment"
_MAX_FILES = 10_000


def read_attachments(data: bytes) -> list[Part]:
    """Read the files inside a PDF; none if it cannot be opened."""
    with LOCK, suppress(pypdfium2.PdfiumError), closing(pypdfium2.PdfDocument(data)) as document:
        found = list(islice(_iter_attached(document), _MAX_FILES))
        # Only if there can be any: to find them, each page must be parsed.
        found += islice(_iter_pinned(document), _MAX_FILES) if _PINNED in data else ()
        return [*dict.fromkeys(found)]
    return []


def _iter_attached(document: pypdfium2.PdfDocument) -> Iterator[Part]:
    for index in range(document.count_attachments()):
        yield _read(document.get_attachment(index))


def _iter_pinned(document: pypdfium2.PdfDocument) -> Iterator[Part]:
    for page in document:
        with closing(page):
            for index in range(raw.FPDFPage_GetAnnotCount(page)):
                annotation = raw.FPDFPage_GetAnnot(page, index)
                if raw.FPDFAnnot_GetSubtype(annotation) == raw.FPDF_ANNOT_FILEATTACHMENT and (
                    file := raw.FPDFAnnot_GetFileAttachment(annotation)
                ):
                    yield _read(pypdfium2.PdfAttachment(file, document))
                raw.FPDFPage_CloseAnnot(annotation)


def _read(attachment: pypdfium2.PdfAttachment) -> Part:
    name = attachment.get_name()
    try:
        return Part(name, bytes(attachment.get_data()))
    except pypdfium2.PdfiumError:
        return Part(name, Reason.broken)
