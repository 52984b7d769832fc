"""JSON: an array of objects, or objects one after the other, each a record. Read as a stream.

An object whose array `results`, `data`, `records` or the like contains objects, as APIs answer, is not a
record: its elements are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from lexveil.nlp.readers.contract import Limits, Reason, UnreadableError
from lexveil.nlp.readers.records_json_form import UTF_8, Form, iter_text

_MARK = re.compile(rb'["\\{}]')
_MARK_IN_ARRAY = re.compile(rb'["\\{}\]]')
_QUOTE, _ESCAPE, _OPEN, _END = ord('"'), ord("\\"), ord("{"), ord("]")


def iter_objects(
    raw: BinaryIO, codec: str | None, limits: Limits, offset: int, form: Form = UTF_8
) -> Iterator[tuple[int, bytes | Reason]]:
    """Iterate over the outermost objects from byte `offset` of the decompressed content on.

    Yields:
        Offset of the object in the decompressed content, and its bytes. An object longer than
        `limits.max_text_bytes` is Reason.over_size and is never held in memory. A stream that breaks off, or
        ends inside an object, ends with one last Reason.
    """
    offset = max(offset, form.first)
    scanner = ObjectScanner(limits.max_text_bytes, offset, form.first > 0)
    try:
        for block in iter_text(raw, codec, limits, form, offset):
            yield from scanner.feed(block)
            if scanner.is_ended:
                return
    except UnreadableError as unreadable:
        yield scanner.start, unreadable.reason
        return
    if scanner.is_inside:
        yield scanner.start, Reason.broken


class ObjectScanner:
    """Finds where the outermost objects begin and end.

    Args:
        longest: bytes of an object that are kept.
        offset: position of the first block.
        in_array: the objects are those of one array.

    Attributes:
        start: offset of the current object.
        is_inside: an object was begun and not ended.
        is_ended: the array of the objects is over; facts about it may follow, which are not scanned.
    """

    def __init__(self, longest: int, offset: int, in_array: bool = False) -> None:
        self.start = offset
        self.is_inside = self.is_ended = False
        self._longest, self._position = longest, offset
        self._mark = _MARK_IN_ARRAY if in_array else _MARK
        self._depth = self._kept = 0
        self._in_string = False
        self._escaped = -1  # position of the byte after a backslash
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, block: bytes) -> Iterator[tuple[int, bytes | Reason]]:
        """Yield the objects that end in this block."""
        self._kept = 0  # place up to which the block is kept, or belongs to no object
        for mark in self._mark.finditer(block):
            place, kind = mark.start(), block[mark.start()]
            position = self._position + place
            if position == self._escaped:
                continue
            if kind == _ESCAPE:
                self._escaped = position + 1
            elif kind == _QUOTE:
                self._in_string = self.is_inside and not self._in_string
            elif not self._in_string and self._nest(kind, place):
                self._keep(block[self._kept : place + 1])
                yield self.start, self._take()
            if self.is_ended:
                return
        if self.is_inside:
            self._keep(block[self._kept :])
        self._position += len(block)

    def _nest(self, kind: int, place: int) -> bool:
        """Go one level deeper or back; return True if the object ends here."""
        if kind == _OPEN:
            if not self.is_inside:
                self.start, self.is_inside, self._kept = self._position + place, True, place
            self._depth += 1
            return False
        if not self.is_inside:
            self.is_ended = kind == _END
            return False
        self._depth -= kind != _END
        return not self._depth

    def _keep(self, part: bytes) -> None:
        self._size += len(part)
        if self._size <= self._longest:
            self._parts.append(part)
        else:
            self._parts.clear()

    def _take(self) -> bytes | Reason:
        content = b"".join(self._parts) if self._size <= self._longest else Reason.over_size
        self._parts, self._size, self.is_inside = [], 0, False
        return content
