"""The state that the replicas of an endpoint share: a schema of a PostgreSQL database of the endpoint's own.

Any number of servers with the same database, state key and serving bundle are one endpoint. Each may be
started, stopped or killed at any time. Losing one loses nothing but a copy of evaluation keys.

    identity          signing key of the manifest, salt of the commitment, key of the log      sealed
    api_keys          records with hashes of the API keys                                      sealed
    evaluation_keys   those of open sessions                                                   sealed
    quotas            what each tenant has used (`lexveil.pipeline.serving.server.quotas`)
    log               the endpoint's own signed log (`lexveil.pipeline.workspace.audit_log`)
    sessions, key_use, leakage: `lexveil.pipeline.serving.server.tables`

The evaluation keys are in the database too, because a session then exists with its keys or not at all, and
replicas need no file system in common. A replica copies them to its own folder when it first needs them.

Formal guarantee:
    Sealed rows are AES-256-GCM (`lexveil.privacy.vault`) under a key that HKDF-SHA256 derives from the state
    key, bound to their place. Without the state key, whoever reads the database learns names of tenants,
    counts, sizes and times; whoever writes it can neither issue an API key, nor sign a manifest, nor replace
    evaluation keys. They can delete rows, bring back former ones (a revoked API key that is in a backup), and
    change what is not sealed: quotas, the leakage ledger, how long sessions live.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from collections.abc import Callable, Container, Generator, Iterable, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TypeVar

from lexveil.pipeline.errors import EndpointError
from lexveil.pipeline.serving.server.errors import DatabaseAwayError, RefusalError
from lexveil.pipeline.serving.server.files import (
    OPENING_SECONDS,
    PRIVATE,
    TABLES,
    KeyFile,
    KeyFolder,
    hold_former_state,
    set_aside,
)
from lexveil.pipeline.serving.server.quotas import Usage
from lexveil.pipeline.serving.server.shared_tables import SCHEMA_NAME, SharedTables
from lexveil.pipeline.serving.server.tables import SCHEMA, Run, SqliteTables
from lexveil.pipeline.workspace.database import APPEND_ONLY
from lexveil.pipeline.workspace.storage import write_bytes
from lexveil.privacy.database import StoreUnavailableError
from lexveil.privacy.vault import TamperedError, hkdf_sha256, seal, unseal

T = TypeVar("T")

# Of the tables and what is in them. It grows when a server of an earlier version could not go on with them.
STATE_VERSION = 1
_OWN_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS identity (name TEXT PRIMARY KEY, sealed BYTEA NOT NULL)",
    "CREATE TABLE IF NOT EXISTS api_keys (key_id TEXT PRIMARY KEY, sealed BYTEA NOT NULL)",
    """CREATE TABLE IF NOT EXISTS evaluation_keys (
        id_hash TEXT PRIMARY KEY, sealed BYTEA NOT NULL, stored_at DOUBLE PRECISION NOT NULL)""",
    "CREATE TABLE IF NOT EXISTS quotas (tenant TEXT PRIMARY KEY, record TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS log (seq BIGINT PRIMARY KEY, line TEXT NOT NULL)",
    "DROP TRIGGER IF EXISTS log_refuse_change ON log",
    *APPEND_ONLY,
)
_TABLE_NAMES = ("sessions", "key_use", "leakage", "identity", "api_keys", "evaluation_keys", "quotas", "log")
_SECRETS = ("signing.key", "salt", "log.key")
_COPY_SECONDS = 3600  # without use, after which the copy of evaluation keys is deleted


class SharedState:
    """The opened database. All its parts may be used by any thread.

    Args:
        url: URL of the database.
        state_key: 32 bytes as hexadecimal digits, the same for all replicas.
        folder: folder of the state of this server. The first server brings what is in it, and then sets it
            aside: an endpoint that had no replicas keeps its identity, its API keys, what they used, and its
            log.
        create: make what is missing in the database; otherwise it must be there.

    Attributes:
        tables: the tables that a server without replicas has, too.
        api_keys: records of the API keys.
        usages: what tenants have used.
        log: the endpoint's own log.

    Raises:
        DatabaseAwayError: the database does not answer.
        EndpointError: the database or the folder cannot be used, or a server without replicas uses it;
            the database belongs to another state key or a later version, or the folder to another endpoint.
    """

    def __init__(self, url: str, state_key: str, folder: Path, *, create: bool = True) -> None:
        secret = bytes.fromhex(state_key)
        self._key = hkdf_sha256(secret, salt=None, info=b"lexveil/endpoint-state/1", length=32)
        try:
            self.tables = SharedTables(url)
        except StoreUnavailableError as error:
            raise EndpointError(f"the endpoint's database cannot be used: {error}") from None
        try:
            with hold_former_state(folder) if create else nullcontext(False) as has_former_state:
                self._create(folder, create)
                self._secrets = self._read_identity(folder)
                if has_former_state:  # also what a server left that was killed here
                    set_aside(folder)
        except OSError:
            raise EndpointError("the endpoint's folder cannot be used") from None
        except TamperedError:
            raise EndpointError("the endpoint's database belongs to another encrypted.state_key") from None
        except RefusalError as error:
            raise DatabaseAwayError(f"the endpoint's database cannot be used: {error}") from None
        self.api_keys = SharedApiKeys(self.tables, self._key)
        self.usages = SharedUsages(self.tables)
        self.log = SharedLog(self.tables)

    def close(self) -> None:
        """Close the connections; they are opened again when they are needed."""
        self.tables.close()

    def read_secret(self, name: str) -> bytes:
        """Return a secret of the endpoint's identity: `signing.key`, `salt` or `log.key`."""
        return self._secrets[name]

    def cache_keys(self, folder: Path) -> SharedKeys:
        """Return the evaluation keys, with their copies in a folder of this server."""
        return SharedKeys(self.tables, self._key, folder)

    def _read_identity(self, folder: Path) -> dict[str, bytes]:
        found = self.tables.run("SELECT name, sealed FROM identity")
        identity = {name: unseal(self._key, sealed, f"identity/{name}") for name, sealed in found}
        if int(identity.pop("version", b"1")) > STATE_VERSION:
            raise EndpointError("the endpoint's database is of a later Lexveil: update this server")
        own = _read_if_there(folder / "signing.key")
        if own not in (None, identity["signing.key"]):
            # Its clients have pinned that key, and would refuse this server.
            raise EndpointError("the endpoint's folder is that of another endpoint than its database")
        return identity

    def _create(self, folder: Path, create: bool) -> None:
        def are_missing(run: Run) -> bool:
            names = [f"{SCHEMA_NAME}.{name}" for name in _TABLE_NAMES]
            return any(run("SELECT to_regclass(?) IS NULL", name) == [(True,)] for name in names)

        def make(run: Run) -> None:  # one server at a time
            if are_missing(run):
                run(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA_NAME}")
                for statement in (*SCHEMA, *_OWN_SCHEMA):
                    run(statement)
            if not run("SELECT 1 FROM identity"):
                self._adopt(run, folder)

        if are_missing(self.tables.run):
            if not create:
                raise EndpointError("the endpoint's database is empty: no server has used it yet")
            self.tables.transact(make, alone=True)

    def _adopt(self, run: Run, folder: Path) -> None:
        """Bring the state of a folder, of which what is missing is made."""
        identity = {name: _read_if_there(folder / name) or secrets.token_bytes(32) for name in _SECRETS}
        for name, value in {**identity, "version": str(STATE_VERSION).encode()}.items():
            run("INSERT INTO identity VALUES (?, ?)", name, seal(self._key, value, f"identity/{name}"))
        keys = SharedApiKeys(self.tables, self._key)
        for key_id, record in KeyFile(folder).list().items():
            run("INSERT INTO api_keys VALUES (?, ?)", key_id, keys.seal(key_id, record))
        former = SqliteTables.read(folder / TABLES)
        for tenant, day, slots in former.run("SELECT tenant, max(day), slots FROM usage GROUP BY tenant"):
            run("INSERT INTO quotas VALUES (?, ?)", tenant, Usage(day=day, slots_today=slots).to_json())
        for table, places in (("leakage", "?, ?, ?"), ("key_use", "?, ?")):
            for row in former.run(f"SELECT * FROM {table}"):  # noqa: S608
                run(f"INSERT INTO {table} VALUES ({places})", *row)  # noqa: S608
        text = (_read_if_there(folder / "log.jsonl") or b"").decode(errors="replace").replace("\0", "\ufffd")
        lines = text.split("\n")[:-1]
        if lines:
            places = list(range(1, len(lines) + 1))
            run("INSERT INTO log SELECT * FROM unnest(CAST(? AS BIGINT[]), CAST(? AS TEXT[]))", places, lines)


