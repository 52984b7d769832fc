"""The readers in a separate process: a file has limits, and a failure affects that file only.

The process is lean (no model, no key), is used for many files, and is replaced after it has died. It may use
`Limits.max_memory` for its data, `Limits.max_seconds` of CPU time for one document or record, and ten times
as long by the clock, since another program recognizes the text of pictures.

The functions here are those of `documents` and `records` with the same names. In place of a document that
ended the process there is a reason: over_time, over_memory or crashed.
"""

from __future__ import annotations

import atexit
import io
import json
import os
import pickle
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, cast

from lexveil.nlp.environment import select_environment
from lexveil.nlp.readers.child import BEGUN, END, FOLDER_PREFIX, ITEMS, LENGTH, NEXT, REFUSED, STOP
from lexveil.nlp.readers.contract import Limits, Reason, UnreadableError
from lexveil.nlp.readers.records import Record, Slice
from lexveil.nlp.readers.walk import Place, Reading

_CLOCK_FACTOR = 10
_MOST_DEATHS = 100
"""How often the process may die over one file before the rest of the file is given up."""
_MOST_MISSES = 4
"""How many records in a row may end the process before the rest of their slice is given up."""
_RECORDS_PER_FRAME = 64
_START_SECONDS = 60.0
_STOP_SECONDS = 5.0
_PIECE = 1 << 20
_CALLS_PER_PROCESS = 2_000
_LARGE_FRAME_BYTES = 4 << 20
_ENVIRONMENT = ("HOME", "PYTHON*", "TESS*", "OMP_*", "COV_*")
# The only types accepted from the process, which hostile bytes may have taken over.
_DATA = {
    ("lexveil.nlp.readers.contract", "Reason"),
    ("lexveil.nlp.readers.contract", "Note"),
    ("lexveil.nlp.readers.walk", "Reading"),
    ("lexveil.nlp.readers.records", "Slice"),
    ("datetime", "date"),
    ("datetime", "datetime"),
    ("datetime", "time"),
    ("datetime", "timedelta"),
    ("datetime", "timezone"),
    ("decimal", "Decimal"),
    ("uuid", "UUID"),
}


def read_documents(path: Path, limits: Limits | None = None) -> Iterator[Reading]:
    """Read the documents of a file, as `documents.read_documents` does."""
    return _read_readings("documents", (path.absolute(),), limits or Limits())


def read_content_documents(name: str, data: bytes, limits: Limits | None = None) -> Iterator[Reading]:
    """Read the documents of a file whose bytes are already in memory."""
    return _read_readings("content", (name, data), limits or Limits())


def read_document(path: Path, limits: Limits | None = None) -> str:
    """Read the whole text of a file, as `documents.read_document` does.

    Raises:
        UnreadableError: The file cannot be read.
    """
    return read_whole(path, limits)[0]


def read_whole(path: Path, limits: Limits | None = None) -> tuple[str, list[Mapping[str, str]]]:
    """Read the whole text of a file, and facts that its format states, as `documents.read_whole` does.

    Raises:
        UnreadableError: The file cannot be read.
    """
    limits = limits or Limits()
    with closing(_call("whole", (path.absolute(), limits), limits)) as answer:
        return cast("tuple[str, list[Mapping[str, str]]]", next(answer))


def plan_slices(
    path: Path, limits: Limits | None = None, max_records: int = 256, max_bytes: int = 8 << 20
) -> Iterator[Slice]:
    """Divide a file of records into slices, as `records.plan_slices` does.

    Raises:
        UnreadableError: As there; and wherever the process dies.
    """
    limits = limits or Limits()
    yield from cast(Iterator[Slice], _call("plan", (path.absolute(), limits, max_records, max_bytes), limits))


def run(function: Callable[..., bytes | None], *arguments: object, limits: Limits) -> bytes | None:
    """Call a function on a file, and return its result.

    Args:
        function: function of a module, which the process imports.
        arguments: what it is called with.
        limits: bounds on the process.

    Raises:
        UnreadableError: It raised an exception, or the process died.
    """
    with closing(_call("run", (function, *arguments), limits)) as answer:
        return cast("bytes | None", next(answer))


