"""The endpoint as an ASGI application. It sees ciphertexts and evaluation keys, no features or secret keys.

`lexveil.privacy.he.evaluate`, docs/threat-model.md, `HIDES` and `DOES_NOT_HIDE` (which the manifest
publishes) state what it guarantees and what it does not. Serve it with TLS: the encryption also hides the
features from everybody between client and server, but only TLS authenticates the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import json
from collections.abc import AsyncGenerator, Container, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio.to_thread
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException

from lexveil.pipeline.serving import bundles, wire
from lexveil.pipeline.serving.server.access import Access, ApiKeys, QuotaLimits, Quotas, UnauthorizedError
from lexveil.pipeline.serving.server.errors import RefusalError
from lexveil.pipeline.serving.server.guard import BodyLimits, BodyReader, Guard, build_response
from lexveil.pipeline.serving.server.metrics import ServerMetrics, log
from lexveil.pipeline.serving.server.openapi import DESCRIPTIONS, render_page
from lexveil.pipeline.serving.server.pool import (
    BusyError,
    EvaluationBackend,
    EvaluationPool,
    InProcessEvaluation,
    RequestKilledError,
    WorkerLimits,
)
from lexveil.pipeline.serving.server.sessions import SessionLimits, Sessions
from lexveil.pipeline.serving.server.state import ServerState
from lexveil.pipeline.serving.server.worker import Evaluators, WorkerFailedError
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
    """What an endpoint serves.

    Attributes:
        model: head and profile.
        labels: label of each class.
        name: name of the model.
        extractor_dir: folder with the files of `wire.EXTRACTOR_FILES`, which clients may download. Offer only
            an extractor trained under DP, or a public one.
    """

    model: ServedModel
    labels: Sequence[str]
    name: str = "linear"
    extractor_dir: Path | None = None


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """Limits of what callers can use.

    Attributes:
        ciphertexts_per_request: ciphertexts of the `block` layout in a request. One ciphertext of the `slot`
            layout holds thousands of documents, so a request holds one.
        sessions: limits of sessions.
        quotas: quotas of each tenant.
        bodies: limits of request bodies.
        workers: limits of the workers.
    """

    ciphertexts_per_request: int = 32
    sessions: SessionLimits = field(default_factory=SessionLimits)
    quotas: QuotaLimits = field(default_factory=QuotaLimits)
    bodies: BodyLimits = field(default_factory=BodyLimits)
    workers: WorkerLimits = field(default_factory=WorkerLimits)


@dataclass(frozen=True, slots=True)
class _LayoutLimits:
    """Limits of requests of one layout.

    Attributes:
        most: number of ciphertexts in a request.
        keys_bytes: bytes of a body with evaluation keys.
        request_bytes: bytes of a body with ciphertexts.
        slots: document slots of a ciphertext.
    """

    most: int
    keys_bytes: int
    request_bytes: int
    slots: int

    @classmethod
    def of_evaluator(cls, evaluator: Evaluator, most: int) -> _LayoutLimits:
        keys = wire.max_bundle_bytes(1, evaluator.max_keys_bytes)
        request = wire.max_bundle_bytes(most, evaluator.max_ciphertext_bytes)
        return cls(most, keys, request, evaluator.parameters.documents_per_ciphertext)


def create_app(
    offer: Offer,
    limits: ServerLimits | None = None,
    *,
    state: ServerState | None = None,
    processes: bool = False,
    hosts: Container[str] | None = None,
) -> FastAPI:
    """Create the application.

    Args:
        offer: what it serves.
        limits: limits of requests; None: the defaults.
        state: the endpoint's state; None: a temporary one, and every caller is this process.
        processes: evaluate in worker processes, which the application's lifespan starts and ends.
        hosts: see `Guard`.

    Raises:
        ValueError: the labels do not fit the head, or the head cannot be served (`ShapeRefusedError`,
            `HeadRefusedError`).
    """
    limits = limits or ServerLimits()
    opened = state or ServerState.create_temporary()
    access = Access(ApiKeys(opened.folder), None if state is None else opened.local_token)
    app = _Endpoint(offer, limits, opened, access, processes)
    app.app.add_middleware(Guard, metrics=app.metrics, hosts=hosts)
    return app.app


class _Endpoint:
    """The parts of the application, and its routes.

    FastAPI publishes docstrings of the routes, and makes operation ids of their names: both would change the
    API's description.
    """

    def __init__(
        self, offer: Offer, limits: ServerLimits, state: ServerState, access: Access, processes: bool
    ) -> None:
        if len(set(offer.labels)) != len(offer.labels) or len(offer.labels) != offer.model.head.n_classes:
            raise ValueError("labels must differ from one another, one for each class")
        evaluators: Evaluators = served_model.build_evaluators(offer.model)
        manifest = _build_manifest(offer, limits, state, evaluators)
        self.offer, self.manifest, self.access = offer, manifest, access
        self.signed = wire.SignedManifest.sign(manifest, state.signing_key)
        self.layouts = {
            name: _LayoutLimits.of_evaluator(evaluators[name], layout.ciphertexts_per_request)
            for name, layout in manifest.layouts.items()
        }
        self.metrics = ServerMetrics()
        self.bodies = BodyReader(limits.bodies)
        largest = max(layout.most * layout.slots for layout in self.layouts.values())
        self.quotas = Quotas(state.database, limits.quotas, largest)
        self.sessions = Sessions(state, limits.sessions, _digest_head(manifest))
        self.state = state
        self.pool: EvaluationPool | None = None
        self.evaluation: EvaluationBackend
        if processes:
            factory = functools.partial(served_model.build_evaluators, offer.model)
            self.pool = EvaluationPool(factory, limits.workers, self.metrics.deaths.inc)
            self.evaluation = self.pool
        else:
            self.evaluation = InProcessEvaluation(evaluators, limits.workers.cached_keys)
        self.metrics.add_gauges(self.evaluation.state, self.sessions.usage)
        self.app = self._build_app()

    def _build_app(self) -> FastAPI:
        app = FastAPI(
            title="Lexveil encrypted classification",
            version=str(wire.PROTOCOL),
            description="Classifies encrypted features; the server sees neither them nor the result.",
            docs_url=None,  # FastAPI's pages load scripts from other hosts
            redoc_url=None,
            lifespan=self._lifespan,
        )
        add = app.add_api_route
        add("/healthz", self.healthz, **DESCRIPTIONS["healthz"])
        add("/readyz", self.readyz, **DESCRIPTIONS["readyz"])
        add("/metrics", self.read_metrics, **DESCRIPTIONS["metrics"])
        add("/docs", lambda: HTMLResponse(render_page(app.openapi())), include_in_schema=False)
        add("/v1/manifest", self.get_manifest, **DESCRIPTIONS["manifest"])
        add("/v1/extractor/{file}", self.get_extractor, **DESCRIPTIONS["extractor"])
        add("/v1/sessions", self.open_session, methods=["POST"], **DESCRIPTIONS["open"])
        add("/v1/sessions/{session}/classify", self.classify, methods=["POST"], **DESCRIPTIONS["classify"])
        add("/v1/sessions/{session}", self.close_session, methods=["DELETE"], **DESCRIPTIONS["close"])
        for kind in (RefusalError, bundles.WireError, HTTPException, RequestValidationError):
            app.add_exception_handler(kind, _respond_to_error)
        return app

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncGenerator[None, None]:
        async def purge() -> None:
            while True:
                await asyncio.sleep(_PURGE_SECONDS)
                try:
                    self.sessions.purge()
                except Exception as error:  # whatever it was, keys that expire later are to be deleted, too
                    log.error("purge", extra={"fields": {"error": type(error).__name__}})

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
        if not self.evaluation.state().ready:
            return JSONResponse({"status": "no worker"}, 503)
        largest = max(layout.keys_bytes for layout in self.layouts.values())
        if not await anyio.to_thread.run_sync(self.state.can_store, largest):
            return JSONResponse({"status": "no space for keys"}, 503)
        return JSONResponse({"status": "ready"})

    async def read_metrics(self, request: Request) -> Response:
        if not self.access.may_read_metrics(request.headers):
            raise UnauthorizedError
        return Response(self.metrics.to_text(), media_type="text/plain; version=0.0.4")

    async def get_manifest(self, request: Request) -> wire.SignedManifest:
        self._identify_tenant(request)
        return self.signed

    async def get_extractor(self, request: Request, file: str) -> FileResponse:
        self._identify_tenant(request)
        if self.offer.extractor_dir is None or file not in self.manifest.extractor:
            raise RefusalError(404, "file", "the manifest names no such file")
        return FileResponse(self.offer.extractor_dir / file, media_type="application/octet-stream")

    async def open_session(self, request: Request, layout: wire.LayoutName = "block") -> Response:
        tenant = self._identify_tenant(request)
        offered = self.layouts.get(layout)
        if offered is None:
            raise RefusalError(404, "layout", "the manifest names no such layout")
        with self.quotas.admit_request(tenant):
            body = await self.bodies.read(request.headers, request.receive, offered.keys_bytes)
            await self._evaluate({"layout": layout, "max_count": 1}, body, tenant)
            session, expires = await self.sessions.open(tenant, layout, body)
        expires_at = datetime.fromtimestamp(expires, UTC).isoformat(timespec="seconds")
        opened = wire.SessionOpened(session=session, expires_at=expires_at)
        return _bind_reply(body, opened.model_dump_json().encode(), "application/json", 201)

    async def classify(self, request: Request, session: str) -> Response:
        tenant = self._identify_tenant(request)
        with self.quotas.admit_request(tenant):
            opened = self.sessions.find(session, tenant)
            offered = self.layouts[opened.layout]  # pyright: ignore[reportArgumentType]
            body = await self.bodies.read(request.headers, request.receive, offered.request_bytes)
            count = bundles.read_claimed_count(body)
            if not 1 <= count <= offered.most:
                raise bundles.WireError(f"a bundle here holds 1 to {offered.most} blobs")
            slots = count * offered.slots
            self.quotas.charge(tenant, slots)
            head = {
                "layout": opened.layout,
                "max_count": offered.most,
                "session": opened.name,
                "keys": str(opened.keys),
                "keys_sha256": opened.keys_sha256,
            }
            try:
                reply = await self._evaluate(head, body, tenant)
            except (BusyError, WorkerFailedError):
                self.quotas.refund(tenant, slots)
                raise
        self.metrics.slots.labels(tenant).inc(slots)
        return _bind_reply(body, reply, "application/octet-stream", 200)

    async def close_session(self, request: Request, session: str) -> Response:
        self.sessions.close(session, self._identify_tenant(request))
        return Response(status_code=204)

    async def _evaluate(self, head: dict[str, Any], body: bytes, tenant: str) -> bytes:
        # The digest includes the session: a body that crashes workers with one session's keys may be valid
        # with another's.
        name = hashlib.sha256(json.dumps(head).encode() + hashlib.sha256(body).digest()).hexdigest()
        try:
            return await self.evaluation.answer(head, body, name)
        except RequestKilledError as error:
            if error.first:
                self.metrics.killers.inc()
                self.quotas.add_strike(tenant)
            raise

    def _identify_tenant(self, request: Request) -> str:
        tenant = self.access.identify_tenant(request.headers)
        request.scope.setdefault("lexveil", {})["tenant"] = tenant
        return tenant


def _respond_to_error(request: Request, error: Exception) -> Response:
    refusal = _to_refusal(error)
    request.scope.setdefault("lexveil", {})["code"] = refusal.code
    response = build_response(refusal)
    if refusal.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _to_refusal(error: Exception) -> RefusalError:
    match error:
        case RefusalError():
            return error
        case bundles.WireError():
            return RefusalError(400, "bundle", str(error))
        case HTTPException():
            return RefusalError(error.status_code, "http", str(error.detail))
        case RequestValidationError():
            return RefusalError(422, "query", "the query is not one of this route")
        case _:
            return RefusalError(500, "internal", "the server failed")


def _build_manifest(
    offer: Offer, limits: ServerLimits, state: ServerState, evaluators: Evaluators
) -> wire.ServerManifest:
    sealed = offer.model.profile == "sealed"
    folder = offer.extractor_dir
    files = [] if folder is None else [name for name in wire.EXTRACTOR_FILES if (folder / name).is_file()]
    most = {"block": limits.ciphertexts_per_request, "slot": 1}
    commitment = state.commit_to_weights(served_model.weights_digest(offer.model.head))
    return wire.ServerManifest(
        protocol=wire.PROTOCOL,
        model=offer.name,
        labels=list(offer.labels),
        extractor={name: _digest_file(folder / name) for name in files} if folder else {},
        profile=offer.model.profile,
        hides=[*HIDES, *(SEALED_HIDES if sealed else ())],
        does_not_hide=[*DOES_NOT_HIDE, *(() if sealed else FAST_DOES_NOT_HIDE)],
        layouts={name: _describe_layout(evaluator, most[name]) for name, evaluator in evaluators.items()},
        issued_at=datetime.now(UTC).isoformat(timespec="seconds"),
        weights_commitment=commitment,
        session_seconds=max(1, limits.sessions.seconds),
        probes=_build_probes(offer, commitment, evaluators),
    )


def _build_probes(offer: Offer, seed: str, evaluators: Evaluators) -> wire.Probes:
    # The seed changes with the weights only: a restart reveals no further answers.
    bound = max(evaluator.error_bound(1.0) for evaluator in evaluators.values())
    answers = probes.known_answers(offer.model.head, seed, bound)
    return wire.Probes(seed=seed, answers=answers, rounding=probes.rounding_error(bound))


def _describe_layout(evaluator: Evaluator, most: int) -> wire.Layout:
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


def _digest_head(manifest: wire.ServerManifest) -> str:
    """Digest what sessions are bound to: the weights, and the parameters that keys are made for."""
    parameters = {name: layout.parameters for name, layout in manifest.layouts.items()}
    content = json.dumps([manifest.weights_commitment, parameters], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _digest_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _bind_reply(body: bytes, reply: bytes, media_type: str, status: int) -> Response:
    """Build a reply that a client can distinguish from the reply to any other request."""
    headers = {wire.REPLY_DIGEST: wire.compute_reply_digest(wire.compute_digest(body), reply)}
    return Response(reply, status, headers, media_type)
