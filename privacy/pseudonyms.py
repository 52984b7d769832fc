"""Keyed, consistent pseudonyms: who is who, without saying who."""

from __future__ import annotations

import hmac
import unicodedata


def entity_id(key: bytes, scope: str, type: str, name: str) -> str:  # noqa: A002 - the field's name in Span
    """Id of an entity within a scope: 128 bits as 32 hexadecimal digits.

    HMAC-SHA256 (RFC 2104) over (scope, type, folded name). One scope (a document, an owner, a matter) gives
    one entity one id however its name is spaced or capitalised; in two scopes the ids cannot be linked.

    The way back from an id to a name leads only through the vault, where the replacements of a document are
    sealed. Whoever holds `key` can confirm a guessed name, so it is guarded like the documents; without it
    an id tells nothing but that two mentions in one scope are the same entity.
    """
    message = b"".join(_prefixed(part) for part in ("lexveil/entity/v1", scope, type, fold(name)))
    return hmac.digest(key, message, "sha256").hex()[:32]


def fold(name: str) -> str:
    """Name without differences of width, case and spacing (compatibility caseless, Unicode section 3.13)."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return " ".join(folded.split())


def _prefixed(part: str) -> bytes:
    # Lengths keep ("ab", "c") and ("a", "bc") apart.
    encoded = part.encode()
    return len(encoded).to_bytes(4, "big") + encoded
