"""Objects that Office embeds as compound files: the embedded file, as its program stored it.

Also what documents of old Office formats keep of their objects and pictures ([MS-ODRAW]).
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from typing import Any

from lexveil.nlp.readers.contract import Content, Limits, Part, Reason, UnreadableError
from lexveil.nlp.readers.plain import OLE_MAGIC, decode

_RECORD = struct.Struct("<HHI")
_CONTAINER = 0xF  # in the lowest bits of a record's first number
_PICTURES = 0xF001
NATIVE, PACKAGE, CONTENTS = "\x01Ole10Native", "Package", "CONTENTS"


def read(data: bytes, limits: Limits) -> Content:
    """Read the file in an embedded object.

    Raises:
        UnreadableError: wrong_suffix, unsupported (an object of another kind), decompression_bomb.
    """
    import olefile

    if not data.startswith(OLE_MAGIC):
        raise UnreadableError(Reason.wrong_suffix)
    with olefile.OleFileIO(io.BytesIO(data)) as container:
        for name in (NATIVE, PACKAGE, CONTENTS):
            if container.exists(name):
                if container.get_size(name) > limits.max_bytes:
                    raise UnreadableError(Reason.decompression_bomb)
                content = read_stream(container, name)
                return Content("", [_unpack(content) if name == NATIVE else Part("object", content)])
    raise UnreadableError(Reason.unsupported)


def read_stream(container: Any, path: str | Sequence[str]) -> bytes:
    """Return a stream of an open compound file.

    Raises:
        UnreadableError: broken (the file is cut off, or its tables lead nowhere).
    """
    content = container.openstream(path).read()
    if len(content) != container.get_size(path):
        raise UnreadableError(Reason.broken)
    return content


def list_embedded(container: Any, storages: Sequence[list[str]]) -> tuple[list[Part], int]:
    """Return the embedded files that have a format of their own, and the number of others.

    Args:
        container: The open compound file that they are in.
        storages: Paths of the storages with an object each.
    """
    parts: list[Part] = []
    for number, storage in enumerate(storages, 1):
        for name in (NATIVE, PACKAGE, CONTENTS):
            if container.exists([*storage, name]):
                part = _read_object(container, [*storage, name])
                parts.append(part if part.name != "object" else Part(f"embedded-{number}", part.data))
                break
    return parts, len(storages) - len(parts)


def _read_object(container: Any, path: Sequence[str]) -> Part:
    try:
        content = read_stream(container, path)
    except (OSError, UnreadableError):  # the document is accepted all the same
        return Part("object", Reason.broken)
    return _unpack(content) if path[-1] == NATIVE else Part("object", content)


def iter_art(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield instance and type of the records of a drawing; containers are entered."""
    place = 0
    while place + _RECORD.size <= len(data):
        options, kind, size = _RECORD.unpack_from(data, place)
        yield options >> 4, kind
        place += _RECORD.size + (0 if options & 0xF == _CONTAINER else size)


def count_pictures(drawings: bytes) -> int:
    """Return the number of pictures in what holds for all drawings of a document."""
    return next((instance for instance, kind in iter_art(drawings) if kind == _PICTURES), 0)


def _unpack(content: bytes) -> Part:
    """Return the file that the Object Packager has packed: label, path, path of a copy, size, content."""
    stream = io.BytesIO(content)
    stream.seek(6)
    _, path = _read_string(stream), _read_string(stream)
    stream.seek(4, io.SEEK_CUR)
    stream.seek(int.from_bytes(stream.read(4), "little"), io.SEEK_CUR)
    data = stream.read(int.from_bytes(stream.read(4), "little"))
    if not data:
        return Part("object", content[4:])  # of a program that stores its own format
    name = decode(path) if path else "object"
    return Part(name.replace("\\", "/").rpartition("/")[2], data)


def _read_string(stream: io.BytesIO) -> bytes:
    rest = stream.getbuffer()[stream.tell() :]
    text = bytes(rest).partition(b"\0")[0]
    stream.seek(len(text) + 1, io.SEEK_CUR)
    return text
