"""What the endpoint keeps: who it is, the sessions and what callers have used.

<folder>/ (0700)
  signing.key        Ed25519, raw (0600)
  salt               of the weights' commitment (0600)
  api-keys.json      hashed (0600): `lexveil.pipeline.serving.server.access`
  state.sqlite       sessions and usage (0600)
  sessions/*.keys    evaluation keys by hashed session (0600)
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import hmac
import os
import secrets
import sqlite3
import tempfile
from collections.abc import Generator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from lexveil.pipeline.errors import EndpointError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sessions (
    id_hash TEXT PRIMARY KEY, tenant TEXT NOT NULL, layout TEXT NOT NULL, head TEXT NOT NULL,
    keys_sha256 TEXT NOT NULL, bytes INTEGER NOT NULL, expires_at REAL NOT NULL, used_at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS sessions_by_tenant ON sessions (tenant);
CREATE TABLE IF NOT EXISTS usage (
    tenant TEXT NOT NULL, day TEXT NOT NULL, slots INTEGER NOT NULL, PRIMARY KEY (tenant, day));
"""


class State:
    """The open folder. One server at a time: see `exclusively`."""

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            folder.chmod(0o700)
            self.folder = folder
            self.keys_folder = folder / "sessions"
            self.keys_folder.mkdir(mode=0o700, exist_ok=True)
            self.signing_key = Ed25519PrivateKey.from_private_bytes(_secret(folder / "signing.key"))
            self._salt = _secret(folder / "salt")
            self.database = _database(folder / "state.sqlite")
        except (OSError, ValueError, sqlite3.Error):
            raise EndpointError("the endpoint's folder in the workspace cannot be used") from None
        self._temporary: tempfile.TemporaryDirectory[str] | None = None

    @classmethod
    def temporary(cls) -> State:
        """Forgotten with the object: for an application that runs in its caller's process."""
        folder = tempfile.TemporaryDirectory(prefix="lexveil-", ignore_cleanup_errors=True)
        state = cls(Path(folder.name))
        state._temporary = folder
        return state

    @contextlib.contextmanager
    def exclusively(self) -> Generator[None, None, None]:
        """Raises `EndpointError` while another server uses this folder."""
        with os.fdopen(os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise EndpointError("another endpoint serves from this workspace") from None
            yield

    def commitment(self, weights_digest: str) -> str:
        """HMAC-SHA256 under the salt: a guess of the weights cannot be confirmed by it."""
        return hmac.new(self._salt, weights_digest.encode(), hashlib.sha256).hexdigest()


def write_private(path: Path, content: bytes) -> None:
    """A file of mode 0600 that appears whole or not at all, and is there after a power cut."""
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _secret(path: Path) -> bytes:
    if not path.exists():
        write_private(path, secrets.token_bytes(32))
    if path.stat().st_mode & 0o077:
        raise ValueError("a secret is open to others")
    return path.read_bytes()


def _database(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    # Used by one thread at a time, not always the one that opened it.
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=NORMAL")
    database.executescript(_SCHEMA)
    return database
