"""The tables of the replicas' state in PostgreSQL: every query has a deadline, whatever the database does."""

from __future__ import annotations

import math
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event, exc

from lexveil.pipeline.serving.server.errors import StateUnavailableError
from lexveil.pipeline.serving.server.tables import DEADLINE, THREADS, UPLOADS, Run
from lexveil.privacy.database import parse_postgres_url, postgres_connect_args

T = TypeVar("T")

SCHEMA_NAME = "lexveil_endpoint"
_ALONE = 0x1E57E13  # the advisory lock
# A caller who gets 503 tries again: nothing here waits long.
_PAUSES = (0.1, 0.4)
_SECONDS = 5
_CONNECT_SECONDS = 3
_MOST_SECONDS = 30  # of work without a deadline, such as that of a command
_PROBE_SECONDS = 2  # between attempts to reach a database that was not there
# SQLSTATEs of what may go well when it is done again: connection lost, deadlock, server going down.
_TRANSIENT = re.compile(r"08|40|57P0[123]")
_KEEPALIVES = {
    "keepalives": "1",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "2",
    "tcp_user_timeout": str(1000 * _SECONDS),
}


class SharedTables:
    """The tables in PostgreSQL. Nothing here waits for longer than a few seconds."""

    def __init__(self, url: str) -> None:
        settings = postgres_connect_args(
            search_path=SCHEMA_NAME,
            lock_timeout=f"{_SECONDS}s",
            statement_timeout=f"{_SECONDS}s",
            # A server that is frozen or cut off keeps no row from the others.
            idle_in_transaction_session_timeout=f"{_SECONDS}s",
        )
        self._engine = sa.create_engine(
            parse_postgres_url(url, _KEEPALIVES),
            isolation_level="READ COMMITTED",
            connect_args={**settings, "connect_timeout": _CONNECT_SECONDS},
            pool_size=THREADS,
            max_overflow=UPLOADS,
            pool_timeout=_SECONDS,
            hide_parameters=True,
        )
        self._statements = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._breaker = _Breaker()
        self._thread = threading.local()
        event.listen(self._engine, "connect", self._note, insert=True)  # before the driver's own queries
        event.listen(self._engine, "checkout", self._note)

    def run(self, query: str, *values: object) -> list[Any]:
        """Run one statement, and return its rows."""

        def run_once() -> list[Any]:
            with self._statements.connect() as connection:
                self._check_time()
                return _execute(connection, query, values)

        return self._retry(run_once)

    def transact(self, work: Callable[[Run], T], *, alone: bool = False) -> T:
        """Run `work` in a transaction."""

        def run_once() -> T:
            with self._engine.begin() as connection:

                def run(query: str, *values: object) -> list[Any]:
                    return _execute(connection, query, values)

                self._check_time()
                if alone:
                    run("SELECT pg_advisory_xact_lock(?)", _ALONE)
                done = work(run)
                self._check_time()
                return done

        return self._retry(run_once)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def _retry(self, work: Callable[[], T]) -> T:
        """Run `work`, and again if the connection was lost.

        Raises:
            StateUnavailableError: the database does not answer as it should, or not in time.
        """
        until = min(DEADLINE.get(), time.monotonic() + _MOST_SECONDS)
        for pause in (*_PAUSES, None):
            try:
                with self._breaker.admit(), self._limit_time(until):
                    return work()
            except exc.SQLAlchemyError as error:
                # Without its message, which may hold the URL, and that a password.
                if pause is None or not (self._thread.used and _may_go_well(error)):
                    raise StateUnavailableError from None
            time.sleep(pause)
        raise AssertionError("unreachable")

    @contextmanager
    def _limit_time(self, until: float) -> Generator[None]:
        """Cut the connection of this thread once its time is up: a frozen database would keep both."""
        seconds = until - time.monotonic()
        if seconds <= 0:
            raise StateUnavailableError
        self._thread.used = used = list[Any]()  # connections
        self._thread.until = until
        timer = threading.Timer(seconds, _cut, [used])
        timer.daemon = True
        timer.start()
        try:
            yield
        except exc.TimeoutError:  # all connections are in use
            raise
        except exc.SQLAlchemyError:
            self._breaker.note(bool(used))
            raise
        finally:
            timer.cancel()
        self._breaker.note(True)

    def _check_time(self) -> None:
        """Change nothing for a caller who has given up: a connection may open after the time to cut it."""
        if time.monotonic() >= self._thread.until:
            raise StateUnavailableError

    def _note(self, connection: Any, *_: object) -> None:
        self._thread.used.append(connection)


class _Breaker:
    """Refuses at once while the database is unreachable, except for one attempt every few seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._retry_at = -math.inf  # as long as it is there
        self._probing = False

    @contextmanager
    def admit(self) -> Generator[None]:
        """Try to reach the database.

        Raises:
            StateUnavailableError: it was not there, and it is too early to try again.
        """
        with self._lock:
            down = self._retry_at != -math.inf
            if down and (self._probing or time.monotonic() < self._retry_at):
                raise StateUnavailableError
            self._probing = down
        try:
            yield
        finally:
            if down:
                with self._lock:
                    self._probing = False

    def note(self, there: bool) -> None:
        """Note whether the database was there."""
        with self._lock:
            self._retry_at = -math.inf if there else time.monotonic() + _PROBE_SECONDS


def _execute(connection: sa.Connection, query: str, values: tuple[object, ...]) -> list[Any]:
    result = connection.exec_driver_sql(query.replace("?", "%s"), values)
    return list(result.all()) if result.returns_rows else []


def _may_go_well(error: exc.SQLAlchemyError) -> bool:
    if not isinstance(error, exc.DBAPIError):
        return False
    state = getattr(error.orig, "sqlstate", None)
    lost = isinstance(error, exc.OperationalError | exc.InterfaceError) and state is None
    return lost or bool(_TRANSIENT.match(state or ""))


def _cut(used: list[Any]) -> None:
    """Shut down the last of these connections, at which whoever waits for it stops."""
    for connection in used[-1:]:
        with (
            suppress(OSError, connection.Error),  # it was closed meanwhile
            socket.socket(fileno=os.dup(connection.fileno())) as line,
        ):
            line.shutdown(socket.SHUT_RDWR)
