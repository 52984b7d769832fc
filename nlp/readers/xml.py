"""XML to text: judgments (Akoma Ntoso, LegalDocML), TEI, JATS, dockets and other XML of courts.

No vocabulary needs to be known. An element is a part of a line if elements of its name often stand beside
text in their parents, as emphasis does; else it is a block with lines of its own. The file is parsed as a
stream, three times: to count, to write, and for the facts that it states. Only the usual names of emphasis,
table cells and rows, notes (which follow the text), numbers (which precede their paragraphs) and metadata are
known.

A document in base64, as filings contain it, is a separate document.

Entities that the file declares itself are expanded, within the parser's bound; no external one is followed.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections import Counter
from html.entities import html5 as named_entities
from typing import Any, Protocol
from xml.parsers import expat

from lexveil.nlp.readers import html
from lexveil.nlp.readers.contract import Content, Limits, Part, Reason, UnreadableError, mark_part
from lexveil.nlp.readers.layout import TextLayout
from lexveil.nlp.readers.plain import check_is_text, decode
from lexveil.nlp.readers.xml_fields import FieldCollector

_DROPPED = {"style", "script", "binarydata", "bindata"}
_AKOMA_NTOSO_DROPPED = {"meta"}
_CELLS = {"td", "th", "cell", "entry", "tc", "table-cell"}
_ROWS = {"tr", "row", "table-row"}
_NUMBERS = {"num", "label", "enum"}
_NOTES = {"authorialnote", "note", "fn", "footnote", "endnote"}
_BREAKS = {"br", "eol", "lb", "break"}
_LINE_PARTS = {
    "span", "b", "i", "u", "a", "s", "em", "strong", "bold", "italic", "underline", "hi", "emph", "sub",
    "sup", "sc", "ref", "xref", "ext-link", "inline", "rref", "mref", "def", "term", "ins", "del", "marker",
    "party", "judge", "lawyer", "person", "persname", "orgname", "placename", "location", "organization",
    "date", "docdate", "doctitle", "docketnumber", "neutralcitation", "courttype", "entity",
}  # fmt: skip
_NAME_PARTS = {
    "surname", "forename", "given-name", "given-names", "givenname", "family-name", "familyname",
    "first-name", "firstname", "first_name", "middle-name", "middlename", "middle_name", "last-name",
    "lastname", "last_name", "prefix", "suffix", "generation", "namelink",
}  # fmt: skip
"""A name stays in one line, in which it is found."""
_BLOCKS = {"p", "para", "li", "item", "title", "head", "heading", "section", "div", "table", "list"}
_HEADINGS = {"h", "heading", "head", "title", "subheading", "crossheading"}
_HEAD = 4096
_EMBEDDED = re.compile(r"^[A-Za-z0-9+/][A-Za-z0-9+/ ]{400,}={0,2}$", re.MULTILINE)
_LONGEST_NUMBER = 20
_SPACE = re.compile(r"\s+")
_DECLARATION = re.compile(r"\s*<\?xml[^>]{0,400}\?>")
_NAMED_ENTITY = re.compile(rb"&([A-Za-z][A-Za-z0-9]{1,30});")
_DECLARED_ENTITY = re.compile(rb"<!ENTITY\s+([A-Za-z][\w.-]{0,60})\s")
_OWN = {b"lt", b"gt", b"amp", b"quot", b"apos"}
_IS_HTML = re.compile(rb"<(?:!doctype\s+)?html\b", re.IGNORECASE)
_OFTEN = 10
_WORD_RUNS = {"r", "t", "ins", "hyperlink"}
_WORD_XML = "wordprocessingml", "office/word/2003/wordml"
_SEPARATOR = "}"


def read(data: bytes, limits: Limits) -> Content:
    """Read an XML file.

    Args:
        data: Content of the file.
        limits: Bounds on what is accepted.

    Raises:
        UnreadableError: wrong_suffix (no XML), broken (not well-formed), decompression_bomb (entities).
    """
    check_is_text(data)
    if _IS_HTML.search(data[:_HEAD]):
        return Content(html.read(data))  # which knows what is shown
    if not decode(data[:_HEAD]).lstrip("\ufeff \t\r\n").startswith("<"):
        raise UnreadableError(Reason.wrong_suffix)
    data = _replace_entities(data)
    try:
        return _read(data, limits)
    except (expat.ExpatError, LookupError, ValueError):
        pass
    # Declared in another encoding than it has, or in one that the parser does not know.
    text = _DECLARATION.sub("", decode(data).lstrip("\ufeff"), count=1)
    try:
        return _read(text.encode("utf-8", "replace"), limits)
    except (expat.ExpatError, LookupError, ValueError):
        raise UnreadableError(Reason.broken) from None


def _read(data: bytes, limits: Limits) -> Content:
    kinds = _Kinds()
    _parse(data, kinds)
    writer = _Writer(kinds.inline(), limits)
    _parse(data, writer)
    facts = FieldCollector()
    _parse(data, facts)
    parts: list[Part] = []
    text = _EMBEDDED.sub(lambda found: _take_embedded(found[0], parts), writer.text())
    return Content(text, parts, fields=facts.fields())


def _take_embedded(text: str, parts: list[Part]) -> str:
    """Add a document that is embedded in base64, and return its mark; return any other text as it is."""
    try:
        data = base64.b64decode(text.replace(" ", ""), validate=True)
    except binascii.Error:
        return text
    try:
        check_is_text(data)
    except UnreadableError:  # it begins as a document in a known format
        parts.append(Part(f"embedded-{len(parts) + 1}", data))
        return mark_part(len(parts) - 1)
    return text


def _replace_entities(data: bytes) -> bytes:
    """Replace the named entities of HTML, which files use that rely on a document type elsewhere."""
    if b"&" not in data:
        return data
    known = _OWN | set(_DECLARED_ENTITY.findall(data))

    def replace(entity: re.Match[bytes]) -> bytes:
        characters = named_entities.get(f"{entity[1].decode()};")
        if entity[1] in known or characters is None:
            return entity[0]
        return "".join(f"&#{ord(one)};" for one in characters).encode()

    return _NAMED_ENTITY.sub(replace, data)


class _Target(Protocol):
    def start(self, tag: str, attributes: dict[str, str]) -> None: ...
    def end(self, tag: str) -> None: ...
    def data(self, text: str) -> None: ...


def _parse(data: bytes, target: _Target) -> None:
    parser: Any = expat.ParserCreate(namespace_separator=_SEPARATOR)
    parser.buffer_text = True
    parser.StartElementHandler = target.start
    parser.EndElementHandler = target.end
    parser.CharacterDataHandler = target.data
    parser.Parse(data, True)


class _Kinds:
    """Counts which elements stand beside text, and which only beside elements."""

    def __init__(self) -> None:
        self._open: list[tuple[set[str], list[bool]]] = [(set(), [False])]
        self._beside_text: Counter[str] = Counter()
        self._alone: Counter[str] = Counter()

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        del attributes
        self._open[-1][0].add(tag)
        self._open.append((set(), [False]))

    def data(self, text: str) -> None:
        if not text.isspace():
            self._open[-1][1][0] = True

    def end(self, tag: str) -> None:
        del tag
        children, (has_text,) = self._open.pop()
        (self._beside_text if has_text else self._alone).update(children)

    def inline(self) -> set[str]:
        """Return the names of the elements that are parts of lines."""
        beside, alone = self._beside_text, self._alone
        return {
            tag
            for tag in {*beside, *alone}
            if _is_line_part(tag)
            or _name(tag) in _NAME_PARTS
            or (_OFTEN * beside[tag] > alone[tag] and _name(tag) not in _BLOCKS)
        }


class _Writer:
    """Writes the text of the elements."""

    def __init__(self, inline: set[str], limits: Limits) -> None:
        self._inline = inline
        self._left = limits.max_text_bytes
        self._layout = self._body = TextLayout()
        self._notes = TextLayout()
        self._dropped = self._in_note = 0
        self._number = 0  # characters of the current number
        self._was_ended = False  # an element ended just now
        self._is_joined = False  # the next block continues the line of its number

    def text(self) -> str:
        """Return the text, then its notes."""
        pieces = (self._body.getvalue(), self._notes.getvalue())
        return "\n\n".join(piece for piece in pieces if piece.strip())

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        del attributes
        name = _name(tag)
        if self._dropped or name in _DROPPED or (name in _AKOMA_NTOSO_DROPPED and "akn" in tag.lower()):
            self._dropped += 1
        elif self._in_note or (name in _NOTES and tag in self._inline):
            self._in_note += 1
            self._layout = self._notes
            if self._in_note == 1 or tag not in self._inline:
                self._layout.break_line()
        elif name in _CELLS:
            self._layout.open_cell()
        elif name in _BREAKS:
            self._layout.write("\n")
        elif name in _NUMBERS:
            self._layout.break_line()
            self._number = 0
        elif tag not in self._inline and not self._is_joined:
            self._layout.break_line(2 if name in _HEADINGS else 1)
        elif self._was_ended and not _is_line_part(tag) and not self._layout.is_at_line_start():
            self._layout.write(" ")
        self._was_ended = False

    def end(self, tag: str) -> None:
        name = _name(tag)
        if self._dropped:
            self._dropped -= 1
        elif self._in_note:
            self._in_note -= 1
            if not self._in_note:
                self._layout.break_line()
                self._layout = self._body
        elif name in _CELLS:
            self._layout.close_cell()
        elif name in _ROWS:
            self._layout.close_row()
        elif name in _NUMBERS and 0 < self._number <= _LONGEST_NUMBER:
            self._layout.write(" ")
            self._is_joined = True
        elif tag not in self._inline:
            self._layout.break_line(2 if name == "p" or name in _HEADINGS else 1)
        self._was_ended = True

    def data(self, text: str) -> None:
        if self._dropped:
            return
        self._left -= len(text)
        if self._left < 0:
            raise UnreadableError(Reason.decompression_bomb)
        text = _SPACE.sub(" ", text)
        if self._layout.is_at_line_start():
            text = text.removeprefix(" ")
        if text:
            self._was_ended = False
        if text.strip():
            self._number += len(text)
            self._is_joined = False
        self._layout.write(text)


def _is_line_part(tag: str) -> bool:
    """Return True for an element that may begin within a word."""
    name = _name(tag)
    return name in _LINE_PARTS or (name in _WORD_RUNS and any(mark in tag for mark in _WORD_XML))


def _name(tag: str) -> str:
    return tag.rpartition(_SEPARATOR)[2].lower()
