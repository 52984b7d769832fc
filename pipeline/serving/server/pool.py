"""The pool of worker processes. A worker that dies or hangs is replaced; the server never computes itself.

A request whose worker died is tried once more, on the freshest worker there is: a crash may be the late
effect of an earlier request. When that one dies too the request is to blame, is refused, and its digest is
remembered, so that sending it again kills nobody. Spare workers stand ready, loaded, for those that die.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pickle
import socket
import subprocess
import sys
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import anyio.to_thread

from lexveil.pipeline.serving.server.worker import (
    LENGTHS,
    Evaluations,
    Evaluators,
    Factory,
    Refused,
    frame_head,
)

_START_SECONDS = 60.0
_GRACE_SECONDS = 2.0  # past the worker's own timer
_REMEMBERED_KILLERS = 4096
_LONGEST_BACK_OFF = 30.0
_ROOT = Path(__file__).parents[4]  # of the package, wherever it is installed
# A worker gets nothing else of the environment: no key, no address.
_ENVIRONMENT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONPATH")


class Busy(Exception):
    """More requests wait than may. retry_after: seconds after which there should be room."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("the server is busy")
        self.retry_after = retry_after


class Killed(Exception):
    """This request ended two workers, now or before. first: now."""

    def __init__(self, first: bool) -> None:
        super().__init__("the request ended its worker")
        self.first = first


class Unavailable(Exception):
    """No worker can be started."""


class Evaluating(Protocol):
    """What the application needs: worker processes, or the evaluators in this one."""

    async def answer(self, head: Mapping[str, Any], body: bytes, request_digest: str) -> bytes: ...

    def state(self) -> PoolState: ...


@dataclass(frozen=True, slots=True)
class PoolState:
    """For `/readyz` and `/metrics`."""

    ready: bool
    alive: int = 1
    busy: int = 0
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """memory_bytes: of a worker's address space. request_seconds: of one request, in a worker.

    waiting: requests that may wait for a worker, for `waiting_seconds` at most. spares: workers above
    `workers` that stand ready.
    """

    workers: int = 1
    spares: int = 1
    memory_bytes: int = 3 << 30
    request_seconds: float = 30.0
    cached_keys: int = 16
    waiting: int = 64
    waiting_seconds: float = 30.0


class InProcess:
    """The evaluators in this process, one request at a time: for tests and for checks of one's own head."""

    def __init__(self, evaluators: Evaluators, cached_keys: int = 16) -> None:
        self._evaluations = Evaluations(evaluators, cached_keys)
        self._one = anyio.CapacityLimiter(1)

    async def answer(self, head: Mapping[str, Any], body: bytes, request_digest: str) -> bytes:
        return await anyio.to_thread.run_sync(self._evaluations.answer, head, body, limiter=self._one)

    def state(self) -> PoolState:
        return PoolState(ready=True)


class _Died(Exception):
    pass


class _Worker:
    """One process. `sessions`: whose keys it has loaded, or had."""

    def __init__(self, process: subprocess.Popen[bytes], connection: socket.socket) -> None:
        self._process = process
        self._connection = connection
        self.requests = 0
        self.sessions: OrderedDict[str, None] = OrderedDict()

    @classmethod
    async def start(cls, pickled: bytes, limits: WorkerLimits) -> _Worker:
        """Raises `_Died` when it does not get ready."""
        ours, theirs = socket.socketpair()
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        paths = [str(_ROOT), *filter(None, [environment.get("PYTHONPATH")])]
        environment |= {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
        program = [sys.executable, "-m", "lexveil.pipeline.serving.server.worker", str(theirs.fileno())]
        with theirs:
            process = subprocess.Popen(
                [*program, str(limits.memory_bytes)],
                pass_fds=[theirs.fileno()],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # a Ctrl-C at the terminal is the server's: requests finish first
            )
        ours.setblocking(False)
        worker = cls(process, ours)
        told, _ = await worker._exchange({"cached_keys": limits.cached_keys}, pickled, _START_SECONDS)
        if "ready" not in told:
            worker.kill()
            raise _Died
        return worker

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    async def ask(self, head: Mapping[str, Any], body: bytes, seconds: float) -> bytes:
        """Raises `Refused`, and `_Died` when the process is gone, hangs, or was left in the middle."""
        self.requests += 1
        told, reply = await self._exchange({**head, "seconds": seconds}, body, seconds + _GRACE_SECONDS)
        if "refused" in told:
            raise Refused(str(told["refused"])[:40], " ".join(str(told["message"]).split())[:200])
        return reply

    async def _exchange(
        self, head: Mapping[str, Any], body: bytes, seconds: float
    ) -> tuple[dict[str, Any], bytes]:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds):
                await loop.sock_sendall(self._connection, frame_head(head, len(body)))
                await loop.sock_sendall(self._connection, body)
                lengths = LENGTHS.unpack(await self._exactly(LENGTHS.size))
                return json.loads(await self._exactly(lengths[0])), await self._exactly(lengths[1])
        except (OSError, EOFError, ValueError, TimeoutError):
            self.kill()
            raise _Died from None
        except BaseException:  # cancelled: what it would answer next belongs to nobody
            self.kill()
            raise

    async def _exactly(self, length: int) -> bytes:
        content = bytearray(length)
        view = memoryview(content)
        while view:
            count = await asyncio.get_running_loop().sock_recv_into(self._connection, view)
            if not count:
                raise EOFError
            view = view[count:]
        return bytes(content)

    def kill(self) -> None:
        self._process.kill()
        self._connection.close()
        self._process.wait()


