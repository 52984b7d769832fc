"""The documents of a file, whatever its format: itself, and what is attached to it or packed in it."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
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
    p7m,
    pdf,
    plain,
    ppt,
    pptx,
    rtf,
    tnef,
    wpd,
    xls,
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
    escape_name,
    normalize_text,
    place_parts,
)
from lexveil.nlp.readers.formats import OFFICE_SUFFIXES, detect_format
from lexveil.nlp.readers.pdf_attachments import read_attachments

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
    ".doc": doc.read,
    ".dot": doc.read,
    ".wpd": wpd.read,
    ".rtf": lambda data, _: rtf.read(data),
    ".odt": odt.read,
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
    ".ppt": ppt.read,
    ".pps": ppt.read,
    ".xlsx": xlsx.read,
    ".xlsm": xlsx.read,
    ".xls": xls.read,
    ".ods": odt.read,
    ".odp": odt.read,
    ".xml": xml.read,
    ".akn": xml.read,
    ".nxml": xml.read,
    ".tei": xml.read,
    ".mbox": mbox.read,
    ".ole": ole_object.read,
    ".tnef": tnef.read,
    ".zip": zip_archive.read,
    ".emlx": lambda data, limits: eml.read(eml.unwrap_emlx(data), limits),
}
DOCUMENT_SUFFIXES = frozenset(_READERS)
"""Each may be followed by `.gz`, `.zst`, `.bz2` or `.xz`."""
# Tables inside of a container are texts: only as files of their own do their rows become documents.
_TABLES = frozenset({".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".log"})
_FOUND_BY_CONTENT = frozenset({".eml", ".mbox"})
_HEAD = 4096
_ATTACHMENT = "[attachment]"
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ufdd0-\ufdef]+")
_MAX_NAME = 250


@dataclass(frozen=True, slots=True)
class Reading:
    """One document of a file, or the reason why it cannot be read.

    Attributes:
        name: Names of the parts that lead to the document, joined by "/"; "" for the file itself.
        text: The normalized text; None if it cannot be read, and for a container that is no document.
        reason: Why it cannot be read.
        notes: What the text does not show, counted.
        fields: Facts that the format states, such as court, date, number and parties.
        belongs_to: Name of the outermost document that contains this one, such as the message of an
            attachment; None if it is not inside of another document. An archive is no document. Of a
            container without a text, such as a portfolio, the first document counts as the outermost.
    """

    name: str = field(repr=False)
    text: str | None = field(default=None, repr=False)
    reason: Reason | None = None
    notes: Mapping[Note, int] = field(default_factory=dict[Note, int])
    fields: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    belongs_to: str | None = field(default=None, repr=False)


def read_document(path: Path, limits: Limits | None = None) -> str:
    """Read the whole text of a file, with the texts of the documents inside of it.

    The suffix selects the format; the content is checked against it.

    Args:
        path: File to read.
        limits: Bounds on what is accepted; None for the defaults.

    Returns:
        The normalized text, never empty.

    Raises:
        UnreadableError: The file cannot be read. No other exception is raised, whatever the bytes are.
    """
    return _Walk(limits or Limits()).read_whole(lambda walk: walk.open_file(path))


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
    return _Walk(limits or Limits()).read_whole(lambda walk: walk.open_bytes(name, data))


def read_documents(
    path: Path,
    limits: Limits | None = None,
    begin: Callable[[int], None] = lambda number: None,
    refused: Mapping[int, Reason] | None = None,
) -> Iterator[Reading]:
    """Read a file and, as documents of their own, the documents inside of it, at any depth.

    A document comes before those inside of it. Where it refers to one of them, its text has the line
    `[attachment]`, or `[attachment not read: REASON]`.

    Args:
        path: File to read.
        limits: Bounds on what is accepted; None for the defaults.
        begin: Called before each document, or container, is read, with its number: 0 for the file.
        refused: Numbers of documents that are not to be read, and why.

    Yields:
        Each document, or why it cannot be read. Nothing is raised, whatever the bytes are.
    """
    walk = _Walk(limits or Limits(), begin, refused or {})
    yield from walk.list_readings(walk.open_file(path))


def read_content_documents(
    name: str,
    data: bytes,
    limits: Limits | None = None,
    begin: Callable[[int], None] = lambda number: None,
    refused: Mapping[int, Reason] | None = None,
) -> Iterator[Reading]:
    """Read as `read_documents` a file whose bytes are already in memory."""
    walk = _Walk(limits or Limits(), begin, refused or {})
    yield from walk.list_readings(walk.open_bytes(name, data))


def read_bytes(data: bytes, suffix: str, codec: str | None, limits: Limits) -> Content:
    """Read one document whose bytes are in memory, without the documents inside of it.

    Args:
        data: Content of the file.
        suffix: Suffix of the format, in lower case.
        codec: Codec that the content is compressed with, if any.
        limits: Bounds on what is accepted.

    Raises:
        UnreadableError: The document cannot be read. Damaged content may also raise a parser's exception.
    """
    if suffix not in DOCUMENT_SUFFIXES:
        raise UnreadableError(Reason.unsupported)
    check_codec(data[:8], codec)
    if codec is not None:
        data = read_all(io.BytesIO(data), codec, limits)
    if not data.strip():
        raise UnreadableError(Reason.empty)
    read = _READERS[detect_format(data, suffix) if suffix in OFFICE_SUFFIXES else suffix]
    content = read(data, limits)
    return content if isinstance(content, Content) else Content(content)


def _read_chunk(data: bytes, suffix: str, codec: str | None, limits: Limits) -> str:
    """Read a piece of a document's own text that is stored as a file in it."""
    if limits.max_depth <= 0:
        raise UnreadableError(Reason.unsupported)
    inner = replace(limits, max_depth=limits.max_depth - 1)
    content = read_bytes(data, suffix, codec, inner)
    return _Walk(inner).read_whole(lambda walk: walk.open_content(content))


