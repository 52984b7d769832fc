"""PST and OST, of Outlook: each message, in any folder, as a document of its own with its attachments.

Read by libpff (the extra `pst`). The names of folders are part of the names of messages. Appointments,
contacts and tasks are messages, too; of those, what a message has is text: sender, subject, time and body.
"""

from __future__ import annotations

import importlib
import io
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from lexveil.nlp.readers.contract import Content, Limits, Note, Part, Reason, UnreadableError
from lexveil.nlp.readers.mapi import (
    Attachment,
    Message,
    Properties,
    write_message,
)

MAGIC = b"!BDN"
_MAX_DEPTH = 64
_METHOD, _EMBEDDED = 0x3705, 5
_PIECE = 1 << 20


def read(data: bytes, limits: Limits) -> Content:
    """Read the messages of a file of Outlook.

    Raises:
        UnreadableError: wrong_suffix, unsupported (the extra is not installed), broken.
    """
    if not data.startswith(MAGIC):
        raise UnreadableError(Reason.wrong_suffix)
    try:
        pypff: Any = importlib.import_module("pypff")
    except ImportError:
        raise UnreadableError(Reason.unsupported) from None
    try:
        file = pypff.file()
        file.open_file_object(io.BytesIO(data))
        root = file.get_root_folder()
    except OSError:
        raise UnreadableError(Reason.broken) from None
    systems = _count_systems(root)
    notes = {Note.unread_member: systems} if systems else {}
    return Content("", _iter_messages(file, root, "", limits, 0), notes, is_archive=True)


def _count_systems(folder: Any, depth: int = 0) -> int:
    """Return the number of items that are no messages: Outlook keeps some for itself."""
    count = 0
    with suppress(OSError):
        for number in range(folder.get_number_of_sub_messages()):
            with suppress(OSError):
                count += not _is_message(folder.get_sub_message(number))
        if depth < _MAX_DEPTH:
            for number in range(folder.get_number_of_sub_folders()):
                with suppress(OSError):
                    count += _count_systems(folder.get_sub_folder(number), depth + 1)
    return count


def _is_message(item: Any) -> bool:
    return hasattr(item, "get_number_of_attachments")


def _iter_messages(file: Any, folder: Any, path: str, limits: Limits, depth: int) -> Iterator[Part]:
    """Yield the messages of a folder, then those of the folders in it.

    Args:
        file: the open file, which must stay open.
        folder: the folder.
        path: names of the folders that lead to it, with "/".
        limits: bounds on what is accepted.
        depth: number of those folders.
    """
    for number in range(folder.get_number_of_sub_messages()):
        name = f"{path}message-{number + 1}.eml"
        try:
            message = folder.get_sub_message(number)
            if _is_message(message):
                yield Part(name, write_message(_Message(message), limits))
        except UnreadableError as unreadable:
            yield Part(name, unreadable.reason)
        except Exception:  # a damaged message costs itself
            yield Part(name, Reason.broken)
    for number in range(folder.get_number_of_sub_folders()):
        name = f"{path}folder-{number + 1}"
        if depth >= _MAX_DEPTH:
            yield Part(name, Reason.unsupported)
            continue
        try:
            inner = folder.get_sub_folder(number)
            name = f"{path}{(inner.get_name() or '').replace('/', ' ') or f'folder-{number + 1}'}"
        except OSError:
            yield Part(name, Reason.broken)
            continue
        yield from _iter_messages(file, inner, f"{name}/", limits, depth + 1)


class _Store(Properties):
    """The properties of an item of the file."""

    def __init__(self, entries: Any) -> None:
        self._entries: dict[tuple[int, int], Any] = {}
        self._kinds: dict[int, int] = {}
        for entry in entries:
            key = (entry.get_entry_type() or 0, entry.get_value_type() or 0)
            self._entries.setdefault(key, entry)
            self._kinds.setdefault(*key)

    def value(self, name: int, kind: int) -> bytes:
        entry = self._entries.get((name, kind))
        return b"" if entry is None else entry.get_data() or b""

    def bits(self, name: int) -> int:
        return int.from_bytes(self.value(name, self._kinds.get(name, 0))[:8], "little")


class _Item(_Store):
    def __init__(self, item: Any) -> None:
        self._item = item
        super().__init__(
            entry
            for number in range(min(item.get_number_of_record_sets(), 1))
            for entry in item.get_record_set(number).entries
        )


class _Message(_Item, Message):
    def recipients(self) -> Iterator[Properties]:
        found: Any = self._item.recipients
        for number in range(found.get_number_of_record_sets() if found else 0):
            yield _Store(found.get_record_set(number).entries)

    def attachments(self) -> Iterator[Attachment]:
        for number in range(self._item.get_number_of_attachments()):
            yield _Attachment(self._item.get_attachment(number))


class _Attachment(_Item, Attachment):
    def open_message(self) -> Message | None:
        if self.number(_METHOD) != _EMBEDDED or not self._item.get_number_of_sub_items():
            return None
        return _Message(self._item.get_sub_item(0))

    def content(self) -> bytes:
        size = self._item.get_size()
        return self._item.read_buffer(size) if size else b""
