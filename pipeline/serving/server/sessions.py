"""Sessions: evaluation keys on disk, with a time to live and caps; they outlive the server's process.

A session's id is 256 random bits, of which only the SHA-256 is kept. It is bound to the tenant that opened
it, to the layout, and to the head that was served then: for anybody else, and after the head has changed,
there is no such session.
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

from lexveil.pipeline.serving.server.state import State, write_private


class NoSuchSession(Exception):
    """Never opened, expired, closed, another tenant's, or of another head: the caller is not told which."""


class Full(Exception):
    """No more sessions, or bytes of keys, for this tenant or for all. retry_after: seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__("too many sessions are open")
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class SessionLimits:
    """seconds: a session's time to live. idle_seconds: then a tenant's oldest may make room for its next."""

    seconds: int = 8 * 3600
    per_tenant: int = 16
    tenant_bytes: int = 256 << 20
    total: int = 1024
    total_bytes: int = 8 << 30
    idle_seconds: int = 60


@dataclass(frozen=True, slots=True)
class Session:
    name: str  # hashed
    layout: str
    keys: Path
    keys_sha256: str


class Sessions:
    """The sessions of one `head` (a digest of what is served). `now`: seconds since the epoch."""

    def __init__(
        self, state: State, limits: SessionLimits, head: str, now: Callable[[], float] = time.time
    ) -> None:
        self._state = state
        self._database = state.database
        self._limits = limits
        self._head = head
        self._now = now
        self.purge()

    async def open(self, tenant: str, layout: str, keys: bytes) -> tuple[str, float]:
        """A new session's id, and when it expires. Raises `Full`."""
        self.make_room(tenant, len(keys))
        session = secrets.token_urlsafe(32)
        name = _hashed(session)
        await anyio.to_thread.run_sync(write_private, self._path(name), keys)
        try:
            self.make_room(tenant, len(keys))  # others came while it was written
            expires = self._now() + self._limits.seconds
            digest = hashlib.sha256(keys).hexdigest()
            row = (name, tenant, layout, self._head, digest, len(keys), expires, self._now())
            self._database.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        except BaseException:
            self._path(name).unlink(missing_ok=True)
            raise
        return session, expires

    def find(self, session: str, tenant: str) -> Session:
        """Raises `NoSuchSession`."""
        name = _hashed(session)
        row = self._database.execute(
            "SELECT layout, keys_sha256 FROM sessions "
            "WHERE id_hash = ? AND tenant = ? AND head = ? AND expires_at > ?",
            (name, tenant, self._head, self._now()),
        ).fetchone()
        if row is None:
            raise NoSuchSession
        self._database.execute("UPDATE sessions SET used_at = ? WHERE id_hash = ?", (self._now(), name))
        return Session(name, row[0], self._path(name), row[1])

    def close(self, session: str, tenant: str) -> None:
        """Raises `NoSuchSession`."""
        self._forget(self.find(session, tenant).name)

    def purge(self) -> None:
        """Forgets expired sessions, those of another head, and files without a session."""
        self._database.execute(
            "DELETE FROM sessions WHERE expires_at <= ? OR head <> ?", (self._now(), self._head)
        )
        known = {name for (name,) in self._database.execute("SELECT id_hash FROM sessions")}
        recent = time.time() - 60  # such a file may just be on its way into the table
        for path in self._state.keys_folder.iterdir():
            with contextlib.suppress(OSError):
                if path.stem not in known and path.stat().st_mtime < recent:
                    path.unlink()

    def make_room(self, tenant: str, size: int) -> None:
        """Raises `Full` where keys of `size` bytes cannot be kept."""
        self._database.execute("DELETE FROM sessions WHERE expires_at <= ?", (self._now(),))
        limits = self._limits
        while True:
            count, held, soonest = self._held("WHERE tenant = ?", tenant)
            if count < limits.per_tenant and held + size <= limits.tenant_bytes:
                break
            idle = self._database.execute(
                "SELECT id_hash FROM sessions WHERE tenant = ? AND used_at <= ? ORDER BY used_at LIMIT 1",
                (tenant, self._now() - limits.idle_seconds),
            ).fetchone()
            if idle is None:
                raise Full(self._until(soonest))
            self._forget(idle[0])
        count, held, soonest = self._held("")
        if count >= limits.total or held + size > limits.total_bytes:
            raise Full(self._until(soonest))

    def usage(self) -> tuple[int, int]:
        """How many sessions are open, and how many bytes of keys they hold."""
        count, held, _ = self._held("WHERE expires_at > ?", self._now())
        return count, held

    def _held(self, where: str, *values: object) -> tuple[int, int, float]:
        query = "SELECT count(*), coalesce(sum(bytes), 0), coalesce(min(expires_at), 0) FROM sessions "
        return self._database.execute(query + where, values).fetchone()

    def _until(self, moment: float) -> int:
        return max(1, math.ceil(min(moment - self._now(), self._limits.idle_seconds)))

    def _forget(self, name: str) -> None:
        self._database.execute("DELETE FROM sessions WHERE id_hash = ?", (name,))
        self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self._state.keys_folder / f"{name}.keys"


def _hashed(session: str) -> str:
    return hashlib.sha256(session.encode()).hexdigest()
