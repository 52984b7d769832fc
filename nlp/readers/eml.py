"""E-mail (RFC 5322) to text: the main headers, the body, then the attachments.

Of alternatives, the plain text is read; the HTML, if there is none, or if it is but a note that refers to it.
Readable attachments follow after `[attachment]`; for every other one there is a line
`[attachment not read: REASON]`, so that none is lost silently.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import contextlib
import email
import email.policy
import quopri
import re
from collections.abc import Iterator
from email.header import decode_header, make_header
from email.message import Message
from itertools import repeat
from typing import Any

from lexveil.nlp.readers.compression import split_name
from lexveil.nlp.readers.contract import Limits, ReadPart, Reason, UnreadableError, has_surrogates
from lexveil.nlp.readers.html import read as read_html
from lexveil.nlp.readers.plain import check_is_text, decode

_SHOWN = ("From", "To", "Cc", "Bcc", "Date", "Subject")
_KNOWN = {
    "from", "to", "cc", "subject", "date", "received", "message-id", "mime-version", "content-type",
    "return-path",
}  # fmt: skip
_SUFFIXES = {
    "application/pdf": ".pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "application/rtf": ".rtf",
    "text/rtf": ".rtf",
}
_ADDRESSES = {"from", "to", "cc", "bcc"}
_MAX_DEPTH = 8
_EMLX_DIGITS = 12
_HEAD = 1024
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_MAX_PARSED_HEADER = 50_000
"""Characters of a header above which it is not parsed: the memory to parse it grows with the square."""
_ENCODED_WORD = re.compile(r"=\?([^?\s]{1,40})\?([bBqQ])\?([^?\s]*)\?=(?:\s+(?==\?))?")
_STUB = 5
"""How many times the letters of the plain version the HTML has, if the former is but a note."""
_FOLD = re.compile(r"\r?\n[ \t]*")


def read(data: bytes, limits: Limits, read_part: ReadPart) -> str:
    """Read the text of a message.

    Args:
        data: Content of the file.
        limits: Bounds on what is accepted.
        read_part: Reader of attachments.

    Raises:
        UnreadableError: wrong_suffix (no e-mail header at the top), encrypted (the whole message is),
            decompression_bomb (all parts together), broken.
    """
    check_is_text(data)
    if b"\0" in data[:_HEAD] or data.startswith(_UTF16):
        data = decode(data).lstrip("\ufeff").encode()  # saved as text by an editor
    message = email.message_from_bytes(data, policy=email.policy.default)
    if not _KNOWN.intersection(name.lower() for name in message.keys()):  # noqa: SIM118  (a Message is no dict)
        raise UnreadableError(Reason.wrong_suffix)
    if _is_encrypted(message):
        raise UnreadableError(Reason.encrypted)
    pieces: list[str] = []
    size = 0
    for piece in _iter_message(message, limits, read_part, 0):
        size += len(piece)
        if size > limits.max_text_bytes:
            raise UnreadableError(Reason.decompression_bomb)
        pieces.append(piece)
    return "\n\n".join(pieces)


def unwrap_emlx(data: bytes) -> bytes:
    """Return the message in a file of Apple Mail, which begins with its length and ends with a property list.

    Raises:
        UnreadableError: wrong_suffix.
    """
    length, newline, rest = data.partition(b"\n")
    if not newline or not length.strip().isdigit() or len(length) > _EMLX_DIGITS:
        raise UnreadableError(Reason.wrong_suffix)
    return rest[: int(length)]


def _iter_message(message: Message, limits: Limits, read_part: ReadPart, depth: int) -> Iterator[str]:
    headers = [f"{name}: {value}" for name in _SHOWN for value in _iter_header(message, name)]
    if headers:
        yield "\n".join(headers)
    yield from _iter_part(message, limits, read_part, depth)


def _iter_header(message: Message, wanted: str) -> Iterator[str]:
    for name, value in message.raw_items():
        if name.lower() != wanted.lower():
            continue
        text = str(value)
        if has_surrogates(text):  # raw 8-bit bytes, which violate the standard but are common
            text = decode(text.encode("utf-8", "surrogateescape"))
        else:
            text = _decode_header(name, _FOLD.sub(" ", text))
        yield _FOLD.sub(" ", text).strip()


def _decode_header(name: str, text: str) -> str:
    if len(text) > _MAX_PARSED_HEADER:
        return _ENCODED_WORD.sub(_decode_word, text)
    verbatim = text
    with contextlib.suppress(Exception):
        verbatim = str(make_header(decode_header(text)))
    # The standard library's parser fails in many ways on malformed headers.
    with contextlib.suppress(Exception):
        header = email.policy.default.header_factory(name, text)
        if name.lower() not in _ADDRESSES or _is_faithful(header, text, verbatim):
            return str(header)
    return verbatim


def _decode_word(word: re.Match[str]) -> str:
    """Decode an encoded word (RFC 2047)."""
    charset, encoding, content = word.groups()
    try:
        if encoding in "bB":
            data = base64.b64decode(content + "=" * (-len(content) % 4))
        else:
            data = quopri.decodestring(content.replace("_", " ").encode())
        return decode(data, charset)
    except (binascii.Error, ValueError, UnreadableError):
        return word[0]


def _is_faithful(header: Any, text: str, verbatim: str) -> bool:
    """Return False if the parser dropped something of an address line, or rearranged a malformed one.

    It drops comments, and everything after the semicolons with which some programs separate addresses.
    """
    same_letters = [*filter(str.isalnum, str(header))] == [*filter(str.isalnum, verbatim)]
    return same_letters and ("=?" in text or not header.defects)


def _iter_part(part: Message, limits: Limits, read_part: ReadPart, depth: int) -> Iterator[str]:
    kind = part.get_content_type()
    if depth > _MAX_DEPTH:
        yield _describe_unread(Reason.unsupported)
    elif _is_encrypted(part):
        yield _describe_unread(Reason.encrypted)
    elif kind == "multipart/alternative":
        yield from _iter_alternative(part, limits, read_part, depth)
    elif kind.startswith("message/") and part.is_multipart():
        for inner in map(_decode_message, _iter_children(part), repeat(part)):
            yield "[attachment]"
            yield from _iter_message(inner, limits, read_part, depth + 1)
    elif part.is_multipart():
        for inner in _iter_children(part):
            yield from _iter_part(inner, limits, read_part, depth + 1)
    elif kind in ("text/plain", "text/html") and part.get_content_disposition() != "attachment":
        yield _read_body(part, kind)
    else:
        yield _read_attachment(part, kind, limits, read_part)


def _decode_message(inner: Message, part: Message) -> Message:
    """Return the message that is attached, also where base64 hides it, against RFC 2046, section 5.2.1."""
    if (part.get("Content-Transfer-Encoding") or "").strip().lower() != "base64" or inner.keys():
        return inner
    try:
        data = base64.b64decode(str(inner.get_payload()))
    except (binascii.Error, ValueError):
        return inner
    return email.message_from_bytes(data, policy=email.policy.default)


def _iter_alternative(part: Message, limits: Limits, read_part: ReadPart, depth: int) -> Iterator[str]:
    """Yield the plain version unless it is blank, else the last, richest of the others (RFC 2046, 5.1.4)."""
    children = list(_iter_children(part))
    plain = [child for child in children if child.get_content_type() == "text/plain"]
    others = [child for child in reversed(children) if child.get_content_type() != "text/plain"]
    versions = [list(_iter_part(child, limits, read_part, depth + 1)) for child in plain + others]
    counts = [sum(map(str.isalnum, "".join(pieces))) for pieces in versions]
    for number, pieces in enumerate(versions):
        is_stub = number < len(plain) and counts[number] * _STUB < max(counts)
        if counts[number] and not is_stub:
            yield from pieces
            return


def _iter_children(part: Message) -> Iterator[Message]:
    payload = part.get_payload()
    if isinstance(payload, list):
        yield from (child for child in payload if isinstance(child, Message))


def _decode_payload(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _read_body(part: Message, kind: str) -> str:
    data = _decode_payload(part)
    if not data.strip():
        return ""
    charset = part.get_content_charset()
    try:
        return read_html(data, charset) if kind == "text/html" else decode(data, charset)
    except UnreadableError as unreadable:
        return _describe_unread(unreadable.reason)


def _read_attachment(part: Message, kind: str, limits: Limits, read_part: ReadPart) -> str:
    suffix, codec = split_name(part.get_filename() or "")
    if kind in _SUFFIXES and codec is None:
        suffix = _SUFFIXES[kind]
    elif kind.startswith("text/") and kind != "text/rtf" and codec is None:
        suffix = ".txt"
    try:
        return f"[attachment]\n\n{read_part(_decode_payload(part), suffix, codec, limits)}"
    except UnreadableError as unreadable:
        return _describe_unread(unreadable.reason)


def _describe_unread(reason: Reason) -> str:
    return f"[attachment not read: {reason}]"


def _is_encrypted(part: Message) -> bool:
    kind = part.get_content_type()
    if kind in ("application/pkcs7-mime", "application/x-pkcs7-mime"):
        return part.get_param("smime-type") != "signed-data"
    return kind == "multipart/encrypted"
