"""ODT (OpenDocument) to text: the body of `content.xml`, in order, with notes where they are referred to.

Deleted text of tracked changes and comments are no part of the document, as in `docx`. The XML is parsed as a
stream of events.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping

from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]

from lexveil.nlp.readers.contract import Limits, Reason, UnreadableError
from lexveil.nlp.readers.layout import TextLayout

_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_PARAGRAPHS = {f"{_TEXT}p", f"{_TEXT}h"}
_DROPPED = {f"{_TEXT}tracked-changes", f"{_OFFICE}annotation", f"{_TEXT}note-citation", f"{_OFFICE}forms"}
_CONTENT = "content.xml"
_MANIFEST = "META-INF/manifest.xml"
_BLOCK = 1 << 16
_MOST_SPACES = 1000


def is_odt(data: bytes) -> bool:
    """Return True for a ZIP file that begins with the media type of OpenDocument text."""
    return data.startswith(b"PK") and b"mimetypeapplication/vnd.oasis.opendocument.text" in data[:200]


def read(data: bytes, limits: Limits) -> str:
    """Read the text of an ODT file.

    Raises:
        UnreadableError: wrong_suffix, encrypted, broken, decompression_bomb.
    """
    if not data.startswith(b"PK"):
        raise UnreadableError(Reason.wrong_suffix)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _read_content(archive, limits)
    except (zipfile.BadZipFile, zlib.error, etree.XMLSyntaxError, EOFError, NotImplementedError):
        raise UnreadableError(Reason.broken) from None


def _read_content(archive: zipfile.ZipFile, limits: Limits) -> str:
    names = archive.namelist()
    if _CONTENT not in names:
        raise UnreadableError(Reason.wrong_suffix)
    if _MANIFEST in names and b":encryption-data" in _read_bounded(archive, _MANIFEST, limits):
        raise UnreadableError(Reason.encrypted)
    target = _OdtText()
    parser = etree.XMLParser(target=target, resolve_entities=False, no_network=True, load_dtd=False)
    left = limits.max_text_bytes
    with archive.open(_CONTENT) as stream:
        while block := stream.read(_BLOCK):
            left -= len(block)
            if left < 0:
                raise UnreadableError(Reason.decompression_bomb)
            parser.feed(block)
    parser.close()
    return target.text()


def _read_bounded(archive: zipfile.ZipFile, name: str, limits: Limits) -> bytes:
    with archive.open(name) as stream:
        content = stream.read(limits.max_text_bytes + 1)
    if len(content) > limits.max_text_bytes:
        raise UnreadableError(Reason.decompression_bomb)
    return content


class _OdtText:
    """Parser target that collects the text of paragraphs. `text()` returns it after parsing."""

    def __init__(self) -> None:
        self._layout = TextLayout()
        self._dropped = 0
        self._paragraphs = 0

    def text(self) -> str:
        """Return the collected text."""
        return self._layout.getvalue()

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Handle the start of an element."""
        if self._dropped or tag in _DROPPED:
            self._dropped += 1
        elif tag in _PARAGRAPHS:
            self._paragraphs += 1
        elif tag == f"{_TABLE}table-cell":
            self._layout.open_cell()
        elif tag == f"{_TEXT}tab":
            self._layout.write("\t")
        elif tag == f"{_TEXT}line-break":
            self._layout.write("\n")
        elif tag == f"{_TEXT}s":
            self._layout.write(" " * min(_count_spaces(attributes), _MOST_SPACES))

    def data(self, text: str) -> None:
        """Handle character data."""
        if self._paragraphs and not self._dropped:
            self._layout.write(text)

    def end(self, tag: str) -> None:
        """Handle the end of an element."""
        if self._dropped:
            self._dropped -= 1
        elif tag in _PARAGRAPHS:
            self._paragraphs -= 1
            self._layout.break_line()
        elif tag == f"{_TABLE}table-cell":
            self._layout.close_cell()
        elif tag == f"{_TABLE}table-row":
            self._layout.close_row()

    def doctype(self, *_: object) -> None:
        """Refuse a document type, whose entities could read files or grow without bound.

        Raises:
            UnreadableError: broken.
        """
        raise UnreadableError(Reason.broken)

    def close(self) -> None:
        """Handle the end of the part."""


def _count_spaces(attributes: Mapping[str, str]) -> int:
    count = attributes.get(f"{_TEXT}c", "1")
    return int(count) if count.isascii() and count.isdigit() and len(count) < 6 else 1
