"""Who may ask, and how much: API keys, hashed at rest, and quotas by document slot.

An API key is `lxv_ID_SECRET`; the secret is 256 random bits, so that a keyed hash, without stretching, is all
that a thief of the file would have to invert. Where no key was issued, only callers on this machine are
served, and neither browsers nor proxies are.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import math
import re
import secrets
import sqlite3
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lexveil.pipeline.errors import EndpointError
from lexveil.pipeline.serving.server.state import write_private

LOCAL = "local"  # the tenant of callers without a key
OPERATOR = "operator"  # the tenant whose key opens /metrics to others than this machine

_KEY = re.compile(r"lxv_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_TENANT = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ABSENT = {"tenant": "", "salt": "", "hash": ""}
_STRIKES, _STRIKE_SECONDS = 5, 600.0
_SIGNS_OF_OTHERS = ("origin", "forwarded", "x-forwarded-for", "x-real-ip", "via")


class Unauthorized(Exception):
    """No key, an unknown or a revoked one; or no keys at all, and a caller from elsewhere."""


class OverQuota(Exception):
    """retry_after: seconds until the quota has room."""

    def __init__(self, what: str, retry_after: int) -> None:
        super().__init__(what)
        self.retry_after = retry_after


class ApiKeys:
    """The keys of `<folder>/api-keys.json`; a change of the file is noticed at the next request."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "api-keys.json"
        self._stamp: object = None
        self._keys: dict[str, dict[str, str]] = {}

    def issue(self, tenant: str) -> str:
        """A new key for a tenant: shown this once, kept as a hash. Raises `EndpointError`."""
        if not _TENANT.fullmatch(tenant) or tenant == LOCAL:
            raise EndpointError(f"a tenant's name has 1 to 64 of A-Z a-z 0-9 . _ - and is not {LOCAL!r}")
        key_id, secret, salt = secrets.token_hex(6), secrets.token_urlsafe(32), secrets.token_hex(16)
        issued = datetime.now(UTC).isoformat(timespec="seconds")
        record = {"tenant": tenant, "salt": salt, "hash": _keyed_hash(salt, secret), "issued": issued}
        self._write({**self._read(), key_id: record})
        return f"lxv_{key_id}_{secret}"

    def revoke(self, key_id: str) -> None:
        """Forgets the key of this id, the part after `lxv_`. Raises `EndpointError`."""
        keys = dict(self._read())
        if keys.pop(key_id, None) is None:
            raise EndpointError("there is no API key of that id")
        self._write(keys)

    def __bool__(self) -> bool:
        return bool(self._read())

    def tenant_of(self, key: str) -> str:
        """Raises `Unauthorized`."""
        match = _KEY.fullmatch(key)
        key_id, secret = match.groups() if match else ("", "")
        record = self._read().get(key_id, _ABSENT)
        # Compared for an unknown id too: both take the same time.
        if not hmac.compare_digest(_keyed_hash(record["salt"], secret), record["hash"]):
            raise Unauthorized
        return record["tenant"]

    def _read(self) -> Mapping[str, dict[str, str]]:
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_ino)
            if stamp != self._stamp:
                self._keys, self._stamp = json.loads(self._path.read_bytes()), stamp
        except FileNotFoundError:
            # Only where there never was one: a file that went missing must not open the endpoint.
            if self._stamp is not None:
                raise Unauthorized from None
        except (OSError, ValueError):
            raise Unauthorized from None
        return self._keys

    def _write(self, keys: Mapping[str, Any]) -> None:
        write_private(self._path, json.dumps(keys, indent=1).encode())


class Access:
    """Tells the tenant of a request. in_process: every caller is this process itself."""

    def __init__(self, keys: ApiKeys, *, in_process: bool = False) -> None:
        self._keys = keys
        self._in_process = in_process

    def tenant(self, headers: Mapping[str, str], client: str | None) -> str:
        """Raises `Unauthorized`. headers: names in lower case. client: the peer's address."""
        if self._in_process:
            return LOCAL
        if self._keys:
            kind, _, key = headers.get("authorization", "").partition(" ")
            if kind.lower() != "bearer":
                raise Unauthorized
            return self._keys.tenant_of(key.strip())
        if not is_local(headers, client):
            raise Unauthorized
        return LOCAL

    def may_read_metrics(self, headers: Mapping[str, str], client: str | None) -> bool:
        """Callers on this machine, and the operator's key."""
        if self._in_process or is_local(headers, client):
            return True
        try:
            return self.tenant(headers, client) == OPERATOR
        except Unauthorized:
            return False


