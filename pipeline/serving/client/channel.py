"""The client's requests: bounded answers, digests in both directions, retries. It holds no HE keys."""

from __future__ import annotations

import email.utils
import random
import ssl
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
from lexveil.pipeline.serving.local_token import is_loopback

# The longest answer to a request that is not about ciphertexts or files.
MESSAGE_BYTES = 1 << 20
_RETRIED_STATUSES = (429, 502, 503, 504)
_REFUSAL_BYTES = 1 << 16
# What this client concludes itself. A server that says so decides nothing by it.
_OWN_CODES = (
    "unreachable", "insecure", "protocol", "manifest", "features", "dishonest", "refused", "state",
)  # fmt: skip
_TIMEOUT_SECONDS = 60.0
_ANSWER_SECONDS = 180.0  # the ciphertexts of a request take turns with those of others


class ServingError(EndpointError):
    """The endpoint cannot be reached, refuses, violates the protocol, or gives wrong answers.

    Attributes:
        code: `unreachable`, `insecure` (no https), `protocol`, `manifest`, `features`, `dishonest`, `refused`
            (after a dishonest answer), `state`, or the code of a refusal by the server.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class _RetryableError(Exception):
    """A failure after which the request is tried again.

    Attributes:
        error: what to raise if it is not tried again.
        retry_after: seconds that the server asks the client to wait; None if it does not ask.
    """

    def __init__(self, error: ServingError, retry_after: float | None = None) -> None:
        super().__init__(error.code)
        self.error, self.retry_after = error, retry_after


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Retries after 429, 502, 503, 504 and lost connections.

    The n-th wait is `first * 2^n` seconds, but at most `longest`. It is shortened by a random share of up to
    one half, so that clients that were refused together do not return together, but is never shorter than the
    server's Retry-After.

    Attributes:
        total: the most seconds that a request may wait in all. Instead of a wait that would exceed them, the
            refusal is raised.
        unanswered: the same for a server that has not answered yet: there may be none.
        first: seconds of the first wait.
        longest: seconds of the longest wait.
        sleep: waits for a number of seconds.
    """

    total: float = 120.0
    unanswered: float = 10.0
    first: float = 0.5
    longest: float = 30.0
    sleep: Callable[[float], None] = field(default=time.sleep, repr=False)

    def choose_wait(
        self, attempt: int, waited: float, retry_after: float | None, *, answered: bool = True
    ) -> float | None:
        """Choose the seconds until the next try.

        Args:
            attempt: number of waits before this one.
            waited: seconds of those waits.
            retry_after: seconds that the server asks for; None if it does not ask.
            answered: the server has answered a request before.

        Returns:
            The seconds; None to give up.
        """
        total = self.total if answered else min(self.total, self.unanswered)
        usual = min(self.longest, self.first * 2.0**attempt)
        seconds = max(usual * random.uniform(0.5, 1.0), retry_after or 0.0)
        return seconds if waited + seconds <= total else None


class Channel:
    """Sends requests to one server.

    Args:
        http: client with the URL of the server, which `open_http` checks: the API key is sent as a bearer
            token.
        api_key: the API key.
        retry_policy: retries; None: the defaults.
    """

    def __init__(
        self, http: httpx.Client, api_key: str | None = None, retry_policy: RetryPolicy | None = None
    ) -> None:
        self._http = http
        self._headers = {"Accept-Encoding": "identity"}
        if api_key is not None:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._retry_policy = retry_policy or RetryPolicy()
        self._answered = False

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __repr__(self) -> str:
        return "Channel(...)"

    def get(self, path: str, max_bytes: int) -> bytes:
        """Return the body of the reply to a GET.

        Raises:
            ServingError: the request fails, or the body is longer than `max_bytes`.
        """
        return self._retry(lambda: self._send("GET", path, None, max_bytes))

    def delete(self, path: str) -> None:
        """Send a DELETE, without retries: nothing depends on it.

        Raises:
            ServingError: the request fails.
        """
        try:
            self._send("DELETE", path, None, _REFUSAL_BYTES)
        except _RetryableError as failure:
            raise failure.error from None

    def post(self, path: str, body: bytes, max_bytes: int) -> bytes:
        """Return the body of the reply to a POST. Its digest must be bound to this very request.

        Every POST may be repeated: an evaluation depends on its input only, and a second session does no
        harm.

        Raises:
            ServingError: the request fails, or the body is longer than `max_bytes`.
        """
        return self._retry(lambda: self._send("POST", path, body, max_bytes))

    def wait(self, attempt: int, waited: float = 0.0) -> float | None:
        """Wait before another attempt, after `attempt` waits of `waited` seconds in all.

        Returns:
            The seconds; None, without a wait, to give up.
        """
        seconds = self._retry_policy.choose_wait(attempt, waited, None)
        if seconds is not None:
            self._retry_policy.sleep(seconds)
        return seconds

    def _retry(self, request: Callable[[], bytes]) -> bytes:
        waited, attempt = 0.0, 0
        while True:
            try:
                return request()
            except _RetryableError as failure:
                seconds = self._retry_policy.choose_wait(
                    attempt, waited, failure.retry_after, answered=self._answered
                )
                if seconds is None:
                    raise failure.error from None
            self._retry_policy.sleep(seconds)
            waited, attempt = waited + seconds, attempt + 1

    def _send(self, method: str, path: str, body: bytes | None, max_bytes: int) -> bytes:
        headers, seconds = dict(self._headers), _TIMEOUT_SECONDS
        if body is not None:
            seconds = _ANSWER_SECONDS
            headers[wire.REQUEST_DIGEST] = wire.compute_digest(body)
        try:
            with self._http.stream(
                method,
                path,
                content=body,
                headers=headers,
                timeout=httpx.Timeout(_TIMEOUT_SECONDS, read=seconds),
            ) as response:
                self._answered = True
                content = _read_body(response, max_bytes if response.is_success else _REFUSAL_BYTES)
        except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise _to_unreachable_error(error) from None
        except httpx.TransportError as error:
            raise _RetryableError(_to_unreachable_error(error)) from None
        except httpx.HTTPError as error:
            raise _to_unreachable_error(error) from None
        if response.is_redirect:
            message = f"the server redirects ({response.status_code}), which is not followed"
            raise ServingError("protocol", message)
        if not response.is_success:
            refusal = _read_refusal(response.status_code, content)
            if response.status_code in _RETRIED_STATUSES:
                raise _RetryableError(refusal, parse_retry_after(response.headers.get("Retry-After")))
            raise refusal
        if body is not None:
            expected = wire.compute_reply_digest(headers[wire.REQUEST_DIGEST], content)
            if response.headers.get(wire.REPLY_DIGEST) != expected:
                message = "the answer was damaged, or belongs to another request"
                raise _RetryableError(ServingError("protocol", message))
        return content


