"""The stored state of the endpoint: its identity, the sessions, and the usage of each tenant.

A folder has all of it. Replicas share a database instead (`lexveil.pipeline.serving.server.replicas`); the
folder of each then holds its local token, and copies of the evaluation keys that its workers read.
A temporary state has its secrets and its tables in memory only.

<folder>/ (0700)
  signing.key        Ed25519, raw (0600)
  salt               of the commitment to the weights (0600)
  local.secret       the local token (0600): `lexveil.pipeline.serving.local_token`
  api-keys.json      hashed (0600): `lexveil.pipeline.serving.server.access`
  log.jsonl, log.key  what was done here, and the key that signs it (0600): `open_log`
  state.sqlite       sessions, usage, last uses of API keys, leakage ledger (0600)
  state.lock         held while one of the files above is changed
  sessions/*.keys    evaluation keys, named by the hash of the session's id (0600)
  *.adopted          of the files above, what the replicas' database holds now
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import math
import secrets
import shutil
import sqlite3
import time
from collections.abc import AsyncGenerator, Callable, Generator
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
import anyio.to_thread
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lexveil.pipeline.errors import EndpointError
from lexveil.pipeline.serving.server.access import KeyTable
from lexveil.pipeline.serving.server.errors import StateUnavailableError
from lexveil.pipeline.serving.server.files import (
    PRIVATE,
    TABLES,
    EvaluationKeys,
    KeyFile,
    KeyFolder,
    hold_folder,
    hold_lock,
    hold_temporary_folder,
    load_secret,
)
from lexveil.pipeline.serving.server.quotas import LocalUsages, Usages
from lexveil.pipeline.serving.server.tables import DEADLINE, THREADS, UPLOADS, SqliteTables, StateTables
from lexveil.pipeline.workspace.audit_log import AuditLog
from lexveil.pipeline.workspace.storage import write_bytes

if TYPE_CHECKING:
    from lexveil.pipeline.serving.server.replicas import SharedState

_PROBE_BYTES = 4096
# Threads have so long. A caller waits some seconds more, which opening a connection may take, and then gets
# 503: no thread goes on with what its caller has given up.
_THREAD_SECONDS, _UPLOAD_SECONDS, _SPARE_SECONDS = 5.0, 30.0, 4.0

T = TypeVar("T")


@dataclass(slots=True)
class _Lane:
    lock: anyio.Lock = field(default_factory=anyio.Lock)
    calls: int = 0  # that wait or are at work


class ServerState:
    """The opened state. Only one server may use its folder at a time: see `lock`.

    Args:
        folder: the folder.
        shared: what replicas share.
        temporary: keep secrets and tables in memory: nothing of them is left if the process is killed.

    Attributes:
        folder: the folder.
        keys_folder: folder of the files with evaluation keys that workers read.
        signing_key: key that signs the manifest.
        local_token: the local token. It stays, so that clients outlive a restart.
        tables: sessions, usage, last uses of API keys, and the leakage ledger.
        keys: the evaluation keys.
        api_keys: records of the API keys.
        usages: what tenants have used.
        log: the endpoint's own log.
        is_shared: other servers use the same state.

    Raises:
        EndpointError: the folder cannot be used, or others can read one of its secrets.
    """

    def __init__(self, folder: Path, shared: SharedState | None = None, *, temporary: bool = False) -> None:
        self.folder, self.keys_folder = folder, folder / "sessions"
        self.is_shared = shared is not None
        self.tables: StateTables
        self.keys: EvaluationKeys
        self.api_keys: KeyTable
        self.usages: Usages
        load = cache(_draw_secret) if temporary else partial(_load_from, folder)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
            self.keys_folder.mkdir(mode=0o700, exist_ok=True)
            with hold_lock(folder / "state.lock"):  # two processes that start at once share the secrets
                self.local_token = "lxv_local_" + load("local.secret").hex()
                read = shared.read_secret if shared else load
                self.signing_key = Ed25519PrivateKey.from_private_bytes(read("signing.key"))
                self._salt = read("salt")
            if shared is None:
                self.tables = SqliteTables.create() if temporary else SqliteTables.open(folder / TABLES)
                self.keys = KeyFolder(self.keys_folder)
                self.api_keys, self.usages = KeyFile(folder), LocalUsages(self.tables)
            else:
                self.tables, self.keys = shared.tables, shared.cache_keys(self.keys_folder)
                self.api_keys, self.usages = shared.api_keys, shared.usages
        except (OSError, ValueError, sqlite3.Error):
            raise EndpointError("the endpoint's folder cannot be used") from None
        self.log = _open_log(folder, load, shared)
        self._temporary: contextlib.ExitStack | None = None
        self._probed, self._free = -math.inf, 0
        self._threads, self._uploads = anyio.CapacityLimiter(THREADS), anyio.CapacityLimiter(UPLOADS)
        self._lanes: dict[str, _Lane] = {}

    @classmethod
    def create_temporary(cls) -> ServerState:
        """Create a state that is deleted with the object, for an application in its caller's process.

        Secrets are never on disk. What else is left if the process is killed (clients' evaluation keys, which
        are public material, and a log) is deleted by the next call in any process.
        """
        stack = contextlib.ExitStack()
        state = cls(stack.enter_context(hold_temporary_folder()), temporary=True)
        state._temporary = stack
        return state

    @contextlib.contextmanager
    def lock(self) -> Generator[None, None, None]:
        """Keep other servers from using this folder.

        Raises:
            EndpointError: another server uses it.
        """
        with hold_folder(self.folder):
            yield

    async def call(self, work: Callable[..., T], *values: Any, lane: str = "", blocks: bool = False) -> T:
        """Call a function that uses the state: in a thread if it waits for a database, or `blocks` anyway.

        Args:
            work: the function.
            values: its arguments.
            lane: whose call it is. Calls of one lane follow one another, and those that wait need no thread:
                what keeps one tenant waiting keeps no other. Without a name, it waits for a thread alone.
            blocks: call it in a thread whatever it waits for.

        Raises:
            StateUnavailableError: it took longer than anyone should wait.
            RefusalError: as the function does.
        """
        if not (self.is_shared or blocks):
            return work(*values)
        return await self._call(work, values, lane, self._threads, _THREAD_SECONDS)

    async def upload(self, work: Callable[..., T], *values: Any, lane: str) -> T:
        """Call a function that stores evaluation keys: with more time, in threads of their own.

        Raises:
            StateUnavailableError: it took longer than anyone should wait.
            RefusalError: as the function does.
        """
        return await self._call(work, values, f"upload {lane}", self._uploads, _UPLOAD_SECONDS)

    async def _call(
        self,
        work: Callable[..., T],
        values: tuple[Any, ...],
        lane: str,
        threads: anyio.CapacityLimiter,
        seconds: float,
    ) -> T:
        token = DEADLINE.set(time.monotonic() + seconds)  # the thread has a copy of the context
        try:
            # Shielded: a caller that hangs up ends no work midway.
            with anyio.fail_after(seconds + _SPARE_SECONDS, shield=True):
                async with self._hold_lane(lane):
                    return await anyio.to_thread.run_sync(
                        work, *values, limiter=threads, abandon_on_cancel=True
                    )
        except TimeoutError:
            raise StateUnavailableError from None
        finally:
            DEADLINE.reset(token)

    @contextlib.asynccontextmanager
    async def _hold_lane(self, name: str) -> AsyncGenerator[None, None]:
        if not name:
            yield
            return
        lane = self._lanes.setdefault(name, _Lane())
        lane.calls += 1
        try:
            async with lane.lock:
                yield
        finally:
            lane.calls -= 1
            if not lane.calls:  # names may come from callers, without end
                del self._lanes[name]

    def can_store(self, size: int) -> bool:
        """Return True if so many bytes can be stored, as it was in the last second; this blocks."""
        now = time.monotonic()
        if now - self._probed > 1:
            self._probed = now  # others who ask while this one looks are told what it was before
            self._free = self._find_free()
        return self._free >= size

    def _find_free(self) -> int:
        probe = self.keys_folder / "probe"
        with contextlib.suppress(OSError, StateUnavailableError):
            if self.is_shared:
                self.tables.run("SELECT 1 FROM sessions LIMIT 1")
            write_bytes(probe, bytes(_PROBE_BYTES), PRIVATE)
            probe.unlink(missing_ok=True)
            return shutil.disk_usage(self.keys_folder).free
        return 0

    def commit_to_weights(self, weights_digest: str) -> str:
        """Return the HMAC-SHA256 of a digest under the salt: it cannot confirm a guess of the weights."""
        return hmac.new(self._salt, weights_digest.encode(), hashlib.sha256).hexdigest()


def open_log(folder: Path, shared: SharedState | None = None) -> AuditLog:
    """Open the endpoint's own log. Its key has nothing to do with a workspace's.

    Whoever runs the endpoint's code can forge entries: keep its head elsewhere. Replicas have one log in
    their database.

    Raises:
        EndpointError: the folder cannot be used.
    """
    return _open_log(folder, partial(_load_from, folder), shared)


def _open_log(folder: Path, load: Callable[[str], bytes], shared: SharedState | None) -> AuditLog:
    if shared is not None:
        shared_key = Ed25519PrivateKey.from_private_bytes(shared.read_secret("log.key"))
        return AuditLog(folder / "log.jsonl", lambda: shared_key, lambda: shared.log)

    def load_key() -> Ed25519PrivateKey:
        try:
            return Ed25519PrivateKey.from_private_bytes(load("log.key"))
        except (OSError, ValueError):
            raise EndpointError("the key of the endpoint's log cannot be used") from None

    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        raise EndpointError("the endpoint's folder cannot be used") from None
    return AuditLog(folder / "log.jsonl", load_key)


def _load_from(folder: Path, name: str) -> bytes:
    return load_secret(folder / name)


def _draw_secret(name: str) -> bytes:
    del name
    return secrets.token_bytes(32)