@dataclass(frozen=True, slots=True)
class _Node:
    """A document, or why it cannot be read, and the documents inside of it, which are read as they come."""

    name: str = field(repr=False)
    content: Content | Reason = field(repr=False)
    inside: Iterator[_Node] = field(repr=False)


class _Walk:
    """The way through one file, with what may still be read of it."""

    def __init__(
        self,
        limits: Limits,
        begin: Callable[[int], None] = lambda number: None,
        refused: Mapping[int, Reason] | None = None,
    ) -> None:
        self._limits = limits
        self._begin = begin
        self._refused = refused or {}
        self._begun = 0
        self._bytes = 0

    def open_file(self, path: Path) -> _Node:
        """Open the file itself."""
        return self._open("", lambda: self._read_file(path), self._limits)

    def open_bytes(self, name: str, data: bytes) -> _Node:
        """Open a file whose bytes are in memory."""
        return self._open("", lambda: _read_bounded(name, data, self._limits), self._limits)

    def open_content(self, content: Content) -> _Node:
        """Open what was read already, to read what is inside of it."""
        return self._open("", lambda: content, self._limits)

    def read_whole(self, open_node: Callable[[_Walk], _Node]) -> str:
        """Return the text of a document with the texts of those inside of it.

        Raises:
            UnreadableError: it cannot be read, or has no text.
        """
        outcome = self._join(open_node(self))
        if isinstance(outcome, Reason):
            raise UnreadableError(outcome)
        return outcome

    def list_readings(self, node: _Node, prefix: str = "", outer: str | None = None) -> Iterator[Reading]:
        """Yield a document, then those inside of it.

        Args:
            node: The document.
            prefix: Name of the document that contains it, with "/"; "" for the file itself.
            outer: Name of the outermost document that contains it; None if there is none.
        """
        name = f"{prefix}{node.name}"
        content = node.content
        if isinstance(content, Reason):
            yield Reading(name, reason=content, belongs_to=outer)
            return
        below = f"{name}/" if name else ""
        if not content.text.strip():
            yield from self._list_container(node, content, name, below, outer)
            return
        inner = [[*self.list_readings(one, below, name if outer is None else outer)] for one in node.inside]
        refusals = [_find_refusal(readings) for readings in inner]
        shown = {n: _describe(reason) if reason else _ATTACHMENT for n, reason in enumerate(refusals)}
        unread = sum(reason is not None for reason in refusals)
        notes = {**content.notes, **({Note.unread_attachment: unread} if unread else {})}
        text = normalize_text(place_parts(content.text, shown))
        yield Reading(name, text, None, notes, dict(content.fields), outer)
        for readings in inner:
            yield from readings

    def _list_container(
        self, node: _Node, content: Content, name: str, below: str, outer: str | None
    ) -> Iterator[Reading]:
        is_empty = True
        first: str | None = None
        if content.notes:
            yield Reading(name, notes=dict(content.notes), belongs_to=outer)
        for one in node.inside:
            is_empty = False
            for reading in self.list_readings(one, below, outer):
                if outer is not None or content.is_archive:
                    yield reading
                    continue
                yield reading if first is None else replace(reading, belongs_to=first)
                if first is None and reading.text is not None:
                    first = reading.name
        if is_empty:
            yield Reading(name, reason=Reason.empty, belongs_to=outer)

    def _join(self, node: _Node) -> str | Reason:
        content = node.content
        if isinstance(content, Reason):
            return content
        outcomes = [self._join(one) for one in node.inside]
        if content.text.strip():
            head = f"{_ATTACHMENT}\n\n"
        elif all(isinstance(outcome, Reason) for outcome in outcomes):
            return next((one for one in outcomes if isinstance(one, Reason)), Reason.empty)
        else:
            head = ""
        shown = {
            number: _describe(outcome) if isinstance(outcome, Reason) else f"{head}{outcome}"
            for number, outcome in enumerate(outcomes)
        }
        return normalize_text(place_parts(content.text, shown))

    def _open(self, name: str, read: Callable[[], Content], limits: Limits) -> _Node:
        number = self._begun
        self._begun += 1
        if (reason := self._refused.get(number)) is None:
            self._begin(number)
            outcome = _translate_errors(read)
            if isinstance(outcome, Content):
                return _Node(name, outcome, self._open_parts(outcome, limits))
            reason = outcome
        return _Node(name, reason, iter(()))

    def _open_parts(self, content: Content, limits: Limits) -> Iterator[_Node]:
        inner = replace(limits, max_depth=limits.max_depth - 1)
        names: dict[str, int] = {}
        parts = iter(content.parts)
        while True:
            try:
                part = next(parts, None)
                reason = None if part is None else self._count(part)
            except UnreadableError as unreadable:
                part, reason = Part("", unreadable.reason), unreadable.reason
            except Exception:
                part, reason = Part("", Reason.broken), Reason.broken
            if part is None:
                return
            name = _make_unique(_clean_name(part.name) or "part", names)
            if reason is not None:  # a break: nothing that follows can be read
                yield _Node(name, reason, iter(()))
                return
            yield self._open(name, lambda part=part: _read_part(part, inner), inner)

    def _count(self, part: Part) -> Reason | None:
        """Count a part; return why it and all that follow cannot be read."""
        self._bytes += 0 if isinstance(part.data, Reason) else len(part.data)
        if self._begun > self._limits.max_parts:
            return Reason.too_many_parts
        return Reason.decompression_bomb if self._bytes > self._limits.max_total_bytes else None

    def _read_file(self, path: Path) -> Content:
        suffix, codec = split_name(path.name)
        with open_regular(path) as raw:
            if suffix not in DOCUMENT_SUFFIXES:
                # A name tells nothing in a maildir.
                suffix = "" if codec else _detect_suffix(raw.read(_HEAD))
                if suffix not in _FOUND_BY_CONTENT:
                    raise UnreadableError(Reason.unsupported)
            size = raw.seek(0, io.SEEK_END)
            if size > self._limits.max_bytes:
                raise UnreadableError(Reason.over_size)
            raw.seek(0)
            return read_bytes(raw.read(size), suffix, codec, self._limits)


