"""The endpoint as an ASGI application. It sees ciphertexts and evaluation keys; no feature, no secret key.

What it guarantees and what not: `lexveil.privacy.he.evaluate`, docs/threat-model.md, and `HIDES` and
`DOES_NOT_HIDE`, which the manifest publishes. Serve it behind TLS: encryption hides the features from anybody
on the way too,
but only TLS tells a client which server it talks to.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException

from lexveil.pipeline.serving import bundles, wire
from lexveil.pipeline.serving.server.access import (
    Access,
    ApiKeys,
    OverQuota,
    QuotaLimits,
    Quotas,
    Unauthorized,
)
from lexveil.pipeline.serving.server.guard import Bodies, BodyLimits, Guard, RequestRefused
from lexveil.pipeline.serving.server.metrics import Metrics
from lexveil.pipeline.serving.server.openapi import DESCRIBED, page
from lexveil.pipeline.serving.server.pool import (
    Busy,
    Evaluating,
    InProcess,
    Killed,
    Unavailable,
    WorkerLimits,
    WorkerPool,
)
from lexveil.pipeline.serving.server.sessions import Full, NoSuchSession, SessionLimits, Sessions
from lexveil.pipeline.serving.server.state import State
from lexveil.pipeline.serving.server.worker import Evaluators, Refused
from lexveil.privacy.he import probes, served_model
from lexveil.privacy.he.evaluate import Evaluator
from lexveil.privacy.he.layout import rotation_steps
from lexveil.privacy.he.served_model import ServedModel

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
    "a wrong answer: a client's probes find a server with another head, not every wrong answer",
)
_PURGE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Offer:
    """What an endpoint offers.

    extractor_dir: folder with the files of `wire.EXTRACTOR_FILES` that clients may download: only an
    extractor trained under DP, or a public one.
    """

    model: ServedModel
    labels: Sequence[str]
    name: str = "linear"
    extractor_dir: Path | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of the server callers can take.

    ciphertexts_per_request: of the `block` layout; one of the `slot` layout is thousands of documents.
    """

    ciphertexts_per_request: int = 32
    sessions: SessionLimits = field(default_factory=SessionLimits)
    quotas: QuotaLimits = field(default_factory=QuotaLimits)
    bodies: BodyLimits = field(default_factory=BodyLimits)
    workers: WorkerLimits = field(default_factory=WorkerLimits)


@dataclass(frozen=True, slots=True)
class _Served:
    """One layout, without its encoded weights."""

    most: int
    keys_bytes: int
    request_bytes: int
    slots: int

    @classmethod
    def of(cls, evaluator: Evaluator, most: int) -> _Served:
        keys = wire.max_bundle_bytes(1, evaluator.max_keys_bytes)
        request = wire.max_bundle_bytes(most, evaluator.max_ciphertext_bytes)
        return cls(most, keys, request, evaluator.parameters.documents_per_ciphertext)


def create_app(
    offer: Offer,
    limits: Limits | None = None,
    *,
    state: State | None = None,
    processes: bool = False,
) -> FastAPI:
    """The application. Raises ValueError (`ShapeRefusedError`, `HeadRefusedError`) for a head it cannot serve.

    Without `state` it forgets everything with this process, and every caller is this process. processes:
    evaluate in worker processes, which the application's lifespan starts and ends.
    """
    limits = limits or Limits()
    place = state or State.temporary()
    access = Access(ApiKeys(place.folder), in_process=state is None)
    return _Endpoint(offer, limits, place, access, processes).app


