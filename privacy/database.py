"""Storage of tables: in a SQLite file, or in a schema of a PostgreSQL database that several may share."""

from __future__ import annotations

import functools
import os
import re
import sqlite3
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event, exc

from lexveil.privacy.vault import VaultError

T = TypeVar("T")
_BUSY_SECONDS = 30
_LOCK_SECONDS = 60
_CONNECT_SECONDS = 10
# Nobody reports a machine that is gone: without these, a client would wait for its answer for hours.
_KEEPALIVES = {
    "keepalives": "1",
    "keepalives_idle": "30",
    "keepalives_interval": "15",
    "keepalives_count": "4",
    "tcp_user_timeout": "90000",
}
_CREATION_LOCK = 0x1E57E12
# A restarted server answers again within seconds.
_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6)
# Transient SQLSTATEs: connection lost, serialization, too many connections, server going down or up.
_TRANSIENT = re.compile(r"08|40|53300|57P0[123]")
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,62}")


class StoreUnavailableError(VaultError):
    """The database does not answer, or not as expected.

    It carries only the type of the cause: never URL or row.

    Attributes:
        cause: Type of the cause, or what is wrong with the URL.
    """

    def __init__(self, cause: str) -> None:
        super().__init__("store", f"the database cannot be opened or used ({cause})")
        self.cause = cause


class Database:
    """Tables in a SQLite file, or in one schema of a PostgreSQL database.

    One transaction writes at a time, whatever the database, and each reader sees one moment. Connections
    never cross a fork. A lost PostgreSQL connection is opened again and the work repeated: it must return the
    same if its first try was committed after all.

    Each workspace has a schema rather than a column: its tables are the same as in SQLite, they can be
    granted, dumped, restored and dropped separately, and an erasure does not rewrite the rows of other
    workspaces.

    Attributes:
        sqlite: True for a SQLite file.
    """

    def __init__(self, url: str, tables: sa.MetaData, schema: str | None = None) -> None:
        """Open the database and create missing tables. A SQLite file is created by the first write.

        Args:
            url: SQLAlchemy URL, `sqlite:///path` or `postgresql://...`.
            tables: The tables.
            schema: Schema in PostgreSQL, a plain name; None for `public`.

        Raises:
            StoreUnavailableError: The database cannot be used; also in later calls.
            ValueError: The schema is not a plain name.
        """
        if schema is not None and not _SCHEMA.fullmatch(schema):
            raise ValueError("the name of a schema must be plain: a-z, 0-9 and _")
        self._tables = tables
        self._schema = schema or "public"
        self.sqlite = url.startswith("sqlite:")
        if self.sqlite:
            self._file = SqliteFile(Path(sa.make_url(url).database or ""), tables, _prepare_sqlite)
            self.read(lambda connection: None)
        else:
            self._address = parse_postgres_url(url)
            self._run_with_retries(self._create_schema)

    def read(self, work: Callable[[sa.Connection], T]) -> T:
        """Run `work`, which only reads, in a transaction that sees one moment."""
        return self._run_with_retries(lambda: self._run_in_transaction(work, "ACCESS SHARE"))

    def write(self, work: Callable[[sa.Connection], T]) -> T:
        """Run `work` in a transaction: all of it or nothing, one writer at a time."""
        return self._run_with_retries(lambda: self._run_in_transaction(work, "SHARE ROW EXCLUSIVE"))

    def scrub(self) -> bool:
        """Remove deleted rows from the bytes of a SQLite file; return False if another process holds it.

        In PostgreSQL, rows that must vanish are left out when their table is rewritten (`rewrite_table`).
        """
        if not self.sqlite:
            return True
        return self._run_with_retries(lambda: self._vacuum(self._file.writing_engine()))

    def _run_in_transaction(self, work: Callable[[sa.Connection], T], mode: str) -> T:
        if self.sqlite:
            with self._file.begin(write=mode != "ACCESS SHARE") as connection:
                return work(connection)
        with self._engine().begin() as connection:
            self._enter_schema(connection)
            # The lock comes before the first query, so the snapshot contains what the previous writer
            # committed, and no reader can see a table while it is rewritten.
            names = ", ".join(table.name for table in self._tables.sorted_tables)
            connection.exec_driver_sql(f"LOCK TABLE {names} IN {mode} MODE")
            return work(connection)

    def _engine(self) -> sa.Engine:
        return _postgres_engine(self._address, os.getpid())  # looked up at each use: another one after a fork

    def _enter_schema(self, connection: sa.Connection) -> None:
        connection.exec_driver_sql(f"SET LOCAL search_path TO {self._schema}")

    def _create_schema(self) -> None:
        inspected = sa.inspect(self._engine())
        expected = {table.name for table in self._tables.sorted_tables}
        if expected <= set(inspected.get_table_names(self._schema)):
            return
        with self._engine().execution_options(isolation_level="READ COMMITTED").begin() as connection:
            # Two processes that start at once would both find nothing and both create it.
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _CREATION_LOCK})
            if self._schema not in sa.inspect(connection).get_schema_names():
                connection.exec_driver_sql(f"CREATE SCHEMA {self._schema}")
            self._enter_schema(connection)
            self._tables.create_all(connection)

    def _vacuum(self, engine: sa.Engine) -> bool:
        connection = engine.raw_connection()
        try:
            cursor = connection.cursor()
            # secure_delete zeroes freed cells, but rebuilt pages may keep a copy: rewrite everything.
            cursor.execute("VACUUM")
            return not cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        finally:
            connection.close()

    def _run_with_retries(self, work: Callable[[], T]) -> T:
        return run_with_retries(work, self.sqlite)


