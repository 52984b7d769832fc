"""Sessions: evaluation keys, limited in time, number and size. They outlive the server's process.

A session's id is 256 random bits, of which only the SHA-256 is stored. The session is bound to the tenant
that opened it, to the layout, and to a head: for other tenants there is no such session, and it ends with its
head.
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

from lexveil.pipeline.serving.server.errors import RefusalError, StorageFullError
from lexveil.pipeline.serving.server.state import ServerState
from lexveil.pipeline.serving.server.tables import Run

_USES = 10  # notes of its use, at most, in the time after which a session is idle


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
        self._tables = state.tables
        self._limits = limits
        self._now = now
        with contextlib.suppress(RefusalError):
            self.purge()

    async def open(self, tenant: str, layout: str, head: str, keys: bytes) -> tuple[str, float]:
        """Store evaluation keys for a head, and return the new session's id and when it expires.

        Raises:
            SessionsFullError: the tenant, or all tenants together, have too many keys.
            RefusalError: they cannot be stored. Nothing is changed.
        """
        await self._state.call(self._choose_idle, self._tables.run, tenant, len(keys), lane=tenant)
        session = secrets.token_urlsafe(32)
        name, expires = _hash_id(session), self._now() + self._limits.seconds
        row = (name, tenant, layout, head, hashlib.sha256(keys).hexdigest(), len(keys), expires, self._now())
        try:
            bound = _bind(tenant, layout, head)
            await self._state.upload(self._state.keys.keep, name, bound, keys, lane=tenant)
            closed = await self._state.call(self._add, row, lane=tenant)
        except BaseException as error:
            with contextlib.suppress(RefusalError):
                await self._state.call(self._state.keys.drop, [name], lane=tenant)
            if isinstance(error, OSError):
                raise StorageFullError from None
            raise
        with contextlib.suppress(RefusalError):  # purged later
            await self._state.call(self._state.keys.drop, closed, lane=tenant)
        return session, expires

    def _add(self, row: tuple[str, str, str, str, str, int, float, float]) -> list[str]:
        """Add a session's row, and return the idle sessions that were closed for it."""

        def add(run: Run) -> list[str]:
            closed = self._choose_idle(run, row[1], row[5])  # others may have been opened meanwhile
            for name in closed:
                run("DELETE FROM sessions WHERE id_hash = ?", name)
            run("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", *row)
            return closed

        return self._tables.transact(add, alone=True)

    def find(self, session: str, tenant: str) -> Session:
        """Return a tenant's session by its id, and record that it is in use.

        Raises:
            SessionNotFoundError: the tenant has no such session.
            RefusalError: the storage does not answer, or has no space for a copy of the keys.
        """
        name = _hash_id(session)
        query = (
            "SELECT layout, head, keys_sha256, used_at FROM sessions "
            "WHERE id_hash = ? AND tenant = ? AND expires_at > ?"
        )
        for layout, head, digest, used_at in self._tables.run(query, name, tenant, self._now()):
            if self._now() - used_at > self._limits.idle_seconds / _USES:
                # On a full disk sessions are still answered; at worst one in use makes room for another.
                with contextlib.suppress(RefusalError):
                    self._tables.run("UPDATE sessions SET used_at = ? WHERE id_hash = ?", self._now(), name)
            try:
                keys = self._state.keys.fetch(name, _bind(tenant, layout, head))
            except OSError:
                raise StorageFullError from None
            return Session(name, layout, head, keys, digest)
        raise SessionNotFoundError

    def close(self, session: str, tenant: str) -> None:
        """Delete a tenant's session and its keys.

        Raises:
            SessionNotFoundError: the tenant has no such session.
            RefusalError: the change cannot be stored.
        """
        name = _hash_id(session)
        query = "DELETE FROM sessions WHERE id_hash = ? AND tenant = ? AND expires_at > ? RETURNING id_hash"
        if not self._tables.run(query, name, tenant, self._now()):
            raise SessionNotFoundError
        self._state.keys.drop([name])

    def close_head_sessions(self, head: str) -> None:
        """Delete the sessions of a head that is no longer served, and their keys.

        Raises:
            StateUnavailableError: not all could be deleted.
        """
        found = self._tables.run("SELECT id_hash FROM sessions WHERE head = ?", head)
        # The keys first: on a full disk this makes the room that the tables need.
        self._state.keys.drop([name for (name,) in found])
        with contextlib.suppress(StorageFullError):  # without its keys, a session is not answered
            self._tables.run("DELETE FROM sessions WHERE head = ?", head)

    def purge(self) -> None:
        """Delete expired sessions, and keys without a session.

        The keys go first: on a full disk this makes the room that the tables need.

        Raises:
            RefusalError: the storage does not answer.
        """
        now = self._now()
        alive = self._tables.run("SELECT id_hash FROM sessions WHERE expires_at > ?", now)
        self._state.keys.purge({name for (name,) in alive})
        with contextlib.suppress(RefusalError):  # they are no longer found, and tried again
            self._tables.run("DELETE FROM sessions WHERE expires_at <= ?", now)

    def usage(self) -> tuple[int, int]:
        """Return the number of open sessions, and the bytes of their keys.

        Raises:
            RefusalError: the storage does not answer.
        """
        count, held, _ = _sum(self._tables.run, "WHERE expires_at > ?", self._now())
        return count, held

    def _choose_idle(self, run: Run, tenant: str, size: int) -> list[str]:
        """Return the idle sessions of a tenant that must be closed for keys of `size` bytes to fit.

        Raises:
            SessionsFullError: they do not fit.
        """
        limits, now = self._limits, self._now()
        count, held, soonest = _sum(run, "WHERE tenant = ? AND expires_at > ?", tenant, now)
        idle = iter(
            run(
                "SELECT id_hash, bytes FROM sessions WHERE tenant = ? AND expires_at > ? AND used_at <= ? "
                "ORDER BY used_at",
                tenant,
                now,
                now - limits.idle_seconds,
            )
        )
        closed: list[str] = []
        freed = 0
        while count - len(closed) >= limits.per_tenant or held - freed + size > limits.tenant_bytes:
            row = next(idle, None)
            if row is None:
                raise SessionsFullError(self._seconds_until(soonest))
            closed.append(row[0])
            freed += row[1]
        count, held, soonest = _sum(run, "WHERE expires_at > ?", now)
        if count - len(closed) >= limits.total or held - freed + size > limits.total_bytes:
            raise SessionsFullError(self._seconds_until(soonest))
        return closed

    def _seconds_until(self, moment: float) -> int:
        return max(1, math.ceil(min(moment - self._now(), self._limits.idle_seconds)))


def _sum(run: Run, where: str, *values: object) -> tuple[int, int, float]:
    """Return number of sessions, bytes of their keys, and the moment when the first one expires."""
    columns = "count(*), CAST(coalesce(sum(bytes), 0) AS BIGINT), coalesce(min(expires_at), 0)"
    return run(f"SELECT {columns} FROM sessions {where}", *values)[0]  # noqa: S608


def _hash_id(session: str) -> str:
    return hashlib.sha256(session.encode()).hexdigest()


def _bind(tenant: str, layout: str, head: str) -> str:
    return f"{tenant}/{layout}/{head}"
