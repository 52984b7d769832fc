"""MHTML (RFC 2557), a page saved with all that it shows: the text of the page and its frames, in order."""

from __future__ import annotations

import email
import email.policy
from email.message import Message

from lexveil.nlp.readers import eml, html
from lexveil.nlp.readers.contract import Content, Limits, Note, Reason, UnreadableError
from lexveil.nlp.readers.plain import check_is_text, decode

_PAGES = ("text/html", "application/xhtml+xml")


def read(data: bytes, limits: Limits) -> Content:
    """Read a saved page.

    Raises:
        UnreadableError: wrong_suffix, decompression_bomb (all parts together), broken.
    """
    check_is_text(data)
    message = email.message_from_bytes(data.lstrip(), policy=email.policy.compat32)
    if "content-type" not in message:
        raise UnreadableError(Reason.wrong_suffix)
    texts: list[str] = []
    pictures = size = 0
    for part in message.walk():
        kind = part.get_content_type()
        pictures += kind.startswith("image/")
        if kind in _PAGES or kind == "text/plain":
            texts.append(_read_part(part, kind))
            size += len(texts[-1])
        if size > limits.max_text_bytes:
            raise UnreadableError(Reason.decompression_bomb)
    text = "\n\n".join(text for text in texts if text.strip())
    title = " ".join(eml.iter_header(message, "Subject"))
    notes = {Note.unread_picture: pictures} if pictures else {}
    return Content(text, notes=notes, fields={"title": title} if title else {})


def _read_part(part: Message, kind: str) -> str:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes) or not payload.strip():
        return ""
    charset = part.get_content_charset()
    return html.read(payload, charset) if kind in _PAGES else decode(payload, charset)
