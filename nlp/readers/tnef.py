"""TNEF, the `winmail.dat` that Outlook sends ([MS-OXTNEF]): its text, and its attachments.

The file is a list of attributes; some hold lists of MAPI properties. Checksums are not checked: damage shows
in the content.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from lexveil.nlp.readers import html, rtf
from lexveil.nlp.readers.contract import Content, Limits, Part, Reason, UnreadableError, mark_part
from lexveil.nlp.readers.mapi import decompress_rtf
from lexveil.nlp.readers.plain import decode

MAGIC = b"\x78\x9f\x3e\x22"
_HEAD = struct.Struct("<BII")
_BODY, _TITLE, _DATA, _START, _PROPERTIES, _PART_PROPERTIES = 0x800C, 0x8010, 0x800F, 0x9002, 0x9003, 0x9005
_TEXT, _HTML, _RTF, _LONG_NAME, _OBJECT = 0x1000, 0x1013, 0x1009, 0x3707, 0x3701
_SIZES = {0x02: 4, 0x03: 4, 0x04: 4, 0x05: 8, 0x06: 8, 0x07: 8, 0x0A: 4, 0x0B: 4, 0x14: 8, 0x40: 8, 0x48: 16}
_BYTES, _WIDE, _COUNTED = 0x1E, 0x1F, frozenset({0x0D, 0x1E, 0x1F, 0x102})
_MULTIPLE = 0x1000
_INTERFACE_SIZE = 16


@dataclass(slots=True)
class _File:
    name: str = field(default="", repr=False)
    data: bytes = field(default=b"", repr=False)


def read(data: bytes, limits: Limits) -> Content:
    """Read what Outlook has packed.

    Raises:
        UnreadableError: wrong_suffix, broken, decompression_bomb.
    """
    if not data.startswith(MAGIC):
        raise UnreadableError(Reason.wrong_suffix)
    texts: dict[int, str] = {}
    refused: dict[int, Reason] = {}
    files: list[_File] = []
    for name, content in _iter_attributes(data):
        if name == _BODY:
            texts[_TEXT] = decode(content.rstrip(b"\0"))
        elif name == _PROPERTIES:
            texts |= _read_texts(content, limits, refused)
        elif name == _START:
            files.append(_File())
        elif files:
            _read_attachment(files[-1], name, content)
    text = next((texts[kind] for kind in (_TEXT, _HTML, _RTF) if texts.get(kind, "").strip()), "")
    parts = [Part(file.name or "attachment", file.data) for file in files]
    if not text:
        parts = [*(Part("body", reason) for reason in list(refused.values())[:1]), *parts]
    marks = [mark_part(number) for number in range(len(parts))] if text else []
    return Content("\n\n".join([text, *marks]), parts)


def _iter_attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    place = len(MAGIC) + 2
    while place + _HEAD.size <= len(data):
        _, name, size = _HEAD.unpack_from(data, place)
        place += _HEAD.size
        if place + size > len(data):
            raise UnreadableError(Reason.broken)
        yield name & 0xFFFF, data[place : place + size]
        place += size + 2


def _read_texts(content: bytes, limits: Limits, refused: dict[int, Reason]) -> dict[int, str]:
    """Return the versions of the text, by the names of their properties; add why one cannot be read."""
    texts: dict[int, str] = {}
    for name, kind, value in _iter_properties(content):
        try:
            if name in (_TEXT, _HTML, _RTF):
                texts[name] = _read_text(name, kind, value, limits)
        except UnreadableError as unreadable:  # no reason to lose the attachments
            refused[name] = unreadable.reason
    return texts


def _read_text(name: int, kind: int, value: bytes, limits: Limits) -> str:
    if name == _TEXT:
        return _decode(kind, value)
    if name == _RTF:
        return rtf.read(decompress_rtf(value, limits)).text
    return html.read(value.rstrip(b"\0")) if value.strip(b"\0 ") else ""


def _read_attachment(file: _File, name: int, content: bytes) -> None:
    if name == _TITLE and not file.name:
        file.name = decode(content.rstrip(b"\0")) if content.strip(b"\0") else ""
    elif name == _DATA:
        file.data = content
    elif name == _PART_PROPERTIES:
        for key, kind, value in _iter_properties(content):
            if key == _LONG_NAME:
                file.name = _decode(kind, value) or file.name
            elif key == _OBJECT and value[_INTERFACE_SIZE:].startswith(MAGIC):  # a message
                file.name, file.data = f"{file.name or 'message'}.tnef", value[_INTERFACE_SIZE:]


def _decode(kind: int, value: bytes) -> str:
    if kind == _WIDE:
        return value.decode("utf-16-le", "replace").rstrip("\0")
    return decode(value.rstrip(b"\0")) if value.strip(b"\0") else ""


def _iter_properties(content: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield name, type and first value of each property.

    Raises:
        UnreadableError: broken.
    """
    reader = _Reader(content)
    for _ in range(reader.number()):
        kind, name = struct.unpack("<HH", reader.take(4))
        if name >= 0x8000:  # a named property
            reader.take(16)
            if reader.number():
                reader.take_padded(reader.number())
            else:
                reader.take(4)
        plain = kind & ~_MULTIPLE
        counted = plain in _COUNTED
        values = [
            reader.take_padded(reader.number()) if counted else reader.take(_SIZES.get(plain, 0))
            for _ in range(reader.number() if counted or kind & _MULTIPLE else 1)
        ]
        if plain not in _COUNTED and plain not in _SIZES:
            return  # of unknown size
        if values:
            yield name, plain, values[0]


class _Reader:
    """Bytes that are taken from the front."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._place = 0

    def take(self, size: int) -> bytes:
        """Take bytes.

        Raises:
            UnreadableError: broken, if there are fewer.
        """
        end = self._place + size
        if end > len(self._content):
            raise UnreadableError(Reason.broken)
        taken = self._content[self._place : end]
        self._place = end
        return taken

    def take_padded(self, size: int) -> bytes:
        """Take bytes, which are filled up to a multiple of four."""
        taken = self.take(size)
        self._place += -size % 4
        return taken

    def number(self) -> int:
        """Take a number."""
        return int.from_bytes(self.take(4), "little")
