"""OpenDocument (ODT, ODS, ODP) to text: the body of `content.xml`, in order, with notes where they stand.

The headers of a text's pages stand before it, the footers after it, each once.

The sheets of a workbook begin with their names, rows are lines. A workbook is one document.
Embedded documents are separate documents; pictures, charts and formulas are counted. Comments and the deleted
text of tracked changes are not part of the document, as in `docx`. The XML is parsed as a stream of events.
"""

from __future__ import annotations

import io
import posixpath
import re
import zipfile
from collections.abc import Mapping
from contextlib import suppress

from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]

from lexveil.nlp.readers.contract import (
    BOMB_FLOOR,
    Content,
    Limits,
    Note,
    Part,
    Reason,
    UnreadableError,
    mark_part,
)
from lexveil.nlp.readers.layout import TextLayout
from lexveil.nlp.readers.office_package import ENTRY_ERRORS, MAX_ENTRIES, PropertyCollector
from lexveil.nlp.readers.zip_archive import is_encrypted, read_member

_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_STYLE = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_HEADING = f"{_TEXT}h"
_PARAGRAPHS = {f"{_TEXT}p", _HEADING}
_HIDES = {f"{_STYLE}table-properties": f"{_TABLE}display", f"{_STYLE}text-properties": f"{_TEXT}display"}
_HIDING = {(f"{_STYLE}table-properties", "false"), (f"{_STYLE}text-properties", "none")}
_STYLED = {*_PARAGRAPHS, f"{_TEXT}span"}
_DROPPED = {f"{_TEXT}tracked-changes", f"{_OFFICE}annotation", f"{_TEXT}note-citation", f"{_OFFICE}forms"}
_HIDDEN = f"{_TEXT}hidden-text"
_DRAW = "{urn:oasis:names:tc:opendocument:xmlns:drawing:1.0}"
_IMAGE = f"{_DRAW}image"
_OBJECTS = {f"{_DRAW}object", f"{_DRAW}object-ole", f"{_DRAW}plugin"}
_PATH = "{http://www.w3.org/1999/xlink}href"
_REPLACEMENTS = "ObjectReplacements/"  # pictures of objects
_IS_DOCUMENT = re.compile(rb"<(?:\w+:)?(?:text|spreadsheet|presentation)[\s>]")
_MARGINS = {f"{_STYLE}{kind}{page}" for kind in ("header", "footer") for page in ("", "-left", "-first")}
_CONTENT = "content.xml"
_STYLES = "styles.xml"
_META = "meta.xml"
_MANIFEST = "META-INF/manifest.xml"
_OWN_PARTS = (_CONTENT, _STYLES, _META, _MANIFEST)
_BLOCK = 1 << 16
_MOST_SPACES = 1000


def read(data: bytes, limits: Limits) -> Content:
    """Read a text, a workbook or slides of OpenDocument.

    Raises:
        UnreadableError: wrong_suffix, encrypted, broken, decompression_bomb.
    """
    if not data.startswith(b"PK"):
        raise UnreadableError(Reason.wrong_suffix)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_sizes(archive, limits)
            text, hidden, shown = _read_content(archive, limits)
            if not text and not shown.parts and shown.pictures:
                raise UnreadableError(Reason.needs_ocr)
            notes = {Note.hidden_text: hidden, Note.unread_picture: len(shown.pictures)}
            notes = {note: count for note, count in notes.items() if count}
            return Content(text, [*shown.parts.values()], notes, _read_properties(archive, limits))
    except ENTRY_ERRORS:
        raise UnreadableError(Reason.broken) from None


def _check_sizes(archive: zipfile.ZipFile, limits: Limits) -> None:
    """Check what an archive declares of its own parts. False sizes are bounded where they are inflated.

    Raises:
        UnreadableError: decompression_bomb.
    """
    entries = archive.infolist()
    if len(entries) > MAX_ENTRIES or any(
        entry.file_size > BOMB_FLOOR and entry.file_size > entry.compress_size * limits.max_ratio
        for entry in entries
        if entry.filename in _OWN_PARTS
    ):
        raise UnreadableError(Reason.decompression_bomb)