def is_local(headers: Mapping[str, str], client: str | None) -> bool:
    """Whether the peer is on this machine, and neither a proxy nor a browser that some web page uses."""
    try:
        loopback = ipaddress.ip_address(client or "").is_loopback
    except ValueError:
        return False
    return loopback and not any(name in headers for name in _SIGNS_OF_OTHERS)


@dataclass(frozen=True, slots=True)
class QuotaLimits:
    """Document slots a tenant may use, whether it fills them or not, and its requests at a time."""

    slots_per_minute: int = 200_000
    slots_per_day: int = 2_000_000
    requests_at_once: int = 16


class Quotas:
    """Usage by tenant: the day's in the database, which outlives a restart; the minute's in memory."""

    def __init__(
        self,
        database: sqlite3.Connection,
        limits: QuotaLimits,
        largest: int,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._limits = limits
        # A bucket holds the largest request, or nobody could ever send it.
        self._capacity = float(max(limits.slots_per_minute, largest))
        self._rate = limits.slots_per_minute / 60
        self._now = now
        self._buckets: dict[str, tuple[float, float]] = {}
        self._at_once: dict[str, int] = {}
        self._strikes: dict[str, list[float]] = {}

    @contextmanager
    def request(self, tenant: str) -> Generator[None, None, None]:
        """While a request is served. Raises `OverQuota`."""
        if self._at_once.get(tenant, 0) >= self._limits.requests_at_once:
            raise OverQuota("too many requests at a time", 1)
        strikes = self._strikes.get(tenant, [])
        if len(strikes) >= _STRIKES and strikes[-_STRIKES] > self._now() - _STRIKE_SECONDS:
            wait = strikes[-_STRIKES] + _STRIKE_SECONDS - self._now()
            raise OverQuota("too many requests that ended a worker", math.ceil(wait))
        self._at_once[tenant] = self._at_once.get(tenant, 0) + 1
        try:
            yield
        finally:
            left = self._at_once.pop(tenant) - 1
            if left > 0:
                self._at_once[tenant] = left

    def strike(self, tenant: str) -> None:
        """The tenant sent a request that ended two workers."""
        self._strikes[tenant] = [*self._strikes.get(tenant, [])[-_STRIKES:], self._now()]

    def charge(self, tenant: str, slots: int) -> None:
        """Raises `OverQuota`, and then charges nothing."""
        now = self._now()
        level, since = self._buckets.get(tenant, (self._capacity, now))
        level = min(self._capacity, level + (now - since) * self._rate)
        if slots > level:
            self._buckets[tenant] = level, now
            wait = math.ceil((slots - level) / self._rate)
            raise OverQuota("the quota of document slots a minute is used up", max(1, wait))
        used = self.used_today(tenant)
        if used + slots > self._limits.slots_per_day:
            raise OverQuota("the quota of document slots a day is used up", self._until_midnight())
        self._buckets[tenant] = level - slots, now
        self._add(tenant, slots)

    def refund(self, tenant: str, slots: int) -> None:
        """What was charged for an answer that the server did not give."""
        level, since = self._buckets.get(tenant, (self._capacity, self._now()))
        self._buckets[tenant] = level + slots, since
        self._add(tenant, -slots)

    def used_today(self, tenant: str) -> int:
        query = "SELECT slots FROM usage WHERE tenant = ? AND day = ?"
        row = self._database.execute(query, (tenant, self._day())).fetchone()
        return row[0] if row else 0

    def _add(self, tenant: str, slots: int) -> None:
        self._database.execute(
            "INSERT INTO usage VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET slots = slots + excluded.slots",
            (tenant, self._day(), slots),
        )

    def _day(self) -> str:
        return datetime.fromtimestamp(self._now(), UTC).date().isoformat()

    def _until_midnight(self) -> int:
        return 86_400 - int(self._now()) % 86_400


def _keyed_hash(salt: str, secret: str) -> str:
    return hmac.new(salt.encode(), secret.encode(), hashlib.sha256).hexdigest()
