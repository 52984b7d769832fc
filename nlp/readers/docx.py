"""DOCX to text, read directly from the parts of the ZIP file.

The text follows the order of the body, with tables (tabs between cells, a line per row, nested tables in
place) and text boxes (after their paragraph, once, although Word stores each twice). Headers precede the
body; footnotes, endnotes, diagrams and footers follow it. Headers and footers that are repeated for first,
odd and even pages occur once.

Chunks of other formats (HTML, RTF) stand where the body refers to them; for one that cannot be read there is
a line `[embedded document not read: REASON]`. Embedded documents are documents of their own. Watermarks are
text.

Inserted text and the target of a move are text. Deleted text, the source of a move, field codes, hidden runs
and phonetic guides are not. Comments are not: they are about the document, not part of it. Automatic
paragraph numbers are not: the file does not contain them, Word computes them.

The XML is parsed as a stream of events: a part that inflates to 100 MiB of empty elements takes no memory.
"""

from __future__ import annotations

import io
import posixpath
import zipfile
import zlib
from collections.abc import Mapping

from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]

from lexveil.nlp.readers.contract import (
    BOMB_FLOOR,
    Content,
    Limits,
    Part,
    ReadPart,
    Reason,
    UnreadableError,
    mark_part,
)
from lexveil.nlp.readers.docx_events import WordText
from lexveil.nlp.readers.plain import OLE_MAGIC

_ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")
_MAX_ENTRIES = 20_000
_BLOCK = 1 << 16
_BEFORE = ("header",)
_AFTER = ("footnotes", "endnotes", "diagramData", "footer")


def read(data: bytes, limits: Limits, read_chunk: ReadPart) -> Content:
    """Read a DOCX file.

    Args:
        data: Content of the file.
        limits: Bounds on what is accepted.
        read_chunk: Reader of chunks of other formats.

    Raises:
        UnreadableError: encrypted, wrong_suffix (not a ZIP file, or one without a Word document), broken,
            decompression_bomb, needs_ocr (pictures and no text), unsupported (a chunk is not there).
    """
    if data.startswith(OLE_MAGIC):
        raise UnreadableError(Reason.encrypted if _ENCRYPTED_PACKAGE in data else Reason.wrong_suffix)
    if not data.startswith(b"PK"):
        raise UnreadableError(Reason.wrong_suffix)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _Package(archive, limits, read_chunk).read()
    except (zipfile.BadZipFile, zlib.error, etree.XMLSyntaxError, EOFError, NotImplementedError):
        raise UnreadableError(Reason.broken) from None