class _Endpoint:
    """The parts, and the routes that join them."""

    def __init__(self, offer: Offer, limits: Limits, state: State, access: Access, processes: bool) -> None:
        if len(set(offer.labels)) != len(offer.labels) or len(offer.labels) != offer.model.head.n_classes:
            raise ValueError("labels must differ from one another, one for each class")
        evaluators: Evaluators = served_model.build_evaluators(offer.model)
        manifest = _manifest(offer, limits, state, evaluators)
        most = {name: layout.ciphertexts_per_request for name, layout in manifest.layouts.items()}
        self.offer, self.manifest, self.access = offer, manifest, access
        self.signed = wire.SignedManifest.of(manifest, state.signing_key)
        self.served = {name: _Served.of(evaluators[name], most[name]) for name in manifest.layouts}
        self.metrics = Metrics()
        self.bodies = Bodies(limits.bodies)
        largest = max(layout.most * layout.slots for layout in self.served.values())
        self.quotas = Quotas(state.database, limits.quotas, largest)
        self.sessions = Sessions(state, limits.sessions, _head_digest(manifest))
        self.state = state
        self.evaluations: Evaluating = InProcess(evaluators, limits.workers.cached_keys)
        self.pool: WorkerPool | None = None
        if processes:
            factory = functools.partial(served_model.build_evaluators, offer.model)
            self.pool = WorkerPool(factory, limits.workers, self.metrics.deaths.inc)
            self.evaluations = self.pool
        self.metrics.watch(self.evaluations.state, self.sessions.usage)
        self.app = self._fastapi()

    def _fastapi(self) -> FastAPI:
        app = FastAPI(
            title="Lexveil encrypted classification",
            version=str(wire.PROTOCOL),
            description="Classifies encrypted features; the server sees neither them nor the result.",
            docs_url=None,  # they load scripts from elsewhere
            redoc_url=None,
            lifespan=self._lifespan,
        )
        add = app.add_api_route
        add("/healthz", self.healthz, **DESCRIBED["healthz"])
        add("/readyz", self.readyz, **DESCRIBED["readyz"])
        add("/metrics", self.read_metrics, **DESCRIBED["metrics"])
        add("/docs", lambda: HTMLResponse(page(app.openapi())), include_in_schema=False)
        add("/v1/manifest", self.get_manifest, **DESCRIBED["manifest"])
        add("/v1/extractor/{file}", self.get_extractor, **DESCRIBED["extractor"])
        add("/v1/sessions", self.open_session, methods=["POST"], **DESCRIBED["open"])
        add("/v1/sessions/{session}/classify", self.classify, methods=["POST"], **DESCRIBED["classify"])
        add("/v1/sessions/{session}", self.close_session, methods=["DELETE"], **DESCRIBED["close"])
        for kind in (*_REFUSALS, RequestRefused, Refused, HTTPException, RequestValidationError):
            app.add_exception_handler(kind, _answer)
        app.add_middleware(Guard, metrics=self.metrics)
        return app

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncGenerator[None, None]:
        async def purge() -> None:
            while True:
                await asyncio.sleep(_PURGE_SECONDS)
                self.sessions.purge()

        if self.pool is not None:
            await self.pool.start()
        task = asyncio.create_task(purge())
        try:
            yield
        finally:
            task.cancel()
            if self.pool is not None:
                await self.pool.close()

    async def healthz(self) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    async def readyz(self) -> JSONResponse:
        ready = self.evaluations.state().ready
        return JSONResponse({"status": "ready" if ready else "no worker"}, 200 if ready else 503)

    async def read_metrics(self, request: Request) -> Response:
        if not self.access.may_read_metrics(request.headers, _peer(request)):
            raise Unauthorized
        return Response(self.metrics.text(), media_type="text/plain; version=0.0.4")

    async def get_manifest(self, request: Request) -> wire.SignedManifest:
        self._tenant(request)
        return self.signed

    async def get_extractor(self, request: Request, file: str) -> FileResponse:
        self._tenant(request)
        if self.offer.extractor_dir is None or file not in self.manifest.extractor:
            raise RequestRefused(404, "file", "the manifest names no such file")
        return FileResponse(self.offer.extractor_dir / file, media_type="application/octet-stream")

    async def open_session(self, request: Request, layout: wire.LayoutName = "block") -> Response:
        tenant = self._tenant(request)
        offered = self.served.get(layout)
        if offered is None:
            raise RequestRefused(404, "layout", "the manifest names no such layout")
        with self.quotas.request(tenant):
            body = await self.bodies.read(request.headers, request.receive, offered.keys_bytes)
            await self._evaluated({"layout": layout, "max_count": 1}, body, tenant)
            session, expires = await self.sessions.open(tenant, layout, body)
        expires_at = datetime.fromtimestamp(expires, UTC).isoformat(timespec="seconds")
        opened = wire.SessionOpened(session=session, expires_at=expires_at)
        return _bound(body, opened.model_dump_json().encode(), "application/json", 201)

    async def classify(self, request: Request, session: str) -> Response:
        tenant = self._tenant(request)
        with self.quotas.request(tenant):
            found = self.sessions.find(session, tenant)
            offered = self.served[found.layout]  # pyright: ignore[reportArgumentType]
            body = await self.bodies.read(request.headers, request.receive, offered.request_bytes)
            count = bundles.claimed_count(body)
            if not 1 <= count <= offered.most:
                raise bundles.WireError(f"a bundle here holds 1 to {offered.most} blobs")
            slots = count * offered.slots
            self.quotas.charge(tenant, slots)
            head = {
                "layout": found.layout,
                "max_count": offered.most,
                "session": found.name,
                "keys": str(found.keys),
                "keys_sha256": found.keys_sha256,
            }
            try:
                reply = await self._evaluated(head, body, tenant)
            except (Busy, Unavailable):
                self.quotas.refund(tenant, slots)
                raise
        self.metrics.slots.labels(tenant).inc(slots)
        return _bound(body, reply, "application/octet-stream", 200)

    async def close_session(self, request: Request, session: str) -> Response:
        self.sessions.close(session, self._tenant(request))
        return Response(status_code=204)

    async def _evaluated(self, head: dict[str, Any], body: bytes, tenant: str) -> bytes:
        # With the session: a body that is another's killer must not be refused to who has sound keys.
        name = hashlib.sha256(json.dumps(head).encode() + hashlib.sha256(body).digest()).hexdigest()
        try:
            return await self.evaluations.answer(head, body, name)
        except Killed as error:
            if error.first:
                self.metrics.killers.inc()
                self.quotas.strike(tenant)
            raise

    def _tenant(self, request: Request) -> str:
        tenant = self.access.tenant(request.headers, _peer(request))
        request.scope.setdefault("lexveil", {})["tenant"] = tenant
        return tenant


