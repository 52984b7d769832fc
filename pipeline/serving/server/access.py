"""Authentication by API keys, stored as hashes, and quotas of each tenant in document slots.

An API key is `lxv_ID_SECRET`. The secret is 256 random bits: with a secret of that size, a keyed hash without
stretching is enough against a thief of the file. While no key has been issued, only callers with the local
token are served (`lexveil.pipeline.serving.local_token`). The peer's address proves nothing: a proxy, a
forwarded port and a browser on this machine have the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import math
import re
import secrets
import sqlite3
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lexveil.pipeline.errors import EndpointError
from lexveil.pipeline.serving.server.errors import RefusalError
from lexveil.pipeline.serving.server.state import PRIVATE, hold_lock
from lexveil.pipeline.workspace.storage import write_bytes

LOCAL = "local"  # the tenant of callers without a key
OPERATOR = "operator"  # the tenant whose key opens /metrics from other machines

_KEY = re.compile(r"lxv_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_TENANT = re.compile(r"[A-Za-z0-9._-]{1,64}")
_UNKNOWN_KEY = {"tenant": "", "salt": "", "hash": ""}
_STRIKES, _STRIKE_SECONDS = 5, 600.0
_USE_SECONDS = 60.0
_REQUEST_SECONDS = 0.002  # CPU time of the server's own process for a request


class UnauthorizedError(RefusalError):
    """The API key is missing, unknown or revoked; or no keys were issued, and the local token is missing."""

    def __init__(self) -> None:
        message = "an API key is needed, unless you are the server's user on its machine"
        super().__init__(401, "unauthorized", message)


class QuotaExceededError(RefusalError):
    """The request exceeds a quota of its tenant."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(429, "quota", message, retry_after)


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What is known of an API key.

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


class ApiKeys:
    """The keys in `<folder>/api-keys.json`. A change of the file takes effect at the next request.

    Args:
        folder: folder of the endpoint's state.
        note_use: called with the id of a key that was used.
        now: returns the seconds since the epoch.
    """

    def __init__(
        self,
        folder: Path,
        note_use: Callable[[str], None] = lambda _: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._path = folder / "api-keys.json"
        self._note_use = note_use
        self._now = now
        self._stamp: object = None
        self._keys: dict[str, dict[str, str]] = {}

    def issue(self, tenant: str, days: int | None = None) -> str:
        """Create a key for a tenant. It is returned only here: only its hash is stored.

        Args:
            tenant: the tenant.
            days: days until the key expires; None: never.

        Raises:
            EndpointError: the tenant's name is not valid.
        """
        if not _TENANT.fullmatch(tenant) or tenant == LOCAL:
            raise EndpointError(
                f"a tenant's name consists of 1 to 64 of A-Z a-z 0-9 . _ - and is not {LOCAL!r}"
            )
        key_id, secret, salt = secrets.token_hex(6), secrets.token_urlsafe(32), secrets.token_hex(16)
        record = {"tenant": tenant, "salt": salt, "hash": _keyed_hash(salt, secret), "issued": self._date(0)}
        if days is not None:
            record["expires"] = self._date(days)
        with self._change() as keys:
            keys[key_id] = record
        return f"lxv_{key_id}_{secret}"

    def revoke(self, key_id: str) -> None:
        """Delete the key of an id, which is the part after `lxv_`.

        Raises:
            EndpointError: there is no such key.
        """
        with self._change() as keys:
            if keys.pop(key_id, None) is None:
                raise EndpointError("there is no API key with that id")

    def list(self) -> list[KeyRecord]:
        """Return all keys, also expired ones, the oldest first."""
        records = [
            KeyRecord(key_id, key["tenant"], key["issued"], key.get("expires"))
            for key_id, key in self._read().items()
        ]
        return sorted(records, key=lambda record: record.issued)

    def __bool__(self) -> bool:
        return bool(self._read())

    def identify(self, key: str) -> str:
        """Return the tenant of a key.

        Raises:
            UnauthorizedError: the key is unknown, revoked or expired, or the file cannot be read.
        """
        match = _KEY.fullmatch(key)
        key_id, secret = match.groups() if match else ("", "")
        record = self._read().get(key_id, _UNKNOWN_KEY)
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

    def _read(self) -> Mapping[str, dict[str, str]]:
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_ino)
            if stamp != self._stamp:
                self._keys, self._stamp = json.loads(self._path.read_bytes()), stamp
        except FileNotFoundError:
            # No keys only if there never was a file: one that disappears must not open the endpoint.
            if self._stamp is not None:
                raise UnauthorizedError from None
        except (OSError, ValueError):
            raise UnauthorizedError from None
        return self._keys

    @contextmanager
    def _change(self) -> Generator[dict[str, dict[str, str]], None, None]:
        """Yield the keys to be changed, while no other process changes them."""
        try:
            with hold_lock(self._path.with_name("state.lock")):
                keys: dict[str, dict[str, str]] = {}
                with contextlib.suppress(FileNotFoundError):
                    keys = json.loads(self._path.read_bytes())
                yield keys
                write_bytes(self._path, json.dumps(keys, indent=1).encode(), PRIVATE)
        except (OSError, ValueError):
            raise EndpointError("the file of the API keys cannot be used") from None


