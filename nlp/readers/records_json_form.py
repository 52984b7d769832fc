"""How a file of JSON is written: its encoding, a line or more per record, and where its records begin."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from lexveil.nlp.readers.compression import iter_blocks
from lexveil.nlp.readers.contract import Limits, UnreadableError
from lexveil.nlp.readers.plain import guess_encoding

_SAMPLE = 1 << 20
_WIDE = ("utf-16", "utf-32")
_SPREAD = re.compile(rb"\s*(?:\[|\{\s*\n)")
# The answer of an API: records in an array, after facts such as their number.
_ENVELOPE = re.compile(
    rb"""\s*\{(?:\s*"(?!text"|content"|body")[^"\\]{1,80}"\s*:\s*(?:"(?:[^"\\]|\\.){0,2000}"|[-+.\w]{1,40})\s*,){0,20}
    \s*"(?:results|data|records|items|rows|documents|docs|cases|decisions|judgments)"\s*:\s*\[\s*(?=\{)""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Form:
    """How a file of JSON is written.

    Attributes:
        encoding: Python codec; None if the first MiB is ASCII, and so shows no encoding.
        is_lines: Each line is a record.
        first: Place of the first record, if records stand in an array within an object; else 0.
    """

    encoding: str | None = "utf-8"
    is_lines: bool = True
    first: int = 0

    @property
    def is_wide(self) -> bool:
        """True for UTF-16 and UTF-32."""
        return self.encoding is not None and self.encoding.startswith(_WIDE)

    def guess_encoding(self, line: bytes) -> str:
        """Return the encoding of a line that is not UTF-8."""
        return self.encoding or _guess(line)


UTF_8 = Form()
"""JSON Lines in UTF-8, as they should be."""


def detect_form(raw: BinaryIO, codec: str | None, limits: Limits, are_lines: bool) -> Form:
    """Detect the form of a file from its first MiB.

    Args:
        raw: The file.
        codec: Codec that it is compressed with, if any.
        limits: Bounds on what is accepted.
        are_lines: The name of the file says that each line is a record.
    """
    sample = b""
    try:
        for block in iter_blocks(raw, codec, limits):
            sample += block
            if len(sample) >= _SAMPLE:
                break
    except UnreadableError:
        pass  # the same error is raised again, and becomes a record, when the records are read
    finally:
        raw.seek(0)
    form = Form(None if sample.isascii() and b"\0" not in sample else _guess(sample))
    if form.is_wide:
        sample = sample.decode(form.encoding or "", "ignore").encode("utf-8", "replace")
    sample = sample.removeprefix(codecs.BOM_UTF8)
    if are_lines and not _SPREAD.match(sample):
        return form
    envelope = None if are_lines else _ENVELOPE.match(sample)
    return Form(form.encoding, False, envelope.end() if envelope else 0)


def iter_text(raw: BinaryIO, codec: str | None, limits: Limits, form: Form, start: int) -> Iterator[bytes]:
    """Iterate over the decompressed content from byte `start` on: that of its UTF-8 if it is wide.

    Raises:
        UnreadableError: As `iter_blocks`.
    """
    if not form.is_wide:
        yield from iter_blocks(raw, codec, limits, start)
        return
    decoder = codecs.getincrementaldecoder(form.encoding or "")("replace")
    for block in iter_blocks(raw, codec, limits):
        text = decoder.decode(block).encode("utf-8", "replace")
        if start < len(text):
            yield text[start:] if start else text
        start = max(0, start - len(text))


def _guess(sample: bytes) -> str:
    try:
        return guess_encoding(sample)
    except UnreadableError:
        return "utf-8"
