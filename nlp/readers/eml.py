"""E-mail (RFC 5322) to text: the main headers and the body. Attachments are separate documents.

Of alternative bodies, the plain text is read; the HTML if there is no plain text, or if that only refers to
the HTML. Files attached to any of them, as by Apple Mail, are kept even if that body is not. So are files
that old programs wrote into the body (uuencode).
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
from functools import lru_cache
from itertools import repeat
from typing import Any

from lexveil.nlp.readers.compression import split_name
from lexveil.nlp.readers.contract import (
    Content,
    Limits,
    Part,
    Reason,
    UnreadableError,
    has_surrogates,
    mark_part,
)
from lexveil.nlp.readers.html import read as read_html
from lexveil.nlp.readers.plain import check_is_text, decode

_SHOWN = ("From", "To", "Cc", "Bcc", "Date", "Subject")
_KNOWN = {
    "from", "to", "cc", "subject", "date", "received", "message-id", "mime-version", "content-type",
    "return-path",
}  # fmt: skip
_SUFFIXES = {
    "application/ms-tnef": ".tnef",
    "application/vnd.ms-tnef": ".tnef",
    "application/pdf": ".pdf",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "application/rtf": ".rtf",
    "text/rtf": ".rtf",
}
_ADDRESSES = {"from", "to", "cc", "bcc"}
_MAX_DEPTH = 8
_LONGEST_FIELD = 2000
_EMLX_DIGITS = 12
_HEAD = 1024
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_MAX_PARSED_HEADER = 50_000
"""Characters of a header above which it is not parsed: the memory to parse it grows with the square."""
_MAX_PARSED_ADDRESSES = 2_000
"""The same for addresses: the time to parse them does, and quotes or comments alone take it most."""
_ENCODED_WORD = re.compile(r"=\?([^?\s]{1,40})\?([bBqQ])\?([^?\s]*)\?=(?:\s+(?==\?))?")
REFUSED = "application/x-unread"
"""Content type of a part that a container could not give, with the reason as its parameter."""
_STUB = 5
"""The HTML has this many times the letters of the plain version if the latter only refers to it."""
_USUAL = {b"from", b"to", b"subject", b"date", b"received", b"message-id", b"return-path", b"delivered-to"}
_NAMED = re.compile(rb"[!-9;-~]{1,100}:")
_LONGEST_HEAD = 4096
_REPORTS = frozenset({"message/delivery-status", "message/disposition-notification"})
_BOUNDARY = re.compile(r"^--([^\s\"\\]{1,70})[ \t]*\r?$(?=\n)", re.MULTILINE)
_UU_BEGIN = re.compile(r"^begin [0-7]{3,4} ([^\r\n]+)\r?\n", re.MULTILINE)
_UU_END = re.compile(r"^end[ \t]*\r?$", re.MULTILINE)
_AS_IT_IS = email.policy.default.clone(refold_source="none")
_MAX_STRUCTURED = 2_000
_FOLD = re.compile(r"\r?\n[ \t]*")


@lru_cache(maxsize=256)
def _parse_header(name: str, value: str) -> Any:
    return email.policy.default.header_fetch_parse(name, value)


class _BoundedPolicy(email.policy.EmailPolicy):
    """Parses only the beginning of a long header: the time to parse grows with the square of its length."""

    def header_fetch_parse(self, name: str, value: str) -> Any:
        return _parse_header(name, value[:_MAX_STRUCTURED])


_BOUNDED = _BoundedPolicy()


def read(data: bytes, limits: Limits) -> Content:
    """Read a message.

    Args:
        data: Content of the file.
        limits: Bounds on what is accepted.

    Raises:
        UnreadableError: wrong_suffix (no e-mail header at the top), encrypted (the whole message is),
            decompression_bomb (all parts together), broken.
    """
    check_is_text(data)
    if b"\0" in data[:_HEAD] or data.startswith(_UTF16):
        data = decode(data).lstrip("\ufeff").encode()  # saved as text by an editor
    data = data.removeprefix(codecs.BOM_UTF8)
    message = email.message_from_bytes(data, policy=_BOUNDED)
    if not _is_message(message):
        raise UnreadableError(Reason.wrong_suffix)
    if _is_encrypted(message):
        raise UnreadableError(Reason.encrypted)
    headers = [f"{name}: {value}" for name in _SHOWN for value in iter_header(message, name)]
    pieces: list[str] = ["\n".join(headers)] if headers else []
    parts: list[Part] = []
    size = len(data)
    for piece in _iter_part(message, 0):
        if isinstance(piece, Part):
            pieces.append(mark_part(len(parts)))
            parts.append(piece)
        else:
            pieces.append(piece)
        size += len(pieces[-1])
        if size > limits.max_text_bytes:
            raise UnreadableError(Reason.decompression_bomb)
    return Content("\n\n".join(pieces), parts, fields=_read_fields(message))


def _read_fields(message: Message) -> dict[str, str]:
    """Return the facts in the headers: that it is a mail, its date, subject, author and recipients."""
    names = {"date": ("Date",), "title": ("Subject",), "author": ("From",), "parties": ("From", "To", "Cc")}
    found = {
        field: "; ".join(value for name in headers for value in iter_header(message, name))[:_LONGEST_FIELD]
        for field, headers in names.items()
    }
    return {"kind": "mail", **{field: value for field, value in found.items() if value}}


def is_message(data: bytes) -> bool:
    """Return True if the data begins with headers of a message, two of which every message has."""
    head = data[:_LONGEST_HEAD].split(b"\n\n")[0].split(b"\r\n\r\n")[0]
    names = {line.partition(b":")[0].lower() for line in head.splitlines() if not line[:1].isspace()}
    return len(names & _USUAL) > 1 and bool(_NAMED.match(head))


def unwrap_emlx(data: bytes) -> bytes:
    """Return the message in a file of Apple Mail, which begins with its length and ends with a property list.

    Raises:
        UnreadableError: wrong_suffix.
    """
    length, newline, rest = data.partition(b"\n")
    if not newline or not length.strip().isdigit() or len(length) > _EMLX_DIGITS:
        raise UnreadableError(Reason.wrong_suffix)
    return rest[: int(length)]


def _is_message(message: Message) -> bool:
    return not _KNOWN.isdisjoint(name.lower() for name in message.keys())  # noqa: SIM118  (a Message is no dict)


def iter_header(message: Message, wanted: str) -> Iterator[str]:
    """Yield the values of a header, decoded."""
    for name, value in message.raw_items():
        if name.lower() != wanted.lower():
            continue
        text = str(value)
        if has_surrogates(text):  # raw 8-bit bytes, which violate the standard but are common
            text = decode(text.encode("utf-8", "surrogateescape"))
        else:
            text = _decode_header(name, _FOLD.sub(" ", text))
        yield _FOLD.sub(" ", text).strip()


@lru_cache(maxsize=256)
def _decode_header(name: str, text: str) -> str:
    is_address = name.lower() in _ADDRESSES
    if len(text) > (_MAX_PARSED_ADDRESSES if is_address else _MAX_PARSED_HEADER):
        return _ENCODED_WORD.sub(_decode_word, text)
    verbatim = text
    with contextlib.suppress(Exception):
        verbatim = str(make_header(decode_header(text)))
    # The standard library's parser fails in many ways on malformed headers.
    with contextlib.suppress(Exception):
        header = email.policy.default.header_factory(name, text)
        if not is_address or _is_faithful(header, text, verbatim):
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


def _iter_part(part: Message, depth: int) -> Iterator[str | Part]:
    """Yield the texts of a message's body, and what is attached to it, in order."""
    kind = part.get_content_type()
    if depth > _MAX_DEPTH:
        yield Part(_name_part(part), Reason.unsupported)
    elif _is_encrypted(part):
        yield Part(_name_part(part), Reason.encrypted)
    elif kind == REFUSED:
        yield Part(_name_part(part), _read_reason(part))
    elif kind == "multipart/alternative" and part.is_multipart():
        yield from _iter_alternative(part, depth)
    elif kind in _REPORTS and part.is_multipart():
        inside = map(_decode_message, _iter_children(part), repeat(part))
        yield "\n\n".join(str(inner).strip() for inner in inside)
    elif kind.startswith("message/") and part.is_multipart():
        yield from _attach_messages(part)
    elif part.is_multipart():
        for inner in _iter_children(part):
            yield from _iter_part(inner, depth + 1)
    elif kind in ("text/plain", "text/html") and part.get_content_disposition() != "attachment":
        yield from _iter_body(part, kind)
    else:
        yield from _iter_rest(part, kind, depth)