def _translate_errors(read: Callable[[], Content]) -> Content | Reason:
    try:
        content = read()
        # A container of a document has no text, and a document has some.
        return content if content.text.strip() or _has_parts(content) else Reason.empty
    except UnreadableError as unreadable:
        return unreadable.reason
    except MemoryError:
        return Reason.over_memory
    except Exception:
        # Third-party parsers process hostile bytes here: which exceptions they may raise is not known, and
        # they may quote text.
        return Reason.broken


def _has_parts(content: Content) -> bool:
    return content.parts != () or bool(content.notes)


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
    elif suffix not in DOCUMENT_SUFFIXES:
        suffix = _detect_suffix(part.data)
    return read_bytes(part.data, suffix, codec, limits)


def _find_refusal(readings: list[Reading]) -> Reason | None:
    """Return why a part was not read; None if anything of it was."""
    return None if any(reading.text is not None for reading in readings) else readings[0].reason


def _describe(reason: Reason) -> str:
    return f"[attachment not read: {reason}]"


def _clean_name(name: str) -> str:
    """Return a name that has a UTF-8 form, without control characters, and leads nowhere else."""
    shown = _CONTROL.sub(" ", escape_name(name.replace("\\", "/")))
    steps = [step.strip() for step in shown.split("/")]
    return "/".join(step for step in steps if step not in ("", ".", ".."))[-_MAX_NAME:].lstrip("/")


def _make_unique(name: str, taken: dict[str, int]) -> str:
    """Return a name that no part before has.

    Args:
        name: Name of the part.
        taken: How often each name came, and the names that were given.
    """
    unique = name
    while unique in taken:
        taken[name] += 1
        unique = f"{name}#{taken[name]}"
    taken[unique] = 1
    return unique


def _detect_suffix(data: bytes) -> str:
    """Return the suffix of the format of a content whose name tells none; "" for none that is certain."""
    if data.startswith(tnef.MAGIC):
        return ".tnef"
    if mbox.is_mbox(data):
        return ".mbox"
    if eml.is_message(data):
        return ".eml"
    return detect_format(data, "") if len(data) >= 4 else ""
