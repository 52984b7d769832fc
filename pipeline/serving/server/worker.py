"""A worker process: `python -m lexveil.pipeline.serving.server.worker FD MEMORY_BYTES`.

It holds the encoded weights and the evaluation keys of the busiest sessions. It gets an environment without
secrets and a limit on its address space, and is confined to computing (`sandbox`) before it sees anything of
a caller. For each request, kernel timers, whose signals end the process even inside SEAL, bound its CPU time,
so that a busy machine ends no honest request, and its real time, within a far wider bound. It ends with the
server, because then its socket closes.

Frames on the socket: length of a JSON head | length of the body | head | body. The body of the first frame is
a pickled function that builds the evaluators. Pickles travel to the worker only, never back.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import resource
import signal
import socket
import struct
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lexveil.pipeline.serving import bundles
from lexveil.pipeline.serving.server.errors import RefusalError
from lexveil.pipeline.serving.server.sandbox import confine_worker
from lexveil.privacy.he.evaluate import EvaluationKeys, Evaluator
from lexveil.privacy.he.wire_format import MalformedError

REAL_SECONDS = 10  # real time of a request, over its CPU time
LENGTHS = struct.Struct("<II")
Evaluators = Mapping[Any, Evaluator]
Factory = Callable[[], Evaluators]

UNKNOWN_SESSION = "unknown or expired session: upload the evaluation keys again"
_STATUSES = {"bundle": 400, "session": 404}
_UNPROCESSABLE = 422


class EvaluationRefusedError(RefusalError):
    """A worker refuses a request because of the caller's mistake. The message names the check that failed."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(_STATUSES.get(code, _UNPROCESSABLE), code, message)


class WorkerFailedError(RefusalError):
    """A worker lacks memory or space, for which the caller is not to blame."""

    def __init__(self) -> None:
        super().__init__(503, "server", "the server lacks memory or space: try again later", 5)


class RequestEvaluator:
    """Answers requests with the evaluators. It keeps the keys of `cached_keys` sessions in memory."""

    def __init__(self, evaluators: Evaluators, cached_keys: int) -> None:
        self._evaluators = evaluators
        self._cached = cached_keys
        self._keys: OrderedDict[tuple[str, ...], EvaluationKeys] = OrderedDict()

    def answer(self, head: Mapping[str, Any], body: bytes) -> bytes:
        """Evaluate ciphertexts, or check keys.

        Args:
            head: `evaluator` (a name) and `max_count`; of ciphertexts also `keys` (a path), `keys_sha256` and
                `session`.
            body: a bundle of ciphertexts or of keys.

        Returns:
            A bundle of replies; b"" for keys.

        Raises:
            EvaluationRefusedError: the body or the session is not valid.
            WorkerFailedError: the system refuses memory, space or a file.
        """
        evaluator = self._evaluators.get(head["evaluator"])
        if evaluator is None:  # its head was dropped while the request waited
            raise EvaluationRefusedError("session", UNKNOWN_SESSION)
        checks_keys = "session" not in head
        longest = evaluator.max_keys_bytes if checks_keys else evaluator.max_ciphertext_bytes
        try:
            blobs = bundles.unbundle(body, head["max_count"], longest)
            if checks_keys:
                evaluator.load_keys(blobs[0])
                return b""
            keys = self._load_keys(evaluator, head)
            return bundles.bundle([evaluator.evaluate(blob, keys) for blob in blobs])
        except bundles.WireError as error:
            raise EvaluationRefusedError("bundle", str(error)) from None
        except MalformedError as error:
            raise EvaluationRefusedError("malformed", str(error)) from None
        except (OSError, MemoryError):
            self._keys.clear()  # what they hold may be the memory that was missing
            raise WorkerFailedError from None
        except (RuntimeError, ValueError, IndexError) as error:
            # SEAL refuses some well-framed contents, such as a ciphertext of zeros, only while it computes.
            message = f"the evaluation was refused ({type(error).__name__})"
            raise EvaluationRefusedError("malformed", message) from None

    def _load_keys(self, evaluator: Evaluator, head: Mapping[str, Any]) -> EvaluationKeys:
        # All that was checked of them: keys of one evaluator or file are never taken for those of another.
        name = (head["evaluator"], head["session"], head["keys"], head["keys_sha256"])
        if name in self._keys:
            self._keys.move_to_end(name)
            return self._keys[name]
        try:
            body = Path(head["keys"]).read_bytes()
        except FileNotFoundError:
            raise EvaluationRefusedError("session", UNKNOWN_SESSION) from None
        if hashlib.sha256(body).hexdigest() != head["keys_sha256"]:
            message = "the stored keys were damaged: upload the evaluation keys again"
            raise EvaluationRefusedError("session", message)
        while len(self._keys) >= self._cached:
            self._keys.popitem(last=False)
        self._keys[name] = evaluator.load_keys(bundles.unbundle(body, 1, evaluator.max_keys_bytes)[0])
        return self._keys[name]


def send(connection: socket.socket, head: Mapping[str, Any], body: bytes = b"") -> None:
    """Send a frame."""
    connection.sendall(encode_head(head, len(body)))
    connection.sendall(body)


def encode_head(head: Mapping[str, Any], body_length: int) -> bytes:
    """Return the lengths and the head of a frame: all that comes before its body."""
    content = json.dumps(head).encode()
    return LENGTHS.pack(len(content), body_length) + content


def receive(connection: socket.socket) -> tuple[dict[str, Any], bytes]:
    """Receive the head and the body of a frame.

    Raises:
        EOFError: the other side has closed the connection.
    """
    head, body = LENGTHS.unpack(_receive_exactly(connection, LENGTHS.size))
    return json.loads(_receive_exactly(connection, head)), _receive_exactly(connection, body)


def _receive_exactly(connection: socket.socket, length: int) -> bytes:
    content = bytearray(length)
    view = memoryview(content)
    while view:
        count = connection.recv_into(view)
        if not count:
            raise EOFError
        view = view[count:]
    return bytes(content)


def main(descriptor: int, memory_bytes: int) -> None:
    """Answer requests on a socket until it closes.

    Args:
        descriptor: file descriptor of the socket.
        memory_bytes: limit of the process's address space.
    """
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold keys and ciphertexts
    connection = socket.socket(fileno=descriptor)
    head, pickled = receive(connection)
    try:
        factory: Factory = pickle.loads(pickled)  # noqa: S301 - from the server that started this process
        evaluator = RequestEvaluator(factory(), head["cached_keys"])
    except Exception as error:
        send(connection, {"failed": type(error).__name__})
        return
    send(connection, {"ready": True, "unconfined": confine_worker([Path(head["keys_folder"])])})
    while True:
        try:
            head, body = receive(connection)
        except EOFError:
            return
        # The default action of the timers' signals ends the process, whatever code it is in.
        start = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, head["seconds"])
        signal.setitimer(signal.ITIMER_REAL, REAL_SECONDS * head["seconds"])
        try:
            reply, refusal = evaluator.answer(head, body), None
        except RefusalError as error:
            reply, refusal = b"", error
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        outcome = {"refused": refusal.code, "message": str(refusal)} if refusal else {}
        send(connection, {**outcome, "cpu_seconds": time.process_time() - start}, reply)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
