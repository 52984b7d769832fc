"""Sessions: evaluation keys on disk, limited in time, number and size. They outlive the server's process.

A session's id is 256 random bits, of which only the SHA-256 is stored. The session is bound to the tenant
that opened it, to the layout, and to a head: for other tenants there is no such session, and it ends with its
head.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import secrets
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread

from lexveil.pipeline.serving.server.errors import RefusalError
from lexveil.pipeline.serving.server.state import PRIVATE, ServerState, StorageFullError
from lexveil.pipeline.workspace.storage import write_bytes

# A file without a row in the table, but younger than this, may belong to a session that is being opened.
_OPENING_SECONDS = 60


class SessionNotFoundError(RefusalError):
    """The session was never opened, expired, was closed, or belongs to another tenant or head.

    The response does not reveal which.
    """

    def __init__(self) -> None:
        super().__init__(404, "session", "unknown or expired session: upload the evaluation keys again")


class SessionsFullError(RefusalError):
    """The tenant, or all tenants together, may open no more sessions or store no more keys."""

    def __init__(self, retry_after: int) -> None:
        message = "too many sessions are open: close one, or try again later"
        super().__init__(429, "sessions", message, retry_after)


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """Limits of sessions.

    Attributes:
        seconds: lifetime of a session.
        per_tenant: number of a tenant's sessions.
        tenant_bytes: bytes of a tenant's keys.
        total: number of all sessions.
        total_bytes: bytes of all keys.
        idle_seconds: a tenant's session that was not used for so long may be closed for its next one.
    """

    seconds: int = 8 * 3600
    per_tenant: int = 16
    tenant_bytes: int = 256 << 20
    total: int = 1024
    total_bytes: int = 8 << 30
    idle_seconds: int = 60


@dataclass(frozen=True, slots=True)
class Session:
    """An open session.

    Attributes:
        name: hash of its id.
        layout: name of the layout that its keys are for.
        head: key of the head that it is bound to.
        keys: file of the evaluation keys.
        keys_sha256: SHA-256 of the file.
    """

    name: str
    layout: str
    head: str
    keys: Path
    keys_sha256: str


class Sessions:
    """The sessions of an endpoint.

    Args:
        state: where they are stored.
        limits: their limits.
        now: returns the seconds since the epoch.
    """

    def __init__(
        self, state: ServerState, limits: SessionLimits, now: Callable[[], float] = time.time
    ) -> None:
        self._state = state
        self._database = state.database
        self._limits = limits
        self._now = now
        self.purge()

    async def open(self, tenant: str, layout: str, head: str, keys: bytes) -> tuple[str, float]:
        """Store evaluation keys for a head, and return the new session's id and when it expires.

        Raises:
            SessionsFullError: the tenant, or all tenants together, have too many keys.
            StorageFullError: the disk is full. Nothing is changed.
        """
        self._choose_idle(tenant, len(keys))
        session = secrets.token_urlsafe(32)
        name = _hash_id(session)
        try:
            await anyio.to_thread.run_sync(write_bytes, self._path(name), keys, PRIVATE)
            expires = self._now() + self._limits.seconds
            digest = hashlib.sha256(keys).hexdigest()
            row = (name, tenant, layout, head, digest, len(keys), expires, self._now())
            closed = self._choose_idle(tenant, len(keys))  # other sessions may have been opened meanwhile
            with self._database:
                self._database.execute("BEGIN")
                self._delete_rows(closed)
                self._database.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        except BaseException as error:
            with contextlib.suppress(OSError):
                self._path(name).unlink(missing_ok=True)
            if isinstance(error, OSError | sqlite3.OperationalError):
                raise StorageFullError from None
            raise
        for idle in closed:
            self._path(idle).unlink(missing_ok=True)
        return session, expires

    def find(self, session: str, tenant: str) -> Session:
        """Return a tenant's session by its id, and record that it is in use.

        Raises:
            SessionNotFoundError: the tenant has no such session.
        """
        name = _hash_id(session)
        row = self._database.execute(
            "SELECT layout, head, keys_sha256 FROM sessions "
            "WHERE id_hash = ? AND tenant = ? AND expires_at > ?",
            (name, tenant, self._now()),
        ).fetchone()
        if row is None:
            raise SessionNotFoundError
        # On a full disk sessions are still answered; at worst one that is in use makes room for another.
        with contextlib.suppress(sqlite3.OperationalError):
            self._database.execute("UPDATE sessions SET used_at = ? WHERE id_hash = ?", (self._now(), name))
        return Session(name, row[0], row[1], self._path(name), row[2])

    def close(self, session: str, tenant: str) -> None:
        """Delete a tenant's session and its keys.

        Raises:
            SessionNotFoundError: the tenant has no such session.
            StorageFullError: the disk is full.
        """
        name = self.find(session, tenant).name
        try:
            self._delete_rows([name])
        except sqlite3.OperationalError:
            raise StorageFullError from None
        self._path(name).unlink(missing_ok=True)

    def close_all_of(self, head: str) -> None:
        """Delete the sessions of a head that is served no more, and their keys."""
        found = self._database.execute("SELECT id_hash FROM sessions WHERE head = ?", (head,))
        names = [name for (name,) in found]
        for name in names:  # the files first: on a full disk this makes the room that the database needs
            self._path(name).unlink(missing_ok=True)
        with contextlib.suppress(sqlite3.OperationalError):  # without its file, a session is not answered
            self._delete_rows(names)

    def purge(self) -> None:
        """Delete expired sessions, and files without a session.

        The files go first: on a full disk this makes the room that the database needs.
        """
        now = self._now()
        alive = self._database.execute("SELECT id_hash FROM sessions WHERE expires_at > ?", (now,))
        known = {name for (name,) in alive}
        recent = time.time() - _OPENING_SECONDS
        for path in self._state.keys_folder.iterdir():
            with contextlib.suppress(OSError):
                if path.stem not in known and path.stat().st_mtime < recent:
                    path.unlink()
        with contextlib.suppress(sqlite3.OperationalError):  # they are no longer found, and tried again
            self._database.execute("DELETE FROM sessions WHERE expires_at <= ?", (now,))

    def usage(self) -> tuple[int, int]:
        """Return the number of open sessions, and the bytes of their keys."""
        count, held, _ = self._sum("WHERE expires_at > ?", self._now())
        return count, held

    def _choose_idle(self, tenant: str, size: int) -> list[str]:
        """Return the idle sessions of a tenant that must be closed for keys of `size` bytes to fit.

        Raises:
            SessionsFullError: they do not fit.
        """
        limits, now = self._limits, self._now()
        count, held, soonest = self._sum("WHERE tenant = ? AND expires_at > ?", tenant, now)
        idle = self._database.execute(
            "SELECT id_hash, bytes FROM sessions WHERE tenant = ? AND expires_at > ? AND used_at <= ? "
            "ORDER BY used_at",
            (tenant, now, now - limits.idle_seconds),
        )
        closed: list[str] = []
        freed = 0
        while count - len(closed) >= limits.per_tenant or held - freed + size > limits.tenant_bytes:
            row = idle.fetchone()
            if row is None:
                raise SessionsFullError(self._seconds_until(soonest))
            closed.append(row[0])
            freed += row[1]
        count, held, soonest = self._sum("WHERE expires_at > ?", now)
        if count - len(closed) >= limits.total or held - freed + size > limits.total_bytes:
            raise SessionsFullError(self._seconds_until(soonest))
        return closed

    def _sum(self, where: str, *values: object) -> tuple[int, int, float]:
        """Return number of sessions, bytes of their keys, and the moment when the first one expires."""
        query = "SELECT count(*), coalesce(sum(bytes), 0), coalesce(min(expires_at), 0) FROM sessions "
        return self._database.execute(query + where, values).fetchone()

    def _seconds_until(self, moment: float) -> int:
        return max(1, math.ceil(min(moment - self._now(), self._limits.idle_seconds)))

    def _delete_rows(self, names: Sequence[str]) -> None:
        self._database.executemany("DELETE FROM sessions WHERE id_hash = ?", [(name,) for name in names])

    def _path(self, name: str) -> Path:
        return self._state.keys_folder / f"{name}.keys"


def _hash_id(session: str) -> str:
    return hashlib.sha256(session.encode()).hexdigest()
