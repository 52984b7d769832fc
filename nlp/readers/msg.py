"""MSG, of Outlook: a message in a compound file ([MS-OXMSG]), read by `mapi`."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Any

from lexveil.nlp.readers import eml
from lexveil.nlp.readers.contract import Content, Limits, Reason, UnreadableError
from lexveil.nlp.readers.mapi import (
    BINARY,
    DATA,
    STORAGE,
    Attachment,
    Message,
    Properties,
    write_message,
)
from lexveil.nlp.readers.ole_object import read_stream
from lexveil.nlp.readers.plain import OLE_MAGIC

_PROPERTIES = "__properties_version1.0"
_TOP_HEAD, _INNER_HEAD, _PART_HEAD = 32, 24, 8

Path = tuple[str, ...]


def read(data: bytes, limits: Limits) -> Content:
    """Read a message.

    Raises:
        UnreadableError: wrong_suffix, encrypted, broken.
    """
    import olefile

    if not data.startswith(OLE_MAGIC):
        raise UnreadableError(Reason.wrong_suffix)
    with olefile.OleFileIO(io.BytesIO(data)) as container:
        if not container.exists(_PROPERTIES):
            raise UnreadableError(Reason.wrong_suffix)
        message = write_message(_Message(container, (), _TOP_HEAD), limits)
    return eml.read(message, limits)


class _Store(Properties):
    """The properties in one storage of the file."""

    def __init__(self, container: Any, path: Path, head: int) -> None:
        self._container, self._path = container, path
        fixed = self._read_stream(_PROPERTIES)[head:]
        entries = struct.iter_unpack("<HHIQ", fixed[: len(fixed) // 16 * 16])
        self._numbers = {name: value for _, name, _, value in entries}

    def _read_stream(self, name: str) -> bytes:
        path = [*self._path, name]
        return read_stream(self._container, path) if self._container.exists(path) else b""

    def value(self, name: int, kind: int) -> bytes:
        return self._read_stream(_name_stream(name, kind))

    def bits(self, name: int) -> int:
        return self._numbers.get(name, 0)

    def _list_storages(self, prefix: str) -> list[Path]:
        """Return the storages in this one whose names begin so, in order."""
        depth = len(self._path)
        paths = (tuple(path) for path in self._container.listdir(streams=False, storages=True))
        return sorted(
            path
            for path in paths
            if len(path) == depth + 1 and path[:depth] == self._path and path[depth].startswith(prefix)
        )


class _Message(_Store, Message):
    """A message: that of the file, or one that is attached to it."""

    def recipients(self) -> Iterator[Properties]:
        for path in self._list_storages("__recip_version1.0"):
            yield _Store(self._container, path, _PART_HEAD)

    def attachments(self) -> Iterator[Attachment]:
        for path in self._list_storages("__attach_version1.0"):
            yield _Attachment(self._container, path, _PART_HEAD)


class _Attachment(_Store, Attachment):
    def open_message(self) -> Message | None:
        inner = (*self._path, _name_stream(DATA, STORAGE))
        if not self._container.exists([*inner, _PROPERTIES]):
            return None
        return _Message(self._container, inner, _INNER_HEAD)

    def content(self) -> bytes:
        return self.value(DATA, BINARY)


def _name_stream(name: int, kind: int) -> str:
    return f"__substg1.0_{name:04X}{kind:04X}"
