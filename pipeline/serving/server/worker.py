"""A worker process: `python -m lexveil.pipeline.serving.server.worker FD MEMORY_BYTES`. Bytes in, bytes out.

It holds the encoded weights and the evaluation keys of the busiest sessions. It gets an environment without
secrets, a limit on its address space, and for each request a timer of the kernel, whose signal ends the
process even within SEAL. It ends when the server does: its socket closes.

Frames on the socket: length of a JSON head | length of the body | head | body. The first frame holds a
pickled function that makes the evaluators; pickles travel to the worker only, never back.
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
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lexveil.pipeline.serving import bundles
from lexveil.privacy.he.evaluate import EvaluationKeys, Evaluator
from lexveil.privacy.he.wire_format import MalformedError

LENGTHS = struct.Struct("<II")
Evaluators = Mapping[Any, Evaluator]
Factory = Callable[[], Evaluators]


class Refused(Exception):
    """A request is the caller's mistake. The code is one of `wire.Refusal`; the message names a guard."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Evaluations:
    """What a request can ask of the evaluators; remembers the keys of `cached_keys` sessions."""

    def __init__(self, evaluators: Evaluators, cached_keys: int) -> None:
        self._evaluators = evaluators
        self._cached = cached_keys
        self._keys: OrderedDict[str, EvaluationKeys] = OrderedDict()

    def answer(self, head: Mapping[str, Any], body: bytes) -> bytes:
        """A bundle of replies, or nothing where keys are checked. Raises `Refused`.

        head: `layout`, `max_count`; for a classification also `keys` (path), `keys_sha256` and `session`.
        """
        evaluator = self._evaluators[head["layout"]]
        checks_keys = "session" not in head
        longest = evaluator.max_keys_bytes if checks_keys else evaluator.max_ciphertext_bytes
        try:
            blobs = bundles.unbundle(body, head["max_count"], longest)
            if checks_keys:
                evaluator.load_keys(blobs[0])
                return b""
            keys = self._loaded(evaluator, head)
            return bundles.bundle([evaluator.evaluate(blob, keys) for blob in blobs])
        except bundles.WireError as error:
            raise Refused("bundle", str(error)) from None
        except MalformedError as error:
            raise Refused("malformed", str(error)) from None
        except (RuntimeError, ValueError, IndexError) as error:
            # SEAL refuses some well-framed contents, such as a ciphertext of zeros, while it computes.
            raise Refused("malformed", f"the evaluation was refused ({type(error).__name__})") from None

    def _loaded(self, evaluator: Evaluator, head: Mapping[str, Any]) -> EvaluationKeys:
        session = head["session"]
        if session in self._keys:
            self._keys.move_to_end(session)
            return self._keys[session]
        try:
            body = Path(head["keys"]).read_bytes()
        except OSError:
            raise Refused("session", "unknown or expired session: upload the evaluation keys again") from None
        if hashlib.sha256(body).hexdigest() != head["keys_sha256"]:
            raise Refused("session", "the stored keys were damaged: upload the evaluation keys again")
        while len(self._keys) >= self._cached:
            self._keys.popitem(last=False)
        self._keys[session] = evaluator.load_keys(bundles.unbundle(body, 1, evaluator.max_keys_bytes)[0])
        return self._keys[session]


def send(connection: socket.socket, head: Mapping[str, Any], body: bytes = b"") -> None:
    connection.sendall(frame_head(head, len(body)))
    connection.sendall(body)


def frame_head(head: Mapping[str, Any], body_length: int) -> bytes:
    content = json.dumps(head).encode()
    return LENGTHS.pack(len(content), body_length) + content


def receive(connection: socket.socket) -> tuple[dict[str, Any], bytes]:
    """Raises EOFError when the other side has gone."""
    head, body = LENGTHS.unpack(_exactly(connection, LENGTHS.size))
    return json.loads(_exactly(connection, head)), _exactly(connection, body)


def _exactly(connection: socket.socket, length: int) -> bytes:
    content = bytearray(length)
    view = memoryview(content)
    while view:
        count = connection.recv_into(view)
        if not count:
            raise EOFError
        view = view[count:]
    return bytes(content)


def main(descriptor: int, memory_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold keys and ciphertexts
    connection = socket.socket(fileno=descriptor)
    head, pickled = receive(connection)
    try:
        factory: Factory = pickle.loads(pickled)  # noqa: S301 - from the server that started this process
        evaluations = Evaluations(factory(), head["cached_keys"])
    except Exception as error:
        send(connection, {"failed": type(error).__name__})
        return
    send(connection, {"ready": True})
    while True:
        try:
            head, body = receive(connection)
        except EOFError:
            return
        # Its default action ends the process, in whatever code it is.
        signal.setitimer(signal.ITIMER_REAL, head["seconds"])
        try:
            reply, refused = evaluations.answer(head, body), None
        except Refused as error:
            reply, refused = b"", error
        signal.setitimer(signal.ITIMER_REAL, 0)
        told = {"refused": refused.code, "message": str(refused)} if refused else {}
        send(connection, told, reply)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
