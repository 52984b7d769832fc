"""The messages between client and server, protocol 2.

    GET    /v1/manifest                        -> SignedManifest (JSON)
    GET    /v1/extractor/{file}                -> a file that the manifest names
    POST   /v1/sessions?layout=block|slot      evaluation keys -> SessionOpened (JSON)
    POST   /v1/sessions/{id}/classify          ciphertexts -> ciphertexts, in the same order
    DELETE /v1/sessions/{id}                   the server forgets the keys
    GET    /healthz, /readyz, /metrics, /docs, /openapi.json

Who asks says so by `Authorization: Bearer API_KEY`, where the server has issued keys.

Keys travel as a bundle (`lexveil.pipeline.serving.bundles`) of one blob, which is empty where the layout uses
no key; ciphertexts as one bundle. Every body is sent with its Content-Length and `X-Request-Digest:
sha256=HEX`; the
reply to it carries `X-Reply-Digest`, which `reply_digest` binds to the request: an answer to another request
is found out. These digests find accidents (half of the bit flips in a ciphertext would otherwise load and
give wrong logits) and mixed-up answers; against an attacker on the way there is TLS.

A refusal is a 4xx or 5xx with a one-line JSON body, `Refusal`. With 429 and 503 comes `Retry-After`, in
seconds.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import Any, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lexveil.pipeline.serving.bundles import WireError, bundle, max_bundle_bytes, unbundle

__all__ = ["WireError", "bundle", "max_bundle_bytes", "unbundle"]

PROTOCOL = 2
LayoutName = Literal["block", "slot"]
EXTRACTOR_FILES = ("config.json", "model.safetensors")
REQUEST_DIGEST = "X-Request-Digest"
REPLY_DIGEST = "X-Reply-Digest"

_MANIFEST_CONTEXT = b"lexveil manifest 2\n"


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Layout(_Message):
    """One way to pack documents into ciphertexts, and what is true of its answers.

    parameters: `lexveil.privacy.he.parameters.Parameters` as a record; the client takes them only if its own
    table gives the same. reason: why these. steps: rotations for which keys are needed.
    feature_norm: features of a larger norm are not to be sent: their logits could wrap around. The error of a
    logit is at most error_floor + error_slope * (1 + norm of the features).
    ciphertexts_per_request: most blobs a request may hold; a blob is what `ClientKeys.encrypt` gives.
    """

    parameters: dict[str, Any]
    reason: str
    steps: list[int]
    feature_norm: float = Field(gt=0, allow_inf_nan=False)
    error_floor: float = Field(ge=0, allow_inf_nan=False)
    error_slope: float = Field(ge=0, allow_inf_nan=False)
    ciphertexts_per_request: int = Field(gt=0)


class Probes(_Message):
    """Known answers: logits that the served head gives for public features of norm 1, so that the signature
    holds the server to them. Made by `lexveil.privacy.he.probes.known_answers`; `rounding` is what it rounded
    by.
    """

    seed: str = Field(min_length=16, max_length=128)
    answers: list[list[float]] = Field(min_length=1, max_length=64)
    rounding: float = Field(ge=0, allow_inf_nan=False)


class Manifest(_Message):
    """What the server publishes before a client sends anything.

    extractor: SHA-256 of each downloadable file. hides, does_not_hide: of the profile, for people. issued_at:
    ISO 8601, UTC. weights_commitment: a digest of the weights under a salt that only the server has; it
    changes when the weights do, and tells nobody which they are. session_seconds: a session's time to live.
    """

    protocol: Literal[2]
    model: str
    labels: list[str]
    extractor: dict[str, str]
    profile: Literal["sealed", "fast"]
    hides: list[str]
    does_not_hide: list[str]
    layouts: dict[LayoutName, Layout] = Field(min_length=1)
    issued_at: str
    weights_commitment: str = Field(pattern=r"^[0-9a-f]{64}$")
    session_seconds: int = Field(gt=0)
    probes: Probes | None = None


class SignedManifest(_Message):
    """manifest: the very JSON that was signed. public_key, signature: Ed25519 (RFC 8032), base64.

    A client that knows the server's public key pins it; without that, the signature says only that a later
    manifest comes from the same server.
    """

    manifest: str
    public_key: str
    signature: str

    @classmethod
    def of(cls, manifest: Manifest, key: Ed25519PrivateKey) -> SignedManifest:
        """The manifest as canonical JSON, signed."""
        record = manifest.model_dump(mode="json")
        text = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        signature = key.sign(_MANIFEST_CONTEXT + text.encode())
        return cls(
            manifest=text,
            public_key=base64.b64encode(key.public_key().public_bytes_raw()).decode(),
            signature=base64.b64encode(signature).decode(),
        )

    def verified(self, pinned: str | None = None) -> Manifest:
        """The manifest, if the signature is right and the public key (base64) is the pinned one.

        Raises `WireError`.
        """
        if pinned is not None and self.public_key != pinned:
            raise WireError("the server's public key is not the pinned one")
        try:
            key = Ed25519PublicKey.from_public_bytes(base64.b64decode(self.public_key, validate=True))
            signature = base64.b64decode(self.signature, validate=True)
            key.verify(signature, _MANIFEST_CONTEXT + self.manifest.encode())
            return Manifest.model_validate_json(self.manifest)
        except (InvalidSignature, binascii.Error, ValidationError, ValueError):
            raise WireError("the manifest is not one, or its signature is wrong") from None


class SessionOpened(_Message):
    """A session under which the server remembers evaluation keys. expires_at: ISO 8601, UTC."""

    session: str = Field(pattern=r"^[A-Za-z0-9_-]{16,128}$")
    expires_at: str


class Refusal(_Message):
    """Why a request was refused: a code for programs, a line for people."""

    error: str
    message: str


def digest(body: bytes) -> str:
    """What stands in the header `X-Request-Digest`."""
    return "sha256=" + hashlib.sha256(body).hexdigest()


def reply_digest(request_digest: str, body: bytes) -> str:
    """What stands in `X-Reply-Digest`: of the reply's body, bound to the digest of the request."""
    return "sha256=" + hashlib.sha256(request_digest.encode() + b"\n" + body).hexdigest()
