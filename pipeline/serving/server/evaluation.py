"""Evaluation of requests: its interface, limits and errors, and an evaluation in the server's own process."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import anyio.to_thread

from lexveil.pipeline.serving.server.errors import RefusalError
from lexveil.pipeline.serving.server.worker import Factory, RequestEvaluator

IsGone = Callable[[], Awaitable[bool]]


class BusyError(RefusalError):
    """Too many requests are waiting, or this one has waited too long."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(503, "busy", "the server is busy: try again later", retry_after)


class RequestKilledError(RefusalError):
    """The request has crashed two workers.

    Attributes:
        first: True if it did so now, False if it did so earlier.
    """

    def __init__(self, first: bool) -> None:
        super().__init__(422, "killed", "this request ended its worker twice and is not tried again")
        self.first = first


class WorkersUnavailableError(Exception):
    """No worker can be started."""


class EvaluationBackend(Protocol):
    """Evaluates requests: in worker processes, or in this process."""

    async def answer(
        self, head: Mapping[str, Any], body: bytes, request_digest: str, tenant: str, is_gone: IsGone
    ) -> bytes:
        """Answer a request like `RequestEvaluator.answer`.

        Args:
            head: head of the request.
            body: body of the request.
            request_digest: digest by which the same request is recognized.
            tenant: whose turns it takes.
            is_gone: returns True if the caller has hung up, for whom no more is evaluated.

        Raises:
            RefusalError: the request is refused, or no worker is free.
        """
        ...

    async def replace(self, factory: Factory | None) -> None:
        """Switch to other evaluators; requests in progress finish first. None: there are none.

        Raises:
            WorkersUnavailableError: they cannot be built. The present ones stay.
        """
        ...

    def state(self) -> PoolState:
        """Return the state of the workers."""
        ...


@dataclass(frozen=True, slots=True)
class PoolState:
    """State of a pool, for `/readyz` and `/metrics`.

    Attributes:
        ready: requests can be evaluated.
        alive: number of worker processes.
        busy: number of workers that evaluate a request.
        waiting: number of requests that wait for a worker.
        queue_seconds: estimated time until all waiting requests are evaluated, at the recent speed.
    """

    ready: bool
    alive: int = 1
    busy: int = 0
    waiting: int = 0
    queue_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """Limits of the workers and of the queue for them.

    Attributes:
        workers: number of requests that are evaluated at a time.
        spares: number of workers that are kept loaded beyond `workers`.
        memory_bytes: address space of a worker.
        request_seconds: CPU time of a worker for one ciphertext, or for the check of keys.
        cached_keys: number of sessions whose keys a worker holds in memory.
        waiting: number of requests that may wait for a worker.
        waiting_seconds: time that a request may wait.
    """

    workers: int = 1
    spares: int = 1
    memory_bytes: int = 3 << 30
    request_seconds: float = 30.0
    cached_keys: int = 16
    waiting: int = 64
    waiting_seconds: float = 30.0


class InProcessEvaluation:
    """Evaluates in this process, one request at a time: for tests and for checks of one's own head."""

    def __init__(self, cached_keys: int, on_cpu: Callable[[str, float], None]) -> None:
        self._cached_keys = cached_keys
        self._evaluator: RequestEvaluator | None = None
        self._limiter = anyio.CapacityLimiter(1)
        self._on_cpu = on_cpu

    async def replace(self, factory: Factory | None) -> None:
        """Build other evaluators."""
        built = None if factory is None else await anyio.to_thread.run_sync(factory)
        self._evaluator = None if built is None else RequestEvaluator(built, self._cached_keys)

    async def answer(
        self, head: Mapping[str, Any], body: bytes, request_digest: str, tenant: str, is_gone: IsGone
    ) -> bytes:
        """Answer a request like `RequestEvaluator.answer`."""
        del is_gone
        evaluator = self._evaluator
        if evaluator is None:
            raise BusyError(1)
        seconds = 0.0

        def measure() -> bytes:
            nonlocal seconds
            start = time.thread_time()
            try:
                return evaluator.answer(head, body)
            finally:
                seconds = time.thread_time() - start

        try:
            return await anyio.to_thread.run_sync(measure, limiter=self._limiter)
        finally:
            self._on_cpu(tenant, seconds)

    def state(self) -> PoolState:
        """Return the state of a pool of one worker."""
        return PoolState(self._evaluator is not None)