class _Package:
    """An open DOCX file, and the number of bytes that may still be inflated from it."""

    def __init__(self, archive: zipfile.ZipFile, limits: Limits, read_chunk: ReadPart) -> None:
        entries = archive.infolist()
        if len(entries) > _MAX_ENTRIES:
            raise UnreadableError(Reason.decompression_bomb)
        if any(entry.flag_bits & 1 for entry in entries):
            raise UnreadableError(Reason.encrypted)
        self._archive = archive
        # Some programs write Windows' separators.
        self._entries = {entry.filename.replace("\\", "/"): entry for entry in entries}
        self._limits = limits
        self._read_foreign_chunk = read_chunk
        self._parts: dict[str, int] = {}
        """Number of each embedded document, by the name of its entry."""
        self._budget = limits.max_text_bytes
        self._max_ratio = limits.max_ratio

    def read(self) -> Content:
        """Return the text of all parts of the package, and the documents that are embedded in it."""
        text = self._read_text()
        return Content(text, [Part(posixpath.basename(name), self._inflate(name)) for name in self._parts])

    def _read_text(self) -> str:
        roots = [part for kind, part in self._find_related("").values() if kind == "officeDocument"]
        main = roots[0] if roots else "word/document.xml"
        if main not in self._entries:
            raise UnreadableError(Reason.wrong_suffix)
        body = self._read_part(main)
        related = sorted(self._find_related(main).values())
        before = [self._read_part(part) for wanted in _BEFORE for kind, part in related if kind == wanted]
        after = [self._read_part(part) for wanted in _AFTER for kind, part in related if kind == wanted]
        pieces = [*dict.fromkeys(before), body, *dict.fromkeys(after)]
        text = "\n".join(piece for piece in pieces if piece.strip())
        if not text and any("/media/" in name for name in self._entries):
            raise UnreadableError(Reason.needs_ocr)
        return text

    def _find_related(self, part: str) -> dict[str, tuple[str, str]]:
        """Return kind and name of the parts that a part, or the package itself (""), refers to, by id."""
        folder, name = posixpath.split(part)
        relations = posixpath.join(folder, "_rels", f"{name}.rels")
        if relations not in self._entries:
            return {}
        collector = _RelationCollector()
        self._parse(relations, collector)
        base = posixpath.join("/", folder)
        paths = {
            identifier: (kind, posixpath.normpath(posixpath.join(base, path.replace("\\", "/")))[1:])
            for identifier, (kind, path) in collector.relations.items()
        }
        return {
            identifier: (kind, path)
            for identifier, (kind, path) in paths.items()
            if kind == "officeDocument" or path in self._entries
        }

    def _read_part(self, name: str) -> str:
        related = self._find_related(name)
        collector = WordText(
            lambda identifier: self._read_chunk(related, identifier),
            lambda identifier: self._mark_embedded(related, identifier),
        )
        self._parse(name, collector)
        return collector.text()

    def _read_chunk(self, related: Mapping[str, tuple[str, str]], identifier: str) -> str:
        """Return the text of a chunk, or a line that says why it was not read.

        Raises:
            UnreadableError: unsupported (there is no such part), decompression_bomb.
        """
        if identifier not in related:
            raise UnreadableError(Reason.unsupported)
        _, name = related[identifier]
        data = self._inflate(name)
        try:
            return self._read_foreign_chunk(data, posixpath.splitext(name)[1].lower(), None, self._limits)
        except UnreadableError as unreadable:
            return f"[embedded document not read: {unreadable.reason}]"

    def _mark_embedded(self, related: Mapping[str, tuple[str, str]], identifier: str) -> str:
        """Return the mark of an embedded document, which is read later.

        Raises:
            UnreadableError: unsupported (there is no such part).
        """
        if identifier not in related:
            raise UnreadableError(Reason.unsupported)
        _, name = related[identifier]
        return mark_part(self._parts.setdefault(name, len(self._parts)))

    def _inflate(self, name: str) -> bytes:
        with self._archive.open(self._entries[name]) as stream:
            data = stream.read(max(0, self._budget) + 1)
        self._budget -= len(data)
        if self._budget < 0:
            raise UnreadableError(Reason.decompression_bomb)
        return data

    def _parse(self, name: str, target: _RelationCollector | WordText) -> None:
        entry = self._entries[name]
        # The declared size may be false; the true one is counted below.
        too_dense = entry.file_size > BOMB_FLOOR and entry.file_size > entry.compress_size * self._max_ratio
        if entry.file_size > self._budget or too_dense:
            raise UnreadableError(Reason.decompression_bomb)
        parser = etree.XMLParser(target=target, resolve_entities=False, no_network=True, load_dtd=False)
        with self._archive.open(entry) as stream:
            while block := stream.read(_BLOCK):
                self._budget -= len(block)
                if self._budget < 0:
                    raise UnreadableError(Reason.decompression_bomb)
                parser.feed(block)
        parser.close()


class _RelationCollector:
    """Parser target that collects the relationships of one part to others of the package."""

    def __init__(self) -> None:
        self.relations: dict[str, tuple[str, str]] = {}
        """Kind and target of each relationship, by its id."""

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag.endswith("}Relationship") and attributes.get("TargetMode") != "External":
            kind = attributes.get("Type", "").rpartition("/")[2]
            identifier = attributes.get("Id", str(len(self.relations)))
            self.relations[identifier] = (kind, attributes.get("Target", ""))

    def doctype(self, *_: object) -> None:
        raise UnreadableError(Reason.broken)

    def close(self) -> None:
        pass
