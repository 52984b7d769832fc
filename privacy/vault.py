"""Encryption at rest: one data key a document, wrapped by one master key; erasure destroys the data key.

Everything here is composed of kept primitives of `cryptography`: AES-256-GCM (NIST SP 800-38D),
HKDF-SHA256 (RFC 5869) and HMAC-SHA256 (RFC 2104).

Protects against: somebody who copies the disk, the raw folder or the key table without the master key; a
file that was swapped, cut or edited (it is refused, never decrypted to something else); a document that has
to be forgotten although its ciphertext lies in backups nobody can reach any more.

Does not protect against: whoever reads the memory of a running process or holds the master key; a backup of
the key table made before an erasure, together with the master key (give such backups a short retention of
their own); copies of the plaintext outside (source folders, swap); the number, size and age of the
documents, which stay visible. Flash drives and copy-on-write file systems may keep old blocks of the key
table: keep it on an encrypted volume.
"""

from __future__ import annotations

import hmac
import os
import secrets
import sqlite3
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import event, exc
from sqlalchemy.dialects import postgresql, sqlite

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
SEAL_VERSION = 1
CONTENT_ID_LENGTH = 32
_BUSY_SECONDS = 30
_CHUNK = 500  # ids in one statement: SQLite allows 32,766 bound variables, PostgreSQL fewer in practice