def open_http(url: str, tls: ssl.SSLContext | None, insecure_http: bool) -> httpx.Client:
    """Open a client of the server at a URL.

    Proxies that the environment names are used for https alone, where they see no more than the server's
    name, and never for a server on this machine.

    Args:
        url: URL of the server.
        tls: context of TLS; None: the defaults.
        insecure_http: allow http to another machine.

    Raises:
        ServingError: the URL is not valid, or is that of another machine without https.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise _to_unreachable_error(error) from None
    local = is_loopback(parsed.host)
    if parsed.scheme == "http" and parsed.host and not (local or insecure_http):
        raise ServingError(
            "insecure",
            "an endpoint on another machine needs an https URL: over http, everybody on the way can read the "
            "API key and answer in its place (--insecure-http allows it)",
        )
    return httpx.Client(
        base_url=parsed,
        timeout=_TIMEOUT_SECONDS,
        verify=True if tls is None else tls,
        trust_env=parsed.scheme == "https" and not local,
        follow_redirects=False,  # the API key is meant for this server
    )


class InProcessTransport(httpx.BaseTransport):
    """Runs an ASGI application, with its lifespan, in a thread of this process, for a synchronous client."""

    def __init__(self, app: Any) -> None:
        # httpx's transport does not run the lifespan.
        self._transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        self._context = start_blocking_portal()
        self._portal = self._context.__enter__()
        self._lifespan = self._portal.wrap_async_context_manager(app.router.lifespan_context(app))
        try:
            self._lifespan.__enter__()
        except BaseException:
            self._context.__exit__(None, None, None)
            raise

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Return the application's response."""
        request.read()  # makes the body readable for the synchronous and the asynchronous client
        return self._portal.call(self._send, request)

    async def _send(self, request: httpx.Request) -> httpx.Response:
        response = await self._transport.handle_async_request(request)
        content = await response.aread()
        return httpx.Response(response.status_code, headers=response.headers, content=content)

    def close(self) -> None:
        """End the application's lifespan and the thread."""
        try:
            self._lifespan.__exit__(None, None, None)
        finally:
            self._context.__exit__(None, None, None)


def parse_retry_after(retry_after: str | None) -> float | None:
    """Return the seconds that a Retry-After header states (RFC 9110, section 10.2.3).

    Args:
        retry_after: a number of seconds, or a date; None if there is no header.

    Returns:
        The seconds, at most a day if it is a number; None if the header is missing or not valid.
    """
    if retry_after is None:
        return None
    try:
        if retry_after.strip().isdigit():
            return float(min(int(retry_after), 86_400))
        when = email.utils.parsedate_to_datetime(retry_after)
        return max(0.0, (when - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None


def _read_body(response: httpx.Response, max_bytes: int) -> bytes:
    if "Content-Encoding" in response.headers:
        # A piece of a few kilobytes can inflate to gigabytes before its length is known.
        raise ServingError("protocol", "the server's answer is compressed, which was not asked for")
    content = bytearray()
    for chunk in response.iter_bytes():
        content += chunk
        if len(content) > max_bytes:
            raise ServingError("protocol", "the server's answer is too long")
    return bytes(content)


def _to_unreachable_error(error: Exception) -> ServingError:
    return ServingError("unreachable", f"the endpoint does not answer ({type(error).__name__})")


def _read_refusal(status: int, content: bytes) -> ServingError:
    try:
        refusal = wire.Refusal.model_validate_json(content)
    except ValidationError:
        return ServingError("protocol", f"the server answered with status {status}")
    # Commands print the message: one line, not longer than a sentence, and nothing that steers a terminal.
    message = "".join(filter(str.isprintable, " ".join(refusal.message.split())))[:200]
    code = "protocol" if refusal.error in _OWN_CODES else refusal.error[:40]
    return ServingError(code, f"the server refused ({status}): {message}")
