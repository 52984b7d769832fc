"""The documents of a file in any format: the file itself, and what is attached to it or packed in it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from lexveil.nlp.readers import (
    doc,
    docx,
    eml,
    html,
    images,
    mbox,
    mhtml,
    msg,
    odt,
    ole_object,
    others,
    p7m,
    pdf,
    plain,
    ppt,
    pptx,
    pst,
    rtf,
    tar_archive,
    tnef,
    wpd,
    xls,
    xlsb,
    xlsx,
    xml,
    zip_archive,
)
from lexveil.nlp.readers.compression import check_codec, open_regular, read_all, split_name
from lexveil.nlp.readers.contract import (
    Content,
    Limits,
    Note,
    Part,
    Reason,
    UnreadableError,
)
from lexveil.nlp.readers.formats import OFFICE_SUFFIXES, detect_format
from lexveil.nlp.readers.pdf_attachments import read_attachments
from lexveil.nlp.readers.walk import Begin, Place, Reading, Walk, ignore_place

Reader = Callable[[bytes, Limits], str | Content]


def _read_docx(data: bytes, limits: Limits) -> Content:
    return docx.read(data, limits, _read_chunk)


def _read_pdf(data: bytes, limits: Limits) -> Content:
    attached = read_attachments(data) if pdf.is_pdf(data) else []
    try:
        content = pdf.read(data, limits)
    except UnreadableError:
        if not attached:
            raise
        return Content("", attached, {Note.unread_page: 1})  # the cover of a portfolio may be a picture
    return replace(content, parts=[*content.parts, *attached])


# One line per suffix. A reader gets the content and the limits, and returns a text or a `Content`.
_READERS: Mapping[str, Reader] = {
    ".txt": lambda data, _: plain.read(data),
    ".text": lambda data, _: plain.read(data),
    ".md": lambda data, _: plain.read(data),
    ".markdown": lambda data, _: plain.read(data),
    ".html": lambda data, _: html.read(data),
    ".htm": lambda data, _: html.read(data),
    ".xhtml": lambda data, _: html.read(data),
    ".docx": _read_docx,
    ".docm": _read_docx,
    ".dotx": _read_docx,
    ".dotm": _read_docx,
    ".doc": doc.read,
    ".dot": doc.read,
    ".wpd": wpd.read,
    ".rtf": lambda data, _: rtf.read(data),
    ".odt": odt.read,
    ".fodt": xml.read,
    ".fods": xml.read,
    ".ott": odt.read,
    ".pdf": _read_pdf,
    ".eml": eml.read,
    ".msg": msg.read,
    ".mhtml": mhtml.read,
    ".mht": mhtml.read,
    ".p7m": lambda data, _: p7m.read(data),
    ".p7s": lambda data, _: p7m.read(data),
    ".png": images.read,
    ".jpg": images.read,
    ".jpeg": images.read,
    ".tif": images.read,
    ".tiff": images.read,
    ".bmp": images.read,
    ".gif": images.read,
    ".pptx": pptx.read,
    ".pptm": pptx.read,
    ".ppsx": pptx.read,
    ".ppsm": pptx.read,
    ".potx": pptx.read,
    ".ppt": ppt.read,
    ".pps": ppt.read,
    ".pot": ppt.read,
    ".xlsx": xlsx.read,
    ".xlsm": xlsx.read,
    ".xltx": xlsx.read,
    ".xltm": xlsx.read,
    ".xls": xls.read,
    ".xlt": xls.read,
    ".xlsb": xlsb.read,
    ".ods": odt.read,
    ".odp": odt.read,
    ".xml": xml.read,
    ".akn": xml.read,
    ".nxml": xml.read,
    ".tei": xml.read,
    ".mbox": mbox.read,
    ".pst": pst.read,
    ".ost": pst.read,
    ".ole": ole_object.read,
    ".tnef": tnef.read,
    ".zip": zip_archive.read,
    ".tar": tar_archive.read,
    ".emlx": lambda data, limits: eml.read(eml.unwrap_emlx(data), limits),
}
DOCUMENT_SUFFIXES = frozenset(_READERS)
"""Each may be followed by `.gz`, `.zst`, `.bz2` or `.xz`."""
# Tables inside a container are texts: only in separate files do their rows become documents.
_TABLES = frozenset({".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".log"})
_FOUND_BY_CONTENT = frozenset({".eml", ".mbox"})
_HEAD = 4096


def read_document(path: Path, limits: Limits | None = None) -> str:
    """Read the whole text of a file, with the texts of the documents inside it.

    The suffix selects the format. If the content is of another one for certain, that one's reader reads it.

    Args:
        path: File to read.
        limits: Bounds on what is accepted; None for the defaults.

    Returns:
        The normalized text, never empty.

    Raises:
        UnreadableError: The file cannot be read. No other exception is raised, whatever the bytes are.
    """
    return read_whole(path, limits)[0]


def read_whole(path: Path, limits: Limits | None = None) -> tuple[str, list[Mapping[str, str]]]:
    """Read as `read_document`, with the facts that the formats of the document, and of those in it, state.

    Raises:
        UnreadableError: As there.
    """
    limits = limits or Limits()
    walk = Walk(_read_part, limits)
    return walk.read_whole(lambda: _read_file(path, limits)), walk.facts


def read_content(name: str, data: bytes, limits: Limits | None = None) -> str:
    """Read the whole text of a file whose bytes are already in memory.

    Args:
        name: Name of the file, whose suffix selects the format.
        data: Content of the file.
        limits: Bounds on what is accepted; None for the defaults.

    Returns:
        The normalized text, never empty.

    Raises:
        UnreadableError: The file cannot be read. No other exception is raised, whatever the bytes are.
    """
    limits = limits or Limits()
    return Walk(_read_part, limits).read_whole(lambda: _read_bounded(name, data, limits))


def read_documents(
    path: Path,
    limits: Limits | None = None,
    begin: Begin = ignore_place,
    refused: Mapping[tuple[int, ...], Reason] | None = None,
    start: Place | None = None,
) -> Iterator[Reading]:
    """Read a file and, as separate documents, the documents inside it, at any depth.

    A document comes before those inside it. Where it refers to one of them, its text has the line
    `[attachment]`, or `[attachment not read: REASON]`.

    Args:
        path: File to read.
        limits: Bounds on what is accepted; None for the defaults.
        begin: Called before each document, or container, is read.
        refused: Paths of documents that must not be read, and why.
        start: Where to begin; earlier documents are left out.

    Yields:
        Each document, or why it cannot be read. Nothing is raised, whatever the bytes are.
    """
    limits = limits or Limits()
    walk = Walk(_read_part, limits, begin, refused, start)
    yield from walk.list_readings(lambda: _read_file(path, limits))


def read_content_documents(
    name: str,
    data: bytes,
    limits: Limits | None = None,
    begin: Begin = ignore_place,
    refused: Mapping[tuple[int, ...], Reason] | None = None,
    start: Place | None = None,
) -> Iterator[Reading]:
    """Read a file whose bytes are already in memory, like `read_documents`."""
    limits = limits or Limits()
    walk = Walk(_read_part, limits, begin, refused, start)
    yield from walk.list_readings(lambda: _read_bounded(name, data, limits))


def read_bytes(data: bytes, suffix: str, codec: str | None, limits: Limits) -> Content:
    """Read one document whose bytes are in memory, without the documents inside it.

    Args:
        data: Content of the file.
        suffix: Suffix of the format, in lower case.
        codec: Codec that the content is compressed with, if any.
        limits: Bounds on what is accepted.

    Raises:
        UnreadableError: The document cannot be read. Damaged content may also raise a parser's exception.
    """
    if suffix not in DOCUMENT_SUFFIXES and not _is_for_others(suffix, limits):
        raise UnreadableError(Reason.unsupported)
    check_codec(data[:8], codec)
    if codec is not None:
        data = read_all(io.BytesIO(data), codec, limits)
    if not data.strip():
        raise UnreadableError(Reason.empty)
    if suffix in others.SUFFIXES:
        return others.read(data, suffix, limits)
    try:
        content = _READERS[detect_format(data, suffix) if suffix in OFFICE_SUFFIXES else suffix](data, limits)
    except UnreadableError as unreadable:
        found = _detect_suffix(data) if unreadable.reason is Reason.wrong_suffix else ""
        if found in ("", suffix) or suffix in OFFICE_SUFFIXES:
            raise
        content = _READERS[found](data, limits)  # a mail saved as a PDF file, an RTF file saved as text
    return content if isinstance(content, Content) else Content(content)


def _is_for_others(suffix: str, limits: Limits) -> bool:
    return limits.others and suffix in others.SUFFIXES


def _read_chunk(data: bytes, suffix: str, codec: str | None, limits: Limits) -> str:
    """Read a piece of a document's own text that is stored as a file in it."""
    if limits.max_depth <= 0:
        raise UnreadableError(Reason.unsupported)
    inner = replace(limits, max_depth=limits.max_depth - 1)
    if suffix not in DOCUMENT_SUFFIXES:
        suffix = _detect_suffix(data)
    content = read_bytes(data, suffix, codec, inner)
    return Walk(_read_part, inner).read_whole(lambda: content)


