"""DOCX -> text, straight from the parts of the ZIP file.

In the body's order, with tables (cells by tab, rows by line, nested ones in place) and text boxes (after the
paragraph they hang on, once, though Word stores each twice). Headers stand before the body; footnotes,
endnotes, diagrams and footers after it; a header repeated for first, odd and even pages once.

Inserted and moved-to text is text. Deleted and moved-from text, field codes, hidden runs and phonetic guides
are not. Comments are not: they are talk about the document, not the document. Automatic numbers of paragraphs
are not: they aren't in the file, Word computes them.

The XML is read as a stream of events: a part that inflates to 100 MiB of empty elements costs no memory.
"""

from __future__ import annotations

import io
import posixpath
import zipfile
import zlib
from collections.abc import Mapping

from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]

from lexveil.nlp.readers.contract import BOMB_FLOOR, Limits, Reason, UnreadableError
from lexveil.nlp.readers.docx_events import WordText

_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")
_MAX_ENTRIES = 20_000
_BLOCK = 1 << 16
_BEFORE = ("header",)
_AFTER = ("footnotes", "endnotes", "diagramData", "footer")


def read(data: bytes, limits: Limits) -> str:
    """The text of a DOCX file.

    Raises UnreadableError: encrypted, wrong_suffix (no ZIP, or one without a Word document in it), broken,
    decompression_bomb, needs_ocr (pictures and no text), unsupported (holds a chunk of another format).
    """
    if data.startswith(_OLE):
        raise UnreadableError(Reason.encrypted if _ENCRYPTED_PACKAGE in data else Reason.wrong_suffix)
    if not data.startswith(b"PK"):
        raise UnreadableError(Reason.wrong_suffix)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _Package(archive, limits).text()
    except (zipfile.BadZipFile, zlib.error, etree.XMLSyntaxError, EOFError, NotImplementedError):
        raise UnreadableError(Reason.broken) from None


class _Package:
    """One open DOCX and how much may still be inflated from it."""

    def __init__(self, archive: zipfile.ZipFile, limits: Limits) -> None:
        entries = archive.infolist()
        if len(entries) > _MAX_ENTRIES:
            raise UnreadableError(Reason.decompression_bomb)
        if any(entry.flag_bits & 1 for entry in entries):
            raise UnreadableError(Reason.encrypted)
        self._archive = archive
        self._entries = {entry.filename: entry for entry in entries}
        self._budget = limits.max_text_bytes
        self._max_ratio = limits.max_ratio

    def text(self) -> str:
        roots = [part for kind, part in self._related("") if kind == "officeDocument"]
        main = roots[0] if roots else "word/document.xml"
        if main not in self._entries:
            raise UnreadableError(Reason.wrong_suffix)
        body = self._part(main)
        related = sorted(self._related(main))
        if any(kind == "aFChunk" for kind, _ in related):
            raise UnreadableError(Reason.unsupported)
        before = [self._part(part) for wanted in _BEFORE for kind, part in related if kind == wanted]
        after = [self._part(part) for wanted in _AFTER for kind, part in related if kind == wanted]
        pieces = [*dict.fromkeys(before), body, *dict.fromkeys(after)]
        text = "\n".join(piece for piece in pieces if piece.strip())
        if not text and any("/media/" in name for name in self._entries):
            raise UnreadableError(Reason.needs_ocr)
        return text

    def _related(self, part: str) -> list[tuple[str, str]]:
        """(kind, part name) of the parts of this package that `part` ("": the package itself) refers to."""
        folder, name = posixpath.split(part)
        relations = posixpath.join(folder, "_rels", f"{name}.rels")
        if relations not in self._entries:
            return []
        target = _Relations()
        self._parse(relations, target)
        base = posixpath.join("/", folder)
        paths = [(kind, posixpath.normpath(posixpath.join(base, path))[1:]) for kind, path in target.found]
        return [(kind, path) for kind, path in paths if kind == "officeDocument" or path in self._entries]

    def _part(self, name: str) -> str:
        target = WordText()
        self._parse(name, target)
        return target.text()

    def _parse(self, name: str, target: _Relations | WordText) -> None:
        entry = self._entries[name]
        # The declared size may lie; the true one is counted below.
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


class _Relations:
    """Parser target: the relationships of one part that stay inside the package."""

    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag.endswith("}Relationship") and attributes.get("TargetMode") != "External":
            kind = attributes.get("Type", "").rpartition("/")[2]
            self.found.append((kind, attributes.get("Target", "")))

    def doctype(self, *_: object) -> None:
        raise UnreadableError(Reason.broken)

    def close(self) -> None:
        pass