def _iter_rest(part: Message, kind: str, depth: int) -> Iterator[str | Part]:
    """Yield an attachment, or the pieces of a body whose header does not tell what divides them."""
    text = part.get_payload()
    if not kind.startswith("multipart/") or part.get_filename() or not str(text).strip():
        yield Part(_name_part(part), _decode_payload(part))
        return
    boundary = _BOUNDARY.search(str(text))
    divided = f'Content-Type: {kind}; boundary="{boundary[1] if boundary else ""}"\n\n{text}'
    bound = email.message_from_bytes(divided.encode("utf-8", "surrogateescape"), policy=_BOUNDED)
    if boundary and bound.is_multipart():
        yield from _iter_part(bound, depth + 1)
    else:
        yield str(text)


def _read_reason(part: Message) -> Reason:
    try:
        return Reason(str(part.get_param("reason")))
    except ValueError:
        return Reason.broken


def _split_uuencoded(text: str) -> Iterator[str | Part]:
    """Yield a text, with the files in it that old programs wrote there in letters."""
    start = 0
    for opening in _UU_BEGIN.finditer(text) if "\nend" in text else ():
        closing = _UU_END.search(text, opening.end())
        if opening.start() < start or closing is None:
            continue
        try:
            lines = text[opening.end() : closing.start()].encode("ascii").splitlines()
            data = b"".join(binascii.a2b_uu(line) for line in lines if line.strip())
        except (binascii.Error, UnicodeEncodeError):
            continue
        yield text[start : opening.start()]
        yield Part(opening[1].strip(), data)
        start = closing.end()
    yield text[start:]


