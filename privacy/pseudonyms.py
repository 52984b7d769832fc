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
    return _keyed(key, "lexveil/entity/v1", scope, type, fold_name(name)).hex()[:32]


def surrogate_seed(key: bytes, scope: str, type: str, name: str, attempt: int) -> int:  # noqa: A002
    """A number below 2^128 to draw an entity's surrogate by, the same for every spelling of its name.

    HMAC-SHA256 over (scope, type, folded name, attempt), under another label than `entity_id`: an id that
    became known tells nothing of the surrogate, and a surrogate nothing of the name to anybody without
    `key`. `attempt` gives an entity further draws where one is taken.
    """
    digest = _keyed(key, "lexveil/surrogate/v1", scope, type, fold_name(name), str(attempt))
    return int.from_bytes(digest[:16])


def fold_name(name: str) -> str:
    """Name without differences of width, case and spacing (compatibility caseless, Unicode section 3.13)."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return " ".join(folded.split())


def _keyed(key: bytes, *parts: str) -> bytes:
    return hmac.digest(key, b"".join(_prefixed(part) for part in parts), "sha256")


def _prefixed(part: str) -> bytes:
    # Lengths keep ("ab", "c") and ("a", "bc") apart. A text may hold half of a surrogate pair.
    encoded = part.encode("utf-8", "surrogatepass")
    return len(encoded).to_bytes(4, "big") + encoded
