"""Office Open XML packages (DOCX, PPTX, XLSX): the parts of the ZIP file and how they refer to each other.

The XML is parsed as a stream of events: a part that inflates to 100 MiB of empty elements takes no memory.
"""

from __future__ import annotations

import io
import posixpath
import zipfile
import zlib
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import IO, Any
from urllib.parse import unquote

from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]

from lexveil.nlp.readers.contract import BOMB_FLOOR, Limits, Part, Reason, UnreadableError
from lexveil.nlp.readers.plain import OLE_MAGIC
from lexveil.nlp.readers.zip_archive import is_encrypted, read_member

_ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")
MAX_ENTRIES = 20_000
"""Most entries that the ZIP file of an office document may have."""
_BLOCK = 1 << 16
_PROPERTIES = {
    "title": "title",
    "creator": "author",
    "subject": "subject",
    "created": "date",
    "creation-date": "date",
}
_LONGEST_FIELD = 2000

ENTRY_ERRORS = (zipfile.BadZipFile, zlib.error, etree.XMLSyntaxError, EOFError, RuntimeError)
"""What a damaged entry, or one that is encrypted or of an unknown compression, raises."""

Related = Mapping[str, tuple[str, str]]
"""Kind and name of the parts that a part refers to, by the id of the relationship, in the file's order."""


class OfficePackage:
    """An open package, and the number of bytes that may still be inflated from it."""

    def __init__(self, archive: zipfile.ZipFile, limits: Limits) -> None:
        entries = archive.infolist()
        if len(entries) > MAX_ENTRIES:
            raise UnreadableError(Reason.decompression_bomb)
        self._archive = archive
        # Some programs write Windows' separators, and an absolute path.
        self._entries = {entry.filename.replace("\\", "/").lstrip("/"): entry for entry in entries}
        # Letters of names count alike whether capital or not (ECMA-376, part 2).
        self._spelled = {name.lower(): name for name in self._entries}
        self._budget = limits.max_text_bytes
        self._limits = limits

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def find_main(self, usual: str) -> str:
        """Return the name of the main part.

        Args:
            usual: Its name if the package does not state it.

        Raises:
            UnreadableError: wrong_suffix, if it is not there.
        """
        roots = [part for kind, part in self.find_related("").values() if kind == "officeDocument"]
        main = roots[0] if roots else self._spell(usual)
        if main not in self._entries:
            raise UnreadableError(Reason.wrong_suffix)
        return main

    def find_related(self, part: str) -> Related:
        """Return kind and name of the parts that a part, or the package itself (""), refers to, by id."""
        folder, name = posixpath.split(part)
        relations = self._spell(posixpath.join(folder, "_rels", f"{name}.rels"))
        if relations not in self._entries:
            return {}
        collector = _RelationCollector()
        self.parse(relations, collector)
        base = posixpath.join("/", folder)
        paths = {
            identifier: (
                kind,
                self._spell(posixpath.normpath(posixpath.join(base, path.replace("\\", "/")))[1:]),
            )
            for identifier, (kind, path) in collector.relations.items()
        }
        return {
            identifier: (kind, path)
            for identifier, (kind, path) in paths.items()
            if kind == "officeDocument" or path in self._entries
        }

    def _spell(self, name: str) -> str:
        """Return the name of a part as the ZIP file has it, where a reference to it has other letters."""
        if name in self._entries:
            return name
        lower = name.lower()
        return self._spelled.get(lower) or self._spelled.get(unquote(lower)) or name

    def inflate(self, name: str) -> bytes:
        """Return the content of a part.

        Raises:
            UnreadableError: encrypted, decompression_bomb.
        """
        with self._open(name) as stream:
            data = stream.read(max(0, self._budget) + 1)
        self._budget -= len(data)
        if self._budget < 0:
            raise UnreadableError(Reason.decompression_bomb)
        return data

    def read_embedded(self, name: str) -> Part:
        """Return an embedded document, whose failures are its own. Read the package's own parts before it."""
        data = read_member(
            self._archive,
            self._entries[name],
            min(self._limits.max_bytes, self._budget),
            self._limits.max_ratio,
        )
        self._budget -= 0 if isinstance(data, Reason) else len(data)
        return Part(posixpath.basename(name), data)

    def parse(self, name: str, target: Any) -> None:
        """Parse a part; the target gets its events.

        Raises:
            UnreadableError: encrypted, decompression_bomb.
        """
        entry = self._entries[name]
        # The declared size may be false; the true one is counted below.
        densest = entry.compress_size * self._limits.max_ratio
        too_dense = entry.file_size > BOMB_FLOOR and entry.file_size > densest
        if entry.file_size > self._budget or too_dense:
            raise UnreadableError(Reason.decompression_bomb)
        parser = etree.XMLParser(target=target, resolve_entities=False, no_network=True, load_dtd=False)
        with self._open(name) as stream:
            while block := stream.read(_BLOCK):
                self._budget -= len(block)
                if self._budget < 0:
                    raise UnreadableError(Reason.decompression_bomb)
                parser.feed(block)
        parser.close()

    def read_properties(self) -> dict[str, str]:
        """Return the properties that the package states, of title, author, subject and date."""
        parts = [part for kind, part in self.find_related("").values() if kind == "core-properties"]
        collector = PropertyCollector()
        for part in parts[:1]:
            with suppress(UnreadableError, *ENTRY_ERRORS):  # the document is accepted all the same
                self.parse(part, collector)
        return collector.filled()

    def _open(self, name: str) -> IO[bytes]:
        entry = self._entries[name]
        if is_encrypted(entry):
            raise UnreadableError(Reason.encrypted)
        return self._archive.open(entry)


