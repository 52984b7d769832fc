"""Authentication by API keys, which are stored as hashes.

An API key is `lxv_ID_SECRET`. The secret is 256 random bits: with a secret of that size, a keyed hash without
stretching is enough against a thief of the file. While no key has been issued, only callers with the local
token are served (`lexveil.pipeline.serving.local_token`). The peer's address proves nothing: a proxy, a
forwarded port and a browser on this machine have the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from lexveil.pipeline.errors import EndpointError
from lexveil.pipeline.serving.server.errors import RefusalError, UnauthorizedError
from lexveil.pipeline.serving.server.tables import StateTables

LOCAL = "local"  # the tenant of callers without a key
OPERATOR = "operator"  # the tenant whose key opens /metrics from other machines

_KEY = re.compile(r"lxv_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_TENANT = re.compile(r"[A-Za-z0-9._-]{1,64}")
_UNKNOWN_KEY = {"tenant": "", "salt": "", "hash": ""}
_USE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """Record of an API key.

    Attributes:
        key_id: its id.
        tenant: its tenant.
        issued: ISO 8601, UTC.
        expires: the same; None: never.
    """

    key_id: str
    tenant: str
    issued: str
    expires: str | None


class KeyTable(Protocol):
    """Storage of the records of API keys, by id. A change takes effect at the next request."""

    def find(self, key_id: str) -> Mapping[str, str] | None:
        """Return the record of a key; None if there is none.

        Raises:
            RefusalError: the records cannot be read.
        """
        ...

    def list(self) -> Mapping[str, Mapping[str, str]]:
        """Return all records.

        Raises:
            RefusalError: the records cannot be read.
        """
        ...

    def add(self, key_id: str, record: Mapping[str, str]) -> None:
        """Add a record.

        Raises:
            EndpointError: it cannot be written.
        """
        ...

    def remove(self, key_id: str) -> bool:
        """Remove a record; return False if there is none.

        Raises:
            EndpointError: the change cannot be written.
        """
        ...

    def __bool__(self) -> bool:
        """Return True if there is a record."""
        ...


class ApiKeys:
    """The issued API keys.

    Args:
        table: their records.
        note_use: called with the id of a key that was used.
        now: returns the seconds since the epoch.
    """

    def __init__(
        self,
        table: KeyTable,
        note_use: Callable[[str], None] = lambda _: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._table = table
        self._note_use = note_use
        self._now = now

    def issue(self, tenant: str, days: int | None = None) -> str:
        """Create a key for a tenant. It is returned only here: only its hash is stored.

        Args:
            tenant: the tenant.
            days: days until the key expires; None: never.

        Raises:
            EndpointError: the tenant's name is not valid, or the key cannot be stored.
        """
        if not _TENANT.fullmatch(tenant) or tenant == LOCAL:
            raise EndpointError(
                f"a tenant's name consists of 1 to 64 of A-Z a-z 0-9 . _ - and is not {LOCAL!r}"
            )
        key_id, secret, salt = secrets.token_hex(6), secrets.token_urlsafe(32), secrets.token_hex(16)
        record = {"tenant": tenant, "salt": salt, "hash": _keyed_hash(salt, secret), "issued": self._date(0)}
        if days is not None:
            record["expires"] = self._date(days)
        self._table.add(key_id, record)
        return f"lxv_{key_id}_{secret}"

    def revoke(self, key_id: str) -> None:
        """Delete the key of an id, which is the part after `lxv_`.

        Raises:
            EndpointError: there is no such key, or the change cannot be stored.
        """
        if not self._table.remove(key_id):
            raise EndpointError("there is no API key with that id")

    def list(self) -> list[KeyRecord]:
        """Return all keys, also expired ones, the oldest first."""
        records = [
            KeyRecord(key_id, key["tenant"], key["issued"], key.get("expires"))
            for key_id, key in self._table.list().items()
        ]
        return sorted(records, key=lambda record: record.issued)

    def __bool__(self) -> bool:
        return bool(self._table)

    def identify(self, key: str) -> str:
        """Return the tenant of a key.

        Raises:
            UnauthorizedError: the key is unknown, revoked or expired, or the file cannot be read.
            StateUnavailableError: the database of the keys does not answer.
        """
        match = _KEY.fullmatch(key)
        key_id, secret = match.groups() if match else ("", "")
        record = (self._table.find(key_id) if match else None) or _UNKNOWN_KEY
        # An unknown id is compared too, so that both take the same time.
        if not hmac.compare_digest(_keyed_hash(record["salt"], secret), record["hash"]):
            raise UnauthorizedError
        if record.get("expires", "9") <= self._date(0):
            raise UnauthorizedError
        self._note_use(key_id)
        return record["tenant"]

    def _date(self, days: int) -> str:
        moment = datetime.fromtimestamp(self._now(), UTC) + timedelta(days=days)
        return moment.isoformat(timespec="seconds")


class KeyUses:
    """When API keys were last used, to the minute.

    Args:
        tables: tables of the endpoint's state.
        now: returns the seconds since the epoch.
    """

    def __init__(self, tables: StateTables, now: Callable[[], float] = time.time) -> None:
        self._tables = tables
        self._now = now
        self._noted: dict[str, float] = {}

    def note(self, key_id: str) -> None:
        """Record that a key is used now."""
        now = self._now()
        if now - self._noted.get(key_id, 0.0) < _USE_SECONDS:
            return
        self._noted[key_id] = now
        with contextlib.suppress(RefusalError):  # a full disk is no reason to refuse
            self._tables.run(
                "INSERT INTO key_use VALUES (?, ?) "
                "ON CONFLICT (key_id) DO UPDATE SET used_at = excluded.used_at",
                key_id,
                now,
            )

    def find(self, key_id: str) -> str | None:
        """Return when a key was last used, ISO 8601, UTC; None: never."""
        for (used_at,) in self._tables.run("SELECT used_at FROM key_use WHERE key_id = ?", key_id):
            return datetime.fromtimestamp(used_at, UTC).isoformat(timespec="seconds")
        return None


class Access:
    """Decides which tenant a request belongs to.

    Args:
        keys: the issued keys.
        local_token: the local token; None: every caller is this process itself.
    """

    def __init__(self, keys: ApiKeys, local_token: str | None) -> None:
        self._keys = keys
        self._local_token = local_token

    def identify_tenant(self, headers: Mapping[str, str]) -> str:
        """Return the tenant of a request.

        Args:
            headers: its headers, with names in lower case.

        Raises:
            UnauthorizedError: the caller is not allowed to use the endpoint.
            StateUnavailableError: the database of the keys does not answer.
        """
        if self._keys and self._local_token is not None:
            return self._keys.identify(_read_bearer(headers))
        if not self._is_local(headers):
            raise UnauthorizedError
        return LOCAL

    def name_caller(self, headers: Mapping[str, str]) -> str:
        """Return the key id that a request claims, unchecked; "" if it has none."""
        match = _KEY.fullmatch(_read_bearer(headers))
        return f"key {match[1]}" if match else ""

    def may_read_metrics(self, headers: Mapping[str, str]) -> bool:
        """Return True for callers with the local token and for the operator's key.

        Raises:
            StateUnavailableError: the database of the keys does not answer.
        """
        if self._is_local(headers):
            return True
        try:
            return self.identify_tenant(headers) == OPERATOR
        except UnauthorizedError:
            return False

    def _is_local(self, headers: Mapping[str, str]) -> bool:
        token = self._local_token
        return token is None or hmac.compare_digest(_read_bearer(headers).encode(), token.encode())


def _read_bearer(headers: Mapping[str, str]) -> str:
    kind, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if kind.lower() == "bearer" else ""


def _keyed_hash(salt: str, secret: str) -> str:
    return hmac.new(salt.encode(), secret.encode(), hashlib.sha256).hexdigest()
