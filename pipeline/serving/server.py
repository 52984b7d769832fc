"""The classification endpoint. It sees ciphertexts and evaluation keys; no secret key, no feature, no logit.

What it guarantees and what not: `privacy.he.evaluate`, and `HIDES` and `DOES_NOT_HIDE`, which the manifest
publishes. Serve it behind TLS: encryption hides the features from anybody on the way too, but only TLS tells
a client which server it talks to.

Sessions lie in memory: a restart forgets them, and clients upload their keys again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import anyio
import numpy as np
from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from numpy.typing import NDArray
from starlette.exceptions import HTTPException

from pipeline.serving import wire_v1 as wire
from privacy.he.evaluate import LinearEvaluator
from privacy.he.frames import Malformed
from privacy.he.layout import rotation_steps
from privacy.he.parameters import Profile, choose

_log = logging.getLogger("lexveil.serving")

HIDES = ("the features and the result, from the server (Ring-LWE, 128 bits)",)
SEALED_HIDES = (
    "what a reply holds of the weights beside the logits, from a client that follows the protocol (masked, "
    "flooded, under fresh randomness)",
)
FAST_DOES_NOT_HIDE = ("partial sums of the weights between the outputs, from the client",)
DOES_NOT_HIDE = (
    "how many ciphertexts a client sends, and when",
    "the head, from a client that asks often: a linear head of d features is recovered from d+1 answers",
    "the secret key, from whoever is given decrypted logits: hand on labels only (IND-CPA-D)",
    "a wrong answer: the server is trusted to compute what it says",
)


@dataclass(frozen=True, slots=True)
class ServedHead:
    """The head to serve, and the public parts of the extractor that its features come from.

    weight: shape (n_features, n_classes), the transpose of `torch.nn.Linear.weight`. bias: shape
    (n_classes,). extractor_dir: folder with the files of `wire.EXTRACTOR_FILES` that clients may download:
    only an extractor trained under DP, or a public one. profile: `privacy.he.evaluate` says what each hides.
    """

    weight: NDArray[np.floating] = field(repr=False)
    bias: NDArray[np.floating] = field(repr=False)
    labels: Sequence[str]
    extractor_dir: Path | None = None
    model_name: str = "linear"
    profile: Profile = "sealed"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of the server callers can take."""

    sessions: int = 64
    session_seconds: int = 3600
    ciphertexts_per_request: int = 32
    evaluations_at_once: int = 2
    cached_keys: int = 8


class Classifier:
    """One function, `classify`, from public bytes to public bytes: what a worker process will run."""

    def __init__(self, head: ServedHead, limits: Limits) -> None:
        if len(set(head.labels)) != len(head.labels):
            raise ValueError("labels must differ from one another")
        weight = np.asarray(head.weight, dtype=np.float64)
        bias = np.asarray(head.bias, dtype=np.float64)
        self.parameters = choose(int(weight.shape[0]), len(head.labels), profile=head.profile)
        self.evaluator = LinearEvaluator(self.parameters, weight, bias)
        self.weights_sha256 = hashlib.sha256(weight.tobytes() + bias.tobytes()).hexdigest()
        # Loading a client's keys takes about as long as an evaluation: keep those of the busiest.
        self.load_keys = lru_cache(maxsize=limits.cached_keys)(self.evaluator.load_keys)

    def classify(self, keys: bytes, ciphertexts: Sequence[bytes]) -> list[bytes]:
        """Encrypted logits of each ciphertext, in order. Raises `Malformed`."""
        loaded = self.load_keys(keys)
        return [self.evaluator.evaluate(ciphertext, loaded) for ciphertext in ciphertexts]


