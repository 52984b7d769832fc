"""Messages of Outlook as messages of RFC 5322, which `eml` reads: headers, body and attachments alike.

A message has properties, recipients and attachments, wherever it is stored (`msg`, `pst`). Its body is the
plain text, else the HTML, else the text of the RTF. An attached message is one itself. What cannot be read of
a message costs itself alone. Names of properties are those of [MS-OXPROPS].
"""

from __future__ import annotations

import base64
import hashlib
import struct
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

from lexveil.nlp.readers import rtf
from lexveil.nlp.readers.contract import Limits, Reason, UnreadableError
from lexveil.nlp.readers.eml import REFUSED
from lexveil.nlp.readers.plain import decode

_CLASS = 0x001A
_SUBJECT, _BODY, _HTML, _RTF = 0x0037, 0x1000, 0x1013, 0x1009
_SENDER_NAME, _SENDER_ADDRESSES = 0x0C1A, (0x5D01, 0x5D0A, 0x0C1F, 0x0065)
_NAME, _ADDRESSES = 0x3001, (0x39FE, 0x3003)
_RECIPIENT_KIND = 0x0C15
_DISPLAYED = {"To": 0x0E04, "Cc": 0x0E03, "Bcc": 0x0E02}
_SENT, _DELIVERED, _CREATED = 0x0039, 0x0E06, 0x3007
_BODY_CHARSET, _CHARSET = 0x3FDE, 0x3FFD
_LONG_NAME, _SHORT_NAME, DATA, _MIME = 0x3707, 0x3704, 0x3701, 0x370E
BINARY, UNICODE, BYTES, STORAGE = 0x0102, 0x001F, 0x001E, 0x000D
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_LAST_TICK = 2_650_467_743_990_000_000  # the year 9999
_MAX_DEPTH = 8
_WITH_FIELDS = ("IPM.Contact", "IPM.DistList", "IPM.Task", "IPM.Activity", "IPM.Appointment")
"""Classes of messages that say more in fields of their own, which are not read."""
_SUBJECT_MARK = "\x01"
_PGP, _PGP_PARTS = ".pgp-encrypted", 2
_ENCRYPTED = (".rpmsg", _PGP)
_RTF_WORDS = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor "
    rb"MS Sans SerifSymbolArialTimes New RomanCourier{\colortbl\red0\green0\blue0"
    b"\r\n"
    rb"\par \pard\plain\f0\fs20\b\i\u\tab\tx"
)
_WINDOW = 4096
_SPECIAL = frozenset(',;:<>()[]@"\\')  # in a name, which must be quoted then


