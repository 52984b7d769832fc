"""The base class of all refusals: an error that becomes a response."""

from __future__ import annotations


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