def _read_content(archive: zipfile.ZipFile, limits: Limits) -> tuple[str, int, _Shown]:
    names = archive.namelist()
    if _CONTENT not in names:
        raise UnreadableError(Reason.wrong_suffix)
    if is_encrypted(archive.getinfo(_CONTENT)):
        raise UnreadableError(Reason.encrypted)
    if _MANIFEST in names and b":encryption-data" in _read_bounded(archive, _MANIFEST, limits):
        raise UnreadableError(Reason.encrypted)
    shown = _Shown(archive, limits)
    target = _OdtText(shown)
    parser = etree.XMLParser(target=target, resolve_entities=False, no_network=True, load_dtd=False)
    left = limits.max_text_bytes
    with archive.open(_CONTENT) as stream:
        while block := stream.read(_BLOCK):
            left -= len(block)
            if left < 0:
                raise UnreadableError(Reason.decompression_bomb)
            parser.feed(block)
    parser.close()
    margins = _Margins(shown)
    if _STYLES in names and not target.is_workbook:
        parser = etree.XMLParser(target=margins, resolve_entities=False, no_network=True, load_dtd=False)
        with suppress(UnreadableError, *ENTRY_ERRORS):  # the document is accepted all the same
            parser.feed(_read_bounded(archive, _STYLES, limits))
            parser.close()
    pieces = (*margins.list_texts("header"), target.text(), *margins.list_texts("footer"))
    text = "\n".join(piece for piece in pieces if piece.strip())
    return text, target.hidden + margins.count_hidden(), shown


def _read_properties(archive: zipfile.ZipFile, limits: Limits) -> dict[str, str]:
    """Return the properties that the file states."""
    collector = PropertyCollector()
    if _META in archive.namelist():
        parser = etree.XMLParser(target=collector, resolve_entities=False, no_network=True, load_dtd=False)
        with suppress(UnreadableError, *ENTRY_ERRORS):  # the document is accepted all the same
            parser.feed(_read_bounded(archive, _META, limits))
            parser.close()
    return collector.filled()


def _read_bounded(archive: zipfile.ZipFile, name: str, limits: Limits) -> bytes:
    with archive.open(name) as stream:
        content = stream.read(limits.max_text_bytes + 1)
    if len(content) > limits.max_text_bytes:
        raise UnreadableError(Reason.decompression_bomb)
    return content


class _Shown:
    """Content of a document besides its text.

    Attributes:
        pictures: Paths of the pictures, in the file or elsewhere, and of charts and formulas.
        parts: The embedded documents by their paths, in the order of the text.
    """

    def __init__(self, archive: zipfile.ZipFile, limits: Limits) -> None:
        self._archive = archive
        self._limits = limits
        self._left = limits.max_text_bytes
        self._entries = {entry.filename: entry for entry in archive.infolist()}
        self.pictures: set[str] = set()
        self.parts: dict[str, Part] = {}

    def read(self, tag: str, attributes: Mapping[str, str]) -> str:
        """Note what an element shows; return the mark of an embedded document."""
        path = attributes.get(_PATH, "").removeprefix("./")
        if tag == _IMAGE and not path.startswith(_REPLACEMENTS):
            self.pictures.add(path or str(len(self.pictures)))
        elif tag in _OBJECTS and path and path not in self.parts:
            part = self._open(path)
            if part is None:
                self.pictures.add(path)
            else:
                self.parts[path] = part
        return mark_part([*self.parts].index(path)) if path in self.parts else ""

    def _open(self, path: str) -> Part | None:
        """Return an embedded document; None for a chart or a formula, which is a picture to a reader."""
        name, inner = posixpath.basename(path), f"{path}/{_CONTENT}"
        if inner not in self._entries:
            return Part(name, self._read_entry(path) if path in self._entries else Reason.broken)
        content = self._read_entry(inner)
        if isinstance(content, Reason):
            return Part(f"{name}.odt", content)
        if not _IS_DOCUMENT.search(content):
            return None
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr(_CONTENT, content)
        return Part(f"{name}.odt", out.getvalue())

    def _read_entry(self, name: str) -> bytes | Reason:
        most = min(self._limits.max_bytes, self._left)
        data = read_member(self._archive, self._entries[name], most, self._limits.max_ratio)
        self._left -= 0 if isinstance(data, Reason) else len(data)
        return data


