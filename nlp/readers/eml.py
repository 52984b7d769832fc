"""E-mail (RFC 5322) -> text: the main headers, the body, then the attachments.

Of alternatives the plain text is taken, else the HTML. Attachments that can be read are appended after
`[attachment]`; for each other one stands `[attachment not read: REASON]`, so none is lost silently.
"""

from __future__ import annotations

import contextlib
import email
import email.policy
import re
from collections.abc import Callable, Iterator
from email.message import Message

from lexveil.nlp.readers.compression import split_name
from lexveil.nlp.readers.contract import Limits, Reason, UnreadableError
from lexveil.nlp.readers.html import read as read_html
from lexveil.nlp.readers.plain import check_text, decode

ReadPart = Callable[[bytes, str, str | None, Limits], str]
"""(content, suffix, codec, limits) -> text: how attachments are read."""

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
}
_MAX_DEPTH = 8
_FOLD = re.compile(r"\r?\n[ \t]*")


def read(data: bytes, limits: Limits, read_part: ReadPart) -> str:
    """The text of a message.

    Raises UnreadableError: wrong_suffix (no header of a mail at its top), encrypted (the whole message is),
    decompression_bomb (all parts together), broken.
    """
    check_text(data)
    message = email.message_from_bytes(data, policy=email.policy.default)
    if not _KNOWN.intersection(name.lower() for name in message.keys()):  # noqa: SIM118  (a Message isn't a dict)
        raise UnreadableError(Reason.wrong_suffix)
    if _is_encrypted(message):
        raise UnreadableError(Reason.encrypted)
    pieces: list[str] = []
    size = 0
    for piece in _message(message, limits, read_part, 0):
        size += len(piece)
        if size > limits.max_text_bytes:
            raise UnreadableError(Reason.decompression_bomb)
        pieces.append(piece)
    return "\n\n".join(pieces)


def _message(message: Message, limits: Limits, read_part: ReadPart, depth: int) -> Iterator[str]:
    headers = [f"{name}: {value}" for name in _SHOWN for value in _header(message, name)]
    if headers:
        yield "\n".join(headers)
    yield from _parts(message, limits, read_part, depth)


def _header(message: Message, wanted: str) -> Iterator[str]:
    for name, value in message.raw_items():
        if name.lower() != wanted.lower():
            continue
        text = str(value)
        if any("\ud800" <= c <= "\udfff" for c in text):  # raw 8-bit bytes, against the standard but common
            text = decode(text.encode("utf-8", "surrogateescape"))
        else:
            # The standard library's header parser fails in many ways on malformed addresses.
            with contextlib.suppress(Exception):
                text = str(email.policy.default.header_factory(name, _FOLD.sub(" ", text)))
        yield _FOLD.sub(" ", text).strip()


def _parts(part: Message, limits: Limits, read_part: ReadPart, depth: int) -> Iterator[str]:
    kind = part.get_content_type()
    if depth > _MAX_DEPTH:
        yield _not_read(Reason.unsupported)
    elif _is_encrypted(part):
        yield _not_read(Reason.encrypted)
    elif kind == "multipart/alternative":
        yield from _alternative(part, limits, read_part, depth)
    elif kind.startswith("message/") and part.is_multipart():
        for inner in _children(part):
            yield "[attachment]"
            yield from _message(inner, limits, read_part, depth + 1)
    elif part.is_multipart():
        for inner in _children(part):
            yield from _parts(inner, limits, read_part, depth + 1)
    elif kind in ("text/plain", "text/html") and part.get_content_disposition() != "attachment":
        yield _body(part, kind)
    else:
        yield _attachment(part, kind, limits, read_part)


def _alternative(part: Message, limits: Limits, read_part: ReadPart, depth: int) -> Iterator[str]:
    """The plain version when it says anything, else the last of the others, the richest (RFC 2046, 5.1.4)."""
    children = list(_children(part))
    plain = [child for child in children if child.get_content_type() == "text/plain"]
    others = [child for child in reversed(children) if child.get_content_type() != "text/plain"]
    for child in plain + others:
        pieces = list(_parts(child, limits, read_part, depth + 1))
        if any(piece.strip() for piece in pieces):
            yield from pieces
            return


def _children(part: Message) -> Iterator[Message]:
    payload = part.get_payload()
    if isinstance(payload, list):
        yield from (child for child in payload if isinstance(child, Message))


def _payload(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _body(part: Message, kind: str) -> str:
    data = _payload(part)
    if not data.strip():
        return ""
    charset = part.get_content_charset()
    try:
        return read_html(data, charset) if kind == "text/html" else decode(data, charset)
    except UnreadableError as unreadable:
        return _not_read(unreadable.reason)


def _attachment(part: Message, kind: str, limits: Limits, read_part: ReadPart) -> str:
    suffix, codec = split_name(part.get_filename() or "")
    if kind in _SUFFIXES and codec is None:
        suffix = _SUFFIXES[kind]
    elif kind.startswith("text/") and kind != "text/rtf" and codec is None:
        suffix = ".txt"
    try:
        return f"[attachment]\n\n{read_part(_payload(part), suffix, codec, limits)}"
    except UnreadableError as unreadable:
        return _not_read(unreadable.reason)


def _not_read(reason: Reason) -> str:
    return f"[attachment not read: {reason}]"


def _is_encrypted(part: Message) -> bool:
    kind = part.get_content_type()
    if kind in ("application/pkcs7-mime", "application/x-pkcs7-mime"):
        return part.get_param("smime-type") != "signed-data"
    return kind == "multipart/encrypted"
