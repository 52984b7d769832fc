"""Storage of the ledger's entries: one append-only table whose rows are chained by SHA-256.

SQLite by default, PostgreSQL by URL. One transaction writes at a time, whatever the database.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event, exc

from lexveil.privacy.database import (
    SqliteFile,
    StoreUnavailableError,
    parse_postgres_url,
    postgres_connect_args,
    rewrite_table,
    run_with_retries,
)

# The schema is part of what is hashed: entries of another version break the chain at the first one.
GENESIS = hashlib.sha256(b"lexveil/dp/ledger/1").hexdigest()
_LOCK_SECONDS = 60
_CREATION_LOCK = 0x1E57E11
T = TypeVar("T")


class LedgerError(RuntimeError):
    """Base of the ledger's errors; subclasses say why it refuses. Messages contain numbers only."""


class LedgerUnavailableError(LedgerError):
    """The database does not answer, or not as a ledger's. It carries only the type of the cause."""

    def __init__(self, cause: str) -> None:
        super().__init__(f"the ledger's database does not answer ({cause})")


class LedgerUrlError(LedgerError, ValueError):
    """A URL that cannot name a ledger."""


class LedgerCorruptError(LedgerError):
    """The chain is broken: nothing may be added before a person has looked.

    Attributes:
        seq: Position of the first broken entry.
    """

    def __init__(self, seq: int) -> None:
        super().__init__(f"the ledger's chain is broken at entry {seq}")
        self.seq = seq


_metadata = sa.MetaData()
_entries = sa.Table(
    "entries",
    _metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("population", sa.Text, nullable=False),
    sa.Column("unit", sa.Text, nullable=False),
    sa.Column("relation", sa.Text, nullable=False),
    sa.Column("reservation", sa.Text),
    sa.Column("idempotency_key", sa.Text),
    sa.Column("payload", sa.Text, nullable=False),
    sa.Column("previous", sa.Text, nullable=False, unique=True),
    sa.Column("hash", sa.Text, nullable=False, unique=True),
    sa.UniqueConstraint("population", "unit", "relation", "idempotency_key"),
    sa.UniqueConstraint("reservation", "kind"),
)
# Outside the chain, because a secret must leave no trace when its reservation is settled.
_secrets = sa.Table(
    "secrets",
    _metadata,
    sa.Column("reservation", sa.Text, primary_key=True),
    sa.Column("secret", sa.LargeBinary, nullable=False),
)
for _operation in ("UPDATE", "DELETE"):
    event.listen(
        _entries,
        "after_create",
        sa.DDL(
            f"CREATE TRIGGER entries_refuse_{_operation.lower()} BEFORE {_operation} ON entries "
            "BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END"
        ).execute_if(dialect="sqlite"),
    )