def read_slice(
    path: Path, piece: Slice, limits: Limits | None = None, text_field: str | None = None
) -> Iterator[Record | Reason]:
    """Read the records of a slice, as `records.read_slice` does.

    Raises:
        UnreadableError: As there.
    """
    limits = limits or Limits()
    given = 0
    most, misses = _RECORDS_PER_FRAME, 0
    while given < piece.count:
        try:
            with closing(
                _call("slice", (path.absolute(), piece, limits, given, text_field), limits, most)
            ) as records:
                for record in records:
                    yield cast("Record | Reason", record)
                    given, misses = given + 1, 0
            return
        except _DiedError as died:
            if most > 1:
                most = 1  # again, one by one, to find the record
            elif misses >= _MOST_MISSES:  # it dies before it reaches the record
                for _ in range(piece.count - given):
                    yield died.reason
                return
            else:
                yield died.reason
                given, misses = given + 1, misses + 1


def _read_readings(call: str, what: tuple[Any, ...], limits: Limits) -> Iterator[Reading]:
    refused: dict[tuple[int, ...], Reason] = {}
    start = Place()
    given = skipped = 0
    while True:
        try:
            with closing(_call(call, (*what, limits, refused, start), limits)) as readings:
                for number, reading in enumerate(readings, skipped):
                    if number == given:
                        given += 1
                        yield cast(Reading, reading)
            return
        except _DiedError as died:
            path = died.place.path
            # It dies over what contains the rest, or again, as while the members of an archive are listed.
            contains_rest = not path or path == start.path[: len(path)] != start.path
            if contains_rest or path in refused or len(refused) >= _MOST_DEATHS:
                yield Reading("" if not given else "rest", reason=died.reason)
                return
            refused[path] = died.reason
            if died.start.is_start:
                start, skipped = died.start, skipped + died.given
        except UnreadableError as error:
            yield Reading("" if not given else "rest", reason=error.reason)
            return


class _DiedError(UnreadableError):
    """The process died, or had to be abandoned.

    Attributes:
        place: Where it was.
        start: Where another one may begin.
        given: Number of items that it had sent before that place.
    """

    def __init__(self, reason: Reason, place: Place, start: Place, given: int) -> None:
        super().__init__(reason)
        self.place = place
        self.start = start
        self.given = given


class _DataUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _DATA:
            raise pickle.UnpicklingError
        return super().find_class(module, name)