class KeyUses:
    """When API keys were last used, to the minute.

    Args:
        database: database of the endpoint's state.
        now: returns the seconds since the epoch.
    """

    def __init__(self, database: sqlite3.Connection, now: Callable[[], float] = time.time) -> None:
        self._database = database
        self._now = now
        self._noted: dict[str, float] = {}

    def note(self, key_id: str) -> None:
        """Record that a key is used now."""
        now = self._now()
        if now - self._noted.get(key_id, 0.0) < _USE_SECONDS:
            return
        self._noted[key_id] = now
        with contextlib.suppress(sqlite3.OperationalError):  # a full disk is no reason to refuse
            self._database.execute("INSERT OR REPLACE INTO key_use VALUES (?, ?)", (key_id, now))

    def find(self, key_id: str) -> str | None:
        """Return when a key was last used, ISO 8601, UTC; None: never."""
        query = "SELECT used_at FROM key_use WHERE key_id = ?"
        row = self._database.execute(query, (key_id,)).fetchone()
        return datetime.fromtimestamp(row[0], UTC).isoformat(timespec="seconds") if row else None


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
        """
        if self._keys and self._local_token is not None:
            return self._keys.identify(_read_bearer(headers))
        if not self._is_local(headers):
            raise UnauthorizedError
        return LOCAL

    def may_read_metrics(self, headers: Mapping[str, str]) -> bool:
        """Return True for callers with the local token and for the operator's key."""
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


@dataclass(frozen=True, slots=True)
class QuotaLimits:
    """Quotas of one tenant.

    Attributes:
        slots_per_minute: document slots per minute, whether the tenant fills them or not.
        slots_per_day: document slots per day, UTC.
        requests_at_once: concurrent requests.
        cpu_seconds_per_minute: CPU time of its evaluations, key checks and refused requests per minute.
        bytes_per_minute: bytes of its bodies per minute, refused ones included.
        weight: its share of the workers, over the shares of the others that wait.
        leakage: total variation that its answers of a sealed head may add up to: see
            `lexveil.pipeline.serving.server.leakage`.
    """

    slots_per_minute: int = 200_000
    slots_per_day: int = 2_000_000
    requests_at_once: int = 16
    cpu_seconds_per_minute: float = math.inf
    bytes_per_minute: int = 2 << 30
    weight: float = 1.0
    leakage: float = 0.25


class _Bucket:
    """What a tenant may still use: it fills with time, up to its capacity, and is full at first.

    Attributes:
        capacity: what it holds; at first, that of a minute.
    """

    def __init__(self, per_minute: float, now: float) -> None:
        self.capacity = per_minute
        self._rate = per_minute / 60
        self._used, self._since = 0.0, now

    def wait_for(self, amount: float, now: float) -> int | None:
        """Return the seconds until there is so much; None if there is."""
        if math.isinf(self.capacity):
            return None
        self._used = max(0.0, self._used - (now - self._since) * self._rate)
        self._since = now
        missing = amount + self._used - self.capacity
        return None if missing <= 0 else max(1, math.ceil(missing / self._rate))

    def take(self, amount: float) -> None:
        """Use so much, even if there is less."""
        self._used += amount


