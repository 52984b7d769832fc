"""What every reader shares: why a file or record can't be read, the one exception, and the limits."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class Reason(StrEnum):
    """Why a document or a record could not be read. These codes go to the quarantine table."""

    empty = "empty"
    """No bytes, or nothing but white space."""
    broken = "broken"
    """Damaged, cut short, or against its format's grammar; a record that isn't an object or a full row."""
    encrypted = "encrypted"
    """Needs a password or a private key."""
    wrong_suffix = "wrong_suffix"
    """The content is of another format than the file's name says."""
    over_size = "over_size"
    """Larger on disk than `Limits.max_bytes`, or one record larger than `Limits.max_text_bytes`."""
    decompression_bomb = "decompression_bomb"
    """Grows beyond `Limits.max_text_bytes` or `Limits.max_ratio` when it is decompressed."""
    needs_ocr = "needs_ocr"
    """At least one page is a picture, and no Tesseract is there to read it (or it failed)."""
    unsupported = "unsupported"
    """No reader for this format."""
    missing_text = "missing_text"
    """A sound record without the text field that the caller asked for."""
    inaccessible = "inaccessible"
    """Not a regular file, gone, or not readable for this user."""


class UnreadableError(Exception):
    """A file can't be read. Its message is the reason code alone: never text, a name or a path."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a reader may take in.

    max_bytes: bytes of a document's file as it lies on disk. Record files are streamed: no limit.
    max_text_bytes: bytes of one document, or of one record, after decompression.
    max_ratio: decompressed bytes for each compressed byte, looked at once `BOMB_FLOOR` bytes came out:
        prose compresses by 3 to 10, form letters by 50, a bomb by 1000 (gzip) and more (zstd).
    ocr: read scanned pages with Tesseract where it is installed.
    """

    max_bytes: int = 64 << 20
    max_text_bytes: int = 256 << 20
    max_ratio: int = 200
    ocr: bool = True


BOMB_FLOOR = 16 << 20
"""Bytes below which nothing is called a bomb, whatever its ratio: they do no harm."""


def normalize_text(text: str) -> str:
    r"""The one normal form of a document's text, idempotent.

    NULs dropped (databases refuse them), "\r\n" and "\r" to "\n", lone surrogates to U+FFFD (they have no
    UTF-8 form), one or more leading byte-order marks dropped.
    """
    text = text.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n")
    return replace_surrogates(text).lstrip("\ufeff")


def replace_surrogates(text: str) -> str:
    """Lone surrogates replaced one for one by U+FFFD, so that offsets stay as they were."""
    return text if text.isascii() else _LONE_SURROGATE.sub("\ufffd", text)
