"""One worker process, as the server sees it: its start, an exchange with it, and its end."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lexveil.nlp.environment import select_environment
from lexveil.pipeline.serving.server.evaluation import WorkerLimits
from lexveil.pipeline.serving.server.worker import (
    LENGTHS,
    REAL_SECONDS,
    EvaluationRefusedError,
    WorkerFailedError,
    encode_head,
)

_START_SECONDS = 60.0
_GRACE_SECONDS = 2.0  # added to the worker's own timer
_ROOT = Path(__file__).parents[4]  # of the package, wherever it is installed


class WorkerDiedError(Exception):
    """The process died, hangs, or did not start."""


class WorkerProcess:
    """One worker process.

    Attributes:
        pickled: the factory of its evaluators.
        unconfined: what the kernel does not keep from it (`sandbox.confine_worker`).
        requests: number of requests sent to it.
        cpu_seconds: CPU time of the last request; if it ended the worker, its real time.
        sessions: the last sessions whose keys it loaded; it may have evicted some of them.
    """

    def __init__(self, process: subprocess.Popen[bytes], connection: socket.socket, pickled: bytes) -> None:
        self._process = process
        self._connection = connection
        self.pickled = pickled
        self.unconfined: tuple[str, ...] = ()
        self.requests = 0
        self.cpu_seconds = 0.0
        self.sessions: OrderedDict[str, None] = OrderedDict()

    @classmethod
    async def start(cls, pickled: bytes, limits: WorkerLimits, keys_folder: Path) -> WorkerProcess:
        """Start a process, and return it once it is ready.

        Raises:
            WorkerDiedError: it does not become ready.
        """
        ours, theirs = socket.socketpair()
        environment = select_environment("PYTHONPATH")
        paths = [str(_ROOT), *filter(None, [environment.get("PYTHONPATH")])]
        environment |= {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
        # -P: no code of the working folder
        program = [sys.executable, "-P", "-m", "lexveil.pipeline.serving.server.worker", str(theirs.fileno())]
        with theirs:
            process = subprocess.Popen(
                [*program, str(limits.memory_bytes)],
                pass_fds=[theirs.fileno()],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C at the terminal is for the server: requests finish first
            )
        ours.setblocking(False)
        worker = cls(process, ours, pickled)
        head = {"cached_keys": limits.cached_keys, "keys_folder": str(keys_folder)}
        outcome, _ = await worker._exchange(head, pickled, _START_SECONDS)
        if "ready" not in outcome:
            worker.kill()
            raise WorkerDiedError
        worker.unconfined = tuple(outcome["unconfined"])
        return worker

    @property
    def process_id(self) -> int:
        """Id of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """True if the process runs."""
        return self._process.poll() is None

    async def ask(self, head: Mapping[str, Any], body: bytes, seconds: float) -> bytes:
        """Send a request, and return the reply.

        Raises:
            EvaluationRefusedError: the worker refuses the request.
            WorkerFailedError: the worker lacks memory or space.
            WorkerDiedError: the process died or hangs, or an earlier exchange was interrupted.
        """
        self.requests += 1
        start = time.monotonic()
        try:
            longest = REAL_SECONDS * seconds + _GRACE_SECONDS
            outcome, reply = await self._exchange({**head, "seconds": seconds}, body, longest)
        except BaseException:
            self.cpu_seconds = min(time.monotonic() - start, seconds)
            raise
        self.cpu_seconds = float(outcome["cpu_seconds"])
        if outcome.get("refused") == WorkerFailedError().code:
            raise WorkerFailedError
        if "refused" in outcome:
            message = " ".join(str(outcome["message"]).split())[:200]
            raise EvaluationRefusedError(str(outcome["refused"])[:40], message)
        return reply

    async def _exchange(
        self, head: Mapping[str, Any], body: bytes, seconds: float
    ) -> tuple[dict[str, Any], bytes]:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds):
                await loop.sock_sendall(self._connection, encode_head(head, len(body)))
                await loop.sock_sendall(self._connection, body)
                lengths = LENGTHS.unpack(await self._receive_exactly(LENGTHS.size))
                outcome = json.loads(await self._receive_exactly(lengths[0]))
                return outcome, await self._receive_exactly(lengths[1])
        except (OSError, EOFError, ValueError, TimeoutError):
            self.kill()
            raise WorkerDiedError from None
        except BaseException:  # cancelled: the reply would be taken for that to the next request
            self.kill()
            raise

    async def _receive_exactly(self, length: int) -> bytes:
        content = bytearray(length)
        view = memoryview(content)
        while view:
            count = await asyncio.get_running_loop().sock_recv_into(self._connection, view)
            if not count:
                raise EOFError
            view = view[count:]
        return bytes(content)

    def kill(self) -> None:
        """Kill the process, and wait for its end."""
        self._process.kill()
        self._connection.close()
        self._process.wait()
