"""MSG, of Outlook, to a message of RFC 5322, which `eml` reads: headers, body and attachments alike.

The body is the plain text, else the HTML, else the text of the RTF. An attached message is one itself.
Names of properties are those of [MS-OXPROPS].
"""

from __future__ import annotations

import base64
import hashlib
import io
import struct
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from lexveil.nlp.readers import eml, rtf
from lexveil.nlp.readers.contract import Content, Limits, Reason, UnreadableError
from lexveil.nlp.readers.plain import OLE_MAGIC, decode

_SUBJECT, _BODY, _HTML, _RTF = 0x0037, 0x1000, 0x1013, 0x1009
_SENDER_NAME, _SENDER_ADDRESSES = 0x0C1A, (0x5D01, 0x5D0A, 0x0C1F, 0x0065)
_NAME, _ADDRESSES = 0x3001, (0x39FE, 0x3003)
_RECIPIENT_KIND = 0x0C15
_DISPLAYED = {"To": 0x0E04, "Cc": 0x0E03, "Bcc": 0x0E02}
_SENT, _DELIVERED, _CREATED = 0x0039, 0x0E06, 0x3007
_BODY_CHARSET, _CHARSET = 0x3FDE, 0x3FFD
_LONG_NAME, _SHORT_NAME, _DATA, _MIME = 0x3707, 0x3704, 0x3701, 0x370E
_BINARY, _UNICODE, _BYTES, _STORAGE = 0x0102, 0x001F, 0x001E, 0x000D
_PROPERTIES = "__properties_version1.0"
_TOP_HEAD, _INNER_HEAD, _PART_HEAD = 32, 24, 8
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_LAST_TICK = 2_650_467_743_990_000_000  # the year 9999
_MAX_DEPTH = 8
_ENCRYPTED_PARTS = (".rpmsg", ".pgp-encrypted")
_RTF_WORDS = (
    rb"{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor "
    rb"MS Sans SerifSymbolArialTimes New RomanCourier{\colortbl\red0\green0\blue0"
    b"\r\n"
    rb"\par \pard\plain\f0\fs20\b\i\u\tab\tx"
)
_WINDOW = 4096
_SPECIAL = frozenset(',;:<>()[]@"\\')  # in a name, which must be quoted then

Path = tuple[str, ...]


def read(data: bytes, limits: Limits) -> Content:
    """Read a message.

    Raises:
        UnreadableError: wrong_suffix, encrypted, decompression_bomb.
    """
    import olefile

    if not data.startswith(OLE_MAGIC):
        raise UnreadableError(Reason.wrong_suffix)
    with olefile.OleFileIO(io.BytesIO(data)) as container:
        if not container.exists(_PROPERTIES):
            raise UnreadableError(Reason.wrong_suffix)
        message = _Message(container, (), limits).to_bytes()
    return eml.read(message, limits)


