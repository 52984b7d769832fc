"""The messages between client and server.

    GET  /v1/manifest                 -> Manifest (JSON)
    GET  /v1/extractor/{file}         -> a file that the manifest names
    POST /v1/sessions                 evaluation keys -> SessionOpened (JSON)
    POST /v1/sessions/{id}/classify   ciphertexts -> ciphertexts, in the same order
    GET  /healthz                     -> {"status": "ok"}

Keys travel as a bundle of one blob, ciphertexts as one bundle. A bundle is: `LXV1` | number of blobs (4
bytes, little-endian) | length (4 bytes) and content of each | SHA-256 of all before (32 bytes). The digest
finds accidents, half of which would otherwise load and give wrong logits; against an attacker on the way
there is TLS.

A refusal is a 4xx or 5xx with a one-line JSON body, `Refusal`.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

PROTOCOL = 1
EXTRACTOR_FILES = ("config.json", "model.safetensors")
_MAGIC = b"LXV1"
_COUNT = struct.Struct("<I")
_DIGEST_BYTES = 32


class WireError(ValueError):
    """A bundle is not one, or was damaged on the way. The message holds no content."""


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Manifest(_Message):
    """What the server publishes before a client sends anything.

    parameters: `privacy.he.parameters.Parameters` as a record; the client takes them only if its own table
    gives the same. steps: rotations for which keys are needed. weights_sha256: of weight and bias, so that a
    changed head is noticed. extractor: SHA-256 of each downloadable file.
    feature_norm: features of a larger norm are not to be sent: their logits could wrap around.
    logit_bound: largest absolute logit within it. The error of a logit is at most
    error_floor + error_slope * (1 + norm of the features).
    """

    protocol: int
    model: str
    labels: list[str]
    parameters: dict[str, Any]
    steps: list[int]
    weights_sha256: str
    extractor: dict[str, str]
    feature_norm: float = Field(gt=0, allow_inf_nan=False)
    logit_bound: float = Field(gt=0, allow_inf_nan=False)
    error_floor: float = Field(ge=0, allow_inf_nan=False)
    error_slope: float = Field(ge=0, allow_inf_nan=False)
    ciphertexts_per_request: int = Field(gt=0)
    hides: list[str]
    does_not_hide: list[str]


class SessionOpened(_Message):
    """A session under which the server remembers evaluation keys, for `expires_in` seconds at most."""

    session: str
    expires_in: int


class Refusal(_Message):
    """Why a request was refused: a code for programs, a line for people."""

    error: str
    message: str


def bundle(blobs: Sequence[bytes]) -> bytes:
    parts = [_MAGIC, _COUNT.pack(len(blobs))]
    for blob in blobs:
        parts += [_COUNT.pack(len(blob)), blob]
    content = b"".join(parts)
    return content + hashlib.sha256(content).digest()


def unbundle(body: bytes, max_count: int, max_bytes: int) -> list[bytes]:
    """The blobs of a bundle: 1 to `max_count` of at most `max_bytes` each. Raises `WireError`."""
    content, digest = body[:-_DIGEST_BYTES], body[-_DIGEST_BYTES:]
    if len(content) < len(_MAGIC) + _COUNT.size or not content.startswith(_MAGIC):
        raise WireError("not a bundle")
    if hashlib.sha256(content).digest() != digest:
        raise WireError("the digest does not match: damaged on the way")
    (count,) = _COUNT.unpack_from(content, len(_MAGIC))
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
