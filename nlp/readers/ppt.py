"""PPT, of PowerPoint 97 to 2003, to text: the texts of the slides and notes, in the order of the file.

Embedded documents are separate documents; pictures are counted. A presentation that was saved quickly
also holds earlier states of its slides; equal texts are written once.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator

from lexveil.nlp.readers.contract import Content, Limits, Note, Part, Reason, UnreadableError
from lexveil.nlp.readers.ole_object import iter_art, read_stream
from lexveil.nlp.readers.plain import OLE_MAGIC

_STREAM, _DRAWN = "PowerPoint Document", "Pictures"
_OBJECT = 0x1011
_RECORD = struct.Struct("<HHI")
_CONTAINER = 0xF  # in the lowest bits of a record's first number ([MS-PPT] 2.3.1)
_MASTER = 0x03F8
_MACROS = "_VBA_PROJECT".encode("utf-16-le")  # are kept as an object is
_CHARACTERS, _BYTES = 0x0FA0, 0x0FA8
_LINES = str.maketrans("\r\v", "\n\n")


def read(data: bytes, limits: Limits) -> Content:
    """Read a PPT file.

    Raises:
        UnreadableError: wrong_suffix, encrypted, needs_ocr (pictures alone).
    """
    import olefile

    if not data.startswith(OLE_MAGIC):
        raise UnreadableError(Reason.wrong_suffix)
    with olefile.OleFileIO(io.BytesIO(data)) as container:
        if not container.exists(_STREAM):
            raise UnreadableError(Reason.wrong_suffix)
        if container.exists("EncryptedSummary"):
            raise UnreadableError(Reason.encrypted)
        stream = read_stream(container, _STREAM)
        drawn = read_stream(container, _DRAWN) if container.exists(_DRAWN) else b""
    text = "\n".join(dict.fromkeys(text for text in _iter_texts(stream) if text.strip()))
    parts = list(_list_embedded(stream, limits))
    pictures = sum(1 for _ in iter_art(drawn))
    if not text and not parts and pictures:
        raise UnreadableError(Reason.needs_ocr)
    return Content(text, parts, {Note.unread_picture: pictures} if pictures else {})


def _list_embedded(stream: bytes, limits: Limits) -> Iterator[Part]:
    """Yield the embedded documents; most are compressed, after their size."""
    for options, kind, body in _iter_records(stream):
        if kind != _OBJECT:
            continue
        content = _unpack(body, limits) if options >> 4 else body
        if isinstance(content, Reason) or _MACROS not in content:
            yield Part("embedded", content or Reason.broken)


def _unpack(body: bytes, limits: Limits) -> bytes | Reason:
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(body[4:], limits.max_bytes)
    except zlib.error:
        return Reason.broken
    return Reason.decompression_bomb if unpacker.unconsumed_tail else content


def _iter_texts(stream: bytes) -> Iterator[str]:
    for _, kind, body in _iter_records(stream):
        if kind == _CHARACTERS:
            yield body.decode("utf-16-le", "replace").translate(_LINES)
        elif kind == _BYTES:
            yield body.decode("cp1252", "replace").translate(_LINES)


def _iter_records(stream: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield options, kind and content of the records that contain no others."""
    place = 0
    while place + _RECORD.size <= len(stream):
        options, kind, size = _RECORD.unpack_from(stream, place)
        place += _RECORD.size
        if options & 0xF == _CONTAINER and kind != _MASTER:
            continue  # its records come next
        yield options, kind, stream[place : place + size]
        place += size
