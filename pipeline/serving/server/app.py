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
from collections.abc import AsyncGenerator, Awaitable, Callable, Container, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any

import anyio
from fastapi import FastAPI, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse
from starlette.exceptions import HTTPException

from lexveil.pipeline.serving import bundles, wire
from lexveil.pipeline.serving.server.access import Access, ApiKeys, KeyUses
from lexveil.pipeline.serving.server.errors import RefusalError, UnauthorizedError
from lexveil.pipeline.serving.server.evaluation import (
    BusyError,
    EvaluationBackend,
    InProcessEvaluation,
    IsGone,
    RequestKilledError,
    WorkerLimits,
)
from lexveil.pipeline.serving.server.guard import Body, BodyLimits, BodyReader, Guard, build_response
from lexveil.pipeline.serving.server.heads import (
    Heads,
    ManifestOutdatedError,
    NoModelError,
    ServedHead,
    serve_head,
)
from lexveil.pipeline.serving.server.leakage import LeakageLedger
from lexveil.pipeline.serving.server.metrics import METRICS_TYPE, ServerMetrics, log
from lexveil.pipeline.serving.server.offers import FixedOffer, Listed, Offer, OfferSource
from lexveil.pipeline.serving.server.openapi import (
    DESCRIPTIONS,
    FILE_SCHEMA,
    SESSION_SCHEMA,
    describe_app,
    render_page,
)
from lexveil.pipeline.serving.server.pool import EvaluationPool
from lexveil.pipeline.serving.server.quotas import RENEW_SECONDS, Admission, QuotaLimits, Quotas
from lexveil.pipeline.serving.server.sessions import (
    Session,
    SessionLimits,
    SessionNotFoundError,
    Sessions,
)
from lexveil.pipeline.serving.server.state import ServerState
from lexveil.pipeline.serving.server.worker import WorkerFailedError

_PURGE_SECONDS = 60
# Looking costs one `stat`. An erased model is served for so long at most.
_LOOK_SECONDS = 2.0
# The digest of the manifest that a client acts on.
_File = Annotated[str, Path(json_schema_extra=FILE_SCHEMA)]
_SessionId = Annotated[str, Path(json_schema_extra=SESSION_SCHEMA)]
_ManifestDigest = Annotated[str | None, Query(alias="manifest", pattern="^[0-9a-f]{64}$")]


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """Limits of what callers can use.

    Attributes:
        ciphertexts_per_request: ciphertexts of the `block` layout in a request. One ciphertext of the `slot`
            layout holds thousands of documents, so a request holds one.
        sessions: limits of sessions.
        quotas: quotas of each tenant.
        tenants: quotas of tenants that have their own.
        bodies: limits of request bodies.
        workers: limits of the workers.
    """

    ciphertexts_per_request: int = 32
    sessions: SessionLimits = field(default_factory=SessionLimits)
    quotas: QuotaLimits = field(default_factory=QuotaLimits)
    tenants: Mapping[str, QuotaLimits] = field(default_factory=dict[str, QuotaLimits])
    bodies: BodyLimits = field(default_factory=BodyLimits)
    workers: WorkerLimits = field(default_factory=WorkerLimits)


def create_app(
    offers: Offer | OfferSource,
    limits: ServerLimits | None = None,
    *,
    state: ServerState | None = None,
    processes: bool = False,
    hosts: Container[str] | None = None,
) -> FastAPI:
    """Create the application.

    Args:
        offers: what it serves: one offer for good, or a source of them, which is looked at every few seconds.
        limits: limits of requests; None: the defaults.
        state: the endpoint's state; None: a temporary one, and every caller is this process.
        processes: evaluate in worker processes, which the application's lifespan starts and ends.
        hosts: see `Guard`.

    Raises:
        ValueError: the labels of the one offer do not fit its head, or the head cannot be served
            (`ShapeRefusedError`, `HeadRefusedError`).
    """
    limits = limits or ServerLimits()
    opened = state or ServerState.create_temporary()
    keys = ApiKeys(opened.api_keys, KeyUses(opened.tables).note)
    access = Access(keys, None if state is None else opened.local_token)
    source = FixedOffer(offers) if isinstance(offers, Offer) else offers
    endpoint = _Endpoint(source, limits, opened, access, processes)
    if isinstance(offers, Offer):
        endpoint.heads.prepare()
    endpoint.app.add_middleware(Guard, metrics=endpoint.metrics, hosts=hosts)
    return endpoint.app


