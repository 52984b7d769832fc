"""Mailboxes of Outlook. Nothing that is free writes one: a stand-in for libpff gives out what it would."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from lexveil.nlp.readers import Reason
from lexveil.nlp.readers.contract import Note
from lexveil.nlp.readers.documents import read_content_documents

FILE = b"!BDN" + bytes(60)


def entries(properties: Mapping[tuple[int, int], bytes]) -> Any:
    rows = [
        SimpleNamespace(
            get_entry_type=lambda key=key: key[0],
            get_value_type=lambda key=key: key[1],
            get_data=lambda value=value: value,
        )
        for key, value in properties.items()
    ]
    return SimpleNamespace(entries=rows)


@dataclass
class Item:
    properties: Mapping[tuple[int, int], bytes]
    to: Sequence[Mapping[tuple[int, int], bytes]] = ()
    attached: Sequence[Any] = ()
    inner: Any = None
    data: bytes = b""
    recipients: Any = field(init=False)

    def __post_init__(self) -> None:
        self.recipients = SimpleNamespace(
            get_number_of_record_sets=lambda: len(self.to), get_record_set=lambda n: entries(self.to[n])
        )

    def get_number_of_record_sets(self) -> int:
        return 1

    def get_record_set(self, number: int) -> Any:
        return entries(self.properties)

    def get_number_of_attachments(self) -> int:
        return len(self.attached)

    def get_attachment(self, number: int) -> Any:
        return self.attached[number]

    def get_number_of_sub_items(self) -> int:
        return int(self.inner is not None)

    def get_sub_item(self, number: int) -> Any:
        return self.inner

    def get_size(self) -> int:
        return len(self.data)

    def read_buffer(self, size: int) -> bytes:
        return self.data[:size]


@dataclass
class Folder:
    name: str | None
    messages: Sequence[Any] = ()
    folders: Sequence[Any] = ()

    def get_name(self) -> str | None:
        return self.name

    def get_number_of_sub_messages(self) -> int:
        return len(self.messages)

    def get_sub_message(self, number: int) -> Any:
        if self.messages[number] is None:
            raise OSError
        return self.messages[number]

    def get_number_of_sub_folders(self) -> int:
        return len(self.folders)

    def get_sub_folder(self, number: int) -> Any:
        return self.folders[number]


def wide(text: str) -> bytes:
    return text.encode("utf-16-le")


def mail(subject: str, body: str, **more: Any) -> Item:
    known = {(0x0037, 0x1F): wide(subject), (0x0C1A, 0x1F): wide("Ann Other"), (0x1000, 0x1F): wide(body)}
    return Item(known, [{(0x3001, 0x1F): wide("Bob Example"), (0x0C15, 3): b"\2\0\0\0"}], **more)


def test_each_message_is_a_document_with_its_attachments(monkeypatch: pytest.MonkeyPatch) -> None:
    file = Item({(0x3707, 0x1F): wide("lease.txt")}, data=b"The lease of Judge Abernathy")
    forwarded = Item({(0x3705, 3): b"\5\0\0\0"}, inner=mail("Old", "The old news"))
    root = Folder(
        None,
        folders=[
            Folder("In/box", [mail("\1\1Deposit", "See below", attached=[file, forwarded]), None]),
            Folder("Contacts", [Item({(0x001A, 0x1F): wide("IPM.Contact"), (0x0037, 0x1F): wide("Roe")})]),
            Folder("System", [SimpleNamespace()]),
        ],
    )  # fmt: skip
    opened = SimpleNamespace(open_file_object=lambda stream: None, get_root_folder=lambda: root)
    monkeypatch.setitem(sys.modules, "pypff", SimpleNamespace(file=lambda: opened))
    readings = {one.name: one for one in read_content_documents("office.pst", FILE)}
    assert readings.pop("").notes == {Note.unread_member: 1}
    assert {name: one.reason for name, one in readings.items() if one.text is None} == {
        "In box/message-2.eml": Reason.broken,
        "Contacts/message-1.eml/fields": Reason.unsupported,
    }
    first = readings["In box/message-1.eml"]
    assert first.text == (
        "From: Ann Other\nCc: Bob Example\nSubject: Deposit\n\nSee below\n\n[attachment]\n\n[attachment]"
    )
    assert first.belongs_to is None
    lease, inner = readings["In box/message-1.eml/lease.txt"], readings["In box/message-1.eml/message.eml"]
    assert (lease.text, lease.belongs_to) == ("The lease of Judge Abernathy", first.name)
    assert "The old news" in str(inner.text)
    assert readings["Contacts/message-1.eml"].notes == {Note.unread_attachment: 1}


def test_what_is_refused(refusal: Callable[..., Reason], monkeypatch: pytest.MonkeyPatch) -> None:
    """By libpff itself."""
    assert refusal("a.pst", b"text") is Reason.wrong_suffix
    assert refusal("a.pst", FILE) is Reason.broken
    monkeypatch.setitem(sys.modules, "pypff", None)
    assert refusal("a.ost", FILE) is Reason.unsupported
