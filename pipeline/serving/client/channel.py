"""How a client talks: bounded answers, digests both ways, patience with a busy server. Knows no key of HE."""

from __future__ import annotations

import email.utils
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
from anyio.from_thread import start_blocking_portal
from pydantic import ValidationError

from lexveil.pipeline.errors import EndpointError
from lexveil.pipeline.serving import wire

_BUSY = (429, 502, 503, 504)
_REFUSAL_BYTES = 1 << 16


class ServingError(EndpointError):
    """The endpoint cannot be reached, refuses, answers what the protocol does not allow, or lies.

    Codes: `unreachable`, `protocol`, `manifest`, `features`, `dishonest`, `state`, or the code of a refusal.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class _Busy(Exception):
    """Worth another try. after: seconds that the server asked for, None where it asked for none."""

    def __init__(self, error: ServingError, after: float | None = None) -> None:
        super().__init__(error.code)
        self.error, self.after = error, after


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to try again on 429, 502, 503, 504 and lost connections.

    The n-th wait is `first * 2^n` seconds, `longest` at most, of which a random half is taken off, so that
    clients that were refused together do not come back together; never less than the server's Retry-After.
    A wait that would pass `total` seconds in all is not begun: the refusal is raised.
    """

    total: float = 120.0
    first: float = 0.5
    longest: float = 30.0
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)

    def wait(self, attempt: int, waited: float, asked: float | None) -> float | None:
        """Seconds until the next try; None to give up."""
        usual = min(self.longest, self.first * 2.0**attempt)
        seconds = max(usual * random.uniform(0.5, 1.0), asked or 0.0)
        return seconds if waited + seconds <= self.total else None


class Channel:
    """Requests to one server. `api_key` travels as a bearer token, so the URL should be https."""

    def __init__(
        self, http: httpx.Client, api_key: str | None = None, patience: Patience | None = None
    ) -> None:
        self._http = http
        self._headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
        self._patience = patience or Patience()

    def close(self) -> None:
        self._http.close()

    def __repr__(self) -> str:
        return "Channel(...)"

    def get(self, path: str, max_bytes: int) -> bytes:
        """The body of a GET. Raises `ServingError`."""
        return self._patiently(lambda: self._once("GET", path, None, max_bytes))

    def delete(self, path: str) -> None:
        """Raises `ServingError`."""
        self._patiently(lambda: self._once("DELETE", path, None, _REFUSAL_BYTES))

    def post(self, path: str, body: bytes, max_bytes: int) -> bytes:
        """The body of the reply to a POST, whose digest is bound to this very request.

        All that is posted may be posted twice: evaluation is a function of its input, and a second session
        does no harm. Raises `ServingError`.
        """
        return self._patiently(lambda: self._once("POST", path, body, max_bytes))

    def _patiently(self, request: Callable[[], bytes]) -> bytes:
        waited, attempt = 0.0, 0
        while True:
            try:
                return request()
            except _Busy as busy:
                seconds = self._patience.wait(attempt, waited, busy.after)
                if seconds is None:
                    raise busy.error from None
            self._patience.sleep(seconds)
            waited, attempt = waited + seconds, attempt + 1

    def _once(self, method: str, path: str, body: bytes | None, max_bytes: int) -> bytes:
        headers = dict(self._headers)
        if body is not None:
            headers[wire.REQUEST_DIGEST] = wire.digest(body)
        content = bytearray()
        try:
            with self._http.stream(method, path, content=body, headers=headers) as response:
                limit = max_bytes if response.is_success else _REFUSAL_BYTES
                for chunk in response.iter_bytes():
                    content += chunk
                    if len(content) > limit:
                        raise ServingError("protocol", "the server's answer is too long")
        except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise _unreachable(error) from None
        except httpx.TransportError as error:
            raise _Busy(_unreachable(error)) from None
        except httpx.HTTPError as error:
            raise _unreachable(error) from None
        if not response.is_success:
            refusal = _refusal(response.status_code, bytes(content))
            if response.status_code in _BUSY:
                raise _Busy(refusal, _seconds(response.headers.get("Retry-After")))
            raise refusal
        found = response.headers.get(wire.REPLY_DIGEST)
        if body is not None and found != wire.reply_digest(headers[wire.REQUEST_DIGEST], bytes(content)):
            raise _Busy(ServingError("protocol", "the answer was damaged, or belongs to another request"))
        return bytes(content)


class InProcessTransport(httpx.BaseTransport):
    """Runs an ASGI application with its lifespan in a thread of this process, for a synchronous client."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        self._context = start_blocking_portal()
        self._portal = self._context.__enter__()
        self._lifespan = self._portal.wrap_async_context_manager(_lifespan(app))
        try:
            self._lifespan.__enter__()
        except BaseException:
            self._context.__exit__(None, None, None)
            raise

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()  # makes the body readable for both kinds of client
        return self._portal.call(self._send, request)

    async def _send(self, request: httpx.Request) -> httpx.Response:
        response = await self._transport.handle_async_request(request)
        content = await response.aread()
        return httpx.Response(response.status_code, headers=response.headers, content=content)

    def close(self) -> None:
        try:
            self._lifespan.__exit__(None, None, None)
        finally:
            self._context.__exit__(None, None, None)


def _lifespan(app: Any) -> Any:
    """The application's start and end, which httpx's ASGI transport leaves out."""
    return app.router.lifespan_context(app)


def _seconds(retry_after: str | None) -> float | None:
    """Seconds of a Retry-After header (RFC 9110, section 10.2.3), which holds a number or a date."""
    if retry_after is None:
        return None
    if retry_after.strip().isdigit():
        return float(min(int(retry_after), 86_400))
    try:
        when = email.utils.parsedate_to_datetime(retry_after)
        return max(0.0, (when - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None


def _unreachable(error: Exception) -> ServingError:
    return ServingError("unreachable", f"no answer ({type(error).__name__})")


def _refusal(status: int, content: bytes) -> ServingError:
    try:
        refusal = wire.Refusal.model_validate_json(content)
    except ValidationError:
        return ServingError("protocol", f"the server answered with status {status}")
    # What a server says is printed by a command: one line, not longer than a sentence.
    message = " ".join(refusal.message.split())[:200]
    return ServingError(refusal.error[:40], f"the server refused ({status}): {message}")
