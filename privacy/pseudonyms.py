"""Keyed, consistent pseudonyms: they link the mentions of an entity without revealing its name."""

from __future__ import annotations

import hmac
import unicodedata


def surrogate_seed(key: bytes, scope: str, type: str, name: str, attempt: int) -> int:  # noqa: A002
    """Return a number below 2^128 to draw an entity's surrogate by, the same for every spelling of its name.

    HMAC-SHA256 (RFC 2104) over (scope, type, folded name, attempt). Within one scope (a document, an owner, a
    matter) an entity has one seed however its name is spaced or capitalized; seeds of two scopes cannot be
    linked.

    Args:
        key: Secret key. Whoever holds it can confirm a guessed name, so it is protected like the documents.
        scope: Where equal names mean the same entity.
        type: Type of the entity.
        name: Name in any spelling.
        attempt: Number of the draw: an entity gets another one if a surrogate is taken.

    Formal guarantee:
        If HMAC-SHA256 is a pseudo-random function, a surrogate reveals nothing about the name to anyone
        without `key`.
    """
    digest = _compute_hmac(key, "lexveil/surrogate/v1", scope, type, fold_name(name), str(attempt))
    return int.from_bytes(digest[:16])


def fold_name(name: str) -> str:
    """Return a name without differences of width, case and spacing.

    Compatibility caseless matching (Unicode section 3.13).
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return " ".join(folded.split())


def _compute_hmac(key: bytes, *parts: str) -> bytes:
    return hmac.digest(key, b"".join(_prefix_length(part) for part in parts), "sha256")


def _prefix_length(part: str) -> bytes:
    # Lengths distinguish ("ab", "c") from ("a", "bc"). A text may contain half of a surrogate pair.
    encoded = part.encode("utf-8", "surrogatepass")
    return len(encoded).to_bytes(4, "big") + encoded