class VaultError(Exception):
    """Base of this module's errors. Carries a code, never a key, an id, a path or content."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class KeyUnusable(VaultError):
    """The master key cannot be used.

    Codes: `missing`, `unreadable`, `unwritable`, `mode` (group or others may read the file), `length` (not 32
    bytes or 64 hexadecimal digits), `wrong_key` (the key store was made under another master key).
    """

    def __init__(self, code: str) -> None:
        super().__init__(code, f"the master key cannot be used ({code})")


class Tampered(VaultError):
    """Sealed bytes do not open: altered, cut, of another document or purpose, or sealed under another key."""

    def __init__(self) -> None:
        super().__init__("tampered", "sealed bytes do not match their key and context")


class Erased(VaultError):
    """A key was asked for a document that was erased. It is never made again: its text would come back."""

    def __init__(self, count: int) -> None:
        super().__init__("erased", f"{count} of the documents asked for were erased")
        self.count = count


class MasterKey:
    """The one secret of a workspace: 32 bytes. Cannot be printed or pickled.

    Its bytes never encrypt anything themselves; each use has a key of its own (`derive`).
    """

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        if len(secret) != KEY_BYTES:
            raise KeyUnusable("length")
        self._secret = bytes(secret)

    @classmethod
    def generate(cls) -> MasterKey:
        return cls(secrets.token_bytes(KEY_BYTES))

    @classmethod
    def from_hex(cls, digits: str) -> MasterKey:
        """Key from 64 hexadecimal digits, as an environment variable carries it. Raises `KeyUnusable`."""
        try:
            return cls(bytes.fromhex(digits.strip()))
        except ValueError:
            raise KeyUnusable("length") from None

    @classmethod
    def from_file(cls, path: Path, create: bool = True) -> MasterKey:
        """Key from a file that only its owner may read (64 hexadecimal digits, or 32 raw bytes).

        With `create`, a missing file is made (mode 0600, complete or not there at all; of two processes
        that make it at once both use the first one's). Raises `KeyUnusable`.
        """
        try:
            return cls._read(path)
        except FileNotFoundError:
            if not create:
                raise KeyUnusable("missing") from None
        try:
            _create_key_file(path, secrets.token_bytes(KEY_BYTES))
            return cls._read(path)
        except OSError:
            raise KeyUnusable("unwritable") from None

    @classmethod
    def _read(cls, path: Path) -> MasterKey:
        try:
            with path.open("rb") as file:
                # The mode of the opened file, not of the path: nothing can be swapped in between.
                if os.fstat(file.fileno()).st_mode & 0o077:
                    raise KeyUnusable("mode")
                content = file.read(4 * KEY_BYTES)
        except FileNotFoundError:
            raise
        except OSError:
            raise KeyUnusable("unreadable") from None
        if len(content) == KEY_BYTES:
            return cls(content)
        return cls.from_hex(content.decode("ascii", errors="replace"))

    def derive(self, purpose: str) -> bytes:
        """32-byte key for one purpose: HKDF-SHA256 (RFC 5869), no salt, info `lexveil/v1/<purpose>`.

        A derived key changes when the master key is rotated; what must survive rotation (document ids,
        pseudonyms) uses `KeyStore.purpose_key`.
        """
        return hkdf_sha256(self._secret, salt=None, info=b"lexveil/v1/" + purpose.encode(), length=KEY_BYTES)

    @property
    def key_id(self) -> str:
        """8 hexadecimal digits that tell a wrong key from a broken file; they reveal nothing of the key."""
        return self.derive("key-id").hex()[:8]

    def __repr__(self) -> str:
        return "MasterKey(...)"

    def __reduce__(self) -> NoReturn:
        # Task runners pickle their arguments into databases and messages.
        raise TypeError("a MasterKey cannot be pickled; open it from its file in each process")


def _create_key_file(path: Path, secret: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secret.hex().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        # A hard link fails where a rename would overwrite the key another process has just made.
        with suppress(FileExistsError):
            path.hardlink_to(partial)
    finally:
        partial.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def hkdf_sha256(secret: bytes, *, salt: bytes | None, info: bytes, length: int) -> bytes:
    """HKDF with SHA-256 (RFC 5869, sections 2.2 and 2.3)."""
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(secret)


def content_id(key: bytes, content: bytes) -> str:
    """Document id: HMAC-SHA256 (RFC 2104) of the content, its first 128 bits as 32 hexadecimal digits.

    Keyed, because a plain hash would let anybody who guesses a document confirm the guess.
    """
    return hmac.digest(key, content, "sha256").hex()[:CONTENT_ID_LENGTH]


def seal(data_key: bytes, plaintext: bytes, context: str) -> bytes:
    """Encrypts with AES-256-GCM: version (1 byte) | random nonce (12) | ciphertext | tag (16).

    `context` (document id and purpose) is authenticated, not stored: bytes moved to another place do not
    open there. Random 96-bit nonces are safe for 2^32 messages a key (NIST SP 800-38D, section 8.3); a
    document's key seals a handful.
    """
    nonce = secrets.token_bytes(NONCE_BYTES)
    return (
        bytes([SEAL_VERSION]) + nonce + AESGCM(data_key).encrypt(nonce, plaintext, _associated_data(context))
    )


def unseal(data_key: bytes, sealed: bytes, context: str) -> bytes:
    """Opens what `seal` made under the same key and context; anything else raises `Tampered`."""
    if len(sealed) < 1 + NONCE_BYTES + TAG_BYTES or sealed[0] != SEAL_VERSION:
        raise Tampered
    nonce, body = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
    try:
        return AESGCM(data_key).decrypt(nonce, body, _associated_data(context))
    except InvalidTag:
        raise Tampered from None


def _associated_data(context: str) -> bytes:
    return f"lexveil/seal/v{SEAL_VERSION}/".encode() + context.encode()


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

    def purpose_key(self, purpose: str) -> bytes:
        """A random 32-byte key for one purpose (document ids, pseudonyms), the same after a rotation."""
        name = _PURPOSE + purpose
        return self.keys_for([name])[name]

    def erased(self, doc_ids: Sequence[str]) -> set[str]:
        """Those of the documents that were erased."""
        with self._transaction() as connection:
            return self._select_ids(connection, _tombstones, doc_ids)

    def destroy(self, doc_ids: Sequence[str]) -> int:
        """Destroys the keys of these documents for good; returns how many keys there were.

        Each id leaves a tombstone with the time, so that a later run cannot take the document in again
        unnoticed. With SQLite the deleted bytes are overwritten and the write-ahead log is emptied; should
        another process hold it, `VaultError("erase_incomplete")` says so: the keys are gone from the
        table, and calling again finishes the cleaning.
        """
        now = time.time()
        with self._transaction() as connection:
            tombstones = [{"id": doc_id, "erased": now} for doc_id in dict.fromkeys(doc_ids)]
            self._insert_missing(connection, _tombstones, tombstones, "id")
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
