"""The pool of worker processes. A worker that dies or hangs is replaced; the server itself evaluates nothing.

Tenants take turns (`lexveil.pipeline.serving.server.turns`), and a turn is one ciphertext: a long request of
one tenant does not delay a short one of another. If all workers are busy, a spare is lent to a tenant that
has no turn.

A request whose worker died is tried once more, on the worker that has served the fewest requests: a crash may
be the late effect of an earlier request. If that worker dies too, the request is to blame. It is refused, and
its digest is remembered, so that the same request crashes no more workers. Spare workers are kept loaded to
replace those that die.
"""

from __future__ import annotations

import asyncio
import logging
import pickle
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lexveil.pipeline.serving import bundles
from lexveil.pipeline.serving.server.errors import CallerGoneError
from lexveil.pipeline.serving.server.evaluation import (
    BusyError,
    IsGone,
    PoolState,
    RequestKilledError,
    WorkerLimits,
    WorkersUnavailableError,
)
from lexveil.pipeline.serving.server.turns import Turns
from lexveil.pipeline.serving.server.worker import Factory
from lexveil.pipeline.serving.server.worker_process import WorkerDiedError, WorkerProcess

log = logging.getLogger("lexveil.serving")

_REMEMBERED_KILLERS = 4096
_LONGEST_BACK_OFF = 30.0


@dataclass(eq=False, slots=True)
class _Waiter:
    """A request that waits for a worker.

    Attributes:
        tenant: its tenant.
        session: its session; None if it checks keys.
        is_new: no worker has begun it.
        is_retry: its first worker died.
        worker: the worker that it gets.
    """

    tenant: str
    session: str | None
    is_new: bool
    is_retry: bool
    worker: asyncio.Future[WorkerProcess]


async def _stays() -> bool:
    return False