def run_with_retries(work: Callable[[], T], sqlite: bool) -> T:
    """Run `work`, and repeat it if a connection to PostgreSQL was lost.

    Raises:
        StoreUnavailableError: It failed otherwise, or too often.
    """
    for pause in (*_PAUSES, None):
        try:
            return work()
        except exc.DBAPIError as error:
            state = getattr(error.orig, "sqlstate", None)
            lost = isinstance(error, exc.OperationalError | exc.InterfaceError) and state is None
            if pause is None or sqlite or not (lost or _TRANSIENT.match(state or "")):
                # Without the cause: its message may contain the URL, and that a password.
                raise StoreUnavailableError(type(error.orig).__name__) from None
        except (OSError, sqlite3.Error, exc.SQLAlchemyError) as error:
            raise StoreUnavailableError(type(error).__name__) from None
        time.sleep(pause)
    raise AssertionError("unreachable")


def rewrite_table(connection: sa.Connection, table: sa.Table) -> None:
    """Give a PostgreSQL table a new file with the rows that this transaction sees.

    SQLite is left unchanged. In PostgreSQL deleted rows would stay in the pages of the old file until they
    are overwritten. VACUUM would not help: it keeps the bytes, and VACUUM FULL copies whatever the oldest
    open transaction may still read.
    """
    if connection.dialect.name == "sqlite":
        return
    kept_name = f"kept_{table.name}"
    connection.exec_driver_sql(
        f"CREATE TEMPORARY TABLE {kept_name} ON COMMIT DROP AS TABLE {table.name}; TRUNCATE {table.name}"
    )
    kept = sa.table(kept_name, *(sa.column(column.name) for column in table.columns))
    connection.execute(sa.insert(table).from_select([column.name for column in table.columns], kept.select()))