class Quotas:
    """Usage by tenant.

    That of the day is kept in the database and outlives a restart, that of the minute is kept in memory. What
    a full disk keeps from the database is counted in memory until it can be written.

    Args:
        database: database of the endpoint's state.
        limits: the quotas.
        tenants: quotas of tenants that have their own.
        now: returns the seconds since the epoch.
    """

    def __init__(
        self,
        database: sqlite3.Connection,
        limits: QuotaLimits,
        tenants: Mapping[str, QuotaLimits] | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._limits = limits
        self._tenants = tenants or {}
        self._largest = self._longest = 0
        self._now = now
        self._slots: dict[str, _Bucket] = {}
        self._cpu: dict[str, _Bucket] = {}
        self._bytes: dict[str, _Bucket] = {}
        self._unwritten: dict[tuple[str, str], int] = {}  # slots by tenant and day
        self._at_once: dict[str, int] = {}
        self._strikes: dict[str, list[float]] = {}

    def hold(self, largest: int, longest: int) -> None:
        """Let buckets hold a request of so many slots and a body of so many bytes, too."""
        self._largest, self._longest = max(self._largest, largest), max(self._longest, longest)

    def limits_of(self, tenant: str) -> QuotaLimits:
        """Return the quotas of a tenant."""
        return self._tenants.get(tenant, self._limits)

    @contextmanager
    def admit_request(self, tenant: str) -> Generator[None, None, None]:
        """Count a request while it is served.

        Raises:
            QuotaExceededError: the tenant has too many concurrent requests, has used up its CPU time, or its
                requests crashed too many workers.
        """
        now = self._now()
        if self._at_once.get(tenant, 0) >= self.limits_of(tenant).requests_at_once:
            raise QuotaExceededError("too many requests at a time", 1)
        strikes = self._strikes.get(tenant, [])
        if len(strikes) >= _STRIKES and strikes[-_STRIKES] > now - _STRIKE_SECONDS:
            wait = strikes[-_STRIKES] + _STRIKE_SECONDS - now
            raise QuotaExceededError("too many requests that ended a worker", math.ceil(wait))
        # What a request will cost is not known: it is admitted while there is some, and may leave a debt.
        if wait := self._cpu_bucket(tenant).wait_for(_REQUEST_SECONDS, now):
            raise QuotaExceededError("the quota of CPU time a minute is used up", wait)
        self.charge_cpu(tenant, _REQUEST_SECONDS)
        self._at_once[tenant] = self._at_once.get(tenant, 0) + 1
        try:
            yield
        finally:
            left = self._at_once.pop(tenant) - 1
            if left > 0:
                self._at_once[tenant] = left

    def add_strike(self, tenant: str) -> None:
        """Record that the tenant sent a request that crashed two workers."""
        self._strikes[tenant] = [*self._strikes.get(tenant, [])[-_STRIKES:], self._now()]

    def charge(self, tenant: str, slots: int) -> None:
        """Charge slots to the quotas of a minute and of a day.

        Raises:
            QuotaExceededError: one of them has too few slots left. Nothing is charged.
        """
        bucket = self._slot_bucket(tenant)
        if wait := bucket.wait_for(slots, self._now()):
            raise QuotaExceededError("the quota of document slots a minute is used up", wait)
        if self.count_used_today(tenant) + slots > self.limits_of(tenant).slots_per_day:
            raise QuotaExceededError("the quota of document slots a day is used up", self._until_midnight())
        bucket.take(slots)
        self._add(tenant, slots)

    def refund(self, tenant: str, slots: int) -> None:
        """Return slots that were charged for a request that the server did not answer."""
        self._slot_bucket(tenant).take(-slots)
        self._add(tenant, -slots)

    def charge_cpu(self, tenant: str, seconds: float) -> None:
        """Charge CPU time that was used, whatever is left."""
        self._cpu_bucket(tenant).take(seconds)

    def charge_bytes(self, tenant: str, count: int) -> None:
        """Charge the bytes of a body, before it is read.

        Raises:
            QuotaExceededError: too few are left. Nothing is charged.
        """
        limit = self.limits_of(tenant).bytes_per_minute
        bucket = self._bytes.setdefault(tenant, _Bucket(limit, self._now()))
        bucket.capacity = max(limit, self._longest)
        if wait := bucket.wait_for(count, self._now()):
            raise QuotaExceededError("the quota of bytes a minute is used up", wait)
        bucket.take(count)

    def _slot_bucket(self, tenant: str) -> _Bucket:
        # A bucket holds the largest request; otherwise nobody could ever send it.
        limit = self.limits_of(tenant).slots_per_minute
        bucket = self._slots.setdefault(tenant, _Bucket(limit, self._now()))
        bucket.capacity = max(limit, self._largest)
        return bucket

    def _cpu_bucket(self, tenant: str) -> _Bucket:
        limit = self.limits_of(tenant).cpu_seconds_per_minute
        return self._cpu.setdefault(tenant, _Bucket(limit, self._now()))

    def count_used_today(self, tenant: str) -> int:
        """Return the slots that a tenant has used since midnight, UTC."""
        query = "SELECT slots FROM usage WHERE tenant = ? AND day = ?"
        row = self._database.execute(query, (tenant, self._day())).fetchone()
        return (row[0] if row else 0) + self._unwritten.get((tenant, self._day()), 0)

    def _add(self, tenant: str, slots: int) -> None:
        place = (tenant, self._day())
        self._unwritten[place] = self._unwritten.get(place, 0) + slots
        with contextlib.suppress(sqlite3.OperationalError):
            for place, count in list(self._unwritten.items()):
                self._database.execute(
                    "INSERT INTO usage VALUES (?, ?, ?) "
                    "ON CONFLICT DO UPDATE SET slots = slots + excluded.slots",
                    (*place, count),
                )
                del self._unwritten[place]

    def _day(self) -> str:
        return datetime.fromtimestamp(self._now(), UTC).date().isoformat()

    def _until_midnight(self) -> int:
        return 86_400 - int(self._now()) % 86_400


def _keyed_hash(salt: str, secret: str) -> str:
    return hmac.new(salt.encode(), secret.encode(), hashlib.sha256).hexdigest()
