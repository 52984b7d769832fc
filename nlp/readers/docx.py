"""DOCX to text, read directly from the parts of the ZIP file.

The text follows the order of the body, with tables (tabs between cells, a line per row, nested tables in
place) and text boxes (after their paragraph, once, although Word stores each twice). Headers precede the
body; footnotes, endnotes, diagrams and footers follow it. Headers and footers that are repeated for first,
odd and even pages occur once.

Headings, by their style or level, have blank lines around them: encoders prefer to begin a chunk there.

Chunks of other formats (HTML, RTF) stand where the body refers to them; for one that cannot be read there is
a line `[embedded document not read: REASON]`. Embedded documents are separate documents. Watermarks are text.

Inserted text and the target of a move are text. Deleted text, the source of a move, field codes, hidden runs
and phonetic guides are not. Comments are not: they are about the document, not part of it. Automatic
paragraph numbers are not: the file does not contain them, Word computes them.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from contextlib import suppress

from lexveil.nlp.readers.contract import (
    Content,
    Limits,
    Note,
    Part,
    ReadPart,
    Reason,
    UnreadableError,
    mark_part,
)
from lexveil.nlp.readers.docx_events import Styles, WordText
from lexveil.nlp.readers.office_package import ENTRY_ERRORS, OfficePackage, Related, open_package

_BEFORE = ("header",)
_UNREAD_CHUNK = re.compile(r"\[embedded document not read: \w+\]")
_AFTER = ("footnotes", "endnotes", "diagramData", "footer")


def read(data: bytes, limits: Limits, read_chunk: ReadPart) -> Content:
    """Read a DOCX file.

    Args:
        data: Content of the file.
        limits: Bounds on what is accepted.
        read_chunk: Reader of chunks of other formats.

    Raises:
        UnreadableError: encrypted, wrong_suffix (not a ZIP file, or one without a Word document), broken,
            decompression_bomb, needs_ocr (pictures and no text), or why its only chunk cannot be read.
    """
    with open_package(data, limits) as package:
        return _Document(package, limits, read_chunk).read()


class _Document:
    """An open DOCX file."""

    def __init__(self, package: OfficePackage, limits: Limits, read_chunk: ReadPart) -> None:
        self._package = package
        self._limits = limits
        self._read_foreign_chunk = read_chunk
        self._parts: dict[str, int] = {}
        """Number of each embedded document, by the name of its entry, or else by "/" and its id."""
        self._notes: Counter[Note] = Counter()
        self._refusal: Reason | None = None
        """Why the first chunk that was not read was not."""
        self._pictures: set[str] = set()
        self._styles = Styles()

    def read(self) -> Content:
        """Return the text of all parts of the package, and the documents that are embedded in it."""
        text = self._read_text()
        properties = self._package.read_properties()
        parts = [
            self._package.read_embedded(name)
            if name in self._package
            else Part("object", Reason.inaccessible)
            for name in self._parts
        ]
        self._notes[Note.unread_picture] = len(self._pictures)
        return Content(text, parts, dict(+self._notes), properties)

    def _read_text(self) -> str:
        main = self._package.find_main("word/document.xml")
        related = sorted(self._package.find_related(main).values())
        self._read_styles([name for kind, name in related if kind == "styles"])
        body = self._read_part(main)
        before = [self._read_part(part) for wanted in _BEFORE for kind, part in related if kind == wanted]
        after = [self._read_part(part) for wanted in _AFTER for kind, part in related if kind == wanted]
        pieces = [*dict.fromkeys(before), body, *dict.fromkeys(after)]
        text = "\n".join(piece for piece in pieces if piece.strip())
        if not text and any("/media/" in name for name in self._package):
            raise UnreadableError(Reason.needs_ocr)
        if self._refusal is not None and not _UNREAD_CHUNK.sub("", text).strip():
            raise UnreadableError(self._refusal)
        return text

    def _read_part(self, name: str) -> str:
        related = self._package.find_related(name)
        self._pictures.update(path for kind, path in related.values() if kind == "image")
        collector = WordText(
            lambda identifier: self._read_chunk(related, identifier),
            lambda identifier: self._mark_embedded(related, identifier),
            self._styles.list_headings(),
            self._styles.list_hidden(),
        )
        self._package.parse(name, collector)
        self._notes[Note.hidden_text] += collector.hidden
        return collector.text()

    def _read_styles(self, parts: list[str]) -> None:
        for part in parts[:1]:
            with suppress(UnreadableError, *ENTRY_ERRORS):  # no reason to refuse the document
                self._package.parse(part, self._styles)

    def _read_chunk(self, related: Related, identifier: str) -> str:
        """Return the text of a chunk, or a line that says why it was not read."""
        _, name = related.get(identifier, ("", ""))
        data = self._package.read_embedded(name).data if name in self._package else Reason.unsupported
        try:
            if isinstance(data, Reason):
                raise UnreadableError(data)
            return self._read_foreign_chunk(data, posixpath.splitext(name)[1].lower(), None, self._limits)
        except UnreadableError as unreadable:
            self._notes[Note.unread_attachment] += 1
            self._refusal = self._refusal or unreadable.reason
            return f"[embedded document not read: {unreadable.reason}]"

    def _mark_embedded(self, related: Related, identifier: str) -> str:
        """Return the mark of an embedded document, which is read later, or of one that is elsewhere."""
        _, name = related.get(identifier, ("", ""))
        name = name if name in self._package else f"/{identifier}"  # no name of a part begins so
        return mark_part(self._parts.setdefault(name, len(self._parts)))
