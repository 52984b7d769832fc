"""What the endpoint stores: its identity, the sessions, and the usage of each tenant.

<folder>/ (0700)
  signing.key        Ed25519, raw (0600)
  salt               of the commitment to the weights (0600)
  local.secret       the local token (0600): `lexveil.pipeline.serving.local_token`
  api-keys.json      hashed (0600): `lexveil.pipeline.serving.server.access`
  log.jsonl, log.key  what was done here, and the key that signs it (0600): `open_log`
  state.sqlite       sessions, usage, last uses of API keys, leakage ledger (0600)
  state.lock         held while one of the files above is changed
  sessions/*.keys    evaluation keys, named by the hash of the session's id (0600)
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import hmac
import math
import os
import secrets
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Generator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lexveil.pipeline.errors import EndpointError
from lexveil.pipeline.serving.server.errors import RefusalError
from lexveil.pipeline.workspace.audit_log import AuditLog
from lexveil.pipeline.workspace.storage import write_bytes

PRIVATE = 0o600  # mode of every file of the state
_PROBE_BYTES = 4096

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sessions (
    id_hash TEXT PRIMARY KEY, tenant TEXT NOT NULL, layout TEXT NOT NULL, head TEXT NOT NULL,
    keys_sha256 TEXT NOT NULL, bytes INTEGER NOT NULL, expires_at REAL NOT NULL, used_at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS sessions_by_tenant ON sessions (tenant);
CREATE TABLE IF NOT EXISTS usage (
    tenant TEXT NOT NULL, day TEXT NOT NULL, slots INTEGER NOT NULL, PRIMARY KEY (tenant, day));
CREATE TABLE IF NOT EXISTS key_use (key_id TEXT PRIMARY KEY, used_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS leakage (
    tenant TEXT NOT NULL, head TEXT NOT NULL, divergence REAL NOT NULL, PRIMARY KEY (tenant, head));
"""


class StorageFullError(RefusalError):
    """What a request would have to store cannot be stored now."""

    def __init__(self) -> None:
        super().__init__(503, "storage", "the server cannot store anything now: try again later", 10)


class ServerState:
    """The opened folder of the state. Only one server may use it at a time: see `lock`.

    Attributes:
        folder: the folder.
        keys_folder: folder of the evaluation keys.
        signing_key: key that signs the manifest.
        local_token: the local token. It stays, so that clients outlive a restart.
        database: sessions, usage, last uses of API keys, and the leakage ledger.

    Raises:
        EndpointError: the folder cannot be used, or others can read one of its secrets.
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.chmod(0o700)
            self.folder = folder
            self.keys_folder = folder / "sessions"
            self.keys_folder.mkdir(mode=0o700, exist_ok=True)
            with hold_lock(folder / "state.lock"):  # two processes that start at once share the secrets
                signing_key = _load_secret(folder / "signing.key")
                self._salt = _load_secret(folder / "salt")
                self.local_token = "lxv_local_" + _load_secret(folder / "local.secret").hex()
            self.signing_key = Ed25519PrivateKey.from_private_bytes(signing_key)
            self.database = _open_database(folder / "state.sqlite")
        except (OSError, ValueError, sqlite3.Error):
            raise EndpointError("the endpoint's folder cannot be used") from None
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._probed, self._free = -math.inf, 0

    @classmethod
    def create_temporary(cls) -> ServerState:
        """Create a state that is deleted with the object, for an application in its caller's process."""
        folder = tempfile.TemporaryDirectory(prefix="lexveil-", ignore_cleanup_errors=True)
        state = cls(Path(folder.name))
        state._temporary = folder
        return state

    @contextlib.contextmanager
    def lock(self) -> Generator[None, None, None]:
        """Keep other servers from using this folder.

        Raises:
            EndpointError: another server uses it.
        """
        with os.fdopen(os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, PRIVATE)) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise EndpointError("another endpoint serves from this folder") from None
            yield

    def can_store(self, size: int) -> bool:
        """Return True if so many bytes can be stored, as it was in the last second."""
        now = time.monotonic()
        if now - self._probed > 1:
            self._probed, self._free = now, 0
            probe = self.keys_folder / "probe"
            with contextlib.suppress(OSError):
                write_bytes(probe, bytes(_PROBE_BYTES), PRIVATE)
                probe.unlink(missing_ok=True)
                self._free = shutil.disk_usage(self.keys_folder).free
        return self._free >= size

    def commit_to_weights(self, weights_digest: str) -> str:
        """Return the HMAC-SHA256 of a digest under the salt: it cannot confirm a guess of the weights."""
        return hmac.new(self._salt, weights_digest.encode(), hashlib.sha256).hexdigest()


@contextlib.contextmanager
def hold_lock(path: Path) -> Generator[None, None, None]:
    """Keep other processes from holding the same lock file while the context lasts."""
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE)) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def read_database(folder: Path) -> sqlite3.Connection:
    """Return a copy of the database of a folder in memory, also from a read-only mount.

    Raises:
        EndpointError: it cannot be read.
    """
    copy = sqlite3.connect(":memory:")
    path = folder / "state.sqlite"
    for options in ("mode=ro", "mode=ro&immutable=1") if path.exists() else ():
        try:
            address = f"{path.absolute().as_uri()}?{options}"
            with contextlib.closing(sqlite3.connect(address, uri=True)) as stored:
                stored.backup(copy)
            break
        except sqlite3.Error:
            if "immutable" in options:
                raise EndpointError("the endpoint's folder cannot be used") from None
    copy.executescript(_SCHEMA)  # of an earlier version
    return copy


def open_log(folder: Path) -> AuditLog:
    """Open the endpoint's own log. Its key has nothing to do with a workspace's.

    Whoever runs the endpoint's code can forge entries: keep its head elsewhere.

    Raises:
        EndpointError: the folder cannot be used.
    """

    def load_key() -> Ed25519PrivateKey:
        try:
            return Ed25519PrivateKey.from_private_bytes(_load_secret(folder / "log.key"))
        except (OSError, ValueError):
            raise EndpointError("the key of the endpoint's log cannot be used") from None

    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        raise EndpointError("the endpoint's folder cannot be used") from None
    return AuditLog(folder / "log.jsonl", load_key)


def _load_secret(path: Path) -> bytes:
    if not path.exists():
        write_bytes(path, secrets.token_bytes(32), PRIVATE)
    if path.stat().st_mode & 0o077:
        raise ValueError("a secret is readable by others")
    return path.read_bytes()


def _open_database(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE))
    # Used by one thread at a time, but not always by the thread that opened it.
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=NORMAL")
    database.executescript(_SCHEMA)
    return database