def _decode_message(inner: Message, part: Message) -> Message:
    """Return the message that is attached, also where base64 hides it, against RFC 2046, section 5.2.1."""
    if (part.get("Content-Transfer-Encoding") or "").strip().lower() != "base64" or inner.keys():
        return inner
    try:
        data = base64.b64decode(str(inner.get_payload()))
    except (binascii.Error, ValueError):
        return inner
    return email.message_from_bytes(data, policy=_BOUNDED)


def _attach_messages(part: Message) -> Iterator[Part]:
    name = part.get_filename() or "message.eml"
    for inner in map(_decode_message, _iter_children(part), repeat(part)):
        if _is_message(inner):
            data = inner.as_bytes(policy=_AS_IT_IS)
            yield Part(name if name.lower().endswith(".eml") else f"{name}.eml", data)
        elif data := _decode_payload(inner):
            yield Part(f"{name}.txt", data)


def _iter_alternative(part: Message, depth: int) -> Iterator[str | Part]:
    """Yield the plain version unless it is blank, else the last and richest of the others (RFC 2046, 5.1.4).

    What is attached to the versions that are not shown follows.
    """
    children = list(_iter_children(part))
    plain = [child for child in children if child.get_content_type() == "text/plain"]
    others = [child for child in reversed(children) if child.get_content_type() != "text/plain"]
    versions = [list(_iter_part(child, depth + 1)) for child in plain + others]
    counts = [sum(map(str.isalnum, "".join(one for one in v if isinstance(one, str)))) for v in versions]
    shown = next(
        (
            number
            for number, count in enumerate(counts)
            if count and not (number < len(plain) and count * _STUB < max(counts))
        ),
        None,
    )
    if shown is not None:
        yield from versions[shown]
    for number, pieces in enumerate(versions):
        if number != shown:
            yield from (piece for piece in pieces if isinstance(piece, Part))


def _iter_children(part: Message) -> Iterator[Message]:
    payload = part.get_payload()
    if isinstance(payload, list):
        yield from (child for child in payload if isinstance(child, Message))


def _decode_payload(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _iter_body(part: Message, kind: str) -> Iterator[str | Part]:
    data = _decode_payload(part)
    charset = part.get_content_charset()
    try:
        text = read_html(data, charset) if kind == "text/html" and data.strip() else decode(data, charset)
    except UnreadableError as unreadable:
        yield Part(_name_part(part), unreadable.reason)
    else:
        yield from _split_uuencoded(text if data.strip() else "")


def _name_part(part: Message) -> str:
    """Return the name of an attachment, with the suffix of its content type where that is certain."""
    name, kind = part.get_filename() or "", part.get_content_type()
    suffix, codec = split_name(name)
    wanted = suffix
    if kind in _SUFFIXES and codec is None:
        wanted = _SUFFIXES[kind]
    elif kind.startswith("text/") and kind != "text/rtf" and codec is None:
        wanted = ".txt"
    return name if suffix == wanted and name else f"{name or 'attachment'}{wanted}"


def _is_encrypted(part: Message) -> bool:
    kind = part.get_content_type()
    if kind in ("application/pkcs7-mime", "application/x-pkcs7-mime"):
        return part.get_param("smime-type") != "signed-data"
    return kind == "multipart/encrypted"
