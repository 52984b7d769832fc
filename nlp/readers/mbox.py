"""Mailboxes of Unix and Thunderbird (RFC 4155): each message is a separate document."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lexveil.nlp.readers.contract import Content, Limits, Part, Reason, UnreadableError

# A line that opens a message follows a blank line. It has a time, or a header follows.
_OPENING = re.compile(
    rb"(?:\A|(?<=\n\n)|(?<=\n\r\n))From [^\r\n]{0,1000}"
    rb"(?:\d\d:\d\d(?::\d\d)? [^\r\n]{0,40}\d{4}[^\r\n]{0,40}\r?\n|\r?\n(?=>?[!-9;-~]{1,100}:|>From ))"
)
_HEADER = re.compile(rb"\s*[!-9;-~]{1,100}:")
_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)


def is_mbox(data: bytes) -> bool:
    """Return True if the data begins as a mailbox does."""
    return _OPENING.match(data) is not None


def read(data: bytes, limits: Limits) -> Content:
    """Read a mailbox.

    Raises:
        UnreadableError: wrong_suffix.
    """
    data = data.lstrip(b"\r\n")
    if not is_mbox(data):
        raise UnreadableError(Reason.wrong_suffix)
    return Content("", _iter_messages(data), is_archive=True)


def _iter_messages(data: bytes) -> Iterator[Part]:
    opened: re.Match[bytes] | None = None
    number = 0
    for opening in _OPENING.finditer(data):
        if opened is not None:
            number += 1
            yield _cut(data, opened.end(), opening.start(), number)
        opened = opening
    if opened is not None:
        yield _cut(data, opened.end(), len(data), number + 1)


def _cut(data: bytes, start: int, end: int, number: int) -> Part:
    message = _QUOTED.sub(rb"\1", data[start:end])
    return Part(f"{number}.eml" if _HEADER.match(message) else f"{number}.txt", message)
