"""Worker processes for shards: one Python lock and one heap each, gone when their parent is gone."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from types import TracebackType
from typing import Protocol, TypeVar

from lexveil.nlp.recognizers.presidio_import import keep_model_libraries_out_of_presidio
from lexveil.pipeline.errors import StageError
from lexveil.pipeline.logs import seal_errors, set_up_logging
from lexveil.pipeline.records import ForEach, Shard, ShardResult, Work

T = TypeVar("T")
R = TypeVar("R")


class Progress(Protocol):
    """Is told how far a stage is: steps done of all, and the documents in them where they are counted."""

    def __call__(self, stage: str, done: int, total: int, documents: int = 0) -> None: ...


# One thread a worker: the shards are the parallelism, and torch must see this before its import.
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
_MOST_WORKERS = 4
_ORPHAN_CHECK_SECONDS = 0.2


class Stopped(StageError):
    """The workers were sent home before the shard was done; trying again is of no use."""


def default_workers() -> int:
    """The cores this process may use, at most 4: each worker holds models of its own in memory."""
    return min(len(os.sched_getaffinity(0)), _MOST_WORKERS)


def _start_worker(parent: int) -> None:
    os.environ.update(ONE_THREAD)
    keep_model_libraries_out_of_presidio()
    set_up_logging()
    leave_with(parent)


def leave_with(parent: int) -> None:
    """End this process soon after its parent."""
    threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()


def _leave_with(parent: int) -> None:
    # After kill -9 of the parent, a worker would wait for ever, and could write after a second run began.
    while os.getppid() == parent:
        time.sleep(_ORPHAN_CHECK_SECONDS)
    os._exit(1)


def carry_out(stage: str, work: Callable[[T], R], item: T, seconds: int | None) -> R:
    """One item in a worker process, which dies where it takes longer than `seconds`."""
    # The system's own timer: a thread or an exception would wait for a regular expression that never ends.
    signal.setitimer(signal.ITIMER_REAL, seconds or 0)
    try:
        return seal_errors(stage)(work)(item)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def died_twice(stage: str, item: object) -> StageError:
    """The error of an item that no worker survives."""
    which = f"shard {item.index}" if isinstance(item, Shard) else "the same records"
    return StageError(
        f"{stage}: a worker process died twice over {which}, of too little memory or past its time limit"
    )


def with_progress(each: ForEach, tell: Progress | None) -> ForEach:
    """The same `ForEach`, telling its progress."""
    if tell is None:
        return each

    def telling(stage: str, work: Work, shards: Sequence[Shard]) -> Iterator[ShardResult]:
        documents = 0
        tell(stage, 0, len(shards))
        for done, result in enumerate(each(stage, work, shards), start=1):
            documents += result.rows
            tell(stage, done, len(shards), documents)
            yield result

    return telling


class WorkerPool:
    """Spawned processes that keep their models between shards.

    A worker that dies (out of memory, a crash in a native library, `seconds` over one item) is replaced, its
    shard tried once more.
    """

    def __init__(self, workers: int | None = None, seconds: int | None = None) -> None:
        self.workers = workers or default_workers()
        self._seconds = seconds
        self._closed = False
        self._lock = threading.Lock()
        self._executor: ProcessPoolExecutor | None = None

    def __enter__(self) -> WorkerPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._closed = True
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=error is None, cancel_futures=True)

    def run(self, stage: str, work: Work, shard: Shard) -> ShardResult:
        """Carry out one shard and wait for it."""
        return self._outcome(self._submit(stage, work, shard), work, shard, stage)

    def each(self, stage: str, work: Work, shards: Sequence[Shard]) -> Iterator[ShardResult]:
        """A `ForEach` without a scheduler: results as they come."""
        waiting = {self._submit(stage, work, shard): shard for shard in shards}
        for done in as_completed(waiting):
            yield self._outcome(done, work, waiting[done], stage)

    def ordered(self, work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """Like `map`, with a bounded number of items under way."""
        waiting: deque[tuple[Future[R], T]] = deque()
        for item in items:
            waiting.append((self._submit("records", work, item), item))
            if len(waiting) > 2 * self.workers:
                future, oldest = waiting.popleft()
                yield self._outcome(future, work, oldest, "records")
        for future, item in waiting:
            yield self._outcome(future, work, item, "records")

    def _submit(self, stage: str, work: Callable[[T], R], item: T) -> Future[R]:
        while True:
            executor = self._current()
            try:
                return executor.submit(carry_out, stage, work, item, self._seconds)
            except BrokenProcessPool:  # a worker has died since over an earlier item
                self._replace(executor)

    def _outcome(self, future: Future[R], work: Callable[[T], R], item: T, stage: str) -> R:
        # All that is under way fails with a dead worker, so the blame is not known before a second attempt.
        try:
            with suppress(BrokenProcessPool):
                return future.result()
            return self._submit(stage, work, item).result()
        except BrokenProcessPool:
            raise died_twice(stage, item) from None
        except CancelledError:
            raise Stopped(f"{stage}: stopped") from None

    def _current(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._closed:
                raise Stopped("the workers were sent home")
            if self._executor is None:
                self._executor = ProcessPoolExecutor(
                    self.workers,
                    mp_context=multiprocessing.get_context("spawn"),
                    initializer=_start_worker,
                    initargs=(os.getpid(),),
                )
            return self._executor

    def _replace(self, broken: ProcessPoolExecutor) -> None:
        with self._lock:
            if self._executor is broken:
                self._executor = None
        broken.shutdown(wait=False, cancel_futures=True)