def insert_missing(connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    """Insert the rows whose primary key does not exist yet."""
    if not rows:
        return
    from sqlalchemy.dialects import postgresql, sqlite

    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    connection.execute(insert(table).on_conflict_do_nothing(), rows)


def parse_postgres_url(url: str | sa.URL, keepalives: Mapping[str, str] = _KEEPALIVES) -> sa.URL:
    """Return the URL with the driver that is used here.

    Args:
        url: The URL.
        keepalives: When a server that is silent counts as gone, where the URL does not say it.

    Raises:
        StoreUnavailableError: The URL is not valid or of another database, or the driver is not installed.
    """
    try:
        parsed = sa.make_url(url)
    except (exc.ArgumentError, ValueError):  # the latter for a port that is not a number
        raise StoreUnavailableError("its URL is not valid") from None
    if parsed.get_backend_name() != "postgresql":
        raise StoreUnavailableError("neither SQLite nor PostgreSQL")
    if find_spec("psycopg") is None:
        raise StoreUnavailableError("psycopg is not installed: pip install lexveil[postgres]")
    return parsed.set(drivername="postgresql+psycopg").update_query_dict({**keepalives, **parsed.query})


def postgres_connect_args(**given: str | int) -> dict[str, Any]:
    """Return the connection arguments for PostgreSQL; `given` are further settings of the session."""
    settings = {"lock_timeout": f"{_LOCK_SECONDS}s", "client_min_messages": "warning", **given}
    return {
        "connect_timeout": _CONNECT_SECONDS,
        "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
    }


@functools.cache
def _postgres_engine(url: sa.URL, process: int) -> sa.Engine:
    """Return one engine per process: a connection in use must not cross a fork."""
    del process
    # Repeatable read: a reader sees one state. No parameters in errors: they include wrapped keys.
    return sa.create_engine(
        url,
        isolation_level="REPEATABLE READ",
        connect_args=postgres_connect_args(),
        pool_size=1,
        pool_pre_ping=True,
        hide_parameters=True,
    )


class SqliteFile:
    """The tables of a SQLite file. Reading never creates the file, and works on a read-only file system.

    Mode of the file: 0600. Connections are opened for each transaction, so none crosses a fork.
    """

    def __init__(
        self, file: Path, tables: sa.MetaData, prepare: Callable[[Any, Any], None], seconds: float = 5.0
    ) -> None:
        """Name the file; nothing is opened.

        Args:
            file: The file.
            tables: Its tables. Missing ones are created, unless the file cannot be written.
            prepare: Sets the pragmas of a new connection that may write.
            seconds: How long a new connection waits for a lock.
        """
        self._file, self._tables = file, tables
        self._complete = False
        # Without parameters in errors: they include wrapped keys. No pool: opening a file is cheap.
        options: dict[str, Any] = {"poolclass": sa.NullPool, "hide_parameters": True}
        self._writer = sa.create_engine(
            sa.URL.create("sqlite", database=str(file)), connect_args={"timeout": seconds}, **options
        )
        event.listen(self._writer, "connect", prepare)
        event.listen(self._writer, "begin", _begin_sqlite)
        self._reader = sa.create_engine("sqlite://", creator=self._connect_for_reading, **options)

    @contextmanager
    def begin(self, write: bool) -> Generator[sa.Connection]:
        """Begin a transaction: one that writes waits for others that do, one that reads sees one moment."""
        if write or (self._file.exists() and self._is_writable()):
            with self.writing_engine().execution_options(write=write).begin() as connection:
                yield connection
            return
        with self._reader.begin() as connection:
            if not self._file.exists():
                if not self._file.parent.is_dir():
                    raise FileNotFoundError
                self._tables.create_all(connection)  # in memory: there is nothing to read
            yield connection

    def writing_engine(self) -> sa.Engine:
        """Return an engine for the file, which is created with its tables if it is missing."""
        if not self._complete:
            # Created before SQLite does it: SQLite uses the umask, and its log files copy this file's mode.
            handle = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600)
            if os.fstat(handle).st_mode & 0o077:
                os.fchmod(handle, 0o600)
            os.close(handle)
            known = sa.inspect(self._writer).get_table_names()
            if any(table.name not in known for table in self._tables.sorted_tables):
                with self._writer.execution_options(write=True).begin() as connection:
                    self._tables.create_all(connection)
            self._complete = True
        return self._writer

    def close(self) -> None:
        """Close the connections."""
        self._writer.dispose()
        self._reader.dispose()

    def _is_writable(self) -> bool:
        return os.access(self._file, os.W_OK) and os.access(self._file.parent, os.W_OK)

    def _connect_for_reading(self) -> sqlite3.Connection:
        if not self._file.exists():
            return sqlite3.connect(":memory:")
        log = self._file.with_name(self._file.name + "-wal")
        # Without entries in the log nobody writes, and SQLite need not create files to coordinate.
        alone = not log.exists() or not log.stat().st_size
        mode = "mode=ro&immutable=1" if alone else "mode=ro"
        return sqlite3.connect(f"{self._file.absolute().as_uri()}?{mode}", uri=True)


def _begin_sqlite(connection: sa.Connection) -> None:
    # Begun here, as the `write` option says; the driver itself must not begin any.
    # IMMEDIATE: a transaction that read first cannot fail later because another one wrote meanwhile.
    write = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # this module begins transactions, not the driver
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_SECONDS * 1000}")
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA temp_store = MEMORY")  # VACUUM's working copy stays off the disk
    connection.execute("PRAGMA synchronous = FULL")  # a key must be on disk before text sealed with it
    _enter_wal(connection)


def _enter_wal(connection: Any) -> None:
    # The change of journal mode does not wait for a busy file, unlike every other statement.
    deadline = time.monotonic() + _BUSY_SECONDS
    while connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
