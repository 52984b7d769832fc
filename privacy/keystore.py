"""The table of the documents' keys: one data key a document, wrapped by the master key.

What it protects against, and what not, stands in `privacy.vault`, whose primitives it is composed of.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, exc
from sqlalchemy.dialects import postgresql, sqlite

from privacy.vault import KEY_BYTES, Erased, KeyUnusable, MasterKey, VaultError, seal, unseal

_BUSY_SECONDS = 30
_CHUNK = 500  # ids in one statement: SQLite allows 32,766 bound variables, PostgreSQL fewer in practice

_metadata = sa.MetaData()
_data_keys = sa.Table(
    "data_keys",
    _metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("wrapped", sa.LargeBinary, nullable=False),
    sa.Column("created", sa.Float, nullable=False),
)
_tombstones = sa.Table(
    "tombstones",
    _metadata,
    sa.Column("id", sa.String, primary_key=True),
    sa.Column("erased", sa.Float, nullable=False),
)
_facts = sa.Table(
    "facts",
    _metadata,
    sa.Column("name", sa.String, primary_key=True),
    sa.Column("value", sa.String, nullable=False),
)
_PURPOSE = "purpose/"


class KeyStore:
    """The table of wrapped data keys, one a document, and the tombstones of the erased ones.

    A data key is 32 random bytes, wrapped by AES-256-GCM with the document id as associated data. RFC 3394
    key wrap would save the nonce but binds no id, so that two rows could be exchanged unnoticed.

    Safe for several processes on one machine (SQLite: WAL, a write transaction from the start, first
    writer wins); every call opens and closes its own connection, so a store may be inherited by fork.
    Raises `KeyUnusable("wrong_key")` when the table belongs to another master key, also after another
    process has rotated it; `VaultError("store")` when the table cannot be opened or is broken.
    """

    def __init__(self, url: str, master: MasterKey) -> None:
        self._master = master
        own = [{"name": "master_key", "value": master.key_id}]
        try:
            self._engine = _open_engine(url)
            with self._transaction(check=False) as connection:
                _metadata.create_all(connection)
                self._insert_missing(connection, _facts, own, "name")
                self._check_master(connection)
        except (OSError, sqlite3.Error, exc.SQLAlchemyError):
            # Without the cause: its message may hold the URL, and that a password.
            raise VaultError("store", "the key table cannot be opened or is broken") from None

    def __repr__(self) -> str:
        return "KeyStore(...)"

    def keys_for(self, doc_ids: Sequence[str]) -> dict[str, bytes]:
        """Data keys of these documents; missing ones are made, all in one transaction.

        Raises `Erased`, and makes none, when one of them was erased: ask `erased` first.
        """
        with self._transaction() as connection:
            gone = self._select_ids(connection, _tombstones, doc_ids)
            if gone:
                raise Erased(len(gone))
            present = self._select_ids(connection, _data_keys, doc_ids)
            now = time.time()
            rows = [
                {"id": doc_id, "wrapped": self._wrap(secrets.token_bytes(KEY_BYTES), doc_id), "created": now}
                for doc_id in dict.fromkeys(doc_ids)
                if doc_id not in present
            ]
            self._insert_missing(connection, _data_keys, rows, "id")
            # Read back: another process may have been first, and its key is the one that counts.
            return self._read_keys(connection, doc_ids)

    def existing(self, doc_ids: Sequence[str]) -> dict[str, bytes]:
        """Data keys of those of the documents that have one."""
        with self._transaction() as connection:
            return self._read_keys(connection, doc_ids)

    def created(self, doc_ids: Sequence[str]) -> dict[str, float]:
        """When the key of each of the documents that have one was made, in seconds since 1970."""
        found: dict[str, float] = {}
        with self._transaction() as connection:
            for chunk in _chunks(doc_ids):
                query = sa.select(_data_keys.c.id, _data_keys.c.created).where(_data_keys.c.id.in_(chunk))
                found |= {row.id: row.created for row in connection.execute(query)}
        return found

    def purpose_key(self, purpose: str) -> bytes:
        """A 32-byte key for one purpose (document ids, pseudonyms), the same after a rotation.

        It is derived from the master key at its first use, so that two key tables begun under one master
        key give one document one id, and kept wrapped from then on. Whoever gets hold of that first master
        key can therefore compute it, also after a rotation.
        """
        name = _PURPOSE + purpose
        with self._transaction() as connection:
            wrapped = self._wrap(self._master.derive(name), name)
            row = {"id": name, "wrapped": wrapped, "created": time.time()}
            self._insert_missing(connection, _data_keys, [row], "id")
            return self._read_keys(connection, [name])[name]

    def erased(self, doc_ids: Sequence[str]) -> set[str]:
        """Those of the documents that were erased."""
        with self._transaction() as connection:
            return self._select_ids(connection, _tombstones, doc_ids)

    def destroy(self, doc_ids: Sequence[str], *, tombstones: bool = True) -> int:
        """Destroys the keys of these documents for good; returns how many keys there were.

        Each id leaves a tombstone with the time, so that a later run cannot take the document in again
        unnoticed; without `tombstones` the same content may come again, under another key. With SQLite the deleted bytes are overwritten and the write-ahead log is emptied; should
        another process hold it, `VaultError("erase_incomplete")` says so: the keys are gone from the
        table, and calling again finishes the cleaning.
        """
        now = time.time()
        with self._transaction() as connection:
            stones = [{"id": doc_id, "erased": now} for doc_id in dict.fromkeys(doc_ids)]
            self._insert_missing(connection, _tombstones, stones if tombstones else [], "id")
            count = 0
            for chunk in _chunks(doc_ids):
                count += connection.execute(sa.delete(_data_keys).where(_data_keys.c.id.in_(chunk))).rowcount
        self._scrub()
        return count

    def rewrap(self, new_master: MasterKey) -> int:
        """Wraps all data keys under another master key, all or none; returns their number.

        Sealed documents stay as they are. The old master key opens nothing of this store any more.
        """
        with self._transaction() as connection:
            rows = connection.execute(sa.select(_data_keys.c.id, _data_keys.c.wrapped)).all()
            key = _wrapping_key(new_master)
            renewed = [
                {"row": row.id, "new": seal(key, self._unwrap(row.wrapped, row.id), row.id)} for row in rows
            ]
            if renewed:
                update = sa.update(_data_keys).where(_data_keys.c.id == sa.bindparam("row"))
                connection.execute(update.values(wrapped=sa.bindparam("new")), renewed)
            connection.execute(
                sa.update(_facts).where(_facts.c.name == "master_key").values(value=new_master.key_id)
            )
        self._master = new_master
        self._scrub()
        return len(rows)

    @contextmanager
    def _transaction(self, check: bool = True) -> Generator[sa.Connection, None, None]:
        with self._engine.begin() as connection:
            if check:
                self._check_master(connection)
            yield connection

    def _check_master(self, connection: sa.Connection) -> None:
        stored = connection.scalar(sa.select(_facts.c.value).where(_facts.c.name == "master_key"))
        if stored != self._master.key_id:
            raise KeyUnusable("wrong_key")

    def _wrap(self, data_key: bytes, doc_id: str) -> bytes:
        return seal(_wrapping_key(self._master), data_key, doc_id)

    def _unwrap(self, wrapped: bytes, doc_id: str) -> bytes:
        return unseal(_wrapping_key(self._master), wrapped, doc_id)

    def _read_keys(self, connection: sa.Connection, doc_ids: Sequence[str]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for chunk in _chunks(doc_ids):
            query = sa.select(_data_keys.c.id, _data_keys.c.wrapped).where(_data_keys.c.id.in_(chunk))
            found |= {row.id: self._unwrap(row.wrapped, row.id) for row in connection.execute(query)}
        return found

    @staticmethod
    def _select_ids(connection: sa.Connection, table: sa.Table, doc_ids: Sequence[str]) -> set[str]:
        return {
            found
            for chunk in _chunks(doc_ids)
            for found in connection.scalars(sa.select(table.c.id).where(table.c.id.in_(chunk)))
        }

    @staticmethod
    def _insert_missing(
        connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]], unique: str
    ) -> None:
        if not rows:
            return
        insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
        connection.execute(insert(table).on_conflict_do_nothing(index_elements=[unique]), list(rows))

    def _scrub(self) -> None:
        """Removes deleted rows from the file itself; elsewhere that is the database's own vacuum."""
        if self._engine.dialect.name != "sqlite":
            return
        connection = self._engine.raw_connection()
        try:
            cursor = connection.cursor()
            # secure_delete zeroes freed cells, but pages that were rebuilt may keep a copy: write all anew.
            cursor.execute("VACUUM")
            busy = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        finally:
            connection.close()
        if busy:
            raise VaultError("erase_incomplete", "another process held the key table; erase again")


def _wrapping_key(master: MasterKey) -> bytes:
    return master.derive("wrap-data-keys")


def _chunks(doc_ids: Iterable[str]) -> Iterator[list[str]]:
    unique = list(dict.fromkeys(doc_ids))
    for start in range(0, len(unique), _CHUNK):
        yield unique[start : start + _CHUNK]


def _open_engine(url: str) -> sa.Engine:
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        # Made before SQLite does: it would use the umask, and its log files copy the mode of this one.
        os.close(os.open(parsed.database, os.O_RDWR | os.O_CREAT, 0o600))
    # No pool: a pooled connection must not cross a fork.
    engine = sa.create_engine(url, poolclass=sa.NullPool, hide_parameters=True)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        # IMMEDIATE: a transaction that read first cannot fail later because another one wrote meanwhile.
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # transactions are begun by us, not by the driver
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
