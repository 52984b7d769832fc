"""Worker processes for shards, each with its own interpreter lock and heap; they end with their parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import TypeVar

from lexveil.flows.environment import collect_seldom, set_environment
from lexveil.nlp.recognizers.presidio_import import keep_model_libraries_out_of_presidio
from lexveil.pipeline.errors import StageError
from lexveil.pipeline.logs import seal_errors, set_up_logging
from lexveil.pipeline.records import ForEach, Progress, Shard, ShardResult, Work

T = TypeVar("T")
R = TypeVar("R")


# One thread per worker: the shards are the parallelism. Set before torch is imported.
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
_MAX_WORKERS = 4
_ENVIRONMENT = threading.Lock()
_ORPHAN_CHECK_SECONDS = 0.2


class PoolClosedError(StageError):
    """The pool was shut down before the shard finished; retrying will not help."""


def default_workers() -> int:
    """Return the number of cores that this process may use, at most 4: each worker loads its own models."""
    return min(len(os.sched_getaffinity(0)), _MAX_WORKERS)


@contextmanager
def _safe_path() -> Generator[None, None, None]:
    """Let an interpreter that is started here import nothing of the working folder, such as a `pickle.py`."""
    with _ENVIRONMENT, set_environment({"PYTHONSAFEPATH": "1"}):
        yield


def _start_worker(parent: int) -> None:
    collect_seldom()
    os.environ.update(ONE_THREAD)
    keep_model_libraries_out_of_presidio()
    set_up_logging()
    exit_with_parent(parent)


def exit_with_parent(parent: int) -> None:
    """End this process soon after its parent."""
    threading.Thread(target=_exit_with_parent, args=(parent,), daemon=True).start()


def _exit_with_parent(parent: int) -> None:
    # After kill -9 of the parent, a worker would wait forever, and could write after a second run began.
    while os.getppid() == parent:
        time.sleep(_ORPHAN_CHECK_SECONDS)
    os._exit(1)


def run_item(stage: str, work: Callable[[T], R], item: T, seconds: int | None) -> R:
    """Process one item in a worker process, which dies if that takes longer than `seconds`."""
    # The system's timer: a thread or an exception would wait for a regular expression that never ends.
    signal.setitimer(signal.ITIMER_REAL, seconds or 0)
    try:
        return seal_errors(stage)(work)(item)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def describe_death(stage: str, item: object) -> StageError:
    """Return the error for an item that no worker survives."""
    which = f"shard {item.index}" if isinstance(item, Shard) else "the same records"
    return StageError(
        f"{stage}: a worker process died twice over {which}, of too little memory or past its time limit"
    )


def with_progress(each: ForEach, listener: Progress | None) -> ForEach:
    """Wrap a `ForEach` so that it reports its progress to the listener."""
    if listener is None:
        return each

    def reporting(stage: str, work: Work, shards: Sequence[Shard]) -> Iterator[ShardResult]:
        documents = 0
        listener(stage, 0, len(shards))
        for done, result in enumerate(each(stage, work, shards), start=1):
            documents += result.rows
            listener(stage, done, len(shards), documents)
            yield result

    return reporting


def _is_broken(executor: ProcessPoolExecutor) -> bool:
    try:
        with _safe_path():
            executor.submit(os.getpid)
    except BrokenProcessPool:
        return True
    return False


class WorkerPool:
    """Spawned processes that keep their models between shards.

    A worker that dies (out of memory, a crash in a native library, more than `seconds` for one item) is
    replaced, and its shard is tried once more.
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
        """Process one shard and wait for it."""
        return self._outcome(self._submit(stage, work, shard), work, shard, stage)

    def each(self, stage: str, work: Work, shards: Sequence[Shard]) -> Iterator[ShardResult]:
        """Process shards as a `ForEach` without a scheduler; results in any order."""
        waiting = {self._submit(stage, work, shard): shard for shard in shards}
        for done in as_completed(waiting):
            yield self._outcome(done, work, waiting[done], stage)

    def ordered(self, work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
        """Process items like `map`, in order, with a bounded number of them submitted."""
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
                with _safe_path():  # the executor starts a worker here
                    return executor.submit(run_item, stage, work, item, self._seconds)
            except BrokenProcessPool:  # a worker has since died of an earlier item
                self._replace(executor)
            except OSError:
                # Before Python 3.12, a worker that starts while another one dies finds the pipe closed.
                if not _is_broken(executor):
                    raise
                self._replace(executor)

    def _outcome(self, future: Future[R], work: Callable[[T], R], item: T, stage: str) -> R:
        # A dead worker fails all submitted items, so only a second attempt shows which item is to blame.
        try:
            with suppress(BrokenProcessPool):
                return future.result()
            return self._submit(stage, work, item).result()
        except BrokenProcessPool:
            raise describe_death(stage, item) from None
        except CancelledError:
            raise PoolClosedError(f"{stage}: stopped") from None

    def _current(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._closed:
                raise PoolClosedError("the pool was shut down")
            if self._executor is None:
                with _safe_path():  # its locks start an interpreter, too
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
