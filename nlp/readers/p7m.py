"""P7M and P7S: the signed document (CMS, RFC 5652), as a separate document. Signatures are not checked.

A file of the mail program (`smime.p7m`) holds a message. Encrypted content needs a private key.
"""

from __future__ import annotations

import base64
import binascii
import re

from lexveil.nlp.readers.contract import Content, Part, Reason, UnreadableError
from lexveil.nlp.readers.formats import detect_format

_ARMOR = re.compile(rb"-----BEGIN (?:PKCS7|CMS)-----(.*?)-----END", re.DOTALL)
_BASE64 = re.compile(rb"[A-Za-z0-9+/=\s]+")
_SEQUENCE = 0x30
_HEAD = 4096
_LONGEST_HEADERS = 1 << 16
_ENCRYPTED = {"enveloped_data", "encrypted_data", "authenticated_enveloped_data", "signed_and_enveloped_data"}
_COMPRESSED = "compressed_data"
_MESSAGE = re.compile(rb"(?:content-type|mime-version|from|to|subject|date):\s", re.IGNORECASE)
_MAX_DEPTH = 4


def read(data: bytes) -> Content:
    """Read a signed file.

    Raises:
        UnreadableError: wrong_suffix, encrypted, broken, unsupported (compressed), empty (a mere signature).
    """
    if _is_clear_signed(data):  # a message, and its signature a part of it
        return Content("", [Part("signed.eml", data)])
    if (armor := _ARMOR.search(data)) is not None:
        data = armor[1]
    if data[:1] != bytes([_SEQUENCE]) and _BASE64.fullmatch(data[:_HEAD]):
        try:
            data = base64.b64decode(data)
        except binascii.Error:
            raise UnreadableError(Reason.wrong_suffix) from None
    if data[:1] != bytes([_SEQUENCE]):
        raise UnreadableError(Reason.wrong_suffix)
    content = _unwrap(data)
    suffix = ".eml" if _MESSAGE.match(content.lstrip()[:_HEAD]) else detect_format(content, ".txt")
    return Content("", [Part(f"signed{suffix}", content)])


def _is_clear_signed(data: bytes) -> bool:
    head = data[:_LONGEST_HEADERS].lstrip().replace(b"\r", b"").partition(b"\n\n")[0]
    return _MESSAGE.match(head) is not None and b"multipart/signed" in head.lower()


def _unwrap(data: bytes) -> bytes:
    from asn1crypto import cms

    for _ in range(_MAX_DEPTH):
        try:
            info = cms.ContentInfo.load(data)
            kind = info["content_type"].native
            if kind in _ENCRYPTED or kind == _COMPRESSED:
                break
            if kind != "signed_data":
                raise UnreadableError(Reason.unsupported)
            content = info["content"]["encap_content_info"]["content"].native
        except (ValueError, TypeError, KeyError):
            raise UnreadableError(Reason.broken) from None
        if not content:
            raise UnreadableError(Reason.empty)
        if not isinstance(content, bytes):
            raise UnreadableError(Reason.unsupported)
        data = content
        if data[:1] != bytes([_SEQUENCE]):
            return data
    else:
        return data
    raise UnreadableError(Reason.encrypted if kind in _ENCRYPTED else Reason.unsupported)
