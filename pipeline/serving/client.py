"""The key holder's side: features are encrypted here, and results are decrypted here.

`EncryptedClassifier.connect(url).classify(features)`. The secret key is made in this process and never leaves
it. Results are for the caller: hand on labels, never logits (`privacy.he.keys` says why).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import numpy as np
from anyio.from_thread import start_blocking_portal
from numpy.typing import NDArray
from pydantic import ValidationError

from pipeline.errors import ServingProblem
from pipeline.serving import wire_v1 as wire
from privacy.he.frames import Malformed
from privacy.he.keys import ClientKeys
from privacy.he.layout import rotation_steps
from privacy.he.parameters import Parameters

_TIMEOUT_SECONDS = 60.0
_MANIFEST_BYTES = 1 << 20
_FILE_BYTES = 1 << 30
_REPLY_BYTES = 1 << 20  # a ciphertext of a reply


class ServingError(ServingProblem):
    """The endpoint cannot be reached, refuses, or answers what the protocol does not allow.

    Codes: `unreachable`, `protocol`, `manifest`, `features`, or the code of the server's refusal.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Predictions:
    """What the features were classified as.

    labels: one a document. logits: shape (n, n_classes); they stay with the key holder. error_bound: largest
    absolute error of a logit that the server states for these features.
    """

    labels: list[str] = field(repr=False)
    logits: NDArray[np.float64] = field(repr=False)
    error_bound: float


@dataclass(frozen=True, slots=True)
class EncryptedCheck:
    """Encrypted against plain classification of the same features.

    agreement: share of documents with the same label. max_error: largest absolute error of a logit.
    """

    documents: int
    agreement: float
    max_error: float
    error_bound: float


class EncryptedClassifier:
    """A client of one endpoint. The manifest is fetched, and keys are made, at the first use.

    Not for several threads at once.
    """

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self._manifest: wire.Manifest | None = None
        self._keys: ClientKeys | None = None
        self._session: str | None = None

    @classmethod
    def connect(cls, url: str) -> EncryptedClassifier:
        """Client of the endpoint at `url`; raises `ServingError` when there is none to talk to."""
        client = cls(httpx.Client(base_url=url, timeout=_TIMEOUT_SECONDS))
        try:
            _ = client.manifest
        except BaseException:
            client.close()
            raise
        return client

    @classmethod
    def in_process(cls, app: Any) -> EncryptedClassifier:
        """Client of an ASGI application in this process, through the same messages."""
        return cls(httpx.Client(base_url="http://in-process", transport=InProcessTransport(app)))

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return "EncryptedClassifier(...)"

    @property
    def manifest(self) -> wire.Manifest:
        """What the server publishes, checked."""
        if self._manifest is None:
            content = self._request("GET", "/v1/manifest", max_bytes=_MANIFEST_BYTES)
            self._manifest = _checked_manifest(content)
        return self._manifest

    def classify(self, features: NDArray[np.floating]) -> Predictions:
        """Labels of documents by their features, which the server does not see. Shape: (n, n_features)."""
        manifest, keys = self.manifest, self._ready_keys()
        matrix = np.asarray(features, dtype=np.float64)
        norm = _checked_norm(matrix, manifest, keys.parameters)
        ciphertexts = keys.encrypt(matrix)
        per_request = manifest.ciphertexts_per_request
        replies: list[bytes] = []
        for start in range(0, len(ciphertexts), per_request):
            replies += self._classify(ciphertexts[start : start + per_request])
        try:
            logits = keys.decrypt(replies, len(matrix))
        except Malformed as error:
            raise ServingError("protocol", f"the server's answer was refused: {error}") from None
        labels = [manifest.labels[index] for index in logits.argmax(axis=1)]
        return Predictions(labels, logits, manifest.error_floor + manifest.error_slope * (1 + norm))

    def download_extractor(self, folder: Path) -> list[Path]:
        """Downloads the extractor whose features the head expects into `folder`; digests are checked."""
        paths: list[Path] = []
        for name in wire.EXTRACTOR_FILES:
            digest = self.manifest.extractor.get(name)
            if digest is None:
                continue
            content = self._request("GET", f"/v1/extractor/{name}", max_bytes=_FILE_BYTES)
            if hashlib.sha256(content).hexdigest() != digest:
                raise ServingError("protocol", f"{name} is not the file of the manifest")
            path = folder / name
            path.write_bytes(content)
            paths.append(path)
        return paths

    def _ready_keys(self) -> ClientKeys:
        if self._keys is None:
            self._keys = ClientKeys.generate(_parameters(self.manifest))
        return self._keys

    def _classify(self, ciphertexts: Sequence[bytes]) -> list[bytes]:
        body = wire.bundle(ciphertexts)
        try:
            return self._classify_once(body, len(ciphertexts))
        except ServingError as error:
            if error.code != "session":
                raise
        # The server forgot us: restarted, or the session ended.
        self._session = None
        return self._classify_once(body, len(ciphertexts))

    def _classify_once(self, body: bytes, count: int) -> list[bytes]:
        if self._session is None:
            self._session = self._open_session()
        limit = wire.max_bundle_bytes(count, _REPLY_BYTES)
        content = self._request("POST", f"/v1/sessions/{self._session}/classify", body, max_bytes=limit)
        try:
            replies = wire.unbundle(content, count, _REPLY_BYTES)
        except wire.WireError as error:
            raise ServingError("protocol", f"the server's answer was refused: {error}") from None
        if len(replies) != count:
            raise ServingError("protocol", "the server answered another number of ciphertexts")
        return replies

    def _open_session(self) -> str:
        body = wire.bundle([self._ready_keys().evaluation_keys()])
        content = self._request("POST", "/v1/sessions", body, max_bytes=_MANIFEST_BYTES)
        try:
            session = wire.SessionOpened.model_validate_json(content).session
        except ValidationError:
            raise ServingError("protocol", "the server opened no session") from None
        if not session.replace("-", "").replace("_", "").isalnum():
            raise ServingError("protocol", "the server opened no session")
        return session

    def _request(self, method: str, path: str, body: bytes | None = None, *, max_bytes: int) -> bytes:
        content = bytearray()
        try:
            with self._http.stream(method, path, content=body) as response:
                for chunk in response.iter_bytes():
                    content += chunk
                    if len(content) > max_bytes:
                        raise ServingError("protocol", "the server's answer is too long")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ServingError("unreachable", f"no answer ({type(error).__name__})") from None
        if response.is_success:
            return bytes(content)
        raise _refusal(response.status_code, bytes(content))


