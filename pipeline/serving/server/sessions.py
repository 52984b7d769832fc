"""Sessions: evaluation keys on disk, limited in time, number and size. They outlive the server's process.

A session's id is 256 random bits, of which only the SHA-256 is stored. The session is bound to the tenant
that opened it, to the layout, and to the head that was served then: for other tenants, and after the head has
changed, there is no such session.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread

from lexveil.pipeline.serving.server.errors import RefusalError
from lexveil.pipeline.serving.server.state import PRIVATE, ServerState
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
        keys: file of the evaluation keys.
        keys_sha256: SHA-256 of the file.
    """

    name: str
    layout: str
    keys: Path
    keys_sha256: str


class Sessions:
    """The sessions of one head.

    Args:
        state: where they are stored.
        limits: their limits.
        head: digest of what is served.
        now: returns the seconds since the epoch.
    """

    def __init__(
        self, state: ServerState, limits: SessionLimits, head: str, now: Callable[[], float] = time.time
    ) -> None:
        self._state = state
        self._database = state.database
        self._limits = limits
        self._head = head
        self._now = now
        self.purge()

    async def open(self, tenant: str, layout: str, keys: bytes) -> tuple[str, float]:
        """Store evaluation keys, and return the new session's id and when it expires.

        Raises:
            SessionsFullError: there is no space for the keys.
        """
        self._make_space(tenant, len(keys))
        session = secrets.token_urlsafe(32)
        name = _hash_id(session)
        await anyio.to_thread.run_sync(write_bytes, self._path(name), keys, PRIVATE)
        try:
            self._make_space(tenant, len(keys))  # other sessions may have been opened meanwhile
            expires = self._now() + self._limits.seconds
            digest = hashlib.sha256(keys).hexdigest()
            row = (name, tenant, layout, self._head, digest, len(keys), expires, self._now())
            self._database.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        except BaseException:
            self._path(name).unlink(missing_ok=True)
            raise
        return session, expires

    def find(self, session: str, tenant: str) -> Session:
        """Return a tenant's session by its id, and record that it is in use.

        Raises:
            SessionNotFoundError: the tenant has no such session.
        """
        name = _hash_id(session)
        row = self._database.execute(
            "SELECT layout, keys_sha256 FROM sessions "
            "WHERE id_hash = ? AND tenant = ? AND head = ? AND expires_at > ?",
            (name, tenant, self._head, self._now()),
        ).fetchone()
        if row is None:
            raise SessionNotFoundError
        self._database.execute("UPDATE sessions SET used_at = ? WHERE id_hash = ?", (self._now(), name))
        return Session(name, row[0], self._path(name), row[1])

    def close(self, session: str, tenant: str) -> None:
        """Delete a tenant's session and its keys.

        Raises:
            SessionNotFoundError: the tenant has no such session.
        """
        self._delete(self.find(session, tenant).name)

    def purge(self) -> None:
        """Delete expired sessions, sessions of other heads, and files without a session."""
        self._database.execute(
            "DELETE FROM sessions WHERE expires_at <= ? OR head <> ?", (self._now(), self._head)
        )
        known = {name for (name,) in self._database.execute("SELECT id_hash FROM sessions")}
        recent = time.time() - _OPENING_SECONDS
        for path in self._state.keys_folder.iterdir():
            with contextlib.suppress(OSError):
                if path.stem not in known and path.stat().st_mtime < recent:
                    path.unlink()

    def usage(self) -> tuple[int, int]:
        """Return the number of open sessions, and the bytes of their keys."""
        count, held, _ = self._sum("WHERE expires_at > ?", self._now())
        return count, held

    def _make_space(self, tenant: str, size: int) -> None:
        """Close idle sessions of a tenant until keys of `size` bytes fit.

        Raises:
            SessionsFullError: they do not fit.
        """
        self._database.execute("DELETE FROM sessions WHERE expires_at <= ?", (self._now(),))
        limits = self._limits
        while True:
            count, held, soonest = self._sum("WHERE tenant = ?", tenant)
            if count < limits.per_tenant and held + size <= limits.tenant_bytes:
                break
            idle = self._database.execute(
                "SELECT id_hash FROM sessions WHERE tenant = ? AND used_at <= ? ORDER BY used_at LIMIT 1",
                (tenant, self._now() - limits.idle_seconds),
            ).fetchone()
            if idle is None:
                raise SessionsFullError(self._seconds_until(soonest))
            self._delete(idle[0])
        count, held, soonest = self._sum("")
        if count >= limits.total or held + size > limits.total_bytes:
            raise SessionsFullError(self._seconds_until(soonest))

    def _sum(self, where: str, *values: object) -> tuple[int, int, float]:
        """Return number of sessions, bytes of their keys, and the moment when the first one expires."""
        query = "SELECT count(*), coalesce(sum(bytes), 0), coalesce(min(expires_at), 0) FROM sessions "
        return self._database.execute(query + where, values).fetchone()

    def _seconds_until(self, moment: float) -> int:
        return max(1, math.ceil(min(moment - self._now(), self._limits.idle_seconds)))

    def _delete(self, name: str) -> None:
        self._database.execute("DELETE FROM sessions WHERE id_hash = ?", (name,))
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._state.keys_folder / f"{name}.keys"


def _hash_id(session: str) -> str:
    return hashlib.sha256(session.encode()).hexdigest()
