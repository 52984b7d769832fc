"""From a file to its text, whatever its format."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

from lexveil.nlp.readers import docx, eml, html, pdf, plain
from lexveil.nlp.readers.compression import check_codec, open_regular, read_all, split_name
from lexveil.nlp.readers.contract import Limits, Reason, UnreadableError, normalize_text

DOCUMENT_SUFFIXES = frozenset(
    {".txt", ".text", ".md", ".markdown", ".html", ".htm", ".xhtml", ".docx", ".pdf", ".eml"}
)
"""Each may be followed by `.gz` or `.zst`."""
_MAX_NESTING = 8


def read_document(path: Path, limits: Limits | None = None) -> str:
    """The normalised text of one document, chosen by its suffix and checked against its content.

    Never empty, never None. Raises UnreadableError with the reason, and nothing else, whatever the bytes are.
    """
    return _guarded(lambda: _read_file(path, limits or Limits()))


def read_content(name: str, data: bytes, limits: Limits | None = None) -> str:
    """The same for a document of that name whose bytes are in memory already."""
    return _guarded(lambda: _read_content(name, data, limits or Limits()))


def _guarded(read: Callable[[], str]) -> str:
    reason = Reason.broken
    try:
        return read()
    except UnreadableError as unreadable:
        reason = unreadable.reason
    except Exception:
        # Six foreign parsers meet hostile bytes here: which exceptions they can raise is not knowable.
        reason = Reason.broken
    # Raised out here, so that no library's exception, which may quote the text, hangs on it as its context.
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
    """The same for content already in memory, such as an attachment, which `depth` messages enclose.

    Raises UnreadableError, and whatever a parser raises on damaged content.
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
    match suffix:
        case ".docx":
            return docx.read(data, limits)
        case ".pdf":
            return pdf.read(data, limits)
        case ".eml":
            return eml.read(data, limits, lambda *part: _read_attachment(*part, depth=depth + 1))
        case ".html" | ".htm" | ".xhtml":
            return html.read(data)
        case _:
            return plain.read(data)


def _read_attachment(data: bytes, suffix: str, codec: str | None, limits: Limits, *, depth: int) -> str:
    """Damage in one attachment doesn't cost the rest of the message."""
    try:
        return read_bytes(data, suffix, codec, limits, depth)
    except UnreadableError:
        raise
    except Exception:
        raise UnreadableError(Reason.broken) from None