class _Endpoint:
    """The parts of the application, and its routes.

    FastAPI publishes docstrings of the routes, and makes operation ids of their names: both would change the
    API's description.
    """

    def __init__(
        self, source: OfferSource, limits: ServerLimits, state: ServerState, access: Access, processes: bool
    ) -> None:
        self.access = access
        self.metrics = ServerMetrics()
        self.quotas = Quotas(state.usages, limits.quotas, limits.tenants)
        self.leakage = LeakageLedger(state.tables, shared=state.is_shared)
        self.bodies = BodyReader(limits.bodies, self._charge_bytes)
        self.sessions = Sessions(state, limits.sessions)
        self.state = state
        self.pool: EvaluationPool | None = None
        self.evaluation: EvaluationBackend
        if processes:
            self.pool = EvaluationPool(
                None,
                limits.workers,
                self.metrics.deaths.inc,
                self._charge_cpu,
                lambda tenant: self.quotas.get_limits(tenant).weight,
                keys_folder=state.keys_folder.resolve(),
            )
            self.evaluation = self.pool
        else:
            self.evaluation = InProcessEvaluation(limits.workers.cached_keys, self._charge_cpu)

        def build(listed: Listed, offer: Offer) -> ServedHead:
            head = serve_head(listed, offer, state, limits.ciphertexts_per_request, limits.sessions.seconds)
            self.quotas.hold(head.largest, head.longest)
            return head

        self.heads = Heads(source, build, self.evaluation, self, limits.sessions.seconds)
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
        description = functools.cache(lambda: describe_app(app))
        app.openapi = description
        add = app.add_api_route
        add("/healthz", self.healthz, **DESCRIPTIONS["healthz"])
        add("/readyz", self.readyz, **DESCRIPTIONS["readyz"])
        add("/metrics", self.read_metrics, **DESCRIPTIONS["metrics"])
        add("/docs", lambda: HTMLResponse(render_page(description())), include_in_schema=False)
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
        work = {
            "purge": (_PURGE_SECONDS, lambda: self.state.call(self.sessions.purge)),
            "look at the models": (_LOOK_SECONDS, self.heads.refresh),
            "renew": (RENEW_SECONDS, self._renew),
        }
        if not self.state.is_shared:
            del work["renew"]  # for other servers

        if self.pool is not None:
            await self.pool.start()
        await self.heads.refresh()
        tasks = [asyncio.create_task(_repeat(name, *one)) for name, one in work.items()]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            if self.pool is not None:
                await self.pool.close()
            with contextlib.suppress(Exception):  # then more is counted than was answered
                await self.state.call(self.leakage.close)

    async def healthz(self) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    async def readyz(self) -> JSONResponse:
        if not self.heads.ready:
            return build_response(NoModelError())
        if not self.evaluation.state().ready:
            return JSONResponse({"status": "no worker"}, 503)
        largest = max(layout.keys_bytes for layout in self.heads.current.layouts.values())
        if not await self.state.call(self.state.can_store, largest, blocks=True):
            return JSONResponse({"status": "no space for keys, or no database"}, 503)
        return JSONResponse({"status": "ready"})

    async def read_metrics(self, request: Request) -> Response:
        if not await self.state.call(self.access.may_read_metrics, request.headers):
            raise UnauthorizedError
        text = await self.state.call(self.metrics.to_text)
        return Response(text, headers={"Content-Type": METRICS_TYPE})

    async def get_manifest(self, request: Request) -> wire.SignedManifest:
        async with self._admit(await self._identify_tenant(request)):
            return self.heads.current.signed

    async def get_extractor(
        self, request: Request, file: _File, manifest: _ManifestDigest = None
    ) -> FileResponse:
        tenant = await self._identify_tenant(request)
        async with self._admit(tenant):
            head = self.heads.find_by_manifest(manifest)
            if head.extractor_dir is None or file not in head.manifest.extractor:
                raise RefusalError(404, "file", "the manifest names no such file")
            path = head.extractor_dir / file
            await self.state.call(self.quotas.charge_bytes, tenant, head.file_sizes[file], lane=tenant)
            return FileResponse(path, media_type="application/octet-stream")

    async def open_session(
        self, request: Request, manifest: _ManifestDigest = None, layout: wire.LayoutName = "block"
    ) -> Response:
        tenant = await self._identify_tenant(request)
        head = self.heads.find_by_manifest(manifest)
        if head is not self.heads.current:  # kept for a limited time: a new session begins with the newest
            raise ManifestOutdatedError
        offered = head.layouts.get(layout)
        if offered is None:
            raise RefusalError(404, "layout", "the manifest names no such layout")
        async with self._admit(tenant):
            longest = offered.keys_bytes
            async with self.bodies.read(request.headers, request.receive, longest, tenant) as body:
                asked = {"evaluator": head.name_evaluator(layout), "max_count": 1}
                await self._evaluate(asked, body, tenant, request.is_disconnected)
                limit = self.quotas.get_limits(tenant).leakage
                weights, divergence = head.manifest.weights_commitment, offered.divergence
                await self.state.call(self.leakage.reserve, tenant, weights, divergence, limit, lane=tenant)
                session, expires = await self.sessions.open(tenant, layout, head.key, body.content)
        expires_at = datetime.fromtimestamp(expires, UTC).isoformat(timespec="seconds")
        opened = wire.SessionOpened(session=session, expires_at=expires_at)
        return _bind_reply(body, opened.model_dump_json().encode(), "application/json", 201)

    async def classify(
        self, request: Request, session: _SessionId, manifest: _ManifestDigest = None
    ) -> Response:
        tenant = await self._identify_tenant(request)
        async with self._admit(tenant):
            # First: another replica may have a head that this one lacks. Then the client must read the
            # manifest again instead of uploading its keys.
            meant = None if manifest is None else self.heads.find_by_manifest(manifest)
            opened = await self.state.call(self.sessions.find, session, tenant, lane=tenant)
            head = self._find_head(opened, meant)
            longest = head.layouts[opened.layout].request_bytes
            async with self.bodies.read(request.headers, request.receive, longest, tenant) as body:
                reply = await self._answer(opened, head, body, tenant, request.is_disconnected)
        return _bind_reply(body, reply, "application/octet-stream", 200)

    async def _answer(
        self, opened: Session, head: ServedHead, body: Body, tenant: str, is_gone: IsGone
    ) -> bytes:
        offered = head.layouts[opened.layout]
        count = bundles.read_claimed_count(body.content)
        if not 1 <= count <= offered.most:
            raise bundles.WireError(f"a bundle here holds 1 to {offered.most} blobs")
        slots = count * offered.slots
        leaked = count * offered.divergence
        weights = head.manifest.weights_commitment
        await self.state.call(self.quotas.charge, tenant, slots, lane=tenant)
        asked = {
            "evaluator": head.name_evaluator(opened.layout),
            "max_count": offered.most,
            "session": opened.name,
            "keys": str(opened.keys),
            "keys_sha256": opened.keys_sha256,
        }
        limit = self.quotas.get_limits(tenant).leakage
        try:
            await self.state.call(self.leakage.charge, tenant, weights, leaked, limit, lane=tenant)
        except RefusalError:
            await self.state.call(self.quotas.refund, tenant, slots, lane=tenant)
            raise
        try:
            reply = await self._evaluate(asked, body, tenant, is_gone)
        except RefusalError as error:
            with contextlib.suppress(RefusalError):  # waits for whoever writes for this tenant and head
                await self.state.call(self.leakage.refund, tenant, weights, leaked, lane=tenant)
            if isinstance(error, BusyError | WorkerFailedError):
                await self.state.call(self.quotas.refund, tenant, slots, lane=tenant)
            raise
        variation = self.leakage.compute_variation(tenant, weights)
        self.metrics.leakage.labels(tenant, head.manifest.model).set(variation)
        self.metrics.slots.labels(tenant).inc(slots)
        return reply

    async def close_session(self, request: Request, session: _SessionId) -> Response:
        tenant = await self._identify_tenant(request)
        async with self._admit(tenant):
            await self.state.call(self.sessions.close, session, tenant, lane=tenant)
        return Response(status_code=204)

    async def end_head(self, key: str) -> None:
        """End the sessions of a head that is no longer served."""
        await self.state.call(self.sessions.close_head_sessions, key)

    async def record_head(self, head: ServedHead | None) -> None:
        """Record in the endpoint's own log which head is served from now on."""
        facts = {} if head is None else {"model": head.offer.name, "offer": head.listed.id}
        await self.state.call(self.state.log.append, "serve-model", "done", facts, blocks=True)

    @contextlib.asynccontextmanager
    async def _admit(self, tenant: str) -> AsyncGenerator[None, None]:
        """Count a request while it is served."""
        request = Admission()
        try:
            await self.state.call(self.quotas.begin, tenant, request, lane=tenant)
            yield
        finally:
            if self.quotas.release(tenant, request):
                with anyio.CancelScope(shield=True):
                    await self._tell(tenant)

    def _find_head(self, session: Session, meant: ServedHead | None) -> ServedHead:
        """Return the head of a session, which must be the one that the client means."""
        bound = self.heads.find_by_key(session.head)
        if bound is None or (meant is not None and meant.key != bound.key):
            raise SessionNotFoundError
        return bound

    async def _charge_bytes(self, tenant: str, count: int) -> None:
        await self.state.call(self.quotas.charge_bytes, tenant, count, lane=tenant)

    async def _renew(self) -> None:
        """Tell the other replicas which requests are in progress here, for each tenant separately."""
        async with anyio.create_task_group() as group:
            for tenant in self.quotas.list_active():
                group.start_soon(self._tell, tenant)

    async def _tell(self, tenant: str) -> None:
        with contextlib.suppress(RefusalError):
            await self.state.call(self.quotas.tell, tenant, lane=tenant)

    def _charge_cpu(self, tenant: str, seconds: float) -> None:
        self.quotas.charge_cpu(tenant, seconds)
        self.metrics.cpu_seconds.labels(tenant).inc(seconds)

    async def _evaluate(self, asked: dict[str, Any], body: Body, tenant: str, is_gone: IsGone) -> bytes:
        # The digest includes the session: a body that crashes workers with one session's keys may be valid
        # with another's.
        name = hashlib.sha256((json.dumps(asked) + body.digest).encode()).hexdigest()
        try:
            return await self.evaluation.answer(asked, body.content, name, tenant, is_gone)
        except RequestKilledError as error:
            if error.first:
                self.metrics.killers.inc()
                await self.state.call(self.quotas.add_strike, tenant, lane=tenant)
            raise

    async def _identify_tenant(self, request: Request) -> str:
        caller = self.access.name_caller(request.headers)
        tenant = await self.state.call(self.access.identify_tenant, request.headers, lane=caller)
        request.scope.setdefault("lexveil", {})["tenant"] = tenant
        return tenant


async def _repeat(name: str, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await work()
        except Exception as error:  # whatever it was, the next time it may go well
            log.error(name, extra={"fields": {"error": type(error).__name__}})


def _respond_to_error(request: Request, error: Exception) -> Response:
    refusal = _to_refusal(error)
    request.scope.setdefault("lexveil", {})["code"] = refusal.code
    response = build_response(refusal)
    if isinstance(error, HTTPException):
        response.headers.update(error.headers or {})  # such as Allow
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


def _bind_reply(body: Body, reply: bytes, media_type: str, status: int) -> Response:
    """Build a reply that a client can distinguish from the reply to any other request."""
    headers = {wire.REPLY_DIGEST: wire.compute_reply_digest(body.digest, reply)}
    return Response(reply, status, headers, media_type)