@contextmanager
def open_package(data: bytes, limits: Limits) -> Generator[OfficePackage]:
    """Open a package.

    Raises:
        UnreadableError: encrypted, wrong_suffix (no ZIP file), broken, decompression_bomb.
    """
    if data.startswith(OLE_MAGIC):
        raise UnreadableError(Reason.encrypted if _ENCRYPTED_PACKAGE in data else Reason.wrong_suffix)
    if not data.startswith(b"PK"):
        raise UnreadableError(Reason.wrong_suffix)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield OfficePackage(archive, limits)
    except ENTRY_ERRORS:
        raise UnreadableError(Reason.broken) from None


class PartTarget:
    """Parser target that ignores everything; those of parts derive from it."""

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Handle the start of an element."""

    def data(self, text: str) -> None:
        """Handle character data."""

    def end(self, tag: str) -> None:
        """Handle the end of an element."""

    def doctype(self, *_: object) -> None:
        """Refuse a document type: Office writes none, and entities could read files or grow without bound.

        Raises:
            UnreadableError: broken.
        """
        raise UnreadableError(Reason.broken)

    def close(self) -> None:
        """Handle the end of the part."""


class _RelationCollector(PartTarget):
    """Collects the relationships of one part to others of the package."""

    def __init__(self) -> None:
        self.relations: dict[str, tuple[str, str]] = {}
        """Kind and target of each relationship, by its id."""

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag.endswith("}Relationship") and attributes.get("TargetMode") != "External":
            kind = attributes.get("Type", "").rpartition("/")[2]
            identifier = attributes.get("Id", str(len(self.relations)))
            self.relations[identifier] = (kind, attributes.get("Target", ""))


class PropertyCollector(PartTarget):
    """Parser target that collects the properties of a file."""

    def __init__(self) -> None:
        self._properties: dict[str, str] = {}
        self._name: str | None = None

    def filled(self) -> dict[str, str]:
        """Return those of title, author, subject and date that are known."""
        return {name: value for name, value in self._properties.items() if value}

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        """Handle the start of an element."""
        self._name = _PROPERTIES.get(tag.rpartition("}")[2])

    def data(self, text: str) -> None:
        """Handle character data."""
        if self._name is not None:
            known = self._properties.get(self._name, "")
            self._properties[self._name] = (known + text).strip()[:_LONGEST_FIELD]

    def end(self, tag: str) -> None:
        """Handle the end of an element."""
        self._name = None
