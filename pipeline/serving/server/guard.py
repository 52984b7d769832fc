"""What stands between callers and the routes: slow, oversized and broken requests end here.

`Guard` wraps the application: one log line and one metric a request, and an end to every exception. `Bodies`
reads within limits. `Connections` is uvicorn's protocol with deadlines for headers and for taking replies.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass
from typing import Any, ClassVar

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from lexveil.pipeline.serving import wire
from lexveil.pipeline.serving.server.metrics import Metrics, log

_DRAIN_SECONDS = 5.0
_DRAIN_BYTES = 64 << 20


class RequestRefused(Exception):
    """The answer is this status and `wire.Refusal`."""

    def __init__(self, status: int, code: str, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.retry_after = status, code, retry_after

    def response(self) -> JSONResponse:
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        content = wire.Refusal(error=self.code, message=str(self)).model_dump()
        return JSONResponse(content, self.status, headers)


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """A body has `seconds`, and one more for every `bytes_per_second`. buffered_bytes: of all bodies."""

    seconds: float = 15.0
    bytes_per_second: int = 1 << 16
    buffered_bytes: int = 1 << 30


class Bodies:
    """Reads bodies; counts what they hold together."""

    def __init__(self, limits: BodyLimits) -> None:
        self._limits = limits
        self._held = 0

    async def read(self, headers: Headers, receive: Receive, longest: int) -> bytes:
        """A whole body that is as long as it says and has the digest it says. Raises `RequestRefused`."""
        stated = headers.get("content-length", "")
        if not (stated.isascii() and stated.isdigit()):
            raise RequestRefused(411, "length", "a body needs a Content-Length")
        length = int(stated[:20])
        if length > longest:
            raise RequestRefused(413, "too_large", f"a body here holds {longest} bytes at most")
        if self._held + length > self._limits.buffered_bytes:
            raise RequestRefused(503, "busy", "too many bodies at a time: try again later", 2)
        self._held += length
        try:
            async with asyncio.timeout(self._limits.seconds + length / self._limits.bytes_per_second):
                body = await self._all_of(receive, length)
        except TimeoutError:
            raise RequestRefused(408, "slow", "the body took too long") from None
        finally:
            self._held -= length
        found = headers.get(wire.REQUEST_DIGEST, "").strip().lower()
        if not secrets.compare_digest(found.encode(), wire.digest(body).encode()):
            raise RequestRefused(400, "digest", f"{wire.REQUEST_DIGEST} is missing, or is not of this body")
        return body

    async def _all_of(self, receive: Receive, length: int) -> bytes:
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise RequestRefused(400, "length", "the connection ended within the body")
            body += message.get("body", b"")
            if len(body) > length:
                raise RequestRefused(413, "too_large", "the body is longer than it says")
            if not message.get("more_body", False):
                break
        if len(body) != length:
            raise RequestRefused(400, "length", "the body is shorter than it says")
        return bytes(body)


class Guard:
    """A request is told by route, tenant, status, code, sizes and time alone."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        exchange = _Exchange(scope, receive, send)
        start = time.monotonic()
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except Exception as error:  # the last place where it can be kept from a log that prints it whole
            exchange.facts["error"] = type(error).__name__
            if not exchange.status:
                refused = RequestRefused(500, "internal", "the server failed")
                await refused.response()(scope, exchange.receive, exchange.send)
        self._tell(scope, exchange, time.monotonic() - start)

    def _tell(self, scope: Scope, exchange: _Exchange, seconds: float) -> None:
        # The route, not the path: the path holds the session.
        route = getattr(scope.get("route"), "path", "unknown")
        method = scope["method"] if scope["method"] in ("GET", "POST", "DELETE", "HEAD") else "other"
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


class _Exchange:
    """One request and its answer, counted. `facts`: what the routes add for the log."""

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
        # Closed with unread bytes, the connection would be reset, and the caller might never read why.
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                while self._unread and self.bytes_in < _DRAIN_BYTES:
                    if (await self.receive())["type"] == "http.disconnect":
                        return
        except TimeoutError:
            return


class Connections(H11Protocol):
    """A connection has `header_seconds` for the headers of a request and `write_seconds` to take a reply.

    Of connections that have not said what they want, only `most_silent` stay: the oldest goes first, so that
    many slow ones don't keep a quick one out.
    """

    header_seconds: ClassVar[float] = 10.0
    write_seconds: ClassVar[float] = 60.0
    most_silent: ClassVar[int] = 256
    _silent: ClassVar[dict[Connections, asyncio.TimerHandle]] = {}

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._stalled: asyncio.TimerHandle | None = None
        self._expect_headers()
        if len(self._silent) > self.most_silent:
            next(iter(self._silent))._abort()

    def data_received(self, data: bytes) -> None:
        before: Any = self.cycle  # None at first, whatever its type says
        if before is None or before.response_complete:
            self._expect_headers()
        super().data_received(data)
        if self.cycle is not before or self.transport.is_closing():
            self._heard()

    def connection_lost(self, exc: Exception | None) -> None:
        self._heard()
        self.resume_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self.loop.call_later(self.write_seconds, self._abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _expect_headers(self) -> None:
        if self not in self._silent:
            self._silent[self] = self.loop.call_later(self.header_seconds, self._abort)

    def _heard(self) -> None:
        timer = self._silent.pop(self, None)
        if timer is not None:
            timer.cancel()

    def _abort(self) -> None:
        self._heard()
        self.transport.abort()


def connections(header_seconds: float, write_seconds: float, most_silent: int) -> type[Connections]:
    """The protocol with these limits, and connections of its own."""
    limits = {"header_seconds": header_seconds, "write_seconds": write_seconds, "most_silent": most_silent}
    return type("Connections", (Connections,), {**limits, "_silent": {}})
