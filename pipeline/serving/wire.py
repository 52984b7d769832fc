"""The messages between client and server, protocol 3.

    GET    /v1/manifest                        -> SignedManifest (JSON)
    GET    /v1/extractor/{file}?manifest=      -> a file that the manifest names
    POST   /v1/sessions?manifest=&layout=block|slot   evaluation keys -> SessionOpened (JSON)
    POST   /v1/sessions/{id}/classify?manifest=       ciphertexts -> ciphertexts, in the same order
    DELETE /v1/sessions/{id}                   the server forgets the keys
    GET    /healthz, /readyz, /metrics, /docs, /openapi.json

Callers authenticate by `Authorization: Bearer API_KEY` if the server has issued keys.

`manifest` is the digest of the manifest that the client acts on (`name_manifest`). If that manifest's head is
no longer served, the server refuses with 409, and the client reads the manifest again. Without it, the newest
is meant.

Keys are sent as a bundle (`lexveil.pipeline.serving.bundles`) of one blob, which is empty if the layout uses
no key; the ciphertexts of a request are sent as one bundle. Every body is sent with its Content-Length and
`X-Request-Digest: sha256=HEX`. The reply to it has the header `X-Reply-Digest`, which `compute_reply_digest`
binds to the request, so that a client detects the answer to another request. These digests detect accidents
(half of the bit flips in a ciphertext would otherwise load and give wrong logits) and mixed-up answers;
against an attacker between client and server there is TLS.

A refusal is a 4xx or 5xx with a one-line JSON body, `Refusal`. 429 and 503 have the header `Retry-After`, in
seconds.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import Annotated, Any, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lexveil.pipeline.serving.bundles import WireError, bundle, max_bundle_bytes, unbundle

__all__ = ["WireError", "bundle", "max_bundle_bytes", "unbundle"]

PROTOCOL = 3
LayoutName = Literal["block", "slot"]
# masking.json says how the texts of the training were masked; models of earlier versions lack it.
EXTRACTOR_FILES = ("config.json", "model.safetensors", "masking.json")
REQUEST_DIGEST = "X-Request-Digest"
REPLY_DIGEST = "X-Reply-Digest"

_MANIFEST_CONTEXT = b"lexveil manifest 3\n"


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Layout(_Message):
    """A way to pack documents into ciphertexts, and the bounds of its answers.

    The error of a logit is at most error_floor + error_slope * (1 + norm of the features).

    Attributes:
        parameters: `lexveil.privacy.he.parameters.Parameters` as a record. The client accepts them only if
            its own table contains the same.
        reason: why these parameters were chosen.
        steps: rotations for which keys are needed.
        feature_norm: largest norm of features that may be sent; logits of larger ones could wrap around.
        error_floor: see above.
        error_slope: see above.
        ciphertexts_per_request: number of blobs that a request may contain; a blob is what
            `ClientKeys.encrypt` returns.
    """

    parameters: dict[str, Any]
    reason: str
    steps: list[int]
    feature_norm: float = Field(gt=0, allow_inf_nan=False)
    error_floor: float = Field(ge=0, allow_inf_nan=False)
    error_slope: float = Field(ge=0, allow_inf_nan=False)
    ciphertexts_per_request: int = Field(gt=0)


class Probes(_Message):
    """Known answers: logits of the served head for public features of norm 1.

    The signature commits the server to them.

    Attributes:
        seed: seed of the features.
        answers: logits of each of them, by `lexveil.privacy.he.probes.known_answers`.
        rounding: largest error of the answers by rounding.
    """

    seed: str = Field(min_length=16, max_length=128)
    answers: list[list[float]] = Field(min_length=1, max_length=64)
    rounding: float = Field(ge=0, allow_inf_nan=False)


class ServerManifest(_Message):
    """What the server publishes before a client sends anything.

    Attributes:
        protocol: version of the protocol.
        model: name of the model.
        labels: label of each class.
        extractor: SHA-256 of each file that clients may download, by name.
        profile: profile of the head.
        hides: what the profile hides, for people.
        does_not_hide: what the profile does not hide, for people.
        layouts: the layouts, by name.
        issued_at: ISO 8601, UTC.
        weights_commitment: digest of the weights under a salt that only the server knows. It changes when the
            weights do, and reveals nothing else about them.
        session_seconds: lifetime of a session.
        probes: known answers.
    """

    protocol: Literal[3]
    model: str
    labels: list[str]
    extractor: dict[str, Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]]
    profile: Literal["sealed", "fast"]
    hides: list[str]
    does_not_hide: list[str]
    layouts: dict[LayoutName, Layout] = Field(min_length=1)
    issued_at: str
    weights_commitment: str = Field(pattern=r"^[0-9a-f]{64}$")
    session_seconds: int = Field(gt=0)
    probes: Probes | None = None


# The docstrings of the classes below are descriptions in the published /openapi.json.
class SignedManifest(_Message):
    """manifest: the very JSON that was signed. public_key, signature: Ed25519 (RFC 8032), base64.

    A client that knows the server's public key pins it; without that, the signature says only that a later
    manifest comes from the same server.
    """

    manifest: str
    public_key: str
    signature: str

    @classmethod
    def sign(cls, manifest: ServerManifest, key: Ed25519PrivateKey) -> SignedManifest:
        """Sign a manifest as canonical JSON."""
        record = manifest.model_dump(mode="json")
        text = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        signature = key.sign(_MANIFEST_CONTEXT + text.encode())
        return cls(
            manifest=text,
            public_key=base64.b64encode(key.public_key().public_bytes_raw()).decode(),
            signature=base64.b64encode(signature).decode(),
        )

    def verify(self, pinned: str | None = None) -> ServerManifest:
        """Return the manifest if its signature is valid.

        Args:
            pinned: the only accepted public key, base64; None: any.

        Raises:
            WireError: the signature or the manifest is not valid, the public key is another one, or the
                server speaks another protocol.
        """
        self._require_protocol()
        if pinned is not None and self.public_key != pinned:
            raise WireError("the server's public key is not the pinned one")
        try:
            key = Ed25519PublicKey.from_public_bytes(base64.b64decode(self.public_key, validate=True))
            signature = base64.b64decode(self.signature, validate=True)
            key.verify(signature, _MANIFEST_CONTEXT + self.manifest.encode())
            return ServerManifest.model_validate_json(self.manifest)
        except (InvalidSignature, binascii.Error, ValidationError, ValueError):
            raise WireError("the manifest is not valid, or its signature is wrong") from None

    def _require_protocol(self) -> None:
        """Refuse another version of the protocol by its name, not as a wrong signature."""
        try:
            spoken = json.loads(self.manifest)["protocol"]
        except (ValueError, KeyError, TypeError):
            raise WireError("the manifest is not valid, or its signature is wrong") from None
        if spoken != PROTOCOL:
            named = spoken if isinstance(spoken, int) else "another version"
            raise WireError(
                f"the server speaks protocol {named}, this client {PROTOCOL}: "
                "use one version of Lexveil on both"
            )


class SessionOpened(_Message):
    """A session under which the server remembers evaluation keys. expires_at: ISO 8601, UTC."""

    session: str = Field(pattern=r"^[A-Za-z0-9_-]{16,128}$")
    expires_at: str


class Refusal(_Message):
    """Why a request was refused: a code for programs, a line for people."""

    error: str
    message: str


def name_manifest(text: str) -> str:
    """Return the digest by which requests name the manifest that they act on: of the JSON that was signed."""
    return hashlib.sha256(text.encode()).hexdigest()


def compute_digest(body: bytes) -> str:
    """Return the value of the header `X-Request-Digest`."""
    return "sha256=" + hashlib.sha256(body).hexdigest()


def compute_reply_digest(request_digest: str, body: bytes) -> str:
    """Return the value of the header `X-Reply-Digest`: of a reply's body, bound to the request's digest."""
    return "sha256=" + hashlib.sha256(request_digest.encode() + b"\n" + body).hexdigest()