class EvaluationPool:
    """Evaluates `limits.workers` requests at a time, in worker processes.

    Args:
        factory: builds the evaluators, in each worker. It must be picklable. None: `replace` brings one.
        limits: limits of the workers.
        on_death: called for every worker that had to be replaced.
        on_cpu: called with a tenant and the CPU seconds of each of its turns.
        weigh: returns the weight of a tenant.
        keys_folder: the folder with evaluation keys, the only one beside the code that workers may read.
    """

    def __init__(
        self,
        factory: Factory | None,
        limits: WorkerLimits,
        on_death: Callable[[], None] = lambda: None,
        on_cpu: Callable[[str, float], None] = lambda _tenant, _seconds: None,
        weigh: Callable[[str], float] = lambda _: 1.0,
        *,
        keys_folder: Path,
    ) -> None:
        self._keys_folder = keys_folder
        self._factory = factory
        self._pickled: bytes | None = None
        self._limits = limits
        self._on_death = on_death
        self._on_cpu = on_cpu
        self._idle: list[WorkerProcess] = []
        self._busy: set[WorkerProcess] = set()
        self._turns: Turns[_Waiter] = Turns(weigh)
        self._starting = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._killers: OrderedDict[str, None] = OrderedDict()
        self._seconds = 0.1  # duration of a request, smoothed
        self._closed = False

    async def start(self) -> None:
        """Start all workers, and return once the first one is ready.

        Raises:
            WorkersUnavailableError: it cannot be started.
        """
        if self._factory is not None:
            await self.replace(self._factory)
        self._spawn(self._check_periodically())

    async def replace(self, factory: Factory | None) -> None:
        """Switch to workers with other evaluators.

        The present workers continue until as many new ones are ready, and finish their requests.
        The first workers need not be complete: the call returns once one is ready.

        Args:
            factory: builds the evaluators; None: no worker is left.

        Raises:
            WorkersUnavailableError: they cannot be started. The present ones stay.
        """
        fresh: list[WorkerProcess] = []
        pickled = None if factory is None else pickle.dumps(factory)
        if pickled is not None:
            count = self._limits.workers if self._idle or self._busy else 1
            try:
                for _ in range(count):
                    fresh.append(await WorkerProcess.start(pickled, self._limits, self._keys_folder))
            except BaseException as error:
                for worker in fresh:
                    worker.kill()
                if not isinstance(error, (WorkerDiedError, OSError)):
                    raise
                raise WorkersUnavailableError("the workers cannot be started") from None
        if fresh and fresh[0].unconfined and self._pickled is None:  # once
            log.warning("workers are not fully confined", extra={"fields": {"missing": fresh[0].unconfined}})
        self._pickled = pickled  # busy workers with another one end when they are released
        for worker in self._idle:
            worker.kill()
        self._idle = fresh
        self._start_missing()
        self._assign_workers()

    async def close(self) -> None:
        """End all workers. Their requests should have finished."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for worker in (*self._idle, *self._busy):
            worker.kill()

    def state(self) -> PoolState:
        """Return the state of the workers and of the queue."""
        alive = sum(worker.alive for worker in (*self._idle, *self._busy))
        ready = alive > 0 and not self._closed
        return PoolState(ready, alive, len(self._busy), len(self._turns), self._queue_seconds())

    def process_ids(self) -> list[int]:
        """Return the ids of the worker processes."""
        return [worker.process_id for worker in (*self._idle, *self._busy)]

    async def answer(
        self,
        head: Mapping[str, Any],
        body: bytes,
        request_digest: str,
        tenant: str = "",
        is_gone: IsGone = _stays,
    ) -> bytes:
        """Answer a request in workers, ciphertext by ciphertext.

        Raises:
            WireError: the body is not a bundle.
            EvaluationRefusedError: the worker refuses the request.
            WorkerFailedError: the worker lacks memory or space.
            BusyError: no worker was free in time.
            RequestKilledError: the request crashed two workers.
            CallerGoneError: the caller has hung up meanwhile.
        """
        if request_digest in self._killers:
            raise RequestKilledError(first=False)
        if "session" not in head or bundles.read_claimed_count(body) == 1:
            return await self._take_turn(head, body, request_digest, tenant, is_new=True)
        replies: list[bytes] = []
        for blob in bundles.unbundle(body, head["max_count"], len(body)):
            if replies and await is_gone():
                raise CallerGoneError
            part = bundles.bundle([blob])
            reply = await self._take_turn(head, part, request_digest, tenant, is_new=not replies)
            replies += bundles.unbundle(reply, 1, len(reply))
        return bundles.bundle(replies)

    async def _take_turn(
        self, head: Mapping[str, Any], body: bytes, request_digest: str, tenant: str, *, is_new: bool
    ) -> bytes:
        session = head.get("session")
        for attempt in range(2):
            worker = await self._acquire(tenant, session, is_new=is_new and not attempt, is_retry=attempt > 0)
            try:
                start = time.monotonic()
                reply = await worker.ask(head, body, self._limits.request_seconds)
                self._seconds += 0.1 * (time.monotonic() - start - self._seconds)
                return reply
            except WorkerDiedError:
                self._on_death()
            finally:
                self._on_cpu(tenant, worker.cpu_seconds)
                self._turns.finish(tenant, worker.cpu_seconds)
                self._release(worker, session)
        self._killers[request_digest] = None
        while len(self._killers) > _REMEMBERED_KILLERS:
            self._killers.popitem(last=False)
        raise RequestKilledError(first=True)

    async def _acquire(
        self, tenant: str, session: str | None, *, is_new: bool, is_retry: bool
    ) -> WorkerProcess:
        if is_new and len(self._turns) >= self._limits.waiting:
            self._make_room(tenant)
        waiter = _Waiter(tenant, session, is_new, is_retry, asyncio.get_running_loop().create_future())
        # A request that has waited before, and lost its worker, goes first.
        self._turns.add(tenant, waiter, first=is_retry)
        self._assign_workers()
        try:
            async with asyncio.timeout(self._limits.waiting_seconds):
                return await waiter.worker
        except BaseException as error:
            self._turns.remove(tenant, waiter)
            if waiter.worker.done() and not waiter.worker.cancelled() and not waiter.worker.exception():
                self._turns.finish(tenant, 0.0)
                self._release(waiter.worker.result(), None)
            if isinstance(error, TimeoutError):
                raise BusyError(self._retry_after()) from None
            raise

    def _assign_workers(self) -> None:
        """Assign idle workers to waiting requests."""
        self._remove_dead()
        while self._idle and (waiter := self._turns.take(idle_tenants=self._is_full())) is not None:
            if waiter.worker.done():  # cancelled
                self._turns.finish(waiter.tenant, 0.0)
                continue
            worker = self._choose(waiter.session, waiter.is_retry)
            self._idle.remove(worker)
            self._busy.add(worker)
            waiter.worker.set_result(worker)

    def _is_full(self) -> bool:
        return len(self._busy) >= self._limits.workers

    def _make_room(self, tenant: str) -> None:
        """Reject the newest request of the tenant that has the most, to admit one of another tenant.

        Raises:
            BusyError: that is this tenant itself, or all of its requests have begun.
        """
        longest, waiters = self._turns.find_longest()
        if len(waiters) > self._turns.count(tenant) + 1:
            for waiter in reversed(waiters):
                if waiter.is_new and not waiter.worker.done():
                    self._turns.remove(longest, waiter)
                    waiter.worker.set_exception(BusyError(self._retry_after()))
                    return
        raise BusyError(self._retry_after())

    def _remove_dead(self) -> None:
        dead = [worker for worker in self._idle if not worker.alive]
        for worker in dead:
            self._idle.remove(worker)
            worker.kill()
            self._on_death()
        if dead:
            self._start_missing()

    def _choose(self, session: str | None, is_retry: bool) -> WorkerProcess:
        if is_retry:
            return min(self._idle, key=lambda worker: worker.requests)
        # Loading keys takes about as long as a request. Spares stay unused as long as possible.
        return max(self._idle, key=lambda worker: (session in worker.sessions, worker.requests))

    def _release(self, worker: WorkerProcess, session: str | None) -> None:
        self._busy.discard(worker)
        if worker.alive and not self._closed and worker.pickled is self._pickled:
            if session is not None:
                worker.sessions[session] = None
                worker.sessions.move_to_end(session)
                while len(worker.sessions) > self._limits.cached_keys:
                    worker.sessions.popitem(last=False)
            self._idle.append(worker)
        else:
            worker.kill()
            self._start_missing()
        self._assign_workers()

    def _retry_after(self) -> int:
        return max(1, round(self._queue_seconds()))

    def _queue_seconds(self) -> float:
        return len(self._turns) * self._seconds / self._limits.workers

    def _start_missing(self) -> None:
        target = 0 if self._pickled is None else self._limits.workers + self._limits.spares
        while not self._closed and len(self._idle) + len(self._busy) + self._starting < target:
            self._starting += 1
            self._spawn(self._start_one())

    async def _start_one(self) -> None:
        pause = 0.1
        while (pickled := self._pickled) is not None:
            try:
                worker = await WorkerProcess.start(pickled, self._limits, self._keys_folder)
            except (WorkerDiedError, OSError):
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_BACK_OFF)
                continue
            if pickled is self._pickled:
                self._idle.append(worker)
                break
            worker.kill()  # replaced meanwhile
        self._starting -= 1
        self._assign_workers()

    async def _check_periodically(self) -> None:
        while True:
            await asyncio.sleep(1)
            self._assign_workers()

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
