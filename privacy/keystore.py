"""The table of the documents' keys: one data key per document, wrapped by the master key.

`lexveil.privacy.vault`, whose primitives it uses, says what it protects against and what not.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Iterator, Sequence

import sqlalchemy as sa

from lexveil.privacy.database import Database, insert_missing, rewrite_table
from lexveil.privacy.key_services import KeyService, unwrap_master_key
from lexveil.privacy.vault import KEY_BYTES, ErasedError, MasterKey, MasterKeyError, VaultError, seal, unseal

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
# Facts: the master key's id; if a key service keeps it, its wrapped form and the service's address;
_MASTER, _WRAPPED, _SERVICE = "master_key", "master_key_wrapped", "master_key_service"
_NEWEST = "newest"  # and the last time that was returned
_NOTE = "note/"
_TICK_SECONDS = 1e-5  # well above a float's step of a quarter of a microsecond


class KeyStore:
    """The table of wrapped data keys, one per document, and the tombstones of the erased documents.

    A data key is 32 random bytes, wrapped by AES-256-GCM with the document id as associated data. RFC 3394
    key wrap would save the nonce but binds no id, so that two rows could be exchanged unnoticed.

    It is safe for several processes, and in PostgreSQL for several machines (the first writer wins), and may
    be inherited by fork. Every method raises `MasterKeyError("wrong_key")` if the table belongs to another
    master key, also after another process rotated it, and `VaultError("store")` if the table cannot be opened
    or is broken.

    Destroyed keys leave the table's file immediately, with SQLite as with PostgreSQL (`destroy_keys`). Out of
    reach are blocks that a file system keeps after a file was shortened or deleted, and with PostgreSQL: the
    write-ahead log until it is recycled, its archive, standbys, base backups and dumps made before. Each
    contains wrapped keys, which open nothing without the master key: give them a short retention, or rotate
    the master key after an erasure and make sure that the old one is destroyed.
    """

    def __init__(self, url: str, master: MasterKey | KeyService, schema: str | None = None) -> None:
        """Open or create the tables.

        Args:
            url: SQLAlchemy URL.
            master: The master key, or the service that keeps it; its wrapped form is then stored in the
                tables.
            schema: Schema of the workspace in PostgreSQL.

        Raises:
            MasterKeyError: `elsewhere` if the tables' master key is not kept by that service; `wrong_key`.
        """
        self._database = Database(url, _metadata, schema)
        known = self._database.read(_read_facts)
        if _MASTER not in known:
            own, _ = _fresh_facts(master)
            known = self._database.write(lambda connection: _begin(connection, own))
        if known.get(_SERVICE) != (None if isinstance(master, MasterKey) else master.address):
            raise MasterKeyError("elsewhere")
        if not isinstance(master, MasterKey):
            master = unwrap_master_key(master, known[_WRAPPED])
        self._master = master
        self._database.read(self._check_master)

    def __repr__(self) -> str:
        return "KeyStore(...)"

    def ensure_keys(self, doc_ids: Sequence[str]) -> dict[str, bytes]:
        """Return the data keys of these documents; missing ones are created, all in one transaction.

        Raises:
            ErasedError: One of them was erased; no key is created then. Call `erased_ids` first.
        """

        def make(connection: sa.Connection) -> dict[str, bytes]:
            self._check_master(connection)
            gone = _select_ids(connection, _tombstones, doc_ids)
            if gone:
                raise ErasedError(len(gone))
            present = _select_ids(connection, _data_keys, doc_ids)
            fresh = [doc_id for doc_id in dict.fromkeys(doc_ids) if doc_id not in present]
            self._add(connection, {doc_id: secrets.token_bytes(KEY_BYTES) for doc_id in fresh})
            return self._read_keys(connection, doc_ids)

        return self._database.write(make)

    def existing_keys(self, doc_ids: Sequence[str]) -> dict[str, bytes]:
        """Return the data keys of those of the documents that have one."""

        def read(connection: sa.Connection) -> dict[str, bytes]:
            self._check_master(connection)
            return self._read_keys(connection, doc_ids)

        return self._database.read(read)

    def creation_times(self, doc_ids: Sequence[str]) -> dict[str, float]:
        """Return the time (see `next_moment`) at which each existing key of the documents was created."""

        def read(connection: sa.Connection) -> dict[str, float]:
            self._check_master(connection)
            times: dict[str, float] = {}
            for chunk in _chunks(doc_ids):
                query = sa.select(_data_keys.c.id, _data_keys.c.created).where(_data_keys.c.id.in_(chunk))
                times |= {row.id: row.created for row in connection.execute(query)}
            return times

        return self._database.read(read)

    def keys_since(self, moment: float) -> dict[str, float]:
        """Return the creation times (see `next_moment`) of the keys created after a moment, by their ids."""

        def read(connection: sa.Connection) -> dict[str, float]:
            self._check_master(connection)
            query = sa.select(_data_keys.c.id, _data_keys.c.created).where(_data_keys.c.created > moment)
            return {row.id: row.created for row in connection.execute(query)}

        return self._database.read(read)

    def next_moment(self) -> float:
        """Return the time in seconds since 1970, later than every key and every time returned before.

        Their order still matters years later, when the clock of a machine may have been set back in between.
        """

        def advance(connection: sa.Connection) -> float:
            self._check_master(connection)
            return _next_moment(connection)

        return self._database.write(advance)

    def purpose_key(self, purpose: str) -> bytes:
        """Return a 32-byte key for one purpose (document ids, pseudonyms), the same after a rotation.

        It is derived from the master key at its first use, so that two key tables begun under one master key
        give one document the same id, and stored wrapped from then on. Whoever obtains that first master key
        can therefore compute it, even after a rotation.
        """
        name = _PURPOSE + purpose
        if known := self.existing_keys([name]):
            return known[name]

        def make(connection: sa.Connection) -> bytes:
            self._check_master(connection)
            if not _select_ids(connection, _data_keys, [name]):
                self._add(connection, {name: self._master.derive(name)})
            return self._read_keys(connection, [name])[name]

        return self._database.write(make)

    def remember(self, name: str, value: str) -> None:
        """Keep a note beside the keys, in place of an earlier one of this name. It is not encrypted."""

        def write(connection: sa.Connection) -> None:
            self._check_master(connection)
            connection.execute(sa.delete(_facts).where(_facts.c.name == _NOTE + name))
            connection.execute(sa.insert(_facts).values(name=_NOTE + name, value=value))

        self._database.write(write)

    def recall(self, name: str) -> str | None:
        """Return the note of this name; None if there is none."""
        return self._database.read(_read_facts).get(_NOTE + name)

    def erased_ids(self, doc_ids: Sequence[str]) -> set[str]:
        """Return those of the documents that were erased."""

        def read(connection: sa.Connection) -> set[str]:
            self._check_master(connection)
            return _select_ids(connection, _tombstones, doc_ids)

        return self._database.read(read)

    def destroy_keys(self, doc_ids: Sequence[str], *, tombstones: Sequence[str] | None = None) -> int:
        """Destroy the keys of these documents for good; return how many keys there were.

        With SQLite the deleted bytes are overwritten and the write-ahead log is emptied. PostgreSQL rewrites
        the table in the same transaction, and deletes its old file when that is committed.

        Args:
            doc_ids: Ids of the documents.
            tombstones: Ids that get a tombstone with the time, so that a later run cannot take a document in
                again unnoticed; without one the same content may come again, under another key. None: the
                ids of the documents.

        Raises:
            VaultError: `erase_incomplete` if another process holds the SQLite file: the keys are gone from
                the table, and calling again finishes the cleaning.
        """
        now = time.time()

        def remove(connection: sa.Connection) -> int:
            self._check_master(connection)
            erased = doc_ids if tombstones is None else tombstones
            stones = [{"id": name, "erased": now} for name in dict.fromkeys(erased)]
            insert_missing(connection, _tombstones, stones)
            count = 0
            for chunk in _chunks(doc_ids):
                count += connection.execute(sa.delete(_data_keys).where(_data_keys.c.id.in_(chunk))).rowcount
            rewrite_table(connection, _data_keys)
            return count

        count = self._database.write(remove)
        self._scrub()
        return count

    def rewrap_keys(self, new_master: MasterKey | KeyService) -> int:
        """Wrap all data keys under another master key, all or none; return their number.

        A service creates a new master key. Sealed documents stay as they are. The old master key opens
        nothing in this store any more.
        """
        facts, new = _fresh_facts(new_master)

        def rewrap_all(connection: sa.Connection) -> int:
            rows = connection.execute(sa.select(_data_keys.c.id, _data_keys.c.wrapped)).all()
            if _master_id(connection) == new.key_id:
                return len(rows)  # our own: the connection was lost before the answer arrived
            self._check_master(connection)
            key = _wrapping_key(new)
            renewed = [
                {"row": row.id, "new": seal(key, self._unwrap(row.wrapped, row.id), row.id)} for row in rows
            ]
            if renewed:
                update = sa.update(_data_keys).where(_data_keys.c.id == sa.bindparam("row"))
                connection.execute(update.values(wrapped=sa.bindparam("new")), renewed)
            connection.execute(sa.delete(_facts).where(_facts.c.name.in_([_MASTER, _WRAPPED, _SERVICE])))
            _begin(connection, facts)
            for table in (_data_keys, _facts):
                rewrite_table(connection, table)
            return len(rows)

        count = self._database.write(rewrap_all)
        self._master = new
        self._scrub()
        return count

    def rewrap_master(self, service: KeyService) -> None:
        """Have the service wrap the same master key by the newest version of its own key.

        The old wrapped form leaves the tables once the new one was seen to open.

        Raises:
            MasterKeyError: `elsewhere` for another service; `service_wrong_key` if the new form opens to
                another key.
        """
        before = self._database.read(_read_facts)
        if before.get(_SERVICE) != service.address:
            raise MasterKeyError("elsewhere")
        renewed = service.rewrap(before[_WRAPPED])
        if unwrap_master_key(service, renewed).key_id != self._master.key_id:
            raise MasterKeyError("service_wrong_key")

        def replace(connection: sa.Connection) -> None:
            self._check_master(connection)
            connection.execute(sa.update(_facts).where(_facts.c.name == _WRAPPED).values(value=renewed))
            rewrite_table(connection, _facts)

        self._database.write(replace)
        self._scrub()

    def _check_master(self, connection: sa.Connection) -> None:
        if _master_id(connection) != self._master.key_id:
            raise MasterKeyError("wrong_key")

    def _unwrap(self, wrapped: bytes, doc_id: str) -> bytes:
        return unseal(_wrapping_key(self._master), wrapped, doc_id)

    def _add(self, connection: sa.Connection, keys: dict[str, bytes]) -> None:
        if not keys:
            return
        wrapping, now = _wrapping_key(self._master), _next_moment(connection)
        rows = [
            {"id": name, "wrapped": seal(wrapping, key, name), "created": now} for name, key in keys.items()
        ]
        insert_missing(connection, _data_keys, rows)

    def _read_keys(self, connection: sa.Connection, doc_ids: Sequence[str]) -> dict[str, bytes]:
        keys: dict[str, bytes] = {}
        for chunk in _chunks(doc_ids):
            query = sa.select(_data_keys.c.id, _data_keys.c.wrapped).where(_data_keys.c.id.in_(chunk))
            keys |= {row.id: self._unwrap(row.wrapped, row.id) for row in connection.execute(query)}
        return keys

    def _scrub(self) -> None:
        if not self._database.scrub():
            raise VaultError("erase_incomplete", "another process held the key table; erase again")


def has_master(url: str, schema: str) -> bool:
    """Return True if the tables have begun: they know their master key."""
    return _MASTER in Database(url, _metadata, schema).read(_read_facts)


def read_service_address(url: str, schema: str, otherwise: str | None) -> str | None:
    """Return the address of the key service that keeps the tables' master key; None if no service does.

    `otherwise` is returned if the tables do not exist yet.
    """
    known = Database(url, _metadata, schema).read(_read_facts)
    return known.get(_SERVICE) if _MASTER in known else otherwise


def _fresh_facts(master: MasterKey | KeyService) -> tuple[dict[str, str], MasterKey]:
    """Return the facts about the master key for new tables, and the key. A service creates a new one."""
    if isinstance(master, MasterKey):
        return {_MASTER: master.key_id}, master
    secret, wrapped = master.generate()
    key = MasterKey(secret)
    return {_MASTER: key.key_id, _WRAPPED: wrapped, _SERVICE: master.address}, key


def _begin(connection: sa.Connection, facts: dict[str, str]) -> dict[str, str]:
    """Insert the facts unless there are some; return those that are valid."""
    if _master_id(connection) is None:
        connection.execute(
            sa.insert(_facts), [{"name": name, "value": value} for name, value in facts.items()]
        )
    return _read_facts(connection)


def _read_facts(connection: sa.Connection) -> dict[str, str]:
    return {row.name: row.value for row in connection.execute(sa.select(_facts))}


def _master_id(connection: sa.Connection) -> str | None:
    return connection.scalar(sa.select(_facts.c.value).where(_facts.c.name == _MASTER))


def _next_moment(connection: sa.Connection) -> float:
    known = connection.scalar(sa.select(_facts.c.value).where(_facts.c.name == _NEWEST))
    if known is None:  # the tables come from a version that used the clock's time
        known = connection.scalar(sa.select(sa.func.max(_data_keys.c.created))) or 0.0
        connection.execute(sa.insert(_facts).values(name=_NEWEST, value=""))
    moment = max(time.time(), float(known) + _TICK_SECONDS)
    connection.execute(sa.update(_facts).where(_facts.c.name == _NEWEST).values(value=repr(moment)))
    return moment


def _select_ids(connection: sa.Connection, table: sa.Table, doc_ids: Sequence[str]) -> set[str]:
    return {
        doc_id
        for chunk in _chunks(doc_ids)
        for doc_id in connection.scalars(sa.select(table.c.id).where(table.c.id.in_(chunk)))
    }


def _wrapping_key(master: MasterKey) -> bytes:
    return master.derive("wrap-data-keys")


def _chunks(doc_ids: Iterable[str]) -> Iterator[list[str]]:
    unique = list(dict.fromkeys(doc_ids))
    for start in range(0, len(unique), _CHUNK):
        yield unique[start : start + _CHUNK]