def encrypted_check(
    weight: NDArray[np.floating],
    bias: NDArray[np.floating],
    labels: Sequence[str],
    features: NDArray[np.floating],
) -> EncryptedCheck:
    """Classifies the features encrypted, through the endpoint's application, and plain; compares.

    weight: shape (n_features, n_classes). bias: shape (n_classes,). features: shape (n, n_features).
    Raises ValueError for a head that cannot be served, `ServingError` for features that cannot be sent.
    """
    from pipeline.serving.server import ServedHead, create_app

    with EncryptedClassifier.in_process(create_app(ServedHead(weight, bias, labels))) as client:
        predictions = client.classify(features)
    plain = np.asarray(features, np.float64) @ np.asarray(weight, np.float64) + np.asarray(bias, np.float64)
    same = plain.argmax(axis=1) == predictions.logits.argmax(axis=1)
    error = np.abs(plain - predictions.logits).max()
    return EncryptedCheck(len(features), float(same.mean()), float(error), predictions.error_bound)


class InProcessTransport(httpx.BaseTransport):
    """Runs an ASGI application in a thread of this process, for a synchronous client."""

    def __init__(self, app: Any) -> None:
        self._transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        self._context = start_blocking_portal()
        self._portal = self._context.__enter__()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()  # makes the body readable for both kinds of client
        return self._portal.call(self._send, request)

    async def _send(self, request: httpx.Request) -> httpx.Response:
        response = await self._transport.handle_async_request(request)
        content = await response.aread()
        return httpx.Response(response.status_code, headers=response.headers, content=content)

    def close(self) -> None:
        self._context.__exit__(None, None, None)


def _checked_manifest(content: bytes) -> wire.Manifest:
    try:
        manifest = wire.Manifest.model_validate_json(content)
        parameters = _parameters(manifest)
    except ValueError:
        raise ServingError(
            "manifest", "the manifest is not one, or names parameters we do not accept"
        ) from None
    consistent = (
        manifest.protocol == wire.PROTOCOL
        and manifest.steps == list(rotation_steps(parameters))
        and len(manifest.labels) == parameters.n_classes == len(set(manifest.labels))
    )
    if not consistent:
        raise ServingError("manifest", "the manifest contradicts itself or speaks another protocol")
    return manifest


def _parameters(manifest: wire.Manifest) -> Parameters:
    # Checked against our own table: a server cannot talk a client into weak parameters.
    return Parameters.from_json(json.dumps(manifest.parameters))


def _checked_norm(features: NDArray[np.float64], manifest: wire.Manifest, parameters: Parameters) -> float:
    if features.ndim != 2 or features.shape[1] != parameters.n_features or len(features) == 0:
        raise ServingError(
            "features", f"features must have shape (n, {parameters.n_features}), these have {features.shape}"
        )
    norm = float(np.linalg.norm(features, axis=1).max())
    if not norm <= manifest.feature_norm:  # also refuses what is not a number
        raise ServingError("features", f"features must be finite, of norm {manifest.feature_norm:g} at most")
    return norm


def _refusal(status: int, content: bytes) -> ServingError:
    try:
        refusal = wire.Refusal.model_validate_json(content)
    except ValidationError:
        return ServingError("protocol", f"the server answered with status {status}")
    # What a server says is printed by a command: one line, not longer than a sentence.
    message = " ".join(refusal.message.split())[:200]
    return ServingError(refusal.error[:40], f"the server refused ({status}): {message}")