class SharedKeys(KeyFolder):
    """Evaluation keys in the database, and copies of those that this server has used in its folder."""

    def __init__(self, tables: SharedTables, key: bytes, folder: Path) -> None:
        super().__init__(folder)
        self._tables, self._key = tables, key

    def keep(self, name: str, bound: str, content: bytes) -> None:
        """Store keys."""
        query = "INSERT INTO evaluation_keys VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
        sealed = seal(self._key, content, _describe_keys(name, bound))
        self._tables.run(query, name, sealed, time.time())

    def fetch(self, name: str, bound: str) -> Path:
        """Return a copy of the keys; without keys that belong here, the file is missing.

        What a copy belongs to is in its name: whoever writes the database cannot have a tenant, a layout or a
        head use a copy that was made for another one.
        """
        path = self._folder / f"{name}.{hashlib.sha256(bound.encode()).hexdigest()[:32]}.keys"
        try:
            os.utime(path)
            return path
        except FileNotFoundError:
            pass
        for (sealed,) in self._tables.run("SELECT sealed FROM evaluation_keys WHERE id_hash = ?", name):
            with suppress(TamperedError):
                write_bytes(path, unseal(self._key, sealed, _describe_keys(name, bound)), PRIVATE)
        return path

    def drop(self, names: Iterable[str]) -> None:
        """Delete keys. What the database does not delete now is purged later."""
        for name in names:
            super().drop([name])
            with suppress(RefusalError):
                self._tables.run("DELETE FROM evaluation_keys WHERE id_hash = ?", name)

    def purge(self, alive: Container[str]) -> None:
        """Delete all other keys, and copies that this server has not used for a while."""
        super().purge(alive)
        self.delete_older(time.time() - _COPY_SECONDS)
        orphans = "stored_at < ? AND id_hash NOT IN (SELECT id_hash FROM sessions)"
        self._tables.run(f"DELETE FROM evaluation_keys WHERE {orphans}", time.time() - OPENING_SECONDS)  # noqa: S608