class _OdtText:
    """Parser target that collects the text of paragraphs. `text()` returns it after parsing.

    Attributes:
        is_workbook: True for sheets.
        hidden: Number of texts, and of sheets, that the document hides.
    """

    def __init__(self, shown: _Shown) -> None:
        self._layout = TextLayout()
        self._shown = shown
        self.hidden = 0
        self._style = ""
        self._hiding: set[str] = set()
        self._dropped = 0
        self._paragraphs = 0
        self._is_open = self.is_workbook = False
        self._sheet = ""
        self._sheets: list[str] = []

    def text(self) -> str:
        """Return the collected text."""
        if not self.is_workbook:
            return self._layout.getvalue()
        self._begin_sheet("")
        return "\n\n".join(self._sheets)

    def _begin_sheet(self, name: str) -> None:
        rows = self._layout.getvalue()
        if rows.strip():
            self._sheets.append("\n".join(filter(None, (self._sheet, rows))))
        self._layout, self._sheet = TextLayout(), name

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Handle the start of an element.

        Raises:
            UnreadableError: wrong_suffix, if the root element belongs to another format.
        """
        self._is_open = self._is_open or tag.startswith(_OFFICE)
        if not self._is_open:
            raise UnreadableError(Reason.wrong_suffix)
        if self._dropped or tag in _DROPPED:
            self._dropped += 1
        elif self._is_hidden(tag, attributes):
            self.hidden += 1
            self._dropped += 1
        elif tag in _PARAGRAPHS:
            self._paragraphs += 1
            if tag == _HEADING and self._paragraphs == 1:
                self._layout.break_line(2)
        elif tag == f"{_TABLE}table-cell":
            self._layout.open_cell()
        elif tag == f"{_TABLE}table" and self.is_workbook:
            self._begin_sheet(attributes.get(f"{_TABLE}name", ""))
        elif tag == f"{_OFFICE}spreadsheet":
            self.is_workbook = True
        else:
            self._layout.write(self._shown.read(tag, attributes) or _read_space(tag, attributes))

    def _is_hidden(self, tag: str, attributes: Mapping[str, str]) -> bool:
        """Return True for hidden text and sheets; both may be by their styles, which stand before."""
        if tag == f"{_STYLE}style":
            self._style = attributes.get(f"{_STYLE}name", "")
        elif (tag, attributes.get(_HIDES.get(tag, ""))) in _HIDING:
            self._hiding.add(self._style)
        if tag in _STYLED and attributes.get(f"{_TEXT}style-name") in self._hiding:
            return True
        is_sheet = tag == f"{_TABLE}table" and self.is_workbook
        return tag == _HIDDEN or (is_sheet and attributes.get(f"{_TABLE}style-name") in self._hiding)

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
            self._layout.break_line(2 if tag == _HEADING and not self._paragraphs else 1)
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


class _Margins:
    """Parser target that collects the headers and footers of all kinds of pages."""

    def __init__(self, shown: _Shown) -> None:
        self._shown = shown
        self._found: list[tuple[str, _OdtText]] = []
        self._open: _OdtText | None = None

    def list_texts(self, kind: str) -> list[str]:
        """Return the texts of the headers, or of the footers, each once."""
        return list(dict.fromkeys(text.text() for found, text in self._found if found == kind))

    def count_hidden(self) -> int:
        """Return the number of hidden texts in them."""
        return sum(text.hidden for _, text in self._found)

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Handle the start of an element."""
        kind = tag.removeprefix(_STYLE).partition("-")[0]
        if tag in _MARGINS and attributes.get(f"{_STYLE}display") != "false":
            self._open = _OdtText(self._shown)
            self._open.start(f"{_OFFICE}text", {})
            self._found.append((kind, self._open))
        elif self._open is not None:
            self._open.start(tag, attributes)

    def data(self, text: str) -> None:
        """Handle character data."""
        if self._open is not None:
            self._open.data(text)

    def end(self, tag: str) -> None:
        """Handle the end of an element."""
        if tag in _MARGINS:
            self._open = None
        elif self._open is not None:
            self._open.end(tag)

    def doctype(self, *_: object) -> None:
        """Refuse a document type, as in the body.

        Raises:
            UnreadableError: broken.
        """
        raise UnreadableError(Reason.broken)

    def close(self) -> None:
        """Handle the end of the part."""


def _read_space(tag: str, attributes: Mapping[str, str]) -> str:
    """Return the white space that an element stands for; "" for any other element."""
    if tag == f"{_TEXT}s":
        return " " * min(_count_spaces(attributes), _MOST_SPACES)
    return {f"{_TEXT}tab": "\t", f"{_TEXT}line-break": "\n"}.get(tag, "")


def _count_spaces(attributes: Mapping[str, str]) -> int:
    count = attributes.get(f"{_TEXT}c", "1")
    return int(count) if count.isascii() and count.isdigit() and len(count) < 6 else 1