for _statement in (
    "CREATE OR REPLACE FUNCTION entries_refuse() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'the ledger is append-only'; END $$",
    "CREATE TRIGGER entries_refuse_change BEFORE UPDATE OR DELETE OR TRUNCATE ON entries "
    "FOR EACH STATEMENT EXECUTE FUNCTION entries_refuse()",
):
    event.listen(_entries, "after_create", sa.DDL(_statement).execute_if(dialect="postgresql"))


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the table.

    Attributes:
        seq: Position, from 1.
        at: Time in UTC, ISO 8601.
        kind: `limit`, `announce`, `reserve`, `commit` or `abandon`.
        population: Name of the population.
        unit: Privacy unit of the population.
        relation: Neighboring relation of the population.
        reservation: Identifier of the reservation or schedule; None for a limit.
        idempotency_key: Idempotency key of a reservation or schedule, else None.
        payload: Canonical JSON of numbers; of a schedule, with its name.
        previous: Hash of the entry before; of the first one, `GENESIS`.
        hash: SHA-256 of all other fields.
    """

    seq: int
    at: str
    kind: str
    population: str
    unit: str
    relation: str
    reservation: str | None
    idempotency_key: str | None
    payload: str
    previous: str
    hash: str

    @property
    def key(self) -> tuple[str, str, str]:
        """The triple (population, unit, relation)."""
        return (self.population, self.unit, self.relation)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Entry:
        """Return the entry of a row.

        Raises:
            TypeError: The columns are not those of an entry.
        """
        return cls(**row)

    def parse_payload(self) -> dict[str, Any]:
        """Return the payload, parsed."""
        return json.loads(self.payload)

    def digest(self) -> str:
        """Return the hash that this entry must have."""
        content = {name: getattr(self, name) for name in _HASHED}
        return hashlib.sha256(canonical_json(content).encode()).hexdigest()


_HASHED = tuple(field.name for field in fields(Entry) if field.name != "hash")
# One encoder: `json.dumps` with such options makes one for each call.
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def canonical_json(value: object) -> str:
    """Return JSON with only one spelling: sorted keys, no spaces, finite numbers."""
    return _CANONICAL.encode(value)


def find_break(entries: Sequence[Entry]) -> int | None:
    """Return the position, from 1, of the first entry that does not follow from those before it, or None.

    Formal guarantee:
        None means that nobody changed, removed, inserted or reordered an entry without recomputing the hashes
        of all later ones, if SHA-256 is collision-resistant. Assumption: the hash of the last entry is known
        from elsewhere; entries cut off at the end leave an intact chain.
    """
    previous = GENESIS
    for seq, entry in enumerate(entries, start=1):
        if entry.seq != seq or entry.previous != previous or entry.hash != entry.digest():
            return seq
        previous = entry.hash
    return None


E = TypeVar("E", bound=Sequence[Entry])


def require_intact(entries: E) -> E:
    """Return the entries.

    Raises:
        LedgerCorruptError: Their chain is broken (`find_break`).
    """
    broken = find_break(entries)
    if broken is not None:
        raise LedgerCorruptError(broken)
    return entries


class Transaction:
    """The operations on the table: read all entries, append one, keep or destroy a secret."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def entries(self) -> list[Entry]:
        """Return all entries in order."""
        rows = self._connection.execute(sa.select(_entries).order_by(_entries.c.seq))
        return [Entry(*row) for row in rows]

    def append(
        self,
        entries: Sequence[Entry],
        kind: str,
        key: tuple[str, str, str],
        payload: dict[str, Any],
        reservation: str | None = None,
        idempotency_key: str | None = None,
    ) -> Entry:
        """Append an entry.

        Args:
            entries: All existing entries.
            kind: Kind of the entry.
            key: Key of the population.
            payload: Numbers of the entry.
            reservation: Identifier of the reservation.
            idempotency_key: Idempotency key of a reservation.
        """
        at = datetime.now(UTC).isoformat(timespec="seconds")
        previous = entries[-1].hash if entries else GENESIS
        draft = Entry(
            len(entries) + 1,
            at,
            kind,
            *key,
            reservation,
            idempotency_key,
            canonical_json(payload),
            previous,
            "",
        )
        entry = replace(draft, hash=draft.digest())
        self._connection.execute(sa.insert(_entries).values(asdict(entry)))
        return entry

    def secret(self, reservation: str) -> bytes | None:
        """Return the secret kept with a reservation; None if there is none."""
        query = sa.select(_secrets.c.secret).where(_secrets.c.reservation == reservation)
        return self._connection.execute(query).scalar()

    def keep_secret(self, reservation: str, secret: bytes) -> None:
        """Keep a secret until the reservation is settled."""
        self._connection.execute(sa.insert(_secrets).values(reservation=reservation, secret=secret))

    def destroy_secret(self, reservation: str) -> None:
        """Delete the secret and its bytes: SQLite overwrites them, PostgreSQL gives the table a new file."""
        self._connection.execute(sa.delete(_secrets).where(_secrets.c.reservation == reservation))
        rewrite_table(self._connection, _secrets)