class SharedLog:
    """The endpoint's own log in the database.

    Raises:
        DatabaseAwayError: by each method: the database does not answer, or not in time.
    """

    def __init__(self, tables: SharedTables) -> None:
        self._tables = tables

    def read_log(self) -> list[bytes]:
        """Read all lines in order."""
        with _as_away():
            return [line.encode() for (line,) in self._tables.run("SELECT line FROM log ORDER BY seq")]

    def append_to_log(self, follow: Callable[[bytes | None], bytes]) -> bytes:
        """Append the line that `follow` makes from the last one, one writer at a time, and return it."""
        added: set[str] = set()

        def append(run: Run) -> bytes:
            run("LOCK TABLE log IN SHARE ROW EXCLUSIVE MODE")
            found = run("SELECT seq, line FROM log ORDER BY seq DESC LIMIT 1")
            seq, last = found[0] if found else (0, None)
            if last in added:
                return last.encode()  # this call's: the connection was lost before the answer arrived
            line = follow(None if last is None else last.encode())
            added.add(line.decode())
            run("INSERT INTO log VALUES (?, ?)", seq + 1, line.decode())
            return line

        with _as_away():
            return self._tables.transact(append)


@contextmanager
def _as_away() -> Generator[None]:
    try:
        yield
    except RefusalError as error:
        raise DatabaseAwayError(f"the endpoint's log cannot be used: {error}") from None


class SharedApiKeys:
    """The records of API keys in the database."""

    def __init__(self, tables: SharedTables, key: bytes) -> None:
        self._tables, self._key = tables, key
        self._any = False

    def find(self, key_id: str) -> Mapping[str, str] | None:
        """Return the record of a key; None if there is none."""
        for (sealed,) in self._tables.run("SELECT sealed FROM api_keys WHERE key_id = ?", key_id):
            return self._unseal(key_id, sealed)
        return None

    def list(self) -> Mapping[str, Mapping[str, str]]:
        """Return all records."""
        rows = self._tables.run("SELECT key_id, sealed FROM api_keys")
        found = {key_id: self._unseal(key_id, sealed) for key_id, sealed in rows}
        return {key_id: record for key_id, record in found.items() if record is not None}

    def add(self, key_id: str, record: Mapping[str, str]) -> None:
        """Add a record."""
        self._tables.run(
            "INSERT INTO api_keys VALUES (?, ?) ON CONFLICT DO NOTHING", key_id, self.seal(key_id, record)
        )

    def remove(self, key_id: str) -> bool:
        """Remove a record; return False if there is none."""
        return bool(self._tables.run("DELETE FROM api_keys WHERE key_id = ? RETURNING key_id", key_id))

    def __bool__(self) -> bool:
        """Return True if there is a record, or was one since this server started."""
        self._any = self._any or bool(self._tables.run("SELECT 1 FROM api_keys LIMIT 1"))
        return self._any

    def seal(self, key_id: str, record: Mapping[str, str]) -> bytes:
        """Return a record as it is stored."""
        return seal(self._key, json.dumps(dict(record)).encode(), f"api key/{key_id}")

    def _unseal(self, key_id: str, sealed: bytes) -> Mapping[str, str] | None:
        try:
            return json.loads(unseal(self._key, sealed, f"api key/{key_id}"))
        except TamperedError:  # not written by a server
            return None


class SharedUsages:
    """What tenants have used, one row for each, which one server changes at a time."""

    def __init__(self, tables: SharedTables) -> None:
        self._tables = tables

    def read(self, tenant: str) -> Usage:
        """Return a tenant's record."""
        for (record,) in self._tables.run("SELECT record FROM quotas WHERE tenant = ?", tenant):
            return Usage.from_json(record)
        return Usage()

    def change(self, tenant: str, work: Callable[[Usage], T]) -> T:
        """Let `work` change a tenant's record."""
        lock_and_read = (
            "INSERT INTO quotas VALUES (?, '{}') ON CONFLICT (tenant) DO UPDATE SET tenant = excluded.tenant "
            "RETURNING record"
        )

        def change_once(run: Run) -> T:
            ((record,),) = run(lock_and_read, tenant)
            usage = Usage.from_json(record)
            done = work(usage)
            run("UPDATE quotas SET record = ? WHERE tenant = ?", usage.to_json(), tenant)
            return done

        return self._tables.transact(change_once)


def _read_if_there(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def _describe_keys(name: str, bound: str) -> str:
    return f"evaluation keys/{name}/{bound}"
