"""PPT, of PowerPoint 97 to 2003, to text: the texts of the slides and notes, in the order of the file.

A presentation that was saved quickly also holds earlier states of its slides; equal texts are written once.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

from lexveil.nlp.readers.contract import Reason, UnreadableError
from lexveil.nlp.readers.plain import OLE_MAGIC

_STREAM = "PowerPoint Document"
_RECORD = struct.Struct("<HHI")
_CONTAINER = 0xF  # in the lowest bits of a record's first number ([MS-PPT] 2.3.1)
_MASTER = 0x03F8
_CHARACTERS, _BYTES = 0x0FA0, 0x0FA8
_LINES = str.maketrans("\r\v", "\n\n")


def read(data: bytes) -> str:
    """Read the text of a PPT file.

    Raises:
        UnreadableError: wrong_suffix, encrypted.
    """
    import olefile

    if not data.startswith(OLE_MAGIC):
        raise UnreadableError(Reason.wrong_suffix)
    with olefile.OleFileIO(io.BytesIO(data)) as container:
        if not container.exists(_STREAM):
            raise UnreadableError(Reason.wrong_suffix)
        if container.exists("EncryptedSummary"):
            raise UnreadableError(Reason.encrypted)
        stream = container.openstream(_STREAM).read()
    return "\n".join(dict.fromkeys(text for text in _iter_texts(stream) if text.strip()))


def _iter_texts(stream: bytes) -> Iterator[str]:
    place = 0
    while place + _RECORD.size <= len(stream):
        options, kind, size = _RECORD.unpack_from(stream, place)
        place += _RECORD.size
        if options & 0xF == _CONTAINER and kind != _MASTER:
            continue  # its records come next
        body = stream[place : place + size]
        place += size
        if kind == _CHARACTERS:
            yield body.decode("utf-16-le", "replace").translate(_LINES)
        elif kind == _BYTES:
            yield body.decode("cp1252", "replace").translate(_LINES)
