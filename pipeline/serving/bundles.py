"""Bundles: how blobs of ciphertexts travel. Pure, and light enough for a worker process.

A bundle is: `LXV1` | number of blobs (4 bytes, little-endian) | length (4 bytes) and content of each |
SHA-256 of all before (32 bytes).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence

_MAGIC = b"LXV1"
_COUNT = struct.Struct("<I")
_DIGEST_BYTES = 32


class WireError(ValueError):
    """A message is not one, or was damaged on the way. The text holds no content."""


def bundle(blobs: Sequence[bytes]) -> bytes:
    parts = [_MAGIC, _COUNT.pack(len(blobs))]
    for blob in blobs:
        parts += [_COUNT.pack(len(blob)), blob]
    content = b"".join(parts)
    return content + hashlib.sha256(content).digest()


def claimed_count(body: bytes) -> int:
    """How many blobs a bundle says it holds, before anything else of it is checked. Raises `WireError`."""
    if len(body) < len(_MAGIC) + _COUNT.size + _DIGEST_BYTES or not body.startswith(_MAGIC):
        raise WireError("not a bundle")
    return _COUNT.unpack_from(body, len(_MAGIC))[0]


def unbundle(body: bytes, max_count: int, max_bytes: int) -> list[bytes]:
    """The blobs of a bundle: 1 to `max_count` of at most `max_bytes` each. Raises `WireError`."""
    count = claimed_count(body)
    content, found = body[:-_DIGEST_BYTES], body[-_DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != found:
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
    """No bundle within these limits is longer."""
    return len(_MAGIC) + _COUNT.size + max_count * (_COUNT.size + max_bytes) + _DIGEST_BYTES