class _Process:
    """A process that reads files.

    Attributes:
        is_ready: True while it waits for a call.
    """

    def __init__(self) -> None:
        environment = select_environment(*_ENVIRONMENT)
        self._owner = os.getpid()
        # For the files of its programs, which would remain if it is killed.
        environment["TMPDIR"] = self._folder = tempfile.mkdtemp(prefix=FOLDER_PREFIX)
        self._popen = subprocess.Popen(
            [sys.executable, "-P", "-m", "lexveil.nlp.readers.child"],  # no code of the working folder
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,  # an interrupt ends the parent first; its own programs end with it
        )
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        self._requests, self._answers = self._popen.stdin, self._popen.stdout.fileno()
        self._poll = select.poll()
        self._poll.register(self._answers, select.POLLIN)
        self._calls = self._largest_frame = 0
        self.is_ready = False
        try:
            self._read(1, time.monotonic() + _START_SECONDS)
        except (OSError, EOFError):
            self.kill()
            raise RuntimeError("the process that reads files does not start") from None
        self.is_ready = True

    def is_usable(self) -> bool:
        """Return True if the process can take another call."""
        # What has held a large document keeps its memory.
        used_up = self._calls >= _CALLS_PER_PROCESS or self._largest_frame > _LARGE_FRAME_BYTES
        is_own = self._owner == os.getpid()
        return self.is_ready and is_own and not used_up and self._popen.poll() is None

    def call(self, name: str, arguments: tuple[Any, ...], limits: Limits, most: int) -> Iterator[object]:
        """Call a function and yield what it yields.

        Raises:
            UnreadableError: The function raised it, or the process died (`_DiedError`).
        """
        self._calls += 1
        self.is_ready = False
        place = start = Place()
        given = given_before = 0
        try:
            self._send(pickle.dumps((name, arguments, limits, most)))
            while True:
                kind, content = self._receive(limits.max_seconds * _CLOCK_FACTOR)
                if kind == BEGUN:
                    place = _read_place(content)
                    start, given_before = (place, given) if place.is_start else (start, given_before)
                elif kind == ITEMS:
                    for item in _unpack(content):
                        given += 1
                        yield item
                    self._write(NEXT)
                else:
                    break
            self.is_ready = kind == END and not content
        except GeneratorExit:
            self._stop()
            raise
        except (OSError, EOFError, ValueError, pickle.UnpicklingError) as error:
            reason = self._bury(isinstance(error, TimeoutError))
            raise _DiedError(reason, place, start, given_before) from None
        if kind == REFUSED:
            reason = Reason(content.decode())
            self.is_ready = reason is not Reason.over_memory
            if self.is_ready:
                raise UnreadableError(reason)
            raise _DiedError(reason, place, start, given_before)

    def kill(self) -> None:
        """End the process, and the programs that it has started."""
        self.is_ready = False
        if self._owner != os.getpid():
            return
        with suppress(OSError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        with suppress(OSError):
            self._requests.close()
        if self._popen.stdout is not None:
            self._popen.stdout.close()
        self._popen.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _stop(self) -> None:
        """Tell the process to stop yielding."""
        with suppress(OSError, EOFError):
            self._write(STOP)
            kind, content = self._receive(_STOP_SECONDS)
            self.is_ready = kind == END and not content

    def _bury(self, timed_out: bool) -> Reason:
        """End the process; return the cause of its death."""
        self.kill()  # no effect on a process that has died
        if timed_out or self._popen.returncode == -signal.SIGPROF:
            return Reason.over_time
        # Libraries in C++ and Rust abort if memory is refused.
        return Reason.over_memory if self._popen.returncode == -signal.SIGABRT else Reason.crashed

    def _send(self, content: bytes) -> None:
        self._write(LENGTH.pack(len(content)) + content)

    def _write(self, content: bytes) -> None:
        self._requests.write(content)
        self._requests.flush()

    def _receive(self, seconds: float) -> tuple[bytes, bytearray]:
        """Return the kind and the content of the next frame.

        Raises:
            EOFError: the process has died.
            TimeoutError: it does not answer in time.
        """
        deadline = time.monotonic() + seconds
        head = self._read(1 + LENGTH.size, deadline)
        (length,) = LENGTH.unpack(head[1:])
        self._largest_frame = max(self._largest_frame, length)
        return bytes(head[:1]), self._read(length, deadline)

    def _read(self, length: int, deadline: float) -> bytearray:
        content = bytearray()
        while len(content) < length:
            left = deadline - time.monotonic()
            if left < 0 or not self._poll.poll(left * 1000):
                raise TimeoutError
            piece = os.read(self._answers, min(length - len(content), _PIECE))
            if not piece:
                raise EOFError
            content += piece
        return content


def _read_place(content: bytes | bytearray) -> Place:
    """Return the place that the process reported.

    Raises:
        ValueError: It is not a place.
    """
    match json.loads(content):
        case [list(path), int(documents), int(size), bool(is_start)]:
            return Place(tuple(int(number) for number in cast("list[Any]", path)), documents, size, is_start)
        case _:
            raise ValueError


def _unpack(content: bytes | bytearray) -> Iterator[object]:
    stream = io.BytesIO(content)
    while stream.tell() < len(content):
        yield _DataUnpickler(stream).load()


_lock = threading.Lock()
_idle: list[_Process] = []


def _call(name: str, arguments: tuple[Any, ...], limits: Limits, most: int = 1) -> Generator[object]:
    """Call a function in a process that waits, or in a new one, and yield what it yields."""
    process = _take()
    try:
        with closing(cast("Generator[object]", process.call(name, arguments, limits, most))) as answer:
            yield from answer
    finally:
        if process.is_usable():
            with _lock:
                _idle.append(process)
        else:
            process.kill()


def _take() -> _Process:
    while True:
        with _lock:
            process = _idle.pop() if _idle else None
        if process is None:
            return _Process()
        if process.is_usable():
            return process
        process.kill()


@atexit.register
def _end_all() -> None:
    while _idle:
        _idle.pop().kill()