def _read_file(path: Path, limits: Limits) -> Content:
    suffix, codec = split_name(path.name)
    with open_regular(path) as raw:
        if suffix not in DOCUMENT_SUFFIXES and not _is_for_others(suffix, limits):
            # In a maildir, a name shows no format.
            suffix = "" if codec else _detect_suffix(raw.read(_HEAD))
            if suffix not in _FOUND_BY_CONTENT:
                raise UnreadableError(Reason.unsupported)
        size = raw.seek(0, io.SEEK_END)
        if size > limits.max_bytes:
            raise UnreadableError(Reason.over_size)
        raw.seek(0)
        return read_bytes(raw.read(size), suffix, codec, limits)


def _read_bounded(name: str, data: bytes, limits: Limits) -> Content:
    if len(data) > limits.max_bytes:
        raise UnreadableError(Reason.over_size)
    return read_bytes(data, *split_name(name), limits)


def _read_part(part: Part, limits: Limits) -> Content:
    if isinstance(part.data, Reason):
        raise UnreadableError(part.data)
    if limits.max_depth < 0:
        raise UnreadableError(Reason.unsupported)
    suffix, codec = split_name(part.name)
    if suffix in _TABLES:
        suffix = ".txt"
    elif suffix not in DOCUMENT_SUFFIXES and not _is_for_others(suffix, limits):
        suffix = _detect_suffix(part.data)
    return read_bytes(part.data, suffix, codec, limits)


def _detect_suffix(data: bytes) -> str:
    """Return the suffix of the format of a content whose name shows none; "" if no format is certain."""
    if data.startswith(tnef.MAGIC):
        return ".tnef"
    if mbox.is_mbox(data):
        return ".mbox"
    if tar_archive.is_tar(data):
        return ".tar"
    if eml.is_message(data):
        return ".eml"
    return detect_format(data, "") if len(data) >= 4 else ""
