"""The tables of the endpoint's state: the same SQL in a SQLite file and, for replicas, in PostgreSQL."""

from __future__ import annotations

import contextlib
import math
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Generator
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Protocol, TypeVar

from lexveil.pipeline.errors import EndpointError
from lexveil.pipeline.serving.server.errors import StateUnavailableError, StorageFullError

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS sessions (
        id_hash TEXT PRIMARY KEY, tenant TEXT NOT NULL, layout TEXT NOT NULL, head TEXT NOT NULL,
        keys_sha256 TEXT NOT NULL, bytes BIGINT NOT NULL, expires_at DOUBLE PRECISION NOT NULL,
        used_at DOUBLE PRECISION NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS sessions_by_tenant ON sessions (tenant)",
    """CREATE TABLE IF NOT EXISTS usage (
        tenant TEXT NOT NULL, day TEXT NOT NULL, slots BIGINT NOT NULL, PRIMARY KEY (tenant, day))""",
    "CREATE TABLE IF NOT EXISTS key_use (key_id TEXT PRIMARY KEY, used_at DOUBLE PRECISION NOT NULL)",
    """CREATE TABLE IF NOT EXISTS leakage (
        tenant TEXT NOT NULL, head TEXT NOT NULL, divergence DOUBLE PRECISION NOT NULL,
        PRIMARY KEY (tenant, head))""",
)

# Until when a shared database may be waited for here, by `time.monotonic`.
DEADLINE: ContextVar[float] = ContextVar("DEADLINE", default=math.inf)
THREADS = 6  # of a replica, and its connections: threads that wait for a shared database at a time
UPLOADS = 2  # beside these: threads, and connections, that store evaluation keys

T = TypeVar("T")
Run = Callable[..., list[Any]]


@contextlib.contextmanager
def hold_in_time(lock: threading.Lock) -> Generator[None, None, None]:
    """Hold a lock, for which nobody waits longer than for the database.

    Raises:
        StateUnavailableError: whoever holds it has not released it in time.
    """
    left = DEADLINE.get() - time.monotonic()
    if not lock.acquire(timeout=-1 if math.isinf(left) else max(0.0, left)):
        raise StateUnavailableError
    try:
        yield
    finally:
        lock.release()


class StateTables(Protocol):
    """The opened tables. Queries use `?` as the placeholder of values."""

    def run(self, query: str, *values: object) -> list[Any]:
        """Run one statement, and return its rows.

        Raises:
            RefusalError: the storage is full, or does not answer.
        """
        ...

    def transact(self, work: Callable[[Run], T], *, alone: bool = False) -> T:
        """Run `work` in a transaction, all of it or nothing. It may be run again after a lost connection.

        Args:
            work: runs its statements by the function that it is given.
            alone: exclude other transactions of this kind: wait for them, and make them wait.

        Raises:
            RefusalError: the storage is full, or does not answer.
        """
        ...


def _connect(database: Path | str) -> sqlite3.Connection:
    # Used by one thread at a time, but not always by the thread that opened it.
    return sqlite3.connect(database, isolation_level=None, check_same_thread=False, timeout=5)


class SqliteTables:
    """The tables in a SQLite database, which one thread uses at a time."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        for statement in SCHEMA:  # some may be missing in one of an earlier version
            connection.execute(statement)

    @classmethod
    def open(cls, path: Path) -> SqliteTables:
        """Open a file, which is created if it is missing.

        Raises:
            OSError: it cannot be created.
            sqlite3.Error: it cannot be used.
        """
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = _connect(path)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        return cls(connection)

    @classmethod
    def create(cls) -> SqliteTables:
        """Create empty tables in memory."""
        return cls(_connect(":memory:"))

    @classmethod
    def read(cls, path: Path) -> SqliteTables:
        """Return a copy of a file in memory, also from a read-only mount; an empty one if there is none.

        Raises:
            EndpointError: it cannot be read.
        """
        copy = sqlite3.connect(":memory:", isolation_level=None)
        for options in ("mode=ro", "mode=ro&immutable=1") if path.exists() else ():
            try:
                address = f"{path.absolute().as_uri()}?{options}"
                with contextlib.closing(sqlite3.connect(address, uri=True)) as stored:
                    stored.backup(copy)
                break
            except sqlite3.Error:
                if "immutable" in options:
                    raise EndpointError("the endpoint's folder cannot be used") from None
        return cls(copy)

    def run(self, query: str, *values: object) -> list[Any]:
        """Run one statement, and return its rows."""
        try:
            return self._connection.execute(query, values).fetchall()
        except sqlite3.OperationalError:
            raise StorageFullError from None

    def transact(self, work: Callable[[Run], T], *, alone: bool = False) -> T:
        """Run `work` in a transaction."""
        del alone  # there is one connection
        self.run("BEGIN")
        try:
            done = work(self.run)
            self.run("COMMIT")
        except BaseException:
            with contextlib.suppress(StorageFullError):  # there is none any more
                self.run("ROLLBACK")
            raise
        return done

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
