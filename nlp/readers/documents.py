"""The text of a document file, whatever its format."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lexveil.nlp.readers import docx, eml, html, odt, pdf, plain, rtf
from lexveil.nlp.readers.compression import check_codec, open_regular, read_all, split_name
from lexveil.nlp.readers.contract import Limits, Reason, UnreadableError, normalize_text

DOCUMENT_SUFFIXES = frozenset(
    {
        ".txt", ".text", ".md", ".markdown", ".html", ".htm", ".xhtml", ".docx", ".docm", ".doc", ".rtf",
        ".odt", ".pdf", ".eml", ".emlx",
    }
)  # fmt: skip
"""Each may be followed by `.gz`, `.zst`, `.bz2` or `.xz`."""
# Programs save these under one another's names: the content decides.
_OFFICE = frozenset({".docx", ".docm", ".doc", ".rtf", ".odt"})
_HTML = re.compile(rb"\s*(?:\xef\xbb\xbf)?(?:<!--.{0,2000}?-->\s*)*<(?:!doctype\s+html|html)\b", re.I | re.S)
_HEAD = 4096
_MAX_NESTING = 8


def read_document(path: Path, limits: Limits | None = None) -> str:
    """Read the text of one document. The suffix selects the format; the content is checked against it.

    Args:
        path: File to read.
        limits: Bounds on what is accepted; None for the defaults.

    Returns:
        The normalized text, never empty.

    Raises:
        UnreadableError: The document cannot be read. No other exception is raised, whatever the bytes are.
    """
    return _translate_errors(lambda: _read_file(path, limits or Limits()))


def read_content(name: str, data: bytes, limits: Limits | None = None) -> str:
    """Read the text of one document whose bytes are already in memory.

    Args:
        name: Name of the file, whose suffix selects the format.
        data: Content of the file.
        limits: Bounds on what is accepted; None for the defaults.

    Returns:
        The normalized text, never empty.

    Raises:
        UnreadableError: The document cannot be read. No other exception is raised, whatever the bytes are.
    """
    return _translate_errors(lambda: _read_content(name, data, limits or Limits()))


def _translate_errors(read: Callable[[], str]) -> str:
    try:
        return read()
    except UnreadableError as unreadable:
        reason = unreadable.reason
    except Exception:
        # Third-party parsers process hostile bytes here: which exceptions they may raise is not known.
        reason = Reason.broken
    # Raised outside of the handlers, so that no library's exception, which may quote text, is its context.
    raise UnreadableError(reason)


def _read_file(path: Path, limits: Limits) -> str:
    if split_name(path.name)[0] not in DOCUMENT_SUFFIXES:
        raise UnreadableError(Reason.unsupported)
    with open_regular(path) as raw:
        if raw.seek(0, io.SEEK_END) > limits.max_bytes:
            raise UnreadableError(Reason.over_size)
        raw.seek(0)
        return _read_content(path.name, raw.read(limits.max_bytes + 1), limits)


def _read_content(name: str, data: bytes, limits: Limits) -> str:
    if len(data) > limits.max_bytes:
        raise UnreadableError(Reason.over_size)
    return read_bytes(data, *split_name(name), limits)


def read_bytes(data: bytes, suffix: str, codec: str | None, limits: Limits, depth: int = 0) -> str:
    """Read the text of a document, or of an attachment, whose bytes are in memory.

    Args:
        data: Content of the file.
        suffix: Suffix of the format, in lower case.
        codec: Codec that the content is compressed with, if any.
        limits: Bounds on what is accepted.
        depth: Number of messages that enclose the attachment.

    Raises:
        UnreadableError: The document cannot be read. Damaged content may also raise a parser's exception.
    """
    if suffix not in DOCUMENT_SUFFIXES or depth > _MAX_NESTING:
        raise UnreadableError(Reason.unsupported)
    check_codec(data[:8], codec)
    if codec is not None:
        data = read_all(io.BytesIO(data), codec, limits)
    if not data.strip():
        raise UnreadableError(Reason.empty)
    text = normalize_text(_parse(data, suffix, limits, depth))
    if not text.strip():
        raise UnreadableError(Reason.empty)
    return text


def _parse(data: bytes, suffix: str, limits: Limits, depth: int) -> str:
    def read_part(*part: Any) -> str:
        return _read_attachment(*part, depth=depth + 1)

    match _detect_office(data, suffix) if suffix in _OFFICE else suffix:
        case ".docx" | ".docm":
            return docx.read(data, limits, read_part)
        case ".doc":
            raise UnreadableError(Reason.unsupported)
        case ".rtf":
            return rtf.read(data)
        case ".odt":
            return odt.read(data, limits)
        case ".pdf":
            return pdf.read(data, limits)
        case ".eml":
            return eml.read(data, limits, read_part)
        case ".emlx":
            return eml.read(eml.unwrap_emlx(data), limits, read_part)
        case ".html" | ".htm" | ".xhtml":
            return html.read(data)
        case _:
            return plain.read(data)


def _detect_office(data: bytes, suffix: str) -> str:
    """Return the suffix of the format that a file of an office program has."""
    if data.lstrip()[:5] == rtf.MAGIC:
        return ".rtf"
    if odt.is_odt(data):
        return ".odt"
    if data.startswith(b"PK"):
        return ".docx"
    if pdf.is_pdf(data):
        return ".pdf"
    if _HTML.match(data[:_HEAD]):
        return ".html"
    return suffix


def _read_attachment(data: bytes, suffix: str, codec: str | None, limits: Limits, *, depth: int) -> str:
    # Damage in one attachment must not cost the rest of the message.
    try:
        return read_bytes(data, suffix, codec, limits, depth)
    except UnreadableError:
        raise
    except Exception:
        raise UnreadableError(Reason.broken) from None
