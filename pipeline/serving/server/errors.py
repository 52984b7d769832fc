"""The base class of all refusals: an error that becomes a response; and those that several modules raise."""

from __future__ import annotations

from lexveil.pipeline.errors import EndpointError


class RefusalError(Exception):
    """A request is refused. The response has this status, and `wire.Refusal` as its body.

    Attributes:
        status: HTTP status.
        code: code for programs, the field `error` of `wire.Refusal`.
        retry_after: seconds for the header Retry-After; None to send no such header.
    """

    def __init__(self, status: int, code: str, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after = retry_after


class UnauthorizedError(RefusalError):
    """The API key is missing, unknown or revoked; or no keys were issued, and the local token is missing."""

    def __init__(self) -> None:
        message = "an API key is needed, unless you are the server's user on its machine"
        super().__init__(401, "unauthorized", message)


class CallerGoneError(RefusalError):
    """Nobody waits for the answer any more."""

    def __init__(self) -> None:
        super().__init__(408, "gone", "the connection ended before the answer")


class StorageFullError(RefusalError):
    """What a request would have to store cannot be stored now."""

    def __init__(self) -> None:
        super().__init__(503, "storage", "the server cannot store anything now: try again later", 10)


class StateUnavailableError(RefusalError):
    """The database that the replicas share does not answer."""

    def __init__(self) -> None:
        super().__init__(503, "state", "the server cannot reach its database: try again later", 2)


class DatabaseAwayError(EndpointError):
    """The database that the replicas share does not answer while a process starts; it may later."""
