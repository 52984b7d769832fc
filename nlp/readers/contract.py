"""What all readers share: reasons for a refusal, the exception, limits, and the normal form of text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
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
        ocr: Read scanned pages with Tesseract if it is installed.
    """

    max_bytes: int = 64 << 20
    max_text_bytes: int = 256 << 20
    max_ratio: int = 200
    ocr: bool = True


ReadPart = Callable[[bytes, str, str | None, Limits], str]
"""Reader of a document inside of another one: (content, suffix, codec, limits) -> text."""


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


def has_surrogates(text: str) -> bool:
    """Return True if the text contains a lone surrogate, which marks a byte that could not be decoded."""
    return not text.isascii() and _LONE_SURROGATE.search(text) is not None