class Properties(ABC):
    """What is stored of a message, a recipient or an attachment."""

    @abstractmethod
    def value(self, name: int, kind: int) -> bytes:
        """Return the value of a property of this type; b"" if there is none."""

    @abstractmethod
    def bits(self, name: int) -> int:
        """Return the value of a property of up to 64 bits; 0 if there is none."""

    def number(self, name: int) -> int:
        """Return a number of 32 bits; 0 if there is none."""
        return self.bits(name) & 0xFFFFFFFF

    def moment(self, name: int) -> datetime | None:
        """Return a time."""
        ticks = self.bits(name)
        return _EPOCH + timedelta(microseconds=ticks // 10) if 0 < ticks < _LAST_TICK else None

    def text(self, name: int, charset: str | None = None) -> str:
        """Return a text."""
        wide = self.value(name, UNICODE)
        if wide:
            return wide.decode("utf-16-le", "replace").rstrip("\0")
        data = self.value(name, BYTES).rstrip(b"\0")
        return decode(data, charset) if data else ""

    def first(self, names: tuple[int, ...]) -> str:
        """Return the first of the addresses that is one of the Internet: others are names of directories."""
        found = [text for name in names if (text := self.text(name))]
        return next((text for text in found if "@" in text), "")


class Attachment(Properties):
    """A file, a message or an object of another program that is attached to a message."""

    @abstractmethod
    def open_message(self) -> Message | None:
        """Return the attached message; None if it is something else."""

    @abstractmethod
    def content(self) -> bytes:
        """Return the attached file; b"" if it is something else."""


class Message(Properties):
    """A message."""

    @abstractmethod
    def recipients(self) -> Iterable[Properties]:
        """Return the recipients, in order."""

    @abstractmethod
    def attachments(self) -> Iterable[Attachment]:
        """Return the attachments, in order."""


def write_message(message: Message, limits: Limits, depth: int = 0) -> bytes:
    """Return a message in the format of RFC 5322.

    Raises:
        UnreadableError: encrypted (the message as a whole).
    """
    charset = _name_charset(message.number(_BODY_CHARSET) or message.number(_CHARSET))
    headers = "".join(
        f"{name}: {' '.join(value.split())}\r\n"
        for name, value in _iter_headers(message, charset)
        if value.strip()
    )
    attachments = [(one, _read_name(one, charset)) for one in message.attachments()]
    if _are_encrypted([name.lower() for _, name in attachments]):
        raise UnreadableError(Reason.encrypted)
    attached = [_write_attachment(one, name, limits, depth) for one, name in attachments]
    if message.text(_CLASS).startswith(_WITH_FIELDS):
        attached.append(_write_refusal("fields", Reason.unsupported))
    parts = [_write_body(message, charset, limits), *attached]
    boundary = b"=_" + hashlib.sha256(b"".join(parts)).hexdigest().encode()
    pieces = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
    kind = b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="' + boundary + b'"\r\n\r\n'
    return headers.encode("utf-8", "replace") + kind + pieces + b"--" + boundary + b"--\r\n"


def _iter_headers(message: Message, charset: str | None) -> Iterator[tuple[str, str]]:
    yield "From", _join_address(message.text(_SENDER_NAME, charset), message.first(_SENDER_ADDRESSES))
    kinds = {1: "To", 2: "Cc", 3: "Bcc"}
    named: dict[str, list[str]] = {name: [] for name in kinds.values()}
    for recipient in message.recipients():
        kind = kinds.get(recipient.number(_RECIPIENT_KIND) & 0xF, "To")
        named[kind].append(_join_address(recipient.text(_NAME, charset), recipient.first(_ADDRESSES)))
    for name, addresses in named.items():
        yield name, ", ".join(addresses) or message.text(_DISPLAYED[name], charset)
    moment = message.moment(_SENT) or message.moment(_DELIVERED) or message.moment(_CREATED)
    if moment is not None:
        yield "Date", format_datetime(moment)
    subject = message.text(_SUBJECT, charset)
    # A mark and the length of "Re: " may stand before it.
    yield "Subject", subject[2:] if subject.startswith(_SUBJECT_MARK) else subject


def _write_body(message: Message, charset: str | None, limits: Limits) -> bytes:
    try:
        return _write_text(*_read_body(message, charset, limits))
    except UnreadableError as unreadable:
        return _write_refusal("body", unreadable.reason)


def _read_body(message: Message, charset: str | None, limits: Limits) -> tuple[str, str]:
    """Return the kind of the body, and its text.

    Raises:
        UnreadableError: wrong_suffix, broken, decompression_bomb.
    """
    if text := message.text(_BODY, charset).strip():
        return "plain", text
    if page := message.value(_HTML, BINARY).rstrip(b"\0"):
        return "html", decode(page, charset)
    if page := message.text(_HTML, charset):
        return "html", page
    packed = message.value(_RTF, BINARY)
    return "plain", rtf.read(decompress_rtf(packed, limits)).text if packed else ""


def _are_encrypted(names: list[str]) -> bool:
    """Return True if the attachments of these names are all that a message is."""
    found = [name.endswith(_ENCRYPTED) for name in names]
    # One that is encrypted by PGP has two: a note of the version, and the message.
    return any(found) and (all(found) or (len(names) == _PGP_PARTS and names[0].endswith(_PGP)))


def _read_name(part: Attachment, charset: str | None) -> str:
    with suppress(Exception):  # a damaged store: the libraries that read it raise many kinds
        return part.text(_LONG_NAME, charset) or part.text(_SHORT_NAME, charset)
    return ""


def _write_attachment(part: Attachment, name: str, limits: Limits, depth: int) -> bytes:
    """Return an attachment as a part of a message, or why it cannot be read."""
    try:
        return _write_content(part, name, limits, depth)
    except UnreadableError as unreadable:
        return _write_refusal(name or "message.eml", unreadable.reason)
    except Exception:  # a damaged store: the libraries that read it raise many kinds
        return _write_refusal(name or "attachment", Reason.broken)


def _write_content(part: Attachment, name: str, limits: Limits, depth: int) -> bytes:
    if name.lower().endswith(_ENCRYPTED):
        raise UnreadableError(Reason.encrypted)
    message = part.open_message()
    if message is None:
        return _write_file(name or "object.bin", part.text(_MIME), part.content())
    if depth >= _MAX_DEPTH:
        raise UnreadableError(Reason.unsupported)
    return b"Content-Type: message/rfc822\r\n\r\n" + write_message(message, limits, depth + 1)


def _write_refusal(name: str, reason: Reason) -> bytes:
    return _write_head(f"{REFUSED}; reason={reason}", name).encode("utf-8", "replace")


def _name_charset(page: int) -> str | None:
    return {0: None, 65001: "utf-8", 20127: "ascii"}.get(page, f"cp{page}")


def _join_address(name: str, address: str) -> str:
    if not address or name.strip("'\" ").lower() == address.lower():
        return name or address
    if set(name) & _SPECIAL:
        name = '"' + name.replace("\\", "").replace('"', "'") + '"'
    return f"{name} <{address}>" if name else address


def _write_text(kind: str, text: str) -> bytes:
    head = f"Content-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return head.encode() + base64.encodebytes(text.encode("utf-8", "replace"))


def _write_file(name: str, kind: str, data: bytes) -> bytes:
    is_kind = kind.isascii() and kind.replace("/", "").replace("-", "").replace(".", "").isalnum()
    head = _write_head(kind if is_kind and "/" in kind else "application/octet-stream", name)
    return head.encode("utf-8", "replace") + base64.encodebytes(data)


def _write_head(kind: str, name: str) -> str:
    quoted = "".join(mark for mark in name if mark.isprintable() and mark not in '"\\')
    return (
        f"Content-Type: {kind}\r\n"
        f'Content-Disposition: attachment; filename="{quoted}"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    )


def decompress_rtf(data: bytes, limits: Limits) -> bytes:
    """Decompress the RTF of a message ([MS-OXRTFCP]).

    Raises:
        UnreadableError: broken, decompression_bomb.
    """
    if len(data) < 16:
        raise UnreadableError(Reason.broken)
    _, size, magic = struct.unpack_from("<II4s", data)
    if magic == b"MELA":
        return data[16 : 16 + size]
    if magic != b"LZFu":
        raise UnreadableError(Reason.broken)
    if size > limits.max_text_bytes:
        raise UnreadableError(Reason.decompression_bomb)
    window = bytearray(_RTF_WORDS.ljust(_WINDOW, b"\0"))
    at = len(_RTF_WORDS)
    out = bytearray()
    for is_reference, token in _iter_tokens(data):
        start, count = (token >> 4, (token & 0xF) + 2) if is_reference else (0, 1)
        if (is_reference and start == at % _WINDOW) or len(out) >= size:
            break
        for step in range(count):
            value = window[(start + step) % _WINDOW] if is_reference else token
            window[at % _WINDOW] = value
            at += 1
            out.append(value)
    return bytes(out[:size])


def _iter_tokens(data: bytes) -> Iterator[tuple[bool, int]]:
    """Yield each byte, or reference of two bytes; a bit of the byte before eight of them tells which."""
    place = 16
    while place < len(data):
        flags = data[place]
        place += 1
        for bit in range(8):
            size = 1 + (flags >> bit & 1)
            if place + size > len(data):
                return
            yield size > 1, int.from_bytes(data[place : place + size], "big")
            place += size
