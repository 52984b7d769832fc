"""Tables and lock of a workspace in PostgreSQL: the catalogue and the log; its keys have their own module.

Each workspace has its own schema (`lexveil.privacy.database` says why), named after its id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.dialects import postgresql

from lexveil.pipeline.errors import WorkspaceError
from lexveil.pipeline.logs import log
from lexveil.pipeline.settings import Settings
from lexveil.pipeline.workspace import tables
from lexveil.pipeline.workspace.paths import WorkspacePaths
from lexveil.privacy.database import (
    Database,
    StoreUnavailableError,
    parse_postgres_url,
    postgres_connect_args,
)

# A machine that loses power frees its lock after a minute and a half, not after the system's two hours.
_KEEPALIVE = {"tcp_keepalives_idle": 30, "tcp_keepalives_interval": 15, "tcp_keepalives_count": 4}

_DIALECT = postgresql.dialect()

_metadata = sa.MetaData()


def _column(field: pa.Field[Any]) -> sa.Column[Any]:
    kind: Any = sa.Integer if pa.types.is_integer(field.type) else sa.Text
    return sa.Column(field.name, kind, nullable=field.nullable)


_columns = [_column(field) for field in tables.CATALOGUE]
_catalogue = sa.Table(
    "catalogue",
    _metadata,
    sa.Column("place", sa.BigInteger, primary_key=True, autoincrement=False),
    *_columns,
)
# Distinguishes an empty catalogue from a missing one.
_written = sa.Table("catalogue_written", _metadata, sa.Column("rows", sa.BigInteger, nullable=False))


_log = sa.Table(
    "log",
    _metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("line", sa.Text, nullable=False),
)
APPEND_ONLY = (
    "CREATE OR REPLACE FUNCTION log_refuse() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'the log is append-only'; END $$",
    "CREATE TRIGGER log_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON log "
    "FOR EACH STATEMENT EXECUTE FUNCTION log_refuse()",
)
for _statement in APPEND_ONLY:
    event.listen(_log, "after_create", sa.DDL(_statement))


def schema_name(workspace_id: str) -> str:
    """Return the name of the schema of a workspace's tables."""
    return f"lexveil_{workspace_id}"


def open_tables(paths: WorkspacePaths, settings: Settings) -> WorkspaceTables | None:
    """Open a workspace's tables in the database; None if it uses files instead.

    Raises:
        SettingsError: the workspace is remote, and no database is configured.
        StoreUnavailableError: the database cannot be reached.
    """
    url = paths.database_url(settings, "")
    return WorkspaceTables(url, paths.id) if settings.database.url is not None else None


@contextmanager
def database_lock(url: str, workspace_id: str) -> Generator[None, None, None]:
    """Keep all other processes out of a workspace, on all machines.

    It is an advisory lock of PostgreSQL on its own session: the server frees it when this process dies, and
    about a minute and a half after this machine has disappeared. A server that is restarted in the meantime
    loses the lock; a warning is logged.

    Raises:
        WorkspaceError: another process holds the lock.
        StoreUnavailableError: the database cannot be reached.
    """
    key = int.from_bytes(
        hashlib.sha256(f"lexveil/workspace/{workspace_id}".encode()).digest()[:8], signed=True
    )
    try:
        engine = sa.create_engine(
            parse_postgres_url(url),
            poolclass=sa.NullPool,
            isolation_level="AUTOCOMMIT",
            connect_args=postgres_connect_args(**_KEEPALIVE),
            hide_parameters=True,
        )
        connection = engine.connect()
        held = connection.scalar(sa.text("SELECT pg_try_advisory_lock(:key)"), {"key": key})
    except exc.SQLAlchemyError as error:
        raise StoreUnavailableError(type(getattr(error, "orig", error)).__name__) from None
    try:
        if not held:
            raise WorkspaceError("another run is working on this workspace; wait for it to end")
        yield
        with suppress(exc.SQLAlchemyError):
            held = connection.scalar(sa.text("SELECT pg_advisory_unlock(:key)"), {"key": key}) and not held
        if held:
            log.warning(
                "the database has lost the workspace's lock in the meantime: another run may have used it"
            )
    finally:
        with suppress(exc.SQLAlchemyError):
            connection.close()


class WorkspaceTables:
    """The catalogue and the log of one workspace.

    Raises:
        StoreUnavailableError: the database cannot be reached, now or by a method.
    """

    def __init__(self, url: str, workspace_id: str) -> None:
        self._database = Database(url, _metadata, schema_name(workspace_id))

    def read_log(self) -> list[bytes]:
        """Read all lines in order."""
        query = sa.select(_log.c.line).order_by(_log.c.seq)
        return [line.encode() for line in self._database.read(lambda c: c.scalars(query).all())]

    def append_to_log(self, follow: Callable[[bytes | None], bytes]) -> bytes:
        """Append a line to the log, one writer at a time.

        Args:
            follow: makes the line from the last one, which is None in an empty log.

        Returns:
            The line.
        """
        added: set[str] = set()

        def append(connection: sa.Connection) -> bytes:
            last = connection.execute(sa.select(_log).order_by(_log.c.seq.desc()).limit(1)).one_or_none()
            if last is not None and last.line in added:
                return last.line.encode()  # this call's: the connection was lost before the answer arrived
            line = follow(None if last is None else last.line.encode())
            added.add(line.decode())
            seq = 1 if last is None else last.seq + 1
            connection.execute(sa.insert(_log).values(seq=seq, line=line.decode()))
            return line

        return self._database.write(append)

    def has_catalogue(self) -> bool:
        """Return True if a catalogue was ever written, even an empty one."""
        return (
            self._database.read(lambda connection: connection.scalar(sa.select(_written.c.rows))) is not None
        )

    def read_catalogue(self, shard: int | None = None) -> pa.Table:
        """Read the catalogue in its order, or the rows of one shard; schema `tables.CATALOGUE`."""
        query = sa.select(*_columns).order_by(_catalogue.c.place)
        if shard is not None:
            query = query.where(_catalogue.c.shard == shard)
        rows = self._database.read(lambda connection: connection.execute(query).all())
        if not rows:
            return tables.CATALOGUE.empty_table()
        return pa.table([list(column) for column in zip(*rows, strict=True)], schema=tables.CATALOGUE)

    def write_catalogue(self, table: pa.Table) -> None:
        """Replace the catalogue, whole or not at all; the old rows are removed from the disk."""
        arrays = ", ".join(f"CAST(:{c.name} AS {c.type.compile(_DIALECT)}[])" for c in _columns)
        names = ", ".join(column.name for column in _columns)
        # One statement for all rows: row by row, the driver needs a second for a hundred thousand.
        insert = sa.text(
            f"INSERT INTO catalogue ({names}, place) SELECT * FROM unnest({arrays}) WITH ORDINALITY"  # noqa: S608
        )
        values = {column.name: table.column(column.name).to_pylist() for column in _columns}

        def write(connection: sa.Connection) -> None:
            # Not DELETE: an erased document's row would stay in the file until it is overwritten.
            connection.exec_driver_sql("TRUNCATE catalogue, catalogue_written")
            connection.execute(insert, values)
            connection.execute(sa.insert(_written).values(rows=table.num_rows))

        self._database.write(write)