_REFUSALS: dict[type[Exception], tuple[int, str, str]] = {
    bundles.WireError: (400, "bundle", ""),
    Unauthorized: (401, "unauthorized", "an API key is needed: Authorization: Bearer lxv_..."),
    NoSuchSession: (404, "session", "unknown or expired session: upload the evaluation keys again"),
    Killed: (422, "killed", "this request ended its worker twice and is not tried again"),
    OverQuota: (429, "quota", ""),
    Full: (429, "sessions", "too many sessions are open: close one, or try again later"),
    Busy: (503, "busy", "the server is busy: try again later"),
    Unavailable: (503, "busy", "the server has no worker: try again later"),
}
_STATUS_OF_WORKER = {"bundle": 400, "session": 404}


def _answer(request: Request, error: Exception) -> Response:
    refused = _refusal(error)
    request.scope.setdefault("lexveil", {})["code"] = refused.code
    response = refused.response()
    if refused.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _refusal(error: Exception) -> RequestRefused:
    match error:
        case RequestRefused():
            return error
        case Refused():
            return RequestRefused(_STATUS_OF_WORKER.get(error.code, 422), error.code, str(error))
        case HTTPException():
            return RequestRefused(error.status_code, "http", str(error.detail))
        case RequestValidationError():
            return RequestRefused(422, "query", "the query is not one of this route")
        case _ if type(error) in _REFUSALS:
            status, code, message = _REFUSALS[type(error)]
            return RequestRefused(status, code, message or str(error), getattr(error, "retry_after", None))
        case _:
            return RequestRefused(500, "internal", "the server failed")


def _manifest(offer: Offer, limits: Limits, state: State, evaluators: Evaluators) -> wire.Manifest:
    sealed = offer.model.profile == "sealed"
    folder = offer.extractor_dir
    files = [] if folder is None else [name for name in wire.EXTRACTOR_FILES if (folder / name).is_file()]
    most = {"block": limits.ciphertexts_per_request, "slot": 1}
    commitment = state.commitment(served_model.weights_digest(offer.model.head))
    return wire.Manifest(
        protocol=wire.PROTOCOL,
        model=offer.name,
        labels=list(offer.labels),
        extractor={name: _file_sha256(folder / name) for name in files} if folder else {},
        profile=offer.model.profile,
        hides=[*HIDES, *(SEALED_HIDES if sealed else ())],
        does_not_hide=[*DOES_NOT_HIDE, *(() if sealed else FAST_DOES_NOT_HIDE)],
        layouts={name: _layout(evaluator, most[name]) for name, evaluator in evaluators.items()},
        issued_at=datetime.now(UTC).isoformat(timespec="seconds"),
        weights_commitment=commitment,
        session_seconds=max(1, limits.sessions.seconds),
        probes=_probes(offer, commitment, evaluators),
    )


def _probes(offer: Offer, seed: str, evaluators: Evaluators) -> wire.Probes:
    # The seed changes with the weights only: a restart gives callers no further answers.
    bound = max(evaluator.error_bound(1.0) for evaluator in evaluators.values())
    answers = probes.known_answers(offer.model.head, seed, bound)
    return wire.Probes(seed=seed, answers=answers, rounding=probes.rounding_error(bound))


def _layout(evaluator: Evaluator, most: int) -> wire.Layout:
    parameters = evaluator.parameters
    return wire.Layout(
        parameters=json.loads(parameters.to_json()),
        reason=parameters.reason,
        steps=list(rotation_steps(parameters)),
        feature_norm=evaluator.feature_norm,
        error_floor=evaluator.error_floor,
        error_slope=evaluator.error_slope,
        ciphertexts_per_request=most,
    )


def _head_digest(manifest: wire.Manifest) -> str:
    """Of what sessions are bound to: the weights, and the parameters that keys are made for."""
    parameters = {name: layout.parameters for name, layout in manifest.layouts.items()}
    content = json.dumps([manifest.weights_commitment, parameters], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _bound(body: bytes, reply: bytes, media_type: str, status: int) -> Response:
    """A reply that a client can tell from the answer to any other request."""
    headers = {wire.REPLY_DIGEST: wire.reply_digest(wire.digest(body), reply)}
    return Response(reply, status, headers, media_type)


def _peer(request: Request) -> str | None:
    return request.client.host if request.client else None