class _Sessions:
    """Evaluation keys by session: random ids, a time to live, a cap."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._entries: dict[str, tuple[float, bytes]] = {}

    def has_room(self) -> bool:
        now = time.monotonic()
        self._entries = {name: entry for name, entry in self._entries.items() if entry[0] > now}
        return len(self._entries) < self._limits.sessions

    def open(self, keys: bytes) -> str:
        session = secrets.token_urlsafe(32)
        self._entries[session] = (time.monotonic() + self._limits.session_seconds, keys)
        return session

    def keys(self, session: str) -> bytes:
        expires, keys = self._entries.get(session, (0.0, b""))
        if expires <= time.monotonic():
            self._entries.pop(session, None)
            raise _Refused(404, "session", "unknown or expired session: upload the evaluation keys again")
        return keys


class _Refused(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


def create_app(head: ServedHead, limits: Limits | None = None) -> FastAPI:
    """The ASGI application. Raises ValueError (`ShapeRefused`, `HeadRefused`) for a head it cannot serve."""
    limits = limits or Limits()
    classifier = Classifier(head, limits)
    evaluator = classifier.evaluator
    sessions = _Sessions(limits)
    manifest = _manifest(head, classifier, limits)
    evaluations = anyio.CapacityLimiter(limits.evaluations_at_once)
    app = FastAPI(title="Lexveil encrypted classification", docs_url=None, redoc_url=None)
    _add_refusals(app)

    @app.get("/healthz")
    def healthz() -> dict[str, str]:  # pyright: ignore[reportUnusedFunction]
        return {"status": "ok"}

    @app.get("/v1/manifest")
    def get_manifest() -> wire.Manifest:  # pyright: ignore[reportUnusedFunction]
        return manifest

    @app.get("/v1/extractor/{file}")
    def get_extractor(file: str) -> FileResponse:  # pyright: ignore[reportUnusedFunction]
        if head.extractor_dir is None or file not in manifest.extractor:
            raise _Refused(404, "file", "the manifest names no such file")
        return FileResponse(head.extractor_dir / file, media_type="application/octet-stream")

    @app.post("/v1/sessions", status_code=201)
    async def open_session(request: Request) -> wire.SessionOpened:  # pyright: ignore[reportUnusedFunction]
        if not sessions.has_room():
            raise _Refused(503, "busy", "too many sessions are open: try again later")
        (keys,) = await _read_bundle(request, 1, evaluator.max_keys_bytes)
        await anyio.to_thread.run_sync(classifier.load_keys, keys, limiter=evaluations)
        if not sessions.has_room():  # others came while these keys were checked
            raise _Refused(503, "busy", "too many sessions are open: try again later")
        return wire.SessionOpened(session=sessions.open(keys), expires_in=limits.session_seconds)

    @app.post("/v1/sessions/{session}/classify")
    async def classify(session: str, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        keys = sessions.keys(session)
        ciphertexts = await _read_bundle(
            request, limits.ciphertexts_per_request, evaluator.max_ciphertext_bytes
        )
        replies = await anyio.to_thread.run_sync(classifier.classify, keys, ciphertexts, limiter=evaluations)
        return Response(wire.bundle(replies), media_type="application/octet-stream")

    return app


def _manifest(head: ServedHead, classifier: Classifier, limits: Limits) -> wire.Manifest:
    evaluator, parameters = classifier.evaluator, classifier.parameters
    sealed = parameters.profile == "sealed"
    folder = head.extractor_dir
    files = [] if folder is None else [name for name in wire.EXTRACTOR_FILES if (folder / name).is_file()]
    return wire.Manifest(
        protocol=wire.PROTOCOL,
        model=head.model_name,
        labels=list(head.labels),
        parameters=json.loads(parameters.to_json()),
        steps=list(rotation_steps(parameters)),
        weights_sha256=classifier.weights_sha256,
        extractor={name: _file_sha256(folder / name) for name in files} if folder else {},
        feature_norm=evaluator.feature_norm,
        logit_bound=evaluator.logit_bound,
        error_floor=evaluator.error_floor,
        error_slope=evaluator.error_slope,
        ciphertexts_per_request=limits.ciphertexts_per_request,
        hides=[*HIDES, *(SEALED_HIDES if sealed else ())],
        does_not_hide=[*DOES_NOT_HIDE, *(() if sealed else FAST_DOES_NOT_HIDE)],
    )


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def _read_bundle(request: Request, max_count: int, max_bytes: int) -> list[bytes]:
    limit = wire.max_bundle_bytes(max_count, max_bytes)
    body = bytearray()
    # Counted while it comes in: Content-Length may be absent, or wrong.
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise _Refused(413, "too_large", f"the body is longer than {limit} bytes")
    return wire.unbundle(bytes(body), max_count, max_bytes)


def _add_refusals(app: FastAPI) -> None:
    """Every refusal is one line of JSON; every request is logged by route, status, size and time alone."""

    def refusal(status: int, code: str, message: str) -> JSONResponse:
        headers = {"Retry-After": "30"} if status == 503 else None
        return JSONResponse(wire.Refusal(error=code, message=message).model_dump(), status, headers)

    def answer(request: Request, error: Exception) -> Response:
        match error:
            case _Refused():
                return refusal(error.status, error.code, str(error))
            case wire.WireError():
                return refusal(400, "bundle", str(error))
            case Malformed():
                return refusal(422, "malformed", str(error))
            case HTTPException():
                return refusal(error.status_code, "http", str(error.detail))
            case _:
                return refusal(500, "internal", "the server failed")

    for kind in (_Refused, wire.WireError, Malformed, HTTPException, Exception):
        app.add_exception_handler(kind, answer)

    @app.middleware("http")
    async def log(  # pyright: ignore[reportUnusedFunction]
        request: Request, proceed: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        start = time.monotonic()
        response = await proceed(request)
        # The route, not the path: the path holds the session.
        route = getattr(request.scope.get("route"), "path", "unknown")
        milliseconds = 1000 * (time.monotonic() - start)
        _log.info("%s %s %d %.0f ms", request.method, route, response.status_code, milliseconds)
        return response


def serve(head: ServedHead, host: str, port: int, limits: Limits | None = None) -> None:
    """Runs the endpoint until it is interrupted."""
    import uvicorn

    # uvicorn's own access log would hold the sessions.
    uvicorn.run(create_app(head, limits), host=host, port=port, access_log=False, server_header=False)
