"""The process in which files are read: only here do parsers get bytes from anywhere.

It has no keys, no model and no settings, and little memory and time: a parser that loops, aborts or takes all
memory ends this process alone. `isolation` starts it, and communicates by pipes: a call, then what the called
function yields, in frames, each of which is requested.

Every piece of work has its own time limit: the system's timer, which counts this process's own CPU time,
restarts with every document and every record. When it expires, it ends the process, even inside a library.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import resource
import shutil
import signal
import struct
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from lexveil.nlp.readers import documents, records
from lexveil.nlp.readers.contract import Limits, Reason, UnreadableError
from lexveil.nlp.readers.walk import Begin, Place

LENGTH = struct.Struct("<Q")
BEGUN, ITEMS, END, REFUSED = b"B", b"I", b"E", b"R"
NEXT, STOP = b"N", b"S"
USED_UP = b"U"
FOLDER_PREFIX = "lexveil-read-"
_MOST_KEPT = 4
"""Share of the memory (1/n) that may be in use between two files."""
_FRAME_BYTES = 1 << 18
_ORPHAN_CHECK_SECONDS = 1.0


def _read_documents(begin: Begin, path: Path, limits: Limits, *again: Any) -> Iterator[object]:
    return documents.read_documents(path, limits, begin, *again)


def _read_content(begin: Begin, name: str, data: bytes, limits: Limits, *again: Any) -> Iterator[object]:
    return documents.read_content_documents(name, data, limits, begin, *again)


def _read_whole(begin: Begin, path: Path, limits: Limits) -> Iterator[object]:
    yield documents.read_whole(path, limits)


def _plan_slices(
    begin: Begin, path: Path, limits: Limits, max_records: int, max_bytes: int
) -> Iterator[object]:
    return records.plan_slices(path, limits, max_records, max_bytes)


def _read_slice(
    begin: Begin, path: Path, piece: records.Slice, limits: Limits, start: int, text_field: str | None
) -> Iterator[object]:
    return records.read_slice(path, piece, limits, start, text_field)


def _run(begin: Begin, function: Callable[..., object], *arguments: object) -> Iterator[object]:
    yield function(*arguments)


_CALLS: Mapping[str, Callable[..., Iterator[object]]] = {
    "documents": _read_documents,
    "content": _read_content,
    "whole": _read_whole,
    "plan": _plan_slices,
    "slice": _read_slice,
    "run": _run,
}


def main() -> None:
    """Answer calls on standard input until it ends."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    _silence()
    threading.Thread(target=_exit_with_parent, args=(os.getppid(),), daemon=True).start()
    base = _measure_memory()
    answers.write(END)
    answers.flush()
    while head := requests.read(LENGTH.size):
        request = requests.read(*LENGTH.unpack(head))
        call, arguments, limits, most = pickle.loads(request)  # noqa: S301 - the parent is trusted
        _limit(resource.RLIMIT_DATA, base + limits.max_memory)
        # Of the files that programs write: each is ended at this size.
        _limit(resource.RLIMIT_FSIZE, max(limits.max_bytes, limits.max_text_bytes) + 1)
        answer = _Answer(requests, answers, limits.max_seconds, most)
        outcome, content = answer.give(call, arguments)
        if outcome == END and _measure_memory() > base + limits.max_memory // _MOST_KEPT:
            content = USED_UP  # what earlier files have left would count as the next one's
        answer.send(outcome, content)
    _remove_folder()


def _silence() -> None:
    """Close the standard streams: libraries write warnings there, which may quote a document."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)


def _exit_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_ORPHAN_CHECK_SECONDS)
    _remove_folder()
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)  # the programs that it has started, too
    os._exit(1)


def _remove_folder() -> None:
    """Remove the folder that the parent made for this process, which a parent that was killed cannot.

    Programs may still have copies of a document there.
    """
    folder = Path(tempfile.gettempdir())
    if folder.name.startswith(FOLDER_PREFIX):
        shutil.rmtree(folder, ignore_errors=True)


def _measure_memory() -> int:
    """Return the size of the data of this process in bytes; 0 if the system does not report it."""
    try:
        return int(Path("/proc/self/statm").read_bytes().split()[5]) * resource.getpagesize()
    except OSError:
        return 0


def _limit(what: int, size: int) -> None:
    # The limit is on data, not on the address space, of which threads and allocators reserve more than they
    # use.
    _, hard = resource.getrlimit(what)
    most = size if hard == resource.RLIM_INFINITY else min(size, hard)
    resource.setrlimit(what, (most, hard))


class _Answer:
    """The answer to one call: frames of what the called function yields."""

    def __init__(self, requests: BinaryIO, answers: BinaryIO, seconds: float, most: int) -> None:
        self._requests = requests
        self._answers = answers
        self._seconds = seconds
        self._most = most
        self._frame = io.BytesIO()
        self._items = 0

    def give(self, call: str, arguments: tuple[Any, ...]) -> tuple[bytes, bytes]:
        """Send everything that the called function yields; return the last frame."""
        self._restart_timer()
        outcome, reason = END, b""
        try:
            for item in _CALLS[call](self._begin, *arguments):
                if not self._add(item):
                    break
                self._restart_timer()
        except UnreadableError as error:
            outcome, reason = REFUSED, error.reason.value.encode()
        except MemoryError:
            outcome, reason = REFUSED, Reason.over_memory.value.encode()
        except Exception:
            # Parsers process hostile bytes here: which exceptions they may raise is not known.
            outcome, reason = REFUSED, Reason.broken.value.encode()
        signal.setitimer(signal.ITIMER_PROF, 0)
        self._flush()
        return outcome, reason

    def _restart_timer(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, self._seconds)

    def _begin(self, place: Place) -> None:
        self._restart_timer()
        self._flush()
        self.send(BEGUN, json.dumps(place).encode())

    def _add(self, item: object) -> bool:
        """Add a yielded item to the frame; return False if no more is wanted."""
        start = self._frame.tell()
        try:
            pickle.dump(item, self._frame)
        except (pickle.PicklingError, TypeError, AttributeError, RecursionError):
            self._frame.seek(start)
            self._frame.truncate()
            pickle.dump(Reason.broken, self._frame)  # only this item is lost, not what follows
        self._items += 1
        return self._flush() if self._items >= self._most or self._frame.tell() > _FRAME_BYTES else True

    def _flush(self) -> bool:
        if not self._items:
            return True
        frame, self._frame, self._items = self._frame, io.BytesIO(), 0
        self.send(ITEMS, frame.getbuffer())
        return self._requests.read(1) == NEXT

    def send(self, kind: bytes, content: bytes | memoryview) -> None:
        """Send a frame."""
        self._answers.write(kind + LENGTH.pack(len(content)))
        self._answers.write(content)  # not joined: a large text would be in memory twice
        self._answers.flush()


if __name__ == "__main__":
    main()
