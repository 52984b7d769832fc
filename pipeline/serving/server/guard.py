"""Protection of the routes: slow, oversized and broken requests end here.

`Guard` wraps the application: it writes one log line and one metric per request, and lets no exception
escape. `BodyReader` reads bodies within limits. `GuardedConnection` is uvicorn's protocol with deadlines for
sending headers and for taking replies.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Container
from dataclasses import dataclass, field
from typing import Any, ClassVar

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from lexveil.pipeline.serving import wire
from lexveil.pipeline.serving.local_token import is_loopback
from lexveil.pipeline.serving.server.errors import RefusalError
from lexveil.pipeline.serving.server.metrics import ServerMetrics, log

_DRAIN_SECONDS = 5.0
_DRAIN_BYTES = 64 << 20
_METHODS = ("GET", "POST", "DELETE", "HEAD")


def build_response(error: RefusalError) -> JSONResponse:
    """Build the response to a refused request."""
    headers = {} if error.retry_after is None else {"Retry-After": str(error.retry_after)}
    content = wire.Refusal(error=error.code, message=str(error)).model_dump()
    return JSONResponse(content, error.status, headers)


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """Limits of request bodies.

    Attributes:
        seconds: time for a body, apart from its length.
        bytes_per_second: every so many bytes, a body has one more second.
        buffered_bytes: bytes of all bodies that are read or answered. A tenant may hold half of what the
            others leave, so that there is always space for one more.
    """

    seconds: float = 15.0
    bytes_per_second: int = 1 << 16
    buffered_bytes: int = 1 << 30


@dataclass(frozen=True, slots=True)
class Body:
    """A body that was read.

    Attributes:
        content: its bytes.
        digest: value of the header `X-Request-Digest`.
    """

    content: bytes = field(repr=False)
    digest: str


class BodyReader:
    """Reads bodies within limits, and counts the bytes that they occupy together.

    Args:
        limits: the limits.
        charge: called with a tenant and the bytes of a body before it is read; it may refuse.
    """

    def __init__(self, limits: BodyLimits, charge: Callable[[str, int], Awaitable[None]]) -> None:
        self._limits = limits
        self._charge = charge
        self._held: Counter[str] = Counter()

    @contextlib.asynccontextmanager
    async def read(
        self, headers: Headers, receive: Receive, longest: int, tenant: str
    ) -> AsyncGenerator[Body, None]:
        """Read a body that has the stated length and the stated digest, and hold it within the context.

        Args:
            headers: headers of the request.
            receive: receives the messages of the body.
            longest: bytes that the body may have.
            tenant: whose body it is.

        Raises:
            RefusalError: the body is too long, too slow, cut off, or has another digest.
        """
        stated = headers.get("content-length", "")
        if not (stated.isascii() and stated.isdigit()):
            raise RefusalError(411, "length", "a body needs a Content-Length")
        length = int(stated[:20])
        if length > longest:
            raise RefusalError(413, "too_large", f"a body here holds {longest} bytes at most")
        left = self._limits.buffered_bytes - self._held.total() + self._held[tenant]
        if 2 * (self._held[tenant] + length) > left:
            raise RefusalError(503, "busy", "too many bodies at a time: try again later", 2)
        self._held[tenant] += length
        try:
            await self._charge(tenant, length)
            async with asyncio.timeout(self._limits.seconds + length / self._limits.bytes_per_second):
                body = await self._receive_all(receive, length)
            stated = headers.get(wire.REQUEST_DIGEST, "").strip().lower()
            if not secrets.compare_digest(stated.encode(), body.digest.encode()):
                raise RefusalError(400, "digest", f"{wire.REQUEST_DIGEST} is missing, or is not of this body")
        except BaseException as error:
            self._held[tenant] -= length
            if isinstance(error, TimeoutError):
                raise RefusalError(408, "slow", "the body took too long") from None
            raise
        try:
            yield body
        finally:
            self._held[tenant] -= length

    async def _receive_all(self, receive: Receive, length: int) -> Body:
        body, digest = bytearray(), hashlib.sha256()  # piece by piece: others are served in between
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise RefusalError(400, "length", "the connection ended within the body")
            body += message.get("body", b"")
            digest.update(message.get("body", b""))
            if len(body) > length:
                raise RefusalError(413, "too_large", "the body is longer than it says")
            if not message.get("more_body", False):
                break
        if len(body) != length:
            raise RefusalError(400, "length", "the body is shorter than it says")
        return Body(bytes(body), "sha256=" + digest.hexdigest())


class Guard:
    """Middleware that logs a request by its route, tenant, status, code, sizes and time alone.

    It refuses requests that a browser sends for a web page, requests for another host (an attacker's name may
    lead to this machine: DNS rebinding), and bodies whose end two headers state differently.

    Args:
        app: the application.
        metrics: its metrics.
        hosts: names, without a port, by which it may be called, besides those of the loopback; None: any.
    """

    def __init__(self, app: ASGIApp, metrics: ServerMetrics, hosts: Container[str] | None = None) -> None:
        self._app = app
        self._metrics = metrics
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        exchange = _Exchange(scope, receive, send)
        start = time.monotonic()
        try:
            refusal = self._refuse(Headers(scope=scope))
            if refusal is None:
                await self._app(scope, exchange.receive, exchange.send)
            else:
                exchange.facts["code"] = refusal.code
                await build_response(refusal)(scope, exchange.receive, exchange.send)
        except Exception as error:  # outside of this, uvicorn would log it with its message
            exchange.facts["error"] = type(error).__name__
            if not exchange.status:
                response = build_response(RefusalError(500, "internal", "the server failed"))
                await response(scope, exchange.receive, exchange.send)
        self._report(scope, exchange, time.monotonic() - start)

    def _refuse(self, headers: Headers) -> RefusalError | None:
        if "transfer-encoding" in headers and "content-length" in headers:
            # Whoever takes the other length sees a second request in the body (RFC 9112, section 6.1).
            return RefusalError(400, "framing", "a request has a Content-Length or a Transfer-Encoding")
        if "origin" in headers or headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return RefusalError(403, "browser", "web pages of other origins are not served")
        if self._hosts is not None:
            host = _strip_port(headers.get("host", ""))
            if not is_loopback(host) and host not in self._hosts:
                return RefusalError(421, "host", "this host is not one of the endpoint's (encrypted.hosts)")
        return None

    def _report(self, scope: Scope, exchange: _Exchange, seconds: float) -> None:
        # The route, not the path: the path contains the session.
        matched = scope.get("route")
        route = matched.path if isinstance(matched, Route) else "unknown"
        method = scope["method"] if scope["method"] in _METHODS else "other"
        facts = exchange.facts
        tenant = facts.get("tenant", "none")
        self._metrics.requests.labels(method, route, str(exchange.status), tenant).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        if "code" in facts:
            self._metrics.refusals.labels(facts["code"], tenant).inc()
        fields: dict[str, Any] = {
            "request": exchange.request_id,
            "method": method,
            "route": route,
            "status": exchange.status,
            **facts,
            "bytes_in": exchange.bytes_in,
            "bytes_out": exchange.bytes_out,
            "ms": round(1000 * seconds, 1),
        }
        log.info("request", extra={"fields": fields})


def _strip_port(host: str) -> str:
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdigit() and (name.endswith("]") or ":" not in name) else host.lower()


class _Exchange:
    """One request and its response, with their sizes.

    Attributes:
        facts: what the routes add to the log line.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self.request_id = secrets.token_hex(8)
        self.facts: dict[str, Any] = scope.setdefault("lexveil", {})
        self.status = self.bytes_in = self.bytes_out = 0
        headers = Headers(scope=scope)
        self._unread = "content-length" in headers or "transfer-encoding" in headers
        # A client that waits for "100 Continue" has sent nothing that could be drained.
        self._drainable = "expect" not in headers

    async def receive(self) -> Message:
        message = await self._receive()
        self.bytes_in += len(message.get("body", b""))
        if not message.get("more_body", False):
            self._unread = False
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            added = [(b"x-request-id", self.request_id.encode()), (b"cache-control", b"no-store")]
            if self._unread:
                added.append((b"connection", b"close"))
            message = {**message, "headers": [*message["headers"], *added]}
        else:
            self.bytes_out += len(message.get("body", b""))
            drainable = self._drainable and self.status != 408
            if self._unread and drainable and not message.get("more_body", False):
                await self._send({**message, "more_body": True})
                await self._drain()
                message = {"type": "http.response.body", "body": b""}
        await self._send(message)

    async def _drain(self) -> None:
        # Closed with unread bytes, the connection would be reset, and the caller might never read the reason.
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                while self._unread and self.bytes_in < _DRAIN_BYTES:
                    if (await self.receive())["type"] == "http.disconnect":
                        return
        except TimeoutError:
            return


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Limits of connections.

    Attributes:
        header_seconds: time for the headers of a request.
        write_seconds: time for the peer to take a reply that fills its buffers.
        most_silent: number of connections that may be open without having sent the headers of a request.
            The oldest is closed first, so that many slow ones do not keep a quick one out.
    """

    header_seconds: float = 10.0
    write_seconds: float = 60.0
    most_silent: int = 256


class GuardedConnection(H11Protocol):
    """A connection with deadlines. `limit_connections` makes a class with limits for one server.

    Attributes:
        limits: the limits.
        silent: the server's connections that owe the headers of a request, the oldest first, with the timers
            that will close them.
    """

    limits: ClassVar[ConnectionLimits]
    silent: ClassVar[dict[GuardedConnection, asyncio.TimerHandle]]

    def connection_made(self, transport: Any) -> None:
        """Start the deadline for headers, and close the oldest silent connection if there are too many."""
        super().connection_made(transport)
        self._stalled: asyncio.TimerHandle | None = None
        self._expect_headers()
        if len(self.silent) > self.limits.most_silent:
            next(iter(self.silent))._abort()

    def data_received(self, data: bytes) -> None:
        """Pass data on; a complete head ends the deadline for headers."""
        before: Any = self.cycle  # None at first, whatever its type says
        if before is None or before.response_complete:
            self._expect_headers()
        super().data_received(data)
        if self.cycle is not before or self.transport.is_closing():
            self._cancel_header_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel all deadlines."""
        self._cancel_header_deadline()
        self.resume_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Start the deadline for taking the reply."""
        super().pause_writing()
        self._stalled = self.loop.call_later(self.limits.write_seconds, self._abort)

    def resume_writing(self) -> None:
        """Cancel the deadline for taking the reply."""
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _expect_headers(self) -> None:
        if self not in self.silent:
            self.silent[self] = self.loop.call_later(self.limits.header_seconds, self._abort)

    def _cancel_header_deadline(self) -> None:
        timer = self.silent.pop(self, None)
        if timer is not None:
            timer.cancel()

    def _abort(self) -> None:
        self._cancel_header_deadline()
        self.transport.abort()


def limit_connections(connection_limits: ConnectionLimits) -> type[GuardedConnection]:
    """Return the protocol class of one server, with its limits and its registry of silent connections."""

    class LimitedConnection(GuardedConnection):
        limits = connection_limits
        silent: ClassVar[dict[GuardedConnection, asyncio.TimerHandle]] = {}

    return LimitedConnection
