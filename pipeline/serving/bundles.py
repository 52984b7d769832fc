"""Bundles: the encoding of several ciphertexts, or of keys, as one body. Light enough for a worker process.

A bundle is: `LXV1` | number of blobs (4 bytes, little-endian) | length (4 bytes) and content of each |
SHA-256 of everything before it (32 bytes).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence

_MAGIC = b"LXV1"
_COUNT = struct.Struct("<I")
_DIGEST_BYTES = 32


class WireError(ValueError):
    """A message is malformed, or was damaged in transit. The error's text contains none of it."""


def bundle(blobs: Sequence[bytes]) -> bytes:
    """Encode blobs as a bundle."""
    parts = [_MAGIC, _COUNT.pack(len(blobs))]
    for blob in blobs:
        parts += [_COUNT.pack(len(blob)), blob]
    content = b"".join(parts)
    return content + hashlib.sha256(content).digest()


def read_claimed_count(body: bytes) -> int:
    """Return the number of blobs that a bundle states, before anything else of it is checked.

    Raises:
        WireError: the body is not a bundle.
    """
    if len(body) < len(_MAGIC) + _COUNT.size + _DIGEST_BYTES or not body.startswith(_MAGIC):
        raise WireError("not a bundle")
    return _COUNT.unpack_from(body, len(_MAGIC))[0]


def unbundle(body: bytes, max_count: int, max_bytes: int) -> list[bytes]:
    """Decode the blobs of a bundle.

    Args:
        body: the bundle.
        max_count: number of blobs that it may contain; the least is 1.
        max_bytes: bytes that each of them may have.

    Raises:
        WireError: the body is not such a bundle.
    """
    count = read_claimed_count(body)
    content, digest = body[:-_DIGEST_BYTES], body[-_DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        raise WireError("the digest does not match: damaged on the way")
    if not 1 <= count <= max_count:
        raise WireError(f"a bundle here holds 1 to {max_count} blobs")
    blobs: list[bytes] = []
    position = len(_MAGIC) + _COUNT.size
    for _ in range(count):
        if position + _COUNT.size > len(content):
            raise WireError("the bundle is cut")
        (length,) = _COUNT.unpack_from(content, position)
        position += _COUNT.size
        if length > max_bytes or position + length > len(content):
            raise WireError("a blob is too long")
        blobs.append(content[position : position + length])
        position += length
    if position != len(content):
        raise WireError("the bundle is padded")
    return blobs


def max_bundle_bytes(max_count: int, max_bytes: int) -> int:
    """Return the length of the longest bundle within these limits, in bytes."""
    return len(_MAGIC) + _COUNT.size + max_count * (_COUNT.size + max_bytes) + _DIGEST_BYTES