class Store:
    """The database at a URL. A SQLite file is created by the first write, with mode 0600."""

    def __init__(self, url: str) -> None:
        """Open the database and create its tables.

        Raises:
            LedgerUrlError: The URL cannot name a ledger.
            LedgerUnavailableError: The database does not answer; also in later calls.
        """
        try:
            parsed = sa.make_url(url)
        except exc.ArgumentError:
            raise LedgerUrlError(
                "the ledger's URL is not valid: sqlite:///FILE or postgresql://..."
            ) from None
        self._sqlite = parsed.get_backend_name() == "sqlite"
        if self._sqlite:
            if not parsed.database or parsed.database == ":memory:":
                raise LedgerUrlError("a ledger in memory would forget what was spent: name a file")
            self._file = SqliteFile(Path(parsed.database), _metadata, _prepare_sqlite, _LOCK_SECONDS)
            self._run_with_retries(self._look)
        elif parsed.get_backend_name() == "postgresql":
            # Repeatable read: a reader sees one state of the chain, and never fails to. No pool: a connection
            # must not cross a fork. No parameters in errors: they include wrapped secrets.
            self._engine = self._run_with_retries(
                lambda: sa.create_engine(
                    parse_postgres_url(parsed),
                    isolation_level="REPEATABLE READ",
                    connect_args=postgres_connect_args(),
                    poolclass=sa.NullPool,
                    hide_parameters=True,
                )
            )
            self._run_with_retries(self._create_tables)
        else:
            raise LedgerUrlError(
                "a ledger must be in SQLite or PostgreSQL: only their locks are known to hold"
            )

    def _create_tables(self) -> None:
        with self._engine.execution_options(isolation_level="READ COMMITTED").begin() as connection:
            # Two processes that start at once would both find no tables and both create them.
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _CREATION_LOCK})
            _metadata.create_all(connection)

    def _look(self) -> None:
        with self._begin(write=False):  # fails if the file is no database
            pass

    def _begin(self, write: bool) -> AbstractContextManager[sa.Connection]:
        return self._file.begin(write) if self._sqlite else self._engine.begin()

    def entries(self) -> list[Entry]:
        """Return all entries in order, as of one moment."""

        def read() -> list[Entry]:
            with self._begin(write=False) as connection:
                return Transaction(connection).entries()

        return self._run_with_retries(read)

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in a transaction: all of it or nothing, one writer at a time.

        If the connection is lost, `work` is repeated and may find its own first result, because the answer
        may have been lost rather than the request. It must then return the same.
        """

        def once() -> T:
            with self._begin(write=True) as connection:
                if not self._sqlite:
                    # The lock comes before the first query, so that the snapshot contains what the previous
                    # writer committed, and no writer fails because of it.
                    connection.execute(sa.text("LOCK TABLE entries IN SHARE ROW EXCLUSIVE MODE"))
                return work(Transaction(connection))

        return self._run_with_retries(once)

    def _run_with_retries(self, work: Callable[[], T]) -> T:
        try:
            return run_with_retries(work, self._sqlite)
        except StoreUnavailableError as error:
            raise LedgerUnavailableError(error.cause) from None

    def close(self) -> None:
        """Close the connections to the database."""
        if self._sqlite:
            self._file.close()
        else:
            self._engine.dispose()


def remove_secrets(copy: sqlite3.Connection) -> None:
    """Remove all secrets from a copy of a SQLite ledger, and their bytes from its file.

    Their runs cannot go on from the copy. Another database is left as it is.
    """
    known = copy.execute("SELECT 1 FROM sqlite_master WHERE name = ?", [_secrets.name]).fetchone()
    if known is not None:
        copy.execute("PRAGMA secure_delete = ON")
        copy.execute(f"DELETE FROM {_secrets.name}")  # noqa: S608
        copy.commit()
        copy.execute("VACUUM")


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver must not begin transactions by itself: BEGIN IMMEDIATE is sent by this module.
    connection.isolation_level = None
    for pragma in ("synchronous=FULL", "secure_delete=ON", "journal_mode=DELETE"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