class _Store:
    """The properties in one storage of the file."""

    def __init__(self, container: Any, path: Path, head: int) -> None:
        self._container, self._path = container, path
        fixed = self._read_stream(_PROPERTIES)[head:]
        entries = struct.iter_unpack("<HHIQ", fixed[: len(fixed) // 16 * 16])
        self._numbers = {name: value for _, name, _, value in entries}

    def _read_stream(self, name: str) -> bytes:
        path = [*self._path, name]
        return self._container.openstream(path).read() if self._container.exists(path) else b""

    def number(self, name: int) -> int:
        """Return a number of 32 bits; 0 if there is none."""
        return self._numbers.get(name, 0) & 0xFFFFFFFF

    def moment(self, name: int) -> datetime | None:
        """Return a time."""
        ticks = self._numbers.get(name, 0)
        return _EPOCH + timedelta(microseconds=ticks // 10) if 0 < ticks < _LAST_TICK else None

    def binary(self, name: int) -> bytes:
        """Return a value of bytes."""
        return self._read_stream(_name_stream(name, _BINARY))

    def text(self, name: int, charset: str | None = None) -> str:
        """Return a text."""
        wide = self._read_stream(_name_stream(name, _UNICODE))
        if wide:
            return wide.decode("utf-16-le", "replace").rstrip("\0")
        data = self._read_stream(_name_stream(name, _BYTES)).rstrip(b"\0")
        return decode(data, charset) if data else ""

    def first(self, names: tuple[int, ...]) -> str:
        """Return the first of the addresses that is one of the Internet: others are names of directories."""
        found = [text for name in names if (text := self.text(name))]
        return next((text for text in found if "@" in text), "")

    def storages(self, prefix: str) -> list[Path]:
        """Return the storages in this one whose names begin so, in order."""
        depth = len(self._path)
        paths = (tuple(path) for path in self._container.listdir(streams=False, storages=True))
        return sorted(
            path
            for path in paths
            if len(path) == depth + 1 and path[:depth] == self._path and path[depth].startswith(prefix)
        )


class _Message(_Store):
    """A message: that of the file, or one that is attached to it."""

    def __init__(self, container: Any, path: Path, limits: Limits, depth: int = 0) -> None:
        super().__init__(container, path, _INNER_HEAD if path else _TOP_HEAD)
        self._limits, self._depth = limits, depth
        self._charset = _name_charset(self.number(_BODY_CHARSET) or self.number(_CHARSET))

    def to_bytes(self) -> bytes:
        """Return the message in the format of RFC 5322.

        Raises:
            UnreadableError: encrypted, decompression_bomb.
        """
        headers = "".join(
            f"{name}: {' '.join(value.split())}\r\n" for name, value in self._iter_headers() if value.strip()
        )
        parts = [self._build_body(), *self._iter_attachments()]
        boundary = b"=_" + hashlib.sha256(b"".join(parts)).hexdigest().encode()
        pieces = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
        kind = b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="' + boundary + b'"\r\n\r\n'
        return headers.encode("utf-8", "replace") + kind + pieces + b"--" + boundary + b"--\r\n"

    def _iter_headers(self) -> Iterator[tuple[str, str]]:
        yield "From", _join_address(self.text(_SENDER_NAME, self._charset), self.first(_SENDER_ADDRESSES))
        kinds = {1: "To", 2: "Cc", 3: "Bcc"}
        named: dict[str, list[str]] = {name: [] for name in kinds.values()}
        for path in self.storages("__recip_version1.0"):
            recipient = _Store(self._container, path, _PART_HEAD)
            kind = kinds.get(recipient.number(_RECIPIENT_KIND) & 0xF, "To")
            address = _join_address(recipient.text(_NAME, self._charset), recipient.first(_ADDRESSES))
            named[kind].append(address)
        for name, addresses in named.items():
            yield name, ", ".join(addresses) or self.text(_DISPLAYED[name], self._charset)
        moment = self.moment(_SENT) or self.moment(_DELIVERED) or self.moment(_CREATED)
        if moment is not None:
            yield "Date", format_datetime(moment)
        yield "Subject", self.text(_SUBJECT, self._charset)

    def _build_body(self) -> bytes:
        if text := self.text(_BODY, self._charset).strip():
            return _build_text("plain", text)
        if page := self.binary(_HTML).rstrip(b"\0"):
            return _build_text("html", decode(page, self._charset))
        if page := self.text(_HTML, self._charset):
            return _build_text("html", page)
        packed = self.binary(_RTF)
        text = rtf.read(decompress_rtf(packed, self._limits)).text if packed else ""
        return _build_text("plain", text)

    def _iter_attachments(self) -> Iterator[bytes]:
        for path in self.storages("__attach_version1.0"):
            part = _Store(self._container, path, _PART_HEAD)
            name = part.text(_LONG_NAME, self._charset) or part.text(_SHORT_NAME, self._charset)
            if name.lower().endswith(_ENCRYPTED_PARTS):
                raise UnreadableError(Reason.encrypted)
            inner = (*path, _name_stream(_DATA, _STORAGE))
            if not self._container.exists([*inner]):
                yield _build_attachment(name, part.text(_MIME), part.binary(_DATA))
            elif self._container.exists([*inner, _PROPERTIES]) and self._depth < _MAX_DEPTH:
                message = _Message(self._container, inner, self._limits, self._depth + 1)
                yield b"Content-Type: message/rfc822\r\n\r\n" + message.to_bytes()
            else:  # an object of another program
                yield _build_attachment(name or "object.bin", "", b"")


def _name_stream(name: int, kind: int) -> str:
    return f"__substg1.0_{name:04X}{kind:04X}"


def _name_charset(page: int) -> str | None:
    return {0: None, 65001: "utf-8", 20127: "ascii"}.get(page, f"cp{page}")


def _join_address(name: str, address: str) -> str:
    if not address or name.strip("'\" ").lower() == address.lower():
        return name or address
    if set(name) & _SPECIAL:
        name = '"' + name.replace("\\", "").replace('"', "'") + '"'
    return f"{name} <{address}>" if name else address


def _build_text(kind: str, text: str) -> bytes:
    head = f"Content-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return head.encode() + base64.encodebytes(text.encode("utf-8", "replace"))


def _build_attachment(name: str, kind: str, data: bytes) -> bytes:
    quoted = "".join(mark for mark in name if mark.isprintable() and mark not in '"\\')
    is_kind = kind.isascii() and kind.replace("/", "").replace("-", "").replace(".", "").isalnum()
    head = (
        f"Content-Type: {kind if is_kind and '/' in kind else 'application/octet-stream'}\r\n"
        f'Content-Disposition: attachment; filename="{quoted}"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    )
    return head.encode("utf-8", "replace") + base64.encodebytes(data)


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