@dataclass(eq=False, slots=True)
class _Waiter:
    session: str | None
    fresh: bool
    worker: asyncio.Future[_Worker]


class WorkerPool:
    """`limits.workers` requests at a time. `on_death`: told of every worker that had to be replaced."""

    def __init__(
        self, factory: Factory, limits: WorkerLimits, on_death: Callable[[], None] = lambda: None
    ) -> None:
        self._pickled = pickle.dumps(factory)
        self._limits = limits
        self._on_death = on_death
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()
        self._waiting: deque[_Waiter] = deque()
        self._starting = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._killers: OrderedDict[str, None] = OrderedDict()
        self._seconds = 0.1  # what a request takes, smoothed
        self._closed = False

    async def start(self) -> None:
        """Starts all workers, and returns when one is ready. Raises `Unavailable`."""
        try:
            self._idle.append(await _Worker.start(self._pickled, self._limits))
        except _Died:
            raise Unavailable("the workers cannot be started") from None
        self._refill()
        self._spawn(self._watch())

    async def close(self) -> None:
        """Ends all workers; requests should have finished."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for worker in (*self._idle, *self._busy):
            worker.kill()

    def state(self) -> PoolState:
        alive = sum(worker.alive for worker in (*self._idle, *self._busy))
        return PoolState(alive > 0 and not self._closed, alive, len(self._busy), len(self._waiting))

    def process_ids(self) -> list[int]:
        return [worker._process.pid for worker in (*self._idle, *self._busy)]  # pyright: ignore[reportPrivateUsage]

    async def answer(self, head: Mapping[str, Any], body: bytes, request_digest: str) -> bytes:
        """Raises `Refused`, `Busy`, `Killed` or `Unavailable`."""
        if request_digest in self._killers:
            raise Killed(first=False)
        for attempt in range(2):
            worker = await self._acquire(head.get("session"), fresh=attempt > 0)
            try:
                start = time.monotonic()
                reply = await worker.ask(head, body, self._limits.request_seconds)
                self._seconds += 0.1 * (time.monotonic() - start - self._seconds)
                return reply
            except _Died:
                self._on_death()
            finally:
                self._release(worker, head.get("session"))
        self._killers[request_digest] = None
        while len(self._killers) > _REMEMBERED_KILLERS:
            self._killers.popitem(last=False)
        raise Killed(first=True)

    async def _acquire(self, session: str | None, *, fresh: bool) -> _Worker:
        if len(self._waiting) >= self._limits.waiting and not fresh:
            raise Busy(self._retry_after())
        waiter = _Waiter(session, fresh, asyncio.get_running_loop().create_future())
        # Who has waited once and lost a worker goes first.
        (self._waiting.appendleft if fresh else self._waiting.append)(waiter)
        self._hand_out()
        try:
            async with asyncio.timeout(self._limits.waiting_seconds):
                return await waiter.worker
        except BaseException as error:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            if waiter.worker.done() and not waiter.worker.cancelled():
                self._release(waiter.worker.result(), None)
            if isinstance(error, TimeoutError):
                raise Busy(self._retry_after()) from None
            raise

    def _hand_out(self) -> None:
        """Workers to those who wait, while there are any."""
        self._bury()
        while self._waiting and self._idle and len(self._busy) < self._limits.workers:
            waiter = self._waiting.popleft()
            if waiter.worker.done():  # given up
                continue
            worker = self._choose(waiter.session, waiter.fresh)
            self._idle.remove(worker)
            self._busy.add(worker)
            waiter.worker.set_result(worker)

    def _bury(self) -> None:
        gone = [worker for worker in self._idle if not worker.alive]
        for worker in gone:
            self._idle.remove(worker)
            worker.kill()
            self._on_death()
        if gone:
            self._refill()

    def _choose(self, session: str | None, fresh: bool) -> _Worker:
        if fresh:
            return min(self._idle, key=lambda worker: worker.requests)
        # Keys take about as long to load as a request to compute. Spares stay unused while they can.
        return max(self._idle, key=lambda worker: (session in worker.sessions, worker.requests))

    def _release(self, worker: _Worker, session: str | None) -> None:
        self._busy.discard(worker)
        if worker.alive and not self._closed:
            if session is not None:
                worker.sessions[session] = None
                worker.sessions.move_to_end(session)
                while len(worker.sessions) > self._limits.cached_keys:
                    worker.sessions.popitem(last=False)
            self._idle.append(worker)
        else:
            worker.kill()
            self._refill()
        self._hand_out()

    def _retry_after(self) -> int:
        return max(1, round(len(self._waiting) * self._seconds / self._limits.workers))

    def _refill(self) -> None:
        wanted = self._limits.workers + self._limits.spares
        while not self._closed and len(self._idle) + len(self._busy) + self._starting < wanted:
            self._starting += 1
            self._spawn(self._start_one())

    async def _start_one(self) -> None:
        pause = 0.1
        while True:
            try:
                worker = await _Worker.start(self._pickled, self._limits)
                break
            except (_Died, OSError):
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_BACK_OFF)
        self._starting -= 1
        self._idle.append(worker)
        self._hand_out()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(1)
            self._hand_out()

    def _spawn(self, coroutine: Any) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def memory_of(process_ids: list[int]) -> int:
    """Resident bytes of these processes."""
    total = 0
    for process_id in process_ids:
        with contextlib.suppress(OSError, ValueError, IndexError):
            pages = Path(f"/proc/{process_id}/statm").read_text().split()[1]
            total += int(pages) * os.sysconf("SC_PAGE_SIZE")
    return total
