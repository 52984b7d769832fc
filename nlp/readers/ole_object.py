"""Objects that Office embeds as compound files: the file inside, as the program that made it stored it."""

from __future__ import annotations

import io

from lexveil.nlp.readers.contract import Content, Limits, Part, Reason, UnreadableError
from lexveil.nlp.readers.plain import OLE_MAGIC, decode

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
                content = container.openstream(name).read()
                return Content("", [_unpack(content) if name == NATIVE else Part("object", content)])
    raise UnreadableError(Reason.unsupported)


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
