"""What all readers share: what they return, reasons for a refusal, limits, and the normal form of text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_LIGATURE = re.compile("[\ufb00-\ufb06]")

BOMB_FLOOR = 16 << 20
"""Output in bytes below which nothing counts as a decompression bomb, whatever its ratio."""


class Reason(StrEnum):
    """Why a document or a record could not be read. The quarantine table stores these codes."""

    empty = "empty"
    """No bytes, or only white space."""
    broken = "broken"
    """Damaged, truncated or malformed; a record that is neither an object nor a complete row."""
    encrypted = "encrypted"
    """Needs a password or a private key."""
    wrong_suffix = "wrong_suffix"
    """The content has another format than the file name says."""
    over_size = "over_size"
    """A file larger than `Limits.max_bytes`, or a record larger than `Limits.max_text_bytes`."""
    decompression_bomb = "decompression_bomb"
    """Exceeds `Limits.max_text_bytes` or `Limits.max_ratio` when it is decompressed."""
    needs_ocr = "needs_ocr"
    """At least one page is a picture, and Tesseract is not installed or failed."""
    unsupported = "unsupported"
    """No reader for this format."""
    missing_text = "missing_text"
    """A valid record without the requested text field."""
    inaccessible = "inaccessible"
    """Missing, not a regular file, or not readable for this user."""
    unreadable_text = "unreadable_text"
    """The text layer is not text: its font maps letters to others, or to nothing."""
    too_many_parts = "too_many_parts"
    """More parts than `Limits.max_parts`; the parts up to there are read."""
    over_time = "over_time"
    """Its reader takes longer than it may."""
    over_memory = "over_memory"
    """Its reader takes more memory than it may."""
    crashed = "crashed"
    """Its reader, or a library that it uses, ended the process it ran in."""


class Note(StrEnum):
    """What an accepted document does not show. Counted by these codes, never with text."""

    unread_attachment = "unread_attachment"
    """A document inside it, such as an attachment, was not read."""
    unread_picture = "unread_picture"
    """A picture whose text, if it has any, is not in."""
    unread_page = "unread_page"
    """A page that is a picture, or that no reader could interpret."""
    unread_member = "unread_member"
    """A member of an archive that is not a document: a link, a hidden file, a system file."""
    hidden_text = "hidden_text"
    """Text that no reader of the document sees: white, off the page, or on a layer that is off."""
    covered_text = "covered_text"
    """Text under a box: a redaction that leaves it in the file."""
    skipped_value = "skipped_value"
    """A value of a form that is not text: a choice, a check box, a hidden field."""
    read_elsewhere = "read_elsewhere"
    """The document was read by another program, which does not tell what is inside of it."""
    skipped_link = "skipped_link"
    """A link in a folder whose target is missing."""
    hidden_file = "hidden_file"
    """A file in a folder whose name begins with a dot."""


class UnreadableError(Exception):
    """A file cannot be read. The message is the reason code alone: never text, a name or a path.

    Attributes:
        reason: Why the file cannot be read.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what a reader accepts.

    Attributes:
        max_bytes: Maximum size of a document's file on disk. Record files are streamed and have no limit.
        max_text_bytes: Maximum size of one document, or of one record, after decompression.
        max_ratio: Maximum number of decompressed bytes per compressed byte, checked once the output exceeds
            `BOMB_FLOOR`. Prose compresses by 3 to 10, form letters by 50, a bomb by 1000 (gzip) or more
            (zstd).
        max_depth: Maximum number of documents that may enclose a document.
        max_parts: Maximum number of documents inside one file.
        max_total_bytes: Maximum total size of the documents inside one file.
        max_seconds: Maximum CPU time, in seconds, that the process of a reader may take for one document.
        max_memory: Maximum size of the data of that process, beyond what it has at the start.
        ocr: Read scanned pages with Tesseract if it is installed.
        unread_pages: Accept a document without the pages that cannot be read.
        others: Read formats without a reader here by another program.
    """

    max_bytes: int = 64 << 20
    max_text_bytes: int = 256 << 20
    max_ratio: int = 200
    max_depth: int = 8
    max_parts: int = 10_000
    max_total_bytes: int = 1 << 30
    max_seconds: float = 120
    max_memory: int = 512 << 20
    ocr: bool = True
    unread_pages: bool = False
    others: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """A document inside a document: an attachment, an embedded document, a member of an archive.

    Attributes:
        name: Name as the container gives it. Its suffix selects the reader, or else the content does.
        data: Content, or why the container cannot give it.
    """

    name: str = field(repr=False)
    data: bytes | Reason = field(repr=False)


@dataclass(frozen=True, slots=True)
class Content:
    """What a reader returns. A reader of text alone may return a plain `str`.

    Attributes:
        text: The document's own text. `mark_part(n)` stands where it refers to its part number `n`. Blank for
            a mere container, such as an archive.
        parts: The documents inside it; an iterator for a large container.
        notes: What the text does not show, counted.
        fields: Facts that the format states, such as court, date, number and parties.
        is_archive: True if the parts are unrelated, like the messages of a mailbox.
    """

    text: str = field(repr=False)
    parts: Iterable[Part] = field(default=(), repr=False)
    notes: Mapping[Note, int] = field(default_factory=dict[Note, int])
    fields: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    is_archive: bool = False


_PART_MARK = re.compile("(\n{0,2})\ufdd0([0-9]{1,7})\ufdd1")  # no text has these characters


def mark_part(number: int) -> str:
    """Return the mark of a part, by its number, from 0, for the text of its document."""
    return f"\ufdd0{number}\ufdd1"


def place_parts(text: str, shown: Mapping[int, str]) -> str:
    """Replace the marks of parts by what is shown for them; parts without a mark follow the text.

    Args:
        text: Text of a document.
        shown: For each part, the line or the text that stands for it.
    """
    left = dict(shown)

    def place(mark: re.Match[str]) -> str:
        piece = left.pop(int(mark[2]), "")
        return f"{mark[1]}{piece}" if piece else ""

    placed = _PART_MARK.sub(place, text)
    return "\n\n".join(piece for piece in (placed, *left.values()) if piece.strip())


ReadPart = Callable[[bytes, str, str | None, Limits], str]
"""Reader of a document inside another one: (content, suffix, codec, limits) -> text."""


def normalize_text(text: str) -> str:
    r"""Return the normal form of a document's text. Idempotent.

    NULs are dropped (databases refuse them), "\r\n" and "\r" become "\n", lone surrogates become U+FFFD (they
    have no UTF-8 form), Latin ligatures become their letters, so that a name has one spelling, and leading
    byte-order marks are dropped.
    """
    text = text.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n")
    if not text.isascii():
        text = _LIGATURE.sub(lambda mark: unicodedata.normalize("NFKC", mark[0]), text)
    return replace_surrogates(text).lstrip("\ufeff")


def replace_surrogates(text: str) -> str:
    """Replace each lone surrogate by U+FFFD. Offsets do not change."""
    return text if text.isascii() else _LONE_SURROGATE.sub("\ufffd", text)


def escape_name(name: str) -> str:
    r"""Return a name that has a UTF-8 form: a byte of a file name that is not UTF-8 is shown as `\xe4`."""
    try:
        return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # a surrogate that stands for no byte
        return replace_surrogates(name)


def has_surrogates(text: str) -> bool:
    """Return True if the text contains a lone surrogate, which marks a byte that could not be decoded."""
    return not text.isascii() and _LONE_SURROGATE.search(text) is not None
